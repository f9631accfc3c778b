"""The table of docs/reliability.md: what each failure counts against, and whether the same target is asked again."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from llmring.exceptions import (
    ContextLengthError,
    DeadlineExceededError,
    InvalidRequestError,
    MalformedResponseError,
    MissingCredentialError,
    ModelDriftError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QuotaExhaustedError,
    StreamInterruptedError,
)
from llmring.resilience.outcome import Outcome, judge


def _status(status: int) -> ProviderResponseError:
    return ProviderResponseError("x", status=status)


# The failure, where it counts, the base of the pause before the same target is asked again (None: never), how often at most.
TABLE: list[tuple[BaseException | None, Outcome, float | None, int | None]] = [
    (None, Outcome.SUCCESS, None, None),
    (InvalidRequestError("x", status=400), Outcome.NEUTRAL, None, None),
    (InvalidRequestError("x", status=413), Outcome.NEUTRAL, None, None),
    (InvalidRequestError("x", status=422), Outcome.NEUTRAL, None, None),
    (ContextLengthError("x", status=400), Outcome.NEUTRAL, None, None),
    (ProviderAuthenticationError("x", status=401), Outcome.KEY_REFUSED, None, None),
    (ProviderAuthenticationError("x", status=403), Outcome.KEY_REFUSED, None, None),
    (QuotaExhaustedError("x", status=402), Outcome.QUOTA_SPENT, None, None),
    (QuotaExhaustedError("x", status=429), Outcome.QUOTA_SPENT, None, None),
    (ModelNotFoundError("x", status=404), Outcome.MODEL_GONE, None, None),
    (ProviderRateLimitError("x", status=429), Outcome.THROTTLED, 1.0, None),
    (ProviderRateLimitError("x", status=429, retry_after_s=0.0), Outcome.THROTTLED, 1.0, None),
    (ProviderRateLimitError("x", status=429, retry_after_s=2.0), Outcome.PAUSED, 0.0, None),
    (_status(529), Outcome.OVERLOADED, 1.0, None),
    (_status(503), Outcome.OVERLOADED, 1.0, None),
    (_status(500), Outcome.FAILURE, 0.25, None),
    (_status(502), Outcome.FAILURE, 0.25, None),
    (_status(504), Outcome.FAILURE, 0.25, None),
    (ProviderConnectionError("reset"), Outcome.FAILURE, 0.25, None),
    (ProviderUnreachableError("no route"), Outcome.UNREACHABLE, 0.0, 1),
    (_status(408), Outcome.NEUTRAL, 0.25, None),
    (_status(409), Outcome.NEUTRAL, 0.25, None),
    (_status(425), Outcome.NEUTRAL, 0.25, None),
    (ProviderTimeoutError("first token"), Outcome.FAILURE, 0.0, 1),
    (MalformedResponseError("no JSON"), Outcome.FAILURE, 0.25, None),
    (DeadlineExceededError("x"), Outcome.NEUTRAL, None, None),
    (MissingCredentialError("x"), Outcome.NEUTRAL, None, None),
    (ModelDriftError("x"), Outcome.NEUTRAL, None, None),
    (asyncio.CancelledError(), Outcome.NEUTRAL, None, None),
    (GeneratorExit(), Outcome.NEUTRAL, None, None),
    (ZeroDivisionError(), Outcome.NEUTRAL, None, None),
]


@pytest.mark.parametrize(("error", "outcome", "backoff_s", "retries"), TABLE, ids=[repr(row[0])[:60] for row in TABLE])
def test_each_failure_has_its_row(
    error: BaseException | None, outcome: Outcome, backoff_s: float | None, retries: int | None
) -> None:
    verdict = judge(error)
    assert (verdict.outcome, verdict.backoff_s, verdict.retries) == (outcome, backoff_s, retries)


def test_a_stream_that_broke_after_content_is_a_failure() -> None:
    assert judge(StreamInterruptedError("cut")).outcome is Outcome.FAILURE


def test_a_timeout_is_slow_too_and_nothing_else_is() -> None:
    assert judge(ProviderTimeoutError("x")).slow
    assert not any(judge(row[0]).slow for row in TABLE if type(row[0]) is not ProviderTimeoutError)


def test_what_says_that_it_will_not_get_better_is_not_asked_again() -> None:
    error = ProviderResponseError("x", status=500, retryable=False)
    assert (judge(error).outcome, judge(error).backoff_s) == (Outcome.FAILURE, None)


def test_the_servers_hint_is_kept() -> None:
    assert judge(ProviderResponseError("x", status=503, retry_after_s=7.0)).hint_s == 7
    assert judge(QuotaExhaustedError("x", retry_after_s=3600.0)).hint_s == 3600


NONSENSE: list[Any] = [0.0, -1.0, math.nan, math.inf, -math.inf, "5", None]


@pytest.mark.parametrize("said", NONSENSE)
@pytest.mark.parametrize("kind", [ProviderRateLimitError, ProviderResponseError, QuotaExhaustedError])
def test_what_is_no_time_to_wait_is_no_hint(kind: type[ProviderError], said: Any) -> None:
    # A provider of somebody else's may write anything there; a pause until NaN would never end, one until yesterday never begin.
    assert judge(kind("x", retry_after_s=said)).hint_s is None
