"""RT04 to RT07: what an outage costs, who finds out that it is over, and what is no outage. The shipped chain in simulated time, and the
three that are cheap there over real sockets as well."""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from tests.resilience.sim_loop import SimLoop

from llmring import LLMRing
from llmring.calls.call import Call, Reply
from llmring.calls.chain import build_chain
from llmring.calls.gates import Gates
from llmring.exceptions import (
    CircuitBreakerError,
    LLMRingError,
    ProviderResponseError,
    ProviderUnreachableError,
)
from llmring.registry.model_info import ModelInfo
from llmring.resilience.board import Board
from llmring.resilience.breaker import BreakerState, Transition
from llmring.resilience.policy import BreakerPolicy, RetryPolicy
from llmring.resolver import Candidate, Resolution
from llmring.schemas import LLMRequest
from llmring.schemas.events import Finished, TextDelta
from llmring.schemas.model_ref import parse_model_ref
from llmring.testing import Answer, FakeProvider, Fault

Record = Callable[[str, object], None]
Server = Callable[[], Awaitable[None]]
ONE_ATTEMPT = RetryPolicy(attempts=1)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Each attempt that fails is a warning; a thousand of them are no news."""
    logger = logging.getLogger("llmring.calls")
    was, logger.disabled = logger.disabled, True
    yield
    logger.disabled = was


class Sim:
    """A ring's chain over simulated servers, by `provider:model`; each returns for a good answer, or raises."""

    def __init__(
        self, servers: Mapping[str, Server], *, retry: RetryPolicy | None = None, breaker: BreakerPolicy | None = None
    ) -> None:
        self.loop = SimLoop(random.Random(0))
        self.clock = self.loop.clock
        self.told: list[Transition] = []
        self.board = Board(
            self.clock, retry=retry, breaker=breaker, listener=self.told.append, random=random.Random("sim")
        )
        self.send = build_chain(self._exchange, Gates(self.board))
        self.servers = dict(servers)
        self.asked = dict.fromkeys(servers, 0)
        self.pool = tuple(Candidate(parse_model_ref(name), ModelInfo(name)) for name in servers)

    async def _exchange(self, call: Call, candidate: Candidate) -> Reply:
        name = str(candidate.ref)
        self.asked[name] += 1
        await self.servers[name]()
        return Reply(candidate, [TextDelta("Hi"), Finished("stop", None)], 200, None, [])

    async def ask(self, deadline_s: float | None = None) -> Reply:
        request = LLMRequest(model="pool", messages="Hi", deadline=deadline_s)
        resolution = Resolution("pool", "default", self.pool, "sha256:", "t.lock")
        return await self.send(Call(request, request, resolution, False, self.clock.monotonic()))

    def run(self, *work: Awaitable[object]) -> None:
        async def wait(what: Awaitable[object]) -> object:
            return await what

        tasks = [self.loop.create_task(wait(what)) for what in work]
        self.loop.run()
        for task in tasks:
            task.result()

    def trip(self, name: str) -> None:
        """Asks until the breaker is open, then lets it come to its time."""
        broken = fail_with(self, 0.0, lambda: ProviderResponseError("down", status=500))
        well, self.servers[name] = self.servers[name], broken

        async def fail() -> None:
            while not any(told.new is BreakerState.OPEN for told in self.told):
                with suppress(LLMRingError):
                    await self.ask()

        self.run(fail())
        self.servers[name] = well
        self.loop.at = self.target(name).model.until
        self.asked[name] = 0

    def target(self, name: str):
        provider, _, model = name.partition(":")
        return self.board.find(provider, None, model)


def answer_after(sim: Callable[[], Sim], seconds: float) -> Server:
    async def answer() -> None:
        await sim().clock.sleep(seconds)

    return answer


def fail_with(sim: Sim | Callable[[], Sim], seconds: float, error: Callable[[], Exception]) -> Server:
    async def fail() -> None:
        found = sim if isinstance(sim, Sim) else sim()
        await found.clock.sleep(seconds)
        raise error()

    return fail


async def share(count: int, workers: int, work: Callable[[int], Awaitable[None]]) -> None:
    """`count` calls, so many at once."""
    left = iter(range(count))

    async def worker() -> None:
        for number in left:
            await work(number)

    await asyncio.gather(*(worker() for _ in range(workers)))


LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "pool"
models = ["one:m1", "two:m2"]

[[profiles.default.bindings]]
alias = "single"
models = ["one:m1"]
"""


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Callable[..., LLMRing]]:
    lock = tmp_path / "llmring.lock"
    lock.write_text(LOCK)
    rings: list[LLMRing] = []

    def make(**settings: object) -> LLMRing:
        providers = {name: {"base_url": fake_provider.base_url, "auth": "none"} for name in ("one", "two")}
        ring = LLMRing(lockfile_path=lock, providers=providers, dotenv=False, **settings)  # pyright: ignore[reportArgumentType]
        rings.append(ring)
        return ring

    yield make
    for ring in rings:
        await ring.close()


def asked(fake: FakeProvider, model: str) -> int:
    return sum(received.model == model for received in fake.received)


# RT04.


@pytest.mark.spec("RT04", "U31", "U18")
def test_a_dead_model_costs_a_few_calls_one_attempt_each(scale: float, record_property: Record) -> None:
    calls = max(100, round(1000 * scale))

    def here() -> Sim:
        return sim

    def dead() -> Exception:
        return ProviderResponseError("down", status=503)

    sim = Sim({"one:a": fail_with(here, 0.02, dead), "two:b": answer_after(here, 0.05)})
    seconds: list[float] = []
    tripped = False

    async def ask(number: int) -> None:
        nonlocal tripped
        started, after_trip = sim.clock.monotonic(), tripped
        await sim.ask()
        tripped = tripped or any(told.new is BreakerState.OPEN for told in sim.told)
        if after_trip:
            seconds.append(sim.clock.monotonic() - started)

    sim.run(share(calls, 32, ask))
    assert sim.asked["one:a"] <= 40
    assert sim.asked["two:b"] == calls
    extra_s = statistics.median(seconds) - 0.05
    assert extra_s <= 0.01
    record_property("ok", f"{calls} of {calls}, {sim.asked['one:a']} reached the dead model")
    record_property("median after the trip", f"healthy + {extra_s * 1000:.1f} ms")


@pytest.mark.spec("RT04", "U31")
async def test_a_dead_model_over_real_sockets(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, scale: float, record_property: Record
) -> None:
    calls = max(100, round(1000 * scale))
    ring = make_ring()
    fake_provider.script(Fault.status(503), model="m1")
    healthy: list[float] = []
    after: list[float] = []

    async def ask(number: int) -> None:
        # In turns, so that both meet the same load.
        if number % 2:
            started = time.perf_counter()
            await ring.chat("two:m2", "Hi")
            healthy.append(time.perf_counter() - started)
            return
        target = next((target for target in ring.health().targets if target.provider == "one"), None)
        tripped = target is not None and not target.available
        started = time.perf_counter()
        assert (await ring.chat("pool", "Hi")).called_model == "two:m2"
        if tripped:
            after.append(time.perf_counter() - started)

    await share(2 * calls, 32, ask)
    dead = asked(fake_provider, "m1")
    assert dead <= 40
    extra_s = statistics.median(after) - statistics.median(healthy)
    assert extra_s <= 0.01
    record_property("ok", f"{calls} of {calls} over sockets, {dead} reached the dead model")
    record_property("median after the trip", f"healthy + {extra_s * 1000:.1f} ms")


# RT05.


@pytest.mark.spec("RT05", "U18")
@pytest.mark.parametrize("fate", ["slow", "cancelled", "lost", "fails"])
def test_one_caller_finds_out_whether_it_is_back(fate: str, scale: float, record_property: Record) -> None:
    callers = round(1000 * scale)

    def here() -> Sim:
        return sim

    sim = Sim({"one:a": answer_after(here, 30.0)}, breaker=BreakerPolicy(lease_s=60.0))
    sim.trip("one:a")
    refused = 0

    async def ask() -> None:
        nonlocal refused
        try:
            await sim.ask()
        except CircuitBreakerError:
            refused += 1

    async def crowd(at: float) -> list[asyncio.Task[None]]:
        await sim.clock.sleep(at)
        return [sim.loop.create_task(ask()) for _ in range(callers)]

    async def run() -> None:
        if fate == "lost":
            sim.servers["one:a"] = answer_after(here, 1e6)
        elif fate == "fails":
            sim.servers["one:a"] = fail_with(here, 1.0, lambda: ProviderResponseError("down", status=500))
        first = await crowd(0.0)
        await sim.clock.sleep(1.5)
        assert sim.asked["one:a"] == 1
        assert refused == callers - 1 if fate != "fails" else refused >= callers - 1
        if fate == "cancelled":
            for task in first:
                task.cancel()
            sim.servers["one:a"] = answer_after(here, 0.1)
            await crowd(0.0)  # the lease is free at once
            await sim.clock.sleep(1.0)
            assert sim.asked["one:a"] == 2
        elif fate == "lost":
            sim.servers["one:a"] = answer_after(here, 0.1)
            await crowd(50.0)
            await sim.clock.sleep(1.0)
            assert sim.asked["one:a"] == 1, "its lease lasts for 60 s"
            await crowd(8.0)
            await sim.clock.sleep(1.0)
            assert sim.asked["one:a"] == 2, "the lease was over, and again one caller went"
            for task in first:
                task.cancel()
        elif fate == "slow":
            await sim.clock.sleep(30.0)
        if fate == "fails":
            assert sim.target("one:a").model.state is BreakerState.OPEN
        else:
            assert sim.target("one:a").model.state is BreakerState.CLOSED

    with suppress(asyncio.CancelledError):
        sim.run(run())
    probes = sum(told.new is BreakerState.HALF_OPEN for told in sim.told)
    record_property("callers", f"{callers} at half-open, probe {fate}: 1 upstream")
    assert probes == 1
    assert sim.target("one:a").quota.in_flight == 0


@pytest.mark.spec("RT05")
async def test_one_caller_finds_out_over_real_sockets(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, scale: float, record_property: Record
) -> None:
    callers = round(1000 * scale)
    ring = make_ring(breaker=BreakerPolicy(open_s=0.001, jitter=0.0, open_cap_s=0.001), retry=ONE_ATTEMPT)
    fake_provider.script(Fault.status(500), model="m1")
    for _ in range(5):
        with pytest.raises(ProviderResponseError):
            await ring.chat("single", "Hi")
    fake_provider.script(Fault.hang(), model="m1")
    before = asked(fake_provider, "m1")
    while not ring.health().targets[0].available:
        await asyncio.sleep(0)
    tasks = [asyncio.create_task(ring.chat("single", "Hi")) for _ in range(callers)]
    await fake_provider.wait_held()
    for refused in islice(asyncio.as_completed(tasks), callers - 1):
        with pytest.raises(CircuitBreakerError):
            await refused
    (probe,) = (task for task in tasks if not task.done())
    assert asked(fake_provider, "m1") == before + 1
    fake_provider.release()
    await probe
    assert ring.health().targets[0].available
    record_property("callers", f"{callers} at half-open over sockets: 1 upstream")


# RT06.


@pytest.mark.spec("RT06", "U18")
def test_it_opens_soon_where_most_calls_fail_never_five_in_a_row(scale: float, record_property: Record) -> None:
    made = 0

    async def mostly_down() -> None:
        nonlocal made
        made += 1
        if made % 5:
            raise ProviderResponseError("down", status=500)

    sim = Sim({"one:a": mostly_down}, retry=ONE_ATTEMPT)

    async def run() -> None:
        while not sim.told:
            with suppress(LLMRingError):
                await sim.ask()
            await sim.clock.sleep(1.0)

    sim.run(run())
    assert made <= 20
    record_property("80 % failures", f"opened after {made} calls")


@pytest.mark.spec("RT06")
def test_one_failure_in_twenty_opens_nothing(scale: float, record_property: Record) -> None:
    dice = random.Random("RT06")
    calls, failed = round(20_000 * scale), 0

    async def sometimes_down() -> None:
        nonlocal failed
        if dice.random() < 0.05:
            failed += 1
            raise ProviderResponseError("down", status=500)

    sim = Sim({"one:a": sometimes_down}, retry=ONE_ATTEMPT)

    async def ask(number: int) -> None:
        with suppress(ProviderResponseError):
            await sim.ask()
        await sim.clock.sleep(0.1)

    sim.run(share(calls, 8, ask))
    assert not sim.told
    record_property("5 % failures", f"{failed} of {calls}, false trips 0")


@pytest.mark.spec("RT06", "U31", "B22")
def test_a_thousand_cancellations_open_nothing(scale: float, record_property: Record) -> None:
    calls = round(1000 * scale)

    def here() -> Sim:
        return sim

    sim = Sim({"one:a": answer_after(here, 10.0)})

    async def run() -> None:
        tasks = [sim.loop.create_task(sim.ask()) for _ in range(calls)]
        await sim.clock.sleep(1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)

    sim.run(run())
    assert sim.asked["one:a"] == calls
    assert not sim.told
    assert sim.target("one:a").quota.in_flight == 0
    record_property("cancellations", f"{calls}, trips 0")


# RT07.


def _down() -> Exception:
    return ProviderResponseError("down", status=503)


def _unreachable() -> Exception:
    return ProviderUnreachableError("no route")


@pytest.mark.spec("RT07", "U18")
@pytest.mark.parametrize("error", [_down, _unreachable], ids=["503", "unreachable"])
@pytest.mark.parametrize("models", [1, 2])
def test_where_all_is_down_nobody_multiplies_the_load(
    error: Callable[[], Exception], models: int, scale: float, record_property: Record
) -> None:
    calls = max(500, round(1000 * scale))  # of a hundred, one attempt each would be few enough without any breaker

    def here() -> Sim:
        return sim

    names = ["one:a", "two:b"][:models]
    sim = Sim({name: fail_with(here, 0.05, error) for name in names})
    longest_s = 0.0

    async def ask(number: int) -> None:
        nonlocal longest_s
        started = sim.clock.monotonic()
        with pytest.raises(LLMRingError):
            await sim.ask(deadline_s=10.0)
        longest_s = max(longest_s, sim.clock.monotonic() - started)

    sim.run(share(calls, 50, ask))
    attempts = sum(sim.asked.values())
    assert attempts <= 150
    assert longest_s <= 10.0
    record_property("all down", f"{calls} calls, {attempts} upstream attempts, the longest call {longest_s:.2f} s")


@pytest.mark.spec("RT07")
async def test_where_all_is_down_over_real_sockets(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, scale: float, record_property: Record
) -> None:
    calls = max(500, round(1000 * scale))  # of a hundred, one attempt each would be few enough without any breaker
    ring = make_ring()
    fake_provider.script(Fault.status(503))
    longest_s = 0.0

    async def ask(number: int) -> None:
        nonlocal longest_s
        started = time.perf_counter()
        with pytest.raises(LLMRingError):
            await ring.chat(LLMRequest(model="pool", messages="Hi", deadline=10.0))
        longest_s = max(longest_s, time.perf_counter() - started)

    await share(calls, 50, ask)
    attempts = len(fake_provider.received)
    assert attempts <= 150
    assert longest_s <= 10.0
    fake_provider.script(Answer())
    record_property("all down", f"{calls} calls over sockets, {attempts} upstream attempts, longest {longest_s:.2f} s")
