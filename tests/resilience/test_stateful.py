"""RT12: Hypothesis looks for a sequence of events that breaks a breaker, a quota, or the gates and plans of a whole pool."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.resilience.test_quota import QuotaMachine

from llmring.exceptions import (
    InvalidRequestError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QuotaExhaustedError,
)
from llmring.resilience import budget
from llmring.resilience.board import Board
from llmring.resilience.breaker import Breaker, BreakerState, Scope
from llmring.resilience.outcome import Outcome, judge
from llmring.resilience.plan import Plan, Route
from llmring.resilience.policy import BreakerPolicy, RetryPolicy
from llmring.resilience.target import Permit, Target
from llmring.testing import FakeClock

# Opens sooner than by default, so that few events are needed.
POLICY = BreakerPolicy(consecutive_failures=2, min_calls=4)


class BreakerMachine(RuleBasedStateMachine):
    """Calls through one breaker, beside a count of our own: since when it is closed, what came of them since, and who probes."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(POLICY, random.Random(0), self.hear)
        self.now = 0.0
        self.turn = 0  # of states: a permit of an earlier one says nothing
        self.permits: list[tuple[int, int]] = []  # ours and its own
        self.probe: int | None = None
        self.probes: set[int] = set()  # since it was half-open: a success of one that is late is one all the same
        self.lease_until = -math.inf
        self.row = 0
        self.ended = self.failed = 0
        self.kept_until = -math.inf

    def hear(self, old: BreakerState, new: BreakerState, reason: str, retry_in_s: float | None) -> None:
        assert old is not new or new is BreakerState.OPEN
        self.turn += 1
        self.row = self.ended = self.failed = 0

    @precondition(lambda self: self.breaker.ready_at(self.now) <= self.now)
    @rule()
    def admit(self) -> None:
        is_probe = self.breaker.state is not BreakerState.CLOSED
        if is_probe:
            assert self.probe is None or self.now >= self.lease_until, "two probes"
            assert self.now >= self.kept_until, "before the time that the server named"
        if self.breaker.state is BreakerState.OPEN:
            self.probes.clear()
        permit = self.breaker.admit(self.now)
        if is_probe:
            self.turn += 1
            self.probes.add(self.turn)
            self.probe, self.lease_until = self.turn, self.now + POLICY.lease_s
        self.permits.append((self.turn, permit))

    @precondition(lambda self: bool(self.permits))
    @rule(which=st.integers(0, 100), how=st.sampled_from(["good", "bad", "hint", "neutral", "lost"]))
    def end(self, which: int, how: str) -> None:
        turn, permit = self.permits.pop(which % len(self.permits))
        before, counts, is_probe = self.breaker.state, turn == self.turn, turn == self.probe
        if how == "good":
            self.row, self.ended = (0, self.ended + 1) if counts else (self.row, self.ended)
            self.breaker.succeed(permit, self.now)
        elif how in ("bad", "hint"):
            hint_s = 300.0 if how == "hint" else None
            self.row, self.ended, self.failed = (
                (self.row + 1, self.ended + 1, self.failed + 1) if counts else (self.row, self.ended, self.failed)
            )
            row, ended, failed = self.row, self.ended, self.failed
            self.breaker.fail(permit, self.now, "500", hint_s)
            if before is BreakerState.CLOSED and counts:
                # What is older than the window may have been forgotten, so this is the least that must have been.
                if self.breaker.state is BreakerState.OPEN:
                    assert row >= 2 or (ended >= 4 and failed * 2 >= ended) or failed >= 2
                else:
                    assert self.now > 0 or (row < 2 and (ended < 4 or failed * 2 < ended))
            if self.breaker.state is not before:
                self.kept_until = self.now + (hint_s or 0.0)
        elif how == "neutral":
            self.breaker.release(permit)
        if how == "lost":
            return
        if how == "good" and before is BreakerState.HALF_OPEN and turn in self.probes and not counts:
            assert self.breaker.state is BreakerState.CLOSED, "late, and a success all the same"
            self.probe = None
            return
        if not counts:
            assert self.breaker.state is before, "a permit of an earlier state moved it"
        if is_probe and counts and before is BreakerState.HALF_OPEN:
            self.probe = None
            wanted = {"good": BreakerState.CLOSED, "neutral": BreakerState.HALF_OPEN}.get(how, BreakerState.OPEN)
            assert self.breaker.state is wanted
            if how == "neutral":
                self.turn += 1
                self.probes.clear()
                assert self.breaker.ready_at(self.now) <= self.now, "its lease is free at once"

    @precondition(lambda self: self.breaker.state is BreakerState.CLOSED)
    @rule(how=st.sampled_from(["bad", "hint"]))
    def fail_in_a_row(self, how: str) -> None:
        for _ in range(2):
            if self.breaker.state is BreakerState.CLOSED:
                self.admit()
                self.end(len(self.permits) - 1, how)

    @rule(seconds=st.sampled_from([0.1, 7.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def never_shut_for_good(self) -> None:
        assert self.breaker.ready_at(self.now) <= self.now + 300


ERRORS: tuple[ProviderError | None, ...] = (
    None,
    ProviderResponseError("x", status=500),
    ProviderResponseError("x", status=503),
    ProviderResponseError("x", status=503, retry_after_s=20.0),
    ProviderRateLimitError("x", status=429),
    ProviderRateLimitError("x", status=429, retry_after_s=7.0),
    ProviderRateLimitError("x", status=429, retry_after_s=200.0),
    ProviderAuthenticationError("x", status=401),
    QuotaExhaustedError("x", status=402),
    ModelNotFoundError("x", status=404),
    ProviderUnreachableError("x"),
    ProviderTimeoutError("x"),
    InvalidRequestError("x", status=400),
)
# Two models with one key, one of them with another key too, and another provider.
TARGETS = (("one", "A", "m1"), ("one", "A", "m2"), ("one", "B", "m1"), ("two", "C", "m3"))


class OneCall:
    def __init__(self, plan: Plan[int], retry: RetryPolicy, deadline: float | None) -> None:
        self.plan = plan
        self.retry = retry
        self.deadline = math.inf if deadline is None else deadline
        self.burnt: list[int] = []
        self.not_before: dict[int, float] = {}  # what a server told this call
        self.is_asking = False


class PoolMachine(RuleBasedStateMachine):
    """Calls over a pool whose targets share keys, an endpoint and the ring's budget."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.marks: dict[str, int] = dict.fromkeys(("A", "B", "C"), 0)
        self.board = Board(
            self.clock,
            breaker=POLICY,
            random=random.Random(0),
            find_mark=lambda provider, key: self.marks[key] if key else None,
        )
        self.calls: list[OneCall] = []
        self.asking: list[tuple[OneCall, Route[int], Permit]] = []
        self.lost: list[Target] = []
        self.probes: dict[Breaker, tuple[Permit, float]] = {}
        self.paused_until: dict[Target, float] = {}
        self.begun: list[int] = []  # whole seconds: the budget counts by them
        self.repeated: list[int] = []

    def find(self, number: int) -> Target:
        return self.board.find(*TARGETS[number])

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    @rule(
        order=st.permutations(range(len(TARGETS))),
        size=st.integers(1, len(TARGETS)),
        attempts=st.integers(1, 3),
        attempts_per_call=st.integers(1, 6),
        deadline_s=st.sampled_from([None, 1.0, 25.0]),
    )
    def call(
        self, order: list[int], size: int, attempts: int, attempts_per_call: int, deadline_s: float | None
    ) -> None:
        retry = RetryPolicy(attempts=attempts, attempts_per_call=attempts_per_call)
        deadline = None if deadline_s is None else self.now + deadline_s
        routes = [Route(number, self.find(number)) for number in order[:size]]
        self.board.budget.add_call(self.now)
        self.begun.append(int(self.now))
        plan = Plan(routes, retry, self.board.budget, random.Random(1), deadline)
        self.calls.append(OneCall(plan, retry, deadline))

    @precondition(lambda self: any(not call.is_asking for call in self.calls))
    @rule(which=st.integers(0, 100))
    def ask(self, which: int) -> None:
        idle = [call for call in self.calls if not call.is_asking]
        call = idle[which % len(idle)]
        if self.now >= call.deadline:
            self.calls.remove(call)
            return
        healthy = [
            route
            for route in call.plan.routes
            if not route.is_over and not route.attempts and route.target.refusal(self.now) is None
        ]
        step = call.plan.next(self.now)
        if step is None:
            assert not healthy or len(call.burnt) >= call.retry.attempts_per_call, "a healthy one was not asked"
            self.calls.remove(call)
            return
        if not isinstance(step, Route):
            assert not healthy, "a wait beside a healthy one"
            assert self.now < step < call.deadline
            return
        if healthy:
            assert step in healthy, "the same one again before another"
        if step.attempts:
            self.repeated.append(int(self.now))
            self.check_budget()
        refusal = step.target.refusal(self.now)
        if refusal is not None:
            assert refusal.scope is Scope.QUOTA
            assert refusal.until - self.now <= call.retry.max_rate_limit_wait_s
            assert refusal.until < call.deadline
            call.plan.turned_away(step, self.now)  # its line is not played here
            return
        self.admit(call, step)

    def admit(self, call: OneCall, route: Route[int]) -> None:
        target = route.target
        assert self.now >= self.paused_until.get(target, -math.inf), "a pause was not kept"
        assert self.now >= call.not_before.get(route.candidate, -math.inf), "earlier than it was told"
        shut = [breaker for _, breaker in target.gates() if breaker.state is not BreakerState.CLOSED]
        for breaker in shut:
            assert breaker.state is not BreakerState.ISOLATED
            assert breaker not in self.probes or self.now >= self.probes[breaker][1], "two probes"
        target.quota.in_flight += 1
        permit = target.admit(self.now)
        for breaker in shut:
            self.probes[breaker] = permit, self.now + POLICY.lease_s
        call.is_asking = True
        self.asking.append((call, route, permit))

    def check_budget(self) -> None:
        since = int(self.now) - budget.TTL_S
        repeated = sum(second > since for second in self.repeated)
        assert repeated < budget.RESERVE + budget.SHARE * sum(second > since for second in self.begun) + 1

    @precondition(lambda self: bool(self.asking))
    @rule(which=st.integers(0, 100), error=st.sampled_from(ERRORS))
    def end(self, which: int, error: ProviderError | None) -> None:
        call, route, permit = self.asking.pop(which % len(self.asking))
        self.leave(route.target, permit, error)
        call.is_asking = False
        if error is None or isinstance(error, InvalidRequestError):
            self.calls.remove(call)
            return
        verdict = judge(error)
        call.plan.failed(route, verdict, self.now)
        if self.note_pause(route.target, error):
            return
        call.burnt.append(route.candidate)
        if verdict.hint_s is not None:
            call.not_before[route.candidate] = self.now + verdict.hint_s
        assert len(call.burnt) <= call.retry.attempts_per_call
        assert call.burnt.count(route.candidate) <= call.retry.attempts

    def note_pause(self, target: Target, error: ProviderError) -> bool:
        verdict = judge(error)
        if verdict.outcome is not Outcome.PAUSED:
            return False
        end = self.now + (verdict.hint_s or 0.0)
        self.paused_until[target] = max(end, self.paused_until.get(target, end))
        return True

    @precondition(lambda self: bool(self.asking))
    @rule(which=st.integers(0, 100), is_lost=st.booleans())
    def cancel(self, which: int, is_lost: bool) -> None:
        """is_lost: it is never heard of again."""
        call, route, permit = self.asking.pop(which % len(self.asking))
        self.calls.remove(call)
        if is_lost:
            self.lost.append(route.target)
        else:
            self.leave(route.target, permit, asyncio.CancelledError())

    def leave(self, target: Target, permit: Permit, error: BaseException | None) -> None:
        target.leave(permit, error, self.now)
        self.probes = {breaker: probe for breaker, probe in self.probes.items() if probe[0] is not permit}

    @rule(number=st.integers(0, len(TARGETS) - 1), error=st.sampled_from(ERRORS[1:]))
    def others_fail(self, number: int, error: ProviderError) -> None:
        """Calls that are not played one by one."""
        target = self.find(number)
        for _ in range(2):
            if target.refusal(self.now) is None and all(b.state is BreakerState.CLOSED for _, b in target.gates()):
                target.quota.in_flight += 1
                self.leave(target, target.admit(self.now), error)
                self.note_pause(target, error)

    @rule()
    def others_repeat(self) -> None:
        for _ in range(4):
            if self.board.budget.withdraw(self.now):
                self.repeated.append(int(self.now))
                self.check_budget()

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(key=st.sampled_from(["A", "B", "C"]))
    def change_key(self, key: str) -> None:
        self.marks[key] += 1

    @rule(name=st.sampled_from(["one", "two", "one:m1"]))
    def isolate(self, name: str) -> None:
        self.board.isolate(name, "by hand")

    @rule(name=st.sampled_from(["one", "two", "one:m1"]))
    def restore(self, name: str) -> None:
        self.board.restore(name)
        provider, _, model = name.partition(":")
        for target in list(self.paused_until):
            if target.provider == provider and model in ("", target.model_name):
                del self.paused_until[target]
        self.probes = {b: probe for b, probe in self.probes.items() if b.state is not BreakerState.CLOSED}

    @invariant()
    def nothing_leaks(self) -> None:
        out = [route.target for _, route, _ in self.asking] + self.lost
        assert all(self.find(n).quota.in_flight == out.count(self.find(n)) for n in range(len(TARGETS)))

    @invariant()
    def nobody_rests_for_good(self) -> None:
        for number in range(len(TARGETS)):
            refusal = self.find(number).refusal(self.now)
            assert refusal is None or refusal.until <= self.now + 900 or refusal.reason == "by hand"


@pytest.mark.spec("RT12", "U18")
@pytest.mark.parametrize("machine", [BreakerMachine, QuotaMachine, PoolMachine])
def test_no_sequence_of_events_breaks_a_promise(
    machine: type[RuleBasedStateMachine], scale: float, record_property: Callable[[str, object], None]
) -> None:
    sequences = round(1000 * scale)
    run_state_machine_as_test(machine, settings=settings(max_examples=sequences, stateful_step_count=50))
    record_property("sequences", f"{sequences} of up to 50 events ({machine.__name__}), violations 0")
