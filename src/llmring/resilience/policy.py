"""What a caller may set: how often to try again, when to stop asking a target, how fast to go. Frozen, checked where they are made.

The defaults are those of docs/reliability.md; where no source is named there, they are guesses that simulations bear out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

from llmring.exceptions import ConfigurationError


def _check_number(where: str, value: float | None, *, least: float, hint: str) -> None:
    if value is not None and (isinstance(value, bool) or not math.isfinite(value) or value < least):
        raise ConfigurationError(f"{where}: {value!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is sent, and how long it waits in between.

    attempts: at one target (a model of the pool, with one key), the first one included; 1 = no retry. attempts_per_call: over all targets.
    backoff_s: the base of the pause after an error, None for the kind of error's own (0.25 or 1 s); doubled with each attempt, up to
    backoff_cap_s, and each pause is a random part of that. max_rate_limit_wait_s: how long a call may wait for rate limits altogether,
    on top of its attempts; 0 = not at all. hedge: whether a second target is asked where the first content is later than usual.
    """

    attempts: int = 3
    attempts_per_call: int = 6
    backoff_s: float | None = None
    backoff_cap_s: float = 8.0
    max_rate_limit_wait_s: float = 30.0
    hedge: bool = False

    def __post_init__(self) -> None:
        for name in ("attempts", "attempts_per_call"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"RetryPolicy.{name}: {value!r}", hint="a whole number; 1 = one attempt")
        for name in ("backoff_s", "backoff_cap_s", "max_rate_limit_wait_s"):
            _check_number(f"RetryPolicy.{name}", getattr(self, name), least=0, hint="seconds, 0 or more")


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a target is left alone, and for how long.

    window_s: how far back failures count. It opens at failure_rate of at least min_calls, after consecutive_failures, or where
    slow_rate of at least min_calls streams had their first content later than slow_s and slow_factor times its usual time.
    open_s: the first time that it stays open, doubled up to open_cap_s while it keeps failing, and varied by jitter.
    lease_s: how long the one probe may take before another is sent. credential_probe_s: how long a refused key rests;
    quota_rest_s: how long one whose quota is spent rests where the provider does not say; missing_model_s: how long a model that the
    provider does not know is not asked for.
    """

    window_s: float = 60.0
    failure_rate: float = 0.5
    min_calls: int = 10
    consecutive_failures: int = 5
    slow_rate: float = 0.8
    slow_s: float = 20.0
    slow_factor: float = 4.0
    open_s: float = 5.0
    open_cap_s: float = 120.0
    jitter: float = 0.2
    lease_s: float = 60.0
    credential_probe_s: float = 60.0
    quota_rest_s: float = 900.0
    missing_model_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_rate"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ConfigurationError(f"BreakerPolicy.{name}: {value!r}", hint="a share, above 0 and at most 1")
        for name in ("min_calls", "consecutive_failures"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"BreakerPolicy.{name}: {value!r}", hint="a whole number, 1 or more")
        if not 0 <= self.jitter < 1:
            raise ConfigurationError(f"BreakerPolicy.jitter: {self.jitter!r}", hint="a share, 0 or more and below 1")
        for name in (
            "window_s",
            "slow_s",
            "slow_factor",
            "open_s",
            "open_cap_s",
            "lease_s",
            "credential_probe_s",
            "quota_rest_s",
            "missing_model_s",
        ):
            _check_number(f"BreakerPolicy.{name}", getattr(self, name), least=1e-3, hint="a number above 0")


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How fast a target may be asked: one provider, key and model. None = no ceiling of ours; the server's own hints always count.

    requests_per_minute: never more than that in any 60 s. tokens_per_minute: in and out; reserved by estimate, settled by what was used.
    max_concurrent: requests in flight.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_concurrent: int | None = None

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute", "max_concurrent"):
            value = getattr(self, name)
            _check_number(f"RateLimits.{name}", value, least=1, hint="1 or more, or None for no ceiling")
        if self.max_concurrent is not None and not isinstance(self.max_concurrent, int):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise ConfigurationError(f"RateLimits.max_concurrent: {self.max_concurrent!r}", hint="a whole number")

    @classmethod
    def per_second(
        cls, requests: float | None = None, tokens: float | None = None, *, max_concurrent: int | None = None
    ) -> Self:
        """The same from rates a second."""
        return cls(None if requests is None else requests * 60, None if tokens is None else tokens * 60, max_concurrent)

    @property
    def requests_per_second(self) -> float | None:
        return None if self.requests_per_minute is None else self.requests_per_minute / 60

    @property
    def tokens_per_second(self) -> float | None:
        return None if self.tokens_per_minute is None else self.tokens_per_minute / 60


# What LM Deluge's client begins with (B27): for those who come from there.
LM_DELUGE: Final = RateLimits(requests_per_minute=1000, tokens_per_minute=100_000, max_concurrent=225)
