"""One road, no fakes: LLMRing asks a real model behind a real server."""

import asyncio
import json
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from llmring import ContextLengthError, LLMRequest, LLMRing, Message, StreamEventType
from llmring.testing.local_model import LocalModel

pytestmark = pytest.mark.model

LOCKFILE = Path(__file__).parents[2] / "llmring.lock"
MODEL = "llamacpp:smollm2-135m-instruct"


def ask(text: str, **options: Any) -> LLMRequest:
    return LLMRequest(model=MODEL, messages=[Message.user(text)], **options)


def slots(model: LocalModel) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{model.server_url}/slots", timeout=10) as reply:
        return cast("list[dict[str, Any]]", json.load(reply))


def generated_tokens(model: LocalModel) -> int:
    with urllib.request.urlopen(f"{model.server_url}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("llamacpp:tokens_predicted_total ")))


async def until(condition: Callable[[], bool], within_s: float) -> bool:
    """Asks again and again, each question a round trip to the server, until the answer is yes or time is up. The questions
    are put in a thread: the event loop must go on, it is what closes connections."""
    end = time.monotonic() + within_s
    while not await asyncio.to_thread(condition):
        if time.monotonic() > end:
            return False
    return True


@pytest.mark.spec("U03", "U11", "U39")
async def test_a_real_model_answers_with_usage_and_timing(ring: LLMRing) -> None:
    response = await ring.chat(ask("Say hello.", max_tokens=16))

    assert response.content
    assert (response.provider, response.requested_model) == ("llamacpp", MODEL)
    assert response.finish_reason in {"stop", "length"}
    assert response.usage.prompt_tokens > 0
    assert 0 < response.usage.completion_tokens <= 16
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens
    assert (response.timing.latency or 0) > 0
    cost = ring.calculate_cost(response)
    assert cost["total_cost"] is None
    assert cost["reason"]


@pytest.mark.spec("U06", "U09")
async def test_an_alias_of_the_repository_lock_reaches_the_real_model(ring: LLMRing) -> None:
    response = await ring.chat("fast", "Say hello.", "local")

    assert (response.requested_model, response.alias, response.profile) == ("fast", "fast", "local")
    assert response.content


@pytest.mark.spec("U04")
async def test_a_stream_gives_the_same_text_as_a_reply_and_ends_with_usage(ring: LLMRing) -> None:
    question = "Count from one to five."
    plain = await ring.chat(ask(question, max_tokens=24, seed=7))

    chunks = [chunk async for chunk in ring.chat_stream(ask(question, max_tokens=24, seed=7))]

    tokens = [chunk for chunk in chunks if chunk.type is StreamEventType.TOKEN]
    assert len(tokens) > 3, "it did not come in pieces"
    assert "".join(chunk.delta for chunk in tokens) == plain.content
    done = chunks[-1]
    assert done.type is StreamEventType.DONE
    assert done.finish_reason == plain.finish_reason
    assert done.usage is not None
    assert done.usage.completion_tokens == plain.usage.completion_tokens
    assert done.data.content == plain.content
    assert 0 < done.data.timing.ttft <= done.data.timing.latency


class Book(BaseModel):
    title: str
    author: str
    year: int


@pytest.mark.spec("U12")
async def test_a_pydantic_class_comes_back_as_its_instance(ring: LLMRing) -> None:
    question = (
        "Extract the book, its author and the year as JSON.\n\n"
        "The Time Machine was written by H. G. Wells and came out in 1895."
    )

    response = await ring.chat(ask(question, response_format=Book, max_tokens=80))

    assert isinstance(response.parsed, Book)
    assert response.parsed.year == 1895


@pytest.mark.spec("U12")
async def test_the_server_is_held_to_a_schema_that_the_question_does_not_suggest(ring: LLMRing) -> None:
    schema = {
        "type": "object",
        "properties": {"zebras": {"type": "integer"}, "verdict": {"enum": ["yes", "no"]}},
        "required": ["zebras", "verdict"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "Verdict", "strict": True, "schema": schema}}

    response = await ring.chat(ask("Tell me a story about the sea.", response_format=wanted, max_tokens=60))

    assert set(response.parsed) == {"zebras", "verdict"}
    assert response.parsed["verdict"] in {"yes", "no"}


@pytest.mark.spec("U04")
async def test_leaving_a_stream_early_stops_the_model(ring: LLMRing, local_model: LocalModel) -> None:
    request = ask("Write a very long story about the sea.", max_tokens=1500, extra_params={"ignore_eos": True})
    before = generated_tokens(local_model)

    async with ring.chat_stream(request) as stream:
        async for chunk in stream:
            if chunk.type is StreamEventType.TOKEN:
                break

    assert await until(lambda: not any(slot["is_processing"] for slot in slots(local_model)), within_s=20)
    assert generated_tokens(local_model) - before < 1000, "it ran to its end instead of being stopped"


@pytest.mark.spec("S08")
async def test_a_prompt_past_the_window_is_a_context_length_error(ring: LLMRing, local_model: LocalModel) -> None:
    with pytest.raises(ContextLengthError) as caught:
        await ring.chat(ask("word " * 3 * local_model.context_tokens))

    assert caught.value.status == 400
    assert caught.value.provider == "llamacpp"
    assert "word word" not in str(caught.value)


@pytest.mark.spec("U19")
async def test_a_dead_first_model_is_passed_over(local_model: LocalModel) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        providers = {
            "llamacpp": {"base_url": local_model.base_url},
            "lmstudio": {"base_url": f"http://127.0.0.1:{dead.getsockname()[1]}/v1"},
        }
        async with LLMRing(lockfile_path=LOCKFILE, providers=providers, dotenv=False) as ring:
            response = await ring.chat("resilient", "Say hello.", "local")

    assert response.provider == "llamacpp"
    assert [attempt["provider"] for attempt in response.attempts] == ["lmstudio"]
    assert response.content
