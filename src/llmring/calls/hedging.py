"""A second attempt beside a first one that is late: whichever has content first is the answer, the other is called off at once.

Opt-in (`RetryPolicy.hedge`), for chat alone. It pays for the slow twentieth of calls with a twentieth more of them, and never more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from llmring.calls.call import Call, PoolCall, Reply
from llmring.clock import Clock
from llmring.exceptions import LLMRingError
from llmring.resilience.board import Board
from llmring.resilience.breaker import BreakerState
from llmring.resilience.budget import HedgeShare
from llmring.resilience.fallback import moves_on
from llmring.resilience.plan import Route
from llmring.resilience.policy import RetryPolicy
from llmring.resilience.target import Latency, Target
from llmring.resolver import Candidate

AnyCall = TypeVar("AnyCall", bound=PoolCall)
AnyReply = TypeVar("AnyReply")

# docs/reliability.md: later than this share of the target's own calls, of which this many are known.
LATE_SHARE: Final = 0.95
LEAST_KNOWN: Final = 20


class Hedging(Generic[AnyCall, AnyReply]):
    """When a ring hedges a call, and with whom.

    find_latency: what a target's replies to such a call usually take; None for a call that may not be sent twice. discard: ends a reply
    that nobody wants any more.
    """

    def __init__(
        self,
        board: Board,
        find_latency: Callable[[AnyCall, Target], Latency | None],
        discard: Callable[[AnyReply], None],
    ) -> None:
        self._board = board
        self._find_latency = find_latency
        self._share = HedgeShare()
        self.discard = discard

    def delay_s(self, call: AnyCall, policy: RetryPolicy, target: Target) -> float | None:
        """How long to wait for the first attempt; None where there is to be no second. Counts the call."""
        if not policy.hedge or policy.attempts_per_call < 2:
            return None
        latency = self._find_latency(call, target)
        if latency is None:
            return None
        self._share.add_call()
        return latency.percentile(LATE_SHARE, least=LEAST_KNOWN)

    def find_second(
        self, routes: Sequence[Route[Candidate]], first: Route[Candidate], policy: RetryPolicy
    ) -> Route[Candidate] | None:
        """Whom to ask as well, now that the first is late: the next healthy one of the pool; where it has no other, the same again.
        What it costs is drawn from the budgets."""
        if first.target.quota.waiting:
            return None  # it may stand in our own line, which is no word on the target
        others = [route for route in routes if route is not first]
        if not others and policy.attempts > 1:
            others = [first]  # the route itself: both count as its attempts
        now = self._board.clock.monotonic()
        second = next((route for route in others if _is_healthy(route.target, now)), None)
        if second is None or not self._share.has_left() or not self._board.budget.withdraw(now):
            return None
        self._share.withdraw()
        return second

    def note_lost(self, call: AnyCall, target: Target, seconds: float) -> None:
        """A target was called off after so long. It would have taken longer: without this, only its fast replies would be known."""
        latency = self._find_latency(call, target)
        if latency is not None:
            latency.add(seconds, moves_usual=False)


def _is_healthy(target: Target, now: float) -> bool:
    """Closed all the way, and free to go: a hedge is no probe, and does not wait in a line."""
    quota = target.quota
    return (
        all(breaker.state is BreakerState.CLOSED for _, breaker in target.gates())
        and quota.ready_at() <= now
        and quota.has_room()
        and not quota.waiting
    )


class Runner(Generic[AnyReply]):
    """One of the attempts of a race."""

    __slots__ = ("route", "started", "task")

    def __init__(self, route: Route[Candidate], task: asyncio.Task[AnyReply], started: float) -> None:
        self.route = route
        self.task = task
        self.started = started


class Race(Generic[AnyCall, AnyReply]):
    """A first attempt of one call, and a second one if that takes longer than `delay_s`.

    second_failed: hears of a second attempt that failed, while the first still runs. called_off: of the attempt that has lost.
    """

    def __init__(
        self,
        call: AnyCall,
        send_to: Callable[[AnyCall, Candidate], Awaitable[AnyReply]],
        clock: Clock,
        hedging: Hedging[AnyCall, AnyReply],
        policy: RetryPolicy,
        *,
        second_failed: Callable[[Route[Candidate], LLMRingError, float], None],
        called_off: Callable[[Route[Candidate], Route[Candidate], float], None],
    ) -> None:
        self._call = call
        self._send_to = send_to
        self._clock = clock
        self._hedging = hedging
        self._policy = policy
        self._second_failed = second_failed
        self._called_off = called_off
        self._woken = asyncio.Event()

    async def run(
        self, first: Route[Candidate], delay_s: float, find_second: Callable[[], Route[Candidate] | None]
    ) -> tuple[Route[Candidate], float, AnyReply]:
        """Who answered, when it was asked, and the reply. Raises what the first attempt raised, where both failed.

        However it is left, what has not won is cancelled, and a reply that comes all the same is ended.
        """
        running = [self._start(first)]
        winner: Runner[AnyReply] | None = None
        timer = self._clock.call_at(self._clock.monotonic() + delay_s, self._woken.set)
        late_at = self._clock.monotonic() + delay_s
        has_hedged = False
        found: Runner[AnyReply] | BaseException | None = None
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                found = self._find_winner(running)
                if isinstance(found, BaseException):
                    raise found
                winner = found
                if winner is not None:
                    self._tell_losers(winner, running)
                    return winner.route, winner.started, winner.task.result()
                if not has_hedged and self._clock.monotonic() >= late_at:
                    has_hedged = True
                    second = find_second()
                    if second is not None:
                        running.append(self._start(second))
        finally:
            timer.cancel()
            self._call_off(running, winner)
            running, found = [], None  # what was raised holds this frame, and a task what it raised

    def _start(self, route: Route[Candidate]) -> Runner[AnyReply]:
        async def send() -> AnyReply:
            return await self._send_to(self._call, route.candidate)

        task = asyncio.get_running_loop().create_task(send())
        task.add_done_callback(lambda _: self._woken.set())
        return Runner(route, task, self._clock.monotonic())

    def _find_winner(self, running: list[Runner[AnyReply]]) -> Runner[AnyReply] | BaseException | None:
        """Who has won; or the error to raise, where no other can make up for it; None while neither is known."""
        first, second = running[0], running[1] if len(running) > 1 else None
        for runner in running:
            if runner.task.done() and runner.task.exception() is None:
                return runner
        if second is not None and second.task.done():
            error = second.task.exception()
            assert error is not None
            if not isinstance(error, LLMRingError):
                return error
            running.remove(second)
            self._second_failed(second.route, error, second.started)
            second = None
        if first.task.done():
            error = first.task.exception()
            assert error is not None
            if second is None or not isinstance(error, LLMRingError):
                return error
            if not moves_on(error, first=True, on_overflow=self._policy.on_overflow):
                return error
        return None

    def _tell_losers(self, winner: Runner[AnyReply], running: list[Runner[AnyReply]]) -> None:
        for runner in running:
            if runner is winner:
                continue
            error = runner.task.exception() if runner.task.done() else None
            if isinstance(error, LLMRingError):
                self._second_failed(runner.route, error, runner.started)
                continue
            seconds = self._clock.monotonic() - runner.started
            self._hedging.note_lost(self._call, runner.route.target, seconds)
            self._called_off(runner.route, winner.route, runner.started)

    def _call_off(self, running: list[Runner[AnyReply]], winner: Runner[AnyReply] | None) -> None:
        for runner in running:
            if runner is not winner:
                runner.task.cancel()
                runner.task.add_done_callback(self._drop)

    def _drop(self, task: asyncio.Task[AnyReply]) -> None:
        if not task.cancelled() and task.exception() is None:
            self._hedging.discard(task.result())


def hedge_chat(board: Board) -> Hedging[Call, Reply]:
    """For chat: streams by their first content, plain replies by the whole. Never with tools: a model's wish to act comes once."""
    return Hedging(board, _find_chat_latency, _discard)


def _find_chat_latency(call: Call, target: Target) -> Latency | None:
    request = call.request
    extra = {**(call.extra_params or {}), **(request.extra_params or {})}
    if request.tools or request.computer_use or request.background or extra.get("tools"):
        return None
    return target.first_token if call.stream else target.whole


def _discard(reply: Reply) -> None:
    try:
        if reply.source is not None:
            reply.source.close()
    finally:
        if reply.settle is not None:
            reply.settle(asyncio.CancelledError())
