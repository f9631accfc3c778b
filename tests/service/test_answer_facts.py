"""What a response says of its exchange: the request's id, and when the first content and the whole answer came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from llmring import LLMRing
from llmring.exceptions import ProviderTimeoutError
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault

WORD = b'data: {"id": "r", "model": "m1", "choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.spec("S01")
async def test_the_providers_request_id_is_kept(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Hi", headers={"x-request-id": "req-5"}))
    assert (await ring.chat("fast", "Hi")).request_id == "req-5"
    chunks = [chunk async for chunk in ring.chat_stream("fast", "Hi")]
    assert chunks[-1].data.request_id == "req-5"


@pytest.mark.spec("S01", "U04")
async def test_first_content_and_end_are_timed_from_the_start_of_the_call(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    clock = FakeClock()
    first, last = asyncio.Event(), asyncio.Event()
    fake_provider.script(Exact(headers={"content-type": "text/event-stream"}, chunks=[first, WORD, last, END]))
    stream = make_ring(clock=clock).chat_stream("fast", "Hi")
    head = asyncio.create_task(anext(stream))
    await fake_provider.wait_received(1)
    clock.advance(2)
    first.set()
    assert (await head).delta == "word"
    clock.advance(3)
    last.set()
    async for _ in stream:
        pass
    assert stream.response is not None
    assert stream.response.timing.to_dict() == {"ttft": 2, "latency": 5}


@pytest.mark.spec("U04")
async def test_a_server_that_answers_a_stream_in_one_piece_is_taken_at_its_word(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    reply = {"id": "r", "model": "m1", "choices": [{"message": {"content": "All of it."}, "finish_reason": "stop"}]}
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[json.dumps(reply).encode()]))
    chunks = [chunk async for chunk in ring.chat_stream("fast", "Hi")]
    assert "".join(chunk.delta for chunk in chunks) == "All of it."
    assert (chunks[-1].finish_reason, chunks[-1].data.raw) == ("stop", reply)


@pytest.mark.spec("A24")
async def test_a_local_server_has_five_minutes_for_its_first_token(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    clock = FakeClock()
    ring = make_ring(clock=clock, providers={"one": {"base_url": fake_provider.base_url, "local": True}})
    fake_provider.script(Fault.hang())
    task = asyncio.create_task(anext(ring.chat_stream("fast", "Hi")))
    await fake_provider.wait_received(1)
    await clock.wait_timers()
    clock.advance(300.5)
    with pytest.raises(ProviderTimeoutError, match="within 300 s"):
        await task
