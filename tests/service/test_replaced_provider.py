"""A provider that takes the place of another one of its name, in another region or in the same: what is known of the old one is no word on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmring import LLMRing, RateLimits
from llmring.exceptions import CircuitBreakerError, ProviderAuthenticationError, ProviderError
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
KEY = "k" * 20


@pytest.fixture
async def elsewhere() -> AsyncIterator[FakeProvider]:
    """The same provider in another region."""
    async with FakeProvider() as fake:
        fake.script(Answer("from elsewhere"))
        yield fake


def at(base_url: str, **given: Any) -> dict[str, Any]:
    return {"base_url": base_url, "api_key": KEY, **given}


def shut(ring: LLMRing) -> list[str]:
    return [gate.scope.value for target in ring.health().targets for gate in target.gates if gate.state != "closed"]


async def fail(ring: LLMRing, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ProviderError):
            await ring.chat("one:m1", "Hi")


# What shuts each gate: the server's reply, None for no server at all, and how often it takes that.
GATES: dict[str, tuple[Fault | None, int]] = {
    "model": (Fault.status(500), 5),
    "endpoint": (None, 5),
    "credential": (Fault.status(401), 1),
    "quota": (Fault.status(429, headers={"retry-after": "20"}), 1),
}


@pytest.mark.parametrize("where", ["another region", "the same base URL"])
@pytest.mark.parametrize("gate", GATES)
async def test_no_gate_of_the_old_one_stands_before_the_new_one(
    make_ring: MakeRing, fake_provider: FakeProvider, elsewhere: FakeProvider, gate: str, where: str
) -> None:
    fault, times = GATES[gate]
    old = fake_provider.base_url if fault is not None else "http://127.0.0.1:9"
    ring = make_ring(providers={"one": at(old)}, clock=FakeClock())
    if fault is not None:
        fake_provider.script(fault)
    await fail(ring, times)
    assert shut(ring) == [gate]
    with pytest.raises(CircuitBreakerError):
        await ring.chat("one:m1", "Hi")
    if where == "another region":
        ring.register_provider("one", at(elsewhere.base_url))
        assert (await ring.chat("one:m1", "Hi")).content == "from elsewhere"
        assert shut(ring) == []
        return
    ring.register_provider("one", at(old))
    if fault is None:
        await fail(ring, 1)
        assert shut(ring) == [], "it was asked, and this is its first failure"
        return
    fake_provider.script(Answer("well again"))
    assert (await ring.chat("one:m1", "Hi")).content == "well again"


async def test_failures_of_both_are_not_added_up(
    make_ring: MakeRing, fake_provider: FakeProvider, elsewhere: FakeProvider
) -> None:
    ring = make_ring(providers={"one": at(fake_provider.base_url)}, clock=FakeClock())
    for fake in (fake_provider, elsewhere):
        fake.script(Fault.status(500))
    await fail(ring, 4)
    ring.register_provider("one", at(elsewhere.base_url))
    await fail(ring, 4)
    assert shut(ring) == []
    await fail(ring, 1)
    assert shut(ring) == ["model"]


async def test_what_the_old_one_says_late_shuts_nothing_of_the_new_one(
    make_ring: MakeRing, fake_provider: FakeProvider, elsewhere: FakeProvider
) -> None:
    ring = make_ring(providers={"one": at(fake_provider.base_url)})
    gate, body = asyncio.Event(), b"{}"
    fake_provider.script(Exact(401, headers={"content-length": str(len(body))}, chunks=[gate, body]))
    late = asyncio.create_task(ring.chat("one:m1", "Hi"))
    await fake_provider.wait_received()
    ring.register_provider("one", at(elsewhere.base_url))
    await ring.chat("one:m1", "Hi")
    gate.set()
    with pytest.raises(ProviderAuthenticationError):
        await late
    assert shut(ring) == []
    assert (await ring.chat("one:m1", "Hi")).content == "from elsewhere"


async def test_limits_are_counted_anew_and_those_of_the_ring_go_on(
    make_ring: MakeRing, fake_provider: FakeProvider, elsewhere: FakeProvider
) -> None:
    once = RateLimits(requests_per_minute=1)
    for given, is_held in (({"limits": once}, False), ({"ring_limits": once}, True)):
        clock = FakeClock()
        ring = make_ring(providers={"one": at(fake_provider.base_url)}, clock=clock, **given)
        await ring.chat("one:m1", "Hi")
        ring.register_provider("one", at(elsewhere.base_url))
        task = asyncio.create_task(ring.chat("one:m1", "Hi"))
        if is_held:
            await clock.run_until_idle()
            assert not task.done()
            clock.advance(120)
        await task


@pytest.mark.parametrize("name", ["one", "one:m1"])
async def test_what_was_isolated_by_hand_stays_so_until_it_is_restored(
    make_ring: MakeRing, fake_provider: FakeProvider, elsewhere: FakeProvider, name: str
) -> None:
    ring = make_ring(providers={"one": at(fake_provider.base_url)})
    ring.isolate(name, "in repair")
    ring.register_provider("one", at(elsewhere.base_url))
    with pytest.raises(CircuitBreakerError, match="in repair"):
        await ring.chat("one:m1", "Hi")
    ring.restore(name)
    assert (await ring.chat("one:m1", "Hi")).content == "from elsewhere"
    ring.register_provider("one", at(fake_provider.base_url))
    await ring.chat("one:m1", "Hi")
    assert shut(ring) == []
    assert (len(fake_provider.received), len(elsewhere.received)) == (1, 1)
