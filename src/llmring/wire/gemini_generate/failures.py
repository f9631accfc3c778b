"""What an error of this dialect means: Google's error model, typed by its reasons, its quotas, its status word and the status.

One thing that matters has none of these: that the prompt is too long is told by the words below, and by no others. Nothing here
raises, whatever the bytes. https://ai.google.dev/gemini-api/docs/troubleshooting and https://google.aip.dev/193 (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

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
    read_retry_after,
    read_status,
)

# `reason` of an ErrorInfo: a key that is none comes with status 400.
_BY_REASON: Final[Mapping[str, type[ProviderError]]] = {
    "API_KEY_INVALID": ProviderAuthenticationError,
    "API_KEY_EXPIRED": ProviderAuthenticationError,
}
# `error.status`: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto (2026-11-21)
_BY_WORD: Final[Mapping[str, type[ProviderError]]] = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    # A country without a free tier, a project without billing: of the account, not of the request.
    "FAILED_PRECONDITION": ProviderAuthenticationError,
    "UNAUTHENTICATED": ProviderAuthenticationError,
    "PERMISSION_DENIED": ProviderAuthenticationError,
    "NOT_FOUND": ModelNotFoundError,
    "RESOURCE_EXHAUSTED": ProviderRateLimitError,
    "DEADLINE_EXCEEDED": ProviderTimeoutError,
    "CANCELLED": ProviderResponseError,
    "ABORTED": ProviderResponseError,
    "UNKNOWN": ProviderResponseError,
    "INTERNAL": ProviderResponseError,
    "UNAVAILABLE": ProviderResponseError,
    "DATA_LOSS": ProviderResponseError,
}
# What stands in for a 503 where there is no status.
_OVERLOADED: Final = frozenset({"UNAVAILABLE"})
# Where an INVALID_ARGUMENT says more than its word.
_BY_WORDS: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = (
    # "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).", with or without the numbers:
    # https://github.com/google-gemini/gemini-cli/issues/6678 and https://github.com/arkavo-org/arkavo-edge/issues/371 (2026-11-21)
    (re.compile(r"The input token count (?:\(\d+\) )?exceeds the maximum\b", re.ASCII), ContextLengthError),
    # Vertex: https://github.com/google-gemini/gemini-cli/issues/19727 (2026-11-21)
    (
        re.compile(
            r"Unable to submit request because the input token count is \d+ but model only supports up to\b", re.ASCII
        ),
        ContextLengthError,
    ),
)
# `quotaId` of a QuotaFailure, such as GenerateRequestsPerDayPerProjectPerModel-FreeTier: what is used up until tomorrow.
_DAILY: Final = re.compile(r"PerDay", re.ASCII)
_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The typed error for a reply with an error status. `headers` have lower-case names. Never raises."""
    try:
        value: object = parse_json(body, "error body")
    except LLMRingError:
        value = excerpt(body)
    cls, code, message, delay_s, _ = _read(value)
    if cls is None or (cls is InvalidRequestError and 400 < status < 500):
        cls = class_of_status(status)  # a proxy in between writes INVALID_ARGUMENT for whatever is wrong
    hint = HINTS.get(cls)
    if 300 <= status < 400:
        hint = "redirects are not followed, because keys would travel along; set the base URL to where the API is"
    limited = cls is ProviderRateLimitError
    retry_after_s = read_retry_after(headers, limited=limited)
    return cls(
        message or f"the provider answered with status {status} and no explanation",
        status=status,
        code=code,
        request_id=clean(headers.get("x-request-id") or "", MAX_WORD_CHARS) or None,
        retry_after_s=delay_s if retry_after_s is None else retry_after_s,
        hint=hint,
    )


def classify_inline(value: object) -> ProviderError:
    """The typed error for an object with an `error` that a server sent inside a 200 reply or stream. Never raises."""
    cls, code, message, delay_s, status = _read(value)
    cls = cls or (class_of_status(status) if status else ProviderResponseError)
    failure = cls(
        message or "the provider sent an error without an explanation",
        status=status,
        code=code,
        retry_after_s=delay_s,
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
    if isinstance(value, list) and value:
        value = cast("list[object]", value)[0]
    if not isinstance(value, dict):
        return None
    given = cast("dict[str, Any]", value)
    return classify_inline(given) if given.get("error") else None


def _read(value: object) -> tuple[type[ProviderError] | None, str | None, str, float | None, int | None]:
    """Class (None where only the status can tell), code, message, seconds to wait and status of an error's JSON, or of a text."""
    if isinstance(value, list) and value:  # streams without alt=sse, and their errors, are lists
        value = cast("list[object]", value)[0]
    if not isinstance(value, dict):
        return None, None, clean(value, MAX_MESSAGE_CHARS) if isinstance(value, str) else "", None, None
    given = cast("dict[str, Any]", value)
    error: object = given.get("error", given)
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}
    words = fields.get("message")
    message = clean(words, MAX_MESSAGE_CHARS) if isinstance(words, str) else ""
    word = _word(fields.get("status"))
    reason, is_daily, delay_s = _read_details(fields.get("details"))
    cls = _BY_REASON.get(reason) or _BY_WORD.get(word)
    if cls is InvalidRequestError:
        cls = next((known for pattern, known in _BY_WORDS if pattern.match(message)), cls)
    if is_daily and cls in (None, ProviderRateLimitError):
        # The wait that comes with it is that of the quota per minute.
        cls, delay_s = QuotaExhaustedError, None
    code = reason if reason in _BY_REASON else word or reason
    return cls, code or None, message, delay_s, read_status(fields.get("code"))


def _read_details(details: object) -> tuple[str, bool, float | None]:
    """The ErrorInfo's reason, whether a quota of a day is used up, and the RetryInfo's wait in seconds."""
    reason, is_daily, delay_s = "", False, None
    for detail in _objects(details):
        kind = str(detail.get("@type", "")).rpartition(".")[2]
        if kind == "ErrorInfo":
            reason = _word(detail.get("reason"))
        elif kind == "QuotaFailure":
            quotas = [violation.get("quotaId") for violation in _objects(detail.get("violations"))]
            is_daily = is_daily or any(isinstance(quota, str) and _DAILY.search(quota) for quota in quotas)
        elif kind == "RetryInfo":
            delay = detail.get("retryDelay")
            match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
            delay_s = float(match[1]) if match else delay_s
    return reason, is_daily, delay_s


def _objects(value: object) -> Iterator[dict[str, Any]]:
    for item in cast("list[object]", value) if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield cast("dict[str, Any]", item)


def _word(value: object) -> str:
    return clean(value, MAX_WORD_CHARS) if isinstance(value, str) else ""
