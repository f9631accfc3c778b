"""The fake clock: order, cancelling, sleepers that sleep again."""

from __future__ import annotations

import asyncio

import pytest

from llmring.clock import Clock
from llmring.testing import FakeClock


def test_it_is_a_clock_and_stands_still() -> None:
    clock: Clock = FakeClock(now=100.0)
    assert clock.now() == 100.0
    assert clock.monotonic() == clock.monotonic()
    assert clock.monotonic() != clock.now()


def test_advance_moves_both_times_by_the_same_amount() -> None:
    clock = FakeClock(now=100.0)
    before = clock.monotonic()
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic() - before) == (102.5, 2.5)


def test_time_does_not_go_backwards() -> None:
    with pytest.raises(ValueError, match="forward"):
        FakeClock().advance(-1)


def test_callbacks_fire_in_order_of_their_time_and_then_of_their_making() -> None:
    clock = FakeClock()
    start, fired = clock.monotonic(), list[tuple[str, float]]()
    for name, after in (("late", 3.0), ("early", 1.0), ("also early", 1.0), ("beyond", 5.1)):
        clock.call_at(start + after, lambda name=name: fired.append((name, clock.monotonic() - start)))
    clock.advance(5)
    assert fired == [("early", 1.0), ("also early", 1.0), ("late", 3.0)]
    assert clock.timers == 1
    assert clock.next_timer == start + 5.1


def test_a_cancelled_timer_does_not_fire() -> None:
    clock, fired = FakeClock(), list[str]()
    clock.call_at(clock.monotonic() + 1, lambda: fired.append("cancelled")).cancel()
    clock.call_at(clock.monotonic() + 1, lambda: fired.append("kept"))
    clock.advance(1)
    assert fired == ["kept"]


def test_a_callback_that_sets_a_timer_within_the_advance_gets_it_in_the_same_advance() -> None:
    clock, fired = FakeClock(), list[float]()
    start = clock.monotonic()

    def again() -> None:
        fired.append(clock.monotonic() - start)
        clock.call_at(clock.monotonic() + 1, again)

    clock.call_at(start + 1, again)
    clock.advance(3)
    assert fired == [1.0, 2.0, 3.0]


def test_what_a_callback_raises_is_raised_by_advance_at_its_time() -> None:
    clock = FakeClock()
    start = clock.monotonic()

    def fail() -> None:
        raise LookupError("planned")

    clock.call_at(start + 1, fail)
    with pytest.raises(LookupError, match="planned"):
        clock.advance(5)
    assert clock.monotonic() == start + 1


async def test_a_timer_in_the_past_fires_without_an_advance() -> None:
    clock, fired = FakeClock(), asyncio.Event()
    clock.call_at(clock.monotonic() - 1, fired.set)
    assert not fired.is_set()
    await fired.wait()


async def test_a_sleeper_wakes_when_its_time_has_come_and_not_before() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(10))
    await clock.wait_timers(1)
    await clock.advance_async(9.9)
    assert not sleeper.done()
    await clock.advance_async(0.1)
    assert sleeper.done()


async def test_one_async_advance_carries_a_task_over_many_sleeps() -> None:
    clock, seen = FakeClock(), list[float]()
    start = clock.monotonic()

    async def tick() -> None:
        while True:
            await clock.sleep(1)
            seen.append(clock.monotonic() - start)

    task = asyncio.create_task(tick())
    await clock.advance_async(3.5)
    assert seen == [1.0, 2.0, 3.0]
    assert clock.monotonic() == start + 3.5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cancelled_sleeper_leaves_no_timer() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(10))
    await clock.wait_timers(1)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    assert clock.timers == 0
    clock.advance(20)


async def test_sleeping_for_nothing_lets_others_run() -> None:
    clock, order = FakeClock(), list[str]()

    async def other() -> None:
        order.append("other")

    task = asyncio.create_task(other())
    await clock.sleep(0)
    order.append("me")
    await task
    assert order == ["other", "me"]


async def test_wait_timers_returns_once_enough_wait() -> None:
    clock = FakeClock()
    waiting = asyncio.create_task(clock.wait_timers(2))
    first = asyncio.create_task(clock.sleep(1))
    await clock.run_until_idle()
    assert not waiting.done()
    second = asyncio.create_task(clock.sleep(2))
    await waiting
    await clock.advance_async(2)
    await asyncio.gather(first, second)
