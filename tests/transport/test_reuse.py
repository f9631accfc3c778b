"""A pooled connection that the server has closed meanwhile carries no further request, and costs none."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from llmring.clock import SystemClock
from llmring.exceptions import ProviderConnectionError
from llmring.transport.base import HTTPRequest
from llmring.transport.http import HTTPTransport

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nKeep-Alive: timeout=5\r\n\r\nfine"


class ClosesAfterEachReply(threading.Thread):
    """Promises keep-alive and closes all the same, as llama-server does after a stream. A thread of its own, so that it can
    close while the client's event loop does not run and cannot have noticed."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.has_closed = threading.Semaphore(0)
        self.connections = 0

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.recv(65536)
                connection.sendall(REPLY)
            self.has_closed.release()


@pytest.fixture
def server() -> Iterator[ClosesAfterEachReply]:
    server = ClosesAfterEachReply()
    server.start()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    server.join(10)


async def test_the_next_request_goes_over_a_new_connection(server: ClosesAfterEachReply) -> None:
    transport = HTTPTransport(clock=SystemClock())
    request = HTTPRequest("POST", f"http://127.0.0.1:{server.port}/v1", {}, b"{}")
    for number in range(1, 4):
        reply = await transport.send(request)
        assert await reply.read(None) == b"fine"
        reply.close()
        assert server.has_closed.acquire(timeout=10)  # holds up the event loop, which therefore has not read the end
        assert server.connections == number
    await transport.close()


async def test_a_request_that_crosses_the_servers_close_is_sent_again_on_a_new_connection() -> None:
    requests_on: list[int] = []

    async def answer_once_then_close_on_the_next_request(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        number = len(set(requests_on))
        for is_first in (True, False):
            if not await reader.read(65536):
                break
            requests_on.append(number)
            if is_first:
                writer.write(REPLY)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer_once_then_close_on_the_next_request, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = HTTPTransport(clock=SystemClock())
    for _ in range(2):
        reply = await transport.send(HTTPRequest("POST", f"http://127.0.0.1:{port}/v1", {}, b"{}"))
        assert await reply.read(None) == b"fine"
        reply.close()
    assert requests_on == [0, 0, 1]
    await transport.close()
    server.close()


async def test_a_new_connection_that_ends_before_an_answer_is_an_error_at_once() -> None:
    requests = 0

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await reader.read(65536)
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    transport = HTTPTransport(clock=SystemClock())
    with pytest.raises(ProviderConnectionError, match="closed the connection before it answered"):
        await transport.send(
            HTTPRequest("POST", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", {}, b"{}")
        )
    assert requests == 1
    await transport.close()
    server.close()
