"""The one door to time. Everything that waits, expires or measures takes a `Clock`, so tests never sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Something that will happen, and can be called off."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Wall time, steady time, and waiting. All in seconds."""

    def now(self) -> float:
        """Seconds since the epoch; for what is shown or stored."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for measuring and for limits."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` on the running event loop once `monotonic()` reaches `when`."""
        ...


class SystemClock:
    """The machine's clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        loop = asyncio.get_running_loop()
        # Loops may count from another origin than time.monotonic (uvloop, simulated loops): go by the distance.
        return loop.call_later(max(0.0, when - time.monotonic()), callback)
