"""A reply's body, as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

import aiohttp

from llmring.exceptions import MalformedResponseError, ProviderError, ResponseTooLargeError
from llmring.transport.alarm import Alarm
from llmring.transport.http.failures import FOREIGN, READING, explain
from llmring.transport.http.line import Line
from llmring.transport.inflate import CODINGS, Inflater


class Reply:
    """See `HTTPReply`. Whatever ends a read but success cuts the connection: what is left of the body is nobody's."""

    # State. _max_bytes: the cap in force, by which way the body is read. _announced: its Content-Length, 0 where that is small
    # or unknown. _inflated: what the last bytes decompress to, as far as it was not given out.
    __slots__ = (
        "_alarm",
        "_announced",
        "_coding",
        "_content",
        "_headers",
        "_inflated",
        "_inflater",
        "_line",
        "_max_body_bytes",
        "_max_bytes",
        "_raw_bytes",
        "_refused",
        "_url",
        "status",
    )

    def __init__(self, line: Line, url: str, alarm: Alarm, max_body_bytes: int, max_stream_bytes: int) -> None:
        self._line = line
        self._url = url
        self._content = line.body
        self.status = line.message.code
        self._alarm = alarm
        self._max_body_bytes = max_body_bytes
        self._max_bytes = max_stream_bytes
        self._announced = 0
        self._raw_bytes = 0
        self._headers: dict[str, str] | None = None
        self._coding = ""
        self._inflater: Inflater | None = None
        self._inflated: Iterator[bytes] = iter(())
        self._refused: ProviderError | None = None
        headers = line.message.headers
        length = headers.get("Content-Length")
        if length is not None and len(length) > 6 and length.isdecimal():  # shorter: below any cap worth setting
            self._announced = int(length)
        coding = headers.get("Content-Encoding")
        if coding is not None:
            self._check_coding(coding.strip().lower())

    @property
    def headers(self) -> Mapping[str, str]:
        if self._headers is None:
            self._headers = {}
            for name, value in self._line.message.headers.items():
                self._headers.setdefault(name.lower(), value)
        return self._headers

    async def read(self, until: float | None) -> bytes:
        self._max_bytes = self._max_body_bytes
        parts: list[bytes] = []
        while data := await self.read_some(until):
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def read_some(self, until: float | None) -> bytes:
        content = self._content
        try:
            if self._refused is not None:
                raise self._refused
            if self._announced > self._max_bytes:
                raise ResponseTooLargeError(
                    f"the reply announces {self._announced} bytes, and may have {self._max_bytes}", status=self.status
                )
            while True:
                if self._inflater is not None and (data := next(self._inflated, b"")):
                    # A few bytes can become many pieces, which nobody waits for: others get their turn in between.
                    await asyncio.sleep(0)
                    return data
                # Most of a fast stream is here already: no timer, no future for it.
                data = content.read_nowait() if content.exception() is None else self._take_last()
                if not data and not content.is_eof():
                    with self._alarm.until(until):
                        data = await content.readany()
                if not data:
                    if self._inflater is not None:
                        self._inflater.end()
                    self._alarm.cancel()
                    return b""
                self._raw_bytes += len(data)
                if self._raw_bytes > self._max_bytes:
                    raise ResponseTooLargeError(f"the reply is larger than {self._max_bytes} bytes", status=self.status)
                if not self._coding:
                    return data
                if self._inflater is None:
                    self._inflater = Inflater(self._coding, self._max_bytes)
                self._inflated = self._inflater.feed(data)
        except FOREIGN as error:
            failure = explain(error, self._url, READING)
        except BaseException:
            self.close()
            raise
        self.close()
        try:
            raise failure
        finally:
            del failure

    def close(self) -> None:
        self._alarm.cancel()
        if self._line.is_open:
            if self._content.exception() is None:
                self._content.set_exception(aiohttp.ClientConnectionError())
            self._line.cut()

    def _take_last(self) -> bytes:
        """What came before the connection broke, which aiohttp would not give out any more; then raises why it broke."""
        if self._line.is_open:
            data = self._content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage]
            if data:
                return data
        return self._content.read_nowait()

    def _check_coding(self, coding: str) -> None:
        if coding in CODINGS:
            self._coding = coding
        elif coding not in ("", "identity"):
            self._refused = MalformedResponseError(
                f"the reply is compressed with {coding[:40]!r}, which was not asked for", status=self.status
            )
