"""One contestant's process: reads what to run from stdin, a JSON object a line, and says on stdout what it cost.

Imports nothing of llmring: a contestant's process holds what that contestant needs, and no more.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Protocol


class Client(Protocol):
    """What a module of `contestants/` opens. Both raise where the answer is not the one that was to come."""

    async def chat(self, model: str) -> int:
        """One call; gives 1."""
        ...

    async def stream(self, model: str) -> int:
        """One stream; gives the number of its text chunks."""
        ...


Open = Callable[[str, str], AbstractAsyncContextManager[Client]]


async def main(name: str, base_url: str, dialect: str) -> None:
    open_client: Open = import_module(f"benchmarks.contestants.{name}").open_client
    async with open_client(base_url, dialect) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            run = client.chat if asked["kind"] == "chat" else client.stream
            cpu_s, units = await measure(run, asked["model"], asked["count"], asked["at_once"])
            print(json.dumps({"cpu_s": cpu_s, "units": units}), flush=True)


async def measure(run: Callable[[str], Awaitable[int]], model: str, count: int, at_once: int) -> tuple[float, int]:
    """CPU seconds of this process, and units, for `count` runs of which `at_once` are under way."""
    numbers = iter(range(count))

    async def take(numbers: Iterator[int]) -> int:
        units = 0
        for _ in numbers:
            units += await run(model)
        return units

    started = time.process_time()
    taken = await asyncio.gather(*(take(numbers) for _ in range(at_once)))
    return time.process_time() - started, sum(taken)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
