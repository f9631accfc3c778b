"""A streamed reply of this dialect, read into events as it comes: server-sent events, each a whole response with the next piece.

The hot path of every stream: `feed` costs a few microseconds a chunk, and most of that is reading the JSON.
"""

from __future__ import annotations

from llmring.exceptions import LLMRingError, StreamInterruptedError
from llmring.schemas.events import Event
from llmring.wire.base import parse_json
from llmring.wire.event_stream import keep_bare
from llmring.wire.gemini_generate.failures import find_error
from llmring.wire.gemini_generate.response import ResponseReader
from llmring.wire.sse import SSEDecoder


class GenerateStreamDecoder:
    """Bytes in, events out, at any split.

    The dialect has no terminal event: the end is a response with a finish reason, and then the end of the bytes. Older models give
    a finish reason with every response, and others send counts or sources after it, so that nothing is over before the bytes are;
    what HTTP says of their end is all that tells a cut after a finish reason. Without any finish reason the stream was interrupted.

    An error counts even where the bytes end before its blank line, and as bare JSON in the place of a stream.

    What goes wrong in the middle of a feed does not swallow the events before it: they are returned, `finished` turns true, and
    the next `feed` or `close` raises.
    """

    # _bare: what has come, as long as it may be bare JSON; None as soon as it cannot.
    __slots__ = ("_bare", "_closed", "_failure", "_reader", "_sse")

    def __init__(self) -> None:
        self._bare: bytearray | None = bytearray()
        self._sse = SSEDecoder()
        self._reader = ResponseReader()
        self._closed = False
        self._failure: LLMRingError | None = None

    @property
    def finished(self) -> bool:
        """Whether an error came that `close()` raises; an answer ends with the bytes."""
        return self._failure is not None or self._closed

    def feed(self, data: bytes) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._bare is not None:
            self._bare = keep_bare(self._bare, data)
        try:
            whole = self._sse.split_crlf(data) or self._sse.split_whole(data)  # Google's own lines end with CRLF
            if whole is None:
                for _, payload in self._sse.feed(data):
                    self._reader.read(parse_json(payload, "stream"), events)
            else:
                for event in whole:
                    self._reader.read(parse_json(event[6:], "stream"), events)
        except LLMRingError as error:
            self._failure = error
            if not events:
                raise
        return events

    def close(self) -> list[Event]:
        """The bytes have ended. Raises StreamInterruptedError unless a finish reason was seen. May be called more than once."""
        if self._failure is not None:
            raise self._failure
        if self._closed:
            return []
        events: list[Event] = []
        try:
            tail = self._sse.close()
            if tail is not None:
                self._read_tail(tail[1], events)
            if not self._reader.has_finished:
                error = find_error(bytes(self._bare or b""))
                if error is not None:
                    raise error
            self._reader.end(events)
        except LLMRingError as error:
            self._failure = error
            raise
        self._closed = True
        return events

    def _read_tail(self, payload: bytes, events: list[Event]) -> None:
        """An event whose blank line is missing: an error counts, a whole response too, and anything else was cut."""
        error = find_error(payload)
        if error is not None:
            raise error
        try:
            response = parse_json(payload, "stream")
        except LLMRingError:
            raise StreamInterruptedError("the stream ended in the middle of an event") from None
        self._reader.read(response, events)
