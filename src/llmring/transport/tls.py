"""Which certificates are trusted, by the variables that OpenSSL reads."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from llmring import env
from llmring.exceptions import ConfigurationError


def read_tls_context(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """A context that trusts what SSL_CERT_FILE and SSL_CERT_DIR name, and nothing else. None where neither is set.

    Making one takes some 20 ms: once is enough. Raises ConfigurationError for what cannot be read.
    """
    cafile, capath = env.get(env.SSL_CERT_FILE, environ), env.get(env.SSL_CERT_DIR, environ)
    if cafile is None and capath is None:
        return None
    # OpenSSL takes any name for a folder, or for several, and finds nothing in it without a word.
    if capath is not None and not any(Path(folder).is_dir() for folder in capath.split(os.pathsep)):
        raise ConfigurationError(
            f"{env.SSL_CERT_DIR}={capath} cannot be used: no such folder",
            hint=f"{env.SSL_CERT_DIR} must name a folder of CA certificates, prepared with `openssl rehash`",
        )
    try:
        return ssl.create_default_context(cafile=cafile, capath=capath)
    except OSError as error:
        raise ConfigurationError(
            f"{env.SSL_CERT_FILE}={cafile} cannot be used: {error.strerror or 'no certificates in it'}",
            hint=f"{env.SSL_CERT_FILE} must name a PEM file of CA certificates",
        ) from None
