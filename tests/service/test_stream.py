"""`chat_stream`: chunks as they come, the whole answer at the end, and what happens when either side leaves early."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable

import pytest

from llmring import LLMRequest, LLMRing, StreamEventType, StreamInterruptedError, Timeouts
from llmring.exceptions import DeadlineExceededError, ProviderRateLimitError, ProviderTimeoutError
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault

CALL = {"id": "c1", "name": "look", "arguments": '{"at": "the moon"}'}


@pytest.mark.spec("U04")
async def test_the_last_chunk_carries_the_finish_reason_usage_and_the_whole_response(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer("one two three", reasoning="thinking aloud", tool_calls=[CALL]))
    chunks = [chunk async for chunk in ring.chat_stream("fast", "Hi")]
    kinds = [chunk.type for chunk in chunks]
    assert kinds[-2:] == [StreamEventType.USAGE, StreamEventType.DONE]
    assert kinds.count(StreamEventType.DONE) == 1
    done = chunks[-1]
    assert (done.finish_reason, done.usage, done.tool_calls) == (
        "tool_calls",
        done.data.usage,
        done.data.tool_calls,
    )
    assert "".join(chunk.delta for chunk in chunks) == done.data.content == "one two three"
    assert "".join(c.data for c in chunks if c.type is StreamEventType.REASONING) == "thinking aloud"
    ends = [chunk.data for chunk in chunks if chunk.type is StreamEventType.TOOL_CALL_END]
    assert ends == done.data.tool_calls
    pieces = [c.data["arguments_delta"] for c in chunks if c.type is StreamEventType.TOOL_CALL_DELTA]
    assert "".join(pieces) == CALL["arguments"]
    assert done.data.timing.ttft is not None
    assert done.data.timing.ttft <= done.data.timing.latency


@pytest.mark.spec("U04", "U11")
async def test_a_stream_and_a_plain_reply_give_the_same_response(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("The same.", reasoning="hm", tool_calls=[CALL], model="m1"))
    plain = await ring.chat("fast", "Hi")
    stream = ring.chat_stream("fast", "Hi")
    async for _ in stream:
        pass
    assert stream.response is not None
    # What belongs to one exchange alone: its ids, its times, and the reply's own JSON, of which a stream has none.
    own = dict.fromkeys(("raw", "timing", "response_id", "request_id"))
    assert stream.response.to_dict() | own == plain.to_dict() | own


@pytest.mark.spec("U04")
async def test_a_stream_may_be_awaited_first(ring: LLMRing) -> None:
    chunks = [chunk async for chunk in await ring.chat_stream("fast", "Hi")]
    assert chunks[-1].type is StreamEventType.DONE


@pytest.mark.spec("U42")
async def test_hidden_thinking_is_not_streamed_and_still_in_the_response(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer("answer", reasoning="secret plan"))
    request = LLMRequest(model="fast", messages="Hi", hide_thinking=True)
    chunks = [chunk async for chunk in ring.chat_stream(request)]
    assert not [chunk for chunk in chunks if chunk.type is StreamEventType.REASONING]
    assert chunks[-1].data.reasoning == "secret plan"


@pytest.mark.spec("U04")
async def test_leaving_the_block_ends_the_request(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.endless())
    async with ring.chat_stream("fast", "Hi") as stream:
        async for chunk in stream:
            assert chunk.delta
            break
    await fake_provider.wait_disconnected()


@pytest.mark.spec("U04")
async def test_breaking_out_of_the_loop_ends_the_request(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.endless())
    gc.disable()  # it must not take a garbage collection
    try:
        async for _ in ring.chat_stream("fast", "Hi"):
            break
        await fake_provider.wait_disconnected()
    finally:
        gc.enable()


@pytest.mark.spec("U04")
async def test_another_task_can_end_a_stream_that_is_being_waited_for(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.stall(after_events=3))
    stream = ring.chat_stream("fast", "Hi")
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in stream:
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    await fake_provider.wait_held()
    await stream.aclose()
    with pytest.raises(StreamInterruptedError) as caught:
        await task
    assert caught.value.partial is not None
    await fake_provider.wait_disconnected()


async def test_the_deadline_and_the_clocks_begin_with_the_first_chunk(
    make_ring: Callable[..., LLMRing],
) -> None:
    clock = FakeClock()
    stream = make_ring(clock=clock).chat_stream(LLMRequest(model="fast", messages="Hi", deadline=5))
    clock.advance(60)
    async for _ in stream:
        pass
    assert stream.response is not None
    assert stream.response.timing.ttft == 0


@pytest.mark.spec("U04")
async def test_cancelling_the_reader_ends_the_request(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.stall(after_events=2))
    seen = asyncio.Event()

    async def read() -> None:
        async for _ in ring.chat_stream("fast", "Hi"):
            seen.set()

    task = asyncio.create_task(read())
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await fake_provider.wait_disconnected()


async def test_nothing_is_sent_before_the_first_chunk_is_asked_for(ring: LLMRing, fake_provider: FakeProvider) -> None:
    stream = ring.chat_stream("fast", "Hi")
    assert fake_provider.received == []
    await stream.aclose()
    assert fake_provider.received == []


async def test_a_finished_stream_gives_its_connection_back(ring: LLMRing, fake_provider: FakeProvider) -> None:
    for _ in range(5):
        async for _ in ring.chat_stream("fast", "Hi"):
            pass
    assert fake_provider.connections_opened == 1


@pytest.mark.spec("X01")
@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_cut_stream_is_an_error_with_the_partial_answer(
    ring: LLMRing, fake_provider: FakeProvider, how: str
) -> None:
    fake_provider.script(Fault.cut(4, how, Answer("one two three four five six")))  # pyright: ignore[reportArgumentType]
    text = ""
    with pytest.raises(StreamInterruptedError) as caught:
        async for chunk in ring.chat_stream("fast", "Hi"):
            text += chunk.delta
    error = caught.value
    assert text
    assert error.partial is not None
    assert error.partial.content == text
    assert error.partial.finish_reason == "error"
    assert error.partial.usage.estimated
    assert (error.provider, error.model) == ("one", "m1")


@pytest.mark.spec("X01")
async def test_an_error_inside_a_stream_is_an_interruption_once_content_has_come(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fault = Fault.error_in_stream(3, "Overloaded, try later.", status=429, code="rate_limit_exceeded")
    fake_provider.script(fault)
    with pytest.raises(StreamInterruptedError, match="Overloaded") as caught:
        async for _ in ring.chat_stream("fast", "Hi"):
            pass
    assert isinstance(caught.value.__cause__, ProviderRateLimitError)
    assert caught.value.partial is not None


@pytest.mark.spec("U19")
async def test_a_stream_falls_over_before_the_first_chunk_and_never_after_it(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.error_in_stream(0, status=503), model="m1")
    fake_provider.script(Fault.cut(0), model="m2")
    fake_provider.script(Answer("third time lucky"), model="m3")
    stream = ring.chat_stream("pool", "Hi")
    assert "".join([chunk.delta async for chunk in stream]) == "third time lucky"
    assert stream.response is not None
    assert [attempt["model"] for attempt in stream.response.attempts] == ["m1", "m2"]

    fake_provider.script(Fault.cut(3), model="m1")
    with pytest.raises(StreamInterruptedError):
        async for _ in ring.chat_stream("pool", "Hi"):
            pass
    assert [r.model for r in fake_provider.received] == ["m1", "m2", "m3", "m1"]


@pytest.mark.spec("A24")
async def test_a_stream_that_stands_still_runs_into_the_idle_clock(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    clock = FakeClock()
    ring = make_ring(clock=clock)
    fake_provider.script(Fault.stall(after_events=3))
    stream = ring.chat_stream(LLMRequest(model="fast", messages="Hi", timeout=Timeouts(idle=7)))

    begun = asyncio.Event()

    async def read() -> None:
        async for _ in stream:
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    while clock.next_timer != clock.monotonic() + 7:
        await asyncio.sleep(0)  # until the reader waits under the idle clock
    clock.advance(7)
    with pytest.raises(StreamInterruptedError, match="within 7 s") as caught:
        await task
    assert isinstance(caught.value.__cause__, ProviderTimeoutError)
    await fake_provider.wait_disconnected()


def event(delta: dict[str, str] | None) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": None if delta else "stop"}
    chunk = {"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m1", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


EVENT_STREAM = {"content-type": "text/event-stream"}


@pytest.mark.spec("A24")
async def test_a_role_without_words_is_no_first_token(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    clock = FakeClock()
    gate = asyncio.Event()
    chunks = [event({"role": "assistant"}), gate, event({"content": "hm"}), event(None), b"data: [DONE]\n\n"]
    fake_provider.script(Exact(200, EVENT_STREAM, chunks))
    stream = make_ring(clock=clock).chat_stream("fast", "Hi")
    task = asyncio.create_task(anext(stream))
    await fake_provider.wait_received(1)
    while clock.next_timer != clock.monotonic() + 60:
        await asyncio.sleep(0)
    await clock.advance_async(59)  # past the idle clock, which does not run yet
    gate.set()
    assert (await task).delta == "hm"
    await stream.aclose()


@pytest.mark.spec("A24")
async def test_a_reader_that_is_away_runs_into_no_clock_of_the_servers(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    clock = FakeClock()
    gate = asyncio.Event()
    chunks = [event({"content": "a"}), gate, event({"content": "b"}), event(None), b"data: [DONE]\n\n"]
    fake_provider.script(Exact(200, EVENT_STREAM, chunks))
    text = ""
    async for chunk in make_ring(clock=clock).chat_stream("fast", "Hi"):
        text += chunk.delta
        clock.advance(100)  # as if the reader had blocked the loop meanwhile
        gate.set()
    assert text == "ab"


@pytest.mark.spec("A24")
@pytest.mark.parametrize(
    ("stream", "seconds", "setting"), [(False, 600.5, "Timeouts.total"), (True, 60.5, "Timeouts.first_token")]
)
async def test_a_server_that_never_answers_runs_into_its_clock(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, stream: bool, seconds: float, setting: str
) -> None:
    clock = FakeClock()
    ring = make_ring(clock=clock)
    fake_provider.script(Fault.hang())

    async def ask() -> None:
        if not stream:
            await ring.chat("fast", "Hi")
        async for _ in ring.chat_stream("fast", "Hi"):
            pass

    task = asyncio.create_task(ask())
    await fake_provider.wait_received(1)
    await clock.wait_timers()
    clock.advance(seconds)
    with pytest.raises(ProviderTimeoutError, match=setting):
        await task
    await fake_provider.wait_disconnected()


@pytest.mark.spec("U42")
@pytest.mark.parametrize("stream", [False, True])
async def test_one_deadline_spans_all_attempts(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, stream: bool
) -> None:
    clock = FakeClock()
    ring = make_ring(clock=clock)
    fake_provider.script(Fault.hang())
    request = LLMRequest(model="pool", messages="Hi", deadline=10, timeout=Timeouts(total=6, first_token=6))

    async def ask() -> None:
        if not stream:
            await ring.chat(request)
        async for _ in ring.chat_stream(request):
            pass

    task = asyncio.create_task(ask())
    await fake_provider.wait_received(1)
    await clock.wait_timers()
    clock.advance(6.5)
    await fake_provider.wait_received(2)
    await clock.wait_timers()
    clock.advance(3.6)
    with pytest.raises(DeadlineExceededError) as caught:
        await task
    assert [attempt.error for attempt in caught.value.attempts] == ["ProviderTimeoutError", "DeadlineExceededError"]
    assert len(fake_provider.received) == 2
