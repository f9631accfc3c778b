"""A plain reply of this dialect: read into the same events as a stream of it, and written as a server writes it.

Also what reply and stream share: usage and stop reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.schemas.events import Event, Finished, RefusalDelta, Started, UsageReported
from llmring.schemas.response import FinishReason, LLMResponse
from llmring.schemas.tools import ToolCall
from llmring.schemas.usage import Citation, Usage
from llmring.wire.anthropic_messages.blocks import BlockReader, text_or_none
from llmring.wire.anthropic_messages.content import INVALID_JSON, NAME
from llmring.wire.anthropic_messages.failures import classify_inline
from llmring.wire.base import parse_json, read_count

# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (2026-11-21); `compaction` from `BetaStopReason` of the
# anthropic SDK 2.11.0. An answer that the provider paused is not whole: sent back as it is, it goes on.
_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "compaction": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def decode(body: bytes) -> list[Event]:
    """The events of a whole plain reply.

    Raises MalformedResponseError for what is no reply, ResponseTooLargeError for JSON past the depth cap, and the typed
    error for an `error` object that came with status 200.
    """
    reply = parse_json(body, "reply")
    if not isinstance(reply, dict):
        raise MalformedResponseError("reply: JSON, but no object")
    fields = cast("dict[str, Any]", reply)
    if fields.get("type") == "error" or fields.get("error"):
        raise classify_inline(fields)
    content = fields.get("content")
    if not isinstance(content, list):
        raise MalformedResponseError("reply: no list of blocks")
    events: list[Event] = [started(fields)]
    reader = BlockReader()
    for index, block in enumerate(cast("list[object]", content)):
        reader.begin(index, block, events)
        reader.end(index, events)
    read_refusal(fields, events)
    usage = fields.get("usage")
    if isinstance(usage, dict):
        events.append(UsageReported(read_usage(cast("dict[str, Any]", usage))))
    events.append(finished(text_or_none(fields.get("stop_reason")), has_calls=reader.calls > 0))
    return events


def started(message: Mapping[str, Any]) -> Started:
    return Started(text_or_none(message.get("id")), text_or_none(message.get("model")) or "")


def read_refusal(fields: Mapping[str, Any], events: list[Event]) -> None:
    """What the provider says of a refusal, where it says anything. fields: of a reply, or of a stream's last delta."""
    match fields.get("stop_details"):
        case {"type": "refusal", "explanation": str(explanation)} if explanation:
            events.append(RefusalDelta(explanation))
        case _:
            pass


def finished(raw: str | None, *, has_calls: bool) -> Finished:
    """The end, in our words and in the provider's.

    A word that nobody knows is `error`: whether the answer is whole is not known, and `stop` would say that it is. `stop` with
    tool calls is `tool_calls`, as in every dialect: whoever loops over tools wants one word to look at.
    """
    reason: FinishReason = _FINISH_REASONS.get(raw, "error") if raw else "stop"
    if reason == "stop" and has_calls:
        reason = "tool_calls"
    return Finished(reason, raw)


_COUNTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


def sum_compactions(iterations: object) -> list[dict[str, Any]]:
    """What the compactions of a `usage` took together, as one of them: a stream reads it again with each report."""
    given = cast("list[object]", iterations) if isinstance(iterations, list) else []
    dicts = [cast("dict[str, Any]", item) for item in given if isinstance(item, dict)]
    taken = [item for item in dicts if item.get("type") == "compaction"]
    return [{"type": "compaction", **{name: sum(_count(item, name) for item in taken) for name in _COUNTS}}]


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Counts of a `usage` object; what is missing or no count is 0.

    `input_tokens` leaves out what was read from the cache or written to it; our prompt_tokens count everything that the model
    read. What a compaction took stands in `iterations` alone. `Usage` and `BetaUsage` of the anthropic SDK 2.11.0.
    """
    get = usage.get
    fresh, read = read_count(get("input_tokens")), read_count(get("cache_read_input_tokens"))
    written, output = read_count(get("cache_creation_input_tokens")), read_count(get("output_tokens"))
    if get("iterations"):
        for took in sum_compactions(usage["iterations"]):
            fresh, read = fresh + took["input_tokens"], read + took["cache_read_input_tokens"]
            written, output = written + took["cache_creation_input_tokens"], output + took["output_tokens"]
    details = get("output_tokens_details")
    return Usage(
        fresh + read + written,
        output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=0 if details is None else _count(details, "thinking_tokens"),
    )


def _count(counts: object, name: str) -> int:
    value: Any = cast("dict[str, Any]", counts).get(name) if isinstance(counts, dict) else None
    return read_count(value)


# The server side ----------------------------------------------------------------------------------------------------


def encode_reply(response: LLMResponse) -> dict[str, Any]:
    """The reply that a server of this dialect gives for a response.

    Left out, because the dialect has no words for them: costs, logprobs. Raises ConfigurationError for a response that ended in
    an error or was cancelled.
    """
    return {
        "id": response.response_id or "",
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": encode_blocks(response),
        **encode_stop(response),
        "usage": encode_usage(response.usage),
    }


_STOP_REASONS: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def encode_stop(response: LLMResponse) -> dict[str, Any]:
    """stop_reason, stop_sequence and stop_details. The provider's own word is kept where it was one of this dialect's."""
    reason = response.finish_reason or ("tool_calls" if response.tool_calls else "stop")
    if reason in ("cancelled", "error"):
        raise ConfigurationError(f"{NAME} has no stop reason for {reason!r}", hint="answer with an error instead")
    raw = response.raw_finish_reason
    word = raw if raw in _FINISH_REASONS and _FINISH_REASONS[raw] == reason else _STOP_REASONS[reason]
    details = None
    if response.refusal:
        details = {"type": "refusal", "category": None, "explanation": response.refusal}
    return {"stop_reason": word, "stop_sequence": None, "stop_details": details}


def encode_usage(usage: Usage) -> dict[str, Any]:
    written: dict[str, Any] = {
        "input_tokens": max(0, usage.prompt_tokens - usage.cache_read_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written


def encode_blocks(response: LLMResponse) -> list[dict[str, Any]]:
    """The answer as blocks: in the places that they came in, or else thinking, text, tool calls."""
    calls: Sequence[ToolCall] = response.tool_calls or ()
    citations = response.citations or []
    if response.blocks is None:
        thinking = [{"type": "thinking", "thinking": response.reasoning, "signature": ""}] if response.reasoning else []
        return [*thinking, *_encode_text(response.content, 0, citations), *map(_encode_call, calls)]
    blocks: list[dict[str, Any]] = []
    at = 0
    for block in response.blocks:
        match block:
            case {"type": "text", "text": str(text)}:
                blocks += _encode_text(text, at, citations)
                at += len(text)
            case {"type": "thinking", "redacted": True}:
                blocks.append({"type": "redacted_thinking", "data": block.get("signature") or ""})
            case {"type": "thinking"}:
                signature = block.get("signature") or ""
                blocks.append({"type": "thinking", "thinking": block["text"], "signature": signature})
            case {"type": "tool_use", "call": int(place)}:
                blocks.append(_encode_call(calls[place]))
            case {"type": "provider", "dialect": "anthropic_messages", "data": {**data}}:
                blocks.append(data)
            case _:
                pass  # of another dialect
    return blocks


def _encode_call(call: ToolCall) -> dict[str, Any]:
    arguments = call.arguments if call.parse_error is None else {INVALID_JSON: call.raw_arguments}
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _encode_text(text: str, at: int, citations: Sequence[Citation]) -> list[dict[str, Any]]:
    """A text as blocks that begin and end where its citations do. at: where it stands in the answer."""
    edges = {0, len(text)}
    for citation in citations:
        edges |= {
            edge - at for edge in (citation.start, citation.end) if edge is not None and 0 < edge - at < len(text)
        }
    places = sorted(edges)
    blocks: list[dict[str, Any]] = []
    for start, end in pairwise(places):
        block: dict[str, Any] = {"type": "text", "text": text[start:end]}
        cited = [
            _encode_citation(c) for c in citations if (c.start or 0) <= at + start and at + end == (c.end or at + end)
        ]
        if cited:
            block["citations"] = cited
        blocks.append(block)
    return blocks


def _encode_citation(citation: Citation) -> dict[str, Any]:
    location = citation.location or {}
    cited: dict[str, Any] = {"cited_text": citation.text or ""}
    match location.get("type"):
        case "char_location" | "page_location" | "content_block_location":
            return {**cited, "document_title": citation.title, **location}
        case "search_result_location":
            return {**cited, "title": citation.title, **location}
        case _:
            web = {"type": "web_search_result_location", "encrypted_index": location.get("encrypted_index", "")}
            return {**cited, "url": citation.url or "", "title": citation.title, **web}
