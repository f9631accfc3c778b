"""The vendor's own client reads what the fake provider serves as OpenAI's Responses: an oracle that we did not write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from llmring.testing import Answer, FakeProvider, Fault

CALLS: list[dict[str, Any]] = [
    {"id": "c1", "name": "look", "arguments": {"at": "the sky"}},
    {"id": "c2", "name": "go", "arguments": {}},
]
ASKED: dict[str, Any] = {"model": "gpt", "input": "how are you", "instructions": "be brief"}


@pytest.fixture
async def client(fake_provider: FakeProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="sk-test", base_url=fake_provider.base_url, max_retries=0) as client:
        yield client


async def create(client: openai.AsyncOpenAI) -> Response:
    make: Any = client.responses.create
    return await make(**ASKED)


async def test_the_sdk_reads_a_plain_answer(fake_provider: FakeProvider, client: openai.AsyncOpenAI) -> None:
    fake_provider.script(Answer("Fine, thanks.", reasoning="Well.", tool_calls=CALLS))
    reply = await create(client)
    assert (reply.model, reply.status, reply.output_text) == ("gpt", "completed", "Fine, thanks.")
    assert [item.type for item in reply.output] == ["reasoning", "message", "function_call", "function_call"]
    assert [(i.call_id, i.name, i.arguments) for i in reply.output if i.type == "function_call"] == [
        ("c1", "look", '{"at": "the sky"}'),
        ("c2", "go", "{}"),
    ]
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens_details.reasoning_tokens) == (5, 1)
    assert fake_provider.received[0].dialect == "openai_responses"


async def test_the_sdk_reads_a_streamed_answer_to_the_same_end(
    fake_provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    fake_provider.script(Answer("Fine, thanks.", tool_calls=CALLS))
    stream_of: Any = client.responses.stream
    async with stream_of(**ASKED) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        streamed: Response = await stream.get_final_response()
    plain = await create(client)
    assert deltas == ["Fine,", " thanks."]
    assert streamed.output_text == plain.output_text
    assert [item.type for item in streamed.output] == [item.type for item in plain.output]
    assert streamed.usage == plain.usage


async def test_the_sdk_counts_tokens_in_words(client: openai.AsyncOpenAI) -> None:
    count = await client.responses.input_tokens.count(**ASKED)
    assert count.input_tokens == 5


async def test_the_sdk_raises_its_own_errors_for_our_faults(
    fake_provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    fake_provider.script(Fault.status(429, code="rate_limit_exceeded"), Fault.status(401), Fault.status(500))
    for kind in (openai.RateLimitError, openai.AuthenticationError, openai.InternalServerError):
        with pytest.raises(kind):
            await create(client)


async def test_the_sdk_sees_an_error_inside_a_stream(fake_provider: FakeProvider, client: openai.AsyncOpenAI) -> None:
    fake_provider.script(Fault.error_in_stream(2, "Out of memory."))
    make: Any = client.responses.create
    events = aiter(await make(**ASKED, stream=True))
    assert [(await anext(events)).type for _ in range(2)] == ["response.created", "response.in_progress"]
    event = await anext(events)
    assert event.type == "error"
    assert event.message == "Out of memory."
