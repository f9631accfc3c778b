"""Ollama's own SDK, as its readme uses it: `AsyncClient.chat`. It has no retries, caches or telemetry to switch off."""

# Parts of its types are not said.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from ollama import AsyncClient

from benchmarks.contestants import ANSWER, PROMPT

_MESSAGES = [{"role": "user", "content": PROMPT}]


class OllamaClient:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def chat(self, model: str) -> int:
        answer = await self._client.chat(model=model, messages=_MESSAGES)
        assert answer.message.content == ANSWER
        assert answer.eval_count
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        chunks, tokens = 0, 0
        async for chunk in await self._client.chat(model=model, messages=_MESSAGES, stream=True):
            if chunk.message.content:
                if not chunks:
                    begun()
                chunks += 1
            tokens = chunk.eval_count or tokens
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[OllamaClient]:
    assert dialect == "ollama_chat"
    async with AsyncClient(host=base_url.removesuffix("/v1")) as client:
        yield OllamaClient(client)
