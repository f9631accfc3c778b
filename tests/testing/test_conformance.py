"""The conformance suite: every provider of the table passes it over the fake provider, and what breaks a rule is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmring import (
    CustomProvider,
    EmbeddingOptions,
    EmbeddingResponse,
    LLMRequest,
    LLMResponse,
    LLMRing,
    StreamChunk,
    StreamEventType,
    ToolCall,
    Usage,
)
from llmring.providers.table import PROVIDERS
from llmring.testing import Answer, FakeProvider
from llmring.testing.conformance import CHECKS, Subject, chat_gives_a_whole_response, check_provider
from llmring.testing.dialects import SERVER_DIALECTS
from llmring.wire.table import DIALECTS

SERVED = {dialect.name: dialect for dialect in SERVER_DIALECTS}
ROWS = [row for row in PROVIDERS.values() if row.dialect in SERVED]


def test_the_fake_provider_speaks_the_dialect_of_every_provider() -> None:
    assert [row.name for row in PROVIDERS.values()] == [row.name for row in ROWS]


@pytest.mark.spec("A22", "A35", "A01")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_every_provider_of_the_table_passes_the_suite(row: Any, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Hello there.", usage=Usage(5, 3)))
    options = {"base_url": fake_provider.base_url, "api_key": "key-of-a-test-0123456789"}
    embeds = DIALECTS[row.dialect].embeddings is not None
    async with LLMRing(providers={row.name: options}, dotenv=False) as ring:
        await check_provider(
            ring.get_provider(row.name),
            model="some-model" if SERVED[row.dialect].speaks_chat else None,
            embedding_model="some-embedder" if embeds else None,
            repeats=True,
        )
    assert fake_provider.received


class Good(CustomProvider):
    name = "good"

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        await asyncio.sleep(0)
        return LLMResponse("Hello", model=request.model, finish_reason="stop", usage=Usage(1, 1))

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        yield StreamChunk.token("Hello")
        yield StreamChunk.done(await self.chat(request))

    async def embed(
        self, input: Any, options: EmbeddingOptions | None = None, *, model: str | None = None
    ) -> EmbeddingResponse:
        count = 1 if isinstance(input, str) else len(input)
        return EmbeddingResponse(embeddings=[[0.5, 0.25]] * count, model=model or "")


@pytest.mark.spec("A22")
async def test_a_good_provider_passes() -> None:
    await check_provider(Good(), model="m", embedding_model="e", repeats=True)


class NoReason(Good):
    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        return LLMResponse("Hello")


class Empty(Good):
    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        return LLMResponse("", finish_reason="stop")


class CallsNothing(Good):
    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        return LLMResponse("Hello", finish_reason="tool_calls")


class NoResponse(Good):
    async def chat(self, request: LLMRequest, /) -> Any:
        return {"content": "Hello"}


class BadName(Good):
    name = "Good One"


class Negative(Good):
    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        return LLMResponse("Hello", finish_reason="stop", usage=Usage(-1, 1))


class Changes(Good):
    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        request.messages.append(request.messages[0])
        return await super().chat(request)


class NeverDone(Good):
    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        yield StreamChunk.token("Hello")


class DoneTwice(Good):
    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        response = await self.chat(request)
        yield StreamChunk.token("Hello")
        yield StreamChunk.done(response)
        yield StreamChunk.done(response)


class TextDiffers(Good):
    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        yield StreamChunk.token("Hell")
        yield StreamChunk.done(await self.chat(request))


class StreamDiffers(Good):
    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        call = ToolCall("c", "f")
        yield StreamChunk(StreamEventType.TOOL_CALL_END, data=call)
        yield StreamChunk.done(LLMResponse(finish_reason="tool_calls", tool_calls=[call]))


class OneAtATime(Good):
    busy = False

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        if self.busy:
            raise RuntimeError("busy")
        self.busy = True
        try:
            return await super().chat(request)
        finally:
            self.busy = False


class KeepsGoing(Good):
    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        try:
            return await super().chat(request)
        except asyncio.CancelledError:
            return LLMResponse("I go on", finish_reason="stop")


class OneVector(Good):
    async def embed(
        self, input: Any, options: EmbeddingOptions | None = None, *, model: str | None = None
    ) -> EmbeddingResponse:
        return EmbeddingResponse(embeddings=[[0.5]])


class UnevenVectors(Good):
    async def embed(
        self, input: Any, options: EmbeddingOptions | None = None, *, model: str | None = None
    ) -> EmbeddingResponse:
        return EmbeddingResponse(embeddings=[[0.5]] if isinstance(input, str) else [[0.5, 1.0]] * 3)


class ClosesOnce(Good):
    closed = False

    async def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


@pytest.mark.spec("A22")
@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (BadName, "has_the_methods_and_a_name"),
        (NoReason, "chat_gives_a_whole_response: finish_reason None"),
        (Empty, "neither text nor a tool call"),
        (CallsNothing, "finish_reason tool_calls, and there are none"),
        (NoResponse, "chat_gives_a_whole_response: a dict came"),
        (Negative, "counts less than no token"),
        (Changes, "the_request_is_not_changed: the request was changed"),
        (NeverDone, "a_stream_ends_with_exactly_one_done: the last chunk is not DONE"),
        (DoneTwice, "a_stream_ends_with_exactly_one_done: DONE must come once and last"),
        (TextDiffers, "is not the text of the response in DONE"),
        (StreamDiffers, "a_stream_gives_what_a_reply_gives: content differs"),
        (OneAtATime, "calls_run_side_by_side: RuntimeError: busy"),
        (KeepsGoing, "cancellation_is_passed_on: a call that was cancelled went on"),
        (OneVector, "1 vectors for 3 texts"),
        (UnevenVectors, "vectors differ in length"),
        (ClosesOnce, "it_can_be_closed_twice: RuntimeError"),
    ],
)
async def test_a_provider_that_breaks_a_rule_is_told_which(kind: Callable[[], Good], found: str) -> None:
    with pytest.raises(AssertionError) as caught:
        await check_provider(kind(), model="m", embedding_model="e", repeats=True)
    assert found in str(caught.value)


class Leaves(Good):
    """Cannot be left: what it began stays busy."""

    busy = False

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        self.busy = True
        yield StreamChunk.token("Hello")
        yield StreamChunk.done(await super().chat(request))
        self.busy = False

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        if self.busy:
            raise RuntimeError("still streaming")
        return await super().chat(request)


@pytest.mark.spec("A22")
async def test_a_provider_that_cannot_be_left_is_found() -> None:
    with pytest.raises(AssertionError, match="a_stream_can_be_left: RuntimeError: still streaming"):
        await check_provider(Leaves(), model="m", embedding_model="e")


@pytest.mark.spec("A22")
async def test_a_provider_that_hangs_is_found_and_the_others_checks_go_on() -> None:
    class Hangs(Good):
        async def chat(self, request: LLMRequest, /) -> LLMResponse:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    with pytest.raises(AssertionError, match="chat_gives_a_whole_response: did not end within 0 s") as caught:
        await check_provider(Hangs(), model="m", embedding_model="e", timeout_s=0)
    assert "has_the_methods_and_a_name" not in str(caught.value)


@pytest.mark.spec("A22", "M04")
async def test_what_is_not_supported_must_be_said_so() -> None:
    class Silent(Good):
        async def chat(self, request: LLMRequest, /) -> LLMResponse:
            raise RuntimeError("no chat here")

    with pytest.raises(AssertionError) as caught:
        await check_provider(Silent())
    assert "RuntimeError: no chat here" in str(caught.value)
    assert "embeddings_are_vectors_or_not_supported: NotSupportedError is wanted" in str(caught.value)


@pytest.mark.spec("A22")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_each_check_is_a_test_of_its_own(check: Any) -> None:
    assert check.__doc__
    await check(Good(), Subject(model="m", embedding_model="e"))


async def test_options_go_into_every_request() -> None:
    seen: list[int | None] = []

    class Watching(Good):
        async def chat(self, request: LLMRequest, /) -> LLMResponse:
            seen.append(request.max_tokens)
            return await super().chat(request)

    await chat_gives_a_whole_response(Watching(), Subject(model="m", options={"max_tokens": 5}))
    assert seen == [5]
