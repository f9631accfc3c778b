"""A provider that is called by itself: one model, one attempt, no alias, no fallback. What a call looks like is the ring's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson

from llmring.calls.answer import finish_whole
from llmring.calls.call import Call, PlainCall, Send
from llmring.calls.chain import build_direct_chain
from llmring.calls.exchange import Exchange
from llmring.calls.fitting import check_logprobs
from llmring.calls.options import Defaults
from llmring.calls.plain import embedding_call, finish_embedding, read_embedding_options, read_texts
from llmring.calls.stream import ChatStream
from llmring.clock import Clock
from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.providers.base import BaseLLMProvider
from llmring.providers.custom import Provider
from llmring.registry.model_info import ModelInfo
from llmring.resolver import Candidate, Resolution
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingResponse
from llmring.schemas.messages import MessageInput
from llmring.schemas.model_ref import parse_model_ref
from llmring.schemas.request import LLMRequest
from llmring.schemas.response import LLMResponse
from llmring.wire.base import EncodedRequest, Target


class DirectCaller:
    """Calls for `BaseLLMProvider.chat`, `chat_stream` and `embed`.

    find_info: what is known of a `provider:model`. defaults: laid under every request.
    """

    def __init__(
        self, exchange: Exchange, clock: Clock, *, find_info: Callable[[str], ModelInfo], defaults: Defaults | None
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._find_info = find_info
        self._defaults = defaults

    async def chat(self, provider: BaseLLMProvider, request: LLMRequest | MessageInput) -> LLMResponse:
        call = self._begin(provider, request, stream=False)
        reply = await self._send_to(provider)(call)
        return finish_whole(call, reply, self._clock.monotonic())

    def chat_stream(self, provider: BaseLLMProvider, request: LLMRequest | MessageInput) -> ChatStream:
        return ChatStream(self._begin(provider, request, stream=True), self._send_to(provider), self._clock)

    def _send_to(self, provider: BaseLLMProvider) -> Send:
        # This very provider, with its key and its host: another may have been registered under the name since.
        return build_direct_chain(partial(self._exchange, provider=provider))

    async def embed(
        self, provider: BaseLLMProvider, input: str | Sequence[str], options: EmbeddingOptions | None, model: str | None
    ) -> EmbeddingResponse:
        inputs = read_texts(input, "input")
        name = model or _own_model(provider)
        call = embedding_call(
            self._resolve(provider, name), inputs, read_embedding_options(options, None, None), self._clock.monotonic()
        )
        reply = await self._exchange.ask(call, call.resolution.candidates[0], provider)
        return finish_embedding(call, reply, name, inputs)

    async def ask_json(
        self,
        provider: BaseLLMProvider,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        timeout_s: float,
        deadline: float | None = None,
    ) -> Any:
        """Something that no dialect has words for, asked of a provider's server: GET, or POST where there is a body; its reply's
        JSON. deadline: in the clock's `monotonic()` seconds. Raises ProviderError."""

        def encode(_: BaseLLMProvider, target: Target) -> EncodedRequest:
            return EncodedRequest(path, body or {}, method="GET" if body is None else "POST")

        async def ask_custom(provider: Provider, model: str) -> Any:
            raise AssertionError("a provider of the user's own is not asked this way")

        resolution = self._resolve(provider, "-")
        call = PlainCall[Any](
            resolution, encode, _read_json, ask_custom, self._clock.monotonic(), timeout=timeout_s, deadline=deadline
        )
        return (await self._exchange.ask(call, resolution.candidates[0], provider)).value

    def _begin(self, provider: BaseLLMProvider, request: LLMRequest | MessageInput, *, stream: bool) -> Call:
        if not isinstance(request, LLMRequest):
            request = LLMRequest(model=_own_model(provider), messages=request)
        call = Call(request, request, self._resolve(provider, request.model), stream, self._clock.monotonic())
        if self._defaults is not None:
            call.request = self._defaults.lay_under(request)
            call.extra_params = self._defaults.extra_params
        if call.request.logprobs or call.request.top_logprobs:
            (candidate,) = call.resolution.candidates
            check_logprobs([provider.target(candidate.ref.model, candidate.info)])
        return call

    def _resolve(self, provider: BaseLLMProvider, model: str) -> Resolution:
        """`provider:model` is taken too, where the provider is this one."""
        ref = parse_model_ref(f"{provider.name}:{model.removeprefix(f'{provider.name}:')}")
        return Resolution(None, "", (Candidate(ref, self._find_info(str(ref))),), "", "")


def _read_json(provider: BaseLLMProvider, data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedResponseError(f"the reply is no JSON: {error}") from None


def _own_model(provider: BaseLLMProvider) -> str:
    if provider.model is None:
        raise ConfigurationError(
            f"no model: provider {provider.name} has none of its own",
            hint="name it in the LLMRequest, or where the provider is made: model=…",
        )
    return provider.model
