"""Anthropic's own SDK, as its readme uses it: one client, the events of a raw stream. Off: its retries."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from anthropic import AsyncAnthropic
from anthropic.types import MessageParam

from benchmarks.contestants import ANSWER, KEY, PROMPT

_MESSAGES: list[MessageParam] = [{"role": "user", "content": PROMPT}]


class AnthropicClient:
    def __init__(self, client: AsyncAnthropic) -> None:
        self._client = client

    async def chat(self, model: str) -> int:
        answer = await self._client.messages.create(model=model, max_tokens=4096, messages=_MESSAGES)
        block = answer.content[0]
        assert block.type == "text"
        assert block.text == ANSWER
        assert answer.usage.output_tokens
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        chunks, tokens = 0, 0
        events = await self._client.messages.create(model=model, max_tokens=4096, messages=_MESSAGES, stream=True)
        async for event in events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                if not chunks:
                    begun()
                chunks += 1
            elif event.type == "message_delta":
                tokens = event.usage.output_tokens
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[AnthropicClient]:
    assert dialect == "anthropic_messages"
    async with AsyncAnthropic(api_key=KEY, base_url=base_url.removesuffix("/v1"), max_retries=0) as client:
        yield AnthropicClient(client)
