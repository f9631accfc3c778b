"""What an error means, beyond the cases: whatever the bytes, a typed error and nothing else."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import (
    ContextLengthError,
    InvalidRequestError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    QuotaExhaustedError,
)
from llmring.wire.anthropic_messages import DIALECT, encode_failure


def _error(**error: Any) -> bytes:
    return orjson.dumps({"type": "error", "error": error})


@pytest.mark.spec("S08")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, ProviderAuthenticationError),
        (402, QuotaExhaustedError),
        (403, ProviderAuthenticationError),
        (404, ModelNotFoundError),
        (413, InvalidRequestError),
        (429, ProviderRateLimitError),
        (500, ProviderResponseError),
        (504, ProviderTimeoutError),
        (529, ProviderResponseError),
    ],
)
def test_what_we_write_as_a_server_is_the_same_error_to_a_client(status: int, kind: type[ProviderError]) -> None:
    error = DIALECT.classify(status, {}, encode_failure(status, "no", code="some_code"))
    assert type(error) is kind
    assert (error.message, error.status, error.code) == ("no", status, "some_code")


@pytest.mark.spec("S08")
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"type": "invalid_request_error", "message": "PROMPT IS TOO LONG: 2 > 1"}, ContextLengthError),
        (400, {"type": "exceed_context_size_error", "message": "request exceeds it", "code": 400}, ContextLengthError),
        (404, {"type": "invalid_request_error", "message": "no such model"}, ModelNotFoundError),
        (401, {"type": "invalid_request_error", "message": "no key"}, ProviderAuthenticationError),
        (429, {"type": "rate_limit_error", "message": "x", "details": {"error_code": "ramp_limit_exceeded"}},
         ProviderRateLimitError),
        (403, {"type": "permission_error", "message": "x", "details": {"error_code": "contract_spend_limit_reached"}},
         QuotaExhaustedError),
        (418, {}, InvalidRequestError),
        (503, {"type": 7, "message": ["x"], "details": "x"}, ProviderResponseError),
    ],
)  # fmt: skip
def test_code_then_type_then_status_say_what_it_is(
    status: int, error: dict[str, Any], kind: type[ProviderError]
) -> None:
    assert type(DIALECT.classify(status, {}, _error(**error))) is kind


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:05Z"}, None),  # without a date: from when?
        ({"date": "nonsense", "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:05Z"}, None),
        ({"date": "Sat, 21 Nov 2026 12:00:00 GMT", "anthropic-ratelimit-tokens-reset": "soon"}, None),
        ({"date": "Sat, 21 Nov 2026 12:00:00 GMT", "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:05"}, None),
        ({"date": "Sat, 21 Nov 2026 12:00:00 GMT", "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:05Z"}, 5.0),
        ({"date": "Sat, 21 Nov 2026 12:00:00 GMT", "anthropic-ratelimit-tokens-reset": "2026-11-21T11:00:00Z"}, 0.0),
    ],
)
def test_a_rate_limit_says_when_to_come_back(headers: dict[str, str], wanted: float | None) -> None:
    assert DIALECT.classify(429, headers, _error(type="rate_limit_error", message="x")).retry_after_s == wanted


def test_resets_count_for_rate_limits_alone() -> None:
    headers = {"date": "Sat, 21 Nov 2026 12:00:00 GMT", "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:05Z"}
    assert DIALECT.classify(529, headers, _error(type="overloaded_error", message="x")).retry_after_s is None


def test_a_redirect_says_where_to_look() -> None:
    assert "base URL" in (DIALECT.classify(307, {}, b"").hint or "")


@settings(max_examples=100, deadline=None, database=None)
@given(st.integers(300, 599), st.binary(max_size=200))
def test_whatever_the_bytes_there_is_a_typed_error(status: int, body: bytes) -> None:
    for data in (body, b'{"error": ' + body, b'{"type": "error", "error": {"message": "' + body):
        error = DIALECT.classify(status, {"retry-after": body.decode("latin-1")}, data)
        assert isinstance(error, ProviderError)
        assert not any(ord(char) < 32 for char in error.message)
