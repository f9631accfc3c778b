"""One exchange on a connection: what is sent, and what becomes of the connection in the end."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage

from llmring.transport.http.pool import PIECE_BYTES, ConnectionProtocol, Connector

# From so many exchanges on, requests that begin in one turn of the event loop leave together, at its end. A server on this machine (a local
# model, a proxy) is woken by each write that finds it asleep, and the waking is the writer's to pay: 16 at once and more cost a sixth less
# CPU, one alone costs more (loopback, 2026-11-21). Where between them it turns is a guess.
_MANY = 8


class Line:
    """One exchange on a connection. At the reply's end the connection goes back to its pool; whoever stops before that cuts it."""

    __slots__ = ("_connection", "_pool", "_writing", "body", "message")

    message: RawResponseMessage
    body: aiohttp.StreamReader

    def __init__(self, pool: Connector, connection: Connection) -> None:
        self._pool = pool
        self._connection: Connection | None = connection
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has the connection still: neither has its reply ended nor did anybody cut it."""
        return self._connection is not None

    def write(self, head: bytes, body: bytes | None, *, has_reply_body: bool) -> ConnectionProtocol:
        """Sends a request; its reply is to be read from what this gives."""
        connection = self._connection
        assert connection is not None
        protocol, transport = connection.protocol, connection.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ServerDisconnectedError
        assert isinstance(protocol, ConnectionProtocol)
        protocol.expect_reply(has_body=has_reply_body)
        if body is None:
            transport.write(head)
        elif len(body) <= PIECE_BYTES:
            if self._pool.lines < _MANY:
                transport.write(head + body)
            else:
                asyncio.get_running_loop().call_soon(transport.write, head + body)
        else:
            transport.write(head)
            self._writing = asyncio.create_task(protocol.write_pieces(body))
        return protocol

    def begin(self, message: RawResponseMessage, body: aiohttp.StreamReader) -> None:
        """The reply's head has come."""
        self.message = message
        self.body = body
        body.on_eof(self._release)

    def cut(self) -> None:
        """Idempotent; of a reply that has ended, nothing is cut."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._writing is not None:
                self._writing.cancel()
            connection.close()

    def _release(self) -> None:
        if self._writing is not None and not self._writing.done():
            self.cut()  # the server has said all it has to say, and did not want to hear the rest
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()
