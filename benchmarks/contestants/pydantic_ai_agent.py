"""pydantic-ai, as its readme uses it: one `Agent` for a model, `run` and `run_stream`. Off: its retries, and those of the SDK
below. Instrumentation is off as it comes.
"""

# Its environment is its own: where this file is checked, pydantic-ai is not installed.
# pyright: basic, reportMissingImports=false
from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.contestants import ANSWER, KEY, PROMPT


class AgentClient:
    def __init__(self, provider: OpenAIProvider) -> None:
        self._provider = provider
        self._agents: dict[str, Agent] = {}

    def _agent(self, model: str) -> Agent:
        if model not in self._agents:
            self._agents[model] = Agent(OpenAIChatModel(model, provider=self._provider), retries=0)
        return self._agents[model]

    async def chat(self, model: str) -> int:
        answer = await self._agent(model).run(PROMPT)
        assert answer.output == ANSWER
        assert answer.usage.total_tokens
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        chunks = 0
        async with self._agent(model).run_stream(PROMPT) as answer:
            # Its default gathers the chunks of a tenth of a second.
            async for _ in answer.stream_text(delta=True, debounce_by=None):
                if not chunks:
                    begun()
                chunks += 1
            assert answer.usage.total_tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[AgentClient]:
    assert dialect == "openai_chat"
    async with AsyncOpenAI(api_key=KEY, base_url=base_url, max_retries=0) as client:
        yield AgentClient(OpenAIProvider(openai_client=client))
