"""The gates before a target, and the bookkeeping behind it: no call reaches a target that is known to be failing, none goes faster than
it may, and each that went reports once how it ended, however it ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from llmring.calls.answer import estimate_prompt_tokens
from llmring.calls.call import Call, PlainCall, PlainReply, PoolCall, Reply, SendTo
from llmring.calls.queue import Queue
from llmring.exceptions import CircuitBreakerError
from llmring.resilience.board import Board
from llmring.resilience.breaker import BreakerState, Scope, Transition
from llmring.resilience.deadline import deadline_passed
from llmring.resilience.target import Permit, Refusal, Target
from llmring.resolver import Candidate
from llmring.schemas.events import Event, UsageReported

T = TypeVar("T")


class Gates:
    """The gates of one ring, for whatever is sent. Callable from the ring's event loop."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._clock = board.clock
        self._queues: dict[Target, Queue] = {}  # of targets that had somebody wait

    def guard(self, send_to: SendTo) -> SendTo:
        """A function like the one given, which raises CircuitBreakerError instead of asking a target that rests."""

        async def send_guarded(call: Call, candidate: Candidate) -> Reply:
            target = self.board.find(candidate.ref.provider, candidate.credential, candidate.ref.model)
            permit = self._pass(target)
            if permit is None:
                permit = await self._wait(call, target, estimate_call_tokens(call) if target.quota.counts_tokens else 0)
            try:
                reply = await send_to(call, candidate)
            except BaseException as error:
                self._leave(target, permit, error)
                raise
            if reply.source is not None:
                target.begin(permit, self._clock.monotonic())
                reply.settle = partial(self._leave, target, permit)
            else:
                self._leave(target, permit, None, _used(reply.events) if target.quota.counts_tokens else None)
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
            self._leave(target, permit, None)
            return reply

        return send_guarded

    def _pass(self, target: Target) -> Permit | None:
        """The way of nearly every call: no gate is shut, and nothing bounds how fast it may go."""
        now = self._clock.monotonic()
        quota = target.quota
        if quota.is_free and target.refusal(now) is None:
            quota.in_flight += 1
            return target.admit(now)
        return None

    async def _wait(self, call: PoolCall, target: Target, tokens: float) -> Permit:
        """Waits in line. Raises CircuitBreakerError where a gate is shut, ProviderRateLimitError for what never fits, and
        DeadlineExceededError."""
        self._check(target)
        queue = self._queues.get(target)
        if queue is None:
            queue = self._queues[target] = Queue(target.quota, self._clock)
        policy = call.retry or self.board.retry
        try:
            has_place = await queue.enter(
                tokens,
                deadline=call.deadline,
                leaves_on_pause=len(call.resolution.candidates) > 1,
                most_pause_s=policy.max_rate_limit_wait_s,
            )
        except TimeoutError:
            raise deadline_passed() from None
        if not has_place:
            raise refused(target, target.refusal(self._clock.monotonic()), self._clock.monotonic())
        try:
            self._check(target)  # what was open when it began to wait may be shut by now
        except CircuitBreakerError:
            target.quota.give_back(tokens)
            queue.wake()
            raise
        return target.admit(self._clock.monotonic(), tokens)

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
        target.leave(permit, error, now, used_tokens)
        if quota.paused_until > paused_until:
            self._tell_pause(target, now)
        if self._queues:
            queue = self._queues.get(target)
            if queue is not None:
                if quota.paused_until > paused_until:
                    queue.pause_began()
                elif len(queue):
                    queue.wake()
                elif quota.is_free:
                    del self._queues[target]

    def _tell_pause(self, target: Target, now: float) -> None:
        quota = target.quota
        pause_s = quota.paused_until - now
        self.board.tell(
            Transition(
                Scope.QUOTA,
                target.name,
                BreakerState.CLOSED,
                BreakerState.OPEN,
                quota.pause_reason,
                self._clock.now(),
                pause_s,
            )
        )


def estimate_call_tokens(call: Call) -> int:
    """In and out, before it is sent: a token per four bytes, and what the answer may come to at most; half a thousand where nothing
    says so. What was used settles it."""
    return estimate_prompt_tokens(call.request) + (call.request.max_tokens or 500)


def _used(events: Sequence[Event]) -> int | None:
    return next((event.usage.total_tokens for event in reversed(events) if isinstance(event, UsageReported)), None)


def refused(target: Target, refusal: Refusal | None, now: float) -> CircuitBreakerError:
    """What to raise for a target that is not asked."""
    if refusal is None:
        refusal = Refusal(Scope.QUOTA, now, "it rests")
    retry_s = None if refusal.until == float("inf") else max(0.0, refusal.until - now)
    when = "until it is restored" if retry_s is None else f"for another {retry_s:.1f} s"
    return CircuitBreakerError(
        f"not asked: its {refusal.scope} rests {when} ({refusal.reason})",
        provider=target.provider,
        model=target.model_name,
        retry_after_s=retry_s,
        hint="ring.health() tells the state of every target; ring.restore(…) opens one by hand",
    )
