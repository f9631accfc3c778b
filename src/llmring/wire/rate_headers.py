"""What good replies say of rate limits, in the headers of OpenAI's dialects and of Anthropic's. Pure; never raises, whatever they say.

Both describe buckets that fill evenly: `reset` is the time until one is full again, not until the next request may go.
https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers ("resets to its initial state") and
https://platform.claude.com/docs/en/api/rate-limits#response-headers ("fully replenished") (2026-11-21)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from llmring.wire.errors import read_duration, read_http_date, read_number

_OPENAI: Final = ("requests", "tokens")
_ANTHROPIC: Final = ("requests", "tokens", "input-tokens", "output-tokens")
# What is waited for where tokens are used up, as a share of the limit: what the next request needs is not known here. Guess.
_TOKEN_SHARE: Final = 0.01


def find_used_up(headers: Mapping[str, str]) -> float | None:
    """Seconds until another request may go, where nothing is left; None where something is, or nothing is said.

    Asked of every good reply: a few lookups and no more, as long as there is something left.
    """
    if "x-ratelimit-remaining-requests" in headers or "x-ratelimit-remaining-tokens" in headers:
        get = headers.get
        if get("x-ratelimit-remaining-requests") == "0" or get("x-ratelimit-remaining-tokens") == "0":
            return _longest(
                _until_next(kind, read_duration(get(f"x-ratelimit-reset-{kind}")), get(f"x-ratelimit-limit-{kind}"))
                for kind in _OPENAI
                if get(f"x-ratelimit-remaining-{kind}") == "0"
            )
    elif "anthropic-ratelimit-requests-remaining" in headers or "anthropic-ratelimit-tokens-remaining" in headers:
        get = headers.get
        if (
            get("anthropic-ratelimit-requests-remaining") == "0"
            or get("anthropic-ratelimit-tokens-remaining") == "0"
            or get("anthropic-ratelimit-input-tokens-remaining") == "0"
            or get("anthropic-ratelimit-output-tokens-remaining") == "0"
        ):
            return _longest(
                _until_next(
                    kind,
                    seconds_until(get(f"anthropic-ratelimit-{kind}-reset"), get("date")),
                    get(f"anthropic-ratelimit-{kind}-limit"),
                )
                for kind in _ANTHROPIC
                if get(f"anthropic-ratelimit-{kind}-remaining") == "0"
            )
    return None


def _longest(waits: Iterable[float | None]) -> float | None:
    return max((wait for wait in waits if wait), default=None)


def _until_next(kind: str, full_s: float | None, limit: str | None) -> float | None:
    most = read_number(limit)
    if full_s is None or not most:
        return full_s
    return full_s * (min(1.0, 1 / most) if kind == "requests" else _TOKEN_SHARE)


def read_limits(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Requests and tokens a minute that the server allows; None for what it does not say.

    A server whose limit is by the day names a number that is too high for a minute: it is no ceiling then, and does no harm.
    """
    get = headers.get
    requests = get("x-ratelimit-limit-requests") or get("anthropic-ratelimit-requests-limit")
    tokens = get("x-ratelimit-limit-tokens") or get("anthropic-ratelimit-tokens-limit")
    return read_number(requests) or None, read_number(tokens) or None


def seconds_until(time: str | None, date: str | None) -> float | None:
    """From the reply's own `date` to an RFC 3339 time: this module has no clock."""
    now = read_http_date(date)
    if now is None or time is None:
        return None
    try:
        seconds = (datetime.fromisoformat(time) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no time, or one without a zone
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
