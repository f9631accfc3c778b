"""A loopback server that records one request after the other and answers each with the bytes it was given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio


class Recorder:
    """Answers every request with `answer`; `bodies` holds the request bodies, parsed, oldest first, and
    `paths` where they went."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.answer = b"{}"
        self.content_type = "application/json"
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path, head = head.split(b" ", 2)[1], head.lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            self.paths.append(path.decode())
            self.bodies.append(json.loads(await reader.readexactly(length)))
            writer.write(
                f"HTTP/1.1 200 OK\r\ncontent-type: {self.content_type}\r\n"
                f"content-length: {len(self.answer)}\r\nconnection: close\r\n\r\n".encode()
            )
            writer.write(self.answer)
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # the client closed a connection that it did not use
        finally:
            writer.close()


@pytest_asyncio.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
    recorder.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield recorder
    server.close()
    await server.wait_closed()
