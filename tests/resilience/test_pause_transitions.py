"""A server's pause as whoever listens hears of it: when it begins, when it gets longer, and that it is over."""

from __future__ import annotations

from typing import Any

import pytest
from tests.resilience.metered import Metered, metered_ring, run_all

from llmring import ConfigurationError, LLMRing, ProviderRateLimitError, RateLimits, RetryPolicy, Transition
from llmring.testing import FakeClock

NO_WAIT = RetryPolicy(attempts=1, max_rate_limit_wait_s=0)


def limited(retry_after_s: float) -> ProviderRateLimitError:
    return ProviderRateLimitError("slow down", status=429, retry_after_s=retry_after_s)


async def refuse(ring: LLMRing, clock: FakeClock, provider: Metered, *errors: Exception) -> None:
    """Calls that are in flight at once, and end with these errors a second later."""
    left = iter(errors)
    provider.judge = lambda request: next(left)
    provider.latency_s = 1.0
    found = await run_all(clock, [ring.chat("metered:m", "Hi") for _ in errors], at_most_s=2)
    assert all(isinstance(one, ProviderRateLimitError) for one in found)
    provider.judge = lambda request: None
    provider.latency_s = 0.0


@pytest.mark.parametrize("limits", [None, RateLimits(max_concurrent=5)], ids=["free", "limited"])
async def test_its_end_is_told_by_the_next_call(limits: RateLimits | None) -> None:
    clock, told = FakeClock(), list[Transition]()
    provider = Metered(clock)
    async with metered_ring(clock, provider, retry=NO_WAIT, on_transition=told.append, limits=limits) as ring:
        await refuse(ring, clock, provider, limited(5))
        clock.advance(6)
        await ring.chat("metered:m", "Hi")
        await ring.chat("metered:m", "Hi")
    changes = [(one.scope, one.target, one.old, one.new, one.retry_in_s) for one in told]
    assert changes == [
        ("quota", "metered:m", "closed", "open", 5),
        ("quota", "metered:m", "open", "closed", None),
    ]
    assert told[1].reason == "the pause is over"


async def test_a_longer_one_begins_where_one_is_under_way() -> None:
    clock, told = FakeClock(), list[Transition]()
    provider = Metered(clock)
    async with metered_ring(clock, provider, retry=NO_WAIT, on_transition=told.append) as ring:
        await refuse(ring, clock, provider, limited(5), limited(9), limited(3))
        clock.advance(10)
        await ring.chat("metered:m", "Hi")
    assert [(one.old, one.new, one.retry_in_s) for one in told] == [
        ("closed", "open", 5),
        ("open", "open", 9),
        ("open", "closed", None),
    ]


async def test_restored_by_hand_it_is_over_at_once() -> None:
    clock, told = FakeClock(), list[Transition]()
    provider = Metered(clock)
    async with metered_ring(clock, provider, retry=NO_WAIT, on_transition=told.append) as ring:
        await refuse(ring, clock, provider, limited(5))
        ring.restore("metered:m")
        assert [(one.old, one.new) for one in told] == [("closed", "open"), ("open", "closed")]
        await ring.chat("metered:m", "Hi")
        assert len(told) == 2


async def waits(change: Transition) -> None: ...


@pytest.mark.parametrize("given", [waits, "a name"], ids=["coroutine function", "text"])
def test_who_cannot_be_called_there_is_refused_at_once(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_transition: a plain function"):
        LLMRing(on_transition=given, dotenv=False)
