"""Google's own SDK, as its readme uses it: `client.aio`. Off: its retries, which it makes only where it is told to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from google.genai import Client
from google.genai.client import AsyncClient
from google.genai.types import HttpOptions

from benchmarks.contestants import ANSWER, KEY, PROMPT


class GoogleClient:
    def __init__(self, client: AsyncClient) -> None:
        self._models = client.models

    async def chat(self, model: str) -> int:
        answer = await self._models.generate_content(model=model, contents=PROMPT)
        assert answer.text == ANSWER
        assert answer.usage_metadata is not None
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        chunks, tokens = 0, 0
        async for chunk in await self._models.generate_content_stream(model=model, contents=PROMPT):
            if chunk.text:
                if not chunks:
                    begun()
                chunks += 1
            if chunk.usage_metadata is not None:
                tokens = chunk.usage_metadata.total_token_count or tokens
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[GoogleClient]:
    assert dialect == "gemini_generate"
    options = HttpOptions(base_url=base_url.removesuffix("/v1"), api_version="v1")
    async with Client(api_key=KEY, http_options=options).aio as client:
        yield GoogleClient(client)
