"""lm-deluge, as its readme uses it: all prompts in one go. Off: retries (one attempt), its progress bar; its rate limits are as
high as they go, since what it costs to wait is not what is measured. Its readme calls streaming out of scope.
"""

# Its environment is its own: where this file is checked, lm-deluge is not installed.
# pyright: basic, reportMissingImports=false
from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, redirect_stdout
from io import StringIO

from lm_deluge import LLMClient
from lm_deluge.models import register_model

from benchmarks.contestants import ANSWER, KEY, PROMPT

_NO_LIMIT = 1_000_000_000


class DelugeClient:
    async def chat(self, model: str) -> int:
        return await self.chat_all(model, 1, 1)

    async def chat_all(self, model: str, count: int, at_once: int) -> int:
        client = LLMClient(
            model,
            max_requests_per_minute=_NO_LIMIT,
            max_tokens_per_minute=_NO_LIMIT,
            max_concurrent_requests=at_once,
            max_attempts=1,
        )
        with redirect_stdout(StringIO()):  # it prints a summary of every batch
            answers = await client.process_prompts_async([PROMPT] * count, show_progress=False)
        for answer in answers:
            assert answer.completion == ANSWER, answer.error_message
            assert answer.usage.output_tokens
        return len(answers)


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[DelugeClient]:
    assert dialect == "openai_chat"
    os.environ["OPENAI_API_KEY"] = KEY
    register_model("hello", "hello", base_url, "OPENAI_API_KEY", "openai")
    yield DelugeClient()
