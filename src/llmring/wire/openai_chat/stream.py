"""A streamed reply of this dialect: read into events as it comes, and written as a server writes it.

The hot path of every stream: `feed` costs a few microseconds a chunk, and most of that is reading the JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from llmring.exceptions import LLMRingError, MalformedResponseError, StreamInterruptedError
from llmring.schemas.events import Event, Started, TextDelta, UsageReported
from llmring.schemas.response import LLMResponse
from llmring.schemas.tools import ToolCall
from llmring.wire.base import parse_json
from llmring.wire.event_stream import keep_bare
from llmring.wire.openai_chat.failures import classify_inline, find_error
from llmring.wire.openai_chat.response import (
    MessageReader,
    encode_annotations,
    encode_finish_reason,
    encode_logprobs,
    encode_usage,
    finished,
    read_logprobs,
    read_usage,
)
from llmring.wire.openai_chat.tool_calls import text_or_none
from llmring.wire.sse import SSEDecoder

_DONE = b"[DONE]"


class ChatStreamDecoder:
    """Bytes in, events out, at any split.

    The terminal event is `data: [DONE]`. Bytes that end without it are an interruption, even where a finish reason has
    been seen: usage comes after the finish reason, and a cut between them would pass for a whole answer. Servers that
    end without [DONE] do not conform to the dialect. A [DONE] before any finish reason is an interruption too: nobody
    said why it ended.

    An error counts even where the bytes end before its blank line, and as bare JSON in the place of a stream: some
    servers and proxies answer so, whatever the content type says.

    What goes wrong in the middle of a feed does not swallow the events before it: they are returned, `finished` turns
    true, and the next `feed` or `close` raises.
    """

    # _bare: what has come, as long as it may be bare JSON; None as soon as it cannot.
    __slots__ = ("_bare", "_done", "_failure", "_raw_reason", "_reader", "_sse", "_started")

    def __init__(self) -> None:
        self._bare: bytearray | None = bytearray()
        self._sse = SSEDecoder()
        self._reader = MessageReader()
        self._raw_reason: str | None = None
        self._started = False
        self._done = False
        self._failure: LLMRingError | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is worth reading: [DONE] was seen, or an error that `close()` raises."""
        return self._done or self._failure is not None

    def feed(self, data: bytes) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._done:
            return events
        if self._bare is not None:
            self._bare = keep_bare(self._bare, data)
        try:
            whole = self._sse.split_whole(data)
            if whole is None:
                for name, payload in self._sse.feed(data):
                    self._read(name, payload, events)
            else:
                for event in whole:
                    self._read("", event[6:], events)
        except LLMRingError as error:
            self._failure = error
            if not events:
                raise
        return events

    def close(self) -> list[Event]:
        """The bytes have ended. Raises StreamInterruptedError unless [DONE] was seen. May be called more than once."""
        if self._failure is not None:
            raise self._failure
        if self._done:
            return []
        name, tail = self._sse.close() or ("", b"")
        events: list[Event] = []
        try:
            if tail.strip() != _DONE:
                error = find_error(tail, name) or find_error(bytes(self._bare or b""))
                raise error or StreamInterruptedError(
                    "the stream ended before its end"
                    if self._started
                    else "the stream ended before anything of an answer came",
                    hint="the connection was cut, or the server does not end its streams with `data: [DONE]`",
                )
            self._end(events)
        except LLMRingError as error:
            self._failure = error
            raise
        return events

    def _end(self, events: list[Event]) -> None:
        if self._raw_reason is None:
            raise StreamInterruptedError("the stream ended without a finish reason")
        self._reader.end(events)
        events.append(finished(self._raw_reason, has_calls=self._reader.has_calls))
        self._done = True

    def _read(self, name: str, payload: bytes, events: list[Event]) -> None:
        if self._done:
            return
        if len(payload) < 16:
            word = payload.strip()
            if word == _DONE:
                self._end(events)
            if word in (_DONE, b""):
                return
        chunk = parse_json(payload, "stream")
        if chunk.__class__ is not dict:
            raise MalformedResponseError("stream: an event is JSON, but no object")
        if chunk.get("error"):
            raise classify_inline(chunk["error"])
        choices = chunk.get("choices")
        if not choices and (name == "error" or chunk.get("object") == "error"):
            raise classify_inline(chunk)
        if choices:
            if choices.__class__ is not list:
                raise MalformedResponseError("stream: choices is no list")
            if not self._started:
                # Not before the first choice: Azure's first chunk has none, and neither id nor model.
                self._started = True
                events.append(Started(text_or_none(chunk.get("id")), text_or_none(chunk.get("model")) or ""))
            for choice in choices:
                if choice.__class__ is not dict:
                    raise MalformedResponseError("stream: a choice is no object")
                if not choice.get("index"):
                    self._read_choice(choice, events)
        usage = chunk.get("usage")
        if usage.__class__ is dict:
            events.append(UsageReported(read_usage(usage)))

    def _read_choice(self, choice: dict[str, Any], events: list[Event]) -> None:
        delta = choice.get("delta")
        if delta:
            if delta.__class__ is not dict:
                raise MalformedResponseError("stream: a delta is no object")
            text = delta.get("content")
            if text.__class__ is str and (len(delta) == 1 or (len(delta) == 2 and "role" in delta)):
                if text:
                    if self._reader.thinking:
                        self._reader.end_thought(events)
                    events.append(TextDelta(text))
            else:
                self._reader.read(delta, events)
        logprobs = choice.get("logprobs")
        if logprobs is not None:
            read_logprobs(logprobs, events)
        reason = choice.get("finish_reason")
        if reason:
            if self._raw_reason is None:
                self._reader.end(events)
            self._raw_reason = text_or_none(reason) or self._raw_reason


# The server side ----------------------------------------------------------------------------------------------------

_WORDS = re.compile(r"\s*\S+|\s+")
_ARGUMENT_PIECE_CHARS = 12


def encode_stream(response: LLMResponse, *, created: int = 0, include_usage: bool = True) -> list[bytes]:
    """The stream that a server of this dialect gives for a response: one server-sent event an item, `data: [DONE]` the
    last.

    Text comes in words, tool arguments in several pieces. created: seconds since the epoch. include_usage: whether the
    chunk with the counts is sent. Raises ConfigurationError for a response that ended in an error or was cancelled.
    """
    reason = encode_finish_reason(response)
    head = {
        "id": response.response_id or "",
        "object": "chat.completion.chunk",
        "created": created,
        "model": response.model,
    }
    frames = [_frame({**head, "choices": [{"index": 0, **choice}]}) for choice in _encode_choices(response)]
    frames.append(_frame({**head, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}]}))
    if include_usage:
        frames.append(_frame({**head, "choices": [], "usage": encode_usage(response.usage)}))
    frames.append(b"data: [DONE]\n\n")
    return frames


def _frame(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _encode_choices(response: LLMResponse) -> Iterator[dict[str, Any]]:
    for delta in _encode_deltas(response):
        yield {"delta": delta, "logprobs": None, "finish_reason": None}
    logprobs = encode_logprobs(response)
    if logprobs is not None:
        yield {"delta": {"content": ""}, "logprobs": logprobs, "finish_reason": None}


def _encode_deltas(response: LLMResponse) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if response.content else None}
    for word in _WORDS.findall(response.reasoning or ""):
        yield {"reasoning_content": word}
    for word in _WORDS.findall(response.content):
        yield {"content": word}
    for word in _WORDS.findall(response.refusal or ""):
        yield {"refusal": word}
    for index, call in enumerate(response.tool_calls or ()):
        yield from _encode_call(index, call)
    if response.citations:
        yield {"annotations": encode_annotations(response.citations)}


def _encode_call(index: int, call: ToolCall) -> Iterator[dict[str, Any]]:
    # The call itself, with Google's seal where it has one.
    head = {**call, "index": index, "function": {"name": call.name, "arguments": ""}}
    yield {"tool_calls": [head]}
    text = call.raw_arguments
    for start in range(0, len(text), _ARGUMENT_PIECE_CHARS):
        piece = {"arguments": text[start : start + _ARGUMENT_PIECE_CHARS]}
        yield {"tool_calls": [{"index": index, "function": piece}]}
