"""An answer that thinking left nothing of: no error, no None, and a word on what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmring import LLMRequest, LLMRing, Usage
from llmring.testing import Answer, FakeProvider

MakeRing = Callable[..., LLMRing]


def a_ring(make_ring: MakeRing, fake: FakeProvider, dialect: str) -> LLMRing:
    return make_ring(providers={"one": {"base_url": fake.base_url, "dialect": dialect, "auth": "none"}})


@pytest.mark.spec("S11")
@pytest.mark.parametrize("dialect", ["gemini_generate", "openai_chat"])
async def test_an_empty_answer_that_was_cut_says_that_thinking_used_the_budget(
    make_ring: MakeRing, fake_provider: FakeProvider, dialect: str
) -> None:
    fake_provider.script(Answer("", finish_reason="length", usage=Usage(5, 99, reasoning_tokens=99)))
    ring = a_ring(make_ring, fake_provider, dialect)
    request = LLMRequest(model="one:gemini-2.5-flash", messages="hi", max_tokens=99)
    plain = await ring.chat(request)
    async with ring.chat_stream(request) as chunks:
        async for _ in chunks:
            pass
    streamed = chunks.response
    assert streamed is not None
    for response in (plain, streamed):
        assert (response.content, response.finish_reason, response.error) == ("", "length", None)
        assert [w for w in response.warnings if "thinking used 99 tokens" in w and "max_tokens" in w]


@pytest.mark.spec("S11")
async def test_an_answer_with_text_or_without_thinking_has_no_such_word(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = a_ring(make_ring, fake_provider, "gemini_generate")
    for answer in (
        Answer("Half", finish_reason="length", usage=Usage(5, 99, reasoning_tokens=90)),
        Answer("", finish_reason="length", usage=Usage(5, 99)),
        Answer("", finish_reason="stop", usage=Usage(5, 99, reasoning_tokens=99)),
    ):
        fake_provider.script(answer)
        assert (await ring.chat(LLMRequest(model="one:m", messages="hi"))).warnings == []
