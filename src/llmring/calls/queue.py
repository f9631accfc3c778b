"""The line before one target: first come, first served, whatever a request weighs, and one timer for everybody who waits."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from llmring.clock import Clock, Timer
from llmring.exceptions import ProviderRateLimitError
from llmring.resilience.quota import Quota


class _Waiter:
    __slots__ = ("leaves_on_pause", "most_pause_s", "place", "tokens")

    def __init__(
        self, tokens: float, place: asyncio.Future[bool], *, leaves_on_pause: bool, most_pause_s: float
    ) -> None:
        self.tokens = tokens
        self.place = place
        self.leaves_on_pause = leaves_on_pause
        self.most_pause_s = most_pause_s


class Queue:
    """Waits for a `Quota`. Whoever gets a place has taken it: it is given back by `Quota.settle` or `give_back`, and `wake`.

    Callable from one event loop at a time.
    """

    __slots__ = ("_clock", "_quota", "_timer", "_timer_at", "_waiters")

    def __init__(self, quota: Quota, clock: Clock) -> None:
        self._quota = quota
        self._clock = clock
        self._waiters: deque[_Waiter] = deque()
        self._timer: Timer | None = None
        self._timer_at = math.inf

    def __len__(self) -> int:
        return len(self._waiters)

    async def enter(
        self, tokens: float, *, deadline: float | None, leaves_on_pause: bool = False, most_pause_s: float = math.inf
    ) -> bool:
        """Takes a place, and waits for it where it must. False where it did not get one: a server's pause began or lasts longer than
        most_pause_s, or leaves_on_pause is set and there is one; whoever asked looks for another target then.

        Raises ProviderRateLimitError for a request that never fits, TimeoutError at the deadline.
        """
        most = self._quota.tokens_per_minute
        if most is not None and tokens > most:
            raise ProviderRateLimitError(
                f"the request is some {tokens:.0f} tokens, and tokens_per_minute is {most:g}: it would never be sent",
                retryable=False,
                hint="raise RateLimits.tokens_per_minute, or lower max_tokens",
            )
        now = self._clock.monotonic()
        if not self._waiters and self._quota.ready_at() <= now and self._quota.has_room():
            self._quota.take(tokens, now)
            return True
        if deadline is not None and deadline <= now:
            raise TimeoutError
        waiter = _Waiter(
            tokens,
            asyncio.get_running_loop().create_future(),
            leaves_on_pause=leaves_on_pause,
            most_pause_s=most_pause_s,
        )
        self._waiters.append(waiter)
        alarm = None if deadline is None else self._clock.call_at(deadline, lambda: _give_up(waiter.place))
        try:
            self._plan()
            return await waiter.place
        except BaseException:
            # Cancelled, perhaps in the very moment that its turn came.
            if waiter.place.done() and not waiter.place.cancelled() and waiter.place.exception() is None:
                if waiter.place.result():
                    self._quota.give_back(tokens)
                    self.wake()
            else:
                self._drop(waiter)
            raise
        finally:
            if alarm is not None:
                alarm.cancel()

    def wake(self) -> None:
        """Somebody has left, or the quota has changed: lets in who may go now, and sees to it that the next is let in in time."""
        if self._waiters:
            self._plan()

    def pause_began(self) -> None:
        """A server asked for a pause: those who may go elsewhere do."""
        now = self._clock.monotonic()
        pause_s = self._quota.paused_until - now
        stay: deque[_Waiter] = deque()
        for waiter in self._waiters:
            if waiter.leaves_on_pause or pause_s > waiter.most_pause_s:
                if not waiter.place.done():
                    waiter.place.set_result(False)
            else:
                stay.append(waiter)
        self._waiters = stay
        self.wake()

    def _plan(self) -> None:
        quota, now = self._quota, self._clock.monotonic()
        while self._waiters:
            waiter = self._waiters[0]
            if waiter.place.done():
                self._waiters.popleft()
                continue
            if not quota.has_room():
                return self._set_timer(math.inf)  # who leaves wakes us
            ready_at = quota.ready_at()
            if ready_at > now:
                return self._set_timer(ready_at)
            self._waiters.popleft()
            quota.take(waiter.tokens, now)
            waiter.place.set_result(True)
        return self._set_timer(math.inf)

    def _set_timer(self, when: float) -> None:
        if when == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when == math.inf else self._clock.call_at(when, self._ring)
        self._timer_at = when

    def _ring(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._plan()

    def _drop(self, waiter: _Waiter) -> None:
        try:
            self._waiters.remove(waiter)
        except ValueError:
            return
        self.wake()


def _give_up(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_exception(TimeoutError())
