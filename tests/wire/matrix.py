"""The feature × dialect matrix as data: what each feature is, and which case of each dialect shows it.

`cases/<dialect>/matrix.json` says for each feature either the name of a case folder (two: of the request, of the answer), or that
the vendor has no words for it:
`{"limit": why, "url": the vendor's own page, "date": when it was read, "refused" | "left_out": fields of a request that show it}`;
"fetched" there: the dialect refuses it, and a ring gives it what it takes instead.
docs/features.md is made from this; `test_matrix.py` proves each cell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from llmring.schemas.messages import FilePart, ImagePart, Message, Role, ThinkingPart, ToolOutputPart
from llmring.schemas.request import LLMRequest
from llmring.schemas.response import LLMResponse

CASES = Path(__file__).parent / "cases"
DIALECT_ORDER = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "ollama_chat")

Asked: TypeAlias = "Callable[[LLMRequest], Any]"
Answered: TypeAlias = "Callable[[LLMResponse], Any]"


@dataclass(frozen=True)
class Feature:
    """A line of the matrix. asked, answered: what the request or the response of a case shows that claims the feature; a case
    must have all that its feature names. error: the class that the case ends with. how: for features that are no case."""

    title: str
    asked: Asked | None = None
    answered: Answered | None = None
    error: str | None = None
    streamed: bool = False
    how: str | None = None


def _parts(request: LLMRequest) -> list[Any]:
    return [part for message in request.messages if isinstance(message.content, list) for part in message.content]


def _has_image(message: Message) -> bool:
    for part in message.content if isinstance(message.content, list) else ():
        if isinstance(part, ImagePart):
            return True
        if isinstance(part, ToolOutputPart) and not isinstance(part.content, str):
            return any(isinstance(item, ImagePart) for item in part.content)
    return False


def _schema(request: LLMRequest, strict: bool | None) -> bool:
    match request.response_format:
        case {"type": "json_schema", "json_schema": {"strict": bool(given)}}:
            return given is strict
        case {"type": "json_schema"} | {"properties": _}:
            return strict is not True
        case _:
            return False


def _calls(response: LLMResponse) -> int:
    return len(response.tool_calls or ())


FEATURES: Mapping[str, Feature] = {
    "text": Feature("plain text", answered=lambda r: r.content and r.finish_reason == "stop"),
    "text_streamed": Feature("plain text, streamed", answered=lambda r: r.content, streamed=True),
    "system": Feature("system prompt", asked=lambda r: any(m.role is Role.SYSTEM for m in r.messages)),
    "turns": Feature("several turns", asked=lambda r: any(m.role is Role.ASSISTANT for m in r.messages)),
    "image_url": Feature("image by URL", asked=lambda r: any(isinstance(p, ImagePart) and p.url for p in _parts(r))),
    "image_bytes": Feature(
        "image by bytes", asked=lambda r: any(isinstance(p, ImagePart) and p.data for p in _parts(r))
    ),
    "pdf": Feature(
        "PDF", asked=lambda r: any(isinstance(p, FilePart) and p.media_type == "application/pdf" for p in _parts(r))
    ),
    "tools": Feature(
        "tools", asked=lambda r: r.tools, answered=lambda r: _calls(r) and r.finish_reason == "tool_calls"
    ),
    "tools_parallel": Feature("several calls in one answer", answered=lambda r: _calls(r) > 1),
    "tools_streamed": Feature(
        "tool arguments, streamed",
        answered=lambda r: any(call.arguments for call in r.tool_calls or ()),
        streamed=True,
    ),
    "tool_choice_auto": Feature("tool choice: auto", asked=lambda r: r.tool_choice == "auto"),
    "tool_choice_none": Feature("tool choice: none", asked=lambda r: r.tool_choice == "none"),
    "tool_choice_required": Feature("tool choice: required", asked=lambda r: r.tool_choice == "required"),
    "tool_choice_named": Feature(
        "tool choice: one by name", asked=lambda r: r.tool_choice not in (None, "auto", "none", "required")
    ),
    "tool_result": Feature("tool results", asked=lambda r: any(m.role is Role.TOOL for m in r.messages)),
    "tool_result_image": Feature(
        "tool results with images", asked=lambda r: any(m.role is Role.TOOL and _has_image(m) for m in r.messages)
    ),
    "json_object": Feature("JSON mode", asked=lambda r: r.response_format in ("json_object", {"type": "json_object"})),
    "json_schema_strict": Feature("JSON schema, strict", asked=lambda r: _schema(r, True)),
    "json_schema": Feature("JSON schema, not strict", asked=lambda r: _schema(r, False)),
    "thinking": Feature("thinking, read", answered=lambda r: r.reasoning),
    "thinking_streamed": Feature("thinking, streamed", answered=lambda r: r.reasoning, streamed=True),
    "effort": Feature("thinking: how much", asked=lambda r: r.reasoning_effort not in (None, "none")),
    "thinking_off": Feature("thinking: off", asked=lambda r: r.reasoning_effort == "none"),
    "thinking_back": Feature(
        "thinking sent back with its seal",
        asked=lambda r: (
            any(isinstance(p, ThinkingPart) for p in _parts(r))
            or any(call.signature for m in r.messages for call in m.tool_calls or ())
        ),
    ),
    "logprobs": Feature("log probabilities", asked=lambda r: r.logprobs, answered=lambda r: r.logprobs),
    "stop": Feature("stop sequences", asked=lambda r: r.stop),
    "max_tokens": Feature("max tokens", asked=lambda r: r.max_tokens),
    "sampling": Feature("temperature and top_p", asked=lambda r: r.temperature is not None and r.top_p is not None),
    "sampling_refused": Feature(
        "temperature and top_p left out where a model refuses them", asked=lambda r: r.temperature is not None
    ),
    "usage": Feature("token counts", answered=lambda r: r.usage.prompt_tokens and r.usage.completion_tokens),
    "usage_cached": Feature("token counts: read from a cache", answered=lambda r: r.usage.cache_read_tokens),
    "usage_cache_write": Feature("token counts: written to a cache", answered=lambda r: r.usage.cache_write_tokens),
    "usage_reasoning": Feature("token counts: thinking", answered=lambda r: r.usage.reasoning_tokens),
    "prompt_cache": Feature("prompt caching, asked for", asked=lambda r: r.prompt_cache),
    "citations": Feature("citations", answered=lambda r: r.citations),
    "builtin_tools": Feature(
        "the provider's own tools", asked=lambda r: any(tool.get("type") != "function" for tool in r.tools or ())
    ),
    "finish_length": Feature("finish: length", answered=lambda r: r.finish_reason == "length"),
    "finish_content_filter": Feature("finish: content filter", answered=lambda r: r.finish_reason == "content_filter"),
    "refusal": Feature("refusal", answered=lambda r: r.refusal),
    "context_overflow": Feature("context overflow", error="ContextLengthError"),
    "rate_limit": Feature("rate limit", error="ProviderRateLimitError"),
    "error_in_stream": Feature("an error in a stream that began well", error="*", streamed=True),
    "truncation": Feature("a stream that is cut", how="truncation"),
    "embeddings": Feature("embeddings", how="embeddings"),
    "token_count": Feature("counting tokens", how="token_count"),
}

Cell: TypeAlias = "str | list[str] | dict[str, Any]"


def dialects() -> list[str]:
    """The dialects that have chat, in the order of the page."""
    found = {path.parent.name for path in CASES.glob("*/matrix.json")}
    return [*(name for name in DIALECT_ORDER if name in found), *sorted(found - set(DIALECT_ORDER))]


def cells(dialect: str) -> dict[str, Cell]:
    return json.loads((CASES / dialect / "matrix.json").read_bytes())
