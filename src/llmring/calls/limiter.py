"""Rate limits for what is no call of a ring: another API, a database, a model that is asked by hand. First come, first served."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from llmring.calls.queue import Queue
from llmring.clock import Clock, SystemClock
from llmring.exceptions import ConfigurationError, ProviderRateLimitError
from llmring.resilience.policy import RateLimits
from llmring.resilience.quota import Quota
from llmring.resilience.rates import Bucket


class TokenBucket:
    """Holds `capacity` tokens, gets `refill_per_s` more each second until it is full, and is full at the start. What tokens are is yours
    to say. capacity 0: no limit.

    Callable from one event loop at a time. clock: for tests.

    >>> bucket = TokenBucket(100, refill_per_s=10)  # then, in a coroutine: await bucket.acquire(30)
    """

    def __init__(self, capacity: float, refill_per_s: float = 0.0, *, clock: Clock | None = None) -> None:
        for name, value in (("capacity", capacity), ("refill_per_s", refill_per_s)):
            if isinstance(value, bool) or not math.isfinite(value) or value < 0:
                raise ConfigurationError(f"TokenBucket.{name}: {value!r}", hint="a number, 0 or more")
        if capacity and not refill_per_s:
            raise ConfigurationError("TokenBucket.refill_per_s: 0", hint="above 0: an empty bucket would stay empty")
        self.capacity = capacity
        self.refill_per_s = refill_per_s
        self._clock = clock or SystemClock()
        self._level = _Level(Bucket(capacity, refill_per_s)) if capacity else None
        self._queue = None if self._level is None else Queue(self._level, self._clock)

    @property
    def waiting(self) -> int:
        """How many wait for tokens."""
        return 0 if self._level is None else self._level.waiting

    async def acquire(self, tokens: float = 1.0) -> None:
        """Takes tokens, and waits until there are so many and everybody has been served who came before. Cancelled, it takes none.

        Raises ConfigurationError for less than none, and for more than the bucket ever holds.
        """
        if not tokens >= 0:
            raise ConfigurationError(f"TokenBucket.acquire: {tokens!r} tokens", hint="a number, 0 or more")
        if self._queue is None:
            return
        if tokens > self.capacity:
            raise ConfigurationError(
                f"TokenBucket.acquire: {tokens:g} tokens of a bucket that holds {self.capacity:g}: they would never come",
                hint="acquire fewer at a time, or make the bucket's capacity larger",
            )
        await self._queue.enter(tokens)


class _Level:
    """A bucket as a queue wants it."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.waiting = 0
        self.paused_until = -math.inf

    def ready_at(self, tokens: float = 0.0, requests: int = 1) -> float:
        return self._bucket.ready_at(tokens)

    def has_room(self) -> bool:
        return True

    def take(self, tokens: float, now: float, requests: int = 1) -> float:
        self._bucket.take(tokens, now)
        return tokens

    def give_back(self, reserved: float, taken_at: float, requests: int = 1) -> None:
        self._bucket.give_back(reserved, taken_at)


class LimitedUse:
    """What happens within a limit. output_tokens: to be set to what came out, which counts as well."""

    __slots__ = ("output_tokens", "requests", "tokens")

    def __init__(self, tokens: float, requests: int) -> None:
        self.tokens = tokens
        self.requests = requests
        self.output_tokens: float = 0


class RateLimiter:
    """Keeps `RateLimits` for whatever is done within `limit()`. Callable from one event loop at a time. clock: for tests.

    >>> limiter = RateLimiter(RateLimits(requests_per_minute=60, tokens_per_minute=10_000))
    """

    def __init__(self, limits: RateLimits, *, clock: Clock | None = None) -> None:
        self.limits = limits
        self._clock = clock or SystemClock()
        self._quota = Quota(limits)
        self._queue = Queue(self._quota, self._clock)

    @property
    def in_flight(self) -> int:
        return self._quota.in_flight

    @property
    def waiting(self) -> int:
        return self._quota.waiting

    @asynccontextmanager
    async def limit(self, tokens: float = 0, requests: int = 1) -> AsyncGenerator[LimitedUse]:
        """`async with limiter.limit(120) as use: …; use.output_tokens = 800`. tokens: what goes in, known before.

        What came out is debited at the end, however that comes. Raises ProviderRateLimitError for what never fits, and
        ConfigurationError for less than nothing.
        """
        for name, asked, most in (
            ("tokens", tokens, self.limits.tokens_per_minute),
            ("requests", requests, self.limits.requests_per_minute),
        ):
            if not asked >= 0:
                raise ConfigurationError(f"RateLimiter.limit: {name} is {asked!r}", hint="a number, 0 or more")
            if most is not None and asked > most:
                raise ProviderRateLimitError(
                    f"limit({name}={asked:g}): {name}_per_minute is {most:g}: it would never be let through",
                    retryable=False,
                    hint=f"raise RateLimits.{name}_per_minute, or do it in smaller pieces",
                )
        place = await self._queue.enter(tokens, requests=requests)
        assert place is not None  # nobody pauses it
        use = LimitedUse(tokens, requests)
        try:
            yield use
        finally:
            # What is no amount would spoil the count for everybody after it: then what was known before counts.
            came_out = use.output_tokens if 0 <= use.output_tokens < math.inf else 0.0
            self._quota.settle(place.reserved, tokens + came_out, self._clock.monotonic(), place.taken_at)
            self._queue.wake()
