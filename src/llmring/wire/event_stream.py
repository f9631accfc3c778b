"""What the decoders of server-sent streams share: errors that come bare in a stream's place, and the frame of those dialects whose
events tell by the `type` in their data what they are."""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

import orjson

from llmring.exceptions import LLMRingError, ProviderError, StreamInterruptedError
from llmring.schemas.events import Event
from llmring.wire.sse import SSEDecoder

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
MAX_BARE_BYTES: Final = 64 * 1024  # guess: errors have a few hundred


def keep_bare(bare: bytearray, data: bytes) -> bytearray | None:
    """What may be bare JSON, with the bytes that came next; None where it is none, or is too long for an error."""
    if not bare:
        data = data.lstrip(_BLANK)
        if data and data[:1] not in (b"{", b"["):
            return None
    bare += data
    return bare if len(bare) <= MAX_BARE_BYTES else None


class TypedStreamDecoder:
    """Bytes in, events out, at any split. A dialect says what its events mean (`_read`), which of them end a stream (`_ENDS`), and
    how errors are told (`_find_error`).

    Events' names are not looked at. Bytes that end without a terminal event are an interruption. An error counts even where the
    bytes end before its blank line, and as bare JSON in the place of a stream: proxies answer so, whatever the content type says.

    What goes wrong in the middle of a feed does not swallow the events before it: they are returned, `finished` turns
    true, and the next `feed` or `close` raises.
    """

    # _bare: what has come, as long as it may be bare JSON; None as soon as it cannot.
    __slots__ = ("_bare", "_done", "_failure", "_sse", "_started")

    _ENDS: ClassVar[frozenset[str]]

    def __init__(self) -> None:
        self._bare: bytearray | None = bytearray()
        self._sse = SSEDecoder()
        self._started = False
        self._done = False
        self._failure: LLMRingError | None = None

    def _read(self, payload: bytes, events: list[Event]) -> None:
        """Reads the data of one event, and sets `_started` and `_done`."""
        raise NotImplementedError

    def _find_error(self, data: bytes) -> ProviderError | None:
        """The typed error that these bytes hold, which may be cut; None where they hold none. Never raises."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether nothing more is worth reading: a terminal event was seen, or an error that `close()` raises."""
        return self._done or self._failure is not None

    def feed(self, data: bytes) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._done:
            return events
        if self._bare is not None:
            self._bare = keep_bare(self._bare, data)
        try:
            whole = self._sse.split_named(data)
            if whole is None:
                for _, payload in self._sse.feed(data):
                    self._read(payload, events)
            else:
                for payload in whole:
                    self._read(payload, events)
        except LLMRingError as error:
            self._failure = error
            if not events:
                raise
        return events

    def close(self) -> list[Event]:
        """The bytes have ended. Raises StreamInterruptedError unless a terminal event was seen. May be called more than once."""
        if self._failure is not None:
            raise self._failure
        if self._done:
            return []
        tail = (self._sse.close() or ("", b""))[1]
        events: list[Event] = []
        try:
            if not self._is_end(tail):
                raise (
                    self._find_error(tail)
                    or self._find_error(bytes(self._bare or b""))
                    or StreamInterruptedError(
                        "the stream ended before its end"
                        if self._started
                        else "the stream ended before anything of an answer came",
                        hint="the connection was cut, or the server does not end its streams with "
                        f"{' or '.join(sorted(self._ENDS))}",
                    )
                )
            self._read(tail, events)
        except LLMRingError as error:
            self._failure = error
            raise
        return events

    def _is_end(self, tail: bytes) -> bool:
        """Whether the bytes after the last blank line are a terminal event all the same."""
        try:
            value: object = orjson.loads(tail)
        except orjson.JSONDecodeError:
            return False
        return isinstance(value, dict) and cast("dict[str, Any]", value).get("type") in self._ENDS
