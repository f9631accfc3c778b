"""The floor: what anybody pays who posts JSON with aiohttp and reads the reply. Checks nothing, guards nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import orjson

from benchmarks.contestants import KEY, PROMPT

_HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}


class BareClient:
    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._url = f"{base_url}/chat/completions"

    async def chat(self, model: str) -> int:
        body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": PROMPT}]})
        async with self._session.post(self._url, data=body, headers=_HEADERS) as reply:
            answer = orjson.loads(await reply.read())
        assert answer["choices"][0]["message"]["content"]
        assert answer["usage"]["total_tokens"]
        return 1

    async def stream(self, model: str) -> int:
        body = orjson.dumps(
            {
                "model": model,
                "messages": [{"role": "user", "content": PROMPT}],
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        )
        chunks, rest, tokens = 0, b"", 0
        async with self._session.post(self._url, data=body, headers=_HEADERS) as reply:
            async for data in reply.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if not line.startswith(b"data: ") or line == b"data: [DONE]":
                        continue
                    chunk = orjson.loads(line[6:])
                    if chunk.get("usage"):
                        tokens = chunk["usage"]["total_tokens"]
                    elif chunk["choices"][0]["delta"].get("content"):
                        chunks += 1
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str) -> AsyncGenerator[BareClient]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield BareClient(session, base_url)
