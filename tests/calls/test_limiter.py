"""The limiters that are usable on their own, by a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from llmring import ConfigurationError, ProviderRateLimitError, RateLimiter, RateLimits, TokenBucket
from llmring.testing import FakeClock


def begin(*waiting: Any) -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(one) for one in waiting]


@pytest.mark.spec("B06")
async def test_a_bucket_gives_what_it_holds_at_once_and_then_as_it_is_refilled() -> None:
    clock = FakeClock()
    bucket = TokenBucket(10, refill_per_s=2, clock=clock)
    for _ in range(5):
        await bucket.acquire(2)
    (waiting,) = begin(bucket.acquire(6))
    await clock.advance_async(2.9)
    assert not waiting.done()
    assert bucket.waiting == 1
    await clock.advance_async(0.1)
    assert waiting.done()
    assert bucket.waiting == clock.timers == 0
    await clock.advance_async(1000)  # it holds no more than its capacity
    await bucket.acquire(10)
    (waiting,) = begin(bucket.acquire())
    await clock.advance_async(0.49)
    assert not waiting.done()
    await clock.advance_async(0.01)
    assert waiting.done()


@pytest.mark.spec("B06")
async def test_who_came_first_is_served_first_however_much_is_wanted() -> None:
    clock = FakeClock()
    bucket = TokenBucket(10, refill_per_s=1, clock=clock)
    await bucket.acquire(10)
    served: list[str] = []

    async def take(name: str, tokens: float) -> None:
        await bucket.acquire(tokens)
        served.append(name)

    tasks = begin(take("large", 9), take("small", 1), take("tiny", 0.5))
    await clock.advance_async(8.9)
    assert served == []
    await clock.advance_async(0.1)
    assert served == ["large"]
    await clock.advance_async(2)
    assert served == ["large", "small", "tiny"]
    await asyncio.gather(*tasks)


@pytest.mark.spec("B06")
async def test_a_cancelled_acquire_takes_nothing_even_in_the_moment_of_its_turn() -> None:
    clock = FakeClock()
    bucket = TokenBucket(10, refill_per_s=1, clock=clock)
    await bucket.acquire(10)
    first, second = begin(bucket.acquire(10), bucket.acquire(5))
    await clock.run_until_idle()
    clock.advance(10)  # it is given the tokens, and has not run yet
    first.cancel()
    await clock.run_until_idle()
    assert first.cancelled()
    assert second.done(), "the five that it wants are there"
    (third,) = begin(bucket.acquire(5))
    await clock.run_until_idle()
    assert third.done(), "and the other five of the ten"


@pytest.mark.spec("B06")
async def test_no_capacity_is_no_limit_and_more_than_the_capacity_is_refused() -> None:
    clock = FakeClock()
    unlimited = TokenBucket(0, clock=clock)
    for _ in range(100):
        await unlimited.acquire(1e9)
    assert unlimited.waiting == 0
    bucket = TokenBucket(10, refill_per_s=1, clock=clock)
    with pytest.raises(ConfigurationError, match="11 tokens of a bucket that holds 10"):
        await bucket.acquire(11)
    await bucket.acquire(10)
    for tokens in (-1, float("nan")):
        with pytest.raises(ConfigurationError):
            await bucket.acquire(tokens)
    for capacity, refill_per_s in ((-1, 1), (1, -1), (float("inf"), 1), (1, 0), (True, 1)):
        with pytest.raises(ConfigurationError, match="TokenBucket"):
            TokenBucket(capacity, refill_per_s, clock=clock)


@pytest.mark.spec("B07")
async def test_what_came_out_is_debited_when_the_block_ends() -> None:
    clock = FakeClock()
    limiter = RateLimiter(RateLimits(tokens_per_minute=1000), clock=clock)
    async with limiter.limit(100) as use:
        assert (use.tokens, use.requests, limiter.in_flight) == (100, 1, 1)
        use.output_tokens = 400
    began = clock.monotonic()
    entered: list[float] = []

    async def enter() -> None:
        async with limiter.limit(100):
            entered.append(clock.monotonic() - began)

    tasks = begin(enter(), enter())
    await clock.advance_async(29)
    assert entered == []
    assert limiter.waiting == 2
    await clock.advance_async(10)
    # 500 of 1,000 a minute, and then another 100
    assert entered == [pytest.approx(30, rel=0.05), pytest.approx(36, rel=0.05)]
    await asyncio.gather(*tasks)
    assert limiter.in_flight == 0


@pytest.mark.spec("B07")
async def test_it_is_debited_even_where_the_block_fails_and_a_place_is_given_back() -> None:
    clock = FakeClock()
    limiter = RateLimiter(RateLimits(tokens_per_minute=1000, max_concurrent=1), clock=clock)
    with pytest.raises(ZeroDivisionError):
        async with limiter.limit(10) as use:
            use.output_tokens = 990
            raise ZeroDivisionError
    assert limiter.in_flight == 0

    async def enter() -> None:
        async with limiter.limit(1):
            pass

    (task,) = begin(enter())
    await clock.advance_async(50)
    assert not task.done()
    await clock.advance_async(12)
    assert task.done()


@pytest.mark.spec("B07")
async def test_requests_count_one_by_one_or_several_at_once() -> None:
    clock = FakeClock()
    limiter = RateLimiter(RateLimits(requests_per_minute=10), clock=clock)
    began = clock.monotonic()
    entered: list[float] = []

    async def enter(requests: int) -> None:
        async with limiter.limit(requests=requests):
            entered.append(clock.monotonic() - began)

    tasks = begin(enter(1), enter(5), enter(1))
    await clock.advance_async(60)
    assert entered == [0, pytest.approx(6, rel=0.02), pytest.approx(36, rel=0.02)]
    await asyncio.gather(*tasks)
    with pytest.raises(ProviderRateLimitError, match="requests_per_minute is 10"):
        await enter(11)


@pytest.mark.spec("B07")
async def test_what_never_fits_is_refused_and_what_waits_can_be_cancelled() -> None:
    clock = FakeClock()
    limiter = RateLimiter(RateLimits(tokens_per_minute=1000), clock=clock)
    with pytest.raises(ProviderRateLimitError, match="tokens_per_minute is 1000"):
        async with limiter.limit(1001):
            pass

    async def enter(tokens: float) -> None:
        async with limiter.limit(tokens):
            pass

    await enter(1000)
    first, second = begin(enter(1000), enter(10))
    await clock.advance_async(30)
    first.cancel()
    await clock.advance_async(33)
    assert second.done()
    assert (limiter.in_flight, limiter.waiting, clock.timers) == (0, 0, 0)


@pytest.mark.spec("B01", "B07")
@pytest.mark.parametrize(("at_once", "every_s"), [(50, 60.5), (20, 20.2), (60, 60.5)])
async def test_many_requests_at_once_keep_to_what_is_allowed_in_any_minute(at_once: int, every_s: float) -> None:
    clock = FakeClock()
    limiter = RateLimiter(RateLimits(requests_per_minute=60), clock=clock)
    times: list[float] = []

    async def use() -> None:
        async with limiter.limit(requests=at_once):
            times.append(clock.monotonic())

    tasks = begin(*(use() for _ in range(6)))
    for _ in range(500):
        await clock.advance_async(1)
    await asyncio.gather(*tasks)
    assert max(at_once * sum(at <= other <= at + 60 for other in times) for at in times) <= 60
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx([every_s] * 5, abs=0.2)


@pytest.mark.spec("B07")
@pytest.mark.parametrize("amount", [math.nan, -5])
async def test_what_is_no_amount_is_refused_and_spoils_nothing(amount: float) -> None:
    clock = FakeClock()
    limiter = RateLimiter(RateLimits(requests_per_minute=600, tokens_per_minute=100), clock=clock)
    with pytest.raises(ConfigurationError, match=f"tokens is {amount}"):
        async with limiter.limit(tokens=amount):
            pass
    with pytest.raises(ConfigurationError, match="requests is -1"):
        async with limiter.limit(requests=-1):
            pass
    async with limiter.limit(tokens=100) as use:
        use.output_tokens = amount
    (waiting,) = begin(limiter.limit(tokens=100).__aenter__())
    await clock.advance_async(60)
    assert not waiting.done()
    await clock.advance_async(2)
    assert waiting.done()


@pytest.mark.spec("B01", "B07")
async def test_many_at_once_among_single_ones_keep_to_it_too() -> None:
    clock = FakeClock()
    limiter = RateLimiter(RateLimits(requests_per_minute=60), clock=clock)
    random, taken = Random("batches"), list[tuple[float, int]]()

    async def use(requests: int) -> None:
        async with limiter.limit(requests=requests):
            taken.append((clock.monotonic(), requests))

    tasks = begin(*(use(random.choice((1, 1, 1, 1, 7, 20, 45))) for _ in range(150)))
    while not all(task.done() for task in tasks):
        await clock.advance_async(random.choice((1, 1, 70)))
    assert max(sum(n for other, n in taken if at <= other <= at + 60) for at, _ in taken) <= 60
