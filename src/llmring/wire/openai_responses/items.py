"""Output items, whole or in pieces, read into events: what reply and stream share.

An item is a message, a block of thinking, a call of one of the caller's tools, or something that the provider did itself. Each
begins, may come in pieces, and ends with the whole item once more: what the pieces have not said is then taken from that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.exceptions import MalformedResponseError
from llmring.schemas.events import (
    CitationFound,
    Event,
    LogprobsDelta,
    ProviderBlock,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from llmring.schemas.usage import Citation

NAME: Final = "openai_responses"
# The tool that a call for clicks and keys names: the API gives it no name of its own.
COMPUTER: Final = "computer"
# Calls that wait for an answer of the caller's. Of the rest, the provider has done what there is to do, or asks for an item of
# its own kind (an approval, a shell's output), which the caller gives back as a ProviderPart.
_FUNCTION, _CUSTOM, _COMPUTER = "function_call", "custom_tool_call", "computer_call"
# Between the parts of one block of thinking.
_BREAK: Final = "\n\n"


def text_or_none(value: object) -> str | None:
    """A text that says something, None for anything else."""
    return value if isinstance(value, str) and value else None


class _Item:
    """An item that has begun.

    call: its place among the tool calls, -1 for none. parts: of a message, by content index, where the text of each begins in the
    answer; of thinking, which of its parts have begun. part: the one that is being said.
    """

    __slots__ = ("call", "cited", "ended", "id", "kind", "logprobs", "part", "parts", "said")

    def __init__(self, kind: str, id: object) -> None:
        self.kind = kind
        self.id = id
        self.call = -1
        self.ended = False
        self.said = False
        self.part: object = -1
        self.parts: dict[object, int] = {}
        self.cited: dict[object, int] = {}
        self.logprobs: list[dict[str, Any]] = []


class ItemReader:
    """Items by their place in the output, as they begin, go on and end.

    Pieces name their item by `output_index` and by `item_id`. The index counts: GitHub's Copilot gives an item another id with
    each event. Where a server gives neither, a piece belongs to the item that began last.
    """

    __slots__ = ("_by_id", "_by_index", "_items", "_last", "calls", "length")

    def __init__(self) -> None:
        self._items: list[_Item] = []
        self._by_index: dict[int, _Item] = {}
        self._by_id: dict[str, _Item] = {}
        self._last: _Item | None = None
        self.calls = 0
        self.length = 0  # characters of text so far

    @property
    def has_any(self) -> bool:
        return self._last is not None

    # Beginnings -----------------------------------------------------------------------------------------------------

    def begin(self, index: object, data: object, events: list[Event]) -> None:
        """An item begins. Beginning twice is beginning once."""
        self._begin_item(index, _fields(data), events)

    def _begin_item(self, index: object, item: dict[str, Any], events: list[Event]) -> _Item:
        kind = item.get("type")
        if not isinstance(kind, str):
            raise MalformedResponseError("reply: an item of the output has no type")
        begun = self._known(kind, index, item.get("id")) or self._make(kind, index, item.get("id"))
        if kind in (_FUNCTION, _CUSTOM):
            self._name_call(begun, item, events)
        return begun

    def _known(self, kind: str, index: object, id: object) -> _Item | None:
        """The item that has begun under this index or id; not one that has ended, where the id says that it is another."""
        if isinstance(index, int):
            item = self._by_index.get(index)
        else:
            item = self._by_id.get(id) if isinstance(id, str) else self._last
        if item is None or item.kind != kind or (item.ended and item.id != id):
            return None
        return item

    def _make(self, kind: str, index: object, id: object) -> _Item:
        made = self._last = _Item(kind, id)
        self._items.append(made)
        if isinstance(index, int):
            self._by_index[index] = made
        if isinstance(id, str):
            self._by_id[id] = made
        return made

    def _name_call(self, begun: _Item, item: Mapping[str, Any], events: list[Event]) -> None:
        name = text_or_none(item.get("name"))
        if begun.call < 0 and name is not None:
            begun.call = self.calls
            self.calls += 1
            id = text_or_none(item.get("call_id")) or text_or_none(item.get("id")) or f"call_{begun.call}"
            events.append(ToolCallStart(begun.call, id, name))
            if begun.kind == _CUSTOM:
                events.append(ToolCallDelta(begun.call, '{"input": "'))

    def _find(self, piece: Mapping[str, Any], *kinds: str) -> _Item:
        index, id = piece.get("output_index"), piece.get("item_id")
        item = self._by_index.get(index) if isinstance(index, int) else None
        if item is None:
            item = self._by_id.get(id) if isinstance(id, str) else None
        if item is None and not isinstance(index, int) and not isinstance(id, str):
            item = self._last
        if item is None or item.kind not in kinds or item.ended:
            if kinds[0] in (_FUNCTION, _CUSTOM):
                raise MalformedResponseError("stream: a piece of a tool call that has not begun")
            item = self._make(kinds[0], index, id)
        return item

    # Pieces ---------------------------------------------------------------------------------------------------------

    def add_text(self, piece: Mapping[str, Any], events: list[Event]) -> None:
        text = _text(piece.get("delta"))
        item, index = self._last, piece.get("output_index")
        if (
            item is None
            or item.part != piece.get("content_index")
            or index.__class__ is not int
            or self._by_index.get(cast("int", index)) is not item
        ):
            item = self._find(piece, "message")
            self._begin_part(item, piece)
        if text:
            self.length += len(text)
            events.append(TextDelta(text))
        if piece.get("logprobs"):
            item.logprobs += _objects(piece["logprobs"])

    def _begin_part(self, item: _Item, piece: Mapping[str, Any]) -> object:
        part = piece.get("content_index")
        if not isinstance(part, int):
            part = 0
        item.part = part
        item.parts.setdefault(part, self.length)
        return part

    def add_refusal(self, piece: Mapping[str, Any], events: list[Event]) -> None:
        text = _text(piece.get("delta"))
        self._begin_part(self._find(piece, "message"), piece)
        if text:
            events.append(RefusalDelta(text))

    def add_citation(self, piece: Mapping[str, Any], events: list[Event]) -> None:
        item = self._find(piece, "message")
        part = self._begin_part(item, piece)
        item.cited[part] = item.cited.get(part, 0) + 1
        _read_citation(piece.get("annotation"), item.parts[part], events)

    def add_reasoning(self, piece: Mapping[str, Any], part: object, events: list[Event]) -> None:
        text = _text(piece.get("delta"))
        self._think(self._find(piece, "reasoning"), part, text, events)

    @staticmethod
    def _think(item: _Item, part: object, text: str, events: list[Event]) -> None:
        if not text:
            return
        if item.said and part not in item.parts:
            text = _BREAK + text
        item.parts[part] = 0
        item.said = True
        events.append(ReasoningDelta(text))

    def add_arguments(self, piece: Mapping[str, Any], events: list[Event]) -> None:
        text = _text(piece.get("delta"))
        item = self._find(piece, _FUNCTION)
        if text and item.call >= 0:
            item.said = True
            events.append(ToolCallDelta(item.call, text))

    def add_input(self, piece: Mapping[str, Any], events: list[Event]) -> None:
        text = _text(piece.get("delta"))
        item = self._find(piece, _CUSTOM)
        if text and item.call >= 0:
            item.said = True
            events.append(ToolCallDelta(item.call, _escape(text)))

    # Ends -----------------------------------------------------------------------------------------------------------

    def end(self, index: object, data: object, events: list[Event]) -> None:
        """An item is whole. Ending twice is ending once."""
        item = _fields(data)
        begun = self._begin_item(index, item, events)
        if begun.ended:
            return
        begun.ended = True
        match begun.kind:
            case "message":
                self._end_message(begun, item, events)
            case "reasoning":
                self._end_reasoning(begun, item, events)
            case "function_call" | "custom_tool_call":
                self._end_call(begun, item, events)
            case "computer_call":
                self._end_computer(begun, item, events)
            case _:
                events.append(ProviderBlock(NAME, item))

    def end_all(self, events: list[Event]) -> None:
        """The output is whole: nothing more comes of what has begun."""
        for item in self._items:
            if item.call >= 0 and not item.ended:
                item.ended = True
                self._close_call(item, events)

    def _end_message(self, begun: _Item, item: dict[str, Any], events: list[Event]) -> None:
        content = item.get("content")
        if isinstance(content, str):  # not of the dialect; some servers write it so
            content = [{"type": "output_text", "text": content}]
        logprobs: list[dict[str, Any]] = []
        for at, part in enumerate(_objects(content)):
            known = begun.parts.get(at)
            if part.get("type") == "refusal":
                if known is None and (refusal := text_or_none(part.get("refusal"))):
                    events.append(RefusalDelta(refusal))
                continue
            start = self.length if known is None else known
            text = part.get("text")
            if known is None and isinstance(text, str) and text:
                self.length += len(text)
                events.append(TextDelta(text))
            logprobs += _objects(part.get("logprobs"))
            for annotation in _objects(part.get("annotations"))[begun.cited.get(at, 0) :]:
                _read_citation(annotation, start, events)
        # The whole item has the tokens' bytes too, which the pieces leave out.
        if logprobs or begun.logprobs:
            events.append(LogprobsDelta(logprobs or begun.logprobs))
        phase = text_or_none(item.get("phase"))
        if phase is not None:
            # It says of the text before it whether that is on the way to the answer or the answer: models want it back.
            events.append(ProviderBlock(NAME, {"type": "message", "role": "assistant", "phase": phase}))

    def _end_reasoning(self, begun: _Item, item: dict[str, Any], events: list[Event]) -> None:
        for name in ("summary", "content"):
            for at, part in enumerate(_objects(item.get(name))):
                if (name, at) not in begun.parts and isinstance(part.get("text"), str):
                    self._think(begun, (name, at), part["text"], events)
        events.append(ReasoningEnd(NAME, text_or_none(item.get("encrypted_content")), text_or_none(item.get("id"))))

    def _end_call(self, begun: _Item, item: dict[str, Any], events: list[Event]) -> None:
        if begun.call < 0:
            raise MalformedResponseError("reply: a tool call has no name")
        name = "arguments" if begun.kind == _FUNCTION else "input"
        given: Any = item.get(name)
        if begun.kind == _FUNCTION and isinstance(given, dict):  # an object where the dialect wants its JSON text
            given = orjson.dumps(given).decode()
        if given is not None and not isinstance(given, str):
            raise MalformedResponseError(f"reply: a tool call's {name} are no text")
        if not begun.said and given:
            events.append(ToolCallDelta(begun.call, given if begun.kind == _FUNCTION else _escape(given)))
        self._close_call(begun, events)

    @staticmethod
    def _close_call(begun: _Item, events: list[Event]) -> None:
        if begun.kind == _CUSTOM:
            events.append(ToolCallDelta(begun.call, '"}'))
        events.append(ToolCallEnd(begun.call))

    def _end_computer(self, begun: _Item, item: dict[str, Any], events: list[Event]) -> None:
        """The item itself, which has to go back, and the call that the caller answers with a screenshot.
        https://developers.openai.com/api/docs/guides/tools-computer-use (2026-11-21)"""
        begun.call = self.calls
        self.calls += 1
        arguments: dict[str, Any] = {
            "actions": item.get("actions") or [item[name] for name in ("action",) if item.get(name)]
        }
        if item.get("pending_safety_checks"):
            arguments["pending_safety_checks"] = item["pending_safety_checks"]
        id = text_or_none(item.get("call_id"))
        if id is None:
            raise MalformedResponseError("reply: a computer call has no call_id")
        events.append(ProviderBlock(NAME, item))
        events.append(ToolCallStart(begun.call, id, COMPUTER))
        events.append(ToolCallDelta(begun.call, json.dumps(arguments, ensure_ascii=False)))
        events.append(ToolCallEnd(begun.call))


def _fields(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise MalformedResponseError("reply: an item of the output is no object")
    return cast("dict[str, Any]", data)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise MalformedResponseError("stream: a piece holds no text")
    return value


def _escape(text: str) -> str:
    """A text as it stands within JSON's quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _objects(values: object) -> list[dict[str, Any]]:
    if not isinstance(values, list):
        return []
    return [cast("dict[str, Any]", value) for value in cast("list[object]", values) if isinstance(value, dict)]


# Of an annotation, what has a field of its own in a Citation.
_CITED: Final = frozenset({"url", "title", "filename", "start_index", "end_index"})


def _read_citation(annotation: object, start: int, events: list[Event]) -> None:
    """A source. Its characters are counted within its text; ours, within the whole answer."""
    if not isinstance(annotation, dict):
        return
    given = cast("dict[str, Any]", annotation)
    first, last = given.get("start_index"), given.get("end_index")
    location = {name: value for name, value in given.items() if name not in _CITED and value is not None}
    events.append(
        CitationFound(
            Citation(
                text_or_none(given.get("url")),
                text_or_none(given.get("title")) or text_or_none(given.get("filename")),
                start + first if isinstance(first, int) else None,
                start + last if isinstance(last, int) else None,
                location=location if location.keys() - {"type"} else None,
            )
        )
    )
