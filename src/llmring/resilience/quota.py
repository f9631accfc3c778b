"""What one target may be asked now: requests and tokens a minute, requests in flight, and the pause that a server asked for.

Pure: it says when, and counts; who waits, and in which order, is `calls/queue.py`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from llmring.resilience.policy import RateLimits
from llmring.resilience.rates import RequestRate, TokenRate

# Additive increase, multiplicative decrease: docs/reliability.md.
CUT: Final = 0.7
# How long after a cut the next may come: the calls that were in flight with the one that was refused say the same again. Guess.
CUT_REST_S: Final = 1.0
# How much of an estimate is used in the end: learned with this weight, and believed within these bounds. Guess.
_SHARE_WEIGHT: Final = 0.1
_LEAST_SHARE: Final = 0.01
_MOST_SHARE: Final = 10.0


class Place:
    """What a call has taken, to be settled once. taken_at: when; estimate: the tokens it may come to; reserved: how many of them were
    set aside, by the target's quota, and by what all targets share."""

    __slots__ = ("estimate", "requests", "reserved", "reserved_together", "taken_at")

    def __init__(
        self, taken_at: float, estimate: float, reserved: float, reserved_together: float = 0.0, requests: int = 1
    ) -> None:
        self.taken_at = taken_at
        self.estimate = estimate
        self.reserved = reserved
        self.reserved_together = reserved_together
        self.requests = requests


class Quota:
    """The quota of one (provider, key, model), or of all targets together. All times are a clock's `monotonic()` seconds.

    in_flight: requests that were sent and have not ended; waiting: those that stand in line. limit: how many the target seems to bear
    at once, infinite until it complained. paused_until: the server's own word. is_bound: something else is to be asked as well before
    a call goes.
    """

    __slots__ = (
        "_cut_at",
        "_cut_from",
        "_is_bound",
        "_max_concurrent",
        "_requests",
        "_share",
        "_tokens",
        "in_flight",
        "is_free",
        "limit",
        "limits",
        "pause_reason",
        "paused_until",
        "waiting",
    )

    def __init__(self, limits: RateLimits | None = None, *, is_bound: bool = False) -> None:
        self.limits = limits or RateLimits()
        self._requests = (
            None if self.limits.requests_per_minute is None else RequestRate(self.limits.requests_per_minute)
        )
        self._tokens = None if self.limits.tokens_per_minute is None else TokenRate(self.limits.tokens_per_minute)
        self._max_concurrent = math.inf if self.limits.max_concurrent is None else self.limits.max_concurrent
        self._is_bound = is_bound
        self._share: float | None = None  # of an estimate, what is used in the end
        self.in_flight = 0
        self.waiting = 0
        self.limit = math.inf
        self.paused_until = -math.inf
        self.pause_reason = ""
        self._cut_at = -math.inf
        self._cut_from = 0.0
        self.is_free = self._has_no_bounds()

    def _has_no_bounds(self) -> bool:
        """Whether nothing has to be asked before a call goes: the way of nearly every call."""
        return (
            self._requests is self._tokens is None
            and self._max_concurrent == self.limit == math.inf
            and not self._is_bound
        )

    @property
    def has_rates(self) -> bool:
        return self._requests is not None or self._tokens is not None

    @property
    def counts_tokens(self) -> bool:
        return self._tokens is not None

    @property
    def requests_per_minute(self) -> float | None:
        """What holds now: the limit that was set, or the server's own where that is lower."""
        return None if self._requests is None else self._requests.per_minute

    @property
    def tokens_per_minute(self) -> float | None:
        return None if self._tokens is None else self._tokens.per_minute

    def is_idle(self, now: float) -> bool:
        """Whether nobody is there, and nothing is remembered of those who were: another one in its place says the same."""
        return not (self.in_flight or self.waiting) and all(
            rate is None or rate.is_full(now) for rate in (self._requests, self._tokens)
        )

    def ready_at(self, tokens: float = 0.0, requests: int = 1) -> float:
        """When the next call may go as far as rates and pauses go; -inf where at once. tokens: by estimate."""
        when = self.paused_until
        if self._requests is not None:
            when = max(when, self._requests.ready_at(requests))
        if self._tokens is not None:
            when = max(when, self._tokens.ready_at(self._expect(tokens)))
        return when

    def has_room(self) -> bool:
        """Whether one more may be in flight."""
        return self.in_flight < min(self._max_concurrent, max(1.0, self.limit))

    def line_ends_at(self, now: float) -> float:
        """About when a call that came now would have its turn, as far as our own limits go; infinite where nobody can say: as many are in
        flight as may be. A guess: what those in line take of the tokens is not counted."""
        if self.is_free:
            return now
        if not self.has_room():
            return math.inf
        when = max(now, self.ready_at())
        if self.waiting and self._requests is not None:
            when += self.waiting * 60 / self._requests.per_minute
        return when

    def take(self, tokens: float, now: float, requests: int = 1) -> float:
        """Sends one: only where `ready_at` and `has_room` allow it. Gives the tokens that it set aside."""
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(requests, now)
        if self._tokens is None:
            return 0.0
        reserved = self._expect(tokens)
        self._tokens.take(reserved, now)
        return reserved

    def settle(self, reserved: float, used: float | None, now: float, taken_at: float, estimate: float = 0.0) -> None:
        """It has ended. used: tokens, None where nobody knows: then what was reserved counts. taken_at, estimate: what `take` was
        given."""
        self.in_flight -= 1
        if self._tokens is not None and used is not None:
            self._tokens.settle(reserved, used, now, taken_at)
            self._learn_share(used, estimate)

    def _learn_share(self, used: float, estimate: float) -> None:
        if estimate > 0:
            share = min(_MOST_SHARE, max(_LEAST_SHARE, used / estimate))
            self._share = share if self._share is None else self._share + _SHARE_WEIGHT * (share - self._share)

    def give_back(self, reserved: float, taken_at: float, requests: int = 1) -> None:
        """It was taken then, and never sent."""
        self.in_flight -= 1
        if self._requests is not None:
            self._requests.give_back(requests, taken_at)
        if self._tokens is not None:
            self._tokens.give_back(reserved, taken_at)

    def _expect(self, estimate: float) -> float:
        """Estimates go by max_tokens, which few answers come near: reserved as they are, they would leave most of a quota unused."""
        return estimate if self._share is None else estimate * self._share

    def heed(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        """The server's own limits: where they are below ours, they hold, until it names higher ones."""
        ours = self.limits
        if self._requests is not None and requests_per_minute is not None:
            assert ours.requests_per_minute is not None
            most = max(1.0, min(ours.requests_per_minute, requests_per_minute))
            if most != self._requests.per_minute:
                self._requests.change(most)
        if self._tokens is not None and tokens_per_minute is not None:
            assert ours.tokens_per_minute is not None
            most = max(1.0, min(ours.tokens_per_minute, tokens_per_minute))
            if most != self._tokens.per_minute:
                self._tokens.change(most)

    def pause(self, until: float, reason: str) -> bool:
        """Nothing goes before that. False where a longer pause is under way."""
        if until <= self.paused_until:
            return False
        self.paused_until = until
        self.pause_reason = reason
        return True

    def watch(self, changed: Callable[[], None]) -> None:
        """Of a quota that others change, too: calls this whenever what `ready_at` says may have changed. This one changes by its own
        calls alone."""

    def resume(self) -> None:
        """There is no pause any more."""
        self.paused_until = -math.inf

    def cut(self, now: float) -> None:
        """The target is overloaded: fewer at once from now on."""
        if now - self._cut_at < CUT_REST_S:
            return
        self._cut_at = now
        self._cut_from = max(self._cut_from, float(self.in_flight))
        self.limit = max(1.0, CUT * min(self.limit, float(max(1, self.in_flight))))
        self.is_free = False

    def grow(self) -> None:
        """One has ended well: one more at once for each round of them, until there is no need for a limit any more."""
        if self.limit == math.inf:
            return
        self.limit += 1 / self.limit
        if self.limit >= 2 * max(self._cut_from, 4.0):
            self.limit = math.inf
            self._cut_from = 0.0
            self.is_free = self._has_no_bounds()
