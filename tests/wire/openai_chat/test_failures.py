"""What an error reply means, by status and code; how long it asks us to wait; and that no bytes make this raise."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring import exceptions
from llmring.exceptions import ProviderError, ProviderRateLimitError
from llmring.wire.openai_chat import DIALECT, encode_failure
from llmring.wire.openai_chat.failures import MAX_MESSAGE_CHARS


def _classify(status: int, body: object = None, **headers: str) -> ProviderError:
    data = body if isinstance(body, bytes) else json.dumps({"error": body or {"message": "no"}}).encode()
    return DIALECT.classify(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


# docs/reliability.md, "a provider fails".
STATUSES = {
    301: "ProviderResponseError",
    400: "InvalidRequestError",
    401: "ProviderAuthenticationError",
    402: "QuotaExhaustedError",
    403: "ProviderAuthenticationError",
    404: "ModelNotFoundError",
    410: "ModelNotFoundError",
    405: "InvalidRequestError",
    408: "ProviderTimeoutError",
    409: "ProviderResponseError",
    413: "InvalidRequestError",
    422: "InvalidRequestError",
    425: "ProviderResponseError",
    429: "ProviderRateLimitError",
    500: "ProviderResponseError",
    502: "ProviderResponseError",
    503: "ProviderResponseError",
    504: "ProviderResponseError",
    529: "ProviderResponseError",
}


@pytest.mark.spec("U17")
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_class(status: int) -> None:
    error = _classify(status)
    assert type(error) is getattr(exceptions, STATUSES[status])
    assert error.status == status


@pytest.mark.spec("U17", "S08")
@pytest.mark.parametrize(
    ("status", "fields", "name"),
    [
        (400, {"code": "context_length_exceeded"}, "ContextLengthError"),
        (400, {"code": 400, "type": "exceed_context_size_error"}, "ContextLengthError"),
        (413, {"code": "context_length_exceeded"}, "ContextLengthError"),
        (400, {"message": "context_length_exceeded: the maximum context length"}, "InvalidRequestError"),
        (429, {"code": "insufficient_quota"}, "QuotaExhaustedError"),
        (429, {"code": None, "type": "insufficient_quota"}, "QuotaExhaustedError"),
        (429, {"code": "credit_balance_exhausted", "type": "insufficient_quota"}, "QuotaExhaustedError"),
        (403, {"code": "enforced_spend_limit_reached"}, "QuotaExhaustedError"),
        (429, {"message": "insufficient_quota"}, "ProviderRateLimitError"),
        (403, {"code": "model_not_found"}, "ModelNotFoundError"),
        (400, {"code": "rate_limit_exceeded"}, "InvalidRequestError"),
    ],
)
def test_a_code_says_more_than_its_status_and_words_of_the_message_say_nothing(
    status: int, fields: dict[str, Any], name: str
) -> None:
    assert type(_classify(status, {"message": "no", **fields})).__name__ == name


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "a"}}, "a"),
        ({"error": "b"}, "b"),
        ({"message": "c"}, "c"),
        ({"detail": "d"}, "d"),
        ([{"error": {"message": "e", "code": 400}}], "e"),
        ("f", "f"),
        ({"error": {"message": "tab\tline\nbell\x07esc\x1b[31m \u202eback"}}, "tab line bell esc [31m back"),
        ({"error": {}}, "the provider answered with status 400 and no explanation"),
        ([], "the provider answered with status 400 and no explanation"),
        ({"error": {"message": "x" * 900}}, "x" * (MAX_MESSAGE_CHARS - 1) + "…"),
    ],
)
def test_the_providers_own_words_are_kept_short_and_clean(body: object, message: str) -> None:
    assert _classify(400, json.dumps(body).encode()).message == message


@pytest.mark.parametrize("body", [b"", b"<p>" * 5000, b"<" * 50_000, b"[" * 5000, b"\xff\xfe" * 900], ids=range(5))
def test_a_body_that_is_no_json_leaves_a_short_excerpt(body: bytes) -> None:
    error = _classify(502, body)
    assert error.status == 502
    assert len(error.message) < 300


def test_the_request_id_is_the_providers() -> None:
    assert _classify(500, x_request_id="req_1").request_id == "req_1"
    assert _classify(500, request_id="req_2").request_id == "req_2"
    assert _classify(500).request_id is None


NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.spec("U17")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250", "retry_after": "1"}, 0.25),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": NOW}, 30.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": NOW}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry_after": "Wed, 99 Oct 2026 07:28:30 GMT", "date": NOW}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "9" * 400}, None),
        ({"x_ratelimit_reset_requests": "1s"}, 1.0),
        ({"x_ratelimit_reset_requests": "20ms"}, 0.02),
        ({"x_ratelimit_reset_tokens": "6m0s"}, 360.0),
        ({"x_ratelimit_reset_tokens": "1h0m2.5s"}, 3602.5),
        ({"x_ratelimit_reset_tokens": "12"}, 12.0),
        ({"x_ratelimit_reset_requests": "1s", "x_ratelimit_reset_tokens": "6m0s"}, 360.0),
        (
            {
                "x_ratelimit_reset_requests": "1s",
                "x_ratelimit_remaining_requests": "0",
                "x_ratelimit_reset_tokens": "6m0s",
                "x_ratelimit_remaining_tokens": "9",
            },
            1.0,
        ),
        ({"retry_after": "soon", "x_ratelimit_reset_requests": "2s"}, 2.0),
        ({"x_ratelimit_reset_requests": "in a while"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    error = _classify(429, **headers)
    assert isinstance(error, ProviderRateLimitError)
    assert error.retry_after_s == pytest.approx(seconds)


def test_the_resets_of_a_limit_that_was_not_hit_are_no_hint() -> None:
    assert _classify(503, x_ratelimit_reset_tokens="6m0s").retry_after_s is None
    assert _classify(503, retry_after="3").retry_after_s == 3.0


@pytest.mark.parametrize("status", [s for s in STATUSES if s >= 400])
def test_what_we_write_as_a_server_we_classify_as_a_client(status: int) -> None:
    error = DIALECT.classify(status, {}, encode_failure(status, "not now", code="context_length_exceeded"))
    assert (type(error).__name__, error.message) == ("ContextLengthError", "not now")
    assert type(DIALECT.classify(status, {}, encode_failure(status, "no"))).__name__ == STATUSES[status]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 600) | st.floats() | st.text(max_size=20) | st.sampled_from(["error"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail", "object"]), inner, max_size=4)
    ),
    max_leaves=8,
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "date", "x-request-id", "x-ratelimit-reset-tokens"]),
    st.text(max_size=40)
    | st.from_regex(r"\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\Z")
    | st.from_regex(r"\A\d+m?s\Z"),
)


@pytest.mark.spec("U17")
@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(0, 999), HEADERS, st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_and_no_headers_make_it_raise(status: int, headers: dict[str, str], body: bytes) -> None:
    error = DIALECT.classify(status, headers, body)
    assert error.status == status
    assert len(error.message) <= MAX_MESSAGE_CHARS
    assert error.retry_after_s is None or 0 <= error.retry_after_s < float("inf")
    assert not {unicodedata.category(character) for character in error.message} & {"Cc", "Cs"}


@pytest.mark.spec("A11")
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions."),
        (404, "This model is only supported in v1/responses and not in v1/chat/completions."),
    ],
)
def test_what_only_responses_can_do_is_said_with_the_way_there(status: int, message: str) -> None:
    error = DIALECT.classify(status, {}, json.dumps({"error": {"message": message, "code": None}}).encode())
    assert "use_responses_api=True" in (error.hint or "")
    other = DIALECT.classify(status, {}, json.dumps({"error": {"message": f"No: {message}", "code": None}}).encode())
    assert "use_responses_api" not in (other.hint or "")
