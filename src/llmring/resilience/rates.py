"""Rates as the generic cell rate algorithm keeps them: one number, the moment at which all that was taken has been earned. Pure.

Times are a clock's `monotonic()` seconds.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

# Of what is allowed in a minute, this share may go at once; the rest is spread evenly. Guess: a burst that big disturbs nobody.
_BURST_SHARE: Final = 0.02
# A minute, and how much the ways of two requests to the server may differ: what leaves here 60 s apart may arrive closer. Guess.
WINDOW_S: Final = 60.5


class Bucket:
    """Holds `capacity` pieces, and gets `per_second` more until it is full again. It is full at the start.

    More than it holds may be taken as well: once it is full, and then whoever comes next waits the longer.
    """

    __slots__ = ("_due", "_second_per_piece", "capacity")

    def __init__(self, capacity: float, per_second: float) -> None:
        self._due = -math.inf  # when it is full again
        self.fit(capacity, per_second)

    def fit(self, capacity: float, per_second: float) -> None:
        """Another size from now on; when it is full again stays."""
        self.capacity = capacity
        self._second_per_piece = 1 / per_second

    def ready_at(self, count: float) -> float:
        """When so many may be taken."""
        return self._due - max(0.0, self.capacity - count) * self._second_per_piece

    def take(self, count: float, now: float) -> None:
        self._due = max(now, self._due) + count * self._second_per_piece

    def give_back(self, count: float) -> None:
        """What was taken and never used."""
        self._due -= count * self._second_per_piece

    def is_full(self, now: float) -> bool:
        """Whether it is as if nothing had ever been taken."""
        return self._due <= now

    def settle(self, reserved: float, used: float, now: float) -> None:
        """Of what was taken, this much was used: the difference is given back, or owed from now on."""
        if used > reserved:
            self.take(used - reserved, now)
        else:
            self.give_back(reserved - used)


class RequestRate(Bucket):
    """Never more than `per_minute` in any 60 s: a small burst, and what is left at even distances."""

    __slots__ = ("_has_batches", "_log", "per_minute")

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._has_batches = False
        self._log: deque[tuple[float, float]] = deque()  # what was taken within the window, and when at the latest
        super().__init__(*_fit_requests(per_minute))

    def ready_at(self, count: float) -> float:
        """Where more goes at once than the bucket holds, even distances promise nothing: then what went within the window counts."""
        when = super().ready_at(count)
        if count > self.capacity or self._has_batches:
            left = math.floor(self.per_minute + 1e-6) - count - sum(taken for _, taken in self._log)
            for at, taken in self._log:
                if left >= 0:
                    break
                left += taken
                when = max(when, at + WINDOW_S)
        return when

    def take(self, count: float, now: float) -> None:
        super().take(count, now)
        log = self._log
        if count > self.capacity:
            self._has_batches = True
        while log and log[0][0] <= now - WINDOW_S:
            log.popleft()
        if log and int(log[-1][0]) == int(now):  # one entry a second is enough
            count += log.pop()[1]
        log.append((now, count))

    def give_back(self, count: float) -> None:
        super().give_back(count)
        if self._log:
            at, taken = self._log.pop()
            self._log.append((at, max(0.0, taken - count)))

    def change(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self.fit(*_fit_requests(per_minute))


class TokenRate(Bucket):
    """Never more than `per_minute` set aside in any 60 s, where no request is larger than a fiftieth of that. A larger one goes once all
    that went before it has been earned: on average, it is no more than `per_minute` either. What is given back late, after its time was
    waited for, may go on top of that: so it is while nothing is known yet of how much of an estimate is used.
    """

    __slots__ = ("per_minute",)

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        super().__init__(*_fit_tokens(per_minute))

    def change(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self.fit(*_fit_tokens(per_minute))


def _fit_requests(per_minute: float) -> tuple[float, float]:
    """Capacity and rate: what is taken within a window is at most the one and what the other brings in that time."""
    most = max(
        1, math.floor(per_minute + 1e-6)
    )  # no part of a request can be sent; and 60 × 0.7 is 42, whatever floats say
    burst = max(1, int(most * _BURST_SHARE))
    return burst, (most - burst + 1) / WINDOW_S


def _fit_tokens(per_minute: float) -> tuple[float, float]:
    burst = per_minute * _BURST_SHARE
    return burst, (per_minute - burst) / WINDOW_S
