"""JSON lines, split on bytes at LF and nowhere else: https://github.com/ndjson/ndjson-spec (2026-11-21)

A CR before the LF is white space to JSON and stays. Reads no JSON: that is for whoever gets the lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from llmring.exceptions import ResponseTooLargeError
from llmring.wire.base import MAX_LINE_BYTES, MAX_STREAM_LINES


class NDJSONDecoder:
    """Bytes in, lines out, at any split. Blank lines give nothing."""

    # State. _pieces: the line that has begun, as it came (joined once, when it ends, so that a long line in small pieces costs
    # linear time). _lines: how many have ended.
    __slots__ = ("_lines", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._lines = 0

    def split_whole(self, data: bytes) -> list[bytes] | None:
        """The short way, for what most reads are: whole lines and nothing else.

        None where these bytes are anything else; then nothing has changed, and `feed` takes them.
        """
        if self._pieces or data[-1:] != b"\n" or len(data) > MAX_LINE_BYTES:
            return None
        found = data[:-1].split(b"\n")
        lines = self._lines + len(found)
        if lines > MAX_STREAM_LINES:
            return None
        self._lines = lines
        return found

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that these bytes complete. Must be iterated to its end.

        Raises ResponseTooLargeError as soon as a line passes the cap, and, after the lines of these bytes, where the stream has
        more lines than may be; nothing is kept then.
        """
        first, *rest = data.split(b"\n")
        self._keep(first)
        for piece in rest:
            line = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            if line:
                yield line
            self._keep(piece)
        self._lines += len(rest)
        if self._lines > MAX_STREAM_LINES:
            self._drop(f"the stream has more than {MAX_STREAM_LINES} lines")

    def close(self) -> bytes:
        """The bytes have ended: the line that no LF closed, which may be cut; empty where there is none."""
        line = b"".join(self._pieces)
        self._pieces.clear()
        return line

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._size += len(piece)
            if self._size > MAX_LINE_BYTES:
                self._drop(f"a line is longer than {MAX_LINE_BYTES} bytes")
            self._pieces.append(piece)

    def _drop(self, why: str) -> NoReturn:
        self._pieces.clear()
        raise ResponseTooLargeError(f"stream: {why}")
