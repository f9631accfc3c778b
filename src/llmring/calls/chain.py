"""The order in which a call is wrapped, visible in one function, and the small wrappers that need nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from llmring.calls.attempts import find_usage
from llmring.calls.call import Call, PlainCall, PlainReply, PoolCall, Reply, Send, SendTo
from llmring.calls.digest import DigestCheck
from llmring.calls.drift import DriftCheck
from llmring.calls.gates import Gates
from llmring.calls.hedging import hedge_chat
from llmring.calls.recovery import with_recovery
from llmring.exceptions import ModelDriftError
from llmring.resolver import Candidate

T = TypeVar("T")
AnyCall = TypeVar("AnyCall", bound=PoolCall)

ListRoutes: TypeAlias = Callable[[AnyCall], tuple[Candidate, ...]]


def _as_they_are(call: PoolCall) -> tuple[Candidate, ...]:
    return call.resolution.candidates


def build_chain(
    exchange: SendTo,
    gates: Gates,
    *,
    list_routes: ListRoutes[Call] = _as_they_are,
    drift: DriftCheck | None = None,
    digests: DigestCheck | None = None,
) -> Send:
    """cache ( deadline ( recovery ( gates ( pin ( exchange )))))

    Read from the inside out. Each wrapper is a function around the one below it; a new one is a line here. Without drift and digests
    nothing is compared with the lock. recovery is fallback and retry in one, because they decide together: the next model at once,
    the same one again only where no other is healthy. gates are breakers, limits and pauses.
    """
    send_to = exchange if drift is None else with_pin(exchange, drift, digests)
    send_to = gates.guard(send_to)
    send = with_recovery(send_to, gates, list_routes, hedge_chat(gates.board))
    return with_deadline(send)
    # a response cache wraps everything: a hit asks nobody.


def build_plain_chain(
    exchange: Callable[[PlainCall[T], Candidate], Awaitable[PlainReply[T]]],
    gates: Gates,
    *,
    digests: DigestCheck,
    list_routes: ListRoutes[PlainCall[T]] = _as_they_are,
    check: Callable[[PlainCall[T], PlainReply[T]], None] | None = None,
) -> Callable[[PlainCall[T]], Awaitable[PlainReply[T]]]:
    """The same for what is not chat: recovery ( gates ( pin ( exchange ))). Its deadline is set where the call is made.

    check: of the model that answers, where what it answers names one.
    """

    async def send_pinned(call: PlainCall[T], candidate: Candidate) -> PlainReply[T]:
        if candidate.digest is not None:
            await digests.check(candidate, call.deadline)
        reply = await exchange(call, candidate)
        if check is not None:
            check(call, reply)
        return reply

    return with_recovery(gates.guard_plain(send_pinned), gates, list_routes)


def build_direct_chain(exchange: SendTo) -> Send:
    """For a provider that is called by itself: deadline ( exchange ). One model, one attempt."""

    async def send_once(call: Call) -> Reply:
        return await exchange(call, call.resolution.candidates[0])

    return with_deadline(send_once)


def with_pin(send_to: SendTo, drift: DriftCheck, digests: DigestCheck | None) -> SendTo:
    """What is locked is what is called, and what answers: the content before, the name after."""

    async def send_pinned(call: Call, candidate: Candidate) -> Reply:
        if candidate.digest is not None and digests is not None:
            await digests.check(candidate, call.deadline)
        reply = await send_to(call, candidate)
        try:
            drift.check(call, reply)
        except ModelDriftError as error:
            error.usage = find_usage(call, reply.events)  # an answer that is not taken is paid for all the same
            raise
        return reply

    return send_pinned


def with_deadline(send: Send) -> Send:
    """One deadline over all attempts. Every wait below is bounded by it."""

    def send_within_deadline(call: Call) -> Awaitable[Reply]:
        if call.request.deadline is not None:
            call.deadline = call.started + call.request.deadline
        return send(call)

    return send_within_deadline
