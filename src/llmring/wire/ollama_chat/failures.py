"""What an error of Ollama's means. It has statuses and words, but no codes: what a status leaves open is told by anchored patterns.

https://docs.ollama.com/api/errors (2026-11-21). Nothing here raises, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.exceptions import (
    ContextLengthError,
    LLMRingError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
)
from llmring.wire.base import parse_json
from llmring.wire.errors import (
    HINTS,
    MAX_MESSAGE_CHARS,
    MAX_WORD_CHARS,
    class_of_status,
    clean,
    excerpt,
    read_retry_after,
    read_status,
)

# https://github.com/ollama/ollama/blob/main/server/routes.go and …/llm/llama_server.go (2026-11-21). A model is quoted with ' or ".
_PATTERNS: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = (
    (
        re.compile(r"(the )?input length exceeds |input (after truncation )?exceeds maximum context "),
        ContextLengthError,
    ),
    (re.compile(r"the prompt is longer than the context length "), ContextLengthError),
    (re.compile(r"""model ['"][^'"]+['"] not found"""), ModelNotFoundError),
)
# What llama-server says, passed on as JSON within the message. Its `error.type`.
_INNER_TYPES: Final[Mapping[str, type[ProviderError]]] = {"exceed_context_size_error": ContextLengthError}
_MODEL: Final = re.compile(r"""model ['"]([\w.:/@-]{1,200})['"] not found""", re.ASCII)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The typed error for a reply with an error status. `headers` have lower-case names. Never raises."""
    fields = _read_body(body)
    message = _message_of(fields) or ("" if fields else excerpt(body))
    by_words, message = _read_words(message)
    # The words tell one 4xx from another, and a broken server from a wrong request; they never make a 401 or 429 another.
    cls = by_words if by_words is not None and status in (400, 404, 500) else class_of_status(status)
    return cls(
        message or f"the provider answered with status {status} and no explanation",
        status=status,
        request_id=clean(headers.get("x-request-id") or "", MAX_WORD_CHARS) or None,
        retry_after_s=read_retry_after(headers, limited=cls is ProviderRateLimitError),
        hint=_hint(cls, message, status),
    )


def classify_inline(fields: Mapping[str, Any]) -> ProviderError:
    """The typed error for a line or a reply with an `error` that came with status 200. Never raises."""
    by_words, message = _read_words(_message_of(fields))
    status = read_status(fields.get("status")) or read_status(fields.get("status_code"))
    cls = by_words or (class_of_status(status) if status else ProviderResponseError)
    return cls(
        message or "the provider sent an error without an explanation", status=status, hint=_hint(cls, message, status)
    )


def find_error(data: bytes) -> ProviderError | None:
    """The typed error that the last bytes of a stream hold, which may be cut; None where they hold none. Never raises."""
    fields = _read_body(data)
    return classify_inline(fields) if fields.get("error") else None


def encode_failure(message: str) -> bytes:
    """The body of an error reply, and an error inside a stream."""
    return orjson.dumps({"error": message})


def _hint(cls: type[ProviderError], message: str, status: int | None) -> str | None:
    if cls is ModelNotFoundError:
        named = _MODEL.search(message)
        return f"pull it first: ollama pull {named[1] if named else 'MODEL'}"
    if cls is ContextLengthError:
        return "shorten the messages, or give the model more room: extra_params={'num_ctx': …}"
    if cls is ProviderAuthenticationError and status == 401:
        return "models of Ollama's cloud need an account: ollama signin"
    if status is not None and 300 <= status < 400:
        return "redirects are not followed; set the base URL to where the API is"
    return HINTS.get(cls)


def _read_body(body: bytes) -> dict[str, Any]:
    try:
        value: object = parse_json(body, "error body")
    except LLMRingError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _message_of(fields: Mapping[str, Any]) -> str:
    """`error` is text; servers and proxies in between write it as an object, too."""
    error = fields.get("error")
    if isinstance(error, dict):
        error = cast("dict[str, Any]", error).get("message")
    return error if isinstance(error, str) else ""


def _read_words(text: str) -> tuple[type[ProviderError] | None, str]:
    """What the words say it is, and the message fit to show."""
    if text.startswith("{"):
        inner = _read_body(text[:4096].encode(errors="replace"))
        error: Any = inner.get("error")
        if isinstance(error, dict):
            given = cast("dict[str, Any]", error)
            kind = given.get("type")
            said = given.get("message")
            cls = _INNER_TYPES.get(kind) if isinstance(kind, str) else None
            return cls, clean(said if isinstance(said, str) else text, MAX_MESSAGE_CHARS)
    message = clean(text, MAX_MESSAGE_CHARS)
    return next((cls for pattern, cls in _PATTERNS if pattern.match(message)), None), message
