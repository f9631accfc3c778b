"""A streamed reply of this dialect, read into events as it comes.

The hot path of every stream: `feed` costs a few microseconds a chunk, and most of that is reading the JSON.
https://developers.openai.com/api/reference/resources/responses/streaming-events (2026-11-21)
"""

from __future__ import annotations

from typing import Any, Final, cast

import orjson

from llmring.exceptions import LLMRingError, MalformedResponseError, StreamInterruptedError
from llmring.schemas.events import Event
from llmring.wire.base import parse_json
from llmring.wire.openai_responses.failures import classify_event, find_error
from llmring.wire.openai_responses.items import ItemReader
from llmring.wire.openai_responses.response import failed, finish, started
from llmring.wire.sse import SSEDecoder

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_DONE: Final = b"[DONE]"  # not of the dialect; servers of Chat Completions send it here too
MAX_BARE_BYTES: Final = 64 * 1024  # guess: errors have a few hundred

_BEGINNINGS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})


class ResponsesStreamDecoder:
    """Bytes in, events out, at any split.

    The terminal events are `response.completed` and `response.incomplete`, which hold the whole response once more; bytes that end
    without either are an interruption. `error` and `response.failed` are the typed error that they tell of. Events tell by the
    `type` in their data what they are: their names are not looked at, and kinds that nobody knows are passed over. An error counts
    even where the bytes end before its blank line, and as bare JSON in the place of a stream: proxies answer so.

    What goes wrong in the middle of a feed does not swallow the events before it: they are returned, `finished` turns
    true, and the next `feed` or `close` raises.
    """

    # _bare: what has come, as long as it may be bare JSON; None as soon as it cannot.
    __slots__ = ("_bare", "_done", "_failure", "_has_model", "_items", "_sse", "_started")

    def __init__(self) -> None:
        self._bare: bytearray | None = bytearray()
        self._sse = SSEDecoder()
        self._items = ItemReader()
        self._started = False
        self._has_model = False
        self._done = False
        self._failure: LLMRingError | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is worth reading: a terminal event was seen, or an error that `close()` raises."""
        return self._done or self._failure is not None

    def feed(self, data: bytes) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._done:
            return events
        if self._bare is not None:
            self._keep_bare(data)
        try:
            whole = self._sse.split_named(data)
            if whole is None:
                for _, payload in self._sse.feed(data):
                    self._read(payload, events)
            else:
                for payload in whole:
                    self._read(payload, events)
        except LLMRingError as error:
            self._failure = error
            if not events:
                raise
        return events

    def close(self) -> list[Event]:
        """The bytes have ended. Raises StreamInterruptedError unless a terminal event was seen. May be called more than once."""
        if self._failure is not None:
            raise self._failure
        if self._done:
            return []
        tail = (self._sse.close() or ("", b""))[1]
        events: list[Event] = []
        try:
            if not _is_end(tail):
                raise (
                    find_error(tail)
                    or find_error(bytes(self._bare or b""))
                    or StreamInterruptedError(
                        "the stream ended before its end"
                        if self._started
                        else "the stream ended before anything of an answer came",
                        hint="the connection was cut, or the server does not end its streams with response.completed",
                    )
                )
            self._read(tail, events)
        except LLMRingError as error:
            self._failure = error
            raise
        return events

    def _keep_bare(self, data: bytes) -> None:
        """Keeps what may be bare JSON, and lets go of it where it is none, or is too long for an error."""
        bare = self._bare
        if bare is None:
            return
        if not bare:
            data = data.lstrip(_BLANK)
        bare += data
        if bare and (bare[0] != ord("{") or len(bare) > MAX_BARE_BYTES):
            self._bare = None

    def _read(self, payload: bytes, events: list[Event]) -> None:
        if self._done or (len(payload) < 16 and payload.strip() in (_DONE, b"")):
            return
        chunk = parse_json(payload, "stream")
        if chunk.__class__ is not dict:
            raise MalformedResponseError("stream: an event is JSON, but no object")
        kind = chunk.get("type")
        if kind == "response.output_text.delta":
            self._items.add_text(chunk, events)
            return
        match kind:
            case "response.function_call_arguments.delta":
                self._items.add_arguments(chunk, events)
            case "response.custom_tool_call_input.delta":
                self._items.add_input(chunk, events)
            case "response.reasoning_summary_text.delta":
                self._items.add_reasoning(chunk, ("summary", _place(chunk.get("summary_index"))), events)
            case "response.reasoning_text.delta":
                self._items.add_reasoning(chunk, ("content", _place(chunk.get("content_index"))), events)
            case "response.refusal.delta":
                self._items.add_refusal(chunk, events)
            case "response.output_text.annotation.added":
                self._items.add_citation(chunk, events)
            case "response.output_item.added":
                self._items.begin(chunk.get("output_index"), chunk.get("item"), events)
            case "response.output_item.done":
                self._items.end(chunk.get("output_index"), chunk.get("item"), events)
            case "error":
                raise classify_event(chunk)
            case _:
                self._read_response(kind, chunk, events)

    def _read_response(self, kind: object, chunk: dict[str, Any], events: list[Event]) -> None:
        """An event of the whole response, or one to pass over."""
        if not isinstance(kind, str):
            kind = ""
        if kind in _BEGINNINGS:
            if not self._started:
                self._started = True
                start = started(_response_of(chunk))
                self._has_model = bool(start.model)
                events.append(start)
        elif kind in _ENDS:
            self._end(_response_of(chunk), events)
        elif kind == "response.failed":
            raise failed(_response_of(chunk))
        elif chunk.get("error"):
            raise classify_event(chunk)

    def _end(self, response: dict[str, Any], events: list[Event]) -> None:
        if not self._started or (not self._has_model and response.get("model")):
            # llama.cpp says at the end alone which model it is (b1-7e4c0a9, seen 2026-11-21).
            self._started = True
            events.append(started(response))
        output = response.get("output")
        if not self._items.has_any and isinstance(output, list):
            # A server that says nothing on the way.
            for index, item in enumerate(cast("list[object]", output)):
                self._items.end(index, item, events)
        self._items.end_all(events)
        finish(response, self._items, events)
        self._done = True


def _place(index: object) -> int:
    """The place of a part in its item; 0 where the server says none."""
    return index if isinstance(index, int) else 0


def _response_of(chunk: dict[str, Any]) -> dict[str, Any]:
    response = chunk.get("response")
    if not isinstance(response, dict):
        raise MalformedResponseError(f"stream: {chunk.get('type')} holds no response")
    return cast("dict[str, Any]", response)


def _is_end(tail: bytes) -> bool:
    """Whether the bytes after the last blank line are a terminal event all the same."""
    try:
        value: object = orjson.loads(tail)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and cast("dict[str, Any]", value).get("type") in _ENDS
