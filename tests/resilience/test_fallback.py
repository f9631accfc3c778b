"""What moves a call on, and which failure is told at the end."""

from __future__ import annotations

from itertools import permutations

import pytest

from llmring.exceptions import (
    AttemptRecord,
    CircuitBreakerError,
    ConfigurationError,
    ContextLengthError,
    DeadlineExceededError,
    InvalidRequestError,
    LLMRingError,
    MissingCredentialError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    QuotaExhaustedError,
    StreamInterruptedError,
)
from llmring.resilience.fallback import most_useful, moves_on, with_attempts

MOVES_ON: list[LLMRingError] = [
    MissingCredentialError("m"),
    ProviderAuthenticationError("m"),
    QuotaExhaustedError("m"),
    ModelNotFoundError("m"),
    ProviderRateLimitError("m"),
    ProviderTimeoutError("m"),
    ProviderResponseError("m"),
    ProviderConnectionError("m"),
    StreamInterruptedError("m"),
    CircuitBreakerError("m"),
]
ENDS: list[LLMRingError] = [InvalidRequestError("m"), ContextLengthError("m"), DeadlineExceededError("m")]


@pytest.mark.spec("U19")
@pytest.mark.parametrize("error", MOVES_ON, ids=lambda error: type(error).__name__)
def test_a_failure_of_the_provider_moves_on(error: LLMRingError) -> None:
    assert moves_on(error, first=True)
    assert moves_on(error, first=False)


@pytest.mark.spec("U19")
@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_the_callers_own_mistake_or_deadline_ends_the_call(error: LLMRingError) -> None:
    assert not moves_on(error, first=True)
    assert not moves_on(error, first=False)


def test_an_overflow_moves_on_where_the_policy_says_so_and_no_other_refusal_does() -> None:
    for first in (True, False):
        assert moves_on(ContextLengthError("m"), first=first, on_overflow="larger_window")
        assert not moves_on(InvalidRequestError("m"), first=first, on_overflow="larger_window")


@pytest.mark.spec("U43")
def test_what_a_later_dialect_cannot_say_passes_it_over_and_what_the_first_cannot_is_the_callers_mistake() -> None:
    assert not moves_on(ConfigurationError("m"), first=True)
    assert moves_on(ConfigurationError("m"), first=False)


# The order of U41; candidates that were passed over say less than any that was tried.
BEST_FIRST: list[LLMRingError] = [
    InvalidRequestError("caller"),
    ProviderAuthenticationError("auth"),
    ModelNotFoundError("not found"),
    ProviderRateLimitError("rate limit"),
    ProviderTimeoutError("timeout"),
    ProviderResponseError("response"),
    ContextLengthError("too small, and it was gone on to others"),
    MissingCredentialError("no key"),
    CircuitBreakerError("breaker"),
    ConfigurationError("dialect"),
]


@pytest.mark.spec("U41")
@pytest.mark.parametrize(("better", "worse"), [(a, b) for a, b in permutations(range(len(BEST_FIRST)), 2) if a < b])
def test_of_every_pair_of_causes_the_more_useful_is_told_in_either_order(better: int, worse: int) -> None:
    a, b = BEST_FIRST[better], BEST_FIRST[worse]
    assert most_useful([a, b]) is a
    assert most_useful([b, a]) is a


def test_of_equal_causes_the_earliest_is_told() -> None:
    first, second = ProviderTimeoutError("first"), ProviderTimeoutError("second")
    assert most_useful([first, second]) is first


def test_attempts_are_told_on_provider_errors() -> None:
    record = AttemptRecord("openai", "m", "ProviderTimeoutError", "slow", None, 1.5)
    error = with_attempts(ProviderTimeoutError("slow"), [record])
    assert isinstance(error, ProviderTimeoutError)
    assert error.attempts == (record,)
