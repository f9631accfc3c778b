"""What an error of this dialect means: typed by status and by the provider's code, never by words of the message.

docs/reliability.md says what happens then. Nothing here raises, whatever the bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
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

MAX_MESSAGE_CHARS = 500
MAX_WORD_CHARS = 100

# Codes that say more than the status they come with. `error.code` is looked at first, then `error.type`.
_BY_CODE: Final[Mapping[str, type[ProviderError]]] = {
    # https://platform.openai.com/docs/guides/error-codes
    "context_length_exceeded": ContextLengthError,
    "insufficient_quota": QuotaExhaustedError,
    "credit_balance_exhausted": QuotaExhaustedError,
    "enforced_spend_limit_reached": QuotaExhaustedError,
    "model_not_found": ModelNotFoundError,
    # llama.cpp's `error.type`; its `error.code` is the status. Recorded from build b1-7e4c0a9.
    "exceed_context_size_error": ContextLengthError,
}

# Codes that stand in for a status where there is none: errors inside a 200 stream.
_BY_CODE_WITHOUT_STATUS: Final[Mapping[str, type[ProviderError]]] = {
    "invalid_request_error": InvalidRequestError,
    "authentication_error": ProviderAuthenticationError,
    "invalid_api_key": ProviderAuthenticationError,
    "permission_error": ProviderAuthenticationError,
    "not_found_error": ModelNotFoundError,
    "rate_limit_error": ProviderRateLimitError,
    "rate_limit_exceeded": ProviderRateLimitError,
}

_BY_STATUS: Final[Mapping[int, type[ProviderError]]] = {
    401: ProviderAuthenticationError,
    402: QuotaExhaustedError,
    403: ProviderAuthenticationError,
    404: ModelNotFoundError,
    410: ModelNotFoundError,  # gone: retired
    408: ProviderTimeoutError,
    409: ProviderResponseError,
    425: ProviderResponseError,
    429: ProviderRateLimitError,
}

_HINTS: Final[Mapping[type[ProviderError], str]] = {
    ProviderAuthenticationError: "check the key, and that it may use this model",
    QuotaExhaustedError: "add credit or raise the spending limit at the provider",
    ModelNotFoundError: "check the model's name, the base URL, and that this key may use the model",
    ContextLengthError: "shorten the messages, or use a model with a larger context window",
}


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The typed error for a reply with an error status. `headers` have lower-case names. Never raises."""
    error, message = _read_body(body)
    code, said = _read_words(error)
    cls = _BY_CODE.get(said) or _BY_CODE.get(code or "") or _class_of_status(status)
    hint = _HINTS.get(cls)
    if 300 <= status < 400:
        hint = "redirects are not followed, because keys would travel along; set the base URL to where the API is"
    return cls(
        message or f"the provider answered with status {status} and no explanation",
        status=status,
        code=code,
        request_id=_clean(headers.get("x-request-id") or headers.get("request-id") or "", MAX_WORD_CHARS) or None,
        retry_after_s=read_retry_after(headers, limited=cls is ProviderRateLimitError),
        hint=hint,
    )


def classify_inline(error: object) -> ProviderError:
    """The typed error for an `error` that a server sent inside a 200 reply or stream. Never raises."""
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}
    code, said = _read_words(fields)
    status = _read_status(fields.get("code")) or _read_status(fields.get("status"))
    cls = _BY_CODE.get(said) or _BY_CODE.get(code or "")
    if cls is None:
        words = (said, code or "")
        unnumbered = next((_BY_CODE_WITHOUT_STATUS[w] for w in words if w in _BY_CODE_WITHOUT_STATUS), None)
        cls = _class_of_status(status) if status else unnumbered or ProviderResponseError
    return cls(
        _message_of(fields) or "the provider sent an error without an explanation",
        status=status,
        code=code,
        hint=_HINTS.get(cls),
    )


def find_error(data: bytes, name: str = "") -> ProviderError | None:
    """The typed error that the last bytes of a stream hold, which may be cut; None where they hold none. Never raises.

    name: of the event that they belong to; "" for bytes that belong to none.
    """
    try:
        value: object = parse_json(data, "stream")
    except LLMRingError:
        return None
    if isinstance(value, list) and value:  # as in `_read_body`
        value = cast("list[object]", value)[0]
    if not isinstance(value, dict):
        return None
    given = cast("dict[str, Any]", value)
    is_error = name == "error" or given.get("object") == "error"
    error = given.get("error") or (given if is_error and not given.get("choices") else None)
    return None if error is None else classify_inline(error)


def encode_failure(status: int, message: str, *, code: str | None = None, type: str | None = None) -> bytes:
    """The body of an error reply, as a server of this dialect writes it. `type` follows from the status unless
    given."""
    if type is None:
        match status:
            case 429:
                type = "rate_limit_error"
            case 503:
                type = "service_unavailable_error"
            case _:
                type = "server_error" if status >= 500 else "invalid_request_error"
    return orjson.dumps({"error": {"message": message, "type": type, "param": None, "code": code}})


def _class_of_status(status: int) -> type[ProviderError]:
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    # Whatever else a 4xx says, it says that this request will not do.
    return InvalidRequestError if 400 <= status < 500 else ProviderResponseError


def _read_body(body: bytes) -> tuple[dict[str, Any], str]:
    """The error object that a body holds, and its message; for bodies that are no JSON, a short excerpt."""
    try:
        value: object = parse_json(body, "error body")
    except LLMRingError:
        return {}, _excerpt(body)
    if isinstance(value, list) and value:  # Gemini's OpenAI endpoint wraps the object in a list
        value = cast("list[object]", value)[0]
    if not isinstance(value, dict):
        return {}, _clean(value, MAX_MESSAGE_CHARS) if isinstance(value, str) else ""
    given = cast("dict[str, Any]", value)
    error = given.get("error")
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else given
    return fields, _message_of(fields)


def _message_of(fields: Mapping[str, Any]) -> str:
    for name in ("message", "error", "detail"):
        value = fields.get(name)
        if isinstance(value, str) and (text := _clean(value, MAX_MESSAGE_CHARS)):
            return text
    return ""


def _read_words(error: Mapping[str, Any]) -> tuple[str | None, str]:
    """The code to show (`code`, or `type` where `code` is no word), and `code` itself as far as it is a word."""
    code, type_ = error.get("code"), error.get("type")
    said = _clean(code, MAX_WORD_CHARS) if isinstance(code, str) and not _read_status(code) else ""
    kind = _clean(type_, MAX_WORD_CHARS) if isinstance(type_, str) else ""
    return said or kind or None, said if kind not in _BY_CODE else said or kind


def _read_status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 else None


# Control characters, and those that turn the direction of text: a message goes into logs and terminals.
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_TAGS = re.compile(r"<[^<>]*>")


def _clean(text: str, limit: int) -> str:
    # Cut before and after: the text may be as long as a body.
    text = " ".join(_UNSHOWN.sub(" ", text[: 4 * limit]).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _excerpt(body: bytes) -> str:
    """The beginning of a body that is no JSON, such as a proxy's HTML page, without its tags."""
    text = _clean(_TAGS.sub(" ", body[:4096].decode(errors="replace")), 200)
    return f"no JSON, but: {text}" if text else ""


# How long to wait ---------------------------------------------------------------------------------------------------

_SECONDS_PER: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_HTTP_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LIMITED: Final = ("requests", "tokens")


def read_retry_after(headers: Mapping[str, str], *, limited: bool) -> float | None:
    """Seconds that the provider asks us to wait; None where it does not say.

    In order: `retry-after-ms`, `retry-after` (seconds, or a date, which is measured from the reply's own `date`: this
    module has no clock), and, where the reply is a rate limit, the longest `x-ratelimit-reset-*` of what is used up.
    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    milliseconds = _read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = headers.get("retry-after")
    if asked is not None:
        seconds = _read_number(asked)
        if seconds is None:
            seconds = _seconds_between(headers.get("date"), asked)
        if seconds is not None:
            return seconds
    return _read_resets(headers) if limited else None


def _read_resets(headers: Mapping[str, str]) -> float | None:
    resets = {kind: _read_duration(headers.get(f"x-ratelimit-reset-{kind}")) for kind in _LIMITED}
    known = {kind: reset for kind, reset in resets.items() if reset is not None}
    used_up = [
        reset for kind, reset in known.items() if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
    ]
    return max(used_up or known.values(), default=None)


def _read_number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,15}(?:\.\d{1,15})?\s*", text, re.ASCII):
        return None
    return float(text)


def _read_duration(text: str | None) -> float | None:
    """`1s`, `6m0s`, `20ms`, `1h2m3.5s`, or plain seconds."""
    if text is None or len(text) > 64:
        return None
    if not _DURATION.fullmatch(text.strip()):
        return _read_number(text)
    seconds = sum(float(number) * _SECONDS_PER[unit] for number, unit in _DURATION_PART.findall(text))
    return seconds if math.isfinite(seconds) else None


def _seconds_between(start: str | None, end: str) -> float | None:
    first, last = _read_http_date(start), _read_http_date(end)
    return None if first is None or last is None else max(0.0, (last - first).total_seconds())


def _read_http_date(text: str | None) -> datetime | None:
    match = _HTTP_DATE.fullmatch(text.strip()) if text is not None and len(text) <= 64 else None
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[n]) for n in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
