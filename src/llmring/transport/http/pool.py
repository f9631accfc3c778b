"""Connections: how they are opened, kept and used again, and what is asked of the server's side of one."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from llmring.clock import Clock
from llmring.transport.alarm import Alarm
from llmring.transport.http.failures import ClosedHereError, FramingError

if TYPE_CHECKING:
    from llmring.transport.guard import Guard

# (family, kind, protocol, canonical name, address), as in socket.getaddrinfo
_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host name and a port to IP addresses, as text. Raises OSError where there are none."""

# Below the idle limits of the clouds' front doors (AWS 60 s, nginx 75 s). Servers with shorter ones (uvicorn, node: 5 s) close
# first, which is seen before the connection is used again, but for the time of one trip over the network.
_KEEP_ALIVE_S = 30.0
# What a reply may spend on its head, on interim replies and on the sizes of its chunks, over and above as much as its body has. Heads have
# a few KiB, a chunk's size 5 bytes; none of it reaches a cap on bodies, and it could go on for ever.
_MOST_FRAMING_BYTES = 64 * 1024  # guess
# What is handed to a connection at once. A larger body goes piece by piece, as fast as the server takes it. Guess.
PIECE_BYTES = 256 * 1024
# How much of a reply waits here for a slow reader before its socket is left to wait: twice as much, and what one read brings.
_READ_AHEAD_BYTES = 64 * 1024
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)

# How long the connection that this task is opening may take. aiohttp's own limit goes by the loop's clock, not by ours.
_connect_s: ContextVar[float | None] = ContextVar("llmring_connect_s", default=None)


class Connector(aiohttp.TCPConnector):
    """Pools connections without a limit: who may run at once is decided above, not by a queue down here."""

    def __init__(self, clock: Clock, resolver: AbstractResolver, *, guard: Guard | None) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  (its address tuple has no type)
            limit=0,
            keepalive_timeout=_KEEP_ALIVE_S,
            resolver=resolver,
            # A guarded transport remembers no answer: each connection goes to an address that was checked for it.
            use_dns_cache=guard is None,
            socket_factory=None if guard is None else _guarded_sockets(guard),
        )
        self._clock = clock
        # Weak: of a tunnel's first protocol, which TLS takes the place of, aiohttp tells no end.
        self._open: WeakSet[ConnectionProtocol] = WeakSet()
        self._factory = partial(ConnectionProtocol, loop=self._loop, open_ones=self._open)

    @property
    def lines(self) -> int:
        """Exchanges under way, and connections that are being opened."""
        return len(self._acquired)

    async def borrow(self, origin: aiohttp.ClientRequest, connect_s: float | None) -> Connection:
        """One of the pool, or a new one. Raises aiohttp's errors, ConnectionTimeoutError where there is none within `connect_s`."""
        token = _connect_s.set(connect_s)
        try:
            return await self.connect(origin, traces=[], timeout=_NO_TIMEOUT)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError from None
        finally:
            _connect_s.reset(token)

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        """The one that was used last is used next, where aiohttp takes the one that has rested longest: a pool that was large once goes
        back to what is needed, and its server has had the least time to close it."""
        super()._release(key, protocol, should_close=should_close)
        idle = self._conns.get(key)
        if idle and idle[-1][0] is protocol:  # else it was closed
            idle.rotate(1)
            assert isinstance(protocol, ConnectionProtocol)
            protocol.received_bytes = 0

    async def end(self) -> None:
        """Closes every connection, also those of a loop that has ended: aiohttp leaves them, open, to the garbage collector."""
        if self._loop.is_closed():
            for protocol in list(self._open):
                protocol.cut()
            self._open.clear()
        await self.close()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> ResponseHandler:
        creating = super()._create_connection(req, traces, timeout)
        connect_s = _connect_s.get()
        if connect_s is None:
            return await creating
        alarm = Alarm(self._clock)
        try:
            return await alarm.wait(creating, self._clock.monotonic() + connect_s)
        finally:
            alarm.cancel()


def _is_readable(transport: asyncio.Transport | None) -> bool:
    """Whether the socket has bytes, or its end, that the loop has not read. Waits for nothing."""
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):  # Windows: the loop finds out by itself, a moment later
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class ConnectionProtocol(ResponseHandler):
    """Tells whoever reads a body that it will not come to its end, and cuts a reply that is nothing but framing.

    aiohttp 3.14 does the first where the server closes the connection, but not where a chunk has no size or where we close the session:
    the reader would wait for ever. Keeps itself in `open_ones` as long as it has a connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, open_ones: WeakSet[ConnectionProtocol]) -> None:
        super().__init__(loop)
        self._wire: asyncio.BaseTransport | None = None
        self._open_ones = open_ones
        self.received_bytes = 0  # since the last reply ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire = transport
        self._open_ones.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._wire = None
        self._open_ones.discard(self)
        super().connection_lost(exc)

    def expect_reply(self, *, has_body: bool) -> None:
        """Another request is about to be answered."""
        self.set_response_params(
            skip_payload=not has_body, read_until_eof=True, auto_decompress=False, read_bufsize=_READ_AHEAD_BYTES
        )

    async def write_pieces(self, body: bytes) -> None:
        """Ends early where the connection does: whoever waits for the reply is told."""
        rest = memoryview(body)
        with suppress(OSError):
            while rest and self.transport is not None and not self.transport.is_closing():
                self.transport.write(rest[:PIECE_BYTES])
                rest = rest[PIECE_BYTES:]
                if rest:
                    await self._drain_helper()

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)  # first: where this ends a reply, they count from there
        super().data_received(data)
        if self.received_bytes > _MOST_FRAMING_BYTES:
            body = self._payload
            brought_bytes = 0 if body is None else body.total_bytes
            if self.received_bytes - 2 * brought_bytes > _MOST_FRAMING_BYTES and self.transport is not None:
                self.transport.close()
                self.set_exception(FramingError(message="more framing than body"))

    def cut(self) -> None:
        """Closes the connection without its event loop, which has ended.

        abort() has the loop do the rest in a moment, and there are no more moments: so what it would have called is called
        here. It is asyncio's own; uvloop has no such thing, and closes a loop's sockets with the loop.
        """
        wire: Any = self._wire
        below: Any = getattr(getattr(wire, "_ssl_protocol", None), "_transport", wire)
        with suppress(RuntimeError):  # "Event loop is closed", said when the connection is marked as closing
            wire.abort()
        lose = getattr(below, "_call_connection_lost", None)
        if lose is not None:
            with suppress(RuntimeError):  # again, where somebody was waiting for the connection
                lose(None)

    def is_connected(self) -> bool:
        """Asked before a pooled connection is used again: whether the server has left it open.

        llama-server closes after every stream though its head says keep-alive, and the loop may not have read that yet. An idle
        connection with anything to read is at its end, or out of step: neither can carry a request. (b1-7e4c0a9, 2026-11-21)
        Nor can one where the loop has read something that nobody asked for: it would pass for the next request's reply.
        """
        return (
            super().is_connected()
            and not self.should_close
            and not self.received_bytes
            and not _is_readable(self.transport)
        )

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)
        self._fail_body(exc)

    def close(self) -> None:
        """Does not wait for a server to take what it has not taken: it may never."""
        self._fail_body(ClosedHereError())
        transport = self.transport
        # One that is closing may wait for its server already, and over TLS cannot say how much is left.
        if transport is not None and (transport.is_closing() or transport.get_write_buffer_size()):
            super().abort()
        else:
            super().close()

    def abort(self) -> None:
        self._fail_body(ClosedHereError())
        super().abort()

    def _fail_body(self, error: BaseException) -> None:
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(error)


class Resolver(AbstractResolver):
    """Looks up names; behind a guard, refuses a name as soon as one of its addresses is not allowed."""

    def __init__(self, resolve: Resolve | None, guard: Guard | None) -> None:
        self._resolve = resolve or _ask_system
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "it has no address")
        if self._guard is not None:
            for address in addresses:
                self._guard.check_address(host, address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


async def _ask_system(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [str(address[0]) for _, _, _, _, address in found]


def _guarded_sockets(guard: Guard) -> Callable[[_AddressInfo], socket.socket]:
    """The last look: aiohttp asks no resolver for a host that it takes for an address, whatever we take it for."""

    def make(info: _AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        guard.check_address(str(address[0]), str(address[0]))
        return socket.socket(family, kind, protocol)

    return make
