"""What an error of this dialect means: typed by status and by the provider's code, never by words of the message.

docs/reliability.md says what happens then. Nothing here raises, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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

# What stands in for a 503 there, as `error.code` or `error.type`: https://github.com/EverMind-AI/Raven/issues/234 and
# https://github.com/zyycn/codex-proxy-rs/pull/152; the last is Anthropic's own, of proxies before it (2026-11-21).
_OVERLOADED: Final = frozenset({"server_is_overloaded", "slow_down", "service_unavailable_error", "overloaded_error"})


# What OpenAI serves over Responses alone, and says without a code: models, and tools of models that think. By the beginning of its
# words; only the hint hangs on them. https://github.com/openai/openai-openapi/issues/541 and
# https://github.com/aaif-goose/goose/issues/2564 (2026-11-21)
_NEEDS_RESPONSES: Final = re.compile(
    r"Function tools with reasoning_effort are not supported for |This model is only supported in v1/responses "
)
_RESPONSES_HINT: Final = "ask it over Responses: use_responses_api=True; with tools, reasoning_effort='none' does too"


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The typed error for a reply with an error status. `headers` have lower-case names. Never raises."""
    error, message = _read_body(body)
    code, said = _read_words(error)
    cls = _BY_CODE.get(said) or _BY_CODE.get(code or "") or class_of_status(status)
    hint = _RESPONSES_HINT if _NEEDS_RESPONSES.match(message) else HINTS.get(cls)
    if 300 <= status < 400:
        hint = "redirects are not followed, because keys would travel along; set the base URL to where the API is"
    return cls(
        message or f"the provider answered with status {status} and no explanation",
        status=status,
        code=code,
        request_id=clean(headers.get("x-request-id") or headers.get("request-id") or "", MAX_WORD_CHARS) or None,
        retry_after_s=read_retry_after(headers, limited=cls is ProviderRateLimitError),
        hint=hint,
    )


def classify_inline(error: object) -> ProviderError:
    """The typed error for an `error` that a server sent inside a 200 reply or stream. Never raises."""
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}
    code, said = _read_words(fields)
    status = read_status(fields.get("code")) or read_status(fields.get("status"))
    cls = _BY_CODE.get(said) or _BY_CODE.get(code or "")
    if cls is None:
        words = (said, code or "")
        unnumbered = next((_BY_CODE_WITHOUT_STATUS[w] for w in words if w in _BY_CODE_WITHOUT_STATUS), None)
        cls = class_of_status(status) if status else unnumbered or ProviderResponseError
    failure = cls(
        _message_of(fields) or "the provider sent an error without an explanation",
        status=status,
        code=code,
        hint=HINTS.get(cls),
    )
    note_overload(failure, _OVERLOADED, (code, fields.get("type")))
    return failure


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


def _read_body(body: bytes) -> tuple[dict[str, Any], str]:
    """The error object that a body holds, and its message; for bodies that are no JSON, a short excerpt."""
    try:
        value: object = parse_json(body, "error body")
    except LLMRingError:
        return {}, excerpt(body)
    if isinstance(value, list) and value:  # Gemini's OpenAI endpoint wraps the object in a list
        value = cast("list[object]", value)[0]
    if not isinstance(value, dict):
        return {}, clean(value, MAX_MESSAGE_CHARS) if isinstance(value, str) else ""
    given = cast("dict[str, Any]", value)
    error = given.get("error")
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else given
    return fields, _message_of(fields)


def _message_of(fields: Mapping[str, Any]) -> str:
    for name in ("message", "error", "detail"):
        value = fields.get(name)
        if isinstance(value, str) and (text := clean(value, MAX_MESSAGE_CHARS)):
            return text
    return ""


def _read_words(error: Mapping[str, Any]) -> tuple[str | None, str]:
    """The code to show (`code`, or `type` where `code` is no word), and `code` itself as far as it is a word."""
    code, type_ = error.get("code"), error.get("type")
    said = clean(code, MAX_WORD_CHARS) if isinstance(code, str) and not read_status(code) else ""
    kind = clean(type_, MAX_WORD_CHARS) if isinstance(type_, str) else ""
    return said or kind or None, said if kind not in _BY_CODE else said or kind
