"""What it costs to wait: many calls in line behind a rate limit, and nothing else to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable

from benchmarks.processes import Cores
from benchmarks.result import Result, Series, at_most
from llmring import CustomProvider, LLMRequest, LLMResponse, LLMRing, RateLimits, StreamChunk, StreamEventType

budget = "PB09"
title = "20,000 calls queued behind a rate limit: CPU while waiting"
_METHOD = (
    "20,000 calls of `LLMRing.chat` to a provider that answers at once, behind a limit of requests a minute; half of the calls have "
    "a deadline far off. CPU time of the process over 10 s by the clock on the wall, from when all are in line. What is sent in that time "
    "is in it: 600 a minute are ten calls a second."
)
_WAITING = 20_000
_WATCHED_S = 10.0
_ROUNDS = 3


class _AtOnce(CustomProvider):
    name = "here"

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        return LLMResponse("fine", finish_reason="stop")

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterable[StreamChunk]:
        yield StreamChunk(StreamEventType.DONE, finish_reason="stop")


def run(cores: Cores) -> Result:
    still, moving = (
        Series(f"{per_minute} a minute", "%", tuple(asyncio.run(_watch(per_minute)) for _ in range(_ROUNDS)))
        for per_minute in (1, 600)
    )
    return Result(budget, title, _METHOD, (still, moving), (at_most(still, 5.0), at_most(moving, 5.0)))


async def _watch(per_minute: int) -> float:
    """CPU of the process, in percent of a core."""
    async with LLMRing(
        providers={"here": _AtOnce()}, limits=RateLimits(requests_per_minute=per_minute), dotenv=False
    ) as ring:
        requests = [
            LLMRequest(model="here:model", messages="Hello", deadline=3600.0 if number % 2 else None)
            for number in range(_WAITING)
        ]
        calls = [asyncio.create_task(ring.chat(request)) for request in requests]
        await asyncio.sleep(0)
        while ring.health().targets[0].waiting < _WAITING * 0.99:
            await asyncio.sleep(0.01)
        wall, spent = time.monotonic(), time.process_time()
        await asyncio.sleep(_WATCHED_S)
        share = (time.process_time() - spent) / (time.monotonic() - wall)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    return share * 100
