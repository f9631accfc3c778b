"""`LLMRing`: what applications hold. It wires the floors together and decides nothing itself."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from llmring import env
from llmring.calls.answer import finish
from llmring.calls.call import Call
from llmring.calls.chain import build_chain
from llmring.calls.exchange import Exchange
from llmring.calls.options import Defaults, request_layer
from llmring.calls.stream import ChatStream
from llmring.clock import Clock, SystemClock
from llmring.exceptions import (
    ConfigurationError,
    ProviderNotFoundError,
    ServiceClosedError,
)
from llmring.lockfile.manifest import read_declared_providers
from llmring.lockfile.store import LockStore, find_lock
from llmring.providers.base import BaseLLMProvider
from llmring.providers.declared import (
    DeclaredProvider,
    ProviderOptions,
    Trust,
    config_path,
    declare,
    read_config_providers,
)
from llmring.providers.table import PROVIDERS
from llmring.registry.pricing import price_usage
from llmring.resolver import AliasCacheStats, Resolution, Resolver
from llmring.schemas.fold import Fold
from llmring.schemas.messages import MessageInput
from llmring.schemas.model_info import ModelInfo
from llmring.schemas.model_ref import ALIAS_NAME
from llmring.schemas.request import LLMRequest, RequestOptions
from llmring.schemas.response import LLMResponse
from llmring.secret import Scrubber, safe_url
from llmring.transport.base import Transport

if TYPE_CHECKING:
    from llmring.transport.guard import Guard

# A library logs and leaves it to the application to show it: without a handler, Python would print warnings to stderr.
logging.getLogger("llmring").addHandler(logging.NullHandler())


class LLMRing:
    """Calls models by alias. Use it as `async with LLMRing() as ring`, or close it with `await ring.close()`.

    origin: who is calling, for receipts and logs; never sent to a model provider. Default "llmring".
    registry_url: where model facts are refreshed from when that is asked for: a path, file: or https:. Never read at
        construction or on a call's path. Default LLMRING_REGISTRY_URL, else the bundled facts.
    lockfile_path: the lockfile. Default LLMRING_LOCKFILE_PATH, else ./llmring.lock, else the bundled fallback.
    defaults: options for every request; a request's own value wins.
    providers: providers by name, new or adjusted: `{"mine": {"base_url": "http://127.0.0.1:8080"}}`; see `ProviderOptions`.
    alias_cache_size, alias_cache_ttl: entries (0 = off) and seconds.
    dotenv: whether ./.env is read for variables that the environment does not set. Default True; LLMRING_NO_DOTENV turns it off.
    clock, transport: for tests.

    Raises ConfigurationError (LockfileError, UnsafeURLError, …) for what cannot work; needs no key and no network.
    """

    def __init__(
        self,
        origin: str = "llmring",
        registry_url: str | None = None,
        lockfile_path: str | Path | None = None,
        *,
        defaults: RequestOptions | None = None,
        providers: Mapping[str, ProviderOptions | Mapping[str, Any]] | None = None,
        alias_cache_size: int = 1000,
        alias_cache_ttl: float = 3600,
        dotenv: bool = True,
        clock: Clock | None = None,
        transport: Transport | None = None,
    ) -> None:
        if not ALIAS_NAME.fullmatch(origin):
            raise ConfigurationError(
                f"origin {origin[:80]!r} is no name", hint="letters, digits, dot, dash, underscore; at most 64"
            )
        self.origin = origin
        try:
            self._environ = env.load(dotenv)
        except env.DotenvError as error:
            raise ConfigurationError(str(error)) from None
        self.registry_url = _check_registry_url(registry_url or env.get(env.LLMRING_REGISTRY_URL, self._environ))
        self._clock = clock or SystemClock()
        self._defaults = None if defaults is None else Defaults(defaults)
        self._scrubber = Scrubber()
        self._declared = self._read_declarations(providers or {})
        self._providers: dict[str, BaseLLMProvider] = {}
        self._has_own_transport = transport is not None
        # Made now, not at the first call: loading aiohttp takes 0.1 s, in which an event loop would stand still.
        self._transports = {False: transport or self._make_transport(None)}
        self._closed = False
        found = find_lock(lockfile_path, self._environ, Path.cwd())
        self._resolver = Resolver(
            LockStore(found.path, self._clock),
            clock=self._clock,
            has_credential=lambda name: self._is_known(name) and self.get_provider(name).has_credential(),
            known_provider=self._is_known,
            provider_names=lambda: [*PROVIDERS, *self._declared],
            default_profile=env.get(env.LLMRING_PROFILE, self._environ),
            cache_size=alias_cache_size,
            cache_ttl_s=alias_cache_ttl,
        )
        exchange = Exchange(
            clock=self._clock,
            scrubber=self._scrubber,
            find_provider=self.get_provider,
            find_transport=self._find_transport,
        )
        self._send = build_chain(exchange, self._clock)

    # Calling

    @overload
    async def chat(self, request: LLMRequest, profile: str | None = None) -> LLMResponse: ...
    @overload
    async def chat(self, request: str, messages: MessageInput, profile: str | None = None) -> LLMResponse: ...
    async def chat(  # pyright: ignore[reportInconsistentOverload]: the second place is read by what the first one is
        self, request: LLMRequest | str, messages: MessageInput | None = None, profile: str | None = None
    ) -> LLMResponse:
        """Asks once and returns the whole answer: `chat(request)`, or `chat("fast", "Hello")`.

        profile: which profile of the lockfile; default LLMRING_PROFILE, else the lockfile's default_profile.
        Raises ConfigurationError before any I/O; ProviderError (of the most useful cause, with `.attempts`) when every model
        of the pool failed; SchemaValidationError where a structured answer does not fit.
        """
        call = self._begin(request, messages, profile, stream=False)
        reply = await self._send(call)
        folding = Fold()
        for event in reply.events:
            folding.add(event)
        return finish(call, reply, folding, self._clock.monotonic())

    @overload
    def chat_stream(self, request: LLMRequest, profile: str | None = None) -> ChatStream: ...
    @overload
    def chat_stream(self, request: str, messages: MessageInput, profile: str | None = None) -> ChatStream: ...
    def chat_stream(  # pyright: ignore[reportInconsistentOverload]: as chat
        self, request: LLMRequest | str, messages: MessageInput | None = None, profile: str | None = None
    ) -> ChatStream:
        """Asks once and gives the answer as it comes: `async for chunk in ring.chat_stream(request)`.

        The last chunk (DONE) carries finish_reason, usage and the whole response. Leaving early ends the request; for
        certain at once with `async with ring.chat_stream(…) as stream`. Falls over to the pool's next model only before the
        first content. Raises as `chat` does, and StreamInterruptedError, with the partial answer, once content has come.
        """
        call = self._begin(request, messages, profile, stream=True)
        return ChatStream(call, self._send, self._clock)

    def _begin(
        self, request: LLMRequest | str, messages: MessageInput | None, profile: str | None, *, stream: bool
    ) -> Call:
        if self._closed:
            raise ServiceClosedError(
                "this LLMRing is closed", hint="make a new one, or call inside its async with block"
            )
        if isinstance(request, str):
            if messages is None:
                raise ConfigurationError("no messages", hint='write chat("alias", "your text") or chat(LLMRequest(…))')
            request = LLMRequest(model=request, messages=messages)
        elif not isinstance(request, LLMRequest):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise _no_request(request)
        elif messages is not None:
            # The seed's signature is chat(request, profile): the second place is the profile there.
            if not isinstance(messages, str) or profile is not None:
                raise ConfigurationError("messages were given twice", hint="they stand in the LLMRequest already")
            profile = messages
        resolution = self._resolver.resolve(request.model, profile)
        call = Call(request, request, resolution, stream, self._clock.monotonic())
        if self._defaults is not None:
            call.request = self._defaults.lay_under(request)
            call.extra_params = self._defaults.extra_params
        return call

    # Asking what would be called

    def resolve_alias(self, alias_or_model: str, profile: str | None = None) -> str:
        """The `provider:model` that an alias stands for: the first of its pool whose provider has a key, else the first.

        A `provider:model` passes through. Raises AliasNotFoundError or ProfileNotFoundError with close matches.
        """
        return self._resolver.resolve_alias(alias_or_model, profile)

    def has_alias(self, alias: str, profile: str | None = None) -> bool:
        """Whether the profile binds this alias."""
        return self._resolver.has_alias(alias, profile)

    def require_aliases(self, *aliases: str, profile: str | None = None) -> None:
        """Raises one ConfigurationError that lists every alias the profile does not bind."""
        self._resolver.require_aliases(*aliases, profile=profile)

    def list_aliases(self, profile: str | None = None) -> dict[str, list[str]]:
        """The profile's aliases, each with its pool in order."""
        return self._resolver.list_aliases(profile)

    def clear_alias_cache(self) -> None:
        """Forgets resolved aliases; the lockfile is looked at anew."""
        self._resolver.clear_cache()

    def alias_cache_stats(self) -> AliasCacheStats:
        """Hits, misses, size, maxsize, evictions of the alias cache."""
        return self._resolver.stats()

    def explain(self, request: LLMRequest | str, profile: str | None = None) -> dict[str, Any]:
        """What a call would do, as JSON data: the lock, the profile, the pool with who has a key, and each option's layer."""
        if isinstance(request, str):
            request = LLMRequest(model=request, messages="-")
        elif not isinstance(request, LLMRequest):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise _no_request(request)
        resolution = self._resolver.resolve(request.model, profile)
        layers = request_layer(request) if self._defaults is None else self._defaults.layers(request)
        return {
            "alias": resolution.alias,
            "profile": resolution.profile,
            "lock": resolution.source,
            "resolves_to": self.resolve_alias(request.model, profile),
            "candidates": [self._explain_candidate(resolution, index) for index in range(len(resolution.candidates))],
            "options": {name: {"value": value, "layer": layer} for name, (value, layer) in layers.items()},
        }

    def _explain_candidate(self, resolution: Resolution, index: int) -> dict[str, Any]:
        ref = resolution.candidates[index].ref
        if not self._is_known(ref.provider):
            return {"model": str(ref), "credential": False, "why": f"provider {ref.provider} is not known"}
        provider = self.get_provider(ref.provider)
        variables = " or ".join(provider.row.key_variables)
        has_key = provider.has_credential()
        has = f"has a key ({variables})" if variables else "needs no key"
        why = has if has_key else f"{variables or 'api_key'} is not set"
        return {"model": str(ref), "credential": has_key, "why": why}

    def calculate_cost(self, response: LLMResponse) -> dict[str, Any]:
        """What a response cost, in USD as floats: input_cost, output_cost, cache_read_cost, cache_write_cost, reasoning_cost (a
        share of output_cost), total_cost. A price that is unknown gives None and a `reason`; never raises for that.
        """
        return price_usage(response.usage, self._find_info(response)).to_dict()

    def _find_info(self, response: LLMResponse) -> ModelInfo:
        ref = response.called_model or f"{response.provider}:{response.model}"
        # The alias first: of a model that an extended package brings, that package's lock alone may know the price.
        for name, profile in ((response.alias, response.profile), (ref, None)):
            try:
                candidates = self._resolver.resolve(name, profile).candidates if name else ()
            except ConfigurationError:
                continue
            for candidate in candidates:
                if str(candidate.ref) == ref:
                    return candidate.info
        return ModelInfo(ref)

    # Providers

    def get_provider(self, name: str) -> BaseLLMProvider:
        """The provider of this name; `.client` is its vendor's own async SDK client. Raises ProviderNotFoundError."""
        provider = self._providers.get(name)
        if provider is None:
            provider = self._providers[name] = self._make_provider(name)
        return provider

    def _make_provider(self, name: str) -> BaseLLMProvider:
        declared = self._declared.get(name)
        if declared is None:
            row = PROVIDERS.get(name)
            if row is None:
                raise _unknown_provider(name, [*PROVIDERS, *self._declared])
            declared = DeclaredProvider(row)
        if declared.api_key is not None:
            self._scrubber.add(declared.api_key)
        return BaseLLMProvider(
            declared.row,
            environ=self._environ,
            scrubber=self._scrubber,
            api_key=declared.api_key,
            base_url=declared.base_url,
        )

    def _is_known(self, name: str) -> bool:
        return name in PROVIDERS or name in self._declared

    def _read_declarations(
        self, given: Mapping[str, ProviderOptions | Mapping[str, Any]]
    ) -> dict[str, DeclaredProvider]:
        """Code wins over the user's config file, which wins over the manifest."""
        declared: dict[str, DeclaredProvider] = {}
        if not env.is_set(env.LLMRING_FROZEN, self._environ):
            for name, table in read_declared_providers(Path.cwd()).items():
                declared[name] = declare(name, table, Trust.REPOSITORY)
        path = config_path(self._environ)
        if path is not None:
            for name, table in read_config_providers(path).items():
                declared[name] = declare(name, table, Trust.USER)
        for name, options in given.items():
            declared[name] = declare(name, options, Trust.CODE)
        return declared

    def _find_transport(self, provider: BaseLLMProvider) -> Transport:
        """One transport for trusted providers, and one behind the guard for those that a repository's file named."""
        if self._closed:
            raise ServiceClosedError("this LLMRing is closed")
        guarded = provider.row.untrusted and not self._has_own_transport
        transport = self._transports.get(guarded)
        if transport is None:
            from llmring.transport.guard import Guard

            transport = self._transports[guarded] = self._make_transport(Guard())
        return transport

    def _make_transport(self, guard: Guard | None) -> Transport:
        from llmring.transport.http import HTTPTransport

        return HTTPTransport(clock=self._clock, guard=guard, environ=self._environ)

    # Ending

    async def close(self) -> None:
        """Closes every connection and SDK client. Idempotent. What is called afterwards raises ServiceClosedError."""
        self._closed = True
        if not self._has_own_transport:
            for transport in self._transports.values():
                await transport.close()
        for provider in self._providers.values():
            await provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<LLMRing {self.origin}{' closed' if self._closed else ''}>"


_REGISTRY_SCHEMES = ("https://", "file:")


def _check_registry_url(url: str | None) -> str | None:
    """A path, file: or https:; anything else could be read by others on the way."""
    if url is None or url.startswith(_REGISTRY_SCHEMES) or "://" not in url:
        return url
    raise ConfigurationError(
        f"registry_url {safe_url(url)!r} is neither a path nor file: nor https:", hint=f"see {env.LLMRING_REGISTRY_URL}"
    )


def _no_request(given: object) -> ConfigurationError:
    return ConfigurationError(
        f"an LLMRequest or an alias is wanted, not {type(given).__name__}",
        hint="LLMRequest.model_validate(data) or LLMRequest(**data) makes one of a dict",
    )


def _unknown_provider(name: str, known: list[str]) -> ProviderNotFoundError:
    close = tuple(difflib.get_close_matches(name, known, n=3))
    return ProviderNotFoundError(
        f"no provider {name[:40]!r}",
        name=name,
        close_matches=close,
        hint=f"did you mean {' or '.join(close)}?" if close else f"known providers: {', '.join(sorted(known))}",
    )
