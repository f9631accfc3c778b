"""One transport and several event loops, one after the other."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from llmring import env
from llmring.clock import SystemClock
from llmring.exceptions import ConfigurationError, ProviderConnectionError
from llmring.testing.http_server import HTTPServer, Signal, chunk, head, plain
from llmring.transport.base import HTTPRequest
from llmring.transport.http import HTTPTransport

WHOLE = plain(200, {}, b"fine")
BEGUN = head(200, {"transfer-encoding": "chunked"}) + chunk(b"one")


def test_a_transport_outlives_an_event_loop_that_has_ended() -> None:
    transport = HTTPTransport(clock=SystemClock())

    async def call() -> bytes:
        server = HTTPServer(lambda request: [plain(200, {"connection": "close"}, b"fine"), Signal.FIN])
        await server.start()
        try:
            url = f"http://127.0.0.1:{server.port}/"
            return await (await transport.send(HTTPRequest("POST", url, {}, b"{}"))).read(None)
        finally:
            await server.close()

    assert asyncio.run(call()) == b"fine"
    assert asyncio.run(call()) == b"fine"
    asyncio.run(transport.close())


class KeptOpen(threading.Thread):
    """A server that outlives event loops: it answers every request, and closes no connection before its client does."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(daemon=True)
        self.started = threading.Event()
        self.tls = tls
        self.scheme = "http" if tls is None else "https"

    def run(self) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        self.stop, self.loop = asyncio.Event(), asyncio.get_running_loop()
        self.server = HTTPServer(lambda request: [WHOLE] if request.target == "/whole" else [BEGUN, Signal.HOLD])
        await self.server.start(ssl=self.tls)
        self.port = self.server.port
        self.started.set()
        await self.stop.wait()
        await self.server.close()

    def wait_for_connections(self, number: int) -> None:
        """Raises TimeoutError where there are never so many."""
        waiting = self.server.wait_until(lambda: len(self.server.connections) == number)
        asyncio.run_coroutine_threadsafe(waiting, self.loop).result(10)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["http", "https"])
def kept_open(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[KeptOpen]:
    tls = None
    if request.param == "https":
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType]
    server = KeptOpen(tls)
    server.start()
    assert server.started.wait(10)
    yield server
    server.loop.call_soon_threadsafe(server.stop.set)
    server.join(10)


@pytest.mark.spec("A19", "U01")
@pytest.mark.parametrize("path", ["/whole", "/stream"])
def test_the_connections_of_an_event_loop_that_has_ended_are_closed(
    kept_open: KeptOpen, authority: trustme.CA, tmp_path: Path, path: str
) -> None:
    bundle = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    transport = HTTPTransport(clock=SystemClock(), environ={env.SSL_CERT_FILE: str(bundle)})
    request = HTTPRequest("GET", f"{kept_open.scheme}://127.0.0.1:{kept_open.port}{path}", {})

    async def call() -> None:
        reply = await transport.send(request)
        assert await reply.read_some(None)
        if path == "/whole":
            reply.close()

    gc.disable()  # else it could close them
    try:
        with warnings.catch_warnings():
            # Of a reply that was left open aiohttp says so; of connections that wait for the next call nobody says anything.
            warnings.simplefilter("ignore" if path == "/stream" else "error", ResourceWarning)
            for _ in range(3):
                asyncio.run(call())
                kept_open.wait_for_connections(1)
            asyncio.run(transport.close())
            kept_open.wait_for_connections(0)
            gc.collect()
    finally:
        gc.enable()


def test_a_transport_is_not_shared_between_running_loops() -> None:
    transport = HTTPTransport(clock=SystemClock())
    request = HTTPRequest("GET", "http://127.0.0.1:1/", {})
    with asyncio.Runner() as first, asyncio.Runner() as second:
        with pytest.raises(ProviderConnectionError):
            first.run(transport.send(request))
        with pytest.raises(ConfigurationError, match="another event loop"):
            second.run(transport.send(request))
        with pytest.raises(ConfigurationError, match="another event loop"):
            second.run(transport.close())
        first.run(transport.close())
        second.run(transport.close())
