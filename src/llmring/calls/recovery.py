"""The loop around one call's attempts: asks whom the plan names, waits as long as it says, and tells in the end what was tried."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from llmring.calls.call import PoolCall
from llmring.calls.gates import refused
from llmring.exceptions import AttemptRecord, CircuitBreakerError, LLMRingError, ProviderError
from llmring.resilience.board import Board
from llmring.resilience.deadline import deadline_passed
from llmring.resilience.fallback import most_useful, moves_on, with_attempts
from llmring.resilience.outcome import judge
from llmring.resilience.plan import Plan, Route
from llmring.resolver import Candidate

_log = logging.getLogger("llmring.calls")

AnyCall = TypeVar("AnyCall", bound=PoolCall)
AnyReply = TypeVar("AnyReply")


def with_recovery(
    send_to: Callable[[AnyCall, Candidate], Awaitable[AnyReply]],
    board: Board,
    list_routes: Callable[[tuple[Candidate, ...]], tuple[Candidate, ...]],
) -> Callable[[AnyCall], Awaitable[AnyReply]]:
    """The pool's candidates until one answers (streams: until the first content), each asked with the original request: the next one at
    once, the same one again only where no other is healthy.

    list_routes: the candidates, one for each key of their providers, in the order to try.
    """
    clock = board.clock

    async def send_with_recovery(call: AnyCall) -> AnyReply:
        now = clock.monotonic()
        board.budget.add_call(now)
        candidates = list_routes(call.resolution.candidates)
        first = candidates[0]
        failed: LLMRingError | None = None
        if board.find(first.ref.provider, first.credential, first.ref.model).refusal(now) is None:
            if call.deadline is not None and now >= call.deadline:
                raise with_attempts(deadline_passed(), call.attempts)
            # The way of nearly every call: nothing is planned before something fails.
            try:
                return await send_to(call, first)
            except LLMRingError as error:
                failed = error
        return await _Recovery(call, candidates, send_to, board).run(failed, now)

    return send_with_recovery


class _Recovery(Generic[AnyCall, AnyReply]):
    """The rest of one call that was not answered at the first attempt."""

    def __init__(
        self,
        call: AnyCall,
        candidates: tuple[Candidate, ...],
        send_to: Callable[[AnyCall, Candidate], Awaitable[AnyReply]],
        board: Board,
    ) -> None:
        self._call = call
        self._send_to = send_to
        self._clock = board.clock
        self._errors: list[LLMRingError] = []
        self._routes = [Route(c, board.find(c.ref.provider, c.credential, c.ref.model)) for c in candidates]
        self._plan = Plan(self._routes, call.retry or board.retry, board.budget, board.random, call.deadline)

    async def run(self, failed: LLMRingError | None, started: float) -> AnyReply:
        """failed: what came of asking the first route, which `started` then."""
        if failed is not None:
            self._note(self._routes[0], failed, started)
        while True:
            now = self._clock.monotonic()
            if self._call.deadline is not None and now >= self._call.deadline:
                raise with_attempts(deadline_passed(), self._call.attempts) from self._last
            step = self._plan.next(now)
            self._tell_refusals(step)
            if step is None:
                raise with_attempts(most_useful(self._errors), self._call.attempts)
            if not isinstance(step, Route):
                await self._clock.sleep(step - now)
                continue
            try:
                return await self._send_to(self._call, step.candidate)
            except CircuitBreakerError as error:
                # It was shut while the call waited in its line: no attempt was made.
                self._pass_over(step, error)
            except LLMRingError as error:
                self._note(step, error, now)

    @property
    def _last(self) -> LLMRingError | None:
        return self._errors[-1] if self._errors else None

    def _note(self, route: Route[Candidate], error: LLMRingError, started: float) -> None:
        """An attempt failed. Raises the error where it ends the call."""
        now = self._clock.monotonic()
        self._record(route, error, now - started)
        if isinstance(error, CircuitBreakerError):
            self._errors.append(error)
            return
        if not moves_on(error, first=not self._errors):
            with_attempts(error, self._call.attempts)
            raise error
        self._errors.append(error)
        self._plan.failed(route, judge(error), now)
        if route is not self._routes[-1]:
            _log.warning("%s failed (%s)", route.candidate.ref, type(error).__name__)

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
            route.is_told = True
            self._errors.append(error)
            self._record(route, error, 0.0)

    def _record(self, route: Route[Candidate], error: LLMRingError, seconds: float) -> None:
        status = error.status if isinstance(error, ProviderError) else None
        ref = route.candidate.ref
        self._call.attempts.append(
            AttemptRecord(ref.provider, ref.model, type(error).__name__, error.message, status, seconds)
        )
