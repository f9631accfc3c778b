"""The real model over OpenAI's Responses, which llama-server serves too. Form only: what a model this small says proves nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llmring import LLMRequest, LLMRing, Message, RequestOptions, StreamEventType
from llmring.testing.local_model import LocalModel

pytestmark = pytest.mark.model

LOCKFILE = Path(__file__).parents[2] / "llmring.lock"


@pytest.fixture
async def responses_ring(local_model: LocalModel) -> AsyncIterator[LLMRing]:
    providers = {"llamacpp": {"base_url": local_model.base_url, "dialect": "openai_responses"}}
    defaults = RequestOptions(temperature=0)
    async with LLMRing(lockfile_path=LOCKFILE, providers=providers, defaults=defaults, dotenv=False) as ring:
        yield ring


def ask(text: str, **options: Any) -> LLMRequest:
    return LLMRequest(model="llamacpp:smollm2-135m-instruct", messages=[Message.user(text)], **options)


@pytest.mark.spec("A11", "U03")
async def test_a_real_server_answers_with_text_and_counts(responses_ring: LLMRing) -> None:
    response = await responses_ring.chat(ask("Say hello.", max_tokens=16))

    assert response.content
    assert response.finish_reason in {"stop", "length"}
    assert response.response_id
    assert response.usage.prompt_tokens > 0
    assert 0 < response.usage.completion_tokens <= 16
    assert not response.usage.estimated


@pytest.mark.spec("U04", "U11")
async def test_a_real_stream_gives_the_same_text_as_a_reply(responses_ring: LLMRing) -> None:
    question = "Count from one to five."
    plain = await responses_ring.chat(ask(question, max_tokens=24))

    chunks = [chunk async for chunk in responses_ring.chat_stream(ask(question, max_tokens=24))]

    tokens = [chunk.delta for chunk in chunks if chunk.type is StreamEventType.TOKEN]
    assert len(tokens) > 3, "it did not come in pieces"
    assert "".join(tokens) == plain.content == chunks[-1].data.content
    assert chunks[-1].finish_reason == plain.finish_reason
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens


class Book(BaseModel):
    title: str
    year: int


@pytest.mark.spec("U12", "L03")
async def test_a_real_server_is_held_to_a_schema(responses_ring: LLMRing) -> None:
    question = "Extract the book and the year as JSON.\n\nThe Time Machine by H. G. Wells came out in 1895."
    response = await responses_ring.chat(ask(question, response_format=Book, max_tokens=80))
    assert isinstance(response.parsed, Book)


@pytest.mark.spec("S08")
async def test_a_prompt_past_the_window_is_a_context_length_error(
    responses_ring: LLMRing, local_model: LocalModel
) -> None:
    with pytest.raises(Exception, match="context") as caught:
        await responses_ring.chat(ask("word " * 3 * local_model.context_tokens))
    assert type(caught.value).__name__ == "ContextLengthError"
