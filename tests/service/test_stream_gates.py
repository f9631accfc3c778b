"""However a stream ends, its target hears of it once: nothing stays in flight, no lease is kept, and only the provider's faults count."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from llmring import (
    ChatStream,
    LLMRequest,
    LLMRing,
    LLMRingError,
    SchemaValidationError,
    StreamInterruptedError,
    Timeouts,
)
from llmring.exceptions import DeadlineExceededError, ModelDriftError, ProviderResponseError, ProviderTimeoutError
from llmring.resilience.board import TargetHealth
from llmring.resilience.breaker import Scope
from llmring.resilience.policy import BreakerPolicy
from llmring.schemas.retry import RetryPolicy
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
End = Callable[[LLMRing, FakeProvider, FakeClock], Awaitable[None]]
LONG = Answer("one two three four five six")


def target_of(ring: LLMRing, model: str = "m1") -> TargetHealth:
    (found,) = [target for target in ring.health().targets if target.model == model]
    return found


async def read_one(ring: LLMRing, request: LLMRequest | None = None) -> None:
    """Up to the first content, and then no further."""
    async with ring.chat_stream(request or LLMRequest(model="fast", messages="Hi")) as stream:
        async for chunk in stream:
            if chunk.delta:
                return


async def begin(
    ring: LLMRing, fake: FakeProvider, clock: FakeClock, request: LLMRequest
) -> tuple[ChatStream, asyncio.Task[None]]:
    """A stream that stalls after its first content, and the task that waits for more."""
    fake.script(Fault.stall(3, LONG))
    stream = ring.chat_stream(request)
    await anext(stream)
    await fake.wait_held()

    async def read() -> None:
        async for _ in stream:
            pass

    reader = asyncio.create_task(read())
    await clock.run_until_idle()
    return stream, reader


async def to_its_end(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    async for _ in ring.chat_stream("fast", "Hi"):
        pass


async def by_a_break(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.stall(3, LONG))
    await read_one(ring)


async def by_aclose(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.stall(3, LONG))
    stream = ring.chat_stream("fast", "Hi")
    await anext(stream)
    assert target_of(ring).in_flight == 1
    await stream.aclose()
    await stream.aclose()


async def by_aclose_while_another_task_waits(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    stream, reader = await begin(ring, fake, clock, LLMRequest(model="fast", messages="Hi"))
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await reader


async def by_aclose_before_the_first_content(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.hang())
    stream = ring.chat_stream("fast", "Hi")
    reader = asyncio.create_task(anext(stream))
    await fake.wait_held()
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await reader
    assert not reader.cancelling()
    await fake.wait_disconnected()


async def by_aclose_in_a_line(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    await read_one(ring)
    fake.received.clear()
    fake.script(Fault.status(429, headers={"retry-after": "20"}), model="m1")
    stream = ring.chat_stream(LLMRequest(model="fast", messages="Hi", retry=RetryPolicy()))
    reader = asyncio.create_task(anext(stream))
    while not fake.received or target_of(ring).in_flight:
        await asyncio.sleep(0)
    await clock.run_until_idle()
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await reader
    clock.advance(30)
    await clock.run_until_idle()
    assert len(fake.received) == 1  # what has been closed is not asked again
    ring.restore("one")


async def by_a_cancellation_and_aclose_at_once(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.hang())
    stream = ring.chat_stream("fast", "Hi")
    reader = asyncio.create_task(anext(stream))
    await fake.wait_held()
    reader.cancel()
    await stream.aclose()
    with pytest.raises(asyncio.CancelledError):  # the caller's own wins
        await reader


async def by_cancelling(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    _, reader = await begin(ring, fake, clock, LLMRequest(model="fast", messages="Hi"))
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def by_cancelling_before_the_first_content(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.hang())
    reader = asyncio.create_task(anext(ring.chat_stream("fast", "Hi")))
    await fake.wait_held()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def by_losing_its_last_reference(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.stall(3, LONG))
    stream = ring.chat_stream("fast", "Hi")
    await anext(stream)
    del stream
    await fake.wait_disconnected()


async def by_being_collected_in_a_cycle(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.stall(3, LONG))
    stream = ring.chat_stream("fast", "Hi")
    await anext(stream)
    cycle: list[object] = [stream]
    cycle.append(cycle)
    del stream, cycle
    gc.collect()
    await fake.wait_disconnected()


async def by_never_being_begun(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    await read_one(ring)  # so that the target is known
    stream = ring.chat_stream("fast", "Hi")
    await stream.aclose()
    ring.chat_stream("fast", "Hi")


async def by_drift(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Answer("hm", model="somebody-else"))
    with pytest.raises(ModelDriftError):
        async for _ in ring.chat_stream("fast", "Hi", profile="strict"):
            pass


async def by_its_deadline(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    _, reader = await begin(ring, fake, clock, LLMRequest(model="fast", messages="Hi", deadline=7))
    clock.advance(7)
    with pytest.raises(DeadlineExceededError):
        await reader


async def by_its_deadline_before_the_first_content(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.hang())
    reader = asyncio.create_task(anext(ring.chat_stream(LLMRequest(model="fast", messages="Hi", deadline=7))))
    await fake.wait_held()
    clock.advance(7)
    with pytest.raises(DeadlineExceededError):
        await reader


async def by_an_answer_that_does_not_fit(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    class Wanted(BaseModel):
        number: int

    fake.script(Answer('{"number": "none"}'))
    with pytest.raises(SchemaValidationError):
        async for _ in ring.chat_stream(LLMRequest(model="fast", messages="Hi", response_format=Wanted)):
            pass


async def by_closing_the_ring(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.stall(3, LONG))
    stream = ring.chat_stream("fast", "Hi")
    await anext(stream)
    await ring.close()
    with pytest.raises(Exception, match="closed"):
        async for _ in stream:
            pass


async def by_the_idle_clock(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    request = LLMRequest(model="fast", messages="Hi", timeout=Timeouts(idle=5))
    _, reader = await begin(ring, fake, clock, request)
    clock.advance(5)
    with pytest.raises(StreamInterruptedError, match="nothing more within 5 s"):
        await reader


async def by_the_first_token_clock(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.hang())
    request = LLMRequest(model="fast", messages="Hi", timeout=Timeouts(first_token=5))
    reader = asyncio.create_task(anext(ring.chat_stream(request)))
    await fake.wait_held()
    clock.advance(5)
    with pytest.raises(ProviderTimeoutError):
        await reader


async def by_a_cut(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.cut(3, "rst", LONG))
    with pytest.raises(StreamInterruptedError):
        await to_its_end(ring, fake, clock)


async def by_an_error_in_the_stream(ring: LLMRing, fake: FakeProvider, clock: FakeClock) -> None:
    fake.script(Fault.error_in_stream(3, answer=LONG))
    with pytest.raises(ProviderResponseError):
        await to_its_end(ring, fake, clock)


NEUTRAL: list[End] = [
    to_its_end,
    by_a_break,
    by_aclose,
    by_aclose_while_another_task_waits,
    by_aclose_before_the_first_content,
    by_aclose_in_a_line,
    by_a_cancellation_and_aclose_at_once,
    by_cancelling,
    by_cancelling_before_the_first_content,
    by_losing_its_last_reference,
    by_being_collected_in_a_cycle,
    by_never_being_begun,
    by_drift,
    by_its_deadline,
    by_its_deadline_before_the_first_content,
    by_an_answer_that_does_not_fit,
    by_closing_the_ring,
]
FAULTS: list[End] = [by_the_idle_clock, by_the_first_token_clock, by_a_cut, by_an_error_in_the_stream]

STRICT = """
[profiles.strict]
name = "strict"
on_drift = "fail"

[[profiles.strict.bindings]]
alias = "fast"
models = ["one:m1"]
"""


def name_of(end: End) -> str:
    return getattr(end, "__name__", "?")


@pytest.mark.spec("U31", "B22")
@pytest.mark.parametrize("end", [*NEUTRAL, *FAULTS], ids=name_of)
async def test_a_stream_that_has_ended_leaves_nothing_in_flight(
    end: End, make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock, lock: Path
) -> None:
    """One that was settled twice would stand at -1. The breaker opens at the first failure: what is no failure opens nothing."""
    lock.write_text(lock.read_text() + STRICT)
    tasks = asyncio.all_tasks()
    ring = make_ring(
        clock=fake_clock, retry=RetryPolicy(attempts=1), breaker=BreakerPolicy(consecutive_failures=1, jitter=0)
    )
    await end(ring, fake_provider, fake_clock)
    await fake_clock.run_until_idle()
    target = target_of(ring)
    assert target.in_flight == 0
    assert [gate.scope for gate in target.gates if gate.state != "closed"] == ([Scope.MODEL] if end in FAULTS else [])
    await fake_provider.close()
    assert asyncio.all_tasks() == tasks


@pytest.mark.spec("U31")
async def test_a_probe_that_is_left_gives_its_lease_back_and_one_that_has_content_closes_the_breaker(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(
        clock=fake_clock, retry=RetryPolicy(attempts=1), breaker=BreakerPolicy(consecutive_failures=1, jitter=0)
    )
    await by_a_cut(ring, fake_provider, fake_clock)
    fake_clock.advance(5)
    await by_cancelling_before_the_first_content(ring, fake_provider, fake_clock)
    states = [gate.state for gate in target_of(ring).gates if gate.scope is Scope.MODEL]
    assert (states, target_of(ring).available) == (["half_open"], True), "the next one may probe at once"
    _, reader = await begin(ring, fake_provider, fake_clock, LLMRequest(model="fast", messages="Hi"))
    states = [gate.state for gate in target_of(ring).gates if gate.scope is Scope.MODEL]
    assert states == ["closed"], "its first content is all that a probe has to show"
    reader.cancel()
    await asyncio.wait([reader])
    assert target_of(ring).in_flight == 0


@pytest.mark.spec("U31")
async def test_streams_that_begin_late_open_the_breaker(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock)
    await to_its_end(ring, fake_provider, fake_clock)  # what is usual
    fake_provider.script(Fault.hang())
    readers = [asyncio.create_task(to_its_end(ring, fake_provider, fake_clock)) for _ in range(12)]
    await fake_provider.wait_held(12)
    fake_clock.advance(25)
    fake_provider.release()
    await asyncio.gather(*readers)
    (gate,) = [gate for gate in target_of(ring).gates if gate.scope is Scope.MODEL]
    assert gate.state == "open"
    assert "streams began late" in gate.reason


@pytest.mark.spec("U31")
async def test_streams_that_break_off_open_the_breaker(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.cut(3, answer=LONG))
    for _ in range(5):
        with pytest.raises(StreamInterruptedError):
            async for _ in ring.chat_stream("fast", "Hi"):
                pass
    (gate,) = [gate for gate in target_of(ring).gates if gate.scope is Scope.MODEL]
    assert (gate.state, target_of(ring).in_flight) == ("open", 0)
    assert len(fake_provider.received) == 5, "content has come: nothing is asked twice"


Fail = Callable[[LLMRing, FakeProvider], Awaitable[object]]


async def a_cut(ring: LLMRing, fake: FakeProvider) -> object:
    fake.script(Fault.cut(3, answer=LONG))
    return await read_all(ring, LLMRequest(model="fast", messages="Hi"))


async def a_cut_and_no_restart(ring: LLMRing, fake: FakeProvider) -> object:
    fake.script(Fault.cut(3, answer=LONG), Fault.status(401))
    return await read_all(ring, LLMRequest(model="pool", messages="Hi", on_interrupt="restart"))


async def a_refused_pool(ring: LLMRing, fake: FakeProvider) -> object:
    fake.script(Fault.status(500))
    return await ring.chat(LLMRequest(model="pool", messages="Hi", retry=RetryPolicy(attempts=1)))


async def a_mistake(ring: LLMRing, fake: FakeProvider) -> object:
    fake.script(Fault.status(400))
    return await ring.chat("fast", "Hi")


async def a_refused_hedge(ring: LLMRing, fake: FakeProvider) -> object:
    fake.script(Answer())
    retry = RetryPolicy(attempts=1, hedge=True)
    for _ in range(20):
        await ring.chat(LLMRequest(model="fast", messages="Hi", retry=retry))
    fake.script(Fault.status(500))
    return await ring.chat(LLMRequest(model="fast", messages="Hi", retry=retry))


async def no_server(ring: LLMRing, fake: FakeProvider) -> object:
    await fake.close()
    return await ring.chat(LLMRequest(model="fast", messages="Hi", retry=RetryPolicy(attempts=1)))


async def read_all(ring: LLMRing, request: LLMRequest) -> object:
    return [chunk async for chunk in ring.chat_stream(request)]


@pytest.mark.parametrize("fail", [a_cut, a_cut_and_no_restart, a_refused_pool, a_mistake, a_refused_hedge, no_server])
async def test_an_error_that_nobody_holds_is_gone_at_once(
    fail: Fail, ring: LLMRing, fake_provider: FakeProvider
) -> None:
    """An error keeps the frames that it went through, and these the connection and the prompt: where one of them kept the error in
    turn, all would stay until garbage is collected. At a bad hour that is every call."""
    found: weakref.ref[LLMRingError] | None = None
    gc.collect()
    gc.disable()
    try:
        try:
            await fail(ring, fake_provider)
        except LLMRingError as error:
            found = weakref.ref(error)
        await asyncio.sleep(0)
        assert found is not None
        assert found() is None
    finally:
        gc.enable()
