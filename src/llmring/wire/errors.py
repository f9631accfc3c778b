"""What every dialect's `failures.py` shares: statuses, waiting times, and a provider's words made fit to show.

Nothing here raises, whatever the bytes, and nothing here knows a dialect.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Set
from datetime import UTC, datetime
from typing import Final

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

MAX_MESSAGE_CHARS = 500
MAX_WORD_CHARS = 100


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


HINTS: Final[Mapping[type[ProviderError], str]] = {
    ProviderAuthenticationError: "check the key, and that it may use this model",
    QuotaExhaustedError: "add credit or raise the spending limit at the provider",
    ModelNotFoundError: "check the model's name, the base URL, and that this key may use the model",
    ContextLengthError: "shorten the messages, or use a model with a larger context window",
}


def class_of_status(status: int) -> type[ProviderError]:
    """What an error status means where no code says more."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    # Whatever else a 4xx says, it says that this request will not do.
    return InvalidRequestError if 400 <= status < 500 else ProviderResponseError


def note_overload(error: ProviderError, words: Set[str], said: Iterable[object]) -> None:
    """Of an error inside a 200, which has no status to tell it by: whether what was said of it is one of the words for a 503."""
    if type(error) is ProviderResponseError and any(isinstance(word, str) and word in words for word in said):
        error.overloaded = True


def read_status(value: object) -> int | None:
    """An error status as a number or as digits, None for anything else."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 else None


# Control characters, those that turn the direction of text, and those that nobody sees, but for the two that scripts and emoji are
# joined with: a message goes into logs and terminals.
_UNSHOWN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]+"
)
_TAGS = re.compile(r"<[^<>]*>")


def clean(text: str, limit: int) -> str:
    """A provider's text without control characters, in one line, no longer than `limit`."""
    # Cut before and after: the text may be as long as a body.
    text = " ".join(_UNSHOWN.sub(" ", text[: 4 * limit]).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def excerpt(body: bytes) -> str:
    """The beginning of a body that is no JSON, such as a proxy's HTML page, without its tags."""
    text = clean(_TAGS.sub(" ", body[:4096].decode(errors="replace")), 200)
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
    milliseconds = read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = headers.get("retry-after")
    if asked is not None:
        seconds = read_number(asked)
        if seconds is None:
            seconds = _seconds_between(headers.get("date"), asked)
        if seconds is not None:
            return seconds
    return _read_resets(headers) if limited else None


def _read_resets(headers: Mapping[str, str]) -> float | None:
    resets = {kind: read_duration(headers.get(f"x-ratelimit-reset-{kind}")) for kind in _LIMITED}
    known = {kind: reset for kind, reset in resets.items() if reset is not None}
    used_up = [
        reset for kind, reset in known.items() if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
    ]
    return max(used_up or known.values(), default=None)


def read_number(text: str | None) -> float | None:
    """A header's number, 0 or more; None where it is none."""
    if text is None or not re.fullmatch(r"\s*\d{1,15}(?:\.\d{1,15})?\s*", text, re.ASCII):
        return None
    return float(text)


def read_duration(text: str | None) -> float | None:
    """`1s`, `6m0s`, `20ms`, `1h2m3.5s`, or plain seconds."""
    if text is None or len(text) > 64:
        return None
    if not _DURATION.fullmatch(text.strip()):
        return read_number(text)
    seconds = sum(float(number) * _SECONDS_PER[unit] for number, unit in _DURATION_PART.findall(text))
    return seconds if math.isfinite(seconds) else None


def _seconds_between(start: str | None, end: str) -> float | None:
    first, last = read_http_date(start), read_http_date(end)
    return None if first is None or last is None else max(0.0, (last - first).total_seconds())


def read_http_date(text: str | None) -> datetime | None:
    """A `date` header, None where it is none."""
    match = _HTTP_DATE.fullmatch(text.strip()) if text is not None and len(text) <= 64 else None
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[n]) for n in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
