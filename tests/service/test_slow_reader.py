"""A reader that is slower than its stream slows the stream: bounded buffers, nothing lost, and no clock of the server's runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import pytest

from llmring import CustomProvider, LLMRequest, LLMResponse, LLMRing, StreamChunk, StreamEventType, Timeouts
from llmring.testing import Exact, FakeClock, FakeProvider
from llmring.testing.http_server import chunk

MakeRing = Callable[..., LLMRing]
MIB = 1024 * 1024
PIECES = 2048
PIECE_BYTES = 16 * 1024
TEXT_BYTES = 1024  # of each: what an answer may come to altogether is bounded, too


class CountedWrites(Sequence[bytes]):
    """A stream of 32 MiB, written piece by piece as far as the connection takes it. written: how many pieces have gone out."""

    def __init__(self) -> None:
        self.written = 0

    def __len__(self) -> int:
        return PIECES + 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[bytes]:
        for number in range(PIECES):
            self.written += 1
            yield chunk(event({"content": text_of(number)}))
        yield chunk(event({}, "stop") + b"data: [DONE]\n\n") + chunk(b"")


def text_of(number: int) -> str:
    return f"{number:08}" * (TEXT_BYTES // 8)


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    pad = "." * (PIECE_BYTES - TEXT_BYTES)
    return b"data: " + json.dumps({"id": "c", "model": "m1", "choices": [choice], "pad": pad}).encode() + b"\n\n"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def until_it_stands_still(count: Callable[[], int]) -> int:
    """Lets the loop run until nothing moves any more."""
    before, same = count(), 0
    while same < 200:
        await asyncio.sleep(0)
        same = same + 1 if count() == before else 0
        before = count()
    return before


@pytest.mark.spec("U31")
async def test_the_socket_pushes_back_memory_stays_bounded_and_nothing_is_lost(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock)
    writes = CountedWrites()
    headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    fake_provider.script(Exact(headers=headers, chunks=writes))
    stream = ring.chat_stream(LLMRequest(model="fast", messages="Hi", timeout=Timeouts(first_token=2, idle=1)))
    read, digest = 0, hashlib.sha256()
    async for piece in stream:
        if not piece.delta:
            continue
        digest.update(piece.delta.encode())
        read += 1
        if read in (1, 500):
            before = resident_bytes()
            written = await until_it_stands_still(lambda: writes.written)
            # The kernel's buffers on both sides of a loopback connection hold up to 10 MiB by themselves
            # (tcp_rmem, tcp_wmem: man 7 tcp); ours is aiohttp's, twice 64 KiB and what one read brings.
            assert (written - read) * PIECE_BYTES < 14 * MIB, "the server was not held back"
            assert resident_bytes() - before < 4 * MIB, "what waits is kept by the kernel, not by us"
            fake_clock.advance(3600)  # away for an hour: no fault of the server's
    assert read == writes.written == PIECES
    assert digest.hexdigest() == hashlib.sha256("".join(map(text_of, range(PIECES))).encode()).hexdigest()
    assert stream.response is not None
    assert len(stream.response.content) == PIECES * TEXT_BYTES


class Eager(CustomProvider):
    """Has a thousand words at once. said: how many were taken."""

    name = "eager"
    said = 0

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        return LLMResponse("all", finish_reason="stop")

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterator[StreamChunk]:
        for number in range(1000):
            self.said += 1
            yield StreamChunk(StreamEventType.TOKEN, f"{number} ")
        yield StreamChunk(StreamEventType.DONE, finish_reason="stop")


@pytest.mark.spec("U31")
async def test_a_provider_of_ones_own_is_held_back_too(make_ring: MakeRing) -> None:
    provider = Eager()
    ring = make_ring(providers={"eager": provider})
    text, looked = "", 0
    async for piece in ring.chat_stream("eager:any", "Hi"):
        text += piece.delta
        if piece.delta and looked < 3:
            looked += 1
            said = await until_it_stands_still(lambda: provider.said)
            assert said <= looked + 18, "a few ahead of its reader, and no more"
    assert text.split() == [str(number) for number in range(1000)]
