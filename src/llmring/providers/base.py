"""What a provider is: a row of facts (whom we call, in which dialect, with which key) and its live counterpart."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from llmring import env
from llmring.exceptions import ConfigurationError, MissingCredentialError, ProviderAuthenticationError
from llmring.schemas.model_info import ModelInfo
from llmring.secret import Scrubber, Secret, safe_url
from llmring.wire.base import Dialect, Quirks, Target
from llmring.wire.table import get_dialect

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_log = logging.getLogger("llmring.providers")

_VERSION_SEGMENT = re.compile(r"v\d+[a-z0-9]*", re.ASCII)


def normalize_base_url(url: str, version_path: str = "/v1") -> str:
    """A base URL as a person writes it, made whole: no trailing slash, `version_path` where no version stands in the path.

    Raises ConfigurationError where it is no http(s) URL, or holds a user name or password.
    """
    try:
        parts = urlsplit(url.strip())
        port_is_sane = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_sane = urlsplit(""), False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_sane:
        raise ConfigurationError(
            f"base_url {safe_url(url)!r} is no http(s) URL",
            hint="write it like https://host/v1 or http://127.0.0.1:8080",
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            f"base_url {safe_url(url)!r} holds a user name, password, query or fragment",
            hint="credentials go into api_key or extra_headers",
        )
    path = parts.path.rstrip("/")
    if not any(_VERSION_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        path += version_path
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def google_base_url(url: str) -> str:
    """GOOGLE_GEMINI_BASE_URL names the host alone, as Google's SDK reads it; the OpenAI-compatible endpoint lies below."""
    return normalize_base_url(url, "/v1beta/openai")


def ollama_base_url(host: str) -> str:
    """OLLAMA_HOST as Ollama reads it: `host`, `host:port` or a URL; the port defaults to 11434."""
    parts = urlsplit(normalize_base_url(host if "://" in host else f"http://{host}"))
    if parts.port is None and parts.scheme == "http":
        parts = parts._replace(netloc=f"{parts.netloc.rstrip(':')}:11434")
    # 0.0.0.0 is where a server listens, not an address to call.
    return urlunsplit(parts).replace("//0.0.0.0", "//127.0.0.1")


def _fits_header(key: Secret) -> bool:
    """A function of its own, so that no frame of an error's traceback holds the key."""
    value = key.reveal()
    return value.isascii() and value.isprintable()


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider of `providers/table.py`, or one that a user declared.

    dialect: a name of `wire/table.py`. base_url: what the dialect's paths are put behind; sent as it is.
    key_variables: environment variables that may hold the key, in order; empty for a provider that needs none.
    auth: "bearer", "none", or "header:NAME" for a key in a header of its own.
    base_url_variable: overrides base_url; read_base_url: how its value is read. header_variables: headers whose values come from environment variables.
    headers: sent with every request; may hold credentials. local: runs on the user's machine: first token may take 300 s, no total.
    quirks: see `Quirks`. model_quirks: by pattern on the whole model name, first match wins.
    hint: what to do when it does not answer. untrusted: declared by a repository's file: only public https hosts.
    """

    name: str
    dialect: str
    base_url: str
    key_variables: tuple[str, ...] = ()
    auth: str = "bearer"
    base_url_variable: str | None = None
    read_base_url: Callable[[str], str] = normalize_base_url
    header_variables: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    local: bool = False
    quirks: Quirks = Quirks()
    model_quirks: tuple[tuple[str, Quirks], ...] = ()
    hint: str | None = None
    untrusted: bool = False


# How many models' targets a provider keeps; a lock names a few dozen.
_MAX_TARGETS = 1000


class BaseLLMProvider:
    """A provider as this process reaches it: base URL, key, dialect. Made by `LLMRing.get_provider(name)`.

    Keys are read at call time, from the argument or the environment, so rotating one needs no restart.
    """

    def __init__(
        self,
        row: ProviderRow,
        *,
        environ: Mapping[str, str],
        scrubber: Scrubber,
        api_key: Secret | None = None,
        base_url: str | None = None,
    ) -> None:
        self.row = row
        self.name = row.name
        self.dialect: Dialect = get_dialect(row.dialect)
        self._environ = environ
        self._scrubber = scrubber
        self._api_key = api_key
        self._base_url = None if base_url is None else row.read_base_url(base_url)
        self._client: AsyncOpenAI | None = None
        self._targets: dict[str, Target] = {}
        self._headers: Mapping[str, str] = {}
        self._headers_made_of: tuple[Secret | None, Mapping[str, str]] | None = None
        self._has_warned = False
        for value in row.headers.values():
            # Whole, and without the scheme that stands before a credential: a server may quote either.
            for text in (value, value.partition(" ")[2]):
                scrubber.add(Secret(text))

    @property
    def base_url(self) -> str:
        """Where requests go: the argument, else the environment variable, else the table's.

        Raises ConfigurationError naming the variable where that holds no URL.
        """
        if self._base_url is not None:
            return self._base_url
        variable = self.row.base_url_variable
        given = None if variable is None else env.get(variable, self._environ)
        if variable is None or given is None or not self._may_follow(variable):
            return self.row.base_url
        try:
            return self.row.read_base_url(given)
        except ConfigurationError as error:
            raise ConfigurationError(f"{variable}: {error.message}", hint=error.hint) from None

    def _may_follow(self, variable: str) -> bool:
        """Whether this variable may say where requests go: ./.env may send its own key to a host, never one of the user's."""
        if not env.is_from_dotenv(variable, self._environ):
            return True
        key_variable = self._key_variable()
        has_foreign_key = key_variable is not None and not env.is_from_dotenv(key_variable, self._environ)
        # Headers of a row come from code or the user's config file, and may be credentials too.
        if self._api_key is None and not self.row.headers and not has_foreign_key:
            return True
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "%s is not taken from ./.env: the key of provider %s is not from there; set it in the environment",
                variable,
                self.name,
            )
        return False

    def api_key(self) -> Secret | None:
        """The key to send, None for a provider that needs none. Raises MissingCredentialError naming the variable."""
        key = self._find_key()
        if key is None and self._needs_key:
            given = "the api_key given is empty" if self._api_key is not None else "no API key"
            ways = [f"set {' or '.join(self.row.key_variables)}"] if self.row.key_variables else []
            ways.append(f"pass providers={{{self.name!r}: {{'api_key': …}}}}")
            raise MissingCredentialError(
                f"{given} for provider {self.name}", provider=self.name, hint=", or ".join(ways)
            )
        return key

    def has_credential(self) -> bool:
        """Whether there is a key to send, or none is needed."""
        return not self._needs_key or self._find_key() is not None

    @property
    def _needs_key(self) -> bool:
        return self.row.auth != "none" and (bool(self.row.key_variables) or self._api_key is not None)

    def _key_variable(self) -> str | None:
        """The variable that holds the key."""
        return next((name for name in self.row.key_variables if env.get(name, self._environ) is not None), None)

    def _find_key(self) -> Secret | None:
        if self._api_key is not None:
            # An empty one does not fall back to a variable: that would be another account's.
            return self._api_key if self._api_key.reveal().strip() else None
        variable = self._key_variable()
        value = None if variable is None else env.get(variable, self._environ)
        return None if value is None else Secret(value)

    def headers(self) -> Mapping[str, str]:
        """Headers of every request to this provider, the key among them. Raises MissingCredentialError, and
        ProviderAuthenticationError for a key that no header can hold.
        """
        key, variable_headers = self.api_key(), self._variable_headers()
        if self._headers_made_of == (key, variable_headers):
            return self._headers
        headers = {"Content-Type": "application/json", "User-Agent": "llmring", **variable_headers}
        if key is not None:
            self._scrubber.add(key)
            if not _fits_header(key):
                raise ProviderAuthenticationError(
                    f"the API key for provider {self.name} holds characters that no header may hold",
                    provider=self.name,
                    hint="check for a stray newline or quote where it is set",
                )
            if self.row.auth == "bearer":
                headers["Authorization"] = f"Bearer {key.reveal()}"
            elif self.row.auth.startswith("header:"):
                headers[self.row.auth.removeprefix("header:")] = key.reveal()
        # Names differ only by case where a user overrides a built-in one; the user's value wins.
        for name, text in self.row.headers.items():
            headers = {known: v for known, v in headers.items() if known.lower() != name.lower()} | {name: text}
        self._headers, self._headers_made_of = MappingProxyType(headers), (key, variable_headers)
        return self._headers

    def _variable_headers(self) -> dict[str, str]:
        found = {header: env.get(variable, self._environ) for header, variable in self.row.header_variables.items()}
        return {header: value for header, value in found.items() if value is not None}

    def target(self, model: str, info: ModelInfo) -> Target:
        """The model as the dialect wants to know it."""
        known = self._targets.get(model)
        if known is not None and known.info is info:
            return known
        quirks = next((q for pattern, q in self.row.model_quirks if re.fullmatch(pattern, model)), self.row.quirks)
        if len(self._targets) >= _MAX_TARGETS:
            self._targets.clear()
        target = self._targets[model] = Target(self.name, model, info, quirks)
        return target

    @property
    def client(self) -> AsyncOpenAI:
        """The vendor's own async SDK client, made at first use with the same key and base URL; retries off.

        Closed by `LLMRing.close()`. Chat goes over llmring's own wire: what instruments the SDK sees only calls made here.
        Raises ConfigurationError for a provider that a repository's file declares: nothing would guard the SDK's connections.
        """
        if self.row.untrusted:
            raise ConfigurationError(
                f"provider {self.name} has no .client: a repository's file declares it, and the SDK would go to any host",
                hint="call it with chat(), or declare it in code or in the user's config file",
            )
        if self._client is None:
            from llmring.providers.control.openai import make_client

            self._client = make_client(self)
        return self._client

    async def close(self) -> None:
        """Closes the SDK client, if one was made. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def __repr__(self) -> str:
        try:
            url = safe_url(self.base_url)
        except ConfigurationError:
            url = "(no base URL)"
        return f"<{type(self).__name__} {self.name} {url}>"
