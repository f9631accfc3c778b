"""Anthropic's own client reads what the fake provider serves, and so does a ring: two readers of one server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from llmring import LLMRing, ProviderRateLimitError, ProviderResponseError
from llmring.schemas import Usage
from llmring.testing import Answer, FakeProvider, Fault

CALLS: list[dict[str, Any]] = [
    {"id": "c1", "name": "look", "arguments": {"at": "the sky"}},
    {"id": "c2", "name": "go", "arguments": {}},
]
ANSWER = Answer("Fine, thanks.", tool_calls=CALLS, reasoning="How am I?", usage=Usage(20, 9, cache_read_tokens=12))
ASKED: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "how are you"}],
}


@pytest.fixture
async def client(fake_provider: FakeProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="sk-test", base_url=fake_provider.url, max_retries=0) as client:
        yield client


@pytest.fixture
async def ring(fake_provider: FakeProvider) -> AsyncIterator[LLMRing]:
    providers = {"anthropic": {"base_url": fake_provider.base_url, "api_key": "sk-test-of-a-ring"}}
    async with LLMRing(providers=providers, dotenv=False) as ring:
        yield ring


def _check(message: Any) -> None:
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert (message.content[0].thinking, message.content[1].text) == ("How am I?", "Fine, thanks.")
    assert [(call.id, call.name, call.input) for call in message.content[2:]] == [
        ("c1", "look", {"at": "the sky"}),
        ("c2", "go", {}),
    ]
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (8, 12, 9)


async def test_the_sdk_reads_a_plain_answer(fake_provider: FakeProvider, client: anthropic.AsyncAnthropic) -> None:
    fake_provider.script(ANSWER)
    create: Any = client.messages.create
    reply = await create(**ASKED)
    assert reply.model == "claude-x"
    _check(reply)


async def test_the_sdk_reads_a_streamed_answer_to_the_same_end(
    fake_provider: FakeProvider, client: anthropic.AsyncAnthropic
) -> None:
    fake_provider.script(ANSWER)
    async with client.messages.stream(**ASKED) as stream:
        texts = [text async for text in stream.text_stream]
        _check(await stream.get_final_message())
    assert texts == ["Fine,", " thanks."]


async def test_the_sdk_counts_what_the_prompt_holds(
    fake_provider: FakeProvider, client: anthropic.AsyncAnthropic
) -> None:
    count = await client.messages.count_tokens(model="claude-x", messages=ASKED["messages"], system="be brief")
    assert count.input_tokens == 5


async def test_the_sdk_raises_its_own_errors_for_our_faults(
    fake_provider: FakeProvider, client: anthropic.AsyncAnthropic
) -> None:
    fake_provider.script(Fault.status(429), Fault.status(401), Fault.status(529), Fault.error_in_stream(2, "No more."))
    for kind in (anthropic.RateLimitError, anthropic.AuthenticationError, anthropic.InternalServerError):
        with pytest.raises(kind):
            await client.messages.create(**ASKED)
    with pytest.raises(anthropic.APIStatusError, match="No more"):
        async with client.messages.stream(**ASKED) as stream:
            await stream.get_final_message()


@pytest.mark.spec("K05", "K08", "N15", "U14")
async def test_a_ring_reads_the_same_plain_and_streamed(fake_provider: FakeProvider, ring: LLMRing) -> None:
    fake_provider.script(ANSWER)
    plain = await ring.chat("anthropic:claude-x", "how are you")
    chunks = [chunk async for chunk in ring.chat_stream("anthropic:claude-x", "how are you")]
    streamed = chunks[-1].data
    for response in (plain, streamed):
        assert (response.content, response.reasoning) == ("Fine, thanks.", "How am I?")
        assert [(call.name, call.arguments) for call in response.tool_calls or ()] == [
            ("look", {"at": "the sky"}),
            ("go", {}),
        ]
        assert (response.finish_reason, response.usage.prompt_tokens, response.cache_hit) == ("tool_calls", 20, True)
    received = fake_provider.received[0]
    assert (received.path, received.headers["x-api-key"]) == ("/v1/messages", "sk-test-of-a-ring")
    assert received.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in received.headers


@pytest.mark.spec("S08")
async def test_a_ring_raises_typed_errors_for_the_same_faults(fake_provider: FakeProvider, ring: LLMRing) -> None:
    fake_provider.script(Fault.status(429, headers={"retry-after": "0"}))
    with pytest.raises(ProviderRateLimitError):
        await ring.chat("anthropic:claude-x", "Hi")
    fake_provider.script(Fault.error_in_stream(2, "No more."))
    with pytest.raises(ProviderResponseError, match="No more"):
        async for _ in ring.chat_stream("anthropic:claude-x", "Hi"):
            pass
