"""`ring.estimate_tokens`: offline, off the event loop where it takes long, and better with every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from llmring import ImagePart, LLMRequest, LLMRing, Message, Usage
from llmring.exceptions import AliasNotFoundError
from llmring.testing import Answer, FakeProvider

LONG = LLMRequest(model="fast", messages="x" * 4000)


@pytest.mark.spec("P06")
async def test_a_request_is_estimated_without_asking_anybody(ring: LLMRing, fake_provider: FakeProvider) -> None:
    count = await ring.estimate_tokens(LLMRequest(model="pool", messages="x" * 40))
    assert (count.tokens, count.exact, count.model) == (10 + 6, False, "one:m1")
    assert fake_provider.received == []


@pytest.mark.spec("P06")
async def test_an_answers_usage_makes_the_next_estimate_better(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("ok", usage=Usage(2000, 1)))
    before = await ring.estimate_tokens(LONG)
    await ring.chat(LONG)
    after = await ring.estimate_tokens(LONG)
    assert (before.tokens, after.tokens) == (1006, 2000)
    assert "guess" in before.source
    assert "learned" in after.source


@pytest.mark.spec("P06")
async def test_a_streams_usage_teaches_the_same(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("ok", usage=Usage(2000, 1)))
    async for _ in ring.chat_stream(LONG):
        pass
    assert (await ring.estimate_tokens(LONG)).tokens == 2000


@pytest.mark.spec("P06")
async def test_two_rings_learn_apart(make_ring: Callable[[], LLMRing], fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("ok", usage=Usage(2000, 1)))
    one, other = make_ring(), make_ring()
    await one.chat(LONG)
    assert (await one.estimate_tokens(LONG)).tokens == 2000
    assert (await other.estimate_tokens(LONG)).tokens == 1006


@pytest.mark.spec("P06")
async def test_what_cannot_be_called_cannot_be_estimated(ring: LLMRing) -> None:
    with pytest.raises(AliasNotFoundError):
        await ring.estimate_tokens(LLMRequest(model="nobody", messages="x"))


@pytest.mark.spec("P06")
async def test_what_takes_long_leaves_the_event_loop_free(ring: LLMRing) -> None:
    """Slow ways: a long text, and a local file. The loop turns while they are counted."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    for request in (
        LLMRequest(model="openai:gpt-5", messages="word " * 200_000),
        LLMRequest(model="fast", messages=[Message.user([ImagePart(file_id="f")])]),
    ):
        ticks = 0
        await ring.estimate_tokens(request)
        assert ticks > 1
    ticking.cancel()
