"""The sources that an answer of this dialect names: what it quotes, and what a search found for it.

Places are counted in bytes of UTF-8 (`Segment` of google-genai 3.4.0); a `Citation` counts characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.schemas.events import CitationFound, Event
from llmring.schemas.response import Citation

_CHUNK_KINDS: Final = ("web", "retrievedContext", "maps", "image")
_FOLLOWING: Final = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
_STEP_BYTES: Final = 1024


class Sources:
    """Gathers what responses say of sources, and gives it when the text that it points into is whole."""

    # _quoted: by what they say, because each is told more than once.
    __slots__ = ("_grounding", "_quoted", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._quoted: dict[bytes, dict[str, Any]] = {}
        self._grounding: dict[str, Any] = {}

    def heard(self, text: str) -> None:
        self._texts.append(text)

    def read(self, candidate: Mapping[str, Any]) -> None:
        """What one response says. Searches are told more than once; the last time counts."""
        quoted = candidate.get("citationMetadata")
        if isinstance(quoted, dict):
            fields = cast("dict[str, Any]", quoted)
            # Gemini's own API says citationSources, Vertex citations: https://ai.google.dev/api/generate-content#citationmetadata
            for source in _objects(fields.get("citationSources") or fields.get("citations")):
                self._quoted.setdefault(orjson.dumps(source), source)
        grounding = candidate.get("groundingMetadata")
        if isinstance(grounding, dict) and (cast("dict[str, Any]", grounding).get("groundingChunks")):
            self._grounding = cast("dict[str, Any]", grounding)

    def find(self, events: list[Event]) -> None:
        if not self._quoted and not self._grounding:
            return
        text = _Text("".join(self._texts))
        for source in self._quoted.values():
            start, end = text.characters(source.get("startIndex"), source.get("endIndex"), None)
            events.append(CitationFound(Citation(_text(source.get("uri")), _text(source.get("title")), start, end)))
        chunks = [_read_chunk(chunk) for chunk in _list(self._grounding.get("groundingChunks"))]
        told: set[int] = set()
        for support in _objects(self._grounding.get("groundingSupports")):
            segment = cast("dict[str, Any]", support.get("segment") if isinstance(support.get("segment"), dict) else {})
            start, end = text.characters(segment.get("startIndex"), segment.get("endIndex"), segment.get("text"))
            for index in _list(support.get("groundingChunkIndices")):
                if isinstance(index, int) and 0 <= index < len(chunks):
                    told.add(index)
                    url, title, quoted = chunks[index]
                    events.append(CitationFound(Citation(url, title, start, end, quoted)))
        for index, (url, title, quoted) in enumerate(chunks):
            if index not in told and (url or title):
                events.append(CitationFound(Citation(url, title, text=quoted)))


def _read_chunk(chunk: object) -> tuple[str | None, str | None, str | None]:
    """URL, title and quoted text of a source."""
    fields = cast("dict[str, Any]", chunk) if isinstance(chunk, dict) else {}
    for kind in _CHUNK_KINDS:
        source = fields.get(kind)
        if isinstance(source, dict):
            given = cast("dict[str, Any]", source)
            url = _text(given.get("uri")) or _text(given.get("sourceUri"))
            return url, _text(given.get("title")), _text(given.get("text"))
    return None, None, None


class _Text:
    """The answer as bytes, and how many characters come before one: counted once, because there may be as many sources as text."""

    __slots__ = ("_before", "_bytes")

    def __init__(self, text: str) -> None:
        self._bytes = text.encode(errors="replace")
        self._before = [0]  # characters before every _STEP_BYTES-th byte
        for start in range(0, len(self._bytes), _STEP_BYTES):
            self._before.append(self._before[-1] + _count_characters(self._bytes[start : start + _STEP_BYTES]))

    def characters(self, start: object, end: object, said: object) -> tuple[int | None, int | None]:
        """Places in characters for places in bytes; None for both where they do not lead to what is said there."""
        first = start if isinstance(start, int) else 0  # JSON of protobuf leaves out a number that is 0
        if not isinstance(end, int) or not 0 <= first <= end <= len(self._bytes):
            return None, None
        if isinstance(said, str):
            wanted = said.encode(errors="replace")
            if len(wanted) != end - first or wanted != self._bytes[first:end]:
                return None, None
        return self._characters_before(first), self._characters_before(end)

    def _characters_before(self, place: int) -> int:
        step = place // _STEP_BYTES
        return self._before[step] + _count_characters(self._bytes[step * _STEP_BYTES : place])


def _count_characters(text: bytes) -> int:
    return len(text.translate(None, _FOLLOWING))


def _objects(value: object) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", item) for item in _list(value) if isinstance(item, dict)]


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
