"""OpenAI's own SDK, as its readme uses it: one client, for calls and streams. Off: its retries."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from openai import AsyncOpenAI

from benchmarks.contestants import ANSWER, KEY, PROMPT


class SDKClient:
    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def chat(self, model: str) -> int:
        answer = await self._client.chat.completions.create(model=model, messages=[{"role": "user", "content": PROMPT}])
        assert answer.choices[0].message.content == ANSWER
        assert answer.usage is not None
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        chunks, tokens = 0, 0
        async for chunk in await self._client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": PROMPT}],
            stream=True,
            stream_options={"include_usage": True},
        ):
            if chunk.usage is not None:
                tokens = chunk.usage.total_tokens
            elif chunk.choices[0].delta.content:
                if not chunks:
                    begun()
                chunks += 1
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[SDKClient]:
    assert dialect == "openai_chat"
    async with AsyncOpenAI(api_key=KEY, base_url=base_url, max_retries=0) as client:
        yield SDKClient(client)
