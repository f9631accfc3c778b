"""`LLMRing`: what applications hold. It wires the floors together and decides nothing itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from llmring import env
from llmring.calls.answer import finish_whole
from llmring.calls.call import Call
from llmring.calls.chain import build_chain, build_plain_chain
from llmring.calls.custom import CustomExchange
from llmring.calls.digest import TAGS_S, DigestCheck
from llmring.calls.direct import DirectCaller
from llmring.calls.drift import DriftCheck
from llmring.calls.exchange import Exchange
from llmring.calls.fitting import check_logprobs
from llmring.calls.gates import Gates
from llmring.calls.media import MediaStep
from llmring.calls.model_queries import ModelQueries, check_context
from llmring.calls.options import Defaults
from llmring.calls.pinned import PinnedParameters
from llmring.calls.plain import (
    embedding_call,
    finish_embedding,
    finish_rerank,
    finish_token_count,
    of_one_model,
    read_embedding_options,
    read_text,
    read_texts,
    rerank_call,
    token_count_call,
)
from llmring.calls.routes import Routes
from llmring.calls.stream import ChatStream
from llmring.clock import Clock, SystemClock
from llmring.exceptions import ConfigurationError, ProviderError, ServiceClosedError
from llmring.lockfile.manifest import read_declared_providers
from llmring.lockfile.store import LockStore, find_lock
from llmring.providers.base import BaseLLMProvider
from llmring.providers.custom import Provider
from llmring.providers.declared import (
    DeclaredProvider,
    ProviderOptions,
    Trust,
    config_path,
    declare,
    read_config_providers,
)
from llmring.providers.roster import Roster, refuse_plugin_names
from llmring.registry.catalog import Catalog, shared_catalog
from llmring.registry.model_info import ModelInfo
from llmring.registry.origin import RegistryOrigin, RegistryState
from llmring.registry.pricing import price_usage
from llmring.registry.tokens import TokenEstimator
from llmring.resilience.board import Board, Health
from llmring.resilience.breaker import Transition
from llmring.resilience.policy import BreakerPolicy, RateLimits, RetryPolicy
from llmring.resolver import AliasCacheStats, Resolver
from llmring.schemas.context_check import ContextCheck
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingResponse
from llmring.schemas.messages import MessageInput
from llmring.schemas.model_ref import ALIAS_NAME, ModelRef
from llmring.schemas.request import LLMRequest, OnInterrupt, RequestOptions, read_on_interrupt
from llmring.schemas.rerank import RerankRequest, RerankResponse
from llmring.schemas.response import LLMResponse
from llmring.schemas.token_count import TokenCount
from llmring.schemas.uploads import FileUploadStrategy, UploadedFile
from llmring.secret import Scrubber
from llmring.transport.base import Transport

if TYPE_CHECKING:
    from llmring.calls.shared_limits import LimitSharing, SharedLimits
    from llmring.transport.guard import Guard, GuardedTransport

# A library logs and leaves it to the application to show it: without a handler, Python would print warnings to stderr.
logging.getLogger("llmring").addHandler(logging.NullHandler())
_log = logging.getLogger("llmring.service")


class LLMRing:
    """Calls models by alias. Use it as `async with LLMRing() as ring`, or close it with `await ring.close()`.

    origin: who is calling, for receipts and logs; never sent to a model provider. Default "llmring".
    registry_url: where model facts come from: a path, file: or https:, which `refresh_registry` alone asks. Never read at
        construction or on a call's path. Default LLMRING_REGISTRY_URL, else the bundled facts.
    lockfile_path: the lockfile. Default LLMRING_LOCKFILE_PATH, else ./llmring.lock, else the bundled fallback.
    defaults: options for every request; a request's own value wins.
    providers: providers by name, new or adjusted: `{"mine": {"base_url": "http://127.0.0.1:8080"}}`; see `ProviderOptions`. Or an
        object that answers by itself; see `CustomProvider`. The ring closes it.
    prompts: system prompts by the names that an alias's `system` may say: `{"reviewer": "You review …"}`. The lock pins the name.
    alias_cache_size, alias_cache_ttl: entries (0 = off) and seconds.
    upload_strategy: which files are uploaded to providers instead of being sent along. Default: LLMRING_AUTO_UPLOAD, else only those
        that would burst a vendor's limit on requests.
    retry: how often a call is sent, and how long it waits; a request's own wins. breaker: when a target is left alone. limits: how fast
        a target may be asked; one for all, or by "provider:model", "provider" or "*", or `SharedLimits` for all processes together. Default: no
        ceiling of ours.
    ring_limits: how fast all targets together may be asked. Default: no ceiling.
    on_transition: called with each `Transition` of a gate, on the event loop.
    weights: by alias, one number for each model of its pool: `{"fast": (3, 1)}` draws for each call which model is asked first, three
        times the first for once the second; the others stand by in their order. Default: the pool's first.
    dotenv: whether ./.env is read for variables that the environment does not set. Default True; LLMRING_NO_DOTENV turns it off.
    clock, transport, random: for tests.

    Raises ConfigurationError (LockfileError, UnsafeURLError, …) for what cannot work; needs no key and no network.
    """

    def __init__(
        self,
        origin: str = "llmring",
        registry_url: str | None = None,
        lockfile_path: str | Path | None = None,
        *,
        defaults: RequestOptions | None = None,
        providers: Mapping[str, ProviderOptions | Mapping[str, Any] | BaseLLMProvider | Provider] | None = None,
        prompts: Mapping[str, str] | None = None,
        alias_cache_size: int = 1000,
        alias_cache_ttl: float = 3600,
        upload_strategy: FileUploadStrategy | None = None,
        retry: RetryPolicy | None = None,
        breaker: BreakerPolicy | None = None,
        limits: Mapping[str, RateLimits] | RateLimits | SharedLimits | None = None,
        ring_limits: RateLimits | None = None,
        on_transition: Callable[[Transition], None] | None = None,
        weights: Mapping[str, Sequence[float]] | None = None,
        dotenv: bool = True,
        clock: Clock | None = None,
        transport: Transport | None = None,
        random: Random | None = None,
    ) -> None:
        if not ALIAS_NAME.fullmatch(origin):
            raise ConfigurationError(
                f"origin {origin[:80]!r} is no name", hint="letters, digits, dot, dash, underscore; at most 64"
            )
        self.origin = origin
        self._environ = env.load(dotenv)
        self.registry_url = registry_url or env.get(env.LLMRING_REGISTRY_URL, self._environ)
        self._clock = clock or SystemClock()
        self._registry = RegistryOrigin(
            self.registry_url,
            environ=self._environ,
            clock=self._clock,
            allow_http=getattr(getattr(transport, "guard", None), "allow_http", False),
        )
        self._catalog = Catalog(self._registry.load, under=shared_catalog())
        self._defaults = None if defaults is None else Defaults(defaults)
        self._pinned = PinnedParameters(prompts)
        self._scrubber = Scrubber()
        self._has_own_transport = transport is not None
        # Made now, not at the first call: loading aiohttp takes 0.1 s, in which an event loop would stand still.
        self._transports = {False: transport or self._make_transport(None)}
        self._token_estimator = TokenEstimator()
        self._closed = False
        found = find_lock(lockfile_path, self._environ, Path.cwd())
        self._lock_origin = found.origin
        if upload_strategy is None and env.is_set(env.LLMRING_AUTO_UPLOAD, self._environ):
            upload_strategy = FileUploadStrategy()
        self._upload_strategy = upload_strategy
        media = MediaStep(clock=self._clock, find_fetcher=self._find_fetcher, strategy=upload_strategy)
        self._uploads = media.uploads
        exchange = Exchange(
            clock=self._clock,
            find_provider=self.get_provider,
            find_transport=self._find_transport,
            media=media,
        )
        caller = DirectCaller(
            exchange,
            self._clock,
            find_info=self._look_up,
            defaults=self._defaults,
        )
        self._roster = Roster(self._environ, self._scrubber, caller, self._read_declarations())
        for name, given in (providers or {}).items():
            self._roster.register(name, given)
        store = LockStore(found.path, self._clock)
        self._resolver = Resolver(
            store,
            clock=self._clock,
            has_credential=self._roster.has_credential,
            known_provider=self._roster.knows,
            provider_names=self._roster.names,
            known_model=self._knows_model,
            find_registered=self._catalog.find_registered,
            default_profile=env.get(env.LLMRING_PROFILE, self._environ),
            cache_size=alias_cache_size,
            cache_ttl_s=alias_cache_ttl,
        )
        self._models = ModelQueries(self._resolver, self._roster, self._catalog, store.current, self._clock)
        send_to = CustomExchange(
            exchange, clock=self._clock, scrubber=self._scrubber, find_custom=self._roster.find_custom
        )
        self._end_custom_streams = send_to.close
        self._digests = digests = DigestCheck(
            self._clock,
            lambda name: None if self._roster.find_custom(name) is not None else self._roster.get(name),
            lambda provider, path: caller.ask_json(provider, path, timeout_s=TAGS_S),
        )
        random = random or Random()  # noqa: S311 - spreads calls and pauses, keeps no secret
        self._routes = Routes(self._roster.keys, environ=self._environ, random=random, weights=weights)
        self._sharing: LimitSharing | None = None
        if limits is not None and not isinstance(limits, (RateLimits, Mapping)):
            from llmring.calls.shared_limits import LimitSharing, SharedLimits  # who shares limits has loaded it

            if isinstance(limits, SharedLimits):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
                longest_pause_s = (breaker or BreakerPolicy()).pause_cap_s
                self._sharing = LimitSharing(
                    limits, self._clock, self._roster.find_account, longest_pause_s=longest_pause_s
                )
                limits = limits.limits
        self._board = Board(
            self._clock,
            retry=retry,
            breaker=breaker,
            limits=limits,
            sharing=self._sharing,
            ring_limits=ring_limits,
            knows_provider=self._roster.knows,
            find_mark=self._roster.find_mark,
            listener=on_transition,
            random=random,
        )
        self._gates = gates = Gates(self._board)
        drift = DriftCheck()
        routes = self._routes
        self._send = build_chain(send_to, gates, list_routes=routes.of_chat, drift=drift, digests=digests)
        self._embed = build_plain_chain(
            send_to.ask, gates, list_routes=routes.of_plain, digests=digests, check=drift.check_embedding
        )
        self._count = build_plain_chain(send_to.ask, gates, list_routes=routes.of_plain, digests=digests)
        self._rerank = build_plain_chain(send_to.ask, gates, list_routes=routes.of_plain, digests=digests)

    # Calling

    @overload
    async def chat(self, request: LLMRequest, profile: str | None = None) -> LLMResponse: ...
    @overload
    async def chat(
        self, request: str | ModelInfo, messages: MessageInput, profile: str | None = None
    ) -> LLMResponse: ...
    async def chat(  # pyright: ignore[reportInconsistentOverload]: the second place is read by what the first one is
        self, request: LLMRequest | str | ModelInfo, messages: MessageInput | None = None, profile: str | None = None
    ) -> LLMResponse:
        """Asks once and returns the whole answer: `chat(request)`, or `chat("fast", "Hello")`.

        profile: which profile of the lockfile; default LLMRING_PROFILE, else the lockfile's default_profile.
        Raises ConfigurationError before any I/O; ProviderError (of the most useful cause, with `.attempts`) when every model
        of the pool failed; SchemaValidationError where a structured answer does not fit.
        """
        call = self._begin(request, messages, profile, stream=False)
        reply = await self._send(call)
        response = finish_whole(call, reply, self._clock.monotonic())
        self._token_estimator.learn(response)
        return response

    @overload
    def chat_stream(
        self, request: LLMRequest, profile: str | None = None, *, on_interrupt: OnInterrupt | None = None
    ) -> ChatStream: ...
    @overload
    def chat_stream(
        self,
        request: str | ModelInfo,
        messages: MessageInput,
        profile: str | None = None,
        *,
        on_interrupt: OnInterrupt | None = None,
    ) -> ChatStream: ...
    def chat_stream(  # pyright: ignore[reportInconsistentOverload]: as chat
        self,
        request: LLMRequest | str | ModelInfo,
        messages: MessageInput | None = None,
        profile: str | None = None,
        *,
        on_interrupt: OnInterrupt | None = None,
    ) -> ChatStream:
        """Asks once and gives the answer as it comes: `async for chunk in ring.chat_stream(request)`.

        The last chunk (DONE) carries finish_reason, usage and the whole response. Leaving early ends the request; for
        certain at once with `async with ring.chat_stream(…) as stream`. Falls over to the pool's next model only before the
        first content. Raises as `chat` does, and StreamInterruptedError, with the partial answer, once content has come.
        on_interrupt: as in the request, over which it wins; "restart" asks anew there, and says so in a chunk.
        """
        call = self._begin(request, messages, profile, stream=True)
        call.restarts = (read_on_interrupt(on_interrupt) or call.request.on_interrupt) == "restart"
        return ChatStream(call, self._send, self._clock, finished=self._token_estimator.learn)

    def _begin(
        self, request: LLMRequest | str | ModelInfo, messages: MessageInput | None, profile: str | None, *, stream: bool
    ) -> Call:
        self._check_open()
        if isinstance(request, (str, ModelInfo)):
            if messages is None:
                raise ConfigurationError("no messages", hint='write chat("alias", "your text") or chat(LLMRequest(…))')
            request = LLMRequest(model=str(request), messages=messages)
        elif not isinstance(request, LLMRequest):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise _no_request(request)
        elif messages is not None:
            # The seed's signature is chat(request, profile): the second place is the profile there.
            if not isinstance(messages, str) or profile is not None:
                raise ConfigurationError("messages were given twice", hint="they stand in the LLMRequest already")
            profile = messages
        resolution = self._resolver.resolve(request.model, profile)
        call = Call(request, request, resolution, stream, self._clock.monotonic())
        if resolution.parameters:
            call.request = self._pinned.lay_under(request, resolution)
        if self._defaults is not None:
            call.request = self._defaults.lay_under(call.request)
            call.extra_params = self._defaults.extra_params
        call.retry = call.request.retry
        if call.request.logprobs or call.request.top_logprobs:
            check_logprobs(self._roster.targets((c.ref, c.info) for c in resolution.candidates))
        return call

    def request_options(self) -> RequestOptions:
        """The defaults of this ring's requests; those of `RequestOptions()` where none were given."""
        return RequestOptions() if self._defaults is None else self._defaults.options

    async def embed(
        self,
        model: str,
        input: str | Sequence[str],
        options: EmbeddingOptions | None = None,
        *,
        dimensions: int | None = None,
        encoding_format: Literal["float", "base64"] | None = None,
        profile: str | None = None,
    ) -> EmbeddingResponse:
        """Vectors for a text or several, in order. model: an alias, or `provider:model`; a pool falls over as in `chat`, but only
        to another provider of the first model: vectors of two models never compare.

        dimensions, encoding_format: as in `options`, over which they win.
        Raises ConfigurationError for no text or an empty one, NotSupportedError for a provider that makes no embeddings.
        """
        self._check_open()
        inputs = read_texts(input, "input")
        options = read_embedding_options(options, dimensions, encoding_format)
        resolution = of_one_model(self._resolver.resolve(model, profile))
        call = embedding_call(resolution, inputs, options, self._clock.monotonic())
        call.retry = call.retry or self.request_options().retry
        return finish_embedding(call, await self._embed(call), model, inputs)

    async def count_tokens(self, request: LLMRequest, profile: str | None = None) -> TokenCount:
        """How many tokens the request is for its model, counted by the provider: exact, and one request.

        Raises NotSupportedError for a provider that cannot count; the hint names those that can.
        """
        counting = self._begin(request, None, profile, stream=False)
        call = token_count_call(counting.resolution, counting.request, counting.extra_params, counting.started)
        return finish_token_count(await self._count(call))

    async def estimate_tokens(self, request: LLMRequest, profile: str | None = None) -> TokenCount:
        """How many tokens the request is for its model, reckoned here: offline and never called exact. Of a pool, the model that
        `resolve_alias` names. Gets better with use; `count_tokens` asks the provider."""
        request = self._begin(request, None, profile, stream=False).request
        model = self._resolver.resolve_alias(request.model, profile)
        estimator = self._token_estimator
        if estimator.is_slow(request, model):
            return await asyncio.to_thread(estimator.estimate, request, model)
        return estimator.estimate(request, model)

    async def rerank(
        self,
        model: str,
        query: str,
        documents: Sequence[str],
        top_n: int | None = None,
        *,
        profile: str | None = None,
    ) -> RerankResponse:
        """The documents in the order in which they answer the query, the best first, with scores. top_n: how many; default all.

        Raises ConfigurationError for no document or an empty one, NotSupportedError for a provider that ranks none.
        """
        self._check_open()
        texts = read_texts(documents, "documents")
        resolution = self._resolver.resolve(model, profile)
        request = RerankRequest(read_text(query, "query"), texts, top_n)
        call = rerank_call(resolution, request, self._clock.monotonic())
        call.retry = self.request_options().retry
        return finish_rerank(call, await self._rerank(call), model, texts)

    def _check_open(self) -> None:
        if self._closed:
            raise ServiceClosedError(
                "this LLMRing is closed", hint="make a new one, or call inside its async with block"
            )

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
        """What a call would do, as JSON data: which lock and why, the profile and who said so, the pool in order with keys, facts and
        warnings of each model, and each option's layer. Asks no network and shows no key.
        """
        if isinstance(request, str):
            request = LLMRequest(model=request, messages="-")
        elif not isinstance(request, LLMRequest):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise _no_request(request)
        from llmring.calls.explained import explain_call

        resolution = self._resolver.resolve(request.model, profile)
        return {
            "alias": resolution.alias,
            "profile": resolution.profile,
            "profile_layer": self._resolver.profile_layer(profile),
            "lock": resolution.source,
            "lock_origin": self._lock_origin.value,
            "lock_digest": resolution.lock_digest,
            "resolves_to": self.resolve_alias(request.model, profile),
        } | explain_call(
            request,
            resolution,
            self._roster,
            self._defaults,
            self._pinned,
            now=self._clock.now(),
            find_facts=self._catalog.look_up,
            routes=self._routes,
        )

    def calculate_cost(self, response: LLMResponse) -> dict[str, Any]:
        """What a response cost, in USD as floats: input_cost, output_cost, cache_read_cost, cache_write_cost, reasoning_cost (a
        share of output_cost), total_cost. A price that is unknown gives None and a `reason`; never raises for that.
        """
        return price_usage(response.usage, self._find_info(response)).to_dict()

    def _look_up(self, ref: str) -> ModelInfo:
        return self._resolver.resolve(ref).candidates[0].info

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

    # What is known of models

    def get_available_models(self, provider: str | None = None) -> dict[str, list[str]]:
        """By provider, the models (`provider:model`) that can be called with the credentials that are here: those of the registry, of
        the lockfile and of `register_model`, without the retired. Asks no network, so what Ollama has pulled it does not know.

        provider: this one alone. Raises ProviderNotFoundError.
        """
        return self._models.available(provider)

    def get_model_info(self, alias_or_model: str, profile: str | None = None) -> ModelInfo:
        """What is known of a model, or of the one that `resolve_alias` names: the lockfile's facts over those of the registry, and in
        `sources` who says each. Where nothing is known, every fact is None. Raises as `resolve_alias` does; asks no network.
        """
        return self._models.info(alias_or_model, profile)

    def register_model(self, info: ModelInfo, *, replace: bool = False) -> None:
        """Makes a model known to this ring, before those of `ModelInfo.register`. Its calls cost what `info.price` says, where the
        lockfile has no price. Of one that is known already the new one wins, with a warning unless `replace`.
        """
        self._catalog.register(info, replace=replace)
        self._resolver.clear_cache()

    async def validate_context_limit(self, request: LLMRequest, profile: str | None = None) -> ContextCheck:
        """Whether the request fits its model, by `estimate_tokens` and what is known of the model; offline. Sends nothing."""
        count = await self.estimate_tokens(request, profile)
        max_tokens = self._begin(request, None, profile, stream=False).request.max_tokens
        return check_context(self.get_model_info(request.model, profile), count, max_tokens)

    async def refresh_registry(self, *, allow_rollback: bool = False) -> RegistryState:
        """Fetches model facts from `registry_url`, checks and keeps them. From then on this ring, and later ones of this user, go by
        them, until they are refreshed again. A path or file: is read again.

        Raises RegistryError where they cannot be had, RegistryRollbackError where they are older than those that were kept,
        UnsafeURLError, ConfigurationError without a registry_url. What was known before then stays in use.
        """
        self._check_open()
        state = await self._registry.refresh(self._find_fetcher, allow_rollback=allow_rollback)
        self._catalog.reload()
        self._resolver.clear_cache()
        return state

    def _knows_model(self, ref: ModelRef) -> bool:
        return self._roster.knows_model(ref) or self._catalog.look_up(str(ref)) is not None

    # Providers

    def get_provider(self, name: str, credential: str | None = None) -> BaseLLMProvider:
        """The provider of this name: `.client` is its vendor's own async SDK client, `.chat` asks it alone.

        credential: with which of its keys, by its variable, where it has several; default, the first that is set.
        Raises ProviderNotFoundError; ConfigurationError for an object of your own, which you hold already, and for no such key.
        """
        return self._roster.get(name, credential)

    def register_provider(
        self, name: str, provider: ProviderOptions | Mapping[str, Any] | BaseLLMProvider | Provider
    ) -> None:
        """Adds a provider, or takes the place of the one of this name: what `LLMRing(providers={name: provider})` takes.

        The new one is asked afresh, at the same base URL as well: what its gates and limits knew is forgotten. What `isolate` took out of
        use stays out until `restore`.

        The ring closes it. Raises ConfigurationError for what is no provider.
        """
        self._check_open()
        self._roster.register(name, provider)
        self._board.forget(name)

    def _read_declarations(self) -> dict[str, DeclaredProvider]:
        """Those of files: the user's config file wins over the manifest. Code wins over both, plug-ins over none."""
        declared: dict[str, DeclaredProvider] = {}
        if not env.is_set(env.LLMRING_FROZEN, self._environ):
            tables = read_declared_providers(Path.cwd())
            if tables:
                refuse_plugin_names(tables)
            for name, table in tables.items():
                declared[name] = declare(name, table, Trust.REPOSITORY)
        path = config_path(self._environ)
        if path is not None:
            for name, table in read_config_providers(path).items():
                declared[name] = declare(name, table, Trust.USER)
        return declared

    def list_providers(self) -> list[dict[str, Any]]:
        """Every provider that can be named here, by name, as JSON data: dialect, base_url, whether there is a key and in which
        variable (never the key), and who declared it. Loads the plug-ins that provide one.
        """
        self._roster.plug_in_all()
        return [self._roster.describe(name) for name in sorted(set(self._roster.names()))]

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

    def _find_fetcher(self) -> GuardedTransport:
        """What the URLs of images and files are fetched through: never without a guard."""
        own = self._transports[False]
        if self._has_own_transport and getattr(own, "guard", None) is not None:
            return cast("GuardedTransport", own)
        transport = self._transports.get(True)
        if transport is None:
            from llmring.transport.guard import Guard

            transport = self._transports[True] = self._make_transport(Guard())
        return cast("GuardedTransport", transport)

    def _make_transport(self, guard: Guard | None) -> Transport:
        from llmring.transport.http import HTTPTransport

        return HTTPTransport(clock=self._clock, guard=guard, environ=self._environ)

    # Files

    def uploaded_files(self) -> list[UploadedFile]:
        """The files that this ring has uploaded to providers and that are still there, oldest first.

        They are kept, so that the next call with the same bytes names them again; a new ring knows nothing of them.
        """
        return self._uploads.list()

    async def delete_uploaded_files(self, provider: str | None = None) -> int:
        """Deletes what this ring has uploaded, at one provider or at all; how many. One that is gone already is no error.

        Raises ProviderError where one cannot be deleted, after trying the others; it stays listed.
        """
        return await self._uploads.delete(lambda file: provider is None or file.provider == provider)

    # Ending

    # How the targets are doing

    def health(self) -> Health:
        """Every target that was asked for so far: which of its gates are shut, why, and when it is tried again.

        Changes nothing. Callable from any thread, such as a metrics exporter's; each target is told of as it is when its turn comes.
        """
        return self._board.health()

    def isolate(self, target: str, reason: str = "isolated by hand") -> None:
        """Asks a provider, or one `provider:model`, no more until `restore`: calls go to the others of their pools.

        Belongs to the event loop on which the ring's calls run; from another thread: `loop.call_soon_threadsafe(ring.isolate, target)`.
        Raises ConfigurationError there, and for what names no target.
        """
        self._gates.check_loop("isolate")
        self._board.isolate(target, reason)

    def restore(self, target: str) -> None:
        """Opens every gate of a provider, or of one `provider:model`, whatever shut it. Callable from where `isolate` is."""
        self._gates.check_loop("restore")
        self._board.restore(target)

    async def close(self) -> None:
        """Closes every connection and SDK client. Idempotent. What is called afterwards raises ServiceClosedError, as does what waits in
        a line or between attempts."""
        if not self._closed and self._upload_strategy is not None and self._upload_strategy.delete_at_close:
            try:
                await self.delete_uploaded_files()
            except ProviderError as error:
                _log.warning("an uploaded file could not be deleted: %s", error)
        self._closed = True
        self._gates.close()
        await self._uploads.close()
        await self._digests.close()
        for guarded, transport in self._transports.items():
            if guarded or not self._has_own_transport:
                await transport.close()
        self._end_custom_streams()
        if self._sharing is not None:
            await self._sharing.close()
        await self._roster.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<LLMRing {self.origin}{' closed' if self._closed else ''}>"


def _no_request(given: object) -> ConfigurationError:
    return ConfigurationError(
        f"an LLMRequest or an alias is wanted, not {type(given).__name__}",
        hint="LLMRequest.model_validate(data) or LLMRequest(**data) makes one of a dict",
    )
