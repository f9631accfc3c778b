"""Every environment variable llmring reads, one constant and one line each. Nothing is read at import."""

from __future__ import annotations

import logging
import os
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# llmring's own
LLMRING_LOCKFILE_PATH: Final = "LLMRING_LOCKFILE_PATH"  # the lockfile to use; must exist
LLMRING_PROFILE: Final = "LLMRING_PROFILE"  # the profile to use when a call names none
LLMRING_LOCKED: Final = "LLMRING_LOCKED"  # true: the bundled fallback lock is refused
LLMRING_FROZEN: Final = "LLMRING_FROZEN"  # true: as LOCKED, and the manifest is not read
LLMRING_CONFIG: Final = "LLMRING_CONFIG"  # the user's config file; default ~/.config/llmring/config.toml
LLMRING_REGISTRY_URL: Final = "LLMRING_REGISTRY_URL"  # where model facts are refreshed from, only when asked
LLMRING_NO_DOTENV: Final = "LLMRING_NO_DOTENV"  # true: ./.env is not read at the first construction

# the field's own
OPENAI_API_KEY: Final = "OPENAI_API_KEY"  # key for provider openai
OPENAI_BASE_URL: Final = "OPENAI_BASE_URL"  # base URL for provider openai
OPENAI_ORG_ID: Final = "OPENAI_ORG_ID"  # OpenAI-Organization header
OPENAI_PROJECT_ID: Final = "OPENAI_PROJECT_ID"  # OpenAI-Project header
ANTHROPIC_API_KEY: Final = "ANTHROPIC_API_KEY"  # key for provider anthropic
ANTHROPIC_AUTH_TOKEN: Final = "ANTHROPIC_AUTH_TOKEN"  # bearer token for provider anthropic, where there is no key
ANTHROPIC_BASE_URL: Final = "ANTHROPIC_BASE_URL"  # base URL for provider anthropic
GEMINI_API_KEY: Final = "GEMINI_API_KEY"  # key for provider google
GOOGLE_API_KEY: Final = "GOOGLE_API_KEY"  # the same, read when GEMINI_API_KEY is not set
GOOGLE_GEMINI_BASE_URL: Final = "GOOGLE_GEMINI_BASE_URL"  # base URL for provider google
OLLAMA_HOST: Final = "OLLAMA_HOST"  # host[:port] or URL of the Ollama server
HTTPS_PROXY: Final = "HTTPS_PROXY"  # proxy for https, unless NO_PROXY names the host (lower case works too)
HTTP_PROXY: Final = "HTTP_PROXY"  # proxy for http, unless NO_PROXY names the host (lower case works too)
ALL_PROXY: Final = "ALL_PROXY"  # proxy for both, where the scheme has none of its own (lower case works too)
NO_PROXY: Final = "NO_PROXY"  # hosts that are reached without the proxy (lower case works too)
SSL_CERT_FILE: Final = "SSL_CERT_FILE"  # CA bundle (PEM) that replaces the system's
SSL_CERT_DIR: Final = "SSL_CERT_DIR"  # folder of CA certificates that replaces the system's
XDG_CONFIG_HOME: Final = "XDG_CONFIG_HOME"  # folder of the user's config files; default ~/.config
HOME: Final = "HOME"  # unset: no config file is looked for in ~/.config
NO_COLOR: Final = "NO_COLOR"  # any value: the command line uses no colours

_log = logging.getLogger("llmring.env")


class DotenvError(ValueError):
    """./.env cannot be read. The message says why and what to do, and quotes nothing of it."""


def get(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The variable's value, or None where it is unset or blank."""
    value = (os.environ if environ is None else environ).get(name, "").strip()
    return value or None


def is_set(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a yes/no variable says yes: 1, true, yes or on."""
    return (get(name, environ) or "").lower() in {"1", "true", "yes", "on"}


def load(dotenv: bool = True) -> Mapping[str, str]:
    """The environment, and below it what ./.env sets. The process's own environment is not changed.

    That file lies in a repository, which may be anybody's: what says whom to trust or which way requests go is not taken from
    it. Raises DotenvError where it cannot be read.
    """
    path = Path(".env")
    if not dotenv or is_set(LLMRING_NO_DOTENV) or not path.is_file():
        return os.environ
    values = _read_dotenv(path)
    barred = {LLMRING_CONFIG, LLMRING_LOCKFILE_PATH, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY}
    barred |= {SSL_CERT_FILE, SSL_CERT_DIR, XDG_CONFIG_HOME, HOME}
    for name in [name for name in values if name.upper() in barred]:
        del values[name]
        if name not in os.environ:
            _log.warning("%s is not taken from ./.env: set it in the environment", name)
    return ChainMap(os.environ, values)


def is_from_dotenv(name: str, environ: Mapping[str, str]) -> bool:
    """Whether `environ`, as `load` gave it, has this variable from ./.env."""
    return isinstance(environ, ChainMap) and name not in environ.maps[0] and name in environ


def _read_dotenv(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    values: dict[str, str | None] = {}
    problem = None
    try:
        # As written: `${NAME}` would take in the user's own variables, and a base URL could then carry them off.
        values = dotenv_values(path, interpolate=False)
    except UnicodeDecodeError:
        problem = "it is no UTF-8 text"
    except OSError as error:
        problem = error.strerror
    if problem is not None:
        # Outside of `except`: a decoding error holds the whole file, keys and all.
        raise DotenvError(f"./.env cannot be read: {problem}; {LLMRING_NO_DOTENV}=1 leaves it alone")
    return {name: value for name, value in values.items() if value is not None}
