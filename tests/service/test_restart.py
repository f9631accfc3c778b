"""`on_interrupt="restart"`: a stream that breaks off is begun anew, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from llmring import LLMRequest, LLMRing, RequestOptions, StreamChunk, StreamEventType, StreamInterruptedError
from llmring.exceptions import ConfigurationError, DeadlineExceededError
from llmring.schemas.retry import RetryPolicy
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
OLD = Answer("one two three four five six")
NEW = Answer("uno due tre")


def in_flight(ring: LLMRing) -> int:
    return sum(target.in_flight for target in ring.health().targets)


def kinds(chunks: list[StreamChunk]) -> list[str]:
    """Text, and what else came, in order."""
    found: list[str] = []
    for chunk in chunks:
        if chunk.delta and found and not found[-1].startswith("<"):
            found[-1] += chunk.delta
        elif chunk.delta:
            found.append(chunk.delta)
        elif chunk.type in (StreamEventType.META, StreamEventType.DONE):
            found.append(f"<{chunk.data['event'] if chunk.type is StreamEventType.META else 'done'}>")
    return found


@pytest.mark.spec("U31")
async def test_another_model_of_the_pool_begins_anew_and_a_chunk_says_so(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.cut(4, answer=OLD), model="m1")
    fake_provider.script(NEW, model="m2")
    chunks = [chunk async for chunk in ring.chat_stream("pool", "Hi", on_interrupt="restart")]
    shown = kinds(chunks)
    assert shown[1:] == ["<restart>", "uno due tre", "<done>"]
    assert OLD.text.startswith(shown[0])
    (notice,) = [chunk.data for chunk in chunks if chunk.type is StreamEventType.META]
    assert (notice["from"], notice["to"]) == ("one:m1", "two:m2")
    assert notice["reason"].startswith("the stream ended early")
    response = chunks[-1].data
    assert (response.content, response.called_model) == ("uno due tre", "two:m2")
    (old,) = response.attempts
    assert (old["model"], old["error"]) == ("m1", "StreamInterruptedError")
    assert old["usage"]["estimated"] is True
    assert old["usage"]["total_tokens"] > 0
    assert in_flight(ring) == 0


@pytest.mark.spec("U31")
async def test_where_there_is_no_other_model_the_same_is_asked_again_as_often_as_the_policy_says(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock, retry=RetryPolicy(attempts=3, backoff_s=0))
    fake_provider.script(Fault.cut(4, answer=OLD))
    stream = ring.chat_stream(LLMRequest(model="fast", messages="Hi", on_interrupt="restart"))
    chunks: list[StreamChunk] = []
    with pytest.raises(StreamInterruptedError) as caught:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - it ends in an error, and what came before is wanted
    assert [kind for kind in kinds(chunks) if kind.startswith("<")] == ["<restart>", "<restart>"]
    assert len(fake_provider.received) == 3
    error = caught.value
    assert error.partial is not None
    assert OLD.text.startswith(error.partial.content)
    assert [attempt.error for attempt in error.attempts] == ["StreamInterruptedError"] * 3
    assert in_flight(ring) == 0


@pytest.mark.spec("U31")
async def test_who_failed_before_the_first_content_is_not_asked_before_the_others(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(500), model="m1")
    fake_provider.script(Fault.cut(4, answer=OLD), model="m2")
    fake_provider.script(NEW, model="m3")
    request = LLMRequest(model="pool", messages="Hi", on_interrupt="restart")
    chunks = [chunk async for chunk in ring.chat_stream(request)]
    assert [received.model for received in fake_provider.received] == ["m1", "m2", "m3"]
    assert [attempt["model"] for attempt in chunks[-1].data.attempts] == ["m1", "m2"]


@pytest.mark.spec("U31")
async def test_where_nobody_can_begin_anew_the_error_is_that_of_the_stream_that_was_seen(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.cut(4, answer=OLD), model="m1")
    fake_provider.script(Fault.status(401), model="m2")
    fake_provider.script(Fault.status(401), model="m3")
    request = LLMRequest(model="pool", messages="Hi", on_interrupt="restart", retry=RetryPolicy(attempts=1))
    with pytest.raises(StreamInterruptedError) as caught:
        async for _ in ring.chat_stream(request):
            pass
    assert (caught.value.model, [attempt.model for attempt in caught.value.attempts]) == ("m1", ["m1", "m2", "m3"])
    assert caught.value.partial is not None
    assert in_flight(ring) == 0


@pytest.mark.spec("U31")
async def test_the_deadline_spans_the_restart_too(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock)
    fake_provider.script(Fault.cut(4, answer=OLD), model="m1")
    fake_provider.script(Fault.hang(), model="m2")
    text = ""

    async def read() -> None:
        nonlocal text
        request = LLMRequest(model="pool", messages="Hi", on_interrupt="restart", deadline=9)
        async for chunk in ring.chat_stream(request):
            text += chunk.delta

    reader = asyncio.create_task(read())
    await fake_provider.wait_held()
    fake_clock.advance(9)
    with pytest.raises(DeadlineExceededError) as caught:
        await reader
    assert caught.value.partial is not None
    assert caught.value.partial.content == text, "what was shown is not lost"
    assert in_flight(ring) == 0


@pytest.mark.spec("B22")
@pytest.mark.parametrize("how", ["cancel", "aclose"])
async def test_leaving_while_it_begins_anew_leaves_nothing_behind(
    how: str, ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.cut(4, answer=OLD), model="m1")
    fake_provider.script(Fault.hang(), model="m2")
    stream = ring.chat_stream("pool", "Hi", on_interrupt="restart")

    async def read() -> None:
        async for _ in stream:
            pass

    reader = asyncio.create_task(read())
    await fake_provider.wait_held()
    if how == "cancel":
        reader.cancel()
    else:
        await stream.aclose()
    with pytest.raises((asyncio.CancelledError, StreamInterruptedError)):
        await reader
    assert in_flight(ring) == 0
    assert all(gate.state == "closed" for target in ring.health().targets for gate in target.gates)


@pytest.mark.spec("U31")
async def test_leaving_at_the_notice_ends_the_new_stream(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.cut(4, answer=OLD), model="m1")
    fake_provider.script(Fault.stall(3, NEW), model="m2")
    async with ring.chat_stream("pool", "Hi", on_interrupt="restart") as stream:
        async for chunk in stream:
            if chunk.type is StreamEventType.META:
                break
    assert in_flight(ring) == 0
    await fake_provider.wait_disconnected()


@pytest.mark.spec("U31")
async def test_the_rings_default_and_whose_word_wins(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(defaults=RequestOptions(on_interrupt="restart"))
    fake_provider.script(Fault.cut(4, answer=OLD), model="m1")
    fake_provider.script(NEW, model="m2")
    chunks = [chunk async for chunk in ring.chat_stream("pool", "Hi")]
    assert kinds(chunks)[-2:] == ["uno due tre", "<done>"]
    for over in (
        ring.chat_stream("pool", "Hi", on_interrupt="raise"),
        ring.chat_stream(LLMRequest(model="pool", messages="Hi", on_interrupt="raise")),
    ):
        with pytest.raises(StreamInterruptedError):
            async for _ in over:
                pass
    with pytest.raises(ConfigurationError, match="on_interrupt: 'again'"):
        ring.chat_stream("pool", "Hi", on_interrupt="again")  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.spec("U31")
async def test_a_provider_that_is_asked_by_itself_has_nobody_to_begin_anew(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.cut(4, answer=OLD))
    request = LLMRequest(model="m1", messages="Hi", on_interrupt="restart")
    with pytest.raises(StreamInterruptedError):
        async for _ in ring.get_provider("one").chat_stream(request):
            pass
    assert len(fake_provider.received) == 1
