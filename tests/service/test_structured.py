"""Structured answers through a ring: what fits becomes an instance, what does not is an error that loses nothing."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from llmring import LLMRequest, LLMRing, SchemaValidationError
from llmring.testing import Answer, FakeProvider


class Book(BaseModel):
    title: str
    year: int


REQUEST = LLMRequest(model="fast", messages="Which book?", response_format=Book)


@pytest.mark.spec("U11")
async def test_an_answer_that_fits_is_an_instance_plain_and_streamed(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer('{"title": "Emma", "year": 1815}'))
    assert (await ring.chat(REQUEST)).parsed == Book(title="Emma", year=1815)
    chunks = [chunk async for chunk in ring.chat_stream(REQUEST)]
    assert chunks[-1].data.parsed == Book(title="Emma", year=1815)


@pytest.mark.spec("U11", "S05")
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_does_not_fit_is_an_error_that_carries_the_response(
    ring: LLMRing, fake_provider: FakeProvider, stream: bool
) -> None:
    fake_provider.script(Answer('{"title": "Emma", "year": "long ago"}'))
    with pytest.raises(SchemaValidationError) as caught:
        if stream:
            async for _ in ring.chat_stream(REQUEST):
                pass
        else:
            await ring.chat(REQUEST)
    error = caught.value
    assert (error.path, error.content) == ("/year", '{"title": "Emma", "year": "long ago"}')
    assert error.response is not None
    assert error.response.content == error.content
    assert error.response.usage.total_tokens > 0
    assert "long ago" not in str(error)


@pytest.mark.spec("S04")
async def test_an_answer_that_was_cut_at_its_cap_says_what_to_raise(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer('{"title": "Em', finish_reason="length"))
    with pytest.raises(SchemaValidationError, match="raise max_tokens"):
        await ring.chat(REQUEST)


@pytest.mark.spec("U11")
@pytest.mark.parametrize(
    "answer",
    [
        Answer("", tool_calls=[{"id": "c", "name": "look", "arguments": "{}"}]),
        Answer("Let me look that up.", tool_calls=[{"id": "c", "name": "look", "arguments": "{}"}]),
        Answer("", refusal="No."),
        Answer("", finish_reason="content_filter"),
    ],
    ids=["tool call", "tool call beside words", "refusal", "filter"],
)
async def test_what_stands_in_the_place_of_an_answer_is_no_failure(
    ring: LLMRing, fake_provider: FakeProvider, answer: Answer
) -> None:
    fake_provider.script(answer)
    response = await ring.chat(REQUEST)
    assert response.parsed is None
    assert response.content == answer.text
