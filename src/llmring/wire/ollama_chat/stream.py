"""A streamed reply of this dialect: read into events as it comes, and written as a server writes it.

A line of JSON each: https://docs.ollama.com/api/streaming (2026-11-21). The hot path of every stream: `feed` costs a few microseconds
a line, and most of that is reading the JSON.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

import orjson

from llmring.exceptions import LLMRingError, MalformedResponseError, StreamInterruptedError
from llmring.schemas.events import Event
from llmring.schemas.response import LLMResponse
from llmring.wire.base import parse_json
from llmring.wire.ndjson import NDJSONDecoder
from llmring.wire.ollama_chat.failures import find_error
from llmring.wire.ollama_chat.response import ChunkReader, encode_call, encode_end, encode_logprobs


class ChatStreamDecoder:
    """Bytes in, events out, at any split.

    The terminal event is the line that says `"done": true`; bytes that end without it are an interruption. An error counts even where
    no line end follows it.

    What goes wrong in the middle of a feed does not swallow the events before it: they are returned, `finished` turns true, and the
    next `feed` or `close` raises.
    """

    __slots__ = ("_failure", "_lines", "_reader")

    def __init__(self) -> None:
        self._lines = NDJSONDecoder()
        self._reader = ChunkReader()
        self._failure: LLMRingError | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is worth reading: the last line was seen, or an error that `close()` raises."""
        return self._reader.done or self._failure is not None

    def feed(self, data: bytes) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._reader.done:
            return events
        try:
            whole = self._lines.split_whole(data)
            for line in self._lines.feed(data) if whole is None else whole:
                self._read(line, events)
        except LLMRingError as error:
            self._failure = error
            if not events:
                raise
        return events

    def close(self) -> list[Event]:
        """The bytes have ended. Raises StreamInterruptedError unless the last line was seen. May be called more than once."""
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._reader.done:
            return events
        tail = self._lines.close()
        try:
            if _is_whole(tail):
                self._read(tail, events)
            if not self._reader.done:
                raise find_error(tail) or StreamInterruptedError(
                    "the stream ended before its end"
                    if self._reader.started
                    else "the stream ended before anything of an answer came",
                    hint='the connection was cut, or the server does not end its streams with "done": true',
                )
        except LLMRingError as error:
            self._failure = error
            raise
        return events

    def _read(self, line: bytes, events: list[Event]) -> None:
        if self._reader.done or not line.strip():
            return
        chunk = parse_json(line, "stream")
        if chunk.__class__ is not dict:
            raise MalformedResponseError("stream: a line is JSON, but no object")
        self._reader.read(chunk, events)


def _is_whole(tail: bytes) -> bool:
    """Whether the bytes after the last line end are the last line all the same."""
    try:
        value: object = orjson.loads(tail)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and cast("dict[str, Any]", value).get("done") is True


# The server side, for tests -----------------------------------------------------------------------------------------

_WORDS: Final = re.compile(r"\s*\S+|\s+")
_NEVER: Final = "1970-01-01T00:00:00Z"


def encode_stream(response: LLMResponse, *, created_at: str = _NEVER) -> list[bytes]:
    """The stream that a server of this dialect gives for a response: one line an item; the last says that it is done.

    Text comes in words, a tool call whole. Raises ConfigurationError for a response that the dialect has no end for.
    """
    head = {"model": response.model, "created_at": created_at}
    end = encode_end(response)

    def line(message: dict[str, Any], rest: dict[str, Any]) -> bytes:
        return orjson.dumps({**head, "message": {"role": "assistant", "content": "", **message}, **rest}) + b"\n"

    more: list[dict[str, Any]] = [{"thinking": word} for word in _WORDS.findall(response.reasoning or "")]
    more += [{"content": word} for word in _WORDS.findall(response.content or response.refusal or "")]
    more += [{"tool_calls": [encode_call(call)]} for call in response.tool_calls or ()]
    lines = [line(message, {"done": False}) for message in more]
    if response.logprobs:
        lines.append(line({}, {"done": False, "logprobs": encode_logprobs(response)}))
    return [*lines, line({}, end)]
