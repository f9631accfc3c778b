"""What a provider is: a row of facts (whom we call, in which dialect, with which key) and its live counterpart."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

from llmring import env
from llmring.exceptions import ConfigurationError, MissingCredentialError, ProviderAuthenticationError
from llmring.providers.auth import RECIPES, make_signer
from llmring.providers.file_rules import FileRules
from llmring.secret import Scrubber, Secret, safe_url
from llmring.wire.base import Dialect, EmbeddingCodec, ModelFacts, Quirks, Target, TokenCountCodec, WorksInBackground
from llmring.wire.table import get_dialect

if TYPE_CHECKING:
    from llmring.calls.stream import ChatStream
    from llmring.providers.auth.base import Signer, TokenProvider
    from llmring.providers.control.base import SDKClient
    from llmring.schemas.embedding import EmbeddingOptions, EmbeddingResponse
    from llmring.schemas.messages import MessageInput
    from llmring.schemas.provider_options import VendorOptions
    from llmring.schemas.request import LLMRequest, RequestOptions
    from llmring.schemas.response import LLMResponse

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
    """GOOGLE_GEMINI_BASE_URL names the host alone, as Google's SDK reads it; the version is added. The path of the OpenAI-compatible
    endpoint, which lies below, is taken off."""
    return normalize_base_url(url.strip().rstrip("/").removesuffix("/openai"), "/v1beta")


def ollama_base_url(host: str) -> str:
    """OLLAMA_HOST as Ollama reads it: `host`, `host:port` or a URL; the port defaults to 11434. Ollama's own API is below /api; a URL
    of the OpenAI-compatible endpoint beside it, /v1, is read as the same server's.
    """
    given = host.strip() if "://" in host else f"http://{host.strip()}"
    parts = urlsplit(normalize_base_url(re.sub(r"/((v1|api)/*)?$", "", given), "/api"))
    if parts.port is None and parts.scheme == "http":
        parts = parts._replace(netloc=f"{parts.netloc.rstrip(':')}:11434")
    # 0.0.0.0 is where a server listens, not an address to call.
    return urlunsplit(parts).replace("//0.0.0.0", "//127.0.0.1")


def _fits_header(key: Secret) -> bool:
    """A function of its own, so that no frame of an error's traceback holds the key."""
    value = key.reveal()
    return value.isascii() and value.isprintable()


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One of several keys: the variable that holds it, and how much of the calls it is to take; weight None: they are taken in order."""

    variable: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider of `providers/table.py`, or one that a user declared.

    dialect: a name of `wire/table.py`. base_url: what the dialect's paths are put behind; sent as it is.
    key_variables: environment variables that may hold the key, in order; empty for a provider that needs none. placeholder_key: sent
    where there is no key, by a provider that needs none but wants to be sent one.
    keys: where there are several, each with gates of its own; key_variables are theirs then.
    auth: "bearer", "none", "header:NAME" for a key in a header of its own, or a recipe of `providers/auth`: used where there is no
    key. key_auth: auth by key variable, where it is another than `auth`.
    base_url_variable: overrides base_url; read_base_url: how its value is read. find_base_url: makes the base URL of environment
    variables, where nothing else gives it; raises MissingCredentialError naming the one that is not set.
    header_variables: headers whose values come from environment variables.
    headers: sent with every request; may hold credentials. local: runs on the user's machine: first token may take 300 s, no total.
    sdk: whose package `.client` is made of; default, that of the dialect. files: what may be inline, and where the rest is uploaded.
    defaults: what requests to this provider ask for where neither they nor the ring say anything. quirks: see `Quirks`. model_quirks: by pattern on the whole model name, first match wins.
    responses: whether it speaks OpenAI's Responses below the same base URL, to those who ask for it; responses_only: a pattern of the
    models that it serves in no other way.
    hint: what to do when it does not answer. untrusted: declared by a repository's file: only public https hosts.
    like: the known provider that it was made like. idempotency_header: in which header it looks for a call's key; None = it does not.
    """

    name: str
    dialect: str
    base_url: str
    key_variables: tuple[str, ...] = ()
    keys: tuple[ProviderKey, ...] = ()
    placeholder_key: str | None = None
    auth: str = "bearer"
    key_auth: Mapping[str, str] = field(default_factory=dict[str, str])
    base_url_variable: str | None = None
    read_base_url: Callable[[str], str] = normalize_base_url
    find_base_url: Callable[[Mapping[str, str]], str] | None = None
    header_variables: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    local: bool = False
    sdk: Literal["openai", "anthropic", "google", "ollama"] | None = None
    files: FileRules | None = None
    defaults: RequestOptions | None = None
    quirks: Quirks = Quirks()
    model_quirks: tuple[tuple[str, Quirks], ...] = ()
    responses: bool = False
    responses_only: str | None = None
    hint: str | None = None
    untrusted: bool = False
    like: str | None = None
    idempotency_header: str | None = None

    @property
    def dialects(self) -> tuple[str, ...]:
        """Every dialect that it speaks below its base URL, its own first. Where there is Responses, there is the rest of OpenAI's."""
        return tuple(dict.fromkeys((self.dialect, RESPONSES, "openai_chat"))) if self.responses else (self.dialect,)


class Caller(Protocol):
    """What a provider calls with, one model and one attempt; whoever owns the connections gives it to the provider."""

    async def chat(self, provider: BaseLLMProvider, request: LLMRequest | MessageInput) -> LLMResponse: ...

    def chat_stream(self, provider: BaseLLMProvider, request: LLMRequest | MessageInput) -> ChatStream: ...

    async def embed(
        self, provider: BaseLLMProvider, input: str | Sequence[str], options: EmbeddingOptions | None, model: str | None
    ) -> EmbeddingResponse: ...

    async def ask_json(
        self,
        provider: BaseLLMProvider,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        timeout_s: float,
        deadline: float | None = None,
    ) -> Any: ...


def _read_variables(names: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    values = {header: env.get(variable, environ) for header, variable in names.items()}
    return {header: value for header, value in values.items() if value is not None}


RESPONSES: Final = "openai_responses"
_TOGGLE: Final = (
    "set use_responses_api=True on the request or in RequestOptions, or for every call: "
    "providers={'openai': {'dialect': 'openai_responses'}}"
)


# How many models' targets a provider keeps; a lock names a few dozen.
_MAX_TARGETS = 1000


class BaseLLMProvider:
    """A provider as this process reaches it: base URL, key, dialect. Made by `LLMRing.get_provider(name)`, or by itself, as
    `OpenAIProvider(model="gpt-5-nano")`.

    Called directly, it makes one attempt at one model: no fallback, no retry, no limits. model: asked where a call names none.
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
        token_provider: TokenProvider | None = None,
        caller: Caller | None = None,
        model: str | None = None,
    ) -> None:
        self.row = row
        self.name = row.name
        self.model = model
        self._caller = caller
        self.dialect: Dialect = get_dialect(row.dialect)
        self._environ = environ
        self._scrubber = self.scrubber = scrubber
        self._api_key = api_key
        self._has_given_key = api_key is not None and bool(api_key.reveal().strip())
        self._base_url = None if base_url is None else row.read_base_url(base_url)
        self._client: SDKClient | None = None
        self._has_token_provider = token_provider is not None
        self._signer: Signer | None = None
        if token_provider is not None or row.auth in RECIPES:
            self._signer = make_signer(row.auth, row.name, environ, scrubber, token_provider)
        self._targets: dict[str, Target] = {}
        self._headers: Mapping[str, str] = {}
        self._headers_made_of: tuple[Secret | None, str] | None = None
        # Read once: nobody rotates them, and to find out that a variable is not set takes 1 µs, on every call.
        self._variable_headers = _read_variables(row.header_variables, environ)
        self._only_responses: dict[str, bool] = {}  # by model
        self._has_warned = False
        for value in row.headers.values():
            # Whole, and without the scheme that stands before a credential: a server may quote either.
            for text in (value, value.partition(" ")[2]):
                scrubber.add(Secret(text))

    async def chat(self, request: LLMRequest | MessageInput) -> LLMResponse:
        """Asks once: a whole request, whose model is this provider's own name for it, or messages for `model`.

        Raises ConfigurationError before any I/O, else ProviderError.
        """
        return await self._bound().chat(self, request)

    def chat_stream(self, request: LLMRequest | MessageInput) -> ChatStream:
        """Asks once and gives the answer as it comes; the last chunk (DONE) carries the whole response. Raises as `chat`."""
        return self._bound().chat_stream(self, request)

    async def embed(
        self, input: str | Sequence[str], options: EmbeddingOptions | None = None, *, model: str | None = None
    ) -> EmbeddingResponse:
        """Vectors for a text or several. model: default, the provider's own. Raises NotSupportedError where it has none."""
        return await self._bound().embed(self, input, options, model)

    def _bound(self) -> Caller:
        if self._caller is None:
            raise ConfigurationError(
                f"provider {self.name} is not connected to anything",
                hint=f"take it from a ring: ring.get_provider({self.name!r})",
            )
        return self._caller

    @property
    def base_url(self) -> str:
        """Where requests go: the argument, else the environment variable, else the table's.

        Raises ConfigurationError naming the variable where that holds no URL, MissingCredentialError where a cloud's is not set.
        """
        if self._base_url is not None:
            return self._base_url
        variable = self.row.base_url_variable
        given = None if variable is None else env.get(variable, self._environ)
        if variable is None or given is None or not self._may_follow(variable):
            return self.row.base_url if self.row.find_base_url is None else self.row.find_base_url(self._environ)
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
        has_foreign_key = has_foreign_key or self.signer is not None
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
        """The key to send; None for a provider that needs none, and where a `signer` stands in for it.

        Raises MissingCredentialError naming the variable.
        """
        return self._need_key()[0]

    def _need_key(self) -> tuple[Secret | None, str]:
        """The key, if one is to be sent, and how."""
        key, auth = (None, "none") if self.signer is not None else self._find_key()
        if key is None and auth != "none" and self._needs_key:
            given = "the api_key given is empty" if self._api_key is not None else "no API key"
            ways = [f"set {' or '.join(self.row.key_variables)}"] if self.row.key_variables else []
            ways.append(f"pass providers={{{self.name!r}: {{'api_key': …}}}}")
            raise MissingCredentialError(
                f"{given} for provider {self.name}", provider=self.name, hint=", or ".join(ways)
            )
        return key, auth

    def has_credential(self) -> bool:
        """Whether there is a key to send or something to sign with, or none is needed, and somewhere to send it to."""
        if self._has_given_key and self._signer is None and self.row.find_base_url is None:
            return True  # the short way: an alias is looked up with every call
        if self.row.find_base_url is not None and not self._has_base_url():
            return False
        signer = self.signer
        if signer is not None:
            return signer.has_credential()
        return not self._needs_key or self._find_key()[0] is not None

    def _has_base_url(self) -> bool:
        try:
            return bool(self.base_url)
        except MissingCredentialError:
            return False
        except ConfigurationError:
            return True  # a wrong one is the call's to tell

    @property
    def signer(self) -> Signer | None:
        """What authenticates this provider's requests one by one; None where a header of `headers()` does."""
        if self._signer is None or self._has_token_provider:
            return self._signer
        # A key wins; an empty one given in code is a missing key, and no other account is used in its place.
        return self._signer if self._api_key is None and self._key_variable() is None else None

    @property
    def _needs_key(self) -> bool:
        return self.row.auth != "none" and (bool(self.row.key_variables) or self._api_key is not None)

    @property
    def key_source(self) -> str | None:
        """Where the key is from: a variable's name, with "./.env" where it stands there, or "api_key" for one given in code. None
        where there is none, and where something else signs."""
        if self.signer is not None:
            return None
        if self._api_key is not None:
            return "api_key" if self._has_given_key else None
        variable = self._key_variable()
        if variable is None or not env.is_from_dotenv(variable, self._environ):
            return variable
        return f"{variable} in ./.env"

    def _key_variable(self) -> str | None:
        """The variable that holds the key."""
        return next((name for name in self.row.key_variables if env.get(name, self._environ) is not None), None)

    def _find_key(self) -> tuple[Secret | None, str]:
        """The key, or None, and how it is sent: as a bearer token where the row's own recipe needs none."""
        auth, value = self.row.auth, None
        if self._api_key is not None:
            # An empty one does not fall back to a variable: that would be another account's.
            key = self._api_key if self._has_given_key else None
        else:
            variable = self._key_variable()
            if variable is not None:
                auth, value = self.row.key_auth.get(variable, auth), env.get(variable, self._environ)
            value = value or self.row.placeholder_key
            key = None if value is None else Secret(value)
        return key, "bearer" if auth in RECIPES else auth

    @property
    def sent_key(self) -> object:
        """What the headers that were made last were made of: another one, another key."""
        return self._headers_made_of

    def has_changed_key(self, sent_key: object) -> bool:
        """Whether the key is another one by now than when `sent_key` was read."""
        return self.signer is None and self._find_key() != sent_key

    def key_mark(self) -> object:
        """Something that changes when the key does, and tells nothing of it; None where no key is sent."""
        key = None if self.signer is not None else self._find_key()[0]
        return None if key is None else hash(key)

    def headers(self) -> Mapping[str, str]:
        """Headers of every request to this provider, the key among them. Raises MissingCredentialError, and
        ProviderAuthenticationError for a key that no header can hold.
        """
        key, auth = self._need_key()
        if self._headers_made_of == (key, auth):
            return self._headers
        headers = {"Content-Type": "application/json", "User-Agent": "llmring", **self._variable_headers}
        if key is not None:
            if key.reveal() != self.row.placeholder_key:  # a word like any other, no secret
                self._scrubber.add(key)
            if not _fits_header(key):
                raise ProviderAuthenticationError(
                    f"the API key for provider {self.name} holds characters that no header may hold",
                    provider=self.name,
                    hint="check for a stray newline or quote where it is set",
                )
            if auth == "bearer":
                headers["Authorization"] = f"Bearer {key.reveal()}"
            elif auth.startswith("header:"):
                headers[auth.removeprefix("header:")] = key.reveal()
        # Names differ only by case where a user overrides a built-in one; the user's value wins.
        for name, text in self.row.headers.items():
            headers = {known: v for known, v in headers.items() if known.lower() != name.lower()} | {name: text}
        self._headers, self._headers_made_of = MappingProxyType(headers), (key, auth)
        return self._headers

    def target(self, model: str, info: ModelFacts) -> Target:
        """The model as the dialect wants to know it."""
        known = self._targets.get(model)
        if known is not None and known.info is info:
            return known
        quirks = next((q for pattern, q in self.row.model_quirks if re.fullmatch(pattern, model)), self.row.quirks)
        if len(self._targets) >= _MAX_TARGETS:
            self._targets.clear()
        target = self._targets[model] = Target(self.name, model, info, quirks)
        return target

    def _has_only_responses(self, pattern: str, model: str) -> bool:
        known = self._only_responses.get(model)
        if known is None:
            if len(self._only_responses) >= _MAX_TARGETS:
                self._only_responses.clear()
            known = self._only_responses[model] = re.fullmatch(pattern, model) is not None
        return known

    async def prepare(self, options: VendorOptions, model: str, deadline: float | None) -> list[str]:
        """What a provider does before a request that has `provider_options` is sent; warnings for the response. Most do nothing."""
        return []

    def dialect_for(self, request: LLMRequest, model: str) -> Dialect:
        """The dialect to ask this model in. Raises ConfigurationError where the request wants Responses and the provider has none, and
        where it wants what only Responses can say, and does not ask for that."""
        row, dialect = self.row, self.dialect
        if dialect.name != RESPONSES:
            if request.use_responses_api:
                if not row.responses:
                    raise ConfigurationError(
                        f"use_responses_api: provider {self.name} is not known to have OpenAI's Responses API",
                        hint="leave it out; a server of yours that has it is declared with dialect='openai_responses'",
                    )
                return get_dialect(RESPONSES)
            if row.responses_only is not None and self._has_only_responses(row.responses_only, model):
                raise ConfigurationError(
                    f"{self.name}:{model} is served over the Responses API, not over Chat Completions", hint=_TOGGLE
                )
            if request.computer_use is not None and dialect.name == "openai_chat":
                raise ConfigurationError(
                    f"computer_use: {self.name}:{model} is asked over Chat Completions, which has no words for it",
                    hint=_TOGGLE if row.responses else "ask a provider that has: openai, anthropic",
                )
        if request.background and not isinstance(dialect, WorksInBackground):
            raise ConfigurationError(
                f"background: {self.name}:{model} works in the background over the Responses API alone",
                hint=_TOGGLE if row.responses else "leave it out",
            )
        return dialect

    @property
    def embeddings(self) -> EmbeddingCodec | None:
        """How it is asked for vectors, in whichever of its dialects has words for it."""
        return next((found for name in self.row.dialects if (found := get_dialect(name).embeddings)), None)

    @property
    def token_count(self) -> TokenCountCodec | None:
        """How it is asked to count tokens, in whichever of its dialects has words for it."""
        return next((found for name in self.row.dialects if (found := get_dialect(name).token_count)), None)

    @property
    def client(self) -> Any:
        """The vendor's own SDK client, made at first use with the same key, base URL and headers; retries off.

        openai.AsyncOpenAI, anthropic.AsyncAnthropic (AsyncAnthropicVertex, AsyncAnthropicBedrockMantle in those clouds),
        ollama.AsyncClient, or google.genai.Client, whose async calls are `client.aio`. Closed by `LLMRing.close()`.
        Chat goes over llmring's own wire: what instruments the SDK sees only calls made here.
        Raises ConfigurationError for a provider that a repository's file declares (nothing would guard the SDK's connections),
        and where the SDK is not installed; MissingCredentialError where there is no key.
        """
        if self.row.untrusted:
            raise ConfigurationError(
                f"provider {self.name} has no .client: a repository's file declares it, and the SDK would go to any host",
                hint="call it with chat(), or declare it in code or in the user's config file",
            )
        if self._client is None:
            from llmring.providers.control import make_client

            self._client = make_client(self)
        return self._client.client

    async def close(self) -> None:
        """Closes the SDK client, if one was made. Idempotent."""
        if self._signer is not None:
            await self._signer.close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def __repr__(self) -> str:
        try:
            url = safe_url(self.base_url)
        except (ConfigurationError, MissingCredentialError):
            url = "(no base URL)"
        return f"<{type(self).__name__} {self.name} {url}>"
