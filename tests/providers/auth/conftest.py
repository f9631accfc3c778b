"""Rings whose cloud providers all lead to the fake provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from llmring import LLMRing
from llmring.testing import FakeProvider

# Where a cloud's paths begin, below its host.
PREFIXES = {
    "azure": "/openai/v1",
    "bedrock": "/openai/v1",
    "bedrock_anthropic": "/anthropic/v1",
    "vertex_anthropic": "/v1/projects/my-project/locations/europe-west4/publishers/anthropic",
    "vertex": "/v1/projects/my-project/locations/europe-west4/publishers/google",
}


@pytest.fixture
async def cloud_ring(fake_provider: FakeProvider) -> AsyncIterator[Callable[..., LLMRing]]:
    """Makes a ring in which `name` is called at the fake provider; every ring is closed at the end."""
    async with AsyncExitStack() as stack:

        def make(name: str, options: dict[str, Any] | None = None, **given: Any) -> LLMRing:
            provider = {"base_url": fake_provider.url + PREFIXES[name], **(options or {})}
            ring = LLMRing(providers={name: provider}, **given)
            stack.push_async_callback(ring.close)
            return ring

        yield make
