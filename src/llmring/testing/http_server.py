"""A small HTTP/1.1 server for tests: it knows which bytes go out in which write, and how to fail on purpose.

A reply is an iterable of actions: bytes are written as they are, one write each; the rest say what to wait for and how to end.
It is no server for the open network: loopback only, no limits on what clients send.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from ssl import SSLContext


class Signal(Enum):
    """What a reply does besides writing."""

    HOLD = auto()  # wait until released
    FIN = auto()  # close the connection once everything is written
    RST = auto()  # reset the connection at once


Action: TypeAlias = "bytes | Signal | asyncio.Event | float"
"""Write these bytes; do this; wait until the event is set; wait so many seconds."""


@dataclass(slots=True)
class Request:
    """One request as it came. `headers` have lower-case names; of a name that came twice, both values, joined by a comma."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool
    is_http_1_0: bool
    connection: int


class BadRequestError(Exception):
    """The client does not speak HTTP/1.1."""


class RequestReader:
    """Bytes in, requests out, at any split. `body` comes by Content-Length or chunked."""

    def __init__(self, connection: int) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._request: Request | None = None
        self._length = 0
        self._chunked = False
        self.wants_continue = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Request | None:
        """The next whole request, None until there is one. Raises BadRequestError."""
        if self._request is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            self._request = self._read_head(head)
        body = self._read_chunked() if self._chunked else self._read_sized()
        if body is None:
            return None
        request, self._request = self._request, None
        self.wants_continue = False
        request.body = body
        return request

    def _read_head(self, head: bytes) -> Request:
        lines = head.decode("latin-1").lstrip("\r\n").split("\r\n")
        try:
            method, target, version = lines[0].split(" ")
        except ValueError:
            raise BadRequestError(f"no request line: {lines[0][:80]!r}") from None
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadRequestError(f"no header: {line[:80]!r}")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise BadRequestError(f"content-length is no number: {length[:80]!r}")
        self._length = int(length)
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.wants_continue = headers.get("expect", "").lower() == "100-continue"
        is_http_1_0 = version == "HTTP/1.0"
        wish = headers.get("connection", "keep-alive" if not is_http_1_0 else "close").lower()
        return Request(method, target, headers, b"", wish != "close", is_http_1_0, self._connection)

    def _read_sized(self) -> bytes | None:
        if len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        return body

    def _read_chunked(self) -> bytes | None:
        body, at = bytearray(), 0
        while True:
            line_end = self._buffer.find(b"\r\n", at)
            if line_end < 0:
                return None
            try:
                size = int(self._buffer[at:line_end].split(b";")[0], 16)
            except ValueError:
                raise BadRequestError("no chunk size where one must be") from None
            at = line_end + 2
            if len(self._buffer) < at + size + 2:
                return None
            body += self._buffer[at : at + size]
            at += size + 2
            if size == 0:
                del self._buffer[:at]
                return bytes(body)


Answerer: TypeAlias = Callable[[Request], Iterable[Action]]

# After so many writes in one go others get their turn: a reply may be endless, and its reader on the same loop.
_WRITES_IN_A_ROW = 64


class _Waiting(Enum):
    GATE = auto()
    HELD = auto()
    TURN = auto()
    WRITABLE = auto()


class Connection(asyncio.Protocol):
    """One client: reads requests, plays one reply after the other, in order."""

    def __init__(self, server: HTTPServer, number: int) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(number)
        self._actions: Iterator[Action] | None = None
        self._request: Request | None = None
        self._waiting: _Waiting | None = None
        self._is_full = False
        self._gate: asyncio.Task[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_held(self) -> bool:
        return self._waiting is _Waiting.HELD

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._actions = None
        if self._gate is not None:
            self._gate.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._request is not None:
            self._request = None
            self._server.ended()
        self._server.lost(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._run()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._resume(_Waiting.WRITABLE)

    def release(self) -> None:
        self._resume(_Waiting.HELD)

    def close(self) -> None:
        """Ends the connection: what is written already gets out if the client takes it at once."""
        if self._request is None and not self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            self._transport.abort()

    def _resume(self, waiting: _Waiting) -> None:
        if self._waiting is waiting:
            self._waiting = None
            self._run()

    def _run(self) -> None:
        while self._waiting is None and not self._transport.is_closing():
            if self._actions is None and not self._begin():
                return
            if self._play():
                assert self._request is not None
                keep_alive, self._request, self._actions = self._request.keep_alive, None, None
                self._server.ended()
                if not keep_alive:
                    self._transport.close()

    def _begin(self) -> bool:
        try:
            request = self._reader.next()
        except BadRequestError as error:
            self._transport.write(plain(400, {"content-type": "text/plain"}, str(error).encode()))
            self._transport.close()
            return False
        if request is None:
            if self._reader.wants_continue:
                self._reader.wants_continue = False
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return False
        self._request = request
        self._server.began()
        self._actions = iter(self._server.answer(request))
        return True

    def _play(self) -> bool:
        """Plays the reply on. True at its end; False where it waits, or the connection is over."""
        assert self._actions is not None
        writes = 0
        for action in self._actions:
            if isinstance(action, bytes):
                self._transport.write(action)
                writes += 1
                if self._is_full:
                    self._waiting = _Waiting.WRITABLE
                elif writes == _WRITES_IN_A_ROW:
                    self._waiting = _Waiting.TURN
                    self._loop.call_soon(self._resume, _Waiting.TURN)
                else:
                    continue
                return False
            match action:
                case Signal.HOLD:
                    self._waiting = _Waiting.HELD
                    self._server.notify()
                case Signal.FIN:
                    self._transport.close()
                case Signal.RST:
                    self._reset()
                case asyncio.Event():
                    self._wait_for(action)
                case seconds:
                    self._waiting = _Waiting.TURN
                    self._timer = self._loop.call_later(seconds, self._resume, _Waiting.TURN)
            return False
        return True

    def _wait_for(self, gate: asyncio.Event) -> None:
        self._waiting = _Waiting.GATE
        self._gate = self._loop.create_task(gate.wait())
        self._server.tasks.add(self._gate)
        self._gate.add_done_callback(self._server.tasks.discard)
        self._gate.add_done_callback(lambda _: self._resume(_Waiting.GATE))

    def _reset(self) -> None:
        # With a linger time of 0 seconds, closing sends RST instead of FIN (man 7 socket).
        found: socket.socket = self._transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class HTTPServer:
    """Listens on 127.0.0.1 on the running loop and counts what happens. `answer` makes the reply to each request."""

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.port = 0
        self.connections_opened = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[bool]] = set()
        self._server: asyncio.Server | None = None
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def start(self, *, port: int = 0, ssl: SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        # A test that starts 1,000 connections at once must not wait for the kernel's queue.
        self._server = await loop.create_server(self._accept, "127.0.0.1", port, ssl=ssl, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self) -> Connection:
        self.connections_opened += 1
        return Connection(self, self.connections_opened - 1)

    async def close(self) -> None:
        """Stops listening, ends every connection, and returns when all are gone. Idempotent."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in list(self.connections):
            connection.close()
        await self.wait_until(lambda: not self.connections)
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    def release(self) -> None:
        """Lets every reply go on that holds now."""
        for connection in [connection for connection in self.connections if connection.is_held]:
            connection.release()

    @property
    def held(self) -> int:
        return sum(connection.is_held for connection in self.connections)

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Waits until something happened here that makes it true."""
        if is_true():
            return
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((is_true, seen))
        await seen

    def notify(self) -> None:
        if self._watchers:
            for is_true, seen in self._watchers:
                if not seen.done() and is_true():
                    seen.set_result(None)
            self._watchers = [watcher for watcher in self._watchers if not watcher[1].done()]

    def opened(self, connection: Connection) -> None:
        if self._server is None:
            connection.close()  # it was accepted while closing
        self.connections.add(connection)
        self.notify()

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.notify()

    def began(self) -> None:
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def ended(self) -> None:
        self.in_flight -= 1
        self.notify()


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """A reply's head, the empty line included."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def plain(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """A whole reply with a body of known length."""
    return head(status, {**headers, "content-length": str(len(body))}) + body


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body; of no data, its end."""
    return b"%x\r\n%b\r\n" % (len(data), data)
