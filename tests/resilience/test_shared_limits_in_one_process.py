"""Shared limits without other processes: what is told of Redis, what is kept there, and what a call waits for."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.lockfile.locks import lock as lock_of_aliases
from tests.resilience.redis_server import RedisServer

from llmring import ConfigurationError, LLMRequest, LLMRing
from llmring.calls.shared_limits import SharedLimits
from llmring.lockfile.render import render_lock
from llmring.resilience.breaker import BreakerState, Scope, Transition
from llmring.resilience.policy import RateLimits, RetryPolicy
from llmring.schemas.usage import Usage
from llmring.testing import Answer, FakeProvider
from llmring.testing.steps import Fault

KEY = "sk-canary-0123456789"
PASSWORD = "pw-canary-0123456789"
FAST = RateLimits(requests_per_minute=60_000)


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer(PASSWORD) as server:
        yield server


def make_ring(
    fake: FakeProvider, limits: SharedLimits, told: list[Transition] | None = None, key: str = KEY
) -> LLMRing:
    return LLMRing(
        limits=limits,
        providers={"metered": {"base_url": fake.base_url, "api_key": key}},
        on_transition=None if told is None else told.append,
    )


def ask(text: str = "Hello", max_tokens: int | None = None) -> LLMRequest:
    return LLMRequest(model="metered:model-canary", messages=text, max_tokens=max_tokens)


async def test_without_redis_calls_are_answered_and_it_is_said_once(
    fake_provider: FakeProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Transition] = []
    limits = SharedLimits(f"unix://:{PASSWORD}@{tmp_path}/nobody", FAST, workers=4)
    with caplog.at_level(logging.DEBUG):
        async with make_ring(fake_provider, limits, told) as ring:
            for _ in range(5):
                assert (await ring.chat(ask())).content
            shared = ring.health().shared_limits
    assert [(t.scope, t.old, t.new) for t in told] == [(Scope.SHARED_LIMITS, BreakerState.CLOSED, BreakerState.OPEN)]
    assert "1/4" in told[0].reason
    assert shared is not None
    assert not shared.shared
    assert shared.reason == told[0].reason
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ["llmring.resilience"]
    for shown in (caplog.text, repr(told), repr(shared), repr(limits), repr(ring.health().to_dict())):
        assert PASSWORD not in shown
        assert KEY not in shown


async def test_a_redis_that_never_answers_holds_one_call_up_for_the_timeout_and_none_after_it(
    fake_provider: FakeProvider, tmp_path: Path
) -> None:
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_unix_server(lambda _, writer: connections.append(writer), tmp_path / "mute")
    try:
        limits = SharedLimits(f"unix://{tmp_path}/mute", FAST, timeout_s=0.3)
        async with make_ring(fake_provider, limits) as ring:
            started = time.monotonic()
            await ring.chat(ask())
            first_s = time.monotonic() - started
            for _ in range(3):
                await ring.chat(ask())
            others_s = time.monotonic() - started - first_s
    finally:
        for connection in connections:
            connection.close()
        server.close()
        await server.wait_closed()
    assert 0.3 <= first_s < 0.6
    assert others_s < 0.3


async def test_a_password_that_is_refused_is_an_outage_that_says_so_and_shows_it_nowhere(
    fake_provider: FakeProvider, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Transition] = []
    limits = SharedLimits(redis.url.replace(PASSWORD, "wrong-canary-99"), FAST)
    with caplog.at_level(logging.DEBUG):
        async with make_ring(fake_provider, limits, told) as ring:
            await ring.chat(ask())
    assert "AuthenticationError" in told[0].reason
    assert "wrong-canary-99" not in caplog.text + repr(told)


async def test_redis_holds_no_key_and_no_name_and_one_account_is_one_quota(
    fake_provider: FakeProvider, redis: RedisServer
) -> None:
    client: Any = Redis.from_url(redis.url)  # pyright: ignore[reportUnknownMemberType]: its options are untyped
    names: list[set[bytes]] = []
    for key in (KEY, KEY, "sk-another-0123456789"):
        async with make_ring(fake_provider, SharedLimits(redis.url, FAST), key=key) as ring:
            await ring.chat(ask())
            assert (health := ring.health().shared_limits) is not None
            assert health.shared
        names.append({name async for name in client.scan_iter()})
    kept = b"".join([*names[2], *[await client.dump(name) or b"" for name in names[2]]])
    left = [await client.pttl(name) for name in names[2]]
    await client.aclose()
    assert len(names[0]) == 2
    assert names[1] == names[0]
    assert len(names[2]) == 4
    for secret in (KEY, PASSWORD, "canary", "metered", fake_provider.base_url):
        assert secret.encode() not in kept
    assert all(0 < milliseconds <= 200_000 for milliseconds in left)


async def test_tokens_that_one_used_beyond_its_estimate_the_other_waits_for(
    fake_provider: FakeProvider, redis: RedisServer
) -> None:
    # Two thousand a second: after 2,000, nothing goes for a second, but for what is a burst.
    limits = SharedLimits(redis.url, RateLimits(tokens_per_minute=120_000))
    async with make_ring(fake_provider, limits) as one, make_ring(fake_provider, limits) as other:
        await other.chat(ask(max_tokens=10))
        fake_provider.script(Answer("ok", usage=Usage(prompt_tokens=1000, completion_tokens=1000)))
        await one.chat(ask(max_tokens=10))
        started = time.monotonic()
        while time.monotonic() - started < 0.1:  # until it has told
            await asyncio.sleep(0.01)
        await other.chat(ask(max_tokens=10))
        waited_s = time.monotonic() - started
    assert waited_s > 0.5


async def test_a_pause_that_is_called_off_by_hand_does_not_come_back(
    fake_provider: FakeProvider, redis: RedisServer
) -> None:
    told: list[Transition] = []
    limits = SharedLimits(redis.url, FAST)
    async with make_ring(fake_provider, limits, told) as one, make_ring(fake_provider, limits, told) as other:
        fake_provider.script(Fault.status(429, headers={"retry-after": "600"}), Answer("ok"))
        for ring in (one, other):
            with pytest.raises(Exception, match=r".*") as caught:
                await ring.chat(ask().model_copy(update={"retry": RetryPolicy(max_rate_limit_wait_s=1)}))
            assert caught.type.__name__ in ("ProviderRateLimitError", "CircuitBreakerError")
        assert len(fake_provider.received) == 1
        assert [t.reason for t in told if t.scope is Scope.QUOTA][1] == "another process was told to wait"
        one.restore("metered")
        assert (await one.chat(ask())).content == "ok"
        other.restore("metered")
        assert (await other.chat(ask())).content == "ok"


async def test_a_server_whose_clock_was_set_back_keeps_nobody_waiting(
    fake_provider: FakeProvider, redis: RedisServer
) -> None:
    client: Any = Redis.from_url(redis.url)  # pyright: ignore[reportUnknownMemberType]: its options are untyped
    async with make_ring(fake_provider, SharedLimits(redis.url, FAST, lease_s=0.05)) as ring:
        await ring.chat(ask())
        for name in [name async for name in client.scan_iter(_type="HASH")]:
            for field in ("requests", "tokens", "seen"):
                await client.hincrby(name, field, 3_600_000_000)  # an hour: so it looks to a clock that went back
        started = time.monotonic()
        for _ in range(3):
            await ring.chat(ask())
    await client.aclose()
    assert time.monotonic() - started < 1


def test_a_target_can_be_restored_outside_of_any_event_loop() -> None:
    ring = LLMRing(limits=SharedLimits("redis://127.0.0.1:1", FAST))
    ring.restore("openai:gpt-4o")
    assert [target.model for target in ring.health().targets] == ["gpt-4o"]


async def test_a_limit_on_requests_in_flight_alone_asks_nobody(fake_provider: FakeProvider, tmp_path: Path) -> None:
    limits = SharedLimits(f"unix://{tmp_path}/nobody", RateLimits(max_concurrent=2))
    told: list[Transition] = []
    async with make_ring(fake_provider, limits, told) as ring:
        await ring.chat(ask())
    assert told == []


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match="redis") as caught:
        SharedLimits("redis://127.0.0.1", FAST)
    assert caught.value.hint is not None
    assert "[redis]" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (f"http://:{PASSWORD}@127.0.0.1", {}),
        (f"redis://:{PASSWORD}@127.0.0.1:port", {}),
        ("redis://127.0.0.1", {"workers": 0}),
        ("redis://127.0.0.1", {"lease_s": 60}),
        ("redis://127.0.0.1", {"timeout_s": 0}),
    ],
)
def test_what_cannot_work_is_said_before_any_call(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SharedLimits(url, FAST, **options)
    assert "SharedLimits." in caught.value.message
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"


async def test_a_redis_whose_answers_take_longer_than_a_lease_is_no_redis(
    fake_provider: FakeProvider, redis: RedisServer, tmp_path: Path
) -> None:
    told: list[Transition] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(delay_s)
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(redis.url.partition("@")[2])
        await asyncio.gather(pass_on(reader, back, 0), pass_on(there, writer, 0.1))

    server = await asyncio.start_unix_server(connect, tmp_path / "slow")
    limits = SharedLimits(f"unix://:{PASSWORD}@{tmp_path}/slow", FAST, lease_s=0.05, timeout_s=5)
    async with make_ring(fake_provider, limits, told) as ring:
        await asyncio.wait_for(ring.chat(ask()), 4)
    server.close()
    assert [t.new for t in told] == [BreakerState.OPEN]
    assert "TimeoutError" in told[0].reason


async def test_forked_processes_count_as_several(
    fake_provider: FakeProvider, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_ring(fake_provider, SharedLimits(redis.url, FAST, lease_s=0.05)) as ring:
        for process in (1, 2, 3):
            # Of this module alone: the package redis looks at it as well.
            monkeypatch.setattr(
                "llmring.calls.shared_limits.os", SimpleNamespace(getpid=lambda process=process: process)
            )
            health = None
            for _ in range(100):  # until what was leased before is used up or over
                await ring.chat(ask())
                health = ring.health().shared_limits
                assert health is not None
                if health.workers == process:
                    break
                await asyncio.sleep(0.01)
            assert health is not None
            assert health.workers == process


async def test_who_waits_when_the_ring_is_closed_is_told_so(fake_provider: FakeProvider, redis: RedisServer) -> None:
    ring = make_ring(fake_provider, SharedLimits(redis.url, RateLimits(requests_per_minute=60)))
    await ring.chat(ask())
    waiting = [asyncio.ensure_future(ring.chat(ask())) for _ in range(5)]
    await asyncio.sleep(0.05)
    await ring.close()
    found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 2)
    assert {type(one).__name__ for one in found} <= {"ServiceClosedError", "LLMResponse"}
    assert any(isinstance(one, Exception) for one in found)


async def ask_pool(ring: LLMRing) -> str:
    return (await ring.chat(LLMRequest(model="pool", messages="Hello"))).model


@pytest.mark.parametrize("second", [{}, {"metered:second": RateLimits(requests_per_minute=60)}], ids=["free", "shared"])
async def test_the_first_model_is_asked_and_the_second_while_the_first_ones_shared_limits_are_reached(
    fake_provider: FakeProvider, redis: RedisServer, tmp_path: Path, second: dict[str, RateLimits]
) -> None:
    pool = lock_of_aliases({"pool": "metered:first metered:second"})
    (tmp_path / "llmring.lock").write_bytes(render_lock(pool))
    limits = SharedLimits(redis.url, {"metered:first": RateLimits(requests_per_minute=60), **second}, lease_s=1)
    async with LLMRing(
        lockfile_path=tmp_path / "llmring.lock",
        limits=limits,
        providers={"metered": {"base_url": fake_provider.base_url, "api_key": KEY}},
    ) as ring:
        assert [await ask_pool(ring), await ask_pool(ring)] == ["first", "second"]
        await asyncio.sleep(1.3)  # more than what one takes: (60 s and a lease) / 60
        assert await ask_pool(ring) == "first"
