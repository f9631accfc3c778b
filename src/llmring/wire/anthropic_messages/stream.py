"""A streamed reply of this dialect: read into events as it comes, and written as a server writes it.

The hot path of every stream: `feed` costs a few microseconds a chunk, and most of that is reading the JSON.
https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-21)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast

import orjson

from llmring.exceptions import MalformedResponseError, ProviderError, StreamInterruptedError
from llmring.schemas.events import Event, TextDelta, UsageReported
from llmring.schemas.response import LLMResponse
from llmring.wire.anthropic_messages.blocks import BlockReader, text_or_none
from llmring.wire.anthropic_messages.failures import classify_inline, find_error
from llmring.wire.anthropic_messages.response import (
    encode_blocks,
    encode_stop,
    encode_usage,
    finished,
    read_refusal,
    read_usage,
    started,
    sum_compactions,
)
from llmring.wire.base import parse_json
from llmring.wire.event_stream import TypedStreamDecoder


class MessagesStreamDecoder(TypedStreamDecoder):
    """The terminal event is `message_stop`; before any stop reason it is an interruption all the same."""

    # _usage: counts so far: they add up.
    __slots__ = ("_blocks", "_raw_reason", "_usage")

    _ENDS = frozenset({"message_stop"})

    def __init__(self) -> None:
        super().__init__()
        self._blocks = BlockReader()
        self._usage: dict[str, Any] = {}
        self._raw_reason: str | None = None

    def _find_error(self, data: bytes) -> ProviderError | None:
        return find_error(data)

    def _read(self, payload: bytes, events: list[Event]) -> None:
        if self._done:
            return
        chunk = parse_json(payload, "stream")
        if chunk.__class__ is not dict:
            raise MalformedResponseError("stream: an event is JSON, but no object")
        kind = chunk.get("type")
        if kind == "content_block_delta":
            delta = chunk.get("delta")
            if delta.__class__ is not dict:
                raise MalformedResponseError("stream: a delta is no object")
            text = delta.get("text")
            if text.__class__ is str and delta.get("type") == "text_delta":
                # The short way. Whose text it is only citations want to know, and they ask their block.
                if text:
                    self._blocks.length += len(text)
                    events.append(TextDelta(text))
            else:
                self._blocks.add(chunk.get("index"), delta, events)
            return
        match kind:
            case "content_block_start":
                self._blocks.begin(chunk.get("index"), chunk.get("content_block"), events)
            case "content_block_stop":
                self._blocks.end(chunk.get("index"), events)
            case "message_start":
                self._start(chunk.get("message"), events)
            case "message_delta":
                self._read_delta(chunk, events)
            case "message_stop":
                self._end(events)
            case "error":
                raise classify_inline(chunk)
            case _:
                # `ping`, and kinds that a later version of the API may add: it asks for them to be passed over.
                if chunk.get("error"):
                    raise classify_inline(chunk)

    def _start(self, message: object, events: list[Event]) -> None:
        if not isinstance(message, dict):
            raise MalformedResponseError("stream: message_start holds no message")
        fields = cast("dict[str, Any]", message)
        if not self._started:
            self._started = True
            events.append(started(fields))
        self._add_usage(fields.get("usage"), events)

    def _read_delta(self, chunk: dict[str, Any], events: list[Event]) -> None:
        delta = chunk.get("delta")
        if not isinstance(delta, dict):
            raise MalformedResponseError("stream: message_delta holds no delta")
        fields = cast("dict[str, Any]", delta)
        self._raw_reason = text_or_none(fields.get("stop_reason")) or self._raw_reason
        self._blocks.end_all(events)
        read_refusal(fields, events)
        self._add_usage(chunk.get("usage"), events)

    def _add_usage(self, usage: object, events: list[Event]) -> None:
        """Counts are those of the whole answer so far; what a later report leaves out still holds."""
        if isinstance(usage, dict):
            given = cast("dict[str, Any]", usage)
            self._usage |= {name: value for name, value in given.items() if value is not None}
            if "iterations" in given:
                self._usage["iterations"] = sum_compactions(self._usage.get("iterations"))
            events.append(UsageReported(read_usage(self._usage)))

    def _end(self, events: list[Event]) -> None:
        if self._raw_reason is None:
            raise StreamInterruptedError("the stream ended without a stop reason")
        self._blocks.end_all(events)
        events.append(finished(self._raw_reason, has_calls=self._blocks.calls > 0))
        self._done = True


# The server side ----------------------------------------------------------------------------------------------------

_WORDS = re.compile(r"\s*\S+|\s+")
_INPUT_PIECE_CHARS: Final = 12


def encode_stream(response: LLMResponse) -> list[bytes]:
    """The stream that a server of this dialect gives for a response: one server-sent event an item, `message_stop` the last.

    Text comes in words, tool input in several pieces. Raises ConfigurationError for a response that ended in an error or was
    cancelled.
    """
    stop, usage = encode_stop(response), encode_usage(response.usage)
    message: dict[str, Any] = {
        "id": response.response_id or "",
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 0},
    }
    frames = [_frame({"type": "message_start", "message": message})]
    for index, block in enumerate(encode_blocks(response)):
        frames += [_frame({"type": kind, "index": index, **rest}) for kind, rest in _encode_block(block)]
    frames.append(_frame({"type": "message_delta", "delta": stop, "usage": usage}))
    frames.append(_frame({"type": "message_stop"}))
    return frames


def _frame(event: dict[str, Any]) -> bytes:
    return b"event: " + event["type"].encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def _encode_block(block: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    start, deltas = _take_apart(block)
    yield "content_block_start", {"content_block": start}
    for delta in deltas:
        yield "content_block_delta", {"delta": delta}
    yield "content_block_stop", {}


def _take_apart(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what comes of it after that; blocks of other kinds begin whole."""
    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": word} for word in _WORDS.findall(block["text"])]
            deltas += [{"type": "citations_delta", "citation": cited} for cited in block.get("citations", ())]
            return {"type": "text", "text": "", **({"citations": []} if "citations" in block else {})}, deltas
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": word} for word in _WORDS.findall(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use" | "server_tool_use":
            text = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            pieces = [text[at : at + _INPUT_PIECE_CHARS] for at in range(0, len(text), _INPUT_PIECE_CHARS)]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        case _:
            return block, []
