"""How a target's last minute went, in six buckets: what is old falls out bucket by bucket, and counting costs the same for ever."""

from __future__ import annotations

from typing import Final

from llmring.resilience.policy import BreakerPolicy

_BUCKETS: Final = 6


class OutcomeWindow:
    """Counts successes, failures and slow streams. Times are a clock's `monotonic()` seconds."""

    __slots__ = (
        "_bads",
        "_bucket_s",
        "_goods",
        "_index",
        "_policy",
        "_slows",
        "_tick",
        "_timed",
        "bad",
        "good",
        "in_a_row",
        "slow",
        "timed",
    )

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._bucket_s = policy.window_s / _BUCKETS
        self.clear()

    def clear(self) -> None:
        self._goods, self._bads = [0] * _BUCKETS, [0] * _BUCKETS
        self._timed, self._slows = [0] * _BUCKETS, [0] * _BUCKETS
        self._tick = self._index = 0
        self.good = self.bad = self.timed = self.slow = 0
        self.in_a_row = 0  # failures since the last success; they age with the window, too: see _roll

    def add_good(self, now: float) -> None:
        tick = int(now / self._bucket_s)
        if tick != self._tick:
            self._roll(tick)
        self._goods[self._index] += 1
        self.good += 1
        self.in_a_row = 0

    def add_bad(self, now: float) -> None:
        self._roll(int(now / self._bucket_s))
        self._bads[self._index] += 1
        self.bad += 1
        self.in_a_row += 1

    def add_first_token(self, now: float, *, slow: bool) -> None:
        """Of a stream: whether its first content came late."""
        self._roll(int(now / self._bucket_s))
        self._timed[self._index] += 1
        self.timed += 1
        if slow:
            self._slows[self._index] += 1
            self.slow += 1

    def verdict(self) -> str | None:
        """Why the target is to be left alone, None where it is not. Asked after a count was added."""
        policy = self._policy
        if self.in_a_row >= policy.consecutive_failures:
            return f"{self.in_a_row} failures in a row"
        calls = self.good + self.bad
        if calls >= policy.min_calls and self.bad >= policy.failure_rate * calls:
            return f"{self.bad} of {calls} calls failed within {policy.window_s:g} s"
        if self.timed >= policy.min_calls and self.slow >= policy.slow_rate * self.timed:
            return f"{self.slow} of {self.timed} streams began late within {policy.window_s:g} s"
        return None

    def _roll(self, tick: int) -> None:
        gone = tick - self._tick
        if gone <= 0:
            return  # the same bucket; or a report that comes in late, which counts now
        for step in range(1, min(gone, _BUCKETS) + 1):
            index = (self._tick + step) % _BUCKETS
            self.good -= self._goods[index]
            self.bad -= self._bads[index]
            self.timed -= self._timed[index]
            self.slow -= self._slows[index]
            self._goods[index] = self._bads[index] = self._timed[index] = self._slows[index] = 0
        if not self.bad:
            self.in_a_row = 0
        self._tick = tick
        self._index = tick % _BUCKETS
