"""A stream in the made-up dialect."""

from __future__ import annotations

from typing import Any, cast

from llmring.exceptions import LLMRingError, MalformedResponseError, ResponseTooLargeError, StreamInterruptedError
from llmring.schemas.events import Event, TextDelta
from llmring.wire.base import MAX_LINE_BYTES, parse_json

from .response import read_end


class SixthDecoder:
    def __init__(self) -> None:
        self._rest = b""
        self._failure: LLMRingError | None = None
        self.finished = False

    def feed(self, data: bytes) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            if len(self._rest) > MAX_LINE_BYTES:
                raise ResponseTooLargeError("stream: a line is too long")
            for line in lines:
                events += self._read(line)
        except LLMRingError as error:
            self._failure, self.finished = error, True
            if not events:
                raise
        return events

    def close(self) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        if not self.finished:
            raise StreamInterruptedError("the stream ended before its end")
        return []

    def _read(self, line: bytes) -> list[Event]:
        if self.finished:
            return []
        match parse_json(line, "stream"):
            case {"by": str(), "why": str(), "cost": [int(), int()]} as answer:
                self.finished = True
                return read_end(cast("dict[str, Any]", answer))
            case {"say": str(text)}:
                return [TextDelta(text)]
            case _:
                raise MalformedResponseError("stream: no line of this dialect")
