"""A metrics exporter's thread, and an operator's: they look at a ring under load, and move its gates by way of its event loop alone."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterable, Iterator
from pathlib import Path

import pytest

from llmring import (
    ConfigurationError,
    CustomProvider,
    LLMRequest,
    LLMResponse,
    LLMRing,
    ProviderAuthenticationError,
    StreamChunk,
)
from llmring.calls.shared_limits import SharedLimits
from llmring.resilience.board import Health
from llmring.resilience.breaker import BreakerState, Transition
from llmring.resilience.policy import RateLimits, RetryPolicy
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

SNAPSHOTS = 60


class Quick(CustomProvider):
    name = "quick"

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        return LLMResponse("fine", finish_reason="stop")

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterable[StreamChunk]:
        yield StreamChunk.done(await self.chat(request))


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns as often as can be."""
    was = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(was)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("shares", [False, True])
async def test_health_is_told_to_another_thread_while_calls_add_targets(shares: bool, tmp_path: Path) -> None:
    limits = SharedLimits(f"unix://{tmp_path}/nobody", RateLimits(requests_per_minute=1e9)) if shares else None
    seen: list[Health] = []
    ended = threading.Event()

    def watch() -> None:
        try:
            while len(seen) < SNAPSHOTS:
                health = ring.health()
                health.to_dict()
                if health.targets:  # calls have begun, and this is not the moment in which all targets were forgotten
                    seen.append(health)
        finally:
            ended.set()

    async with LLMRing(providers={"quick": Quick()}, limits=limits, dotenv=False) as ring:
        watching = asyncio.get_running_loop().run_in_executor(None, watch)
        number = 0
        while not ended.is_set():
            await ring.chat(f"quick:m{number % 300}", "Hi")
            if number % 300 == 0:
                ring.register_provider("quick", Quick())  # which forgets them all
            number += 1
        await watching
    assert len(seen) == SNAPSHOTS
    assert all((health.shared_limits is not None) is shares for health in seen)


async def test_a_look_from_another_thread_moves_no_gate(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_in: list[int] = []

    def hear(transition: Transition) -> None:
        heard_in.append(threading.get_ident())

    monkeypatch.setenv("ONE_KEY", "sk-old-0123456789")
    fake_provider.script(Fault.status(401), Answer("ok"))
    providers = {"one": {"base_url": fake_provider.base_url, "key_variable": "ONE_KEY"}}
    async with LLMRing(providers=providers, on_transition=hear, clock=FakeClock(), dotenv=False) as ring:
        with pytest.raises(ProviderAuthenticationError):
            await ring.chat("one:m", "Hi")
        assert not (await asyncio.to_thread(ring.health)).targets[0].available
        monkeypatch.setenv("ONE_KEY", "sk-new-0123456789")
        (target,) = (await asyncio.to_thread(ring.health)).targets
        assert target.available, "the key has changed: a call would go"
        assert target.gates[0].state is BreakerState.OPEN, "and none has gone yet"
        assert (await ring.chat("one:m", "Hi")).content == "ok"
    assert len(heard_in) == 2
    assert set(heard_in) == {threading.get_ident()}


async def test_gates_are_moved_on_the_rings_loop_alone_and_the_error_says_how(fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("ok"))
    providers = {"one": {"base_url": fake_provider.base_url, "api_key": "any"}}
    async with LLMRing(providers=providers, retry=RetryPolicy(attempts=1), dotenv=False) as ring:
        await ring.chat("one:m", "Hi")
        loop = asyncio.get_running_loop()
        for move, name in ((ring.isolate, "isolate"), (ring.restore, "restore")):
            with pytest.raises(ConfigurationError, match=rf"ring\.{name}\(\).*event loop") as caught:
                await asyncio.to_thread(move, "one")
            assert caught.value.hint is not None
            assert f"call_soon_threadsafe(ring.{name}" in caught.value.hint
        assert ring.health().targets[0].available, "nothing was moved"
        await asyncio.to_thread(loop.call_soon_threadsafe, ring.isolate, "one")
        await asyncio.sleep(0)
        assert not ring.health().targets[0].available
        ring.restore("one")
        assert ring.health().targets[0].available


def test_where_no_calls_run_any_thread_may_move_gates() -> None:
    ring = LLMRing(providers={"quick": Quick()}, dotenv=False)
    asyncio.run(_call(ring))
    moved = threading.Thread(target=ring.isolate, args=("quick",))
    moved.start()
    moved.join()
    assert not ring.health().targets[0].available
    ring.restore("quick")
    asyncio.run(_call(ring))


async def _call(ring: LLMRing) -> None:
    assert (await ring.chat("quick:m", "Hi")).content == "fine"
