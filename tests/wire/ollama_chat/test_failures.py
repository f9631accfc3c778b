"""What an error means, by status and by the few words that say more; and that no bytes make this raise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring import exceptions
from llmring.exceptions import ContextLengthError, ModelNotFoundError, ProviderError, ProviderRateLimitError
from llmring.wire.ollama_chat import DIALECT
from llmring.wire.ollama_chat.failures import classify_inline


def classify(status: int, error: object, **headers: str) -> ProviderError:
    body = error if isinstance(error, bytes) else json.dumps({"error": error}).encode()
    return DIALECT.classify(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


# https://docs.ollama.com/api/errors (2026-11-21)
STATUSES = {
    301: "ProviderResponseError",
    400: "InvalidRequestError",
    401: "ProviderAuthenticationError",
    403: "ProviderAuthenticationError",
    404: "ModelNotFoundError",
    429: "ProviderRateLimitError",
    500: "ProviderResponseError",
    502: "ProviderResponseError",
    503: "ProviderResponseError",
}


@pytest.mark.spec("U17")
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_class(status: int) -> None:
    error = classify(status, "no")
    assert type(error) is getattr(exceptions, STATUSES[status])
    assert (error.status, error.message) == (status, "no")


@pytest.mark.spec("U50")
@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('model "llama3.2" not found, try pulling it first', "ollama pull llama3.2"),
        ("model 'hf.co/u/m:Q4_K_M' not found", "ollama pull hf.co/u/m:Q4_K_M"),
        ("model '; rm -rf /' not found", "ollama pull MODEL"),
        ("no such page", "ollama pull MODEL"),
    ],
)
def test_a_model_that_is_not_there_can_be_pulled(message: str, hint: str) -> None:
    error = classify(404, message)
    assert type(error) is ModelNotFoundError
    assert (error.hint or "").endswith(hint)


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(
    "message",
    [
        "the input length exceeds the context length",
        "input exceeds maximum context length and cannot be truncated further",
        "input after truncation exceeds maximum context length",
        "the prompt is longer than the context length currently available to the model",
    ],
)
def test_a_prompt_that_is_too_long_is_told_from_other_errors(status: int, message: str) -> None:
    assert type(classify(status, message)) is ContextLengthError
    assert type(classify(status, f"it says: {message}")) is not ContextLengthError


def test_words_make_no_other_of_a_status_that_says_enough() -> None:
    assert type(classify(429, "model 'x' not found", retry_after="3")) is ProviderRateLimitError
    assert classify(429, "slow down", retry_after="3").retry_after_s == 3


def test_an_error_within_a_stream_may_bring_its_status() -> None:
    assert type(classify_inline({"error": "slow", "status": 429})) is ProviderRateLimitError
    assert classify_inline({"error": {"message": "as an object"}}).message == "as an object"


@given(st.binary(max_size=80) | st.text(max_size=40).map(lambda text: json.dumps({"error": text}).encode()))
@settings(deadline=None)
def test_no_bytes_make_it_raise(body: bytes) -> None:
    error = DIALECT.classify(400, {}, body)
    assert error.message
    assert len(error.message) <= 500
    assert "\n" not in error.message
