"""Whether a failure moves a call on to the pool's next model, and which failure is told when none is left."""

from __future__ import annotations

from collections.abc import Sequence

from llmring.exceptions import (
    AttemptRecord,
    CircuitBreakerError,
    ConfigurationError,
    ContextLengthError,
    DeadlineExceededError,
    DigestMismatchError,
    InvalidRequestError,
    LiveRequestError,
    LLMRingError,
    MissingCredentialError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderTimeoutError,
    ServiceClosedError,
)
from llmring.schemas.retry import OnOverflow


def moves_on(error: LLMRingError, *, first: bool, on_overflow: OnOverflow = "raise") -> bool:
    """Whether the next candidate may be tried after this failure of a candidate.

    The caller's own mistakes and the caller's deadline end the call. What a later candidate cannot express (its dialect's
    limits) passes that candidate over; where the first cannot express it, the request itself is wrong. A provider that is not
    known here says nothing of the request, wherever it stands. A model whose content is not the one that was pinned is for a person
    to look at: no other model hides it. A test that may not ask this is told so. on_overflow: as in the call's `RetryPolicy`; which
    models hold more is not asked here.
    """
    if isinstance(error, ContextLengthError):
        return on_overflow == "larger_window"
    if isinstance(error, (ServiceClosedError, DigestMismatchError, LiveRequestError)):
        return False
    if isinstance(error, ConfigurationError):
        return not first or isinstance(error, ProviderNotFoundError)
    return isinstance(error, ProviderError) and not isinstance(error, (InvalidRequestError, DeadlineExceededError))


# The most useful cause first. Candidates that were passed over (no key, a breaker that is open, a limit of the dialect) say less
# than any that was tried: someone with one provider's key must see that provider's failure, not the keys that were never set.
_PASSED_OVER = (MissingCredentialError, CircuitBreakerError, ConfigurationError)
# An overflow that moved on is made up for by whoever holds more: why that one did not answer says more than that the first was too small.
_MOST_USEFUL = (
    InvalidRequestError,
    ProviderAuthenticationError,
    ModelNotFoundError,
    ProviderRateLimitError,
    ProviderTimeoutError,
    ProviderError,
    ContextLengthError,
)


def _usefulness(error: LLMRingError) -> int:
    if isinstance(error, ContextLengthError):
        return len(_MOST_USEFUL) - 1
    for rank, kind in enumerate(_PASSED_OVER):
        if isinstance(error, kind):
            return len(_MOST_USEFUL) + rank
    return next((rank for rank, kind in enumerate(_MOST_USEFUL) if isinstance(error, kind)), len(_MOST_USEFUL))


def most_useful(errors: Sequence[LLMRingError]) -> LLMRingError:
    """The failure to raise when every candidate failed: the most useful cause, the earliest among equals."""
    return min(errors, key=_usefulness)


def with_attempts(error: LLMRingError, attempts: Sequence[AttemptRecord]) -> LLMRingError:
    """The error, telling what else was tried."""
    if isinstance(error, ProviderError):
        error.attempts = tuple(attempts)
    return error
