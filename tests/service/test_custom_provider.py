"""Providers of somebody else's: under the same chain, clocks and errors as llmring's own, and never trusted to behave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from llmring import (
    CircuitBreakerError,
    ConfigurationError,
    CustomProvider,
    DeadlineExceededError,
    EmbeddingOptions,
    EmbeddingResponse,
    InvalidRequestError,
    LLMRequest,
    LLMResponse,
    LLMRing,
    MalformedResponseError,
    NotSupportedError,
    ProviderConnectionError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    RequestOptions,
    RetryPolicy,
    ServiceClosedError,
    StreamChunk,
    StreamEventType,
    StreamInterruptedError,
    ToolCall,
    Usage,
)
from llmring.resilience.policy import BreakerPolicy
from llmring.schemas.usage import Citation
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
Chat = Callable[[LLMRequest], Any]


def gives(answer: Any) -> Chat:
    return lambda request: answer


class Scripted(CustomProvider):
    """Answers what a function says; a stream gives the items it is given, and raises those that are exceptions."""

    name = "scripted"

    def __init__(self, answer: Chat | None = None, items: list[Any] | None = None) -> None:
        self.answer: Chat = answer or gives(LLMResponse("fine", finish_reason="stop"))
        self.items = items or []
        self.requests: list[LLMRequest] = []
        self.closed = 0
        self.ended = asyncio.Event()

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        self.requests.append(request)
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        self.requests.append(request)
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                else:
                    yield item
        finally:
            self.ended.set()

    async def close(self) -> None:
        self.closed += 1


def fails(error: Exception) -> Chat:
    def answer(request: LLMRequest) -> Any:
        raise error

    return answer


WHOLE = LLMResponse(
    "It is 12 degrees.",
    model="own-1",
    finish_reason="tool_calls",
    raw_finish_reason="called",
    usage=Usage(7, 5, cache_read_tokens=2, reasoning_tokens=1),
    reasoning="Let me see.",
    tool_calls=[ToolCall("c1", "weather", {"city": "Oslo"}), ToolCall("c2", "time", "{}")],
    logprobs=[{"token": "It", "logprob": -0.1, "bytes": None, "top_logprobs": []}],
    citations=[Citation("https://example.org/oslo", "Oslo", 0, 5)],
    response_id="own-id",
    warnings=["seed was left out"],
)
NOTHING: Any = None
TOKEN, DONE = StreamChunk.token("fine"), StreamChunk.done(LLMResponse("fine", finish_reason="stop"))


async def collect(ring: LLMRing, model: str = "own:m") -> list[StreamChunk]:
    return [chunk async for chunk in ring.chat_stream(model, "Hi there")]


# Replies


@pytest.mark.spec("A22")
async def test_every_field_of_a_response_arrives_with_the_facts_of_the_call(make_ring: MakeRing) -> None:
    ring = make_ring(providers={"own": Scripted(lambda request: WHOLE)})
    response = await ring.chat("own:big-model", "Hi")
    same = "content finish_reason raw_finish_reason usage reasoning tool_calls logprobs citations model response_id"
    for name in [*same.split(), "warnings"]:
        assert getattr(response, name) == getattr(WHOLE, name), name
    assert (response.provider, response.called_model) == ("own", "own:big-model")
    assert response.request is not None
    assert response is not WHOLE


@pytest.mark.spec("A22")
async def test_it_gets_the_request_with_the_models_own_name_and_the_rings_defaults(make_ring: MakeRing) -> None:
    own = Scripted()
    defaults = RequestOptions(temperature=0.5, extra_params={"a": 1, "b": 1})
    ring = make_ring(providers={"own": own}, defaults=defaults)
    request = LLMRequest(model="own:big:model", messages="Hi", extra_params={"b": 2})
    await ring.chat(request)
    (got,) = own.requests
    assert (got.model, got.temperature, got.extra_params) == ("big:model", 0.5, {"a": 1, "b": 2})
    assert (request.model, request.temperature, request.extra_params) == ("own:big:model", None, {"b": 2})


@pytest.mark.spec("A22")
async def test_without_usage_tokens_are_estimated_and_the_locks_prices_count(make_ring: MakeRing) -> None:
    ring = make_ring(providers={"one": Scripted()})
    response = await ring.chat("fast", "12345678")
    assert response.usage.estimated
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (2, 1)
    assert response.cost == pytest.approx((2 * 2 + 10) * 1e-6)


class Verdict(BaseModel):
    score: int


@pytest.mark.spec("A22", "U12")
async def test_a_structured_answer_is_parsed(make_ring: MakeRing) -> None:
    ring = make_ring(providers={"own": Scripted(lambda request: LLMResponse('{"score": 3}', finish_reason="stop"))})
    response = await ring.chat(LLMRequest(model="own:m", messages="Hi", response_format=Verdict))
    assert response.parsed == Verdict(score=3)


@pytest.mark.spec("A22", "U19")
async def test_it_takes_its_place_in_a_pool(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    own = Scripted(fails(ProviderRateLimitError("slow down", retry_after_s=3)))
    response = await make_ring(providers={"one": own}).chat("pool", "Hi")
    assert response.provider == "two"
    assert response.attempts[0]["error"] == "ProviderRateLimitError"

    fake_provider.script(Fault.status(500))
    response = await make_ring(providers={"two": Scripted()}).chat("pool", "Hi")
    assert (response.provider, response.content) == ("two", "fine")


@pytest.mark.spec("A22")
@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ValueError("the secret prompt"), ProviderResponseError),
        (TimeoutError(), ProviderTimeoutError),
        (ConnectionResetError("reset"), ProviderConnectionError),
        (NotImplementedError(), NotSupportedError),
        (InvalidRequestError("no"), InvalidRequestError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_whatever_it_raises_is_a_typed_error_that_says_who_and_quotes_nothing(
    make_ring: MakeRing, raised: Exception, kind: type[Exception], stream: bool
) -> None:
    ring = make_ring(providers={"own": Scripted(fails(raised), [raised])})
    with pytest.raises(kind) as caught:
        await (collect(ring) if stream else ring.chat("own:m", "Hi"))
    error: Any = caught.value
    assert type(error) is kind
    assert "secret" not in str(error)
    if isinstance(error, ProviderResponseError | ProviderTimeoutError):
        assert (error.provider, error.model) == ("own", "m")
        assert error.__cause__ is raised


@pytest.mark.spec("A22")
@pytest.mark.parametrize(
    ("given", "said"),
    [({"content": "hi"}, "gave a dict"), (None, "gave a NoneType"), (LLMResponse("hi"), "no finish_reason")],
)
async def test_an_answer_that_is_none_is_malformed(make_ring: MakeRing, given: Any, said: str) -> None:
    ring = make_ring(providers={"own": Scripted(lambda request: given)})
    with pytest.raises(MalformedResponseError, match=said):
        await ring.chat("own:m", "Hi")


def odd(**fields: Any) -> LLMResponse:
    whole: dict[str, Any] = {"content": "hi", "finish_reason": "stop", **fields}
    return LLMResponse(**whole)


@pytest.mark.spec("A22")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (odd(content=b"hi"), "content is a bytes"),
        (odd(finish_reason="weird"), "none of llmring's"),
        (odd(usage=Usage(-5, 1)), "a whole number, 0 or more"),
        (odd(usage=Usage(float("nan"))), "cannot be read: ValueError"),  # pyright: ignore[reportArgumentType]
        (odd(blocks=[{}]), "cannot be read: KeyError"),
        (odd(blocks=[{"type": "tool_use", "call": 7}]), "cannot be read: IndexError"),
        (odd(tool_calls=["a"]), "cannot be read: AttributeError"),
        (odd(logprobs=3), "cannot be read: TypeError"),
        (odd(error=ValueError("x")), "gave an error"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_holds_anything_at_all_is_a_typed_error(
    make_ring: MakeRing, given: Any, said: str, stream: bool
) -> None:
    ring = make_ring(providers={"own": Scripted(lambda request: given, [StreamChunk.done(given)])})
    with pytest.raises(ProviderResponseError, match=said):
        await (collect(ring) if stream else ring.chat("own:m", "Hi"))


@pytest.mark.spec("A22")
@pytest.mark.parametrize("stream", [False, True])
async def test_half_a_surrogate_pair_is_counted_as_any_other_text(make_ring: MakeRing, stream: bool) -> None:
    given = LLMResponse("cut \ud83d", finish_reason="stop")
    ring = make_ring(providers={"own": Scripted(lambda request: given, [StreamChunk.done(given)])})
    response = (await collect(ring))[-1].data if stream else await ring.chat("own:m", "cut \ud83d")
    assert response.content == "cut \ud83d"
    assert response.usage.completion_tokens == 2


async def test_an_error_inside_a_response_is_raised(make_ring: MakeRing) -> None:
    refused = LLMResponse(error=InvalidRequestError("not like this"), finish_reason="error")
    with pytest.raises(InvalidRequestError, match="not like this"):
        await make_ring(providers={"own": Scripted(lambda request: refused)}).chat("own:m", "Hi")


# Clocks


async def never(request: LLMRequest) -> LLMResponse:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.spec("A22", "A24")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_timeout_ends_it_and_so_does_the_deadline(make_ring: MakeRing, stream: bool) -> None:
    clock = FakeClock()
    own = Scripted(never, [asyncio.Event()])
    ring = make_ring(providers={"own": own}, clock=clock)

    async def ask(**limits: float) -> None:
        request = LLMRequest.model_validate({"model": "own:m", "messages": "Hi", **limits})
        if stream:
            async for _ in ring.chat_stream(request):
                pass
        else:
            await ring.chat(request)

    for limits, kind in (({"timeout": 5}, ProviderTimeoutError), ({"deadline": 5}, DeadlineExceededError)):
        asking = asyncio.create_task(ask(**limits))
        await clock.wait_timers()
        await clock.advance_async(4.9)
        assert not asking.done()
        await clock.advance_async(0.2)
        with pytest.raises(kind):
            await asking
    if stream:
        await own.ended.wait()


@pytest.mark.spec("A39", "A22")
async def test_one_that_is_local_may_take_five_minutes_to_its_first_token(make_ring: MakeRing) -> None:
    clock, gate = FakeClock(), asyncio.Event()
    own = Scripted(items=[gate, TOKEN, DONE])
    own.local = True
    ring = make_ring(providers={"own": own}, clock=clock)
    asking = asyncio.create_task(collect(ring))
    await clock.wait_timers()
    await clock.advance_async(299)
    assert not asking.done()
    gate.set()
    assert (await asking)[-1].data.content == "fine"


@pytest.mark.spec("A22")
async def test_a_stream_that_stalls_after_content_is_interrupted_and_keeps_what_came(make_ring: MakeRing) -> None:
    clock = FakeClock()
    own = Scripted(items=[TOKEN, asyncio.Event()])
    stream = make_ring(providers={"own": own}, clock=clock).chat_stream("own:m", "Hi")
    assert (await anext(stream)).delta == "fine"
    waiting = asyncio.ensure_future(anext(stream))
    await clock.wait_timers()
    await clock.advance_async(31)
    with pytest.raises(StreamInterruptedError, match="within 30 s") as caught:
        await waiting
    assert caught.value.partial is not None
    assert caught.value.partial.content == "fine"
    await own.ended.wait()


# Streams


def chunks_of(response: LLMResponse) -> list[StreamChunk]:
    """The chunks that say it, piece by piece."""
    kinds = StreamEventType
    pieces = [StreamChunk(kinds.REASONING, data=response.reasoning)]
    pieces += [StreamChunk.token(text) for text in ("It is ", "12 degrees.")]
    for index, call in enumerate(response.tool_calls or ()):
        head = {"index": index, "id": call.id, "name": call.name}
        pieces.append(StreamChunk(kinds.TOOL_CALL_START, data={**head, "arguments_delta": ""}))
        for letter in call.raw_arguments:
            pieces.append(StreamChunk(kinds.TOOL_CALL_DELTA, data={**head, "arguments_delta": letter}))
        pieces.append(StreamChunk(kinds.TOOL_CALL_END, data=call))
    return [*pieces, StreamChunk(kinds.META, data={"any": "thing"}), StreamChunk.done(response)]


@pytest.mark.spec("A22")
@pytest.mark.parametrize("pieces", ["all", "calls whole", "done alone"])
async def test_a_stream_folds_to_what_the_reply_says(make_ring: MakeRing, pieces: str) -> None:
    chunks = chunks_of(WHOLE)
    if pieces == "calls whole":
        part = (StreamEventType.TOOL_CALL_START, StreamEventType.TOOL_CALL_DELTA)
        chunks = [chunk for chunk in chunks if chunk.type not in part]
    if pieces == "done alone":
        chunks = chunks[-1:]
    ring = make_ring(providers={"own": Scripted(lambda request: WHOLE, chunks)})
    plain = await ring.chat("own:m", "Hi there")
    got = await collect(ring)
    streamed: LLMResponse = got[-1].data
    streamed.timing = plain.timing
    streamed.request = plain.request
    assert streamed == plain
    assert "".join(chunk.delta for chunk in got) == WHOLE.content
    ended = [chunk.data for chunk in got if chunk.type is StreamEventType.TOOL_CALL_END]
    assert ended == WHOLE.tool_calls


@pytest.mark.spec("A22")
@pytest.mark.parametrize(
    ("items", "kind", "said"),
    [
        ([], StreamInterruptedError, "without a DONE"),
        ([TOKEN], StreamInterruptedError, "without a DONE"),
        ([TOKEN, DONE, DONE], StreamInterruptedError, "after DONE"),
        ([DONE, TOKEN], StreamInterruptedError, "after DONE"),
        (["text"], MalformedResponseError, "streamed a str"),
        ([StreamChunk(StreamEventType.DONE)], MalformedResponseError, "gave a NoneType"),
        ([StreamChunk(StreamEventType.TOOL_CALL_START, data={})], MalformedResponseError, "no data of index"),
        ([StreamChunk(StreamEventType.TOOL_CALL_END)], MalformedResponseError, "no ToolCall"),
        ([StreamChunk(StreamEventType.ERROR, data=InvalidRequestError("no"))], InvalidRequestError, "no"),
        ([StreamChunk(StreamEventType.ERROR, data="oops")], ProviderResponseError, "streamed an error"),
        ([StreamChunk(StreamEventType.TOKEN, NOTHING)], MalformedResponseError, "delta is a NoneType"),
        ([StreamChunk(StreamEventType.REASONING, data={})], StreamInterruptedError, "without a DONE"),
        ([StreamChunk(StreamEventType.REASONING, data={"a": 1})], MalformedResponseError, "reasoning is a dict"),
        ([StreamChunk(StreamEventType.USAGE, data=Usage(-3))], MalformedResponseError, "a whole number"),
        ([TOKEN, ValueError("x")], StreamInterruptedError, "raised ValueError"),
    ],
)
async def test_a_stream_must_end_with_exactly_one_done(
    make_ring: MakeRing, items: list[Any], kind: type[Exception], said: str
) -> None:
    own = Scripted(items=items)
    with pytest.raises(kind, match=said):
        await collect(make_ring(providers={"own": own}))
    await own.ended.wait()


@pytest.mark.spec("A22")
@pytest.mark.parametrize("last", [asyncio.Event(), ValueError("closing failed")], ids=["hangs", "fails"])
async def test_after_done_neither_hanging_nor_failing_spoils_the_answer(make_ring: MakeRing, last: Any) -> None:
    clock = FakeClock()
    own = Scripted(items=[TOKEN, DONE, last])
    asking = asyncio.create_task(collect(make_ring(providers={"own": own}, clock=clock)))
    await clock.run_until_idle()
    clock.advance(0.3)
    assert (await asking)[-1].data.content == "fine"
    await own.ended.wait()


def call_chunk(kind: StreamEventType, index: int, id: str, arguments: str = "") -> StreamChunk:
    return StreamChunk(kind, data={"index": index, "id": id, "name": f"tool-{id}", "arguments_delta": arguments})


@pytest.mark.spec("A22")
async def test_tool_calls_are_told_apart_by_their_ids_however_they_are_counted(make_ring: MakeRing) -> None:
    start, delta, end = (
        StreamEventType.TOOL_CALL_START,
        StreamEventType.TOOL_CALL_DELTA,
        StreamEventType.TOOL_CALL_END,
    )
    done = StreamChunk.done(LLMResponse(finish_reason="tool_calls"))
    all_zero = [
        call_chunk(start, 0, "a"),
        call_chunk(delta, 0, "a", "[1]"),
        call_chunk(start, 0, "b"),
        call_chunk(delta, 0, "b", "[2]"),
    ]
    from_one_and_whole = [
        call_chunk(start, 1, "a"),
        call_chunk(delta, 1, "a", "[1]"),
        StreamChunk(end, data=ToolCall("b", "tool-b", "[2]")),
    ]
    for items in (all_zero, from_one_and_whole):
        chunks = await collect(make_ring(providers={"own": Scripted(items=[*items, done])}))
        calls = [(call.id, call.raw_arguments) for call in chunks[-1].data.tool_calls]
        assert calls == [("a", "[1]"), ("b", "[2]")]


@pytest.mark.spec("A22", "U19")
async def test_a_stream_falls_over_before_its_first_content(make_ring: MakeRing) -> None:
    own = Scripted(items=[StreamChunk(StreamEventType.META, data={}), ValueError("x")])
    chunks = await collect(make_ring(providers={"one": own}), "pool")
    assert chunks[-1].data.provider == "two"
    assert chunks[-1].data.attempts[0]["error"] == "ProviderResponseError"


@pytest.mark.spec("A22")
async def test_leaving_a_stream_ends_the_providers_generator(make_ring: MakeRing) -> None:
    own = Scripted(items=[TOKEN, asyncio.Event()])
    async with make_ring(providers={"own": own}).chat_stream("own:m", "Hi") as stream:
        async for _ in stream:
            break
    await own.ended.wait()


@pytest.mark.spec("A22")
async def test_a_provider_is_never_far_ahead_of_its_reader(make_ring: MakeRing) -> None:
    made = 0

    class Endless(Scripted):
        async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
            nonlocal made
            while True:
                made += 1
                yield TOKEN

    clock = FakeClock()
    async with make_ring(providers={"own": Endless()}, clock=clock).chat_stream("own:m", "Hi") as stream:
        async for _ in stream:
            break
        await clock.run_until_idle()
        assert made < 40


class Awaited(Scripted):
    """Its chat_stream is a coroutine that gives an iterator, as some write it."""

    async def chat_stream(self, request: LLMRequest, /) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        async def chunks() -> AsyncIterator[StreamChunk]:
            yield TOKEN
            yield DONE

        return chunks()


async def test_a_stream_that_must_be_awaited_first_is_taken_too(make_ring: MakeRing) -> None:
    assert (await collect(make_ring(providers={"own": Awaited()})))[-1].data.content == "fine"


@pytest.mark.spec("A22")
async def test_cancelling_a_call_cancels_the_provider(make_ring: MakeRing) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def wait_for_ever() -> LLMResponse:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    own = Scripted(lambda request: wait_for_ever())
    asking = asyncio.create_task(make_ring(providers={"own": own}).chat("own:m", "Hi"))
    await began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert cancelled.is_set()


# Embeddings


class Embedder(Scripted):
    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response
        self.asked: list[Any] = []

    async def embed(
        self, input: Any, options: EmbeddingOptions | None = None, *, model: str | None = None
    ) -> EmbeddingResponse:
        self.asked.append((input, options, model))
        return self.response


@pytest.mark.spec("A22", "M01")
async def test_its_embeddings_come_with_the_facts_of_the_call(make_ring: MakeRing) -> None:
    own = Embedder(EmbeddingResponse(embeddings=[[1.0], [2.0]]))
    response = await make_ring(providers={"one": own}).embed("fast", ["1234", "5678"], dimensions=1)
    assert own.asked == [(["1234", "5678"], EmbeddingOptions(dimensions=1), "m1")]
    assert response.embeddings == [[1.0], [2.0]]
    assert (response.provider, response.model, response.alias, response.usage.estimated) == ("one", "m1", "fast", True)
    assert response.cost == pytest.approx(2 * 2e-6)


@pytest.mark.spec("A22", "M04")
async def test_embeddings_are_not_supported_until_it_writes_them_and_checked_when_it_does(make_ring: MakeRing) -> None:
    with pytest.raises(NotSupportedError, match="scripted makes no embeddings"):
        await make_ring(providers={"own": Scripted()}).embed("own:m", "Hi")
    wrong: list[tuple[Any, str]] = [
        (EmbeddingResponse(embeddings=[[1.0]]), "1 vectors came back for 2"),
        ({}, "gave a dict"),
        (EmbeddingResponse(embeddings=[[1.0], [2.0, 3.0]]), "differ in length"),
        (EmbeddingResponse(embeddings=[[1.0], []]), "vectors is empty"),
        (EmbeddingResponse(embeddings=[[1.0], [float("nan")]]), "not finite"),
        (EmbeddingResponse(embeddings=[[1.0], [2.0]], usage=Usage(-1)), "a whole number"),
    ]
    for response, said in wrong:
        with pytest.raises(MalformedResponseError, match=said):
            await make_ring(providers={"own": Embedder(response)}).embed("own:m", ["a", "b"])
    with pytest.raises(NotSupportedError, match="counts no tokens"):
        await make_ring(providers={"own": Scripted()}).count_tokens(LLMRequest(model="own:m", messages="Hi"))
    with pytest.raises(NotSupportedError, match="ranks no documents"):
        await make_ring(providers={"own": Scripted()}).rerank("own:m", "q", ["a"])


# Registering


@pytest.mark.spec("A22", "A37")
async def test_one_can_be_registered_later_and_take_anothers_place(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring()
    with pytest.raises(ProviderNotFoundError):
        await ring.chat("own:m", "Hi")
    first, second = Scripted(), Scripted(lambda request: LLMResponse("second", finish_reason="stop"))
    ring.register_provider("own", first)
    assert (await ring.chat("own:m", "Hi")).content == "fine"
    ring.register_provider("own", second)
    assert (await ring.chat("own:m", "Hi")).content == "second"
    ring.register_provider("own", {"base_url": fake_provider.base_url, "auth": "none"})
    fake_provider.script(Answer("declared"))
    assert (await ring.chat("own:m", "Hi")).content == "declared"
    await ring.close()
    assert (first.closed, second.closed) == (1, 1)
    with pytest.raises(ServiceClosedError):
        ring.register_provider("own", first)


@pytest.mark.spec("A22")
async def test_explain_and_get_provider_know_it(make_ring: MakeRing) -> None:
    ring = make_ring(providers={"own": Scripted()})
    (candidate,) = ring.explain("own:m")["candidates"]
    assert (candidate["model"], candidate["credential"], candidate["why"]) == ("own:m", True, "a provider of your own")
    assert ring.resolve_alias("own:m") == "own:m"
    with pytest.raises(ConfigurationError, match="object of your own"):
        ring.get_provider("own")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [("own", object(), "object is no provider"), ("Own", Scripted(), "must read"), ("own", {"dialect": "x"}, "own")],
)
async def test_what_is_no_provider_is_refused(make_ring: MakeRing, name: str, given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        make_ring(providers={name: given})


@pytest.mark.spec("A22")
async def test_closing_the_ring_ends_a_stream_that_somebody_still_reads(make_ring: MakeRing) -> None:
    own = Scripted(items=[TOKEN, asyncio.Event()])
    ring = make_ring(providers={"own": own})
    stream = ring.chat_stream("own:m", "Hi")
    assert (await anext(stream)).delta == "fine"
    reading = asyncio.ensure_future(anext(stream))
    await ring.close()
    with pytest.raises(StreamInterruptedError) as caught:
        await reading
    assert caught.value.partial is not None
    assert caught.value.partial.content == "fine"
    await own.ended.wait()


@pytest.mark.spec("A35", "A37")
async def test_a_provider_that_is_held_keeps_its_host_and_key_when_another_takes_its_name(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(providers={"own": {"base_url": fake_provider.base_url, "api_key": "first-key-0123"}})
    held = ring.get_provider("own")
    successors: list[Any] = [{"base_url": "http://127.0.0.1:9", "api_key": "second-key-0123"}, Scripted()]
    for successor in successors:
        ring.register_provider("own", successor)
        await held.chat(LLMRequest(model="m", messages="Hi"))
        _ = [chunk async for chunk in held.chat_stream(LLMRequest(model="m", messages="Hi"))]
    assert {got.headers["authorization"] for got in fake_provider.received} == {"Bearer first-key-0123"}
    assert len(fake_provider.received) == 4


async def test_one_that_fails_to_close_keeps_no_other_open(
    make_ring: MakeRing, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(Scripted):
        async def close(self) -> None:
            raise ValueError("no")

    last = Scripted()
    ring = make_ring(providers={"own": Stuck(), "other": last})
    with caplog.at_level(logging.WARNING, logger="llmring"):
        await ring.close()
    assert last.closed == 1
    assert "own" in caplog.text or "scripted" in caplog.text


@pytest.mark.spec("A22")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
async def test_a_breaker_of_the_providers_own_is_an_attempt_that_failed(stream: bool, make_ring: MakeRing) -> None:
    # As of a ring within the provider. Passed on as it is, it would look as if nobody had been asked, and be asked for ever.
    shut = CircuitBreakerError("not asked: its model rests", retry_after_s=3.0)
    own = Scripted(fails(shut), items=[shut])
    ring = make_ring(
        providers={"own": own},
        retry=RetryPolicy(attempts=3, backoff_s=0.0, max_rate_limit_wait_s=0),
        breaker=BreakerPolicy(min_calls=1000, consecutive_failures=1000),
    )
    with pytest.raises(ProviderResponseError, match="its model rests") as caught:
        await (collect(ring) if stream else ring.chat("own:m", "Hi"))
    assert caught.value.__cause__ is shut
    assert caught.value.retry_after_s == 3
    assert len(own.requests) == 1  # 3 s are longer than it may wait
    assert [attempt.error for attempt in caught.value.attempts] == ["ProviderResponseError"]


@pytest.mark.spec("A22")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
async def test_a_deadline_of_the_providers_own_ends_no_call(
    stream: bool, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    # As of a ring within the provider. The caller set none, and another model of the pool is there.
    passed = DeadlineExceededError("the call's deadline has passed")
    ring = make_ring(providers={"one": Scripted(fails(passed), items=[passed])})
    fake_provider.script(Answer("from the sibling"))
    response = await (collect(ring, "pool") if stream else ring.chat("pool", "Hi"))
    answer = response[-1].data if isinstance(response, list) else response
    assert (answer.called_model, [attempt["error"] for attempt in answer.attempts]) == (
        "two:m2",
        ["ProviderTimeoutError"],
    )


@pytest.mark.spec("A22")
async def test_a_deadline_of_the_providers_own_after_content_interrupts_the_stream(make_ring: MakeRing) -> None:
    passed = DeadlineExceededError("the call's deadline has passed")
    own = Scripted(items=[StreamChunk(StreamEventType.TOKEN, delta="a part"), passed])
    with pytest.raises(StreamInterruptedError) as caught:
        await collect(make_ring(providers={"own": own}))
    assert caught.value.partial is not None
    assert caught.value.partial.content == "a part"
