"""Bugs for the simulation to find: each changes one thing of the shipped code, as a slip of the pen would."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import pytest

from llmring.calls import queue, recovery
from llmring.calls.gates import Gates
from llmring.resilience import budget, outcome, quota, target
from llmring.resilience.breaker import Breaker, BreakerState
from llmring.resilience.outcome import Verdict
from llmring.resilience.plan import Plan
from llmring.resilience.quota import Quota

Plant = Callable[[pytest.MonkeyPatch], None]
_PLAN: Any = Plan


def lost_lease(patch: pytest.MonkeyPatch) -> None:
    """A probe that is never heard of keeps the gate shut for good."""

    def ready_at(self: Breaker, now: float) -> float:
        return math.inf if self.state is BreakerState.HALF_OPEN and self._lease_until > -math.inf else told(self, now)

    told = Breaker.ready_at
    patch.setattr(Breaker, "ready_at", ready_at)


def double_probe(patch: pytest.MonkeyPatch) -> None:
    """Half-open lets everybody through, as the breakers that one can install do."""

    def ready_at(self: Breaker, now: float) -> float:
        return now if self.state is BreakerState.HALF_OPEN else told(self, now)

    told = Breaker.ready_at
    patch.setattr(Breaker, "ready_at", ready_at)


def leaked_permit(patch: pytest.MonkeyPatch) -> None:
    """A cancelled call does not give back what it took."""

    def leave(self: Gates, of: Any, permit: Any, error: BaseException | None, *rest: Any, **named: Any) -> None:
        if not isinstance(error, asyncio.CancelledError):
            told(self, of, permit, error, *rest, **named)

    told = Gates._leave
    patch.setattr(Gates, "_leave", leave)


def probe_kept_by_the_neutral(patch: pytest.MonkeyPatch) -> None:
    """A probe that says nothing of the target (a 400, a deadline) is not given back before its lease is over."""
    patch.setattr(Breaker, "release", lambda self, permit: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def early_retry(patch: pytest.MonkeyPatch) -> None:
    """The call that was told when to come again comes earlier."""

    def failed(self: Plan[Any], route: Any, verdict: Verdict, now: float) -> None:
        told(self, route, Verdict(verdict.outcome, verdict.backoff_s, verdict.retries, None, verdict.slow), now)

    told = _PLAN.failed
    patch.setattr(Plan, "failed", failed)


def pause_cut_short(patch: pytest.MonkeyPatch) -> None:
    """A server's pause is kept, a tenth too short."""

    def pause(self: Quota, until: float, reason: str) -> bool:
        return told(self, until - 0.1, reason)

    told = Quota.pause
    patch.setattr(Quota, "pause", pause)


def hint_ignored_by_the_breaker(patch: pytest.MonkeyPatch) -> None:
    """It opens for its own time, though the server asked for more."""

    def fail(self: Breaker, permit: int, now: float, reason: str, hint_s: float | None = None) -> None:
        told(self, permit, now, reason)

    told = Breaker.fail
    patch.setattr(Breaker, "fail", fail)


def budget_ignored(patch: pytest.MonkeyPatch) -> None:
    """Retries are counted, and never refused."""
    patch.setattr(budget.RetryBudget, "has_left", lambda self, now: True)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def paced_by_nobody(patch: pytest.MonkeyPatch) -> None:
    """Whoever waits in line is let in without a look at the clock."""

    def ready_at(self: Quota, *_: object) -> float:
        return self.paused_until

    patch.setattr(Quota, "ready_at", ready_at)


def cut_without_rest(patch: pytest.MonkeyPatch) -> None:
    """Each of many refusals at once cuts what a target may be asked."""
    patch.setattr(quota, "CUT_REST_S", 0.0)


def last_come_first_served(patch: pytest.MonkeyPatch) -> None:
    """New ones stand at the head of the line."""

    class Pushy(deque[object]):
        def append(self, item: object) -> None:
            self.appendleft(item)

    patch.setattr(queue, "deque", Pushy)


def stale_permit_counts(patch: pytest.MonkeyPatch) -> None:
    """What began before the trouble closes the breaker."""

    def succeed(self: Breaker, permit: int, now: float) -> int:
        return told(self, self._epoch, now)

    told = Breaker.succeed
    patch.setattr(Breaker, "succeed", succeed)


def stale_failure_counts(patch: pytest.MonkeyPatch) -> None:
    """What began before the breaker closed opens it again."""

    def fail(self: Breaker, permit: int, now: float, reason: str, hint_s: float | None = None) -> None:
        told(self, self._epoch, now, reason, hint_s)

    told = Breaker.fail
    patch.setattr(Breaker, "fail", fail)


def deadline_ignored_in_backoff(patch: pytest.MonkeyPatch) -> None:
    """A call sleeps its pause out, whatever its deadline."""

    def begin(self: Plan[Any], *args: Any) -> None:
        told(self, *args[:-1], None)

    told = _PLAN.__init__
    patch.setattr(Plan, "__init__", begin)


def deadline_ignored_in_line(patch: pytest.MonkeyPatch) -> None:
    """A call stands in line for ever."""

    async def enter(self: queue.Queue, tokens: float, **named: Any) -> object:
        return await told(self, tokens, **{**named, "deadline": None})

    told: Any = queue.Queue.enter
    patch.setattr(queue.Queue, "enter", enter)


def never_reopened(patch: pytest.MonkeyPatch) -> None:
    """A probe that succeeds changes nothing."""
    patch.setattr(Breaker, "_close", lambda self, now, reason: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def never_opened(patch: pytest.MonkeyPatch) -> None:
    """Failures are counted, and nothing comes of it."""
    patch.setattr(Breaker, "_decide", lambda self, now, reason, hint_s: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def one_attempt_too_many(patch: pytest.MonkeyPatch) -> None:
    """The first attempt is not counted."""

    def failed(self: Plan[Any], route: Any, verdict: Verdict, now: float) -> None:
        told(self, route, verdict, now)
        if route.attempts == 1 and not route.is_over:
            route.attempts = 0
            self._attempts -= 1

    told = _PLAN.failed
    patch.setattr(Plan, "failed", failed)


def siblings_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The same model again before another one."""

    def add(self: Plan[Any], *args: Any) -> None:
        told(self, *args)
        self.routes = _InTurn(self.routes)

    told = _PLAN.__init__
    patch.setattr(Plan, "__init__", add)


class _InTurn(list[Any]):
    """Routes, those that were asked before all others."""

    def __iter__(self) -> Any:
        routes = sorted(super().__iter__(), key=lambda route: -route.attempts)
        usable = [route for route in routes if not route.is_over and route.attempts < 2]
        return iter(usable[:1] or routes)


def forced_all_the_time(patch: pytest.MonkeyPatch) -> None:
    """Where everything rests, everybody may ask all the same."""
    patch.setattr(target, "_FORCE_EVERY_S", 0.0)


def again_after_refusal(patch: pytest.MonkeyPatch) -> None:
    """A key that was refused is tried again."""

    def judge(error: BaseException | None) -> Verdict:
        verdict = told(error)
        return Verdict(verdict.outcome, 0.25) if verdict.outcome is outcome.Outcome.KEY_REFUSED else verdict

    told = outcome.judge
    patch.setattr(recovery, "judge", judge)


def pause_opens_nothing(patch: pytest.MonkeyPatch) -> None:
    """A rate limit with a hint counts as an error, and not as a pause."""
    patch.setattr(Quota, "pause", lambda self, until, reason: False)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def place_lost(patch: pytest.MonkeyPatch) -> None:
    """Who is cancelled in the moment that its turn comes keeps its place."""
    patch.setattr(Quota, "give_back", lambda self, *args, **named: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def new_key_unseen(patch: pytest.MonkeyPatch) -> None:
    """Another key does not open the gate of the one that was refused: found by the row of states that came up."""
    patch.setattr(target.Credential, "look_for_new_key", lambda self, now: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def overflow_asks_anybody(patch: pytest.MonkeyPatch) -> None:
    """A prompt that does not fit one model is sent to the next, whatever that holds."""
    patch.setattr("llmring.resilience.plan.holds_more", lambda window, than: True)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def overflow_forgets_the_larger(patch: pytest.MonkeyPatch) -> None:
    """What holds more is taken for as small as the rest."""
    patch.setattr("llmring.resilience.plan.holds_more", lambda window, than: False)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


PLANTED: Final[tuple[Plant, ...]] = (
    lost_lease,
    double_probe,
    leaked_permit,
    probe_kept_by_the_neutral,
    early_retry,
    pause_cut_short,
    hint_ignored_by_the_breaker,
    budget_ignored,
    paced_by_nobody,
    cut_without_rest,
    last_come_first_served,
    stale_permit_counts,
    stale_failure_counts,
    deadline_ignored_in_backoff,
    deadline_ignored_in_line,
    never_reopened,
    never_opened,
    one_attempt_too_many,
    siblings_forgotten,
    forced_all_the_time,
    again_after_refusal,
    pause_opens_nothing,
    place_lost,
    new_key_unseen,
    overflow_asks_anybody,
    overflow_forgets_the_larger,
)
