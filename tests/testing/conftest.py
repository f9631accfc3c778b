"""A client made of nothing but a socket: it sees the bytes as they are, and how the connection ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llmring.testing import FakeProvider

Talk = Callable[[FakeProvider, bytes], Coroutine[Any, Any, tuple[bytes, str]]]


@pytest.fixture
def talk() -> Talk:
    """Sends bytes on a connection of its own; gives back all that came until its end, and the end: "fin" or "rst"."""

    async def talk(fake: FakeProvider, request: bytes) -> tuple[bytes, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        received, ending = b"", "fin"
        try:
            writer.write(request)
            while data := await reader.read(65536):
                received += data
        except ConnectionResetError:
            ending = "rst"
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except ConnectionResetError:
                pass
        return received, ending

    return talk
