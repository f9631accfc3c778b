"""A streamed reply of this dialect, read into events as it comes.

The hot path of every stream: `feed` costs a few microseconds a chunk, and most of that is reading the JSON.
https://developers.openai.com/api/reference/resources/responses/streaming-events (2026-11-21)
"""

from __future__ import annotations

from typing import Any, Final, cast

from llmring.exceptions import MalformedResponseError, ProviderError
from llmring.schemas.events import Event
from llmring.wire.base import parse_json
from llmring.wire.event_stream import TypedStreamDecoder
from llmring.wire.openai_responses.failures import classify_event, find_error
from llmring.wire.openai_responses.items import ItemReader
from llmring.wire.openai_responses.response import failed, finish, started

_DONE: Final = b"[DONE]"  # not of the dialect; servers of Chat Completions send it here too

_BEGINNINGS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})


class ResponsesStreamDecoder(TypedStreamDecoder):
    """The terminal events are `response.completed` and `response.incomplete`, which hold the whole response once more. `error` and
    `response.failed` are the typed error that they tell of. Kinds that nobody knows are passed over."""

    __slots__ = ("_has_model", "_items")

    _ENDS = frozenset({"response.completed", "response.incomplete"})

    def __init__(self) -> None:
        super().__init__()
        self._items = ItemReader()
        self._has_model = False

    def _find_error(self, data: bytes) -> ProviderError | None:
        return find_error(data)

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
        elif kind in self._ENDS:
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
