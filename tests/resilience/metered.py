"""A provider that answers by a clock moved by hand, and keeps when it was sent what."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from llmring import (
    CustomProvider,
    EmbeddingOptions,
    EmbeddingResponse,
    LLMRequest,
    LLMResponse,
    LLMRing,
    StreamChunk,
    StreamEventType,
    Usage,
)
from llmring.testing import FakeClock

MINUTE_S = 60.0


class Metered(CustomProvider):
    """Answers after `latency_s`, and says that it took `tokens`. `sent`: when each request came, for which model, in order.

    judge: asked for each request when it has been worked on, judge_on_arrival when it comes; what it gives is raised."""

    name = "metered"

    def __init__(self, clock: FakeClock, *, latency_s: float = 0.5, tokens: int = 50) -> None:
        self._clock = clock
        self.latency_s = latency_s
        self.tokens: int | None = tokens
        self.sent: list[tuple[float, str, str]] = []
        self.in_flight = 0
        self.max_in_flight = 0
        self.judge: Callable[[LLMRequest], Exception | None] = lambda request: None
        self.judge_on_arrival: Callable[[LLMRequest], Exception | None] = lambda request: None

    def times(self, model: str | None = None) -> list[float]:
        return [at for at, asked, _ in self.sent if model in (None, asked)]

    def most_in(self, seconds: float) -> int:
        """The most requests that came in any window so long, both ends included."""
        times = self.times()
        return max(
            (bisect.bisect_right(times, at + seconds) - place for place, at in enumerate(times)),
            default=0,
        )

    async def _work(self, model: str, text: str, request: LLMRequest | None = None) -> Usage:
        self.sent.append((self._clock.monotonic(), model, text))
        refusal = None if request is None else self.judge_on_arrival(request)
        if refusal is not None:
            raise refusal
        tokens = self.tokens
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            if self.latency_s:
                await self._clock.sleep(self.latency_s)
        finally:
            self.in_flight -= 1
        error = None if request is None else self.judge(request)
        if error is not None:
            raise error
        return Usage(tokens or 0, 0)

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        usage = await self._work(request.model, _text(request), request)
        response = LLMResponse("fine", finish_reason="stop")
        if self.tokens is not None:
            response.usage = usage
        return response

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterable[StreamChunk]:
        usage = await self._work(request.model, _text(request), request)
        yield StreamChunk(StreamEventType.TOKEN, delta="fine")
        response = LLMResponse("fine", finish_reason="stop")
        if self.tokens is not None:
            response.usage = usage
        yield StreamChunk(type=StreamEventType.DONE, finish_reason="stop", usage=response.usage, data=response)

    async def embed(self, input: Any, options: EmbeddingOptions | None = None, *, model: str | None = None) -> Any:
        texts = [input] if isinstance(input, str) else list(input)
        usage = await self._work(model or "", texts[0])
        return EmbeddingResponse(embeddings=[[1.0, 2.0] for _ in texts], model=model or "", usage=usage)


def _text(request: LLMRequest) -> str:
    return str(request.messages[0].content)


@asynccontextmanager
async def metered_ring(clock: FakeClock, provider: Metered, **given: Any) -> AsyncGenerator[LLMRing]:
    async with LLMRing(providers={"metered": provider}, clock=clock, dotenv=False, **given) as ring:
        yield ring


async def run_all(
    clock: FakeClock, calls: Sequence[Awaitable[Any]], *, at_most_s: float, step_s: float = 1.0
) -> list[Any]:
    """Runs them, and moves the clock until all have ended; the test fails where that takes longer than at_most_s."""
    running = asyncio.gather(*calls, return_exceptions=True)
    began = clock.monotonic()
    await clock.run_until_idle()
    while not running.done():
        assert clock.monotonic() - began <= at_most_s, f"still running after {at_most_s} s"
        await clock.advance_async(step_s)
    return running.result()
