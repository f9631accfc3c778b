"""Limits that processes share, with a real Redis server and real processes; the provider is what counts."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tests.resilience.redis_server import RedisServer

from llmring.testing import Answer, FakeProvider
from llmring.testing.fake_provider import Received
from llmring.testing.steps import Fault

PER_MINUTE = 2400
LATE_S = 0.1
LEASE_S = 0.25
WORKER = Path(__file__).parent / "limit_worker.py"


class Meter:
    """Answers for the provider, and knows when which process sent what."""

    def __init__(self, fake: FakeProvider) -> None:
        self.base_url = fake.base_url
        self.sent: list[tuple[float, str]] = []
        self.refuse_next: float | None = None  # with 429, for so many seconds
        self.refused_at = 0.0
        self._wanted: tuple[Callable[[], bool], asyncio.Event] | None = None
        fake.script(self._answer)

    def _answer(self, received: Received) -> Answer | Fault:
        name = str(received.body["messages"][-1]["content"])
        self.sent.append((time.monotonic(), name))
        if self._wanted is not None and self._wanted[0]():
            self._wanted[1].set()
        if self.refuse_next is not None:
            pause_s, self.refuse_next = self.refuse_next, None
            self.refused_at = time.monotonic()
            return Fault.status(429, headers={"retry-after": str(pause_s)})
        return Answer("ok")

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for a request after which it is so."""
        event = asyncio.Event()
        self._wanted = (is_so, event)
        await event.wait()
        self._wanted = None

    async def another(self, count: int) -> list[tuple[float, str]]:
        """The next so many requests."""
        first = len(self.sent)
        await self.until(lambda: len(self.sent) >= first + count)
        return self.sent[first : first + count]

    def times(self, since: float = 0.0) -> list[float]:
        return [at for at, _ in self.sent if at >= since]


class Worker:
    """One process of `limit_worker.py`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self, scope: str, new: str) -> dict[str, Any]:
        """The next transition of this kind that it tells of."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            transition = cast("dict[str, Any]", json.loads(line))
            if (transition["scope"], transition["new"]) == (scope, new):
                return transition
        raise AssertionError("the process has ended")

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


Start = Callable[[str], Awaitable[Worker]]


@asynccontextmanager
async def workers(meter: Meter, redis: RedisServer) -> AsyncGenerator[Start]:
    """Starts processes, and ends them all."""
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Worker:
            given = {
                "name": name,
                "base_url": meter.base_url,
                "redis": redis.url,
                "requests_per_minute": PER_MINUTE,
                "lease_s": LEASE_S,
                "callers": 6,
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                WORKER,
                json.dumps(given),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            worker = Worker(process)
            stack.push_async_callback(worker.kill)
            return worker

        yield start


def share_of_limit(sent: list[tuple[float, str]], late_s: float = LATE_S) -> float:
    """How much of the limit was used. A machine that is busy with other tests may be late at the end: that is no loss."""
    seconds = sent[-1][0] - sent[0][0] - late_s
    return (len(sent) - 1) / seconds * 60 / PER_MINUTE


def most_beyond(times: list[float]) -> float:
    """By how much more came, in whatever window, than a window so long may have: below 0, none has PER_MINUTE in 60 s."""
    burst = PER_MINUTE * 0.01
    per_second = (PER_MINUTE - burst) / (60 + LEASE_S)
    return max(
        place + 1 - first - (burst + (times[place] - times[first] + LEASE_S) * per_second)
        for first in range(len(times))
        for place in range(first, len(times))
    )


def most_in_a_minute(times: list[float]) -> int:
    return max(bisect_right(times, at + 60) - place for place, at in enumerate(times))


@pytest.mark.spec("RT10")
async def test_two_processes_keep_one_limit_through_a_pause_an_outage_and_a_kill_9(
    fake_provider: FakeProvider, scale: float, record_property: Callable[[str, object], None]
) -> None:
    meter = Meter(fake_provider)
    async with RedisServer() as redis, workers(meter, redis) as start:
        both = [await start("a"), await start("b")]
        await meter.until(lambda: len({name for _, name in meter.sent}) == 2)

        together = await meter.another(2600 if scale == 1 else 120)
        assert share_of_limit(together) >= 0.95
        by_process = Counter(name for _, name in together)
        assert min(by_process["a"], by_process["b"]) >= 0.3 * len(together)

        meter.refuse_next = 1.0
        await meter.until(lambda: bool(meter.refused_at))
        paused_at = meter.refused_at
        await meter.until(lambda: meter.sent[-1][0] >= paused_at + 1)
        # Those who have a permit yet may use it, for as long as it is good.
        assert not [at for at in meter.times(paused_at) if paused_at + LEASE_S + 0.3 < at < paused_at + 0.95]

        await redis.kill()
        told = await asyncio.gather(*(worker.told("shared_limits", "open") for worker in both))
        assert all("1/2" in transition["reason"] for transition in told)
        alone = await meter.another(40)
        assert 0.85 < share_of_limit(alone) < 1.15
        assert Counter(name for _, name in alone).keys() == {"a", "b"}

        await redis.start()
        await asyncio.gather(*(worker.told("shared_limits", "closed") for worker in both))
        back = await meter.another(40)
        assert Counter(name for _, name in back).keys() == {"a", "b"}

        # What a process held that dies comes back to the other.
        await both[0].kill()
        await meter.another(round(LEASE_S * PER_MINUTE / 60))
        left = await meter.another(40)
        assert {name for _, name in left} == {"b"}
        assert share_of_limit(left) >= 0.95
    assert most_in_a_minute(meter.times()) <= PER_MINUTE
    assert most_beyond(meter.times()[-1000:]) < 1
    record_property("used", f"{share_of_limit(together, 0):.1%}")
    record_property("most_in_60_s", f"{most_in_a_minute(meter.times())} of {PER_MINUTE}")
    record_property("used_without_redis", f"{share_of_limit(alone, 0):.1%}")
    record_property("used_after_kill_9", f"{share_of_limit(left, 0):.1%}")
