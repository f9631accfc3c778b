"""any-llm, as its docs say for many calls to one provider: `AnyLLM.create` once, then `acompletion`. Off: its retries."""

# Its environment is its own: where this file is checked, any-llm is not installed.
# pyright: basic, reportMissingImports=false
from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from any_llm import AnyLLM

from benchmarks.contestants import ANSWER, KEY, PROMPT

_MESSAGES = [{"role": "user", "content": PROMPT}]


class AnyLLMClient:
    def __init__(self, llm: AnyLLM) -> None:
        self._llm = llm

    async def chat(self, model: str) -> int:
        answer = await self._llm.acompletion(model=model, messages=_MESSAGES)
        assert answer.choices[0].message.content == ANSWER
        assert answer.usage.total_tokens
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        chunks, tokens = 0, 0
        async for chunk in await self._llm.acompletion(
            model=model, messages=_MESSAGES, stream=True, stream_options={"include_usage": True}
        ):
            if chunk.choices and chunk.choices[0].delta.content:
                if not chunks:
                    begun()
                chunks += 1
            if chunk.usage is not None:
                tokens = chunk.usage.total_tokens
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[AnyLLMClient]:
    assert dialect == "openai_chat"
    yield AnyLLMClient(AnyLLM.create("openai", api_key=KEY, api_base=base_url, max_retries=0))
