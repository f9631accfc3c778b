"""Waiting for work that many calls want at once and that is done once for all of them, and for no longer than a call may."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from llmring.clock import Clock
from llmring.exceptions import LLMRingError, ServiceClosedError
from llmring.resilience.deadline import deadline_passed
from llmring.transport.alarm import Alarm

T = TypeVar("T")


class Together(Generic[T]):
    """Who asks while the work for a key is under way waits for that work. What came of it is not kept."""

    def __init__(self) -> None:
        self._running: dict[tuple[int, Hashable], asyncio.Task[T]] = {}

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work gives. Raises what it raises; each who waits gets an error of its own, since calls write into theirs."""
        place = (id(asyncio.get_running_loop()), key)  # a task can be awaited on its own loop alone
        task = self._running.get(place)
        if task is None:
            task = self._running[place] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._end(place, done))
        # Not by awaiting it: the caller who happened to be first may go, and close() may cancel it under who waits.
        await asyncio.wait((task,))
        if task.cancelled():
            raise ServiceClosedError("closed while the call waited for something that many calls want")
        try:
            return task.result()
        except LLMRingError as error:
            own = copy.copy(error)
        raise own  # out here it drags nothing along that the work's error had seen

    def _end(self, place: tuple[int, Hashable], task: asyncio.Task[T]) -> None:
        self._running.pop(place, None)
        if not task.cancelled():
            task.exception()  # told to those who wait; where nobody does any more, it is no news either

    async def close(self) -> None:
        """Ends what is under way on this loop."""
        loop = id(asyncio.get_running_loop())
        tasks = [task for (place, _), task in self._running.items() if place == loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def within_deadline(work: Awaitable[T], deadline: float | None, clock: Clock) -> T:
    """What the work gives. deadline: in the clock's `monotonic()` seconds. Raises DeadlineExceededError."""
    if deadline is None:
        return await work
    alarm = Alarm(clock)
    try:
        return await alarm.wait(work, deadline)
    except TimeoutError:
        raise deadline_passed() from None
    finally:
        alarm.cancel()
