"""The figures of docs/reliability.md are those of the code: policies, the table of outcomes, budgets."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from llmring.calls import hedging
from llmring.exceptions import (
    ContextLengthError,
    DeadlineExceededError,
    DigestMismatchError,
    InvalidRequestError,
    LLMRingError,
    MalformedResponseError,
    MissingCredentialError,
    ModelDriftError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QuotaExhaustedError,
)
from llmring.resilience import budget, quota, target
from llmring.resilience.fallback import moves_on
from llmring.resilience.outcome import Outcome, Verdict, judge
from llmring.resilience.policy import BreakerPolicy, RetryPolicy

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()


def table_under(head: str) -> list[list[str]]:
    """The cells of the table whose first heading is this."""
    lines = PAGE[PAGE.index(f"\n| {head} |") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("policy", [BreakerPolicy(), RetryPolicy()], ids=lambda policy: type(policy).__name__)
def test_every_setting_of_a_policy_is_on_the_page_with_its_default(policy: BreakerPolicy | RetryPolicy) -> None:
    told: dict[str, str] = {}
    for names, values, _ in table_under(f"`{type(policy).__name__}`"):
        told |= dict(zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True))
    have = {field.name: getattr(policy, field.name) for field in dataclasses.fields(policy)}
    assert told == {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in have.items()}


# By what the row begins with.
ERRORS: dict[str, list[LLMRingError]] = {
    "400, 413, 422": [InvalidRequestError("x", status=status) for status in (400, 413, 422)],
    "prompt too long": [ContextLengthError("x", status=400)],
    "401, 403": [ProviderAuthenticationError("x", status=status) for status in (401, 403)],
    "402, `insufficient_quota` and the like": [QuotaExhaustedError("x", status=status) for status in (402, 429)],
    "404, 410": [ModelNotFoundError("x", status=status) for status in (404, 410)],
    "429 that says when to come back": [ProviderRateLimitError("x", status=429, retry_after_s=2.0)],
    "429 that does not": [ProviderRateLimitError("x", status=429)],
    "503, 529": [ProviderResponseError("x", status=status, retryable=True) for status in (503, 529)],
    "500, 502, 504": [ProviderResponseError("x", status=status, retryable=True) for status in (500, 502, 504)],
    "a connection that broke": [ProviderConnectionError("x")],
    "no connection: port, name, TLS": [ProviderUnreachableError("x")],
    "409, 425": [ProviderResponseError("x", status=status, retryable=True) for status in (409, 425)],
    "408": [ProviderTimeoutError("x", status=408)],
    "a clock of ours ran out": [ProviderTimeoutError("x")],
    "another model than the locked one answers": [ModelDriftError("x")],
    "Ollama's content is another than the locked one": [DigestMismatchError("x")],
    "an answer that is no answer": [MalformedResponseError("x", status=200)],
    "your own `deadline`; you cancel": [DeadlineExceededError("x")],
    "no key to send": [MissingCredentialError("x")],
}
COUNTS = {
    Outcome.NEUTRAL: "nothing",
    Outcome.FAILURE: "the model's breaker",
    Outcome.OVERLOADED: "the model's breaker, concurrency",
    Outcome.THROTTLED: "concurrency",
    Outcome.PAUSED: "the quota, paused till then",
    Outcome.UNREACHABLE: "the endpoint's breaker",
    Outcome.KEY_REFUSED: "the key",
    Outcome.QUOTA_SPENT: "the key",
    Outcome.MODEL_GONE: "the model, remembered",
}


def key_of(what: str) -> str:
    return max((key for key in ERRORS if what.startswith(key)), key=len)


def again(verdict: Verdict) -> str:
    if verdict.backoff_s is None:
        return "never"
    if verdict.outcome is Outcome.PAUSED:
        return "when the pause is over"
    return "once, at once" if verdict.retries == 1 else f"base {verdict.backoff_s:g} s"


@pytest.mark.spec("B11")
@pytest.mark.parametrize("row", table_under("what comes back"), ids=lambda row: row[0])
def test_every_outcome_counts_as_the_page_says(row: list[str]) -> None:
    what, kinds, counts, retry, moves = row
    for error in ERRORS[key_of(what)]:
        verdict = judge(error)
        assert type(error).__name__ in kinds
        assert counts == COUNTS[verdict.outcome] + (", as slow too" if verdict.slow else "")
        assert retry == again(verdict)
        assert moves.startswith("yes") is moves_on(error, first=True)


def test_no_outcome_is_left_out() -> None:
    assert {key_of(row[0]) for row in table_under("what comes back")} == ERRORS.keys()
    assert {judge(error).outcome for errors in ERRORS.values() for error in errors} == set(COUNTS)


def test_the_figures_in_the_text_are_the_codes() -> None:
    policy, retry = BreakerPolicy(), RetryPolicy()
    for words in (
        f"up to {retry.attempts} times, a call is sent up to {retry.attempts_per_call} times",
        f"{retry.backoff_cap_s:g} s at most",
        f"waits {retry.max_rate_limit_wait_s:g} s for such pauses",
        f"{budget.SHARE:.0%} of the calls of the last {budget.TTL_S} s, and {budget.RESERVE} more".replace("%", " %"),
        f"401, 403: {policy.credential_probe_s:g} s; a spent quota: until its reset, else {policy.quota_rest_s / 60:g} min",
        f" min, {target.LONGEST_QUOTA_S / 86_400:g} days at most",
        f"404: {policy.missing_model_s:g} s",
        f"after {policy.open_s:g} s, {2 * policy.open_s:g} s, {4 * policy.open_s:g} s … {policy.open_cap_s:g} s (± {policy.jitter * 100:g} %)",
        f"{quota.CUT:g} times as many as were in flight",
        f"the time that {hedging.LATE_SHARE * 100:g} % of its calls take (of {hedging.LEAST_KNOWN} or more)",
        f"no more than {budget.HEDGE_SHARE * 100:g} % of the calls",
    ):
        assert words in re.sub(r"\s+", " ", PAGE), words
