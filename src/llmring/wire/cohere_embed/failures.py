"""What an error of Cohere's means: typed by its status; a text too long, which has no code, by one anchored pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import orjson

from llmring.exceptions import ContextLengthError, LLMRingError, ProviderError, ProviderRateLimitError
from llmring.wire.base import parse_json
from llmring.wire.errors import (
    HINTS,
    MAX_MESSAGE_CHARS,
    MAX_WORD_CHARS,
    class_of_status,
    clean,
    excerpt,
    read_retry_after,
)

# https://docs.cohere.com/reference/errors (2026-11-21): status 400, a message, no code.
_TOO_LONG: Final = re.compile(r"too many tokens: ")


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The typed error for a reply with an error status. `headers` have lower-case names. Never raises."""
    message = _read_message(body)
    cls = ContextLengthError if status == 400 and _TOO_LONG.match(message) else class_of_status(status)
    return cls(
        message or f"the provider answered with status {status} and no explanation",
        status=status,
        request_id=clean(headers.get("x-debug-trace-id") or "", MAX_WORD_CHARS) or None,
        retry_after_s=read_retry_after(headers, limited=cls is ProviderRateLimitError),
        hint=HINTS.get(cls),
    )


def encode_failure(message: str) -> bytes:
    """The body of an error reply."""
    return orjson.dumps({"message": message})


def _read_message(body: bytes) -> str:
    try:
        value: object = parse_json(body, "error body")
    except LLMRingError:
        return excerpt(body)
    match value:
        case {"message": str(text)}:
            return clean(text, MAX_MESSAGE_CHARS)
        case _:
            return ""
