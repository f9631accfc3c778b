"""One client over many providers: the same request, whatever dialect is spoken below it, gets the same answer."""

from __future__ import annotations

from typing import Any

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message, Usage
from llmring.providers.table import PROVIDERS
from llmring.testing import Answer, FakeProvider
from llmring.testing.dialects import SERVER_DIALECTS

TALKING = [dialect.name for dialect in SERVER_DIALECTS if dialect.speaks_chat]
ROWS = [row.name for row in PROVIDERS.values() if row.dialect in TALKING]

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
REQUEST: dict[str, Any] = {
    "messages": [
        Message.system("Be brief."),
        Message.user("Where am I?"),
        Message.assistant("In Oslo."),
        Message.user("And the weather?"),
    ],
    "tools": [WEATHER],
    "max_tokens": 100,
}
ANSWERS = {
    "text": Answer("It is 12 degrees in Oslo.", usage=Usage(21, 7)),
    "cut": Answer("It is", usage=Usage(21, 2), finish_reason="length"),
    "call": Answer(
        "", tool_calls=[{"id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}'}], usage=Usage(21, 9)
    ),
    "thoughts": Answer("It is cold.", reasoning="Oslo is far north.", usage=Usage(21, 9)),
}


def normalized(response: LLMResponse) -> dict[str, Any]:
    """What an application reads. Ids of calls are made up where a dialect has none."""
    calls = response.tool_calls or []
    return {
        "content": response.content,
        "reasoning": response.reasoning,
        "tool_calls": [(call.name, call.arguments) for call in calls],
        "finish_reason": response.finish_reason,
        "usage": (response.usage.prompt_tokens, response.usage.completion_tokens, response.usage.total_tokens),
        "model": response.model,
        "refusal": response.refusal,
        "error": response.error,
    }


@pytest.mark.spec("A01")
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", [*TALKING, *ROWS])
async def test_the_same_request_gets_the_same_answer_from_every_dialect_and_provider(
    name: str, answer: str, fake_provider: FakeProvider
) -> None:
    fake_provider.script(ANSWERS[answer])
    options: dict[str, Any] = {"base_url": fake_provider.base_url, "api_key": "key-of-a-test-0123456789"}
    if name in TALKING:
        options["dialect"] = name
    reference = {"base_url": fake_provider.base_url, "auth": "none"}
    provider = f"in-{name.replace('_', '-')}" if name in TALKING else name
    async with LLMRing(providers={provider: options, "reference": reference}, dotenv=False) as ring:
        wanted = normalized(await ring.chat(LLMRequest(model="reference:some-model", **REQUEST)))
        request = LLMRequest(model=f"{provider}:some-model", **REQUEST)
        plain = await ring.chat(request)
        chunks = [chunk async for chunk in ring.chat_stream(request)]
    assert normalized(plain) == wanted
    streamed = normalized(chunks[-1].data)
    if name in ROWS and not PROVIDERS[name].quirks.stream_usage:
        # Its server counts in streams unasked; the fake one, as OpenAI's, only where it is asked to.
        assert chunks[-1].data.usage.estimated
        streamed["usage"] = wanted["usage"]
    assert streamed == wanted
    assert wanted["content"] or wanted["tool_calls"]
