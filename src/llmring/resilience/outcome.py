"""What a failure means: which gate it counts against, and whether the same target may be asked again. One table, from the error's class
and facts alone; see docs/reliability.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from llmring.exceptions import (
    DeadlineExceededError,
    InvalidRequestError,
    MissingCredentialError,
    ModelDriftError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QuotaExhaustedError,
)


class Outcome(Enum):
    """Where a finished attempt counts."""

    SUCCESS = auto()
    NEUTRAL = auto()  # says nothing of the target: the caller's mistake, deadline or cancelling
    FAILURE = auto()  # the model's breaker
    OVERLOADED = auto()  # the model's breaker, and fewer calls at once
    THROTTLED = auto()  # fewer calls at once; the breaker does not hear of it
    PAUSED = auto()  # the quota gate, until the moment that the server named
    UNREACHABLE = auto()  # the endpoint's breaker
    KEY_REFUSED = auto()  # the credential gate, until the key changes or a probe passes
    QUOTA_SPENT = auto()  # the credential gate, until the quota's reset
    MODEL_GONE = auto()  # remembered for a while


@dataclass(frozen=True, slots=True)
class Verdict:
    """retries: how often the same target may be asked again at most; None, as often as the policy says. backoff_s: the base of the pause
    before that, None where it is not asked again. hint_s: how long the server asked us to wait. slow: it also counts as a slow call.
    """

    outcome: Outcome
    backoff_s: float | None = None
    retries: int | None = None
    hint_s: float | None = None
    slow: bool = False


_OVERLOAD_S: Final = 1.0
_ERROR_S: Final = 0.25
_AT_ONCE_S: Final = 0.0

SUCCESS: Final = Verdict(Outcome.SUCCESS)
NEUTRAL: Final = Verdict(Outcome.NEUTRAL)

_OVERLOADED_STATUSES: Final = frozenset({503, 529})
_NEUTRAL_STATUSES: Final = frozenset({408, 409, 425})


def judge(error: BaseException | None) -> Verdict:
    """None, for an attempt that ended well, is a success; what no provider raised (a cancellation, a mistake) says nothing of one."""
    if error is None:
        return SUCCESS
    if not isinstance(error, ProviderError):
        return NEUTRAL
    verdict = _judge(error)
    if verdict.backoff_s is not None and not error.retryable:
        return Verdict(verdict.outcome, hint_s=verdict.hint_s, slow=verdict.slow)
    return verdict


def _hint_of(error: ProviderError) -> float | None:
    """None for what is no time to wait: "at once", and what a provider of somebody else's may write there."""
    said: object = error.retry_after_s
    return said if isinstance(said, (int, float)) and math.isfinite(said) and said > 0 else None


def _judge(error: ProviderError) -> Verdict:
    hint = _hint_of(error)
    match error:
        case InvalidRequestError() | DeadlineExceededError() | MissingCredentialError() | ModelDriftError():
            return NEUTRAL
        case ProviderAuthenticationError() if error.outdated:
            return Verdict(Outcome.NEUTRAL, _AT_ONCE_S, retries=1)
        case QuotaExhaustedError():
            return Verdict(Outcome.QUOTA_SPENT, hint_s=hint)
        case ProviderAuthenticationError():
            return Verdict(Outcome.KEY_REFUSED)
        case ModelNotFoundError():
            return Verdict(Outcome.MODEL_GONE)
        case ProviderRateLimitError():
            if hint is not None:  # "again at once" is no pause, and an attempt that costs nothing would go on for ever
                return Verdict(Outcome.PAUSED, _AT_ONCE_S, hint_s=hint)
            return Verdict(Outcome.THROTTLED, _OVERLOAD_S)
        case ProviderUnreachableError():
            return Verdict(Outcome.UNREACHABLE, _AT_ONCE_S, retries=1)
        case ProviderTimeoutError() if (
            error.status is None and error.code is None
        ):  # our own clock, not a server's word
            return Verdict(Outcome.FAILURE, _AT_ONCE_S, retries=1, slow=True)
        case _:
            pass
    if error.status in _NEUTRAL_STATUSES:
        return Verdict(Outcome.NEUTRAL, _ERROR_S, hint_s=hint)
    if error.status in _OVERLOADED_STATUSES or (isinstance(error, ProviderResponseError) and error.overloaded):
        return Verdict(Outcome.OVERLOADED, _OVERLOAD_S, hint_s=hint)
    return Verdict(Outcome.FAILURE, _ERROR_S, hint_s=hint)
