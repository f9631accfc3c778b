"""litellm, as its readme uses it: `acompletion` with `api_base`. Off: retries, the price list that it would fetch while it is
imported, its hints on stderr, its alarm at the same word a hundred times, which is what the fake provider says. Caches and
callbacks are off as it comes.
"""

# Its environment is its own: where this file is checked, litellm is not installed.
# pyright: basic, reportMissingImports=false
from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

from benchmarks.contestants import ANSWER, KEY, PROMPT

litellm.suppress_debug_info = True
litellm.REPEATED_STREAMING_CHUNK_LIMIT = 1_000_000
_MESSAGES = [{"role": "user", "content": PROMPT}]


class LitellmClient:
    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    async def chat(self, model: str) -> int:
        answer = await litellm.acompletion(
            model=f"openai/{model}", messages=_MESSAGES, api_base=self._base_url, api_key=KEY, max_retries=0
        )
        assert answer.choices[0].message.content == ANSWER
        assert answer.usage.total_tokens
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        chunks, tokens = 0, 0
        async for chunk in await litellm.acompletion(
            model=f"openai/{model}",
            messages=_MESSAGES,
            api_base=self._base_url,
            api_key=KEY,
            max_retries=0,
            stream=True,
            stream_options={"include_usage": True},
        ):
            if chunk.choices and chunk.choices[0].delta.content:
                if not chunks:
                    begun()
                chunks += 1
            if getattr(chunk, "usage", None) is not None:
                tokens = chunk.usage.total_tokens
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[LitellmClient]:
    assert dialect == "openai_chat"
    yield LitellmClient(base_url)
