"""A server on the user's own machine may have to load its model first: it gets five minutes for that, and no limit on the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from llmring import LLMRing, ProviderTimeoutError, RetryPolicy
from llmring.providers.table import PROVIDERS
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

LOCAL = [row.name for row in PROVIDERS.values() if row.local]
SLOW_LOAD = Fault.hang(Answer("Loaded at last."))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=LOCAL)
async def model(request: pytest.FixtureRequest) -> str:
    return f"{request.param}:big-model"


@pytest.fixture
async def ring(model: str, fake_provider: FakeProvider, clock: FakeClock) -> AsyncIterator[LLMRing]:
    providers = {
        model.partition(":")[0]: {"base_url": fake_provider.base_url},
        "far": {"base_url": fake_provider.base_url},
    }
    # One attempt: the clocks are those of each.
    async with LLMRing(providers=providers, clock=clock, dotenv=False, retry=RetryPolicy(attempts=1)) as ring:
        yield ring


def test_the_servers_that_run_at_home_are_marked_local() -> None:
    assert {"ollama", "llamacpp", "lmstudio"} <= set(LOCAL)


@pytest.mark.spec("A39")
async def test_a_stream_waits_five_minutes_for_its_first_token(
    ring: LLMRing, model: str, fake_provider: FakeProvider, clock: FakeClock
) -> None:
    fake_provider.script(SLOW_LOAD)
    stream = ring.chat_stream(model, "Hi")
    first = asyncio.ensure_future(anext(stream))
    await fake_provider.wait_held()
    await clock.advance_async(299)
    assert not first.done()
    fake_provider.release()
    assert (await first).delta
    async for _ in stream:
        pass
    assert stream.response is not None
    assert stream.response.content == "Loaded at last."


@pytest.mark.spec("A39")
async def test_after_five_minutes_a_stream_gives_up_and_names_the_setting(
    ring: LLMRing, model: str, fake_provider: FakeProvider, clock: FakeClock
) -> None:
    fake_provider.script(SLOW_LOAD)
    first = asyncio.ensure_future(anext(ring.chat_stream(model, "Hi")))
    await fake_provider.wait_held()
    await clock.advance_async(300.1)
    with pytest.raises(ProviderTimeoutError, match=r"within 300 s .*Timeouts\.first_token"):
        await first


@pytest.mark.spec("A39")
async def test_a_plain_reply_has_no_total(
    ring: LLMRing, model: str, fake_provider: FakeProvider, clock: FakeClock
) -> None:
    fake_provider.script(SLOW_LOAD)
    asking = asyncio.create_task(ring.chat(model, "Hi"))
    await fake_provider.wait_held()
    await clock.advance_async(24 * 3600)
    assert not asking.done()
    fake_provider.release()
    assert (await asking).content == "Loaded at last."


@pytest.mark.spec("A39")
async def test_a_provider_far_away_gives_up_after_a_minute(
    ring: LLMRing, fake_provider: FakeProvider, clock: FakeClock
) -> None:
    fake_provider.script(SLOW_LOAD)
    first = asyncio.ensure_future(anext(ring.chat_stream("far:big-model", "Hi")))
    await fake_provider.wait_held()
    await clock.advance_async(60.1)
    with pytest.raises(ProviderTimeoutError, match="within 60 s"):
        await first
