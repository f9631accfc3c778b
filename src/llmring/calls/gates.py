"""The gates before a target, and the bookkeeping behind it: no call reaches a target that is known to be failing, none goes faster than
it may, and each that went reports once how it ended, however it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from llmring.calls.answer import estimate_prompt_tokens
from llmring.calls.call import Call, PlainCall, PlainReply, PoolCall, Reply, SendTo
from llmring.calls.queue import Queue, Turns
from llmring.exceptions import (
    CircuitBreakerError,
    ConfigurationError,
    DeadlineExceededError,
    ProviderError,
    ProviderRateLimitError,
    ProviderUnreachableError,
    ServiceClosedError,
)
from llmring.resilience.board import Board
from llmring.resilience.breaker import BreakerState, Scope, Transition
from llmring.resilience.quota import Quota
from llmring.resilience.target import Permit, Refusal, Target
from llmring.resolver import Candidate
from llmring.schemas.events import Event, UsageReported
from llmring.wire.rate_headers import find_used_up, read_limits

T = TypeVar("T")

# As many targets as a board keeps: those that it forgets have lines here.
_MOST_QUEUES: Final = 4096
# What one call is believed to have used, in minutes of its limit: a server that reports nonsense must not shut a target for years. Guess.
_MOST_MINUTES: Final = 5.0


class Gates:
    """The gates of one ring, for whatever is sent. Callable from the ring's event loop."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._clock = board.clock
        self._queues: dict[Target, Queue] = {}  # of targets that had somebody wait
        self._turns = None if board.quota is None else Turns(board.quota, self._clock)
        self._backoffs: set[asyncio.Future[None]] = set()
        self._resting: set[Target] = set()  # whose pause was told of, and its end not yet
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None  # where calls run, as far as was noted
        board.moved_by_hand = self._look_at_lines

    async def sleep(self, seconds: float) -> None:
        """A wait between two attempts. Raises ServiceClosedError where the ring is closed meanwhile."""
        if self._closed:
            raise _ring_closed()
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(
            self._clock.monotonic() + seconds, lambda: None if woken.done() else woken.set_result(None)
        )
        self._backoffs.add(woken)
        try:
            await woken
        finally:
            timer.cancel()
            self._backoffs.discard(woken)

    def close(self) -> None:
        """Ends every wait, in lines and between attempts, with ServiceClosedError. Idempotent."""
        self._closed = True
        for woken in self._backoffs:
            if not woken.done() and not woken.get_loop().is_closed():
                woken.set_exception(_ring_closed())
        for queue in list(self._queues.values()):
            queue.close(_ring_closed)

    def check_loop(self, what: str) -> None:
        """Raises ConfigurationError where calls run on an event loop of another thread: nobody waits there to be told, and a gate may be
        half moved. what: the method that was called."""
        loop = self._loop
        if loop is None or not loop.is_running():
            self._loop = None
            return
        try:
            is_here = asyncio.get_running_loop() is loop
        except RuntimeError:
            is_here = False
        if not is_here:
            raise ConfigurationError(
                f"ring.{what}() was called outside of the event loop on which the ring's calls run",
                hint=f"from another thread: loop.call_soon_threadsafe(ring.{what}, …), with that loop",
            )

    def guard(self, send_to: SendTo) -> SendTo:
        """A function like the one given, which raises CircuitBreakerError instead of asking a target that rests."""

        async def send_guarded(call: Call, candidate: Candidate) -> Reply:
            target = self.board.find(candidate.ref.provider, candidate.credential, candidate.ref.model)
            permit = self._pass(target)
            if permit is None:
                permit = await self._wait(call, target, self._estimate(call, target))
            try:
                reply = await send_to(call, candidate)
            except BaseException as error:
                self._leave(target, permit, error)
                raise
            if reply.headers is not None:
                self._learn(target, reply.headers)
            if reply.source is not None:
                target.begin(permit, self._clock.monotonic())
                reply.settle = partial(self._leave, target, permit)
            else:
                if (call.retry or self.board.retry).hedge:
                    target.whole.add(self._clock.monotonic() - permit.started)
                self._leave(target, permit, None, None if permit.place is None else _used(reply.events))
            return reply

        return send_guarded

    def guard_plain(
        self, send_to: Callable[[PlainCall[T], Candidate], Awaitable[PlainReply[T]]]
    ) -> Callable[[PlainCall[T], Candidate], Awaitable[PlainReply[T]]]:
        """The same for what is not chat."""

        async def send_guarded(call: PlainCall[T], candidate: Candidate) -> PlainReply[T]:
            target = self.board.find(candidate.ref.provider, candidate.credential, candidate.ref.model)
            permit = self._pass(target)
            if permit is None:
                permit = await self._wait(call, target, call.tokens)
            try:
                reply = await send_to(call, candidate)
            except BaseException as error:
                self._leave(target, permit, error)
                raise
            if reply.headers is not None:
                self._learn(target, reply.headers)
            self._leave(
                target, permit, None, call.used(reply.value) if permit.place is not None and call.used else None
            )
            return reply

        return send_guarded

    def _pass(self, target: Target) -> Permit | None:
        """The way of nearly every call: no gate is shut, and nothing bounds how fast it may go."""
        now = self._clock.monotonic()
        quota = target.quota
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if quota.is_free and target.refusal(now) is None:
            if self._resting:
                self._tell_pauses_over((target,), now)
            quota.in_flight += 1
            return target.admit(now)
        return None

    async def _wait(self, call: PoolCall, target: Target, tokens: float) -> Permit:
        """Waits in line. Raises CircuitBreakerError where a gate is shut, ProviderRateLimitError for what never fits, and
        DeadlineExceededError."""
        self._loop = asyncio.get_running_loop()
        self._check(target)
        self._check_size(target, tokens)
        if self._closed:
            raise _ring_closed()
        queue = self._queues.get(target)
        if queue is None:
            if len(self._queues) >= _MOST_QUEUES:
                self._drop_idle()
            queue = self._queues[target] = Queue(target.quota, self._clock, self._turns)
            target.quota.watch(queue.changed)
        policy = call.retry or self.board.retry
        has_siblings = call.has_siblings
        again = False
        while True:
            # What servers' pauses come to while it stands there: the end of the present one, and all that begin.
            paused_s = max(0.0, target.quota.paused_until - self._clock.monotonic()) - queue.paused_s
            try:
                place = await queue.enter(
                    tokens,
                    deadline=call.deadline,
                    leaves_on_pause=has_siblings,
                    most_pause_s=policy.max_rate_limit_wait_s - call.paused_s,
                    again=again,
                )
            except TimeoutError:
                raise _deadline_passed_in_line(target) from None
            call.paused_s += max(0.0, paused_s + queue.paused_s)
            now = self._clock.monotonic()
            refusal = target.refusal(now)
            if place is None:
                raise refused(target, refusal, now)
            if refusal is None:
                if self._resting:
                    self._tell_pauses_over((target,), now)
                return target.admit(now, place)
            # What was open when it began to wait may be shut by now; a pause may have begun since its turn came, a moment ago.
            queue.give_back(place)
            if refusal.scope is not Scope.QUOTA or has_siblings:
                raise refused(target, refusal, now)
            again = True

    def _drop_idle(self) -> None:
        """Lines where nobody stands, and nobody holds a place that may come back."""
        self._queues = {t: queue for t, queue in self._queues.items() if len(queue) or t.quota.in_flight}

    def _look_at_lines(self) -> None:
        """A gate may have moved: before one that is shut, nobody stands in line who could go elsewhere."""
        now = self._clock.monotonic()
        if self._resting:
            self._tell_pauses_over(tuple(self._resting), now)
        for target, queue in self._queues.items():
            if len(queue):
                refusal = target.refusal(now)
                if refusal is not None and refusal.scope is not Scope.QUOTA:
                    queue.gate_shut()
                else:
                    queue.wake()

    def _estimate(self, call: Call, target: Target) -> int:
        """Nothing where nobody asks."""
        if target.quota.counts_tokens or (self.board.quota is not None and self.board.quota.counts_tokens):
            return estimate_call_tokens(call)
        return 0

    def _check_size(self, target: Target, tokens: float) -> None:
        for quota, where in ((target.quota, "limits"), (self.board.quota, "ring_limits")):
            most = None if quota is None else quota.limits.tokens_per_minute
            if most is not None and tokens > most:
                raise ProviderRateLimitError(
                    f"the request is some {tokens:.0f} tokens, and tokens_per_minute is {most:g}: it would never be sent",
                    provider=target.provider,
                    model=target.model_name,
                    retryable=False,
                    hint=f"raise RateLimits.tokens_per_minute in LLMRing({where}=…), or lower max_tokens",
                )

    def _learn(self, target: Target, headers: Mapping[str, str]) -> None:
        """What a good reply tells of what is left: the next call waits instead of being refused."""
        pause_s = find_used_up(headers)
        if pause_s is not None:
            now = self._clock.monotonic()
            if target.pause(now, pause_s, "the server's headers say that nothing is left"):
                self._tell_pause(target, now)
                queue = self._queues.get(target)
                if queue is not None:
                    queue.pause_began()
        if target.quota.has_rates:
            target.quota.heed(*read_limits(headers))

    def _check(self, target: Target) -> None:
        now = self._clock.monotonic()
        refusal = target.refusal(now)
        if refusal is not None and refusal.scope is not Scope.QUOTA:
            raise refused(target, refusal, now)

    def _leave(
        self, target: Target, permit: Permit, error: BaseException | None, used_tokens: float | None = None
    ) -> None:
        quota = target.quota
        paused_until = quota.paused_until
        now = self._clock.monotonic()
        place = permit.place
        if place is not None and used_tokens is None and error is not None and _cost_nothing(error):
            used_tokens, place.estimate = 0.0, 0.0  # which says nothing of estimates
        target.leave(permit, error, now, _believed(quota, used_tokens))
        if quota.paused_until > paused_until:
            self._tell_pause(target, now)
        if self._queues:
            if error is not None:
                self._look_at_lines()
            queue = self._queues.get(target)
            if queue is not None:
                if quota.paused_until > paused_until:
                    queue.pause_began()
                elif len(queue):
                    queue.wake()
                elif quota.is_free:
                    del self._queues[target]
        together = self.board.quota
        if place is not None and together is not None and self._turns is not None:
            used = _believed(together, used_tokens)
            together.settle(place.reserved_together, used, now, place.taken_at, place.estimate)
            self._turns.wake()

    def _tell_pause(self, target: Target, now: float) -> None:
        if len(self._resting) >= _MOST_QUEUES:
            self._tell_pauses_over(tuple(self._resting), now)
        old = BreakerState.OPEN if target in self._resting else BreakerState.CLOSED  # open: it is a longer one
        self._resting.add(target)
        quota = target.quota
        self._tell(target, old, BreakerState.OPEN, quota.pause_reason, quota.paused_until - now)

    def _tell_pauses_over(self, targets: Iterable[Target], now: float) -> None:
        """Of those whose pause is over. As with breakers, the next call finds out: no timer runs for it."""
        for target in targets:
            if target in self._resting and target.quota.paused_until <= now:
                self._resting.discard(target)
                self._tell(target, BreakerState.OPEN, BreakerState.CLOSED, "the pause is over", None)

    def _tell(
        self, target: Target, old: BreakerState, new: BreakerState, reason: str, retry_in_s: float | None
    ) -> None:
        self.board.tell(Transition(Scope.QUOTA, target.shown_name, old, new, reason, self._clock.now(), retry_in_s))


def _deadline_passed_in_line(target: Target) -> DeadlineExceededError:
    return DeadlineExceededError(
        "the call's deadline has passed while it waited for its turn",
        provider=target.provider,
        model=target.model_name,
        hint="LLMRequest.deadline sets it, in seconds over all attempts; ring.health() tells how many wait and for what, "
        "LLMRing(limits=…, ring_limits=…) how fast they may go",
    )


def _ring_closed() -> ServiceClosedError:
    return ServiceClosedError("this LLMRing was closed while the call waited for its turn")


def estimate_call_tokens(call: Call) -> int:
    """In and out, before it is sent: a token per four bytes, and what the answer may come to at most; half a thousand where nothing
    says so. What was used settles it."""
    return estimate_prompt_tokens(call.request) + (call.request.max_tokens or 500)


def _cost_nothing(error: BaseException) -> bool:
    """Whether a request was refused, or never arrived: no model has worked on it."""
    return isinstance(error, ProviderUnreachableError) or (
        isinstance(error, ProviderError) and error.status is not None and 400 <= error.status < 500
    )


def _believed(quota: Quota, used_tokens: float | None) -> float | None:
    most = quota.tokens_per_minute
    return used_tokens if used_tokens is None or most is None else min(max(0.0, used_tokens), _MOST_MINUTES * most)


def _used(events: Sequence[Event]) -> int | None:
    return next((event.usage.total_tokens for event in reversed(events) if isinstance(event, UsageReported)), None)


def refused(target: Target, refusal: Refusal | None, now: float) -> CircuitBreakerError:
    """What to raise for a target that is not asked."""
    if refusal is None:
        refusal = Refusal(Scope.QUOTA, now, "it rests")
    retry_s = None if refusal.until == float("inf") else max(0.0, refusal.until - now)
    if retry_s is not None:
        when = f"for another {retry_s:.1f} s"
    else:
        when = "until another call has ended" if refusal.scope is Scope.QUOTA else "until it is restored"
    return CircuitBreakerError(
        f"not asked: its {refusal.scope} rests {when} ({refusal.reason})",
        provider=target.provider,
        model=target.model_name,
        retry_after_s=retry_s,
        hint="ring.health() tells the state of every target; ring.restore(…) opens one by hand",
    )
