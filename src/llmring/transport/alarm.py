"""One timer for all the waits of an exchange, on the clock that is passed in."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import Any, Self, TypeVar

from llmring.clock import Clock, Timer

_T = TypeVar("_T")


class Alarm:
    """Ends a wait at a moment, as asyncio.timeout does, but on a `Clock` and without a new timer for each wait.

    A stream that sets a later limit with every chunk would otherwise make and drop a timer per chunk. The timer is made by the
    first wait, is left alone while limits only move later, and looks at the limit in force when it fires.
    One wait at a time. Whoever is done calls `cancel()`.
    """

    __slots__ = ("_cancelling", "_clock", "_rang", "_task", "_timer", "_timer_at", "_until")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._until = 0.0
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._rang = False

    def until(self, moment: float | None) -> Self:
        """`with alarm.until(moment): await …` raises TimeoutError at the moment, in the clock's `monotonic()` seconds. None: never.

        A cancellation from outside always wins over the alarm, also where both come at once.
        """
        self._until = math.inf if moment is None else moment
        return self

    async def wait(self, waiting: Awaitable[_T], until: float) -> _T:
        """What `waiting` gives, with this limit."""
        with self.until(until):
            return await waiting

    def __enter__(self) -> None:
        until = self._until
        if until == math.inf:
            return
        task = asyncio.current_task()
        assert task is not None
        if self._timer is None or until < self._timer_at:
            self.cancel()
            self._timer = self._clock.call_at(until, self)
            self._timer_at = until
        self._task = task
        self._cancelling = task.cancelling()
        self._rang = False

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        task, self._task = self._task, None
        if task is None or not self._rang:
            return
        # Not swallowed: either somebody else's, and passed on, or the one that this alarm made, and taken back.
        is_ours = task.uncancel() <= self._cancelling
        if is_ours and isinstance(error, asyncio.CancelledError):
            error.__traceback__ = None  # its frames would hang on as the context of the next
            raise TimeoutError from None

    def __call__(self) -> None:
        """What the timer calls: itself, one object less for each call that waits."""
        self._timer = None
        if self._task is None:
            return  # nobody waits; the next wait makes a new timer
        if self._clock.monotonic() < self._until:
            self._timer = self._clock.call_at(self._until, self)
            self._timer_at = self._until
            return
        self._rang = True
        self._task.cancel()

    def cancel(self) -> None:
        """Lets go of the timer. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
