"""What the worker says of a run, with a contestant that costs nothing. No test takes a time."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from benchmarks.worker import measure


class Counting:
    def __init__(self, chunks: int = 3) -> None:
        self.running = self.most = self.calls = 0
        self.thresholds: set[tuple[int, int, int]] = set()
        self._chunks = chunks

    async def chat(self, model: str) -> int:
        self.calls += 1
        self.running += 1
        self.most = max(self.most, self.running)
        self.thresholds.add(gc.get_threshold())
        await asyncio.sleep(0)
        self.running -= 1
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        begun()
        return self._chunks


class Batching(Counting):
    async def chat_all(self, model: str, count: int, at_once: int) -> int:
        self.most = at_once
        return count


def asking(kind: str, model: str, **changes: Any) -> dict[str, Any]:
    asked = {
        "kind": kind,
        "model": model,
        "count": 10,
        "at_once": 4,
        "spread_s": 0.0,
        "watch": False,
        "relax_gc": False,
    }
    return asked | changes


async def test_so_many_run_in_all_and_so_many_at_once() -> None:
    client = Counting()
    said = await measure(client, asking("chat", "hello"))
    assert (client.calls, client.most, said["units"]) == (10, 4, 10)
    assert said["peak_mib"] > 1


async def test_of_streams_it_says_the_chunks_and_when_each_began() -> None:
    said = await measure(Counting(), asking("stream", "chunks-3"))
    assert said["units"] == 30
    assert len(said["first_s"]) == 10


async def test_a_stream_of_other_than_its_chunks_fails() -> None:
    with pytest.raises(AssertionError, match="20 units came where 30 were to come"):
        await measure(Counting(chunks=2), asking("stream", "chunks-3"))


async def test_who_takes_all_prompts_in_one_go_is_given_them_so() -> None:
    client = Batching()
    assert (await measure(client, asking("chat", "hello")))["units"] == 10
    assert (client.calls, client.most) == (0, 4)


async def test_the_collector_is_relaxed_for_the_run_and_no_longer() -> None:
    before, client = gc.get_threshold(), Counting()
    await measure(client, asking("chat", "hello", relax_gc=True))
    assert client.thresholds == {(50_000, 20, 100)}
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
