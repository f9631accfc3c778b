"""Rates as the generic cell rate algorithm keeps them: one number, the moment at which the next cell is due. Pure."""

from __future__ import annotations

import math

# Of what is allowed in a minute, this share may go at once; the rest is spread evenly. Guess: a burst that big disturbs nobody.
_BURST_SHARE = 0.02
MINUTE_S = 60.0


class RequestRate:
    """Never more than `per_minute` in any 60 s: a small burst, and what is left at even distances."""

    __slots__ = ("_due", "_interval_s", "_tolerance_s")

    def __init__(self, per_minute: float) -> None:
        burst = max(1, int(per_minute * _BURST_SHARE))
        # A burst and then one each interval: burst - 1 + 60 / interval of them fit into a window, and that is to be per_minute.
        self._interval_s = MINUTE_S / (per_minute - burst + 1) * (1 + 1e-9)
        self._tolerance_s = (burst - 1) * self._interval_s
        self._due = -math.inf

    def ready_at(self) -> float:
        """When one more may go, in the seconds that `take` was given."""
        return self._due - self._tolerance_s

    def take(self, now: float) -> None:
        self._due = max(now, self._due) + self._interval_s

    def give_back(self) -> None:
        """One that was taken and never sent."""
        self._due -= self._interval_s


class TokenRate:
    """Tokens a minute, on average: a request goes when what went before it has been earned, however large it is; the next one waits
    the longer. What was taken by estimate is settled by what was used.
    """

    __slots__ = ("_due", "_second_per_token", "_tolerance_s", "per_minute")

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._second_per_token = MINUTE_S / (per_minute * (1 - _BURST_SHARE))
        self._tolerance_s = MINUTE_S * _BURST_SHARE
        self._due = -math.inf

    def ready_at(self) -> float:
        return self._due - self._tolerance_s

    def take(self, tokens: float, now: float) -> None:
        self._due = max(now, self._due) + tokens * self._second_per_token

    def settle(self, reserved: float, used: float) -> None:
        """Of what was reserved, this much was used: the difference is given back, or owed."""
        self._due += (used - reserved) * self._second_per_token
