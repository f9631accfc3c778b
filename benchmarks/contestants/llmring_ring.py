"""llmring as an application uses it: an alias of a lockfile, a deadline, prices; every guard as it comes."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.contestants import ANSWER, KEY, PROMPT
from llmring import LLMRequest, LLMRing, Message, StreamEventType
from llmring.lockfile.intent import Intent
from llmring.lockfile.model import DEFAULT_PROFILE, Binding, Lock, LockedModel, Profile
from llmring.lockfile.render import VERSION, hash_facts, render_lock
from llmring.lockfile.store import LOCK_NAME
from llmring.registry.model_info import ModelInfo

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
    """A lockfile as `llmring lock` writes it, hashes and all, that binds each alias to a pool of two.

    Aliases carry the name of the model that they stand for: a contestant is told models. The prices are made up.
    """
    bindings: dict[str, Binding] = {}
    rows: dict[str, LockedModel] = {}
    for alias in aliases:
        models = (f"{provider}:{alias}", "llamacpp:another")
        bindings[alias] = Binding(alias, models, Intent(alias, models).fingerprint)
        rows |= {model: _lock_row(model) for model in models}
    profile = Profile(DEFAULT_PROFILE, bindings)
    lock = Lock(VERSION, DEFAULT_PROFILE, {DEFAULT_PROFILE: profile}, rows, {}, digest="", source="")
    path = folder / LOCK_NAME
    path.write_bytes(render_lock(lock))
    return path


def _lock_row(model: str) -> LockedModel:
    info = ModelInfo(model, pin="unknown")
    if not model.startswith("llamacpp:"):
        price = {"input": Decimal(2), "output": Decimal(10), "cache_read": Decimal("0.2")}
        info = replace(info, price=price, price_as_of="2026-11-20", price_source="made up")
    row = LockedModel(info)
    return replace(row, facts=hash_facts(row))


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
