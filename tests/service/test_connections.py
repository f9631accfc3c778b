"""Connections are kept for as long as the ring lives, and there are as many as there are calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from llmring import LLMRequest, LLMRing
from llmring.testing import Answer, FakeProvider, Fault
from llmring.testing.dialects import SERVER_DIALECTS

DIALECTS = [dialect.name for dialect in SERVER_DIALECTS if dialect.speaks_chat]
MakeRing = Callable[[str], LLMRing]


@pytest.fixture
async def make_ring(fake_provider: FakeProvider) -> AsyncIterator[MakeRing]:
    async with AsyncExitStack() as stack:

        def make(dialect: str) -> LLMRing:
            row = {"base_url": fake_provider.base_url_of(dialect), "dialect": dialect, "auth": "none"}
            ring = LLMRing(providers={"one": row}, dotenv=False)
            stack.push_async_callback(ring.close)
            return ring

        yield make


async def drain(ring: LLMRing, request: LLMRequest) -> str:
    return "".join([chunk.delta async for chunk in ring.chat_stream(request)])


@pytest.mark.spec("B25")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_twenty_calls_in_a_row_are_one_connection(
    dialect: str, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    """Plain and streamed in turns, and over refusals too: their bodies are read to the end."""
    ring = make_ring(dialect)
    for number in range(20):
        refusals = [Fault.status(429, headers={"retry-after-ms": "1"})] if number % 5 == 4 else []
        fake_provider.script(*refusals, Answer(f"{number}"))
        request = LLMRequest(model="one:m1", messages="Hi")
        answer = await drain(ring, request) if number % 2 else (await ring.chat(request)).content
        assert answer == f"{number}"
    assert len(fake_provider.received) == 24
    assert fake_provider.connections_opened == 1


@pytest.mark.spec("B25")
async def test_as_many_connections_as_calls_at_once_and_they_are_kept(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring("openai_chat")
    for _ in range(2):
        fake_provider.script(Fault.hang())
        calls = [asyncio.create_task(ring.chat("one:m1", "Hi")) for _ in range(300)]
        await fake_provider.wait_held(300)  # no pool down there makes any of them wait
        fake_provider.release()
        await asyncio.gather(*calls)
    assert fake_provider.connections_opened == 300
