"""A quota that several processes share: each goes by a slice that it has on lease, and by its share of the whole while there are none.

A permit is good from the moment it is due until `lease_s` later, so that what all processes together do with theirs within 60 s is known
whoever holds them: the rate is that of a window of 60 s and a lease. A process that dies keeps nobody waiting: what it held runs out.

Pure: who asks, and whom, is `calls/shared_limits.py`'s.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from llmring.resilience.policy import RateLimits
from llmring.resilience.quota import Quota
from llmring.resilience.rates import WINDOW_S, Bucket

if TYPE_CHECKING:
    from llmring.clock import Clock

# Of what is allowed in a minute, this share may go at once. Smaller than one process's own: the lease costs a little already. Guess.
_BURST_SHARE: Final = 0.01
# Of its part of the limits, what a process goes by that cannot ask: others may have come since. Guess.
_ALONE_SHARE: Final = 0.95
# The most that is asked for at once, whatever was used lately.
_MOST_PARCELS: Final = 256
# Tokens that were used beyond what was reserved are told to the others once they come to this share of a minute's. Guess.
_TOLD_SHARE: Final = 0.01

# Two ends of pauses that are as close as this are one pause, by two clocks. Guess.
_SAME_PAUSE_S: Final = 0.05


class Parcel(NamedTuple):
    """What one call takes."""

    requests: int
    tokens: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What a process tells and asks. spent: requests that went by its own share lately. owed: tokens that were used and not reserved,
    or the other way round. pause_s: a server's pause to tell of; ends_pause: whether it is called off."""

    parcels: tuple[Parcel, ...]
    spent: int
    owed: float
    pause_s: float
    ends_pause: bool


@dataclass(frozen=True, slots=True)
class Rates:
    """Both buckets, in requests, tokens and seconds; 0 seconds where there is no limit."""

    request_s: float
    most_requests: float
    token_s: float
    most_tokens: float


@dataclass(frozen=True, slots=True)
class SharingHealth:
    """Whether limits are shared with other processes now. server: without its password. reason: why not. workers: how many processes
    there were when it last answered. retry_in_s: from when on the next call asks it again."""

    server: str
    shared: bool
    reason: str
    retry_in_s: float | None
    workers: int


class _Permit:
    __slots__ = ("expires", "ready", "requests", "tokens")

    def __init__(self, requests: int, tokens: float, ready: float, expires: float) -> None:
        self.requests = requests
        self.tokens = tokens
        self.ready = ready
        self.expires = expires


class SharedQuota(Quota):
    """A quota with requests or tokens a minute, which are those of all processes together. in_flight is this process's own.

    ask: told that there is a `wish`; whoever asks answers with `grant`, or `go_alone`. workers: how many processes there are, as far as
    is known; at_least: what the application says.
    """

    __slots__ = (
        "__weakref__",
        "_alone",
        "_ask",
        "_asked",
        "_at_least",
        "_changed",
        "_clock",
        "_counted_from",
        "_ends_pause",
        "_granted",
        "_last_taken",
        "_owed",
        "_permits",
        "_spent",
        "_taken",
        "_taken_before",
        "_told",
        "_told_pause",
        "lease_s",
        "workers",
    )

    def __init__(
        self,
        limits: RateLimits,
        clock: Clock,
        ask: Callable[[SharedQuota], None],
        *,
        lease_s: float,
        at_least: int = 1,
    ) -> None:
        super().__init__(limits, is_bound=True)
        self._clock = clock
        self._ask = ask
        self._changed: Callable[[], None] | None = None
        self.lease_s = lease_s
        self._at_least = at_least
        self.workers = at_least
        self._permits: deque[_Permit] = deque()
        self._granted = Bucket(1, 1)  # requests, as if there were no other process
        self._asked: Parcel | None = None  # what the first in line waits for
        self._alone: tuple[Bucket | None, Bucket | None] | None = None  # requests and tokens, while nobody can be asked
        self._spent = 0
        self._owed = 0.0
        self._told: Wish | None = None
        self._told_pause = -math.inf  # the end of a pause that the others have yet to be told of; -inf: none
        self._ends_pause = False
        self._counted_from = -math.inf
        self._taken = 0
        self._taken_before = 0
        self._last_taken = -math.inf

    @property
    def is_alone(self) -> bool:
        return self._alone is not None

    def watch(self, changed: Callable[[], None]) -> None:
        """Calls this whenever what `ready_at` says may have changed."""
        self._changed = changed

    # As any quota

    def is_idle(self, now: float) -> bool:
        return super().is_idle(now) and now > self._last_taken + WINDOW_S

    def ready_at(self, tokens: float = 0.0, requests: int = 1) -> float:
        now = self._clock.monotonic()
        if self.paused_until > now:
            return self.paused_until
        if self._alone is not None:
            per_request, per_token = self._alone
            when = -math.inf if per_request is None else per_request.ready_at(requests)
            return when if per_token is None else max(when, per_token.ready_at(self._expect(tokens)))
        when = self._granted_at(requests, now)
        if when == math.inf:
            self._asked = Parcel(requests, self._expect(tokens) if self.counts_tokens else 0.0)
            self._ask(self)
        return when

    def line_ends_at(self, now: float) -> float:
        """A guess, for which nobody is asked: where permits are missing, what this process had itself says when more can be due."""
        if not self.has_room():
            return math.inf
        if self._alone is not None:
            line_s = 0.0 if self._alone[0] is None else self._alone[0].lasts_s(self.waiting)
            return max(now, self.ready_at()) + line_s
        when, place = max(now, self.paused_until), self.waiting + 1
        for permit in self._permits:
            if permit.expires > when:
                when = max(when, permit.ready)
                place -= permit.requests
                if place <= 0:
                    return when
        if self._requests is None:
            return when
        rates = self.rates()
        self._granted.fit(rates.most_requests, 1 / rates.request_s)
        return max(when, self._granted.ready_at(place))

    def take(self, tokens: float, now: float, requests: int = 1) -> float:
        self.in_flight += 1
        reserved = self._expect(tokens) if self.counts_tokens else 0.0
        self._count(now, requests)
        if self._alone is None:
            self._owed += reserved - self._draw(requests)
            return reserved
        per_request, per_token = self._alone
        if per_request is not None:
            per_request.take(requests, now)
        if per_token is not None:
            per_token.take(reserved, now)
        self._spent += requests
        self._owed += reserved
        self._ask(self)  # whether the others are back
        return reserved

    def settle(self, reserved: float, used: float | None, now: float, taken_at: float, estimate: float = 0.0) -> None:
        self.in_flight -= 1
        if self._tokens is None or used is None:
            return
        self._learn_share(used, estimate)
        if used < reserved and now - taken_at >= WINDOW_S:
            return  # it has been waited for, and is gone
        self._owed += used - reserved
        if self._alone is not None:
            per_token = self._alone[1]
            if per_token is not None:
                per_token.settle(reserved, used, now, taken_at)
        elif abs(self._owed) > _TOLD_SHARE * self._tokens.per_minute:
            self._ask(self)

    def give_back(self, reserved: float, taken_at: float, requests: int = 1) -> None:
        """The tokens: a request's turn cannot be used later, it is gone."""
        self.in_flight -= 1
        self._owed -= reserved

    def heed(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        super().heed(requests_per_minute, tokens_per_minute)
        if self._alone is not None:
            self._fit_alone(*self._alone)

    def pause(self, until: float, reason: str) -> bool:
        if not super().pause(until, reason):
            return False
        self._told_pause = until
        self._ask(self)
        return True

    def resume(self) -> None:
        super().resume()
        self._told_pause = -math.inf
        self._ends_pause = True
        self._ask(self)

    # Between the processes

    def rates(self) -> Rates:
        """What all processes go by together."""
        window_s = WINDOW_S + self.lease_s
        request_s = most_requests = token_s = most_tokens = 0.0
        if self._requests is not None:
            most = max(1, math.floor(self._requests.per_minute + 1e-6))
            most_requests = max(1, int(most * _BURST_SHARE))
            request_s = window_s / (most - most_requests + 1)
        if self._tokens is not None:
            most_tokens = self._tokens.per_minute * _BURST_SHARE
            token_s = window_s / (self._tokens.per_minute - most_tokens)
        return Rates(request_s, most_requests, token_s, most_tokens)

    def wish(self) -> Wish | None:
        """What is to be told or asked now. None for nothing."""
        now = self._clock.monotonic()
        pause_s = max(0.0, self._told_pause - now)
        parcels = self._choose_parcels() if self._asked is not None and self._alone is None else ()
        owes = self._tokens is not None and abs(self._owed) > _TOLD_SHARE * self._tokens.per_minute
        if not parcels and not owes and not pause_s and not self._ends_pause and self._alone is None:
            return None
        self._told = Wish(parcels, self._spent, self._owed, pause_s, self._ends_pause)
        return self._told

    def grant(self, wish: Wish, due_after_s: Sequence[float], asked_at: float, now: float, workers: int) -> None:
        """What came of a wish: the first of its parcels, each due so long after the answer was given, some time after asked_at."""
        self._asked = None
        self._alone = None
        if self._told is wish:  # else it was forgotten meanwhile
            self._spent -= wish.spent
            self._owed -= wish.owed
        if wish.ends_pause:
            self._ends_pause = False
        if wish.pause_s and self._told_pause <= asked_at + wish.pause_s:
            self._told_pause = -math.inf
        self.workers = max(self._at_least, workers)
        # It was given between asked_at and now: whichever is safe.
        for parcel, after_s in zip(wish.parcels, due_after_s, strict=False):
            expires = asked_at + after_s + self.lease_s
            self._permits.append(_Permit(parcel.requests, parcel.tokens, now + after_s, expires))
            self._granted.take(parcel.requests, now)

    def go_together(self) -> None:
        """The others can be reached again. What was used meanwhile is told with the next wish."""
        self._alone = None

    def learn_pause(self, until: float, reason: str) -> bool:
        """Another process was told to wait. False where that is known."""
        if self._ends_pause:
            return False  # it was called off here since the question went out
        is_news = until > self.paused_until + _SAME_PAUSE_S
        super().pause(until, reason if is_news else self.pause_reason)
        return is_news

    def go_alone(self) -> None:
        """The others cannot be reached: by this process's own share from now on."""
        now = self._clock.monotonic()
        self._asked = None
        self._spent, self._owed, self._told = 0, 0.0, None
        if self._alone is not None:
            return
        self._permits.clear()
        per_request = None if self._requests is None else Bucket(1, 1)
        per_token = None if self._tokens is None else Bucket(1, 1)
        self._alone = (per_request, per_token)
        self._fit_alone(per_request, per_token)
        if self._last_taken > now - WINDOW_S:  # what was used of the whole until now counts: no burst
            for bucket in self._alone:
                if bucket is not None:
                    bucket.take(bucket.capacity, now)

    def tell_change(self) -> None:
        if self._changed is not None:
            self._changed()

    def _fit_alone(self, per_request: Bucket | None, per_token: Bucket | None) -> None:
        share = _ALONE_SHARE / max(self._at_least, self.workers)
        if per_request is not None and self._requests is not None:
            most = share * self._requests.per_minute
            burst = max(1, int(most * _BURST_SHARE))
            per_request.fit(burst, (most - burst + 1) / WINDOW_S)
        if per_token is not None and self._tokens is not None:
            per_minute = share * self._tokens.per_minute
            per_token.fit(_BURST_SHARE * per_minute, (1 - _BURST_SHARE) * per_minute / WINDOW_S)

    def _granted_at(self, requests: int, now: float) -> float:
        """When permits for so many are due; infinite where there are too few."""
        permits = self._permits
        while permits:
            found, when = 0, -math.inf
            for permit in permits:
                found += permit.requests
                when = max(when, permit.ready)
                if found >= requests:
                    break
            if permits[0].expires > max(when, now):
                return when if found >= requests else math.inf
            permits.popleft()
        return math.inf

    def _draw(self, requests: int) -> float:
        """Uses permits; the tokens that go with them."""
        permits, tokens = self._permits, 0.0
        while requests > 0 and permits:
            permit = permits[0]
            if permit.requests > requests:  # more than was asked for: the rest stays
                part = permit.tokens * requests / permit.requests
                permit.requests -= requests
                permit.tokens -= part
                return tokens + part
            requests -= permit.requests
            tokens += permit.tokens
            permits.popleft()
        return tokens

    def _choose_parcels(self) -> tuple[Parcel, ...]:
        """For all who wait; and, where nobody does, for half of what went in the last moment: nearly all of that will be used in time."""
        assert self._asked is not None
        waiting = max(1, self.waiting)
        recent = self._taken_before if self._clock.monotonic() - self._counted_from < 2 * self.lease_s else 0
        count = min(_MOST_PARCELS, max(waiting, recent // 2))
        usual = Parcel(1, self._asked.tokens / self._asked.requests)
        return (self._asked, *[usual] * (count - 1))

    def _count(self, now: float, requests: int) -> None:
        if now - self._counted_from >= self.lease_s:
            self._taken_before = self._taken if now - self._counted_from < 2 * self.lease_s else 0
            self._taken, self._counted_from = 0, now
        self._taken += requests
        self._last_taken = now
