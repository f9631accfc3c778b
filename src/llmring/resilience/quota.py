"""What one target may be asked now: requests and tokens a minute, requests in flight, and the pause that a server asked for.

Pure: it says when, and counts; who waits, and in which order, is `calls/queue.py`'s.
"""

from __future__ import annotations

import math
from typing import Final

from llmring.resilience.policy import RateLimits
from llmring.resilience.rates import RequestRate, TokenRate

# Additive increase, multiplicative decrease: docs/reliability.md.
CUT: Final = 0.7
# How long after a cut the next may come: the calls that were in flight with the one that was refused say the same again. Guess.
CUT_REST_S: Final = 1.0


class Quota:
    """The quota of one (provider, key, model). All times are a clock's `monotonic()` seconds.

    in_flight: requests that were sent and have not ended. limit: how many of them the target seems to bear, infinite until it
    complained. paused_until: the server's own word.
    """

    __slots__ = (
        "_cut_at",
        "_cut_from",
        "_max_concurrent",
        "_requests",
        "_tokens",
        "in_flight",
        "is_free",
        "limit",
        "limits",
        "pause_reason",
        "paused_until",
    )

    def __init__(self, limits: RateLimits | None = None) -> None:
        self.limits = limits or RateLimits()
        self._requests = (
            None if self.limits.requests_per_minute is None else RequestRate(self.limits.requests_per_minute)
        )
        self._tokens = None if self.limits.tokens_per_minute is None else TokenRate(self.limits.tokens_per_minute)
        self._max_concurrent = math.inf if self.limits.max_concurrent is None else self.limits.max_concurrent
        self.in_flight = 0
        self.limit = math.inf
        self.paused_until = -math.inf
        self.pause_reason = ""
        self._cut_at = -math.inf
        self._cut_from = 0.0
        self.is_free = self._has_no_bounds()

    def _has_no_bounds(self) -> bool:
        """Whether nothing has to be asked before a call goes: the way of nearly every call."""
        return self._requests is self._tokens is None and self._max_concurrent == self.limit == math.inf

    @property
    def counts_tokens(self) -> bool:
        return self._tokens is not None

    @property
    def tokens_per_minute(self) -> float | None:
        return None if self._tokens is None else self._tokens.per_minute

    def ready_at(self) -> float:
        """When the next call may go as far as rates and pauses go; -inf where at once."""
        when = self.paused_until
        if self._requests is not None:
            when = max(when, self._requests.ready_at())
        if self._tokens is not None:
            when = max(when, self._tokens.ready_at())
        return when

    def has_room(self) -> bool:
        """Whether one more may be in flight."""
        return self.in_flight < min(self._max_concurrent, max(1.0, self.limit))

    def take(self, tokens: float, now: float) -> None:
        """Sends one: only where `ready_at` and `has_room` allow it."""
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)

    def settle(self, reserved: float, used: float | None) -> None:
        """It has ended. used: tokens, None where nobody knows: then what was reserved counts."""
        self.in_flight -= 1
        if self._tokens is not None and used is not None:
            self._tokens.settle(reserved, used)

    def give_back(self, tokens: float) -> None:
        """It was taken, and never sent."""
        self.in_flight -= 1
        if self._requests is not None:
            self._requests.give_back()
        if self._tokens is not None:
            self._tokens.settle(tokens, 0)

    def pause(self, until: float, reason: str) -> bool:
        """Nothing goes before that. False where a longer pause is under way."""
        if until <= self.paused_until:
            return False
        self.paused_until = until
        self.pause_reason = reason
        return True

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
