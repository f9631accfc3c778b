"""Whoever can write to the Redis that keeps shared limits can hold a target up for minutes, and stop none of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.resilience.redis_server import RedisServer

from llmring import LLMRequest, LLMRing
from llmring.calls.limit_script import SCRIPT, Granted, read_reply, write_arguments
from llmring.calls.shared_limits import SharedLimits
from llmring.resilience.breaker import Scope, Transition
from llmring.resilience.lease import Parcel, Rates, Wish
from llmring.resilience.policy import BreakerPolicy, RateLimits
from llmring.testing import FakeProvider

LIMITS = RateLimits(requests_per_minute=60_000, tokens_per_minute=60_000_000)
RATES = Rates(0.001, 10, 1e-6, 10_000)
CAP_S = 30.0
MOST_DUE_S = 600.0
VALUES = (
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e300",
    "-1e300",
    "9e16",
    "-9e16",
    "0x7fffffffffffffff",
    "",
    "x",
    "1 2",
    "9" * 400,
)


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer() as server:
        yield server


@pytest.fixture
async def client(redis: RedisServer) -> AsyncIterator[Any]:
    made: Any = Redis.from_url(redis.url)  # pyright: ignore[reportUnknownMemberType]: its options are untyped
    yield made
    await made.aclose()


def make_ring(fake: FakeProvider, redis: RedisServer, told: list[Transition], breaker: BreakerPolicy) -> LLMRing:
    return LLMRing(
        limits=SharedLimits(redis.url, LIMITS),
        providers={"metered": {"base_url": fake.base_url, "api_key": "sk-any"}},
        breaker=breaker,
        on_transition=told.append,
        dotenv=False,
    )


ASK = LLMRequest(model="metered:m", messages="Hi")


@pytest.mark.spec("B25")
async def test_whatever_stands_in_redis_nobody_is_put_off_for_longer_than_minutes(client: Any) -> None:
    script = client.register_script(SCRIPT)
    wish = Wish((Parcel(1, 10.0),), 0, 0.0, 0.0, False)

    async def ask() -> Granted:
        return read_reply(
            await script(keys=["{k}", "{k}:workers"], args=write_arguments("w", wish, RATES, 0.25, CAP_S))
        )

    for field in ("requests", "tokens", "pause", "seen"):
        for value in VALUES:
            await client.delete("{k}")
            await ask()
            await client.hset("{k}", field, value)
            granted = await ask()
            assert 0 <= granted.pause_s <= CAP_S, (field, value)
            assert all(due_s <= MOST_DUE_S for due_s in granted.due_after_s), (field, value)
            assert granted.pause_s or granted.due_after_s, (field, value)
            # What is written back is a moment that comes, not one that each call puts off.
            kept = {name: float(text) for name, text in (await client.hgetall("{k}")).items()}
            again = await ask()
            assert again.pause_s <= granted.pause_s, (field, value)
            ahead_us = [kept[name] - kept[b"seen"] for name in (b"requests", b"tokens", b"pause")]
            assert all(us <= (MOST_DUE_S + 1) * 1e6 for us in ahead_us), (field, value, ahead_us)
            assert 0 < await client.pttl("{k}") <= (MOST_DUE_S + 200) * 1000, (field, value)


@pytest.mark.spec("B25")
async def test_workers_that_nobody_has_seen_yet_are_none(client: Any) -> None:
    script = client.register_script(SCRIPT)
    await client.zadd("{k}:workers", {f"w{number}": 9e15 for number in range(2000)})
    wish = Wish((), 0, 0.0, 0.0, False)
    args = write_arguments("w", wish, RATES, 0.25, CAP_S)
    assert read_reply(await script(keys=["{k}", "{k}:workers"], args=args)).workers == 1
    seconds, microseconds = await client.time()
    now_us = seconds * 1_000_000 + microseconds
    await client.zadd("{k}:workers", {f"w{number}": now_us for number in range(2000)})
    assert read_reply(await script(keys=["{k}", "{k}:workers"], args=args)).workers == 1000


@pytest.mark.parametrize(
    "reply", [None, [], [1], [0, 0], [1, -1], [1, 0, -1], [1, 0, 10**18], [1, 0, "5"], [1, 0, 1.5], "OK"]
)
def test_an_answer_that_the_script_does_not_give_is_none(reply: object) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        read_reply(reply)


@pytest.mark.spec("B25")
async def test_a_pause_that_somebody_wrote_lasts_no_longer_than_a_servers(
    fake_provider: FakeProvider, redis: RedisServer, client: Any
) -> None:
    told: list[Transition] = []
    async with make_ring(fake_provider, redis, told, BreakerPolicy(pause_cap_s=0.3)) as ring:
        await ring.chat(ASK)
        (name,) = [name async for name in client.scan_iter(_type="HASH")]
    async with make_ring(fake_provider, redis, told, BreakerPolicy(pause_cap_s=0.3)) as ring, asyncio.timeout(10):
        await client.hset(name, "pause", "9e16")
        assert (await ring.chat(ASK)).content
        assert (await ring.chat(ASK)).content
    (paused,) = [transition for transition in told if transition.scope is Scope.QUOTA]
    assert paused.retry_in_s is not None
    assert paused.retry_in_s <= 0.3


@pytest.mark.spec("B25")
@pytest.mark.parametrize("kind", ["HASH", "ZSET"])
async def test_a_value_of_another_type_is_an_outage_that_is_told(
    kind: str, fake_provider: FakeProvider, redis: RedisServer, client: Any
) -> None:
    told: list[Transition] = []
    async with make_ring(fake_provider, redis, told, BreakerPolicy()) as ring:
        await ring.chat(ASK)
        (name,) = [name async for name in client.scan_iter(_type=kind)]
    async with make_ring(fake_provider, redis, told, BreakerPolicy()) as ring, asyncio.timeout(10):
        await client.set(name, "sk-canary")
        for _ in range(3):
            assert (await ring.chat(ASK)).content
        shared = ring.health().shared_limits
    assert shared is not None
    assert not shared.shared
    assert "ResponseError" in shared.reason
    assert [transition.scope for transition in told] == [Scope.SHARED_LIMITS]
    assert "canary" not in f"{told}{shared}"
