"""What failed attempts have cost: counted where it is known, estimated where a part of an answer came, and never made up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from llmring import CustomProvider, LLMRequest, LLMResponse, LLMRing, StreamChunk, StreamInterruptedError
from llmring.exceptions import ModelDriftError, ProviderResponseError
from llmring.resilience.policy import RetryPolicy
from llmring.schemas import StreamEventType, Usage
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"
on_drift = "fail"

[[profiles.default.bindings]]
alias = "pool"
models = ["one:a", "two:b"]

[[profiles.default.bindings]]
alias = "unpriced"
models = ["one:free", "two:b"]

[[locked]]
id = "one:a"
price = { input = "2", output = "10" }

[[locked]]
id = "two:b"
price = { input = "1", output = "4" }
"""
MakeRing = Callable[..., LLMRing]
# A dollar is a million: of one:a, a token in costs 2 of them and a token out 10.
USED = Usage(100, 20)
A_COST = (100 * 2 + 20 * 10) / 1e6
B_COST = (100 * 1 + 20 * 4) / 1e6


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, fake_clock: FakeClock, tmp_path: Path) -> AsyncIterator[MakeRing]:
    lock = tmp_path / "llmring.lock"
    lock.write_text(LOCK)
    fake_provider.script(Answer("Hello", usage=USED))
    async with AsyncExitStack() as stack:

        def make(dialect: str = "openai_chat", **given: Any) -> LLMRing:
            one = {"base_url": fake_provider.base_url_of(dialect), "dialect": dialect, "api_key": "sk-one-0123456789"}
            two = {"base_url": fake_provider.base_url, "api_key": "sk-two-0123456789"}
            ring = LLMRing(lockfile_path=lock, providers={"one": one, "two": two}, clock=fake_clock, **given)
            stack.push_async_callback(ring.close)
            return ring

        yield make


@pytest.mark.spec("B23")
async def test_an_answer_of_another_model_that_is_not_taken_is_paid_for(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer("Hello", usage=USED, model="zzz"), model="a")
    response = await make_ring().chat("pool", "Hi")
    ((attempt),) = response.attempts
    assert (attempt["error"], attempt["usage"]["total_tokens"], attempt["usage"]["estimated"]) == (
        "ModelDriftError",
        120,
        False,
    )
    assert attempt["usage"]["cost"] == pytest.approx(A_COST)
    assert response.usage["cost"] == pytest.approx(B_COST)
    assert response.cost == pytest.approx(A_COST + B_COST)
    again = LLMResponse.from_dict(response.to_dict())
    assert (again.attempts, again.cost) == (response.attempts, response.cost)


@pytest.mark.spec("B23")
async def test_the_error_lists_what_each_attempt_cost(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Hello", usage=USED, model="zzz"))
    with pytest.raises(ModelDriftError) as caught:
        await make_ring(retry=RetryPolicy(attempts=1)).chat("pool", "Hi")
    costs = [None if attempt.usage is None else attempt.usage["cost"] for attempt in caught.value.attempts]
    assert costs == pytest.approx([A_COST, B_COST])
    held = LLMResponse(error=caught.value)
    again = LLMResponse.from_dict(held.to_dict()).error
    assert isinstance(again, ModelDriftError)
    assert again.attempts == caught.value.attempts


@pytest.mark.spec("B23")
async def test_a_stream_that_breaks_off_after_content_is_estimated(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.cut(4, answer=Answer("one two three four five six seven eight")))
    ring, text = make_ring(), ""
    with pytest.raises(StreamInterruptedError) as caught:
        async for chunk in ring.chat_stream("pool", "Hello there"):
            text += chunk.delta
    (attempt,) = caught.value.attempts
    assert attempt.usage is not None
    assert (attempt.model, attempt.usage["estimated"]) == ("a", True)
    # A token per four bytes, rounded up.
    counted = (-(-len("Hello there") // 4), -(-len(text) // 4))
    assert (attempt.usage["prompt_tokens"], attempt.usage["completion_tokens"]) == counted
    assert attempt.usage["cost"] == pytest.approx((counted[0] * 2 + counted[1] * 10) / 1e6)
    assert caught.value.partial is not None
    assert dict(caught.value.partial.usage) == attempt.usage


@pytest.mark.spec("B23")
async def test_what_was_reported_when_the_stream_began_does_not_hide_what_came_after(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    """Anthropic tells the prompt's tokens first, and those of the answer at its end."""
    words = " ".join(["word"] * 60)
    fake_provider.script(Fault.cut(40, answer=Answer(words, usage=Usage(321, 60))))
    text = ""
    with pytest.raises(StreamInterruptedError) as caught:
        async for chunk in make_ring("anthropic_messages").chat_stream("pool", "Hi"):
            text += chunk.delta
    usage = caught.value.attempts[-1].usage
    assert usage is not None
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["estimated"]) == (321, -(-len(text) // 4), True)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] > 20


@pytest.mark.spec("B23")
async def test_a_prompt_that_was_read_before_the_stream_failed_is_counted(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.error_in_stream(1, status=529, answer=Answer("Hi", usage=Usage(321, 5))), model="a")
    ring = make_ring("anthropic_messages")
    stream = ring.chat_stream("pool", "Hi")
    assert "".join([chunk.delta async for chunk in stream]) == "Hello"
    response = stream.response
    assert response is not None
    assert response.attempts[0]["usage"]["prompt_tokens"] == 321
    assert response.cost == pytest.approx(B_COST + response.attempts[0]["usage"]["cost"])
    assert response.attempts[0]["usage"]["cost"] >= 321 * 2 / 1e6


@pytest.mark.spec("B23")
async def test_a_stream_that_was_begun_anew_has_cost_both(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.cut(4, answer=Answer("one two three four five six seven eight")), model="a")
    ring = make_ring()
    stream = ring.chat_stream(LLMRequest(model="pool", messages="Hi", on_interrupt="restart"))
    async for _ in stream:
        pass
    response = stream.response
    assert response is not None
    assert (response.content, response.called_model) == ("Hello", "two:b")
    ((attempt),) = response.attempts
    assert (attempt["model"], attempt["usage"]["estimated"]) == ("a", True)
    assert response.cost == pytest.approx(B_COST + attempt["usage"]["cost"])


@pytest.mark.spec("B23")
@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_of_an_attempt_that_was_refused_nothing_is_made_up(
    status: int, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(status), model="a")
    response = await make_ring().chat("pool", "Hi")
    assert [attempt["usage"] for attempt in response.attempts] == [None]
    assert response.cost == pytest.approx(B_COST)


@pytest.mark.spec("B23")
async def test_a_cost_that_is_unknown_stays_unknown(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.error_in_stream(1, answer=Answer("Hi", usage=Usage(7, 1))), model="free")
    stream = make_ring("anthropic_messages").chat_stream("unpriced", "Hi")
    async for _ in stream:
        pass
    response = stream.response
    assert response is not None
    assert response.attempts[0]["usage"]["prompt_tokens"] == 7
    assert (response.attempts[0]["usage"]["cost"], response.cost) == (None, None)
    assert response.usage["cost"] == pytest.approx(B_COST)


@pytest.mark.spec("B23")
async def test_a_retry_of_the_same_model_is_listed_with_each_attempt(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(
        Fault.error_in_stream(1, status=500, answer=Answer("Hi", usage=Usage(50, 1))), Answer("ok", usage=USED)
    )
    ring = make_ring("anthropic_messages", retry=RetryPolicy(attempts=2, backoff_s=0))
    stream = ring.chat_stream("one:a", "Hi")
    async for _ in stream:
        pass
    assert stream.response is not None
    assert [attempt["usage"]["prompt_tokens"] for attempt in stream.response.attempts] == [50]
    fake_provider.script(Fault.error_in_stream(1, status=500, answer=Answer("Hi", usage=Usage(50, 1))))
    with pytest.raises(ProviderResponseError) as caught:
        async for _ in ring.chat_stream("one:a", "Hi"):
            pass
    assert [a.usage and a.usage["prompt_tokens"] for a in caught.value.attempts] == [50, 50]


class Broken(CustomProvider):
    """Reports its prompt, and breaks."""

    name = "mine"

    async def chat(self, request: LLMRequest) -> LLMResponse:
        raise ProviderResponseError("broken")

    async def chat_stream(self, request: LLMRequest) -> AsyncIterator[StreamChunk]:
        yield StreamChunk(StreamEventType.USAGE, usage=Usage(9, 0))
        raise ProviderResponseError("broken")


@pytest.mark.spec("B23")
async def test_a_provider_of_ones_own_is_counted_alike(make_ring: MakeRing) -> None:
    ring = make_ring(retry=RetryPolicy(attempts=1))
    ring.register_provider("mine", Broken())
    with pytest.raises(ProviderResponseError) as caught:
        async for _ in ring.chat_stream("mine:m", "Hi"):
            pass
    assert [a.usage and a.usage["prompt_tokens"] for a in caught.value.attempts] == [9]
