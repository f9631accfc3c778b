"""The loop around one call's attempts: asks whom the plan names, waits as long as it says, and tells in the end what was tried."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from llmring.calls.attempts import note_attempt, note_called_off
from llmring.calls.call import PoolCall
from llmring.calls.gates import Gates, refused
from llmring.calls.hedging import Hedging, Race
from llmring.exceptions import CircuitBreakerError, ContextLengthError, LLMRingError
from llmring.resilience.deadline import deadline_passed
from llmring.resilience.fallback import most_useful, moves_on, with_attempts
from llmring.resilience.outcome import judge
from llmring.resilience.overflow import explain_overflow, find_window
from llmring.resilience.plan import Plan, Route, find_line
from llmring.resolver import Candidate

_log = logging.getLogger("llmring.calls")

AnyCall = TypeVar("AnyCall", bound=PoolCall)
AnyReply = TypeVar("AnyReply")


def with_recovery(
    send_to: Callable[[AnyCall, Candidate], Awaitable[AnyReply]],
    gates: Gates,
    list_routes: Callable[[AnyCall], tuple[Candidate, ...]],
    hedging: Hedging[AnyCall, AnyReply] | None = None,
) -> Callable[[AnyCall], Awaitable[AnyReply]]:
    """The pool's candidates until one answers (streams: until the first content), each asked with the original request: the next one at
    once, the same one again only where no other is healthy.

    list_routes: the call's candidates, one for each key of their providers, in the order to try. hedging: for calls whose policy wants it.
    """
    board = gates.board
    clock = board.clock

    async def send_with_recovery(call: AnyCall) -> AnyReply:
        now = clock.monotonic()
        board.budget.add_call(now)
        candidates = list_routes(call)
        call.has_siblings = len(candidates) > 1
        if call.restarts or (hedging is not None and (call.retry or board.retry).hedge):
            recovery = _Recovery(call, candidates, send_to, gates, hedging)
            reply = await recovery.run()
            if call.restarts:
                call.restart = recovery.restart
            return reply
        first = candidates[0]
        recovery = None
        target = board.find(first.ref.provider, first.credential, first.ref.model)
        stands_in_line = call.has_siblings and not target.quota.is_free and find_line(target, now) is not None
        if not stands_in_line and target.refusal(now) is None:
            if call.deadline is not None and now >= call.deadline:
                raise with_attempts(deadline_passed(), call.attempts)
            # The way of nearly every call: nothing is planned before something fails.
            try:
                return await send_to(call, first)
            except LLMRingError as error:
                recovery = _Recovery(call, candidates, send_to, gates)
                if recovery.note_first(error, now):
                    raise
        return await (recovery or _Recovery(call, candidates, send_to, gates)).run()

    return send_with_recovery


class _Recovery(Generic[AnyCall, AnyReply]):
    """The rest of one call that was not answered at the first attempt.

    Where it raises, no frame of its own keeps the error, which keeps the frames: what has failed goes at once, not when garbage is
    collected.
    """

    def __init__(
        self,
        call: AnyCall,
        candidates: tuple[Candidate, ...],
        send_to: Callable[[AnyCall, Candidate], Awaitable[AnyReply]],
        gates: Gates,
        hedging: Hedging[AnyCall, AnyReply] | None = None,
    ) -> None:
        board = gates.board
        self._call = call
        self._sleep = gates.sleep
        self._hedging = hedging
        self._policy = call.retry or board.retry
        self._asked: tuple[Route[Candidate], float] | None = None  # who answered, and when it was asked
        self._send_to = send_to
        self._clock = board.clock
        self._errors: list[LLMRingError] = []
        self._has_failed = False  # once, at least
        self._routes = [Route(c, board.find(c.ref.provider, c.credential, c.ref.model)) for c in candidates]
        self._plan = Plan(self._routes, self._policy, board.budget, board.random, call.deadline)

    async def restart(self, error: LLMRingError) -> AnyReply:
        """The answer that was got has broken off: another, as after any other failed attempt."""
        assert self._asked is not None
        route, started = self._asked
        ends = self._note(route, error, started)
        assert not ends  # a stream that broke off moves on
        del error
        return await self.run()

    def note_first(self, error: LLMRingError, started: float) -> bool:
        """What came of asking the first route, before there was a plan. Whether it ends the call."""
        return self._note(self._routes[0], error, started)

    async def run(self) -> AnyReply:
        """Until one answers."""
        try:
            return await self._run()
        finally:
            self._errors.clear()

    async def _run(self) -> AnyReply:
        while True:
            now = self._clock.monotonic()
            if self._call.deadline is not None and now >= self._call.deadline:
                raise with_attempts(deadline_passed(), self._call.attempts) from self._last
            step = self._plan.next(now, paused_s=self._call.paused_s)
            self._tell_refusals(step)
            if step is None:
                raise with_attempts(most_useful(self._errors), self._call.attempts)
            if not isinstance(step, Route):
                await self._sleep(step - now)
                continue
            try:
                return await self._ask(step, now)
            except CircuitBreakerError as error:
                # It was shut while the call waited in its line: no attempt was made.
                self._plan.turned_away(step, self._clock.monotonic())
                self._pass_over(step, error)
            except LLMRingError as error:
                if self._note(step, error, now):
                    raise

    async def _ask(self, route: Route[Candidate], now: float) -> AnyReply:
        """One attempt; the first one of a call, where the policy says so, with a second one beside it if it takes long."""
        hedging = self._hedging
        delay_s = (
            None if hedging is None or self._has_failed else hedging.delay_s(self._call, self._policy, route.target)
        )
        if hedging is None or delay_s is None:
            reply = await self._send_to(self._call, route.candidate)
            self._asked = route, now
            return reply
        race = Race(
            self._call,
            self._send_to,
            self._clock,
            hedging,
            self._policy,
            second_failed=self._note_beside,
            called_off=self._note_called_off,
        )
        winner, asked_at, reply = await race.run(
            route, delay_s, lambda: hedging.find_second(self._routes, route, self._policy)
        )
        self._asked = winner, asked_at
        return reply

    def _note_beside(self, route: Route[Candidate], error: LLMRingError, started: float) -> None:
        """An attempt failed while another one was under way, which goes on whatever this one says."""
        now = self._clock.monotonic()
        self._record(route, error, now - started)
        self._errors.append(error)
        self._has_failed = True
        if isinstance(error, CircuitBreakerError):
            self._plan.turned_away(route, now)
        else:
            self._plan.failed(route, judge(error), now)

    def _note_called_off(self, route: Route[Candidate], winner: Route[Candidate], started: float) -> None:
        self._plan.called_off(route)
        note_called_off(self._call, route.candidate, winner.candidate, self._clock.monotonic() - started)

    @property
    def _last(self) -> LLMRingError | None:
        return self._errors[-1] if self._errors else None

    def _note(self, route: Route[Candidate], error: LLMRingError, started: float) -> bool:
        """An attempt failed. Whether that ends the call."""
        now = self._clock.monotonic()
        self._record(route, error, now - started)
        self._has_failed = True
        if isinstance(error, CircuitBreakerError):
            self._errors.append(error)
            return False
        if isinstance(error, ContextLengthError):
            return self._note_overflow(route, error)
        is_meant = route.candidate.ref is self._call.resolution.candidates[0].ref
        if not moves_on(error, first=is_meant):
            with_attempts(error, self._call.attempts)
            return True
        self._errors.append(error)
        self._plan.failed(route, judge(error), now)
        if route is not self._routes[-1]:
            _log.warning("%s failed (%s)", route.candidate.ref, type(error).__name__)
        return False

    def _note_overflow(self, route: Route[Candidate], error: ContextLengthError) -> bool:
        """The prompt does not fit the model. Ends the call, unless the policy goes on to a model that holds more, and there is one."""
        moves = self._policy.on_overflow == "larger_window"
        more = explain_overflow(route.candidate, [each.candidate for each in self._routes], moves=moves)
        error.hint = "; ".join(hint for hint in (error.hint, more) if hint) or None
        if not moves or not self._plan.overflowed(route, find_window):
            with_attempts(error, self._call.attempts)
            return True
        self._errors.append(error)
        _log.warning("%s failed (%s)", route.candidate.ref, type(error).__name__)
        return False

    def _tell_refusals(self, step: Route[Candidate] | float | None) -> None:
        """Who was passed over, once each: a breaker that is open is a reason to go on to the next model."""
        for route in self._routes:
            if route is step:
                return
            if route.refusal is not None and not route.is_told:
                now = self._clock.monotonic()
                self._pass_over(route, refused(route.target, route.refusal, now))

    def _pass_over(self, route: Route[Candidate], error: CircuitBreakerError) -> None:
        if not route.is_told:
            self._errors.append(error)
            self._record(route, error, 0.0)

    def _record(self, route: Route[Candidate], error: LLMRingError, seconds: float) -> None:
        route.is_told = True  # who has failed is not passed over as well
        note_attempt(self._call, route.candidate, error, seconds)
