"""The line before one target: first come, first served, whatever a request weighs, and one timer for everybody who waits."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count, takewhile
from typing import Final, Protocol

from llmring.clock import Clock, Timer
from llmring.resilience.quota import Place

# How many of those who left may stand in the line, unseen, beside twice as many as wait: then it is swept. Guess.
_SWEEP_AT: Final = 64


class Allowance(Protocol):
    """What a queue waits for: a `Quota`, or another that says when and counts. in_flight, waiting: it is told."""

    waiting: int
    paused_until: float

    def ready_at(self, tokens: float = 0.0, requests: int = 1) -> float: ...

    def has_room(self) -> bool: ...

    def take(self, tokens: float, now: float, requests: int = 1) -> float: ...

    def give_back(self, reserved: float, taken_at: float, requests: int = 1) -> None: ...


class _Waiter:
    __slots__ = ("again_at", "leaves_on_pause", "most_paused_s", "place", "requests", "tokens")

    def __init__(
        self, tokens: float, requests: int, place: asyncio.Future[Place | None], *, leaves_on_pause: bool, most: float
    ) -> None:
        self.tokens = tokens
        self.requests = requests
        self.place = place
        self.leaves_on_pause = leaves_on_pause
        self.most_paused_s = most  # by the queue's own count
        self.again_at: float | None = None


class Queue:
    """Waits for a quota. Whoever gets a place has taken it: it is settled by whoever holds it, or `give_back`; then `wake`.

    turns: what is to be asked beside it, before anybody goes. Callable from one event loop at a time.
    """

    __slots__ = (
        "_clock",
        "_deadlines",
        "_live",
        "_numbers",
        "_pause_known",
        "_quota",
        "_timer",
        "_timer_at",
        "_timer_loop",
        "_turns",
        "_waiters",
        "paused_s",
    )

    def __init__(self, quota: Allowance, clock: Clock, turns: Turns | None = None) -> None:
        self._quota = quota
        self._clock = clock
        self._turns = turns
        self._waiters: deque[_Waiter] = deque()
        self._live = 0  # how many wait; of the waiters, some may have left
        self._deadlines: list[tuple[float, int, _Waiter]] = []  # a heap
        self._numbers = count()
        self._timer: Timer | None = None
        self._timer_at = math.inf
        self._timer_loop: asyncio.AbstractEventLoop | None = None
        self._pause_known = quota.paused_until
        self.paused_s = 0.0  # how long servers' pauses were altogether, up to the end of the last one

    def __len__(self) -> int:
        return self._live

    async def enter(
        self,
        tokens: float,
        *,
        requests: int = 1,
        deadline: float | None = None,
        leaves_on_pause: bool = False,
        most_pause_s: float = math.inf,
        again: bool = False,
    ) -> Place | None:
        """Takes a place, and waits for it where it must. None where it did not get one: a server's pauses came to more than
        most_pause_s, or one began and leaves_on_pause is set; whoever asked looks for another target then. again: its turn had come
        a moment ago, and a pause came between: it stands at the head.

        Raises TimeoutError at the deadline.
        """
        now = self._clock.monotonic()
        if not self._waiters and self._turns is None and self._may_go(tokens, requests, now):
            return self._take(tokens, requests, now)
        if deadline is not None and deadline <= now:
            raise TimeoutError
        paused_s = max(0.0, self._quota.paused_until - now)
        if paused_s and paused_s > most_pause_s:
            return None
        waiter = _Waiter(
            tokens,
            requests,
            asyncio.get_running_loop().create_future(),
            leaves_on_pause=leaves_on_pause,
            most=self.paused_s - paused_s + most_pause_s,
        )
        if again:
            waiter.again_at = now
            ahead = takewhile(lambda other: other.again_at == now, self._waiters)
            self._waiters.insert(sum(1 for _ in ahead), waiter)
        else:
            self._waiters.append(waiter)
        self._live += 1
        self._quota.waiting += 1
        if deadline is not None:
            heappush(self._deadlines, (deadline, next(self._numbers), waiter))
        try:
            self._plan()
            return await waiter.place
        except BaseException:
            self._let_go(waiter)
            raise
        finally:
            self._live -= 1
            self._quota.waiting -= 1

    def give_back(self, place: Place) -> None:
        """A place that was taken, and that nobody was sent with."""
        self._quota.give_back(place.reserved, place.taken_at, place.requests)
        if self._turns is not None:
            self._turns.quota.give_back(place.reserved_together, place.taken_at, place.requests)
        self.wake()
        if self._turns is not None:
            self._turns.wake()

    def wake(self) -> None:
        """Somebody has left, or the quota has changed: lets in who may go now, and sees to it that the next is let in in time."""
        if self._waiters:
            self._plan()

    def pause_began(self) -> None:
        """A server asked for a pause, or for a longer one: those who may go elsewhere do."""
        now, until = self._clock.monotonic(), self._quota.paused_until
        self.paused_s += max(0.0, until - max(now, self._pause_known))
        self._pause_known = until
        self.gate_shut()

    def gate_shut(self) -> None:
        """Nobody is let in for now: those who may go elsewhere do."""
        stay: deque[_Waiter] = deque()
        for waiter in self._waiters:
            if _has_gone(waiter):
                continue
            if waiter.leaves_on_pause or self.paused_s > waiter.most_paused_s:
                waiter.place.set_result(None)
            else:
                stay.append(waiter)
        self._waiters = stay
        self._plan()

    def close(self, error: Callable[[], Exception]) -> None:
        """Nobody will be let in any more: each of those who wait gets an error of its own."""
        for waiter in self._waiters:
            if not _has_gone(waiter):
                waiter.place.set_exception(error())
        self._waiters.clear()
        self._plan()

    def changed(self) -> None:
        """The quota has changed by itself: it got a slice of what is shared, or was told of a pause."""
        if self._quota.paused_until > max(self._pause_known, self._clock.monotonic()):
            self.pause_began()
        else:
            self.wake()

    def first(self) -> tuple[float, int] | None:
        """Tokens and requests of whoever is next; None where nobody is."""
        self._sweep_front()
        return (self._waiters[0].tokens, self._waiters[0].requests) if self._waiters else None

    def _may_go(self, tokens: float, requests: int, now: float) -> bool:
        if self._quota.ready_at(tokens, requests) > now or not self._quota.has_room():
            return False
        return self._turns is None or self._turns.may_go(self, tokens, requests, now)

    def _take(self, tokens: float, requests: int, now: float) -> Place:
        place = Place(now, tokens, self._quota.take(tokens, now, requests), requests=requests)
        if self._turns is not None:
            place.reserved_together = self._turns.quota.take(tokens, now, requests)
        return place

    def _plan(self) -> None:
        now = self._clock.monotonic()
        if self._deadlines:
            self._end_late(now)
        while True:
            self._sweep_front()
            if not self._waiters:
                return self._set_timer(math.inf)
            waiter = self._waiters[0]
            ready_at = self._quota.ready_at(waiter.tokens, waiter.requests)
            if ready_at > now:
                return self._set_timer(ready_at)
            if not self._may_go(waiter.tokens, waiter.requests, now):
                return self._set_timer(math.inf)  # who leaves wakes us, or whose turn it is
            self._waiters.popleft()
            waiter.place.set_result(self._take(waiter.tokens, waiter.requests, now))

    def _sweep_front(self) -> None:
        waiters = self._waiters
        while waiters and _has_gone(waiters[0]):
            waiters.popleft()

    def _end_late(self, now: float) -> None:
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].place.done()):
            waiter = heappop(self._deadlines)[2]
            if not _has_gone(waiter):
                waiter.place.set_exception(TimeoutError())

    def _set_timer(self, when: float) -> None:
        if self._deadlines and self._waiters:
            when = min(when, self._deadlines[0][0])
        loop = None if when == math.inf else asyncio.get_running_loop()
        if when == self._timer_at and loop is self._timer_loop:  # a timer of a loop that has ended never rings
            return
        self._timer_loop = loop
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when == math.inf else self._clock.call_at(when, self._ring)
        self._timer_at = when

    def _ring(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._plan()

    def _let_go(self, waiter: _Waiter) -> None:
        """It was cancelled, perhaps in the very moment that its turn came; or its deadline passed."""
        place = waiter.place
        if place.get_loop().is_closed():
            return  # nothing can be done on it; whoever comes on another one finds this waiter gone
        if not place.done():
            place.cancel()  # nobody asked for it: the call itself was thrown away, with its event loop
        elif not place.cancelled() and place.exception() is None:
            got = place.result()
            if got is not None:
                self.give_back(got)
            return
        if max(len(self._waiters), len(self._deadlines)) > 2 * self._live + _SWEEP_AT:
            self._waiters = deque(other for other in self._waiters if not other.place.done())
            self._deadlines = [entry for entry in self._deadlines if not entry[2].place.done()]
            heapify(self._deadlines)
        self._plan()


def _has_gone(waiter: _Waiter) -> bool:
    """Whether it waits no more: it has been told, or was thrown away with its event loop, and can be told nothing."""
    return waiter.place.done() or waiter.place.get_loop().is_closed()


class Turns:
    """What all lines of a ring go through together: whoever is first in each gets a turn, one line after the other."""

    __slots__ = ("_called", "_clock", "_lines", "_timer", "_timer_at", "_timer_loop", "quota")

    def __init__(self, quota: Allowance, clock: Clock) -> None:
        self.quota = quota
        self._clock = clock
        self._lines: dict[Queue, None] = {}  # in the order of their turns
        self._called: Queue | None = None
        self._timer: Timer | None = None
        self._timer_at = math.inf
        self._timer_loop: asyncio.AbstractEventLoop | None = None

    def may_go(self, line: Queue, tokens: float, requests: int, now: float) -> bool:
        """Whether the first of this line may go now. If not, the line waits for its turn, and is woken then."""
        if (self._called is line or not self._lines) and self._is_ready(tokens, requests, now):
            self._called = None
            return True
        self._lines.setdefault(line)
        if self._called is None:
            self._set_timer(self._next_at(now))
        return False

    def wake(self) -> None:
        """Somebody has left: calls the lines whose turn it is."""
        now = self._clock.monotonic()
        while self._next_at(now) <= now:
            line = next(iter(self._lines))
            del self._lines[line]
            self._called = line
            line.wake()
            self._called = None
        self._set_timer(self._next_at(now))

    def _next_at(self, now: float) -> float:
        """When the first of the lines is to be called; infinite where who leaves wakes us."""
        if not self._lines:
            return math.inf
        first = next(iter(self._lines)).first()
        if first is None:
            return now  # they have all gone away
        ready_at = self.quota.ready_at(*first)
        if ready_at > now:
            return ready_at
        return now if self.quota.has_room() else math.inf

    def _is_ready(self, tokens: float, requests: int, now: float) -> bool:
        return self.quota.ready_at(tokens, requests) <= now and self.quota.has_room()

    def _set_timer(self, when: float) -> None:
        loop = None if when == math.inf else asyncio.get_running_loop()
        if when == self._timer_at and loop is self._timer_loop:
            return
        self._timer_loop = loop
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when == math.inf else self._clock.call_at(when, self._ring)
        self._timer_at = when

    def _ring(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self.wake()
