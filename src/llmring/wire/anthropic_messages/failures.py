"""What an error of this dialect means: typed by the provider's code, its type of error and the status.

Two things that matter have neither: they are told by the words below, and by no others. Nothing here raises, whatever the bytes.
https://platform.claude.com/docs/en/api/errors (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

import orjson

from llmring.exceptions import (
    ContextLengthError,
    InvalidRequestError,
    LLMRingError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    QuotaExhaustedError,
)
from llmring.wire.base import parse_json
from llmring.wire.errors import (
    HINTS,
    MAX_MESSAGE_CHARS,
    MAX_WORD_CHARS,
    class_of_status,
    clean,
    excerpt,
    note_overload,
    read_http_date,
    read_retry_after,
)

# `error.details.error_code`, from the error types of the anthropic SDK 2.11.0.
_BY_CODE: Final[Mapping[str, type[ProviderError]]] = {
    "contract_spend_limit_reached": QuotaExhaustedError,
    "enforced_spend_limit_reached": QuotaExhaustedError,
    "linked_organization_billing_unavailable": QuotaExhaustedError,
    "linked_organization_spend_limit_reached": QuotaExhaustedError,
    "organization_on_hold": ProviderAuthenticationError,
    "ramp_limit_exceeded": ProviderRateLimitError,
}
# `error.type`.
_BY_TYPE: Final[Mapping[str, type[ProviderError]]] = {
    "invalid_request_error": InvalidRequestError,
    "request_too_large": InvalidRequestError,
    "authentication_error": ProviderAuthenticationError,
    "billing_error": QuotaExhaustedError,
    "permission_error": ProviderAuthenticationError,
    "not_found_error": ModelNotFoundError,
    "rate_limit_error": ProviderRateLimitError,
    "timeout_error": ProviderTimeoutError,
    "api_error": ProviderResponseError,
    "overloaded_error": ProviderResponseError,
    # llama.cpp's own type at this dialect's path too. Recorded from build b1-7e4c0a9.
    "exceed_context_size_error": ContextLengthError,
}
# What stands in for a 529 where there is no status.
_OVERLOADED: Final = frozenset({"overloaded_error"})
# Where an `invalid_request_error` says more than its type.
_BY_WORDS: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = (
    # "prompt is too long: 207791 tokens > 200000 maximum": https://github.com/whoz-oss/coday/issues/26 (2026-11-21)
    (re.compile(r"prompt is too long\b", re.ASCII | re.IGNORECASE), ContextLengthError),
    # "Your credit balance is too low to access the Anthropic API."
    (re.compile(r"Your credit balance is too low\b", re.ASCII), QuotaExhaustedError),
)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The typed error for a reply with an error status. `headers` have lower-case names. Never raises."""
    try:
        value: object = parse_json(body, "error body")
    except LLMRingError:
        value = excerpt(body)
    cls, code, message, request_id = _read(value)
    if cls is None or (cls is InvalidRequestError and 400 <= status < 500):
        cls = class_of_status(status)  # servers of the dialect say `invalid_request_error` for whatever is wrong
    hint = HINTS.get(cls)
    if 300 <= status < 400:
        hint = "redirects are not followed, because keys would travel along; set the base URL to where the API is"
    limited = cls is ProviderRateLimitError
    retry_after_s = read_retry_after(headers, limited=limited)
    return cls(
        message or f"the provider answered with status {status} and no explanation",
        status=status,
        code=code,
        request_id=clean(headers.get("request-id") or request_id or "", MAX_WORD_CHARS) or None,
        retry_after_s=_read_resets(headers) if retry_after_s is None and limited else retry_after_s,
        hint=hint,
    )


def classify_inline(value: object) -> ProviderError:
    """The typed error for an error that a server sent inside a 200 reply or stream. Never raises."""
    cls, code, message, request_id = _read(value)
    cls = cls or ProviderResponseError
    failure = cls(
        message or "the provider sent an error without an explanation",
        code=code,
        request_id=clean(request_id or "", MAX_WORD_CHARS) or None,
        hint=HINTS.get(cls),
    )
    note_overload(failure, _OVERLOADED, (code,))
    return failure


def find_error(data: bytes) -> ProviderError | None:
    """The typed error that bytes in the place of a stream, or at its cut end, hold; None where they hold none. Never raises."""
    try:
        value: object = parse_json(data, "stream")
    except LLMRingError:
        return None
    if not isinstance(value, dict):
        return None
    given = cast("dict[str, Any]", value)
    return classify_inline(given) if given.get("type") == "error" or given.get("error") else None


def _read(value: object) -> tuple[type[ProviderError] | None, str | None, str, str | None]:
    """Class (None where only the status can tell), code, message and request id of an error's JSON, or of a text."""
    if not isinstance(value, dict):
        return None, None, clean(value, MAX_MESSAGE_CHARS) if isinstance(value, str) else "", None
    given = cast("dict[str, Any]", value)
    error: object = given.get("error", given)
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}
    words = fields.get("message") or fields.get("detail")
    message = clean(words, MAX_MESSAGE_CHARS) if isinstance(words, str) else ""
    details = fields.get("details")
    code = _word(cast("dict[str, Any]", details).get("error_code")) if isinstance(details, dict) else ""
    kind = _word(fields.get("type"))
    cls = _BY_CODE.get(code) or _BY_TYPE.get(kind)
    if cls is InvalidRequestError:
        cls = next((known for pattern, known in _BY_WORDS if pattern.match(message)), cls)
    request_id = given.get("request_id")
    return cls, code or kind or None, message, request_id if isinstance(request_id, str) else None


def _word(value: object) -> str:
    return clean(value, MAX_WORD_CHARS) if isinstance(value, str) else ""


_LIMITED: Final = ("requests", "tokens", "input-tokens", "output-tokens")


def _read_resets(headers: Mapping[str, str]) -> float | None:
    """Seconds until the last of what is used up is filled again, measured from the reply's own `date`: this module has no clock.

    `anthropic-ratelimit-*-reset` are times: https://platform.claude.com/docs/en/api/rate-limits#response-headers (2026-11-21)
    """
    now = read_http_date(headers.get("date"))
    if now is None:
        return None
    waits: dict[str, float] = {}
    for kind in _LIMITED:
        text = headers.get(f"anthropic-ratelimit-{kind}-reset", "")
        try:
            waits[kind] = max(0.0, (datetime.fromisoformat(text) - now).total_seconds())
        except (ValueError, TypeError, OverflowError):  # no time, or one without a zone
            continue
    used_up = [
        wait for kind, wait in waits.items() if headers.get(f"anthropic-ratelimit-{kind}-remaining", "").strip() == "0"
    ]
    return max(used_up or waits.values(), default=None)


# The server side ----------------------------------------------------------------------------------------------------

_TYPE_OF: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def encode_failure(status: int, message: str, *, code: str | None = None, type: str | None = None) -> bytes:
    """The body of an error reply, as a server of this dialect writes it. `type` follows from the status unless given."""
    kind = type or _TYPE_OF.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return orjson.dumps({"type": "error", "error": error, "request_id": None})
