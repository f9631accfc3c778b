"""A loopback server of exact bytes, and transports on a clock that stands still, all closed at the end."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest

from llmring.testing import FakeClock
from llmring.testing.http_server import Action, Answerer, HTTPServer
from llmring.transport.http import HTTPTransport


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[HTTPServer]]]:
    """`await serve(actions)` answers every request with these actions; `await serve(function)` asks the function."""
    async with AsyncExitStack() as stack:

        async def start(
            answer: bytes | Iterable[Action] | Answerer, *, port: int = 0, ssl: SSLContext | None = None
        ) -> HTTPServer:
            if isinstance(answer, bytes):
                answer = [answer]
            actions = answer
            server = HTTPServer(actions if callable(actions) else lambda request: actions)
            await server.start(port=port, ssl=ssl)
            stack.push_async_callback(server.close)
            return server

        yield start


@pytest.fixture
async def open_transport(fake_clock: FakeClock) -> AsyncIterator[Callable[..., HTTPTransport]]:
    """Makes transports; the arguments are HTTPTransport's, the clock is `fake_clock`."""
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> HTTPTransport:
            transport = HTTPTransport(clock=fake_clock, **options)
            stack.push_async_callback(transport.close)
            return transport

        yield make


@pytest.fixture
def transport(open_transport: Callable[..., HTTPTransport]) -> HTTPTransport:
    return open_transport()


@pytest.fixture
def rss_growth() -> Callable[[], Any]:
    """`with rss_growth() as growth: ...`, then `growth()` is by how many bytes the process was larger at its peak."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not os.access(reset, os.W_OK):
        pytest.skip("needs Linux's /proc")

    def read(name: str) -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024

    @contextmanager
    def watch() -> Generator[Callable[[], int]]:
        gc.collect()
        reset.write_text("5")  # sets the peak back to the size of now (man 5 proc)
        before = read("VmRSS")
        yield lambda: read("VmHWM") - before

    return watch
