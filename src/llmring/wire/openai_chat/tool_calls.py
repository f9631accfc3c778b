"""The tool calls of a reply or a stream of this dialect: which piece belongs to which call, and where a call ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import orjson

from llmring.exceptions import MalformedResponseError
from llmring.schemas.events import Event, ToolCallDelta, ToolCallEnd, ToolCallSealed, ToolCallStart


def text_or_none(value: object) -> str | None:
    """A text that says something, None for anything else."""
    return value if isinstance(value, str) and value else None


# What opens or ends something in JSON; an escaped character does neither.
_MARK = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class _Call:
    """A tool call in the making. Its start is said once its name is known; arguments that come before that wait."""

    __slots__ = ("_begun", "_depth", "_in_text", "_read", "_tail", "arguments", "ended", "id", "index", "name")

    def __init__(self, index: int, id: str) -> None:
        self.index = index
        self.id = id
        self.name = ""
        self.arguments: list[str] = []
        self.ended = False
        # How far `is_closed` has read: so many pieces, and what it found in them.
        self._read = 0
        self._tail = ""
        self._depth = 0
        self._in_text = self._begun = False

    def is_closed(self) -> bool:
        """Whether the arguments hold an object, list or text that has ended. Reads each piece once, however often it is
        asked: a server may send id and name with every piece."""
        pieces, self._read = self.arguments[self._read :], len(self.arguments)
        marks = _MARK.findall(self._tail + "".join(pieces))
        self._tail = marks.pop() if marks and marks[-1] == "\\" else ""  # escapes what the next piece begins with
        for mark in marks:
            if mark == '"':
                self._in_text = not self._in_text
            elif not self._in_text and len(mark) == 1:
                self._depth += 1 if mark in "{[" else -1
        self._begun = self._begun or bool(marks)
        return self._begun and self._depth == 0 and not self._in_text

    def is_whole(self) -> bool:
        """Whether the arguments are a whole JSON value, so that nothing can follow."""
        try:
            orjson.loads("".join(self.arguments))
        except orjson.JSONDecodeError:
            return False
        return True


def _begins_another(call: _Call, name: str, arguments: str | None) -> bool:
    """Whether a piece with a name, but no index, is another call than the one that its id or place leads to.

    It is where it names another tool, and where it has arguments after which none can follow. Without arguments it is
    the name once more: a call too many would run a tool twice.
    """
    if not call.name:
        return False
    return name != call.name or bool(arguments and not arguments.isspace() and call.is_closed())


class CallReader:
    """Tells parallel tool calls apart, as they come whole or in pieces, in turn or interleaved.

    Servers mark a piece by `index`, by `id`, by both, or (one call a piece) by neither; they send id and name once or
    with every piece; and some send every call under index 0, so that a new id together with a name begins a new call.
    Ids are no proof: some servers give the tool's name for the id of each of its calls.

    whole: each piece is a call of its own, as in a plain reply.
    """

    __slots__ = ("_by_id", "_by_key", "_calls", "_whole")

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._calls: list[_Call] = []
        self._by_key: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    @property
    def count(self) -> int:
        return len(self._calls)

    def read(self, pieces: object, events: list[Event]) -> None:
        if not isinstance(pieces, list):
            raise MalformedResponseError("reply: tool_calls is no list")
        for position, piece in enumerate(cast("list[object]", pieces)):
            if not isinstance(piece, dict):
                raise MalformedResponseError("reply: a tool call is no object")
            self._read_piece(cast("dict[str, Any]", piece), position, events)

    def end(self, events: list[Event]) -> None:
        """No more pieces come. Raises MalformedResponseError for a call that has no name."""
        for call in self._calls:
            self._end_call(call, events)

    def _read_piece(self, piece: Mapping[str, Any], position: int, events: list[Event]) -> None:
        function = piece.get("function")
        if function is not None and not isinstance(function, dict):
            raise MalformedResponseError("reply: a tool call's function is no object")
        given = cast("dict[str, Any]", function or {})
        name = text_or_none(given.get("name"))
        arguments = given.get("arguments")
        if isinstance(arguments, dict):  # a whole object where the dialect wants its JSON text
            arguments = orjson.dumps(arguments).decode()
        if arguments is not None and not isinstance(arguments, str):
            raise MalformedResponseError("reply: a tool call's arguments are no text")
        index, id = piece.get("index"), text_or_none(piece.get("id"))
        call = None if self._whole else self._find(index, position, id, name)
        if call is not None and name and not isinstance(index, int) and _begins_another(call, name, arguments):
            call = None
        if call is None:
            call = self._begin(index if isinstance(index, int) else position, id, events)
        if call.ended and arguments:
            # Whoever heard of the end may have run the tool.
            if not arguments.isspace():
                raise MalformedResponseError("reply: a tool call goes on after its end")
            arguments = None
        if name and not call.name:
            call.name = name
            events.append(ToolCallStart(call.index, call.id, name))
            arguments = "".join(call.arguments) + (arguments or "")
            call.arguments.clear()
        if arguments:
            call.arguments.append(arguments)
            if call.name:
                events.append(ToolCallDelta(call.index, arguments))
        match piece.get("extra_content"):
            # Google's: https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-21)
            case {"google": {"thought_signature": str(signature)}} if call.name:
                events.append(ToolCallSealed(call.index, signature))
            case _:
                pass

    def _find(self, index: object, position: int, id: str | None, name: str | None) -> _Call | None:
        """The call that a piece goes on with, by its marks; None where it begins one."""
        marked = isinstance(index, int)
        call = self._by_id.get(id) if id and not marked else None
        if call is None:
            call = self._by_key.get(index if marked else position)
            if call is not None and id and id != call.id and (name or not marked):
                call = None
        return call

    def _begin(self, key: int, id: str | None, events: list[Event]) -> _Call:
        # The one before it has ended if it is whole. If not, it may go on: some servers interleave.
        last = self._calls[-1] if self._calls else None
        if last is not None and last.name and last.is_whole():
            self._end_call(last, events)
        call = _Call(len(self._calls), id or f"call_{len(self._calls)}")
        self._calls.append(call)
        self._by_key[key] = call
        self._by_id[call.id] = call
        return call

    def _end_call(self, call: _Call, events: list[Event]) -> None:
        if not call.name:
            raise MalformedResponseError("reply: a tool call has no name")
        if not call.ended:
            call.ended = True
            events.append(ToolCallEnd(call.index))
