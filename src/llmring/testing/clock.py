"""A clock that tests move by hand: nothing waits, and everything that is due happens in order."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from llmring.clock import Timer

# 2030-01-01T00:00:00Z: a date that no real clock shows by accident.
_SOME_DAY = 1_893_456_000.0
# Unlike the wall time, so that code which mixes up the two clocks is seen.
_SOME_MOMENT = 1000.0
# A bound for tasks that wake each other for ever; idle tests need two or three rounds.
_MOST_ROUNDS = 10_000


class FakeClock:
    """A `llmring.clock.Clock` that stands still until `advance` moves it.

    now: where the wall clock begins, in seconds since the epoch. `monotonic()` begins elsewhere on purpose.

    >>> clock = FakeClock(now=100.0)
    >>> clock.advance(2.5)
    >>> clock.now()
    102.5
    """

    def __init__(self, now: float = _SOME_DAY) -> None:
        self._offset = now - _SOME_MOMENT
        self._monotonic = _SOME_MOMENT
        self._timers: list[_FakeTimer] = []
        self._order = itertools.count()
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._monotonic + self._offset

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Waits until the clock has been moved that far. 0 or less lets other tasks run once, as asyncio's sleep does."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._add(self._monotonic + seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Runs `callback` when the clock reaches `when`; at once, on the running loop's next turn, if it is past already."""
        if when <= self._monotonic and (loop := _running_loop()) is not None:
            return loop.call_soon(callback)
        return self._add(when, callback)

    @property
    def timers(self) -> int:
        """How many sleeps and timers wait for the clock."""
        return sum(not timer.done for timer in self._timers)

    @property
    def next_timer(self) -> float | None:
        """The `monotonic()` time of the next sleep or timer to end, None where nothing waits."""
        while self._timers and self._timers[0].done:
            heapq.heappop(self._timers)
        return self._timers[0].when if self._timers else None

    async def wait_timers(self, count: int = 1) -> None:
        """Waits until at least `count` sleeps or timers wait for the clock: then it is time to `advance`."""
        if self.timers >= count:
            return
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((count, seen))
        await seen

    def advance(self, seconds: float) -> None:
        """Moves the clock, and fires what falls due on the way, in order, each at its own time.

        Callbacks run here, and what they raise is raised here. Tasks that sleep are woken, but run only when the loop does:
        a task that sleeps twice needs `advance_async`. Raises ValueError for a move backwards.
        """
        until = self._until(seconds)
        while (when := self.next_timer) is not None and when <= until:
            self._fire(when)
        self._monotonic = until

    async def advance_async(self, seconds: float) -> None:
        """As `advance`, and after each step lets the woken tasks run until nothing is ready, so that they may sleep again."""
        until = self._until(seconds)
        await self.run_until_idle()
        while (when := self.next_timer) is not None and when <= until:
            self._fire(when)
            await self.run_until_idle()
        self._monotonic = until
        await self.run_until_idle()

    async def run_until_idle(self) -> None:
        """Lets every ready task run until all wait for something. Does not wait for sockets, threads or processes.

        Sees what is ready on asyncio's own loops; on others it lets tasks run a fixed number of rounds.
        """
        loop = asyncio.get_running_loop()
        # asyncio has no public way to ask whether anything is ready; this name has been stable since 3.4.
        ready = getattr(loop, "_ready", None)
        for _ in range(_MOST_ROUNDS if ready is not None else 100):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return

    def _until(self, seconds: float) -> float:
        if seconds < 0:
            raise ValueError(f"FakeClock: time goes forward only; advance({seconds!r})")
        return self._monotonic + seconds

    def _fire(self, when: float) -> None:
        timer = heapq.heappop(self._timers)
        self._monotonic = max(self._monotonic, when)
        timer.done = True
        timer.callback()

    def _add(self, when: float, callback: Callable[[], None]) -> _FakeTimer:
        timer = _FakeTimer(when, next(self._order), callback)
        heapq.heappush(self._timers, timer)
        if self._watchers:
            count = self.timers
            for wanted, seen in self._watchers:
                if count >= wanted and not seen.done():
                    seen.set_result(None)
            self._watchers = [watcher for watcher in self._watchers if not watcher[1].done()]
        return timer


class _FakeTimer:
    """One entry of the heap; a cancelled one stays there, unseen, until its time."""

    __slots__ = ("callback", "done", "order", "when")

    def __init__(self, when: float, order: int, callback: Callable[[], None]) -> None:
        self.when = when
        self.order = order
        self.callback = callback
        self.done = False

    def cancel(self) -> None:
        self.done = True

    def __lt__(self, other: _FakeTimer) -> bool:
        return (self.when, self.order) < (other.when, other.order)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
