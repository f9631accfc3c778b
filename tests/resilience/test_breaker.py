"""When a breaker opens, for how long, and who finds out that it may close."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import ConfigurationError
from llmring.resilience.breaker import Breaker, BreakerState
from llmring.resilience.policy import BreakerPolicy

CLOSED, OPEN, HALF_OPEN, ISOLATED = (
    BreakerState.CLOSED,
    BreakerState.OPEN,
    BreakerState.HALF_OPEN,
    BreakerState.ISOLATED,
)


class Watched:
    """A breaker and what it told."""

    def __init__(self, policy: BreakerPolicy | None = None, *, seed: int = 0, windowed: bool = True) -> None:
        self.told: list[tuple[BreakerState, BreakerState, str, float | None]] = []
        self.breaker = Breaker(policy or BreakerPolicy(), random.Random(seed), self._hear, windowed=windowed)

    def _hear(self, old: BreakerState, new: BreakerState, reason: str, retry_in_s: float | None) -> None:
        self.told.append((old, new, reason, retry_in_s))

    def fail(self, now: float, times: int = 1, hint_s: float | None = None) -> None:
        for _ in range(times):
            self.breaker.fail(self.breaker.admit(now), now, "500", hint_s)

    def succeed(self, now: float, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.succeed(self.breaker.admit(now), now)

    @property
    def stays_s(self) -> float:
        stays_s = self.told[-1][3]
        assert stays_s is not None
        return stays_s


def test_five_failures_in_a_row_open_it() -> None:
    watched = Watched()
    watched.fail(0, 4)
    watched.succeed(0)
    watched.fail(0, 4)
    assert watched.breaker.state is CLOSED
    watched.fail(0)
    assert watched.breaker.state is OPEN
    assert "5 failures in a row" in watched.breaker.reason


def test_half_of_ten_calls_open_it_and_half_of_eight_do_not() -> None:
    watched = Watched()
    for _ in range(4):
        watched.succeed(0)
        watched.fail(0)
    assert watched.breaker.state is CLOSED
    watched.succeed(0)
    watched.fail(0)
    assert watched.breaker.state is OPEN
    assert "5 of 10 calls failed within 60 s" in watched.breaker.reason


def test_less_than_half_never_opens_it() -> None:
    watched = Watched()
    for at in range(1000):
        watched.succeed(at / 10, 2)
        watched.fail(at / 10)
    assert not watched.told


def test_what_is_older_than_the_window_does_not_count() -> None:
    watched = Watched()
    watched.fail(0, 4)
    watched.fail(61, 4)
    assert watched.breaker.state is CLOSED
    watched.fail(62)
    assert watched.breaker.state is OPEN


def test_a_quarter_of_the_window_is_not_forgotten_at_once() -> None:
    watched = Watched()
    for at in (0, 10, 20, 30):
        watched.fail(at)
    watched.fail(40)
    assert watched.breaker.state is OPEN


def test_eight_of_ten_slow_streams_open_it_and_seven_do_not() -> None:
    def slow_of_ten(slow: int) -> Watched:
        watched = Watched()
        for number in range(10):
            watched.breaker.note_first_token(watched.breaker.admit(0), 0, slow=number >= 10 - slow)
        return watched

    assert slow_of_ten(7).breaker.state is CLOSED
    watched = slow_of_ten(8)
    assert watched.breaker.state is OPEN
    assert "8 of 10 streams began late" in watched.breaker.reason


@given(st.integers(0, 2**32))
def test_it_stays_open_five_seconds_doubled_each_time_up_to_two_minutes(seed: int) -> None:
    watched, now = Watched(seed=seed), 0.0
    watched.fail(now, 5)
    for opening in range(8):
        base_s = min(120, 5 * 2**opening)
        assert 0.8 * base_s <= watched.stays_s <= 1.2 * base_s
        now = watched.breaker.until
        watched.fail(now)


def test_its_times_vary() -> None:
    seen: set[float] = set()
    for seed in range(20):
        watched = Watched(seed=seed)
        watched.fail(0, 5)
        seen.add(watched.stays_s)
    assert len(seen) == 20


def test_a_longer_hint_of_the_server_holds() -> None:
    watched = Watched()
    watched.fail(0, 4)
    watched.fail(0, hint_s=300)
    assert watched.stays_s == 300
    assert watched.breaker.ready_at(299) == watched.breaker.kept_until == 300
    watched = Watched()
    watched.fail(0, 4)
    watched.fail(0, hint_s=1)
    assert watched.stays_s >= 4


def test_after_a_quiet_minute_it_opens_as_for_the_first_time() -> None:
    watched = Watched()
    watched.fail(0, 5)
    watched.fail(10)
    now = watched.breaker.until
    watched.succeed(now)
    watched.fail(now + 1, 5)
    assert watched.stays_s >= 4 * 5 * 0.8, "it came back too soon: the third opening in a row"
    now = watched.breaker.until
    watched.succeed(now)
    watched.fail(now + 61, 5)
    assert watched.stays_s <= 6


def test_one_probe_goes_and_its_success_closes() -> None:
    watched = Watched()
    watched.fail(0, 5)
    breaker = watched.breaker
    now = breaker.until
    assert breaker.ready_at(now) <= now
    probe = breaker.admit(now)
    assert breaker.state is HALF_OPEN
    assert breaker.ready_at(now) == now + 60, "nobody else before the lease is over"
    breaker.succeed(probe, now + 1)
    assert breaker.state is CLOSED
    assert [told[:2] for told in watched.told] == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]


def test_the_first_content_of_a_stream_is_all_that_a_probe_has_to_show() -> None:
    watched = Watched()
    watched.fail(0, 5)
    now = watched.breaker.until
    permit = watched.breaker.begin(watched.breaker.admit(now), now + 1)
    assert watched.breaker.state is CLOSED
    for _ in range(4):
        watched.breaker.fail(permit, now + 2, "cut")
    assert watched.breaker.state is CLOSED
    watched.breaker.fail(permit, now + 2, "cut")
    assert watched.breaker.state is OPEN, "how it ended counted, too"


def test_a_lost_probe_is_followed_by_another_and_its_failure_counts_for_nothing_then() -> None:
    watched = Watched()
    watched.fail(0, 5)
    breaker = watched.breaker
    now = breaker.until
    lost = breaker.admit(now)
    later = now + 60
    assert breaker.ready_at(later) <= later
    second = breaker.admit(later)
    assert breaker.ready_at(later) == later + 60
    breaker.fail(lost, later, "late")
    breaker.trip(lost, later, 1000, "late")
    breaker.release(lost)
    assert breaker.state is HALF_OPEN
    assert breaker.ready_at(later) == later + 60
    breaker.succeed(second, later)
    assert breaker.state is CLOSED


@pytest.mark.parametrize("report", ["succeed", "begin"])
def test_what_takes_longer_than_a_lease_comes_back_all_the_same(report: str) -> None:
    watched = Watched()
    watched.fail(0, 5)
    breaker, now = watched.breaker, watched.breaker.until
    slow = breaker.admit(now)
    breaker.admit(now + 60)
    permit = getattr(breaker, report)(slow, now + 90)
    assert breaker.state is CLOSED
    for _ in range(5):
        breaker.fail(permit, now + 91, "cut")
    assert breaker.state is OPEN, "it is a permit of the time after"
    breaker.admit(breaker.until)
    breaker.succeed(slow, breaker.until)
    assert breaker.state is HALF_OPEN, "it says nothing of a later time"


def test_a_probe_that_learnt_nothing_gives_its_lease_back_at_once() -> None:
    watched = Watched()
    watched.fail(0, 5)
    breaker = watched.breaker
    now = breaker.until
    cancelled = breaker.admit(now)
    breaker.release(cancelled)
    assert breaker.ready_at(now) <= now
    assert breaker.state is HALF_OPEN
    breaker.succeed(cancelled, now)
    assert breaker.state is HALF_OPEN


def test_permits_of_an_earlier_state_count_for_nothing() -> None:
    watched = Watched()
    breaker = watched.breaker
    old = breaker.admit(0)
    watched.fail(0, 5)
    probe = breaker.admit(breaker.until)
    breaker.succeed(old, 10)
    breaker.fail(old, 10, "old")
    breaker.trip(old, 10, 1000, "old")
    breaker.release(old)
    assert breaker.state is HALF_OPEN
    breaker.succeed(probe, 10)
    for _ in range(20):
        breaker.fail(old, 10, "old")
        breaker.note_first_token(old, 10, slow=True)
    assert breaker.state is CLOSED


def test_isolated_it_stays_until_closed_by_hand() -> None:
    watched = Watched()
    breaker = watched.breaker
    old = breaker.admit(0)
    breaker.isolate("maintenance")
    breaker.isolate("still maintenance")
    assert breaker.state is ISOLATED
    assert breaker.reason == "still maintenance"
    assert breaker.ready_at(1e12) == math.inf
    for permit in (old, breaker.admit(1)):
        breaker.succeed(permit, 1)
        breaker.fail(permit, 1, "x")
        breaker.trip(permit, 1, 5, "x")
    assert breaker.state is ISOLATED
    breaker.close(2)
    assert breaker.state is CLOSED
    assert breaker.reason == ""
    assert [told[:2] for told in watched.told] == [(CLOSED, ISOLATED), (ISOLATED, CLOSED)]


def test_closing_by_hand_forgets_what_was_counted() -> None:
    watched = Watched()
    watched.fail(0, 5)
    watched.fail(watched.breaker.until)
    now = 10.0
    watched.breaker.close(now)
    watched.fail(now, 4)
    assert watched.breaker.state is CLOSED
    watched.fail(now)
    assert watched.stays_s <= 6, "the first opening again"


def test_without_a_window_one_word_opens_it_and_failures_do_not() -> None:
    watched = Watched(windowed=False)
    watched.fail(0, 100)
    assert watched.breaker.state is CLOSED
    watched.breaker.trip(watched.breaker.admit(0), 0, 60, "401")
    assert (watched.breaker.state, watched.breaker.until) == (OPEN, 60)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["admit", "good", "bad", "begin", "release", "slow", "trip", "wait"]), st.floats(0, 90)
        ),
        max_size=80,
    ),
    st.integers(0, 1000),
)
def test_whatever_happens_it_moves_as_drawn_and_one_probe_goes_at_a_time(
    steps: list[tuple[str, float]], seed: int
) -> None:
    watched = Watched(BreakerPolicy(consecutive_failures=3, min_calls=4), seed=seed)
    breaker, now = watched.breaker, 0.0
    permits: list[int] = []
    probe: tuple[int, float] | None = None
    for what, amount in steps:
        if what == "wait":
            now += amount
        elif what == "admit" and breaker.ready_at(now) <= now:
            before = breaker.state
            permits.append(breaker.admit(now))
            if before is not CLOSED:
                assert probe is None or probe[0] not in permits or now >= probe[1]
                probe = permits[-1], now + 60
        elif what != "admit" and permits:
            permit = permits.pop(int(amount) % len(permits))
            if what == "begin":
                permits.append(breaker.begin(permit, now))
            elif what == "good":
                breaker.succeed(permit, now)
            elif what == "bad":
                breaker.fail(permit, now, "500", amount if amount > 80 else None)
            elif what == "slow":
                breaker.note_first_token(permit, now, slow=True)
                permits.append(permit)
            elif what == "trip":
                breaker.trip(permit, now, amount, "404")
            else:
                breaker.release(permit)
    legal = {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED)}
    assert {told[:2] for told in watched.told} <= legal
    assert all(before[1] is after[0] for before, after in pairwise(watched.told))
    assert breaker.ready_at(now + 150) <= now + 150, "shut for good"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("failure_rate", lambda: BreakerPolicy(failure_rate=1.5)),
        ("slow_rate", lambda: BreakerPolicy(slow_rate=0)),
        ("jitter", lambda: BreakerPolicy(jitter=1)),
        ("open_s", lambda: BreakerPolicy(open_s=0)),
        ("min_calls", lambda: BreakerPolicy(min_calls=0)),
    ],
)
def test_the_policy_is_checked_where_it_is_made(name: str, make: Callable[[], BreakerPolicy]) -> None:
    with pytest.raises(ConfigurationError, match=rf"BreakerPolicy\.{name}"):
        make()
