"""One contestant's process: reads what to run from stdin, a JSON object a line, and says on stdout what it cost.

Imports nothing of llmring: a contestant's process holds what that contestant needs, and no more.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

_STATUS = Path("/proc/self/status")
_BEAT_S = 0.005
# What a server does that has many calls under way: what is there by now is left alone, the rest is looked at less often.
_RELAXED = (50_000, 20, 100)


class Client(Protocol):
    """What a module of `contestants/` opens. It raises where an answer is not the one that was to come."""

    async def chat(self, model: str) -> int:
        """One call; gives 1."""
        ...


@runtime_checkable
class StreamClient(Client, Protocol):
    """One that streams, too."""

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        """One stream; says when its first text is there, gives the number of its text chunks."""
        ...


@runtime_checkable
class BatchClient(Protocol):
    """One that is given all its prompts in one go, and looks itself how many are under way."""

    async def chat_all(self, model: str, count: int, at_once: int) -> int:
        """`count` calls; gives how many were answered."""
        ...


Open = Callable[[str, str], AbstractAsyncContextManager[Client]]


async def main(name: str, base_url: str, dialect: str) -> None:
    said, sys.stdout = sys.stdout, sys.stderr  # what a contestant prints is no result
    open_client: Open = import_module(f"benchmarks.contestants.{name}").open_client
    async with open_client(base_url, dialect) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await measure(client, json.loads(line))), file=said, flush=True)


async def measure(client: Client, asked: dict[str, Any]) -> dict[str, Any]:
    """What `count` runs took, of which `at_once` are under way: CPU seconds of this process, seconds, units; of streams, how long
    each took to its first text. spread_s: the first of them begin one after the other, over so many seconds. watch: say also how
    late the loop was, beat for beat. relax_gc: with garbage collected seldom. A unit is a call, or a text chunk."""
    model, count, at_once = asked["model"], asked["count"], asked["at_once"]
    spread_s: float = asked["spread_s"]
    numbers, first_s = iter(range(count)), list[float]()
    run = _stream(client, model, first_s) if asked["kind"] == "stream" else _chat(client, model)

    async def take(numbers: Iterator[int], number: int) -> int:
        if spread_s:
            await asyncio.sleep(spread_s * number / at_once)
        units = 0
        for _ in numbers:
            units += await run()
        return units

    gc.collect()
    thresholds = gc.get_threshold()
    if asked["relax_gc"]:
        gc.freeze()
        gc.set_threshold(*_RELAXED)
    late_s: list[float] = []
    beating = asyncio.create_task(_beat(late_s)) if asked["watch"] else None
    started, cpu_started = time.perf_counter(), time.process_time()
    if asked["kind"] == "chat" and isinstance(client, BatchClient):
        units = await client.chat_all(model, count, at_once)
    else:
        units = sum(await asyncio.gather(*(take(numbers, number) for number in range(at_once))))
    cpu_s, wall_s = time.process_time() - cpu_started, time.perf_counter() - started
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    if beating is not None:
        beating.cancel()
    expected = count * _count_units(asked["kind"], model)
    if units != expected:
        raise AssertionError(f"{units} units came where {expected} were to come")
    return {
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "units": units,
        "first_s": first_s,
        "late_s": late_s,
        "peak_mib": _peak_mib(),
    }


def _count_units(kind: str, model: str) -> int:
    """Of one run. A model says in its name how many chunks its stream has: `chunks-500`."""
    return int(model.split("-")[1]) if kind == "stream" else 1


def _chat(client: Client, model: str) -> Callable[[], Awaitable[int]]:
    return lambda: client.chat(model)


def _stream(client: Client, model: str, first_s: list[float]) -> Callable[[], Awaitable[int]]:
    if not isinstance(client, StreamClient):
        raise SystemExit(f"error: {type(client).__name__} does not stream")

    async def run() -> int:
        started = time.perf_counter()
        return await client.stream(model, lambda: first_s.append(time.perf_counter() - started))

    return run


async def _beat(late_s: list[float]) -> None:
    """How much later than asked the loop comes back, all the time: what any other task on it would have waited."""
    while True:
        due = time.perf_counter() + _BEAT_S
        await asyncio.sleep(_BEAT_S)
        late_s.append(max(0.0, time.perf_counter() - due))


def _peak_mib() -> float:
    """The most memory that this process has held so far."""
    if _STATUS.exists():
        # Not ru_maxrss: that is inherited from whoever started this process.
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
