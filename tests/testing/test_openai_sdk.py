"""The vendor's own client reads what the fake provider serves: an oracle that we did not write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from llmring.testing import Answer, Exact, FakeProvider, Fault

CALLS: list[dict[str, Any]] = [
    {"id": "c1", "name": "look", "arguments": {"at": "the sky"}},
    {"id": "c2", "name": "go", "arguments": {}},
]
MESSAGES: Any = [{"role": "user", "content": "how are you"}]


@pytest.fixture
async def client(fake_provider: FakeProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="sk-test", base_url=fake_provider.base_url, max_retries=0) as client:
        yield client


async def test_the_sdk_reads_a_plain_answer(fake_provider: FakeProvider, client: openai.AsyncOpenAI) -> None:
    fake_provider.script(Answer("Fine, thanks.", tool_calls=CALLS))
    reply = await client.chat.completions.create(model="gpt", messages=MESSAGES)
    assert reply.model == "gpt"
    choice = reply.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Fine, thanks.", "tool_calls")
    assert [call.to_dict() for call in choice.message.tool_calls or ()] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "the sky"}'}},
        {"id": "c2", "type": "function", "function": {"name": "go", "arguments": "{}"}},
    ]
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 6)
    assert reply._request_id == "fake-request-0"
    assert fake_provider.received[0].headers["authorization"] == "Bearer sk-test"


async def test_the_sdk_reads_a_streamed_answer_to_the_same_end(
    fake_provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    fake_provider.script(Answer("Fine, thanks.", tool_calls=CALLS))
    async with client.chat.completions.stream(
        model="gpt", messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        deltas = [event.delta async for event in stream if event.type == "content.delta" and event.delta]
        streamed = await stream.get_final_completion()
    plain = await client.chat.completions.create(model="gpt", messages=MESSAGES)
    assert deltas == ["Fine,", " thanks."]
    mine, theirs = streamed.choices[0], plain.choices[0]
    assert (mine.message.content, mine.finish_reason) == (theirs.message.content, theirs.finish_reason)
    assert [(c.id, c.function.name, c.function.arguments) for c in mine.message.tool_calls or ()] == [
        ("c1", "look", '{"at": "the sky"}'),
        ("c2", "go", "{}"),
    ]
    assert streamed.usage == plain.usage


async def test_the_sdk_raises_its_own_errors_for_our_faults(
    fake_provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    fake_provider.script(
        Fault.status(429, code="rate_limit_exceeded"), Fault.status(401), Fault.reset(), Fault.close_before_reply()
    )
    kinds = [openai.RateLimitError, openai.AuthenticationError, openai.APIConnectionError, openai.APIConnectionError]
    for kind in kinds:
        with pytest.raises(kind):
            await client.chat.completions.create(model="gpt", messages=MESSAGES)


async def test_the_sdk_raises_for_an_error_inside_a_stream(
    fake_provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    fake_provider.script(Fault.error_in_stream(2, "Out of memory."))
    stream = await client.chat.completions.create(model="gpt", messages=MESSAGES, stream=True)
    chunks = aiter(stream)
    assert [(await anext(chunks)).choices[0].delta.content for _ in range(2)] == ["", "Hello"]
    with pytest.raises(openai.APIError, match="Out of memory"):
        await anext(chunks)


async def test_the_sdks_other_calls_are_served_by_exact_bytes(
    fake_provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    models = b'{"object":"list","data":[{"id":"m1","object":"model","created":0,"owned_by":"us"}]}'
    fake_provider.script(Exact(200, {"content-type": "application/json"}, [models]))
    assert [model.id async for model in client.models.list()] == ["m1"]
    assert (fake_provider.received[0].method, fake_provider.received[0].path) == ("GET", "/v1/models")
