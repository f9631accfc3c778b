"""Blocks of an answer, whole or in pieces, read into events: what reply and stream share."""

from __future__ import annotations

import json
from typing import Any, Final, cast

import orjson

from llmring.exceptions import MalformedResponseError
from llmring.schemas.events import (
    CitationFound,
    Event,
    ProviderBlock,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from llmring.schemas.usage import Citation
from llmring.wire.anthropic_messages.content import INVALID_JSON, NAME

# Of a citation, what has a field of its own in ours; the rest says where in the source it stands.
_CITED: Final = frozenset({"cited_text", "document_title", "title", "url"})


def text_or_none(value: object) -> str | None:
    """A text that says something, None for anything else."""
    return value if isinstance(value, str) and value else None


class _Block:
    """A block that has begun. pieces: JSON of a call's input, or a thought's signature. start: of a text, in the answer's."""

    __slots__ = ("call", "citations", "data", "kind", "pieces", "start")

    def __init__(self, kind: str, data: dict[str, Any], start: int) -> None:
        self.kind = kind
        self.data = data
        self.start = start
        self.call = -1
        self.pieces: list[str] = []
        self.citations: list[dict[str, Any]] = []


class BlockReader:
    """Blocks by their index, as they begin, go on and end.

    A citation is told when its text is whole: only then is it known which of the answer's characters rest on it.
    """

    __slots__ = ("_blocks", "calls", "length")

    def __init__(self) -> None:
        self._blocks: dict[object, _Block] = {}
        self.calls = 0
        self.length = 0  # characters of text so far

    def begin(self, index: object, block: object, events: list[Event]) -> None:
        if not isinstance(block, dict):
            raise MalformedResponseError("reply: a block is no object")
        data = cast("dict[str, Any]", block)
        kind = data.get("type")
        if not isinstance(kind, str):
            raise MalformedResponseError("reply: a block has no type")
        if not isinstance(index, int):
            raise MalformedResponseError("reply: a block has no index")
        if index in self._blocks:
            self.end(index, events)  # a server that never says where a block ends
        begun = self._blocks[index] = _Block(kind, dict(data), self.length)  # a copy: pieces may add to it
        match kind:
            case "text":
                self.add_text(data.get("text"), events)
                if data.get("citations"):
                    begun.citations += _objects(data["citations"])
            case "thinking":
                _add_thought(data.get("thinking"), events)
                begun.pieces += [text] if (text := text_or_none(data.get("signature"))) else []
            case "tool_use":
                name = text_or_none(data.get("name"))
                if name is None:
                    raise MalformedResponseError("reply: a tool call has no name")
                begun.call = self.calls
                self.calls += 1
                events.append(ToolCallStart(begun.call, text_or_none(data.get("id")) or f"call_{begun.call}", name))
            case _:
                pass

    def add_text(self, text: object, events: list[Event]) -> None:
        if text.__class__ is not str:
            raise MalformedResponseError("reply: a text is no text")
        if text:
            said = cast("str", text)
            self.length += len(said)
            events.append(TextDelta(said))

    def add(self, index: object, delta: dict[str, Any], events: list[Event]) -> None:
        """More of a block. Kinds of pieces that nobody knows are kept where the block is."""
        block = self._blocks.get(index) if isinstance(index, int) else None
        if block is None:
            raise MalformedResponseError("stream: a piece of a block that has not begun")
        match delta.get("type"):
            case "text_delta":
                self.add_text(delta.get("text"), events)
            case "input_json_delta":
                piece = delta.get("partial_json")
                if not isinstance(piece, str):
                    raise MalformedResponseError("stream: a tool call's input is no text")
                if piece:
                    block.pieces.append(piece)
                    if block.call >= 0:
                        events.append(ToolCallDelta(block.call, piece))
            case "thinking_delta":
                _add_thought(delta.get("thinking"), events)
            case "signature_delta":
                block.pieces += [text] if (text := text_or_none(delta.get("signature"))) else []
            case "citations_delta":
                block.citations += _objects([delta.get("citation")])
            case _:
                # Such as the summary of `compaction_delta`.
                block.data.update(
                    (name, value) for name, value in delta.items() if name != "type" and value is not None
                )

    def end(self, index: object, events: list[Event]) -> None:
        """A block is whole; one that is not open is none of ours to end."""
        block = self._blocks.pop(index, None) if isinstance(index, int) else None
        if block is None:
            return
        match block.kind:
            case "text":
                cited = (_read_citation(data, block.start, self.length) for data in block.citations)
                events += map(CitationFound, cited)
            case "thinking":
                events.append(ReasoningEnd(NAME, "".join(block.pieces) or None))
            case "redacted_thinking":
                events.append(ReasoningEnd(NAME, text_or_none(block.data.get("data")), redacted=True))
            case "tool_use":
                if not block.pieces:
                    events.append(ToolCallDelta(block.call, _dump(block.data.get("input"))))
                events.append(ToolCallEnd(block.call))
            case _:
                data = block.data
                if block.pieces:
                    data = {**data, "input": _parse_input("".join(block.pieces))}
                events.append(ProviderBlock(NAME, data))

    def end_all(self, events: list[Event]) -> None:
        for index in list(self._blocks):
            self.end(index, events)


def _add_thought(thought: object, events: list[Event]) -> None:
    if thought is not None and not isinstance(thought, str):
        raise MalformedResponseError("reply: a thought is no text")
    if thought:
        events.append(ReasoningDelta(thought))


def _dump(value: object) -> str:
    # With blanks, as the API streams it: reply and stream of one answer read the same.
    return json.dumps(value if isinstance(value, dict) else {}, ensure_ascii=False)


def _parse_input(text: str) -> object:
    """The input of a tool that the provider runs; cut by the cap on the answer, it is kept as the vendor advises."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {INVALID_JSON: text}


def _objects(values: object) -> list[dict[str, Any]]:
    if not isinstance(values, list):
        return []
    return [cast("dict[str, Any]", value) for value in cast("list[object]", values) if isinstance(value, dict)]


def _read_citation(cited: dict[str, Any], start: int, end: int) -> Citation:
    """https://platform.claude.com/docs/en/build-with-claude/citations (2026-11-21)"""
    source = text_or_none(cited.get("source"))
    url = text_or_none(cited.get("url")) or (source if source and source.startswith(("https://", "http://")) else None)
    title = text_or_none(cited.get("document_title")) or text_or_none(cited.get("title"))
    location = {name: value for name, value in cited.items() if name not in _CITED and value is not None}
    return Citation(url, title, start, end, text_or_none(cited.get("cited_text")), location)
