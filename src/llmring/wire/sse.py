"""Server-sent events, split on bytes:
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

Lines end at CR, LF or CRLF and nowhere else. `str.splitlines` (and clients built on it) also splits at U+2028 and
U+0085, which JSON may hold bare, and so tears events apart. Decodes no text: that is for whoever reads the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from llmring.exceptions import ResponseTooLargeError
from llmring.wire.base import MAX_LINE_BYTES, MAX_STREAM_LINES

_BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Bytes in, (event name, data) pairs out, at any split. Comments and events without data give nothing."""

    # State. _pieces: the line that has begun, as it came (joined once, when it ends, so that a long line in small
    # pieces costs linear time). _data: the data lines of the event that has begun. _name: its name. _after_cr: the last
    # byte was a CR, so that an LF that comes next belongs to it. _at_start: no line has ended yet, so that a BOM may
    # still stand before it. _idle: nothing has begun; only then does `split_whole` hold. _lines: how many have ended.
    __slots__ = ("_after_cr", "_at_start", "_data", "_data_size", "_idle", "_lines", "_name", "_pieces", "_pieces_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._name = ""
        self._after_cr = False
        self._at_start = True
        self._idle = True
        self._lines = 0

    def split_whole(self, data: bytes) -> list[bytes] | None:
        """The short way, for what most reads are: whole events and nothing else. Gives their lines, unread, one item an
        event.

        None where these bytes are anything else; then nothing has changed, and `feed` takes them.
        """
        size = len(data)
        if not self._idle or data[-2:] != b"\n\n" or size > MAX_LINE_BYTES or data.find(b"\r") >= 0:
            return None
        if data.find(b"\n") == size - 2:
            if data[:6] != b"data: " or size == 8:
                return None
            events = [data[:-2]]
        else:
            events = data[:-2].split(b"\n\n")
            for event in events:
                if event[:6] != b"data: " or len(event) == 6 or event.find(b"\n") >= 0:
                    return None
        lines = self._lines + 2 * len(events)
        if lines > MAX_STREAM_LINES:
            return None
        self._lines = lines
        self._after_cr = self._at_start = False
        return events

    def split_named(self, data: bytes) -> list[bytes] | None:
        """As `split_whole`, for events of a name and one line of data each. Gives the data; the names are left unread."""
        if not self._idle or data[-2:] != b"\n\n" or len(data) > MAX_LINE_BYTES or data.find(b"\r") >= 0:
            return None
        payloads: list[bytes] = []
        for event in data[:-2].split(b"\n\n"):
            end = event.find(b"\n")
            if event[:7] != b"event: " or event[end : end + 7] != b"\ndata: " or event.find(b"\n", end + 7) >= 0:
                return None
            if end + 7 == len(event):
                return None
            payloads.append(event[end + 7 :])
        lines = self._lines + 3 * len(payloads)
        if lines > MAX_STREAM_LINES:
            return None
        self._lines = lines
        self._after_cr = self._at_start = False
        return payloads

    def split_crlf(self, data: bytes) -> list[bytes] | None:
        """As `split_whole`, for servers that end their lines with CRLF. Gives the data of each event, unread."""
        if not self._idle or data[-4:] != b"\r\n\r\n" or len(data) > MAX_LINE_BYTES:
            return None
        events = data[:-4].split(b"\r\n\r\n")
        for event in events:
            if event[:6] != b"data: " or len(event) == 6 or event.find(b"\n") >= 0 or event.find(b"\r") >= 0:
                return None
        lines = self._lines + 2 * len(events)
        if lines > MAX_STREAM_LINES:
            return None
        self._lines = lines
        self._after_cr = self._at_start = False
        return events

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that these bytes complete, as (name, data). Must be iterated to its end.

        Raises ResponseTooLargeError as soon as a line, or one event's lines together, pass the cap, and, after the events
        of these bytes, where the stream has more lines than may be; nothing is kept then.
        """
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]
            self._after_cr = False
        if not data:
            return
        self._after_cr = data[-1:] == b"\r"
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *rest = data.split(b"\n")
        self._keep(first)
        for line in rest:
            event = self._end_line()
            if event is not None:
                yield event
            self._keep(line)
        self._lines += len(rest)
        if self._lines > MAX_STREAM_LINES:
            self._drop(f"the stream has more than {MAX_STREAM_LINES} lines")
        self._idle = not (self._pieces or self._data or self._name)

    def close(self) -> tuple[str, bytes] | None:
        """The bytes have ended: the event that no blank line closed, as (name, data), None where there is none.

        The standard drops such an event. It is given out because servers end with `data: [DONE]`, or an error, and no
        blank line. It may be cut.
        """
        return (self._end_line() if self._pieces else None) or self._end_event()

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces_size += len(piece)
            if self._pieces_size > MAX_LINE_BYTES:
                self._drop(f"a line is longer than {MAX_LINE_BYTES} bytes")
            self._pieces.append(piece)

    def _end_line(self) -> tuple[str, bytes] | None:
        pieces = self._pieces
        line = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._pieces_size = 0
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._end_event()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data_size += len(value) + 1
            if self._data_size > MAX_LINE_BYTES:
                self._drop(f"an event is longer than {MAX_LINE_BYTES} bytes")
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        return None  # `id`, `retry` and comments (an empty field name) mean nothing here

    def _end_event(self) -> tuple[str, bytes] | None:
        name, data = self._name, b"\n".join(self._data)
        self._name = ""
        self._data.clear()
        self._data_size = 0
        return (name, data) if data else None

    def _drop(self, why: str) -> NoReturn:
        self._pieces.clear()
        self._data.clear()
        raise ResponseTooLargeError(f"stream: {why}")
