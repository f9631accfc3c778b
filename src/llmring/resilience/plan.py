"""One call's way through its targets: who is asked next, who has to wait, and when there is nobody left. Pure.

Fail over first, at once; wait only where no other target is healthy. A pause that a server asked for is waited out in the target's
queue and burns no attempt; a breaker that is open is not waited for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Generic, TypeVar

from llmring.resilience.breaker import Scope
from llmring.resilience.budget import RetryBudget
from llmring.resilience.outcome import Outcome, Verdict
from llmring.resilience.overflow import holds_more
from llmring.resilience.policy import RetryPolicy
from llmring.resilience.target import Refusal, Target

C = TypeVar("C")

# What a wait for a rate limit counts at least: a server that says "in 1 ms" for ever is not asked for ever.
_LEAST_WAIT_S = 0.5
# Nor by one call sooner than that after it was refused, and twice as long at most: whoever is to come again in 1 ms. Guess.
_LEAST_PAUSE_S = 0.1


class Route(Generic[C]):
    """A way that the call can go: a candidate with one of its keys."""

    __slots__ = (
        "attempts",
        "candidate",
        "is_hinted",
        "is_over",
        "is_told",
        "not_before",
        "refusal",
        "target",
        "turned_away_at",
    )

    def __init__(self, candidate: C, target: Target) -> None:
        self.candidate = candidate
        self.target = target
        self.attempts = 0
        self.not_before = -math.inf
        self.is_hinted = False  # whether not_before is the server's word
        self.is_over = False
        self.is_told = False  # whether its passing over stands in the call's record
        self.refusal: Refusal | None = None  # why it was passed over, the last time
        self.turned_away_at = -math.inf


class Plan(Generic[C]):
    """Belongs to one call. deadline: in the clock's `monotonic()` seconds."""

    __slots__ = ("_attempts", "_budget", "_deadline", "_pauses", "_policy", "_random", "_waited_s", "routes")

    def __init__(
        self,
        routes: Sequence[Route[C]],
        policy: RetryPolicy,
        budget: RetryBudget,
        random: Random,
        deadline: float | None,
    ) -> None:
        self.routes = routes
        self._policy = policy
        self._budget = budget
        self._random = random
        self._deadline = math.inf if deadline is None else deadline
        self._attempts = 0
        self._waited_s = 0.0
        self._pauses = 0

    def next(self, now: float, *, paused_s: float = 0.0) -> Route[C] | float | None:
        """The route to ask now; or, where none may be asked yet, the moment to wait for and look again. None: nobody is left.

        A route whose quota rests may be asked all the same: its queue waits. paused_s: how long the call has waited there so far.
        """
        self._waited_s = max(self._waited_s, paused_s)
        policy = self._policy
        if self._attempts >= policy.attempts_per_call:
            return None
        ready: Route[C] | None = None
        lined_up: Route[C] | None = None
        soonest: Route[C] | None = None
        soonest_at = math.inf
        for route in self.routes:
            if route.is_over or route.attempts >= policy.attempts:
                continue
            refusal = route.refusal = route.target.refusal(now)
            if refusal is None and route.not_before <= now:
                route.refusal = find_line(route.target, now)
                if route.refusal is not None:
                    if lined_up is None or route.attempts < lined_up.attempts:
                        lined_up = route
                    continue
                # Who was asked the least: another model before the same one again, however short its pause.
                if ready is None or route.attempts < ready.attempts:
                    ready = route
                if not ready.attempts:
                    return ready
                continue
            when = route.not_before
            if refusal is not None:
                if refusal.scope is not Scope.QUOTA or not self._may_wait(refusal.until - now):
                    continue
                when = max(when, refusal.until)
            if when < soonest_at:
                soonest, soonest_at = route, when
        if ready is None or (lined_up is not None and lined_up.attempts < ready.attempts):
            ready = lined_up or ready
        if ready is not None:
            return ready if self._may_ask(ready, now) else self.next(now)  # without it
        if soonest is None or soonest_at >= self._deadline:
            return self._force(now)
        if soonest.not_before > now:
            if soonest.is_hinted:
                self._waited_s += soonest.not_before - now
            return soonest.not_before
        if not self._may_ask(soonest, now):
            return self.next(now)  # without it
        assert soonest.refusal is not None
        self._waited_s += max(_LEAST_WAIT_S, soonest.refusal.until - now)
        return soonest

    def failed(self, route: Route[C], verdict: Verdict, now: float) -> None:
        """What came of asking it."""
        if verdict.outcome is not Outcome.PAUSED or not self._policy.max_rate_limit_wait_s:
            route.attempts += 1
            self._attempts += 1
        if verdict.backoff_s is None or (verdict.retries is not None and route.attempts > verdict.retries):
            route.is_over = True
            return
        if verdict.outcome is Outcome.PAUSED:
            # Its quota's gate says when. A pause may be over before anybody looks, and none of them is an attempt: they are counted.
            route.is_over = self._pauses * _LEAST_WAIT_S > self._policy.max_rate_limit_wait_s
            self._pauses += 1
            route.is_hinted = False
            if (verdict.hint_s or 0.0) < _LEAST_PAUSE_S:
                route.not_before = now + _LEAST_PAUSE_S * (1 + self._random.random())
            return
        base_s = verdict.backoff_s
        if base_s and self._policy.backoff_s is not None:
            base_s = self._policy.backoff_s
        pause_s = self._random.random() * min(self._policy.backoff_cap_s, base_s * 2.0 ** min(route.attempts - 1, 30))
        route.is_hinted = verdict.hint_s is not None and verdict.hint_s > pause_s
        if verdict.hint_s is not None and route.is_hinted:
            if not self._may_wait(verdict.hint_s):
                route.is_over = True
                return
            pause_s = verdict.hint_s
        route.not_before = now + pause_s

    def overflowed(self, route: Route[C], find_window: Callable[[C], int | None]) -> bool:
        """It was asked, and the prompt does not fit: an attempt, after which only those are asked that are known to hold more. Whether
        there are any, however they are doing."""
        route.attempts += 1
        self._attempts += 1
        window = find_window(route.candidate)
        larger = [other for other in self.routes if holds_more(find_window(other.candidate), window)]
        for other in self.routes:
            if other not in larger:
                other.is_over = True
        return bool(larger)

    def called_off(self, route: Route[C]) -> None:
        """It was asked, and another was faster: an attempt that says nothing of it."""
        route.attempts += 1
        self._attempts += 1

    def turned_away(self, route: Route[C], now: float) -> None:
        """It was asked, and its gates did not let the call through: no attempt was made. Twice at one moment, and it is not asked again:
        else a call might go round for ever without any time passing."""
        if route.turned_away_at == now:
            route.is_over = True
        route.turned_away_at = now

    def _may_ask(self, route: Route[C], now: float) -> bool:
        """A first attempt always; another one as long as all calls together do not make too many."""
        if route.attempts == 0 or self._budget.withdraw(now):
            return True
        route.is_over = True
        return False

    def _may_wait(self, seconds: float) -> bool:
        return self._waited_s + seconds <= self._policy.max_rate_limit_wait_s

    def _force(self, now: float) -> Route[C] | None:
        """Where nobody was asked because every target rests, the one that is due soonest may be tried before its time."""
        if self._attempts:
            return None
        resting = [route for route in self.routes if not route.is_over and route.refusal is not None]
        if not resting or len(resting) < sum(not route.is_over for route in self.routes):
            return None
        if any(route.target.was_brought_forward(now) for route in resting):
            return None  # one call a second, whichever of them it is
        soonest = min(resting, key=_due)
        return soonest if soonest.target.bring_forward(now) else None


def find_line(target: Target, now: float) -> Refusal | None:
    """Where a call would stand in line for our own limits, and not just for a moment: another model that can be asked at once is asked."""
    ends_at = target.quota.line_ends_at(now)
    return Refusal(Scope.QUOTA, ends_at, "its limits are reached") if ends_at > now + _LEAST_WAIT_S else None


def _due(route: Route[C]) -> float:
    return math.inf if route.refusal is None else route.refusal.until
