"""A pooled connection that the server has closed meanwhile carries no further request."""

import socket
import threading
from collections.abc import Iterator

import pytest

from llmring.clock import SystemClock
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
