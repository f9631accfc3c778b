"""An event loop without sockets, threads or a clock of its own: what is ready runs in turn, then time jumps to whatever is due next.

The same seed gives the same run to the last step. Timers that are due at one moment fire in a seeded order, and now and then the loop
is late, as a busy one is.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

# The most that a late loop is late.
LATE_S = 0.25
_MOST_STEPS_AT_ONCE = 20_000


class WedgedError(Exception):
    """Tasks wake each other for ever, or wait for ever."""


class _Entry:
    __slots__ = ("arguments", "callback", "cancelled", "context", "order", "when")

    def __init__(
        self, callback: Callable[..., object], arguments: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        self.callback = callback
        self.arguments = arguments
        self.context = context
        self.cancelled = False
        self.when = 0.0
        self.order = 0.0

    def cancel(self) -> None:
        self.cancelled = True

    def run(self) -> None:
        if self.cancelled:
            return
        if self.context is None:
            self.callback(*self.arguments)
        else:
            self.context.run(self.callback, *self.arguments)

    def __lt__(self, other: _Entry) -> bool:
        return (self.when, self.order) < (other.when, other.order)


class SimLoop(asyncio.AbstractEventLoop):
    """The loop; `clock` is a `llmring.clock.Clock` of its time."""

    def __init__(self, dice: random.Random, *, lateness: float = 0.0) -> None:
        self._dice = dice
        self._lateness = lateness
        self._ready: deque[_Entry] = deque()
        self._timers: list[_Entry] = []
        self.at = 1000.0
        self.problems: list[str] = []
        self.clock = SimClock(self)

    # What tasks and futures need of a loop.

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        entry = _Entry(callback, args, context)
        self._ready.append(entry)
        return entry

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        entry = _Entry(callback, args, context)
        entry.when, entry.order = when, self._dice.random()
        heapq.heappush(self._timers, entry)
        return entry

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]: less than the whole
        return asyncio.Task(coro, loop=self, **options)

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def time(self) -> float:
        return self.at

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(str(context.get("message")))

    def run(self) -> None:
        """Until nothing is ready and nothing will be."""
        events._set_running_loop(self)
        try:
            while True:
                self._run_ready()
                if not self._jump():
                    return
        finally:
            events._set_running_loop(None)

    def _run_ready(self) -> None:
        ready = self._ready
        for _ in range(_MOST_STEPS_AT_ONCE):
            if not ready:
                return
            ready.popleft().run()
        raise WedgedError(f"{_MOST_STEPS_AT_ONCE} steps, and the time is still {self.at - 1000:g}")

    def _jump(self) -> bool:
        timers = self._timers
        while timers and timers[0].cancelled:
            heapq.heappop(timers)
        if not timers:
            return False
        self.at = max(self.at, timers[0].when)
        if self._lateness and self._dice.random() < self._lateness:
            self.at += self._dice.choice((0.001, 0.1, LATE_S))
        while timers and timers[0].when <= self.at:
            self._ready.append(heapq.heappop(timers))
        return True


class SimClock:
    """The loop's time."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.at + 1_893_456_000.0

    def monotonic(self) -> float:
        return self._loop.at

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = self._loop.create_future()
        entry = self._loop.call_at(self._loop.at + seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            entry.cancel()

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        return self._loop.call_at(when, callback)
