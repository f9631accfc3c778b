"""The dialect anthropic_messages with a server and a model that are not ours: llama-server speaks it too. Form only."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llmring import ContextLengthError, LLMRequest, LLMRing, Message, StreamEventType
from llmring.testing.local_model import LocalModel

pytestmark = pytest.mark.model

LOCKFILE = Path(__file__).parents[2] / "llmring.lock"


@pytest.fixture
async def messages_ring(local_model: LocalModel) -> AsyncIterator[LLMRing]:
    providers: dict[str, Any] = {
        "messages": {
            "like": "llamacpp",
            "dialect": "anthropic_messages",
            "base_url": local_model.base_url,
        }
    }
    async with LLMRing(lockfile_path=LOCKFILE, providers=providers, dotenv=False) as ring:
        yield ring


def ask(text: str, **options: Any) -> LLMRequest:
    given: dict[str, Any] = {"temperature": 0, "max_tokens": 16, **options}
    return LLMRequest(
        model="messages:smollm2-135m-instruct", messages=[Message.system("Be brief."), Message.user(text)], **given
    )


@pytest.mark.spec("U03", "U11")
async def test_a_real_server_answers_in_this_dialect(messages_ring: LLMRing) -> None:
    response = await messages_ring.chat(ask("Say hello."))

    assert response.content
    assert response.finish_reason in {"stop", "length"}
    assert response.raw_finish_reason in {"end_turn", "max_tokens"}
    assert response.usage.prompt_tokens > 0
    assert 0 < response.usage.completion_tokens <= 16
    assert response.response_id


@pytest.mark.spec("U04")
async def test_its_stream_gives_the_same_text_in_pieces(messages_ring: LLMRing) -> None:
    plain = await messages_ring.chat(ask("Count from one to five."))

    chunks = [chunk async for chunk in messages_ring.chat_stream(ask("Count from one to five."))]

    tokens = [chunk for chunk in chunks if chunk.type is StreamEventType.TOKEN]
    assert len(tokens) > 3, "it did not come in pieces"
    assert "".join(chunk.delta for chunk in tokens) == plain.content
    done = chunks[-1]
    assert done.type is StreamEventType.DONE
    assert done.finish_reason == plain.finish_reason
    assert done.usage is not None
    assert done.usage.completion_tokens == plain.usage.completion_tokens


@pytest.mark.spec("S08")
async def test_a_prompt_past_the_window_is_a_context_length_error(
    messages_ring: LLMRing, local_model: LocalModel
) -> None:
    with pytest.raises(ContextLengthError) as caught:
        await messages_ring.chat(ask("word " * 3 * local_model.context_tokens))

    assert caught.value.status == 400
    assert "word word" not in str(caught.value)
