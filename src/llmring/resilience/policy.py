"""What a caller may set: how often to try again, when to stop asking a target, how fast to go. Frozen, checked where they are made.

The defaults are those of docs/reliability.md; where no source is named there, they are guesses that simulations bear out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

from llmring.exceptions import ConfigurationError
from llmring.schemas.retry import RetryPolicy as RetryPolicy  # a request carries one, so it stands lower


def _check_number(where: str, value: float | None, *, least: float, hint: str) -> None:
    if value is not None and (isinstance(value, bool) or not math.isfinite(value) or value < least):
        raise ConfigurationError(f"{where}: {value!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a target is left alone, and for how long. A breaker opens at failure_rate of at least min_calls, after consecutive_failures,
    or where slow_rate of at least min_calls streams began late. Frozen, checked where it is made: ConfigurationError.

    window_s (seconds): how far back outcomes count.
    failure_rate (above 0 to 1): the share of failures in the window that opens it.
    min_calls (calls, 1 or above): how many there must have been before a share says anything.
    consecutive_failures (calls, 1 or above): failures in a row that open it, however few calls there were.
    slow_rate (above 0 to 1): the share of streams that began late which opens it.
    slow_s (seconds): a stream began late where its first content took longer than this, and longer than slow_factor says.
    slow_factor (times): of what the target's first content usually takes.
    open_s (seconds): the first time that it stays open, doubled while it keeps failing.
    open_cap_s (seconds): the longest time, unless the server names a longer one.
    jitter (0 to below 1): by which share these times are varied, up and down.
    lease_s (seconds): how long the one probe may take before another is sent.
    credential_probe_s (seconds): how long a refused key rests.
    quota_rest_s (seconds): how long a key whose quota is spent rests, where the provider does not say.
    missing_model_s (seconds): how long a model that the provider does not know is not asked for.
    pause_cap_s (seconds): how long a rate limit or an overload keeps a target from being asked at most, whatever the server says.
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
    pause_cap_s: float = 3600.0

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
            "pause_cap_s",
        ):
            _check_number(f"BreakerPolicy.{name}", getattr(self, name), least=1e-3, hint="a number above 0")


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How fast a target may be asked: one provider, key and model. None = no ceiling of ours; the server's own hints always count.

    requests_per_minute (requests, 1 or above): never more than that in any 60 s.
    tokens_per_minute (tokens, 1 or above): in and out; reserved by estimate, settled by what was used.
    max_concurrent (requests, 1 or above): in flight at once.
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


LM_DELUGE: Final = RateLimits(requests_per_minute=1000, tokens_per_minute=100_000, max_concurrent=225)
"""What LM Deluge's client begins with, for those who come from there: `LLMRing(limits=LM_DELUGE)`."""
