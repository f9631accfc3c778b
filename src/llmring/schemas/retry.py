"""How often a call is sent: a request's own, or a ring's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmring.exceptions import ConfigurationError

OnOverflow: TypeAlias = Literal["raise", "larger_window"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is sent, and how long it waits in between. Frozen, checked where it is made: ConfigurationError.

    attempts (1 or above): at one target (a model of the pool, with one key), the first one included; 1 = no retry, but
    after the pauses of max_rate_limit_wait_s.
    attempts_per_call (1 or above): over all targets.
    backoff_s (seconds): the base of the pause after an error, None for the kind of error's own (0.25 or 1 s); doubled with each
    attempt, up to backoff_cap_s, and each pause is a random part of that.
    backoff_cap_s (seconds): the longest pause after an error.
    max_rate_limit_wait_s (seconds): how long a call may wait for servers' rate limits altogether, on top of its attempts;
    0 = not at all, and a rate limit is an attempt like any other.
    hedge: whether a second target is asked as well where the first is later than 95 % of its replies (streams: their first content), of
    which 20 must be known. At most one call in twenty, never with tools; whoever is slower is called off and listed in the attempts.
    on_overflow: where the prompt does not fit the model. "raise", the default: ContextLengthError. "larger_window": goes on to the next
    model of the pool whose context window is known to be larger, which may cost more.
    """

    attempts: int = 3
    attempts_per_call: int = 6
    backoff_s: float | None = None
    backoff_cap_s: float = 8.0
    max_rate_limit_wait_s: float = 30.0
    hedge: bool = False
    on_overflow: OnOverflow = "raise"

    def __post_init__(self) -> None:
        for name in ("attempts", "attempts_per_call"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"RetryPolicy.{name}: {value!r}", hint="a whole number; 1 = one attempt")
        for name in ("backoff_s", "backoff_cap_s", "max_rate_limit_wait_s"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not math.isfinite(value) or value < 0):
                raise ConfigurationError(f"RetryPolicy.{name}: {value!r}", hint="seconds, 0 or more")
        if self.on_overflow not in ("raise", "larger_window"):
            raise ConfigurationError(
                f"RetryPolicy.on_overflow: {self.on_overflow!r:.80}", hint='"raise" or "larger_window"'
            )
