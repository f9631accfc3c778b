"""close() while calls wait in a line, between attempts, or for what many calls want: each of them ends at once, and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, RateLimits, RetryPolicy, ServiceClosedError
from llmring.calls.waiting import Together
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
SLOW = RateLimits(requests_per_minute=1)


async def ask(ring: LLMRing, stream: bool) -> None:
    request = LLMRequest(model="fast", messages="Hi")
    if stream:
        async for _ in ring.chat_stream(request):
            pass
    else:
        await ring.chat(request)


async def close_under(ring: LLMRing, clock: FakeClock, calls: list[asyncio.Task[None]]) -> None:
    """The clock stands still: whoever waits for it now would wait for ever."""
    await clock.wait_timers()
    await clock.run_until_idle()
    assert not any(call.done() for call in calls)
    await ring.close()
    await clock.run_until_idle()
    assert {type(call.exception()) for call in calls} == {ServiceClosedError}
    (target,) = ring.health().targets
    assert (target.in_flight, target.waiting) == (0, 0)


both = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])


@both
@pytest.mark.parametrize("given", [{"limits": SLOW}, {"ring_limits": SLOW}], ids=["limits", "ring_limits"])
async def test_in_a_line(stream: bool, given: dict[str, Any], make_ring: MakeRing, fake_clock: FakeClock) -> None:
    ring = make_ring(clock=fake_clock, **given)
    await ask(ring, stream)
    await close_under(ring, fake_clock, [asyncio.create_task(ask(ring, stream)) for _ in range(3)])


@both
@pytest.mark.parametrize(("status", "headers"), [(500, {}), (503, {"retry-after": "20"}), (429, {"retry-after": "20"})])
async def test_between_attempts(
    stream: bool,
    status: int,
    headers: dict[str, str],
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
) -> None:
    ring = make_ring(clock=fake_clock, retry=RetryPolicy())
    fake_provider.script(Fault.status(status, headers=headers), Answer("too late"))
    call = asyncio.create_task(ask(ring, stream))
    while not fake_provider.received or fake_clock.next_timer is None or ring.health().targets[0].in_flight:
        await asyncio.sleep(0)
    await close_under(ring, fake_clock, [call])
    assert len(fake_provider.received) == 1


async def test_a_stream_that_was_made_before_does_not_stand_in_line_afterwards(
    make_ring: MakeRing, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock, limits=SLOW)
    await ask(ring, False)
    stream = ring.chat_stream("fast", "Hi")
    await ring.close()
    with pytest.raises(ServiceClosedError):
        await anext(stream)


async def test_for_work_that_is_done_once_for_many_calls() -> None:
    together = Together[int]()
    begun = asyncio.Event()

    async def work() -> int:
        begun.set()
        await asyncio.Event().wait()
        return 1

    callers = [asyncio.create_task(together.run("key", work)) for _ in range(2)]
    await begun.wait()
    await together.close()
    failures = await asyncio.gather(*callers, return_exceptions=True)
    # No cancellation, which nobody has asked for: it would end the caller's own task without a word.
    assert [type(failure) for failure in failures] == [ServiceClosedError] * 2


async def test_a_caller_who_goes_takes_nobody_along() -> None:
    together = Together[int]()
    release = asyncio.Event()

    async def work() -> int:
        await release.wait()
        return 1

    first, second = (asyncio.create_task(together.run("key", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    release.set()
    assert await second == 1
    assert first.cancelled()
