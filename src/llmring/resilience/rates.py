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

    def lasts_s(self, count: float) -> float:
        """How long so many take, one after the other."""
        return count * self._second_per_piece

    def take(self, count: float, now: float) -> None:
        self._due = max(now, self._due) + count * self._second_per_piece

    def give_back(self, count: float, taken_at: float) -> None:
        """What was taken then, and never used."""
        self._due -= count * self._second_per_piece

    def is_full(self, now: float) -> bool:
        """Whether it is as if nothing had ever been taken."""
        return self._due <= now

    def settle(self, reserved: float, used: float, now: float, taken_at: float) -> None:
        """Of what was taken then, this much was used: the difference is given back, or owed from now on."""
        if used > reserved:
            self.take(used - reserved, now)
        else:
            self.give_back(reserved - used, taken_at)


class _Entry:
    """What was taken within one second: when at the latest, and how long the bucket needs to get a piece of it back."""

    __slots__ = ("at", "count", "second_per_piece")

    def __init__(self, at: float, count: float, second_per_piece: float) -> None:
        self.at = at
        self.count = count
        self.second_per_piece = second_per_piece


class _Rate(Bucket):
    """A bucket that remembers what was taken within the window, less what was given back of it. Even distances promise nothing where
    more goes at once than the bucket holds, nor where something comes back after its time was waited for: then that sum is what counts.
    """

    __slots__ = ("_log", "_sum", "per_minute")

    def __init__(self, per_minute: float, capacity: float, per_second: float) -> None:
        self.per_minute = per_minute
        self._log: deque[_Entry] = deque()
        self._sum = 0.0
        super().__init__(capacity, per_second)

    def take(self, count: float, now: float) -> None:
        super().take(count, now)
        log = self._log
        while log and log[0].at <= now - WINDOW_S:
            self._sum -= log.popleft().count
        if not log:
            self._sum = 0.0  # whatever floats have left of it
        self._sum += count
        if log and int(log[-1].at) == int(now):  # one entry a second is enough
            last = log[-1]
            last.at = now
            last.count += count
            last.second_per_piece = min(last.second_per_piece, self._second_per_piece)
        else:
            log.append(_Entry(now, count, self._second_per_piece))

    def give_back(self, count: float, taken_at: float) -> None:
        """At the rate at which it was taken: a limit that fell meanwhile does not make more of it. What was taken before the window has
        been waited for, and is gone."""
        for entry in self._log:
            if int(entry.at) == int(taken_at):
                count = min(count, entry.count)
                entry.count -= count
                self._sum -= count
                self._due -= count * entry.second_per_piece
                return

    def _fits_at(self, count: float, most: float) -> float:
        """When so many may be taken beside those of the window before it."""
        when, left = -math.inf, most - count - self._sum
        for entry in self._log:
            if left >= 0:
                break
            left += entry.count
            when = entry.at + WINDOW_S
        return when

    def _has_forgotten(self, now: float) -> bool:
        return not self._log or self._log[-1].at <= now - WINDOW_S


class RequestRate(_Rate):
    """Never more than `per_minute` in any 60 s: a small burst, and what is left at even distances."""

    __slots__ = ("_has_batches",)

    def __init__(self, per_minute: float) -> None:
        self._has_batches = False
        super().__init__(per_minute, *_fit_requests(per_minute))

    def ready_at(self, count: float) -> float:
        when = super().ready_at(count)
        if count > self.capacity or self._has_batches:
            when = max(when, self._fits_at(count, math.floor(self.per_minute + 1e-6)))
        return when

    def take(self, count: float, now: float) -> None:
        if count > self.capacity:
            self._has_batches = True
        super().take(count, now)

    def is_full(self, now: float) -> bool:
        return super().is_full(now) and (not self._has_batches or self._has_forgotten(now))

    def change(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self.fit(*_fit_requests(per_minute))


class TokenRate(_Rate):
    """Never more than `per_minute` in any 60 s: of requests that have ended, what they used; of others, what was set aside for them.

    So what is used in any 60 s is more than the highest limit that held in them by no more than what the requests in flight come to use
    beyond what was set aside; that is owed once it is known.
    """

    __slots__ = ()

    def __init__(self, per_minute: float) -> None:
        super().__init__(per_minute, *_fit_tokens(per_minute))

    def ready_at(self, count: float) -> float:
        return max(super().ready_at(count), self._fits_at(count, self.per_minute))

    def is_full(self, now: float) -> bool:
        return super().is_full(now) and self._has_forgotten(now)

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
