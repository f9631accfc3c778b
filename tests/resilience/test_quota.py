"""Concurrency that a target bears, found out by what it says; and a line before it in which nothing is lost, whatever happens."""

from __future__ import annotations

import asyncio
import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.resilience.sim_loop import SimLoop

from llmring.calls.queue import Queue
from llmring.resilience.policy import RateLimits
from llmring.resilience.quota import CUT_REST_S, Quota


def test_a_cut_takes_three_tenths_of_what_is_in_flight() -> None:
    quota = Quota()
    assert quota.is_free
    quota.in_flight = 100
    quota.cut(0)
    assert quota.limit == 70
    assert not quota.is_free


def test_what_was_in_flight_with_the_first_refusal_cuts_once() -> None:
    quota = Quota()
    quota.in_flight = 100
    for _ in range(50):
        quota.cut(0.5)
    assert quota.limit == 70
    quota.cut(0.5 + CUT_REST_S)
    assert quota.limit == 49


def test_one_always_goes() -> None:
    quota = Quota()
    for second in range(100):
        quota.cut(float(second * 2))
    assert quota.limit == 1
    assert quota.has_room()


def test_each_round_of_good_answers_lets_one_more_go_until_there_is_no_limit() -> None:
    quota = Quota()
    quota.in_flight = 10
    quota.cut(0)
    for _ in range(7):
        quota.grow()
    assert 7.5 < quota.limit < 8.1
    for _ in range(1000):
        quota.grow()
    assert quota.limit == math.inf
    assert quota.is_free


def test_limits_of_ours_hold_whatever_the_target_bears() -> None:
    quota = Quota(RateLimits(max_concurrent=2))
    quota.in_flight = 2
    assert not quota.has_room()
    assert not quota.is_free
    for _ in range(100):
        quota.grow()
    assert not quota.has_room()


class QuotaMachine(RuleBasedStateMachine):
    """Calls that come, end well and badly, and are called off, beside a count of our own."""

    def __init__(self) -> None:
        super().__init__()
        self.quota = Quota(RateLimits(requests_per_minute=30, max_concurrent=4))
        self.now = 0.0
        self.reserved: list[float] = []
        self.sent: list[float] = []

    @precondition(lambda self: self.quota.ready_at() <= self.now and self.quota.has_room())
    @rule()
    def take(self) -> None:
        self.reserved.append(self.quota.take(10.0, self.now))
        self.sent.append(self.now)

    @precondition(lambda self: bool(self.reserved))
    @rule(good=st.booleans())
    def end(self, good: bool) -> None:
        self.quota.settle(self.reserved.pop(), None, self.now, self.now)
        if good:
            self.quota.grow()
        else:
            self.quota.cut(self.now)

    @precondition(lambda self: bool(self.reserved) and self.sent[-1] == self.now)
    @rule()
    def call_off(self) -> None:
        self.quota.give_back(self.reserved.pop(), self.now)
        self.sent.pop()

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.floats(0, 30))
    def pause(self, seconds: float) -> None:
        self.quota.pause(self.now + seconds, "429")

    @invariant()
    def counts_are_right(self) -> None:
        assert self.quota.in_flight == len(self.reserved) <= 4
        assert sum(at > self.now - 60 for at in self.sent) <= 30
        assert self.quota.limit >= 1
        # However it went, some moment comes at which one more may go.
        assert self.quota.ready_at() < math.inf


TestQuota = QuotaMachine.TestCase
TestQuota.settings = settings(max_examples=25, stateful_step_count=40)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "enter", "leave", "cancel", "pause", "cut", "wait"]),
        st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(STEPS, st.integers(0, 1000))
def test_a_line_loses_nothing_and_keeps_its_order(steps: list[tuple[str, float]], seed: int) -> None:
    """Cancelled at any moment, at their deadlines and in pauses: places come back, and who came first goes first."""
    loop = SimLoop(random.Random(seed))
    quota = Quota(RateLimits(requests_per_minute=60, max_concurrent=3))
    queue = Queue(quota, loop.clock)
    went: list[tuple[float, int]] = []
    inside: list[asyncio.Event] = []
    tasks: list[asyncio.Task[None]] = []

    async def enter(number: int, deadline_s: float) -> None:
        deadline = loop.at + 10 * deadline_s if deadline_s else None
        try:
            place = await queue.enter(1.0, deadline=deadline)
        except TimeoutError:
            assert deadline is not None
            assert loop.at <= deadline + 1e-6
            return
        assert place is not None
        went.append((loop.at, number))
        gone = asyncio.Event()
        inside.append(gone)
        try:
            await gone.wait()
        finally:
            quota.settle(place.reserved, None, loop.at, place.taken_at)
            queue.wake()

    async def run() -> None:
        dice = random.Random(seed)
        for what, amount in steps:
            if what == "enter":
                tasks.append(loop.create_task(enter(len(tasks), amount)))
            elif what == "leave" and inside:
                inside.pop(0).set()
            elif what == "cancel" and tasks:
                dice.choice(tasks).cancel()
            elif what == "pause":
                quota.pause(loop.at + amount, "429")
                queue.pause_began()
            elif what == "cut":
                quota.cut(loop.at)
            else:
                await loop.clock.sleep(amount)
            if dice.random() < 0.5:
                await asyncio.sleep(0)
        for _ in range(500):
            while inside:
                inside.pop(0).set()
            await loop.clock.sleep(1.0)
        assert all(task.done() for task in tasks), "somebody waits for ever"

    main = loop.create_task(run())
    loop.run()
    main.result()
    assert quota.in_flight == 0
    assert quota.waiting == 0
    assert len(queue) == 0
    numbers = [number for _, number in went]
    assert numbers == sorted(numbers)
