"""Who is asked next: another model at once, the same one again where no other is healthy, and nobody for ever."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import (
    InvalidRequestError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
)
from llmring.resilience.board import Board
from llmring.resilience.breaker import Scope
from llmring.resilience.outcome import Outcome, judge
from llmring.resilience.plan import Plan, Route
from llmring.resilience.policy import RateLimits, RetryPolicy
from llmring.resilience.quota import Place
from llmring.testing import FakeClock

DOWN = ProviderResponseError("down", status=500)
OVERLOADED = ProviderResponseError("busy", status=503)


class Call:
    """One call's plan over models of their own providers, on a clock."""

    def __init__(
        self,
        *names: str,
        retry: RetryPolicy | None = None,
        deadline_s: float | None = None,
        board: Board | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = FakeClock()
        self.board = board or Board(self.clock, random=random.Random(seed))
        self.board.clock = self.clock
        self.routes = [Route(name, self.board.find(name, None, "m")) for name in names]
        deadline = None if deadline_s is None else self.clock.monotonic() + deadline_s
        self.plan: Plan[str] = Plan(
            self.routes, retry or RetryPolicy(), self.board.budget, random.Random(seed), deadline
        )
        self.asked: list[str] = []
        self.waited_s: list[float] = []

    def fail(self, name: str, error: ProviderError, times: int = 1) -> None:
        """Another call's attempt."""
        for _ in range(times):
            target, now = self.board.find(name, None, "m"), self.clock.monotonic()
            target.quota.in_flight += 1
            target.leave(target.admit(now), error, now)

    def step(self, error: ProviderError) -> bool:
        """One attempt that fails, or one wait; False where nobody is left."""
        now = self.clock.monotonic()
        step = self.plan.next(now)
        if step is None:
            return False
        if not isinstance(step, Route):
            self.waited_s.append(step - now)
            self.clock.advance(step - now)
            return True
        self.asked.append(step.candidate)
        self.clock.advance(max(0.0, step.target.quota.paused_until - now))  # its queue waits
        self.fail(step.candidate, error)
        self.plan.failed(step, judge(error), self.clock.monotonic())
        return True

    def run(self, error: ProviderError) -> list[str]:
        while self.step(error):
            pass
        return self.asked


def test_another_model_is_asked_at_once_and_the_same_one_after_a_pause() -> None:
    call = Call("one", "two", "three")
    for _ in range(3):
        assert call.step(DOWN)
    assert call.asked == ["one", "two", "three"]
    assert not call.waited_s
    call.step(DOWN)
    assert len(call.waited_s) == 1


def test_another_model_is_asked_before_the_same_one_however_short_its_pause() -> None:
    call = Call("one", "two")
    call.step(ProviderUnreachableError("no route"))
    call.clock.advance(100)
    call.step(DOWN)
    assert call.asked == ["one", "two"]


def test_after_an_overflow_only_those_that_hold_more_are_asked() -> None:
    windows = {"small": 10, "as small": 10, "unknown": None, "large": 20, "larger": 30}
    call = Call(*windows)
    first = call.plan.next(0.0)
    assert isinstance(first, Route)
    assert call.plan.overflowed(first, windows.__getitem__)
    second = call.plan.next(0.0)
    assert isinstance(second, Route)
    assert second.candidate == "large"
    assert call.plan.overflowed(second, windows.__getitem__)
    third = call.plan.next(0.0)
    assert isinstance(third, Route)
    assert third.candidate == "larger"
    assert not call.plan.overflowed(third, windows.__getitem__)
    assert call.plan.next(0.0) is None


def test_an_overflow_is_an_attempt() -> None:
    windows = {"small": 10, "large": 20}
    call = Call(*windows, retry=RetryPolicy(attempts_per_call=1))
    first = call.plan.next(0.0)
    assert isinstance(first, Route)
    assert call.plan.overflowed(first, windows.__getitem__), "there is one that holds more"
    assert call.plan.next(0.0) is None


def test_three_attempts_a_target_and_six_a_call() -> None:
    assert Call("one").run(DOWN) == ["one"] * 3
    assert len(Call("one", "two", "three").run(DOWN)) == 6
    assert Call("one", retry=RetryPolicy(attempts=1)).run(DOWN) == ["one"]
    assert len(Call("one", "two", retry=RetryPolicy(attempts=2, attempts_per_call=3)).run(DOWN)) == 3


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (InvalidRequestError("x", status=400), 1),
        (ProviderAuthenticationError("x", status=401), 1),
        (ModelNotFoundError("x", status=404), 1),
        (ProviderUnreachableError("x"), 2),
        (ProviderTimeoutError("x"), 2),
        (DOWN, 3),
        (ProviderResponseError("x", status=409), 3),
    ],
    ids=repr,
)
def test_how_often_the_same_target_is_asked_is_the_errors_own(error: ProviderError, attempts: int) -> None:
    assert len(Call("one").run(error)) == attempts


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_pauses_are_a_random_part_of_a_base_that_doubles(seed: int) -> None:
    for error, base_s in ((DOWN, 0.25), (OVERLOADED, 1.0), (ProviderRateLimitError("x"), 1.0)):
        call = Call("one", seed=seed, retry=RetryPolicy(attempts=4))
        call.run(error)
        for number, waited_s in enumerate(call.waited_s):
            assert 0 <= waited_s <= base_s * 2**number
    call = Call("one", seed=seed, retry=RetryPolicy(attempts=4, attempts_per_call=9, backoff_s=5, backoff_cap_s=6))
    call.run(DOWN)
    assert all(waited_s <= 6 for waited_s in call.waited_s)


def test_pauses_differ() -> None:
    calls = [Call("one", seed=seed) for seed in range(20)]
    for call in calls:
        call.run(OVERLOADED)
    assert len({call.waited_s[0] for call in calls}) == 20


def test_a_hint_is_waited_for_where_there_is_nobody_else() -> None:
    call = Call("one")
    started = call.clock.monotonic()
    call.step(ProviderResponseError("x", status=503, retry_after_s=12))
    call.step(DOWN)
    assert call.waited_s == [12]
    call = Call("one")
    call.step(ProviderResponseError("x", status=503, retry_after_s=31))
    assert not call.step(DOWN), "longer than max_rate_limit_wait_s"
    assert started == call.clock.monotonic()


def test_all_waits_that_servers_asked_for_come_to_no_more_than_the_longest() -> None:
    call = Call("one")
    asked = call.run(ProviderResponseError("x", status=503, retry_after_s=20))
    assert (len(asked), call.waited_s) == (2, [20]), "a second one would make it 40 s"
    call = Call("one", retry=RetryPolicy(max_rate_limit_wait_s=40))
    asked = call.run(ProviderResponseError("x", status=503, retry_after_s=20))
    assert (len(asked), call.waited_s) == (3, [20, 20])


def test_a_rate_limit_with_a_hint_burns_no_attempt_and_ends_at_the_longest_wait() -> None:
    call = Call("one")
    asked = call.run(ProviderRateLimitError("x", status=429, retry_after_s=5))
    assert len(asked) == 7, "30 s in all"
    call = Call("one")
    asked = call.run(ProviderRateLimitError("x", status=429, retry_after_s=0.001))
    assert len(asked) <= 62, "not asked for ever, however short the pauses"


@pytest.mark.parametrize(("most", "asked"), [(1, ["one"]), (6, ["one", "two"])])
def test_who_may_not_wait_at_all_has_an_attempt_less_after_a_rate_limit(most: int, asked: list[str]) -> None:
    once = RetryPolicy(attempts=1, attempts_per_call=most, max_rate_limit_wait_s=0)
    assert Call("one", "two", retry=once).run(ProviderRateLimitError("x", status=429, retry_after_s=5)) == asked


def test_a_rate_limit_moves_on_to_a_healthy_sibling_at_once() -> None:
    call = Call("one", "two")
    call.step(ProviderRateLimitError("x", status=429, retry_after_s=5))
    call.step(DOWN)
    assert call.asked == ["one", "two"]
    assert not call.waited_s


def test_who_waits_less_than_the_deadline_waits_and_who_would_wait_longer_gives_up() -> None:
    hint = ProviderRateLimitError("x", status=429, retry_after_s=5)
    call = Call("one", deadline_s=6)
    call.step(hint)
    assert call.step(hint)
    call = Call("one", deadline_s=4)
    call.step(hint)
    assert not call.step(hint)


def test_an_open_breaker_is_passed_over_and_not_waited_for() -> None:
    call = Call("one", "two")
    call.fail("one", DOWN, 5)
    assert call.run(DOWN) == ["two"] * 3


def test_where_all_rest_one_call_a_second_asks_the_one_that_is_due_first() -> None:
    call = Call("one", "two")
    call.fail("one", DOWN, 5)
    call.fail("one", DOWN)  # a failed probe: twice as long
    call.fail("two", DOWN, 5)
    assert call.plan.next(call.clock.monotonic()) is None, "just shut"
    call.clock.advance(1)
    clock, call = call.clock, Call("one", "two", board=call.board)
    call.clock = call.board.clock = clock
    step = call.plan.next(call.clock.monotonic())
    assert isinstance(step, Route)
    assert step.candidate == "two"
    # Somebody else asks in the same second.
    other = Call("two", board=call.board)
    other.clock = call.clock
    assert other.plan.next(call.clock.monotonic()) is not None, "until the probe goes, its place is free"
    step.target.admit(call.clock.monotonic())
    assert other.plan.next(call.clock.monotonic()) is None
    # Nor does the other one get a call in that second: it is one a second for all.
    again = Call("one", "two", board=call.board)
    assert again.plan.next(call.clock.monotonic()) is None
    call.clock.advance(1)
    step = again.plan.next(call.clock.monotonic())
    assert isinstance(step, Route)
    assert step.candidate == "one"


def test_three_that_rest_get_one_call_a_second_together() -> None:
    names = ("one", "two", "three")
    call = Call(*names)
    for name in names:
        call.fail(name, DOWN, 5)
    clock, asked = call.clock, 0
    clock.advance(1)  # all three are due 4 to 6 s after they were shut
    for _ in range(30):
        step = Call(*names, board=call.board).plan.next(clock.monotonic())
        if isinstance(step, Route):
            asked += 1
            step.target.quota.in_flight += 1
            step.target.leave(step.target.admit(clock.monotonic()), DOWN, clock.monotonic())
        clock.advance(0.1)
    assert 3 <= asked <= 4


def test_a_line_for_our_own_limits_is_no_reason_to_wait_where_another_model_is_free() -> None:
    board = Board(FakeClock(), limits={"one": RateLimits(requests_per_minute=6)})
    call = Call("one", "two", board=board)
    now = call.clock.monotonic()
    first = board.find("one", None, "m")
    first.admit(now, Place(now, 0, first.quota.take(0, now)))
    step = call.plan.next(now)
    assert isinstance(step, Route)
    assert step.candidate == "two"
    assert call.plan.routes[0].refusal is not None
    assert call.plan.routes[0].refusal.scope is Scope.QUOTA
    # Where the other one is no better off, it is the first again, which lines the call up.
    call.fail("two", DOWN, 5)
    step = Call("one", "two", board=board).plan.next(now)
    assert isinstance(step, Route)
    assert step.candidate == "one"


def test_all_calls_together_make_ten_second_attempts_and_a_fifth_of_their_number() -> None:
    board = Board(FakeClock())
    first_attempts = 0
    attempts = 0
    for number in range(50):
        call = Call(f"p{number}", board=board)
        board.budget.add_call(call.clock.monotonic())
        first_attempts += 1
        attempts += len(call.run(ProviderUnreachableError("x")))
    assert attempts - first_attempts == 20


def test_first_attempts_need_no_budget() -> None:
    board = Board(FakeClock())
    now = board.clock.monotonic()
    while board.budget.withdraw(now):
        pass
    assert Call("one", "two", board=board).run(DOWN) == ["one", "two"]


def test_who_is_turned_away_twice_at_one_moment_is_not_asked_again() -> None:
    call = Call("one")
    now = call.clock.monotonic()
    for expected in (True, True, False):
        step = call.plan.next(now)
        assert (step is not None) is expected
        if isinstance(step, Route):
            call.plan.turned_away(step, now)


ERRORS = (
    DOWN,
    OVERLOADED,
    ProviderRateLimitError("x", status=429),
    ProviderRateLimitError("x", status=429, retry_after_s=2.0),
    ProviderRateLimitError("x", status=429, retry_after_s=0.0),
    ProviderResponseError("x", status=503, retry_after_s=3.0),
    ProviderUnreachableError("x"),
    ProviderTimeoutError("x"),
    ModelNotFoundError("x", status=404),
    ProviderAuthenticationError("x", status=401),
)


@settings(max_examples=40)
@given(
    st.integers(1, 4),
    st.lists(st.sampled_from(ERRORS), min_size=5, max_size=20).map(lambda errors: (errors * 40)[:200]),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(ERRORS)), max_size=20),
    st.integers(1, 4),
    st.integers(1, 8),
    st.sampled_from([None, 1.0, 20.0]),
)
def test_every_plan_ends_within_its_policy(
    models: int,
    errors: list[ProviderError],
    before: list[tuple[int, ProviderError]],
    attempts: int,
    attempts_per_call: int,
    deadline_s: float | None,
) -> None:
    names = [f"p{number}" for number in range(models)]
    retry = RetryPolicy(attempts=attempts, attempts_per_call=attempts_per_call)
    call = Call(*names, retry=retry, deadline_s=deadline_s)
    for number, error in before:
        call.fail(f"p{number}", error)
    burnt: list[str] = []
    for error in errors:
        asked = len(call.asked)
        now = call.clock.monotonic()
        if not call.step(error):
            break
        if len(call.asked) > asked and judge(error).outcome is not Outcome.PAUSED:
            burnt.append(call.asked[-1])
        if call.waited_s and len(call.asked) == asked and deadline_s is not None:
            assert call.clock.monotonic() < 1000 + deadline_s, "a wait past the deadline"
        assert call.clock.monotonic() - now <= 31
    else:
        pytest.fail("it goes on for ever")
    assert len(burnt) <= attempts_per_call
    assert all(burnt.count(name) <= attempts for name in names)


@pytest.mark.parametrize(("most_s", "asked"), [(0.0, 2), (1.0, 4), (30.0, 62)])
def test_pauses_that_are_over_before_anybody_looks_do_not_go_on_for_ever(most_s: float, asked: int) -> None:
    call = Call("one", retry=RetryPolicy(max_rate_limit_wait_s=most_s))
    verdict = judge(ProviderRateLimitError("slow down", status=429, retry_after_s=1e-6))
    asked_at: list[float] = []
    while (step := call.plan.next(call.clock.monotonic())) is not None and len(asked_at) < 1000:
        if isinstance(step, Route):
            asked_at.append(call.clock.monotonic())
            call.plan.failed(step, verdict, call.clock.monotonic())
        else:
            call.clock.advance(step - call.clock.monotonic())
    assert len(asked_at) == asked
    # Nor as fast as the server says: by the number of its pauses, and by time.
    gaps_s = [later - earlier for earlier, later in pairwise(asked_at)]
    assert all(0.1 <= gap_s <= 0.2 for gap_s in gaps_s)
    assert len(set(gaps_s)) == len(gaps_s)


@pytest.mark.parametrize(("hint_s", "waits"), [(0.099, True), (0.1, False), (0.3, False), (2.0, False)])
def test_a_pause_that_is_long_enough_is_kept_to_exactly(hint_s: float, waits: bool) -> None:
    """By its quota's gate: the plan itself has nothing to wait for."""
    call = Call("one")
    assert call.step(ProviderRateLimitError("slow down", status=429, retry_after_s=hint_s))
    assert isinstance(call.plan.next(call.clock.monotonic()), Route) is not waits


def test_the_thousandth_pause_is_no_longer_than_the_longest() -> None:
    call = Call("one", retry=RetryPolicy(attempts=5000, attempts_per_call=5000, backoff_cap_s=2.0))
    (route,) = call.routes
    route.attempts = 2000
    call.plan.failed(route, judge(DOWN), 0.0)
    assert 0 <= route.not_before <= 2
