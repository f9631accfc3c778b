"""Content codings that servers use though they were asked not to. Pure; never makes more bytes than it was allowed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from llmring.exceptions import MalformedResponseError, ResponseTooLargeError

CODINGS = ("gzip", "x-gzip", "deflate")

_GZIP_BITS = 16 + zlib.MAX_WBITS
_STEP_BYTES = 256 * 1024


class _Decompressor(Protocol):
    """What zlib.decompressobj makes; the type has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflater:
    """Compressed bytes in, plain bytes out, at any split. coding: one of CODINGS; max_bytes: cap on all that comes out."""

    __slots__ = ("_coding", "_inflate", "_left", "_max_bytes")

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._coding = coding
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._inflate: _Decompressor | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What comes out, in pieces that are small whatever `data` holds. Must be iterated to its end before the next `feed`.

        Raises ResponseTooLargeError past the cap, MalformedResponseError for what cannot be decompressed."""
        if not data:
            return
        if self._inflate is None:
            self._inflate = zlib.decompressobj(self._window_bits(data[0]))
        while data:
            if self._inflate.eof:
                # gzip files may follow one another (RFC 1952, 2.2); deflate has one part only, and what follows is rubbish.
                if self._coding == "deflate":
                    raise MalformedResponseError("the reply goes on after the end of its deflate data")
                self._inflate = zlib.decompressobj(_GZIP_BITS)
            try:
                # One byte over what is left is enough to know.
                part = self._inflate.decompress(data, min(self._left + 1, _STEP_BYTES))
            except zlib.error as error:
                raise MalformedResponseError(f"the reply cannot be decompressed ({self._coding}): {error}") from None
            if len(part) > self._left:
                raise ResponseTooLargeError(
                    f"the reply decompresses to more than {self._max_bytes} bytes ({self._coding})"
                )
            self._left -= len(part)
            data = self._inflate.unused_data or self._inflate.unconsumed_tail
            if part:
                yield part

    def _window_bits(self, first_byte: int) -> int:
        if self._coding != "deflate":
            return _GZIP_BITS
        # RFC 9110 means zlib's format; some servers send bare deflate. The low half of zlib's first byte is always 8.
        return zlib.MAX_WBITS if first_byte & 0x0F == 8 else -zlib.MAX_WBITS

    def end(self) -> None:
        """Raises MalformedResponseError where the compressed data has not reached its own end."""
        if self._inflate is not None and not self._inflate.eof:
            raise MalformedResponseError(f"the reply ends in the middle of its {self._coding} data")
