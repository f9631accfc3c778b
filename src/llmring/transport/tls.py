"""Which certificates are trusted, by the variables that OpenSSL reads."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from llmring import env
from llmring.exceptions import ConfigurationError


def read_tls_context(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """A context that trusts what SSL_CERT_FILE and SSL_CERT_DIR name, and nothing else. None where neither is set.

    Making one takes some 20 ms: once is enough. Raises ConfigurationError for what cannot be read.
    """
    cafile, capath = env.get(env.SSL_CERT_FILE, environ), env.get(env.SSL_CERT_DIR, environ)
    if cafile is None and capath is None:
        return None
    name, path = (env.SSL_CERT_FILE, cafile) if cafile is not None else (env.SSL_CERT_DIR, capath)
    try:
        return ssl.create_default_context(cafile=cafile, capath=capath)
    except OSError as error:
        raise ConfigurationError(
            f"{name}={path} cannot be used: {error.strerror or 'no certificates'}",
            hint=f"{name} must name {'a PEM file' if name == env.SSL_CERT_FILE else 'a folder'} of CA certificates",
        ) from None
