"""The order in which a call is wrapped, visible in one function, and the two wrappers that need nothing but each other."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from llmring.calls.call import Call, PlainCall, PlainReply, PoolCall, Reply, Send, SendTo
from llmring.calls.digest import DigestCheck
from llmring.calls.drift import DriftCheck
from llmring.clock import Clock
from llmring.exceptions import AttemptRecord, LLMRingError, ProviderError
from llmring.resilience.deadline import deadline_passed
from llmring.resilience.fallback import most_useful, moves_on, with_attempts
from llmring.resolver import Candidate

_log = logging.getLogger("llmring.calls")

T = TypeVar("T")
AnyCall = TypeVar("AnyCall", bound=PoolCall)
AnyReply = TypeVar("AnyReply")


def build_chain(
    exchange: SendTo, clock: Clock, *, drift: DriftCheck | None = None, digests: DigestCheck | None = None
) -> Send:
    """cache ( deadline ( fallback ( retry ( breaker ( limits ( pin ( exchange )))))))

    Read from the inside out. Each wrapper is a function around the one below it; a new one is a line here. Without drift and digests
    nothing is compared with the lock.
    """
    send_to = exchange if drift is None else with_pin(exchange, drift, digests)
    # limits, breaker and retry each wrap `send_to`: they act on one candidate.
    send = with_fallback(send_to, clock)
    return with_deadline(send, clock)
    # a response cache wraps everything: a hit asks nobody.


def build_plain_chain(
    exchange: Callable[[PlainCall[T], Candidate], Awaitable[PlainReply[T]]],
    clock: Clock,
    *,
    digests: DigestCheck,
    check: Callable[[PlainCall[T], PlainReply[T]], None] | None = None,
) -> Callable[[PlainCall[T]], Awaitable[PlainReply[T]]]:
    """The same for what is not chat: fallback ( pin ( exchange )). Its deadline is set where the call is made.

    check: of the model that answers, where what it answers names one.
    """

    async def send_pinned(call: PlainCall[T], candidate: Candidate) -> PlainReply[T]:
        if candidate.digest is not None:
            await digests.check(candidate, call.deadline)
        reply = await exchange(call, candidate)
        if check is not None:
            check(call, reply)
        return reply

    return with_fallback(send_pinned, clock)


def build_direct_chain(exchange: SendTo, clock: Clock) -> Send:
    """For a provider that is called by itself: deadline ( exchange ). One model, one attempt."""

    async def send_once(call: Call) -> Reply:
        return await exchange(call, call.resolution.candidates[0])

    return with_deadline(send_once, clock)


def with_pin(send_to: SendTo, drift: DriftCheck, digests: DigestCheck | None) -> SendTo:
    """What is locked is what is called, and what answers: the content before, the name after."""

    async def send_pinned(call: Call, candidate: Candidate) -> Reply:
        if candidate.digest is not None and digests is not None:
            await digests.check(candidate, call.deadline)
        reply = await send_to(call, candidate)
        drift.check(call, reply)
        return reply

    return send_pinned


def with_deadline(send: Send, clock: Clock) -> Send:
    """One deadline over all attempts. Every wait below is bounded by it."""

    async def send_within_deadline(call: Call) -> Reply:
        if call.request.deadline is not None:
            call.deadline = call.started + call.request.deadline
        return await send(call)

    return send_within_deadline


def with_fallback(
    send_to: Callable[[AnyCall, Candidate], Awaitable[AnyReply]], clock: Clock
) -> Callable[[AnyCall], Awaitable[AnyReply]]:
    """The pool's candidates in order, each with the original request, until one answers (streams: until the first content)."""

    async def send_with_fallback(call: AnyCall) -> AnyReply:
        errors: list[LLMRingError] = []
        candidates = call.resolution.candidates
        for candidate in candidates:
            started = clock.monotonic()
            if call.deadline is not None and started >= call.deadline:
                raise with_attempts(deadline_passed(), call.attempts) from (errors[-1] if errors else None)
            try:
                return await send_to(call, candidate)
            except LLMRingError as error:
                call.attempts.append(_record(candidate, error, clock.monotonic() - started))
                if not moves_on(error, first=not errors):
                    with_attempts(error, call.attempts)
                    raise
                errors.append(error)
                if candidate is not candidates[-1]:
                    _log.warning(
                        "%s failed (%s), trying the next model of the pool", candidate.ref, type(error).__name__
                    )
        raise with_attempts(most_useful(errors), call.attempts)

    return send_with_fallback


def _record(candidate: Candidate, error: LLMRingError, seconds: float) -> AttemptRecord:
    status = error.status if isinstance(error, ProviderError) else None
    return AttemptRecord(
        candidate.ref.provider, candidate.ref.model, type(error).__name__, error.message, status, seconds
    )
