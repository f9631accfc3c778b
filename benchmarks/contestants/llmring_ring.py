"""llmring as an application uses it: an alias of a lockfile, a deadline, prices; every guard as it comes."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.contestants import ANSWER, KEY, PROMPT
from llmring import LLMRequest, LLMRing, Message, StreamEventType

# Aliases carry the name of the model that they stand for: a contestant is told models. The prices are made up.
LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"
"""
_BINDING = """
[[profiles.default.bindings]]
alias = "{alias}"
models = ["{provider}:{alias}", "llamacpp:another"]
"""
_ROW = """
[[locked]]
id = "{provider}:{alias}"
price = {{ input = "2", output = "10", cache_read = "0.2" }}
price_as_of = "2026-11-20"
price_source = "made up"
"""


# What the fake provider is asked for: every model that a budget names.
MODELS = ["hello", "chunks-500", "chunks-100-pace-20", "chunks-50-pace-20", "chunks-500-pace-50"]

# Who speaks each dialect, and is called in its place.
SPEAKERS = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic_messages": "anthropic",
    "gemini_generate": "google",
    "ollama_chat": "ollama",
}


def write_lock(folder: Path, aliases: list[str], provider: str = "openai") -> Path:
    """A lockfile that binds each alias to a pool of two, with the facts of the first."""
    bindings = "".join(_BINDING.format(alias=alias, provider=provider) for alias in aliases)
    rows = "".join(_ROW.format(alias=alias, provider=provider) for alias in aliases)
    path = folder / "llmring.lock"
    path.write_text(LOCK + bindings + rows)
    return path


def make_ring(base_url: str, lockfile: Path, *, dialect: str = "openai_chat", alias_cache_size: int = 1000) -> LLMRing:
    options: dict[str, Any] = {"base_url": base_url, "dialect": dialect}
    if dialect == "ollama_chat":
        options["base_url"] = base_url.removesuffix("/v1") + "/api"
    else:
        options["api_key"] = KEY
    return LLMRing(
        lockfile_path=lockfile,
        providers={SPEAKERS[dialect]: options},
        alias_cache_size=alias_cache_size,
    )


class RingClient:
    def __init__(self, ring: LLMRing) -> None:
        self._ring = ring

    async def chat(self, model: str) -> int:
        response = await self._ring.chat(
            LLMRequest(model=model, messages=[Message(role="user", content=PROMPT)], deadline=60.0)
        )
        assert response.content == ANSWER
        assert response.cost
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        request = LLMRequest(model=model, messages=[Message(role="user", content=PROMPT)], deadline=60.0)
        chunks, tokens = 0, 0
        async for chunk in self._ring.chat_stream(request):
            if chunk.delta:
                if not chunks:
                    begun()
                chunks += 1
            elif chunk.type is StreamEventType.DONE and chunk.usage is not None:
                tokens = chunk.usage.total_tokens
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[RingClient]:
    with tempfile.TemporaryDirectory() as folder:
        lockfile = write_lock(Path(folder), MODELS, SPEAKERS[dialect])
        async with make_ring(base_url, lockfile, dialect=dialect) as ring:
            yield RingClient(ring)
