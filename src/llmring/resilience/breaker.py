"""A circuit breaker: stops asking a target that is known to be failing, and finds out with one call at a time whether it is back.

    closed ──(the window's verdict, or `trip`)──> open ──(its time is over)──> half-open ──(the probe succeeds)──> closed
                                                   ^                              │
                                                   └──────(the probe fails)───────┘
    isolate() keeps it open until close(), whatever happens.

Half-open lets one call through, on a lease: where the probe is never heard of again (its task died), the lease runs out and another may
go. A success of the first one closes it all the same, however late: what always takes longer than a lease would never be back. Whoever
is admitted gets a permit, and reports with it; a permit of an earlier state counts for nothing, so that a slow answer from before the
trouble cannot close a breaker, nor an old failure open it again.

Pure: no clock, no waiting. `now` is a clock's `monotonic()` seconds and never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from random import Random
from typing import Any

from llmring.resilience.policy import BreakerPolicy
from llmring.resilience.window import OutcomeWindow


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    ISOLATED = "isolated"


class Scope(StrEnum):
    """What a breaker stands before: whatever it refuses, all that is behind it is not asked."""

    CREDENTIAL = "credential"  # a key of a provider
    ENDPOINT = "endpoint"  # a provider's base URL
    MODEL = "model"  # a model at a provider, with a key
    QUOTA = "quota"  # the same, while the server's own rate limit lasts
    SHARED_LIMITS = (
        "shared_limits"  # no gate: whether the limits are shared with other processes; open while each goes alone
    )


@dataclass(frozen=True, slots=True)
class Transition:
    """A gate that changed. target: as `provider`, `provider/KEY_VARIABLE`, `provider:model` or
    `provider/KEY_VARIABLE:model`. at: seconds since the epoch.
    retry_in_s: when it will be asked again, None for not by itself."""

    scope: Scope
    target: str
    old: BreakerState
    new: BreakerState
    reason: str
    at: float
    retry_in_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Breaker:
    """One breaker. windowed: whether it counts outcomes; without, `trip` alone opens it.

    changed: called with the old state, the new one, the reason, and how long it stays, after each change.
    """

    __slots__ = (
        "_changed",
        "_closed_at",
        "_epoch",
        "_lease_until",
        "_openings",
        "_policy",
        "_probes_from",
        "_random",
        "_window",
        "kept_until",
        "opened_at",
        "reason",
        "state",
        "until",
    )

    def __init__(
        self,
        policy: BreakerPolicy,
        random: Random,
        changed: Callable[[BreakerState, BreakerState, str, float | None], None],
        *,
        windowed: bool = True,
    ) -> None:
        self._policy = policy
        self._random = random
        self._changed = changed
        self._window = OutcomeWindow(policy) if windowed else None
        self.state = BreakerState.CLOSED
        self.reason = ""
        self.until = -math.inf  # open: when a probe may go
        self.opened_at = -math.inf
        # Open: what no probe goes before, though nobody else can be asked: the server's own word.
        self.kept_until = -math.inf
        self._lease_until = -math.inf
        self._openings = 0  # in a row, without a quiet window in between
        self._closed_at = -math.inf
        self._epoch = 0  # a permit is the epoch of its admission
        self._probes_from = 0  # half-open: the first of its probes' permits

    def ready_at(self, now: float) -> float:
        """When a call may go through: `now` or earlier, if it may at once; infinite while it is isolated."""
        match self.state:
            case BreakerState.CLOSED:
                return now
            case BreakerState.OPEN:
                return self.until
            case BreakerState.HALF_OPEN:
                return self._lease_until
            case BreakerState.ISOLATED:
                return math.inf

    def admit(self, now: float) -> int:
        """The permit for a call that goes now. Only where `ready_at` allows it, or in spite of that: then it is the probe, and of the one
        before it nothing counts any more but a success."""
        if self.state is not BreakerState.CLOSED and self.state is not BreakerState.ISOLATED:
            self._lease_until = now + self._policy.lease_s
            self._epoch += 1
            if self.state is BreakerState.OPEN:
                self._probes_from = self._epoch
                self._move(BreakerState.HALF_OPEN, self.reason, None)
        return self._epoch

    def succeed(self, permit: int, now: float) -> int:
        """Reports a success; gives the permit to report later with, as a stream does twice: when it begins, and when it ends."""
        if permit != self._epoch and not self._is_late_probe(permit):
            return permit
        if self.state is BreakerState.CLOSED:
            if self._window is not None:
                self._window.add_good(now)
        elif self.state is BreakerState.HALF_OPEN:
            self._close(now, "the probe succeeded")
        return self._epoch

    def begin(self, permit: int, now: float) -> int:
        """A stream's first content: all that a probe has to show. Counts as nothing else; gives the permit to report the end with."""
        if self.state is BreakerState.HALF_OPEN and (permit == self._epoch or self._is_late_probe(permit)):
            self._close(now, "the probe succeeded")
            return self._epoch
        return permit

    def _is_late_probe(self, permit: int) -> bool:
        """Whether it has outlived its lease, and nothing has been decided since."""
        return self.state is BreakerState.HALF_OPEN and self._probes_from <= permit < self._epoch

    def fail(self, permit: int, now: float, reason: str, hint_s: float | None = None) -> None:
        """Reports a failure. hint_s: how long the server asked to be left alone."""
        if permit != self._epoch:
            return
        if self.state is BreakerState.HALF_OPEN:
            self._open(now, f"the probe failed: {reason}", hint_s)
        elif self.state is BreakerState.CLOSED and self._window is not None:
            self._window.add_bad(now)
            self._decide(now, reason, hint_s)

    def note_first_token(self, permit: int, now: float, *, slow: bool) -> None:
        if permit == self._epoch and self.state is BreakerState.CLOSED and self._window is not None:
            self._window.add_first_token(now, slow=slow)
            if slow:
                self._decide(now, "", None)

    def release(self, permit: int) -> None:
        """Reports that nothing was learnt: cancelled, or the caller's own mistake. A probe's lease is free at once."""
        if permit == self._epoch and self.state is BreakerState.HALF_OPEN:
            self._epoch += 1
            self._probes_from = self._epoch
            self._lease_until = -math.inf

    def trip(self, permit: int, now: float, for_s: float, reason: str) -> bool:
        """Opens it for so long, at one failure's word. False where the permit counts for nothing."""
        if permit != self._epoch or self.state is BreakerState.ISOLATED:
            return False
        self._move_open(now, for_s, reason)
        self.kept_until = self.until
        return True

    def isolate(self, reason: str) -> None:
        """Keeps it open until `close`."""
        if self.state is BreakerState.ISOLATED:
            self.reason = reason
            return
        self._epoch += 1
        self.until = math.inf
        self._move(BreakerState.ISOLATED, reason, None)

    def close(self, now: float, reason: str = "closed by hand") -> None:
        """Closes it, whatever it was; what was counted is forgotten."""
        self._openings = 0
        if self.state is not BreakerState.CLOSED:
            self._close(now, reason)

    def _decide(self, now: float, reason: str, hint_s: float | None) -> None:
        assert self._window is not None
        why = self._window.verdict()
        if why is not None:
            self._open(now, f"{why}, the last: {reason}" if reason else why, hint_s)

    def _open(self, now: float, reason: str, hint_s: float | None) -> None:
        policy = self._policy
        if self.state is BreakerState.CLOSED and now - self._closed_at >= policy.window_s:
            self._openings = 0
        stays_s = min(policy.open_cap_s, policy.open_s * 2.0 ** min(self._openings, 30))
        stays_s *= 1 + policy.jitter * (2 * self._random.random() - 1)
        stays_s = max(stays_s, hint_s or 0.0)
        self._openings += 1
        self._move_open(now, stays_s, reason)
        self.kept_until = now + (hint_s or 0.0)

    def _move_open(self, now: float, stays_s: float, reason: str) -> None:
        self._epoch += 1
        self.opened_at = now
        self.until = now + stays_s
        if self._window is not None:
            self._window.clear()
        self._move(BreakerState.OPEN, reason, stays_s)

    def _close(self, now: float, reason: str) -> None:
        self._epoch += 1
        self._closed_at = now
        if self._window is not None:
            self._window.clear()
        self._move(BreakerState.CLOSED, reason, None)

    def _move(self, new: BreakerState, reason: str, retry_in_s: float | None) -> None:
        old, self.state = self.state, new
        self.reason = "" if new is BreakerState.CLOSED else reason
        self._changed(old, new, reason, retry_in_s)
