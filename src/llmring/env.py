"""Every environment variable llmring reads, one constant and one line each. Nothing is read at import."""

from __future__ import annotations

import logging
import os
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llmring.exceptions import ConfigurationError
from llmring.regular_file import read_regular_file

# llmring's own
LLMRING_LOCKFILE_PATH: Final = "LLMRING_LOCKFILE_PATH"  # the lockfile to use; must exist, except for what writes it
LLMRING_PROFILE: Final = "LLMRING_PROFILE"  # the profile to use when a call names none
LLMRING_LOCKED: Final = "LLMRING_LOCKED"  # true: the bundled fallback lock is refused, and no command writes a lock
LLMRING_AUTO_UPLOAD: Final = "LLMRING_AUTO_UPLOAD"  # true: rings without an upload_strategy use FileUploadStrategy()
LLMRING_FROZEN: Final = "LLMRING_FROZEN"  # true: as LOCKED, and the manifest is not read
LLMRING_OFFLINE: Final = "LLMRING_OFFLINE"  # true: the lock's commands ask no vendor
LLMRING_CONFIG: Final = "LLMRING_CONFIG"  # the user's config file; default ~/.config/llmring/config.toml
LLMRING_REGISTRY_URL: Final = "LLMRING_REGISTRY_URL"  # whose model facts are used: a path; https is asked by a refresh
LLMRING_CACHE_DIR: Final = "LLMRING_CACHE_DIR"  # where fetched model facts are kept; default ~/.cache/llmring
LLMRING_NO_DOTENV: Final = "LLMRING_NO_DOTENV"  # true: ./.env is not read at the first construction

# the field's own
OPENAI_API_KEY: Final = "OPENAI_API_KEY"  # key for provider openai
OPENAI_BASE_URL: Final = "OPENAI_BASE_URL"  # base URL for provider openai
OPENAI_ORG_ID: Final = "OPENAI_ORG_ID"  # OpenAI-Organization header
OPENAI_PROJECT_ID: Final = "OPENAI_PROJECT_ID"  # OpenAI-Project header
OPENAI_CUSTOM_HEADERS: Final = "OPENAI_CUSTOM_HEADERS"  # kept out of `.client`: the SDK sends them to any host
ANTHROPIC_API_KEY: Final = "ANTHROPIC_API_KEY"  # key for provider anthropic
ANTHROPIC_AUTH_TOKEN: Final = "ANTHROPIC_AUTH_TOKEN"  # bearer token for provider anthropic, where there is no key
ANTHROPIC_BASE_URL: Final = "ANTHROPIC_BASE_URL"  # base URL for provider anthropic
ANTHROPIC_CUSTOM_HEADERS: Final = "ANTHROPIC_CUSTOM_HEADERS"  # kept out of `.client`: the SDK sends them to any host
GEMINI_API_KEY: Final = "GEMINI_API_KEY"  # key for provider google
GOOGLE_API_KEY: Final = "GOOGLE_API_KEY"  # the same, read when GEMINI_API_KEY is not set
GOOGLE_GEMINI_BASE_URL: Final = "GOOGLE_GEMINI_BASE_URL"  # base URL for provider google
CO_API_KEY: Final = "CO_API_KEY"  # key for provider cohere
COHERE_API_KEY: Final = "COHERE_API_KEY"  # the same, read when CO_API_KEY is not set
OPENROUTER_API_KEY: Final = "OPENROUTER_API_KEY"  # key for provider openrouter
GROQ_API_KEY: Final = "GROQ_API_KEY"  # key for provider groq
MISTRAL_API_KEY: Final = "MISTRAL_API_KEY"  # key for provider mistral
DEEPSEEK_API_KEY: Final = "DEEPSEEK_API_KEY"  # key for provider deepseek
TOGETHER_API_KEY: Final = "TOGETHER_API_KEY"  # key for provider together
FIREWORKS_API_KEY: Final = "FIREWORKS_API_KEY"  # key for provider fireworks
XAI_API_KEY: Final = "XAI_API_KEY"  # key for provider xai
NVIDIA_API_KEY: Final = "NVIDIA_API_KEY"  # key for provider nvidia
CEREBRAS_API_KEY: Final = "CEREBRAS_API_KEY"  # key for provider cerebras
OLLAMA_HOST: Final = "OLLAMA_HOST"  # host[:port] or URL of the Ollama server
AZURE_OPENAI_API_KEY: Final = "AZURE_OPENAI_API_KEY"  # key for provider azure
AZURE_OPENAI_AD_TOKEN: Final = "AZURE_OPENAI_AD_TOKEN"  # Entra token for provider azure, where there is no key
AZURE_OPENAI_ENDPOINT: Final = "AZURE_OPENAI_ENDPOINT"  # the resource of provider azure, https://NAME.openai.azure.com
GOOGLE_APPLICATION_CREDENTIALS: Final = "GOOGLE_APPLICATION_CREDENTIALS"  # credentials file for Vertex AI
GOOGLE_CLOUD_PROJECT: Final = "GOOGLE_CLOUD_PROJECT"  # project that vertex and vertex_anthropic are called in
GOOGLE_CLOUD_LOCATION: Final = "GOOGLE_CLOUD_LOCATION"  # location of vertex and vertex_anthropic; default global
AWS_BEARER_TOKEN_BEDROCK: Final = "AWS_BEARER_TOKEN_BEDROCK"  # Bedrock API key for bedrock, bedrock_anthropic
AWS_ACCESS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"  # AWS key for both Bedrock providers, where there is no Bedrock API key
AWS_SECRET_ACCESS_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # the AWS key's secret
AWS_SESSION_TOKEN: Final = "AWS_SESSION_TOKEN"  # goes with temporary AWS keys
AWS_REGION: Final = "AWS_REGION"  # region of bedrock, bedrock_anthropic
AWS_DEFAULT_REGION: Final = "AWS_DEFAULT_REGION"  # the same, read when AWS_REGION is not set
HTTPS_PROXY: Final = "HTTPS_PROXY"  # proxy for https, unless NO_PROXY names the host (lower case works too)
HTTP_PROXY: Final = "HTTP_PROXY"  # proxy for http, unless NO_PROXY names the host (lower case works too)
ALL_PROXY: Final = "ALL_PROXY"  # proxy for both, where the scheme has none of its own (lower case works too)
NO_PROXY: Final = "NO_PROXY"  # hosts that are reached without the proxy (lower case works too)
SSL_CERT_FILE: Final = "SSL_CERT_FILE"  # CA bundle (PEM) that replaces the system's
SSL_CERT_DIR: Final = "SSL_CERT_DIR"  # folder of CA certificates that replaces the system's
XDG_CONFIG_HOME: Final = "XDG_CONFIG_HOME"  # folder of the user's config files; default ~/.config
XDG_CACHE_HOME: Final = "XDG_CACHE_HOME"  # folder of the user's caches; default ~/.cache
XDG_STATE_HOME: Final = "XDG_STATE_HOME"  # folder of `llmring chat`'s last conversation; default ~/.local/state
HOME: Final = "HOME"  # unset: no config file is looked for in ~/.config, and no cache kept in ~/.cache
TIKTOKEN_CACHE_DIR: Final = "TIKTOKEN_CACHE_DIR"  # where tiktoken keeps vocabularies; only read, and only by estimates
NO_COLOR: Final = "NO_COLOR"  # any value: the command line uses no colours
TERM: Final = "TERM"  # dumb: the command line uses no colours, and no escape sequences at all

_log = logging.getLogger("llmring.env")


class _Environment(ChainMap[str, str]):
    """Variables that do not show: error reporters print what every frame holds, and among them are all the keys."""

    def get(self, key: str, default: Any = None) -> Any:
        # ChainMap's own looks each name up twice, through a generator; several are read on every call.
        for values in self.maps:
            found = values.get(key)
            if found is not None:
                return found
        return default

    def __repr__(self) -> str:
        return f"<environment of {len(self)} variables>"


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
    it. Raises ConfigurationError where it cannot be read.
    """
    path = Path(".env")
    if not dotenv or is_set(LLMRING_NO_DOTENV) or not path.is_file():
        return _Environment(os.environ)
    values = _read_dotenv(path)
    # Uploading leaves the user's files with a provider.
    barred = {LLMRING_CONFIG, LLMRING_LOCKFILE_PATH, LLMRING_AUTO_UPLOAD, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY}
    # What was kept of a registry is believed: it must not be the repository's own.
    barred |= {LLMRING_CACHE_DIR, XDG_CACHE_HOME}
    # A credentials file of Google's may name a file to read and a host to send it to.
    barred |= {SSL_CERT_FILE, SSL_CERT_DIR, XDG_CONFIG_HOME, XDG_STATE_HOME, HOME, GOOGLE_APPLICATION_CREDENTIALS}
    for name in [name for name in values if name.upper() in barred]:
        del values[name]
        if name not in os.environ:
            _log.warning("%s is not taken from ./.env: set it in the environment", name)
    return _Environment(os.environ, values)


def is_from_dotenv(name: str, environ: Mapping[str, str]) -> bool:
    """Whether `environ`, as `load` gave it, has this variable from ./.env."""
    return isinstance(environ, _Environment) and name not in environ.maps[0] and name in environ


def _read_dotenv(path: Path) -> dict[str, str]:
    from io import StringIO

    from dotenv import dotenv_values

    values: dict[str, str | None] = {}
    problem = None
    max_bytes = 1024 * 1024  # guess: it is written by hand
    try:
        data, _ = read_regular_file(path, max_bytes + 1)
        if len(data) > max_bytes:
            problem = f"it is larger than {max_bytes} bytes"
        else:
            # As written: `${NAME}` would take in the user's own variables, and a base URL could then carry them off.
            values = dotenv_values(stream=StringIO(data.decode()), interpolate=False)
    except UnicodeDecodeError:
        problem = "it is no UTF-8 text"
    except OSError as error:
        problem = error.strerror or "it is no regular file"
    if problem is not None:
        # Outside of `except`: a decoding error holds the whole file, keys and all.
        raise ConfigurationError(f"./.env cannot be read: {problem}", hint=f"{LLMRING_NO_DOTENV}=1 leaves it alone")
    return {name: value for name, value in values.items() if value is not None}
