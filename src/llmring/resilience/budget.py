"""How many second attempts all calls together may make: a share of the calls of the last seconds, and a few in reserve. So retries die
out where everything fails, instead of multiplying the load of who is down.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.2
RESERVE: Final = 10
TTL_S: Final = 10


class RetryBudget:
    """One for a ring; retries and hedges draw from it. Times are a clock's `monotonic()` seconds."""

    __slots__ = ("_calls", "_calls_by_second", "_retries", "_retries_by_second", "_tick")

    def __init__(self) -> None:
        self._calls_by_second, self._retries_by_second = [0] * TTL_S, [0] * TTL_S
        self._calls = self._retries = 0
        self._tick = 0

    def add_call(self, now: float) -> None:
        tick = int(now)
        if tick != self._tick:
            self._roll(tick)
        self._calls_by_second[tick % TTL_S] += 1
        self._calls += 1

    def has_left(self, now: float) -> bool:
        self._roll(int(now))
        return self._retries < RESERVE + SHARE * self._calls

    def withdraw(self, now: float) -> bool:
        """Whether one more attempt may be made; if so, it is counted."""
        if not self.has_left(now):
            return False
        self._retries_by_second[int(now) % TTL_S] += 1
        self._retries += 1
        return True

    def _roll(self, tick: int) -> None:
        gone = tick - self._tick
        if gone <= 0:
            return
        for step in range(1, min(gone, TTL_S) + 1):
            index = (self._tick + step) % TTL_S
            self._calls -= self._calls_by_second[index]
            self._retries -= self._retries_by_second[index]
            self._calls_by_second[index] = self._retries_by_second[index] = 0
        self._tick = tick


HEDGE_SHARE: Final = 0.05
# How many hedges the calls of quiet times may have saved up. Guess.
_MOST_SAVED: Final = 5.0


class HedgeShare:
    """How many calls may be asked twice at once: a share of them all, saved up to a few."""

    __slots__ = ("_saved",)

    def __init__(self) -> None:
        self._saved = 0.0

    def add_call(self) -> None:
        self._saved = min(_MOST_SAVED, self._saved + HEDGE_SHARE)

    def has_left(self) -> bool:
        return self._saved > 1.0 - 1e-9  # twenty times 0.05 is 1, whatever floats say

    def withdraw(self) -> None:
        self._saved -= 1.0
