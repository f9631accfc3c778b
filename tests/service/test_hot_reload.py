"""A lock that changes under a running ring: seen within a second, swapped whole, and never under a call that has begun."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.clock import SystemClock
from llmring.lockfile.store import LockStore
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]


def text(*models: str, extra: str = "", price: str = "1") -> str:
    pool = ", ".join(f'"{model}"' for model in models)
    rows = "".join(
        f'[[locked]]\nid = "{model}"\nprice = {{ input = "{price}", output = "{price}" }}\n' for model in models
    )
    return (
        'version = "1.1"\n[profiles.default]\n[[profiles.default.bindings]]\n'
        f'alias = "fast"\nmodels = [{pool}]\n{extra}\n{rows}'
    )


def replace(lock: Path, content: str) -> None:
    """As `llmring lock` does: whole, by a rename."""
    beside = lock.with_suffix(".new")
    beside.write_text(content)
    os.replace(beside, lock)


@pytest.mark.spec("U08")
async def test_a_call_that_has_begun_keeps_the_lock_that_it_began_with(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    replace(lock, text("one:m1", "two:m2", extra="max_tokens = 11", price="1000000"))
    clock = FakeClock()
    ring = make_ring(clock=clock)
    gate = asyncio.Event()
    # The first model fails once the lock has changed: what the call falls over to is still of the old pool.
    fake_provider.script(Answer("old", gate=gate), model="m2")
    fake_provider.script(Fault.status(503), model="m1")
    begun = asyncio.create_task(ring.chat("fast", "Hi"))
    await fake_provider.wait_received(2)
    replace(lock, text("three:m3", extra="max_tokens = 22"))
    clock.advance(1)
    later = await ring.chat("fast", "Hi")
    gate.set()
    earlier = await begun
    assert (earlier.model, later.model) == ("m2", "m3")
    tokens = [received.body["max_tokens"] for received in fake_provider.received]
    assert tokens == [11, 11, 22]
    usage = earlier.usage
    assert usage["cost"] == pytest.approx(float(usage.prompt_tokens + usage.completion_tokens))
    assert ring.alias_cache_stats().size == 1  # of the new lock alone


@pytest.mark.spec("U08")
async def test_a_lock_that_does_not_parse_changes_nothing_for_calls(
    make_ring: MakeRing, lock: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replace(lock, text("one:m1"))
    clock = FakeClock()
    ring = make_ring(clock=clock)
    assert (await ring.chat("fast", "Hi")).model == "m1"
    for content in ("<<<<<<< ours\n", text("three:m3")[:-20], ""):
        replace(lock, content)
        clock.advance(1)
        assert (await ring.chat("fast", "Hi")).model == "m1"
    replace(lock, text("three:m3"))
    clock.advance(1)
    assert (await ring.chat("fast", "Hi")).model == "m3"
    assert caplog.text.count("stays in use") == 3


@pytest.mark.spec("U08")
async def test_policies_and_parameters_change_with_the_lock_too(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    replace(lock, text("one:m1"))
    clock = FakeClock()
    ring = make_ring(clock=clock)
    await ring.chat("fast", "Hi")
    replace(lock, text("one:m1", extra="temperature = 0.5"))
    clock.advance(1)
    await ring.chat("fast", "Hi")
    assert [received.body.get("temperature") for received in fake_provider.received] == [None, 0.5]


@pytest.mark.spec("U08")
def test_threads_see_whole_locks_alone_while_the_file_is_replaced(tmp_path: Path) -> None:
    """Each version binds two aliases to models of one number: a mixture of two versions would show."""

    def version(number: int) -> str:
        bindings = "".join(
            f'[[profiles.default.bindings]]\nalias = "{alias}"\nmodels = ["one:{alias}-{number}"]\n' for alias in "ab"
        )
        return f'version = "1.1"\n[profiles.default]\n{bindings}'

    path = tmp_path / "llmring.lock"
    replace(path, version(0))
    clock = FakeClock()
    store = LockStore(path, clock)
    stop, mixed, seen = threading.Event(), list[object](), set[str]()

    def read() -> None:
        last = 0
        while not stop.is_set():
            bindings = store.current().profiles["default"].bindings
            numbers = {bindings[alias].models[0].partition("-")[2] for alias in "ab"}
            number = int(min(numbers))
            if len(numbers) != 1 or number < last:
                mixed.append(numbers)
            last = number
            seen.update(numbers)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(1, 40):
        replace(path, version(number) if number % 5 else "broken")
        clock.advance(1)
        store.current()
    stop.set()
    for thread in threads:
        thread.join()
    assert mixed == []
    assert store.current().profiles["default"].bindings["a"].models == ("one:a-39",)
    assert len(seen) > 1


@pytest.mark.spec("U08")
def test_by_the_real_clock_a_change_shows_once_its_second_is_over(tmp_path: Path) -> None:
    class Hurried(SystemClock):
        """The real one, a second ahead whenever the test says so."""

        ahead = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.ahead

    path = tmp_path / "llmring.lock"
    replace(path, text("one:m1"))
    clock = Hurried()
    store = LockStore(path, clock)
    store.current()
    replace(path, text("two:m2"))
    clock.ahead = 1.0
    assert store.current().profiles["default"].bindings["fast"].models == ("two:m2",)
