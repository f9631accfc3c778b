"""One simulated run of the shipped `calls/chain.py`: seeded pools, servers, callers, keys and limits, under an oracle's eyes."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from functools import lru_cache

from tests.resilience.sim_loop import LATE_S, SimLoop
from tests.resilience.sim_oracle import Attempt, Oracle, SeenCall, TargetName, ViolationError

from llmring.calls.answer import finish_whole
from llmring.calls.call import Call, Reply
from llmring.calls.chain import build_chain
from llmring.calls.gates import Gates
from llmring.calls.stream import ChatStream
from llmring.exceptions import (
    CircuitBreakerError,
    ContextLengthError,
    DeadlineExceededError,
    InvalidRequestError,
    LLMRingError,
    MalformedResponseError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QuotaExhaustedError,
    StreamInterruptedError,
)
from llmring.registry.model_info import ModelInfo
from llmring.resilience.board import Board
from llmring.resilience.breaker import BreakerState, Scope
from llmring.resilience.policy import BreakerPolicy, RateLimits, RetryPolicy
from llmring.resolver import Candidate, Resolution
from llmring.schemas import LLMRequest
from llmring.schemas.events import Event, Finished, TextDelta, UsageReported
from llmring.schemas.model_ref import ModelRef
from llmring.schemas.usage import Usage

TARGETS: tuple[TargetName, ...] = (
    ("one", None, "a"),
    ("one", None, "b"),
    ("one", "KEY_2", "a"),
    ("two", None, "a"),
    ("two", None, "c"),
)
_FAULTS = (
    ("500", 6),
    ("503", 4),
    ("529", 2),
    ("429", 3),
    ("429h", 5),
    ("400", 1),
    ("overflow", 3),
    ("401", 3),
    ("402", 1),
    ("404", 2),
    ("408", 1),
    ("unreachable", 4),
    ("reset", 2),
    ("timeout", 3),
    ("garbage", 1),
    ("hang", 2),
    ("crash", 1),
)
_WEIGHTS = [weight for _, weight in _FAULTS]
_KINDS = [kind for kind, _ in _FAULTS]
# Prompt tokens, by model; None: nobody knows.
WINDOWS: dict[str, int | None] = {"one:a": 1000, "one:b": None, "two:a": 2000, "two:c": 8000}
_CANDIDATES: dict[TargetName, Candidate] = {
    target: Candidate(
        ModelRef(target[0], target[2]),
        ModelInfo(target[2], max_input=WINDOWS[f"{target[0]}:{target[2]}"]),
        credential=target[1],
    )
    for target in TARGETS
}
_HINTS_S = (0.0, 0.001, 0.25, 1.0, 2.0, 20.0, 45.0)


@lru_cache
def _request(deadline_s: float | None) -> LLMRequest:
    return LLMRequest(model="pool", messages="Hi", deadline=deadline_s, max_tokens=20)


@dataclass(frozen=True, slots=True)
class _Phase:
    until: float
    kind: str
    share: float


class CrashError(Exception):
    """Somebody's own mistake in the middle of a call."""


def _error(kind: str, hint_s: float | None) -> Exception:
    match kind:
        case "400":
            return InvalidRequestError("bad", status=400)
        case "overflow":
            return ContextLengthError("too long", status=400)
        case "401":
            return ProviderAuthenticationError("refused", status=401)
        case "402":
            return QuotaExhaustedError("spent", status=402, retry_after_s=hint_s)
        case "404":
            return ModelNotFoundError("gone", status=404)
        case "429" | "429h":
            return ProviderRateLimitError("slow down", status=429, retry_after_s=hint_s)
        case "unreachable":
            return ProviderUnreachableError("no route")
        case "reset":
            return ProviderConnectionError("reset")
        case "timeout":
            return ProviderTimeoutError("late")
        case "garbage":
            return MalformedResponseError("no JSON")
        case "crash":
            return CrashError("oops")
        case _:
            return ProviderResponseError("down", status=int(kind), retry_after_s=hint_s)


class World:
    """One run. `run()` raises ViolationError, or WedgedError, where something is wrong."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.loop = SimLoop(dice, lateness=dice.choice((0.0, 0.0, 0.1)))
        self.clock = self.loop.clock
        self.horizon_s = dice.choice((0.5, 3.0, 30.0, 200.0))
        self.storm = dice.random() < 0.04
        limits = None
        if dice.random() < 0.4:
            limits = RateLimits(
                requests_per_minute=dice.choice((None, 6, 60, 600)),
                tokens_per_minute=dice.choice((None, None, 200, 2000)),
                max_concurrent=dice.choice((None, 1, 2)),
            )
        breaker = dice.choice(
            (BreakerPolicy(), BreakerPolicy(consecutive_failures=2, min_calls=4, lease_s=dice.choice((3.0, 20.0))))
        )
        if self.storm:
            limits, breaker = None, BreakerPolicy(consecutive_failures=1000, min_calls=1000)
        self.retry = RetryPolicy(
            attempts=dice.choice((1, 2, 3, 3)),
            attempts_per_call=dice.choice((2, 6, 6)),
            max_rate_limit_wait_s=dice.choice((0.0, 5.0, 30.0)),
            on_overflow=dice.choice(("raise", "larger_window", "larger_window")),
        )
        self.oracle = Oracle(self.clock, breaker, limits, WINDOWS, counts_repeats=self.storm)
        self.key = 0
        self.board = Board(
            self.clock,
            retry=self.retry,
            breaker=breaker,
            limits=limits,
            find_mark=lambda provider, credential: self.key,
            listener=self._hear,
            random=random.Random(seed),
        )
        self.gates = Gates(self.board)
        self.send = build_chain(self._exchange, self.gates)
        self.phases = {target: self._draw_phases() for target in TARGETS}
        self.calls: dict[int, SeenCall] = {}
        self.healed = False
        self.violation: ViolationError | None = None
        self._cancelled: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def _hear(self, told: object) -> None:
        try:
            self.oracle.hear(told)  # pyright: ignore[reportArgumentType]: the board tells transitions
        except ViolationError as violation:
            # The board keeps a listener's errors from the call: remembered, and raised at the end.
            self.violation = self.violation or violation

    def _draw_phases(self) -> list[_Phase]:
        dice = self.dice
        if self.storm:
            return [_Phase(1e9, dice.choice(("500", "reset", "garbage")), 1.0)]
        phases: list[_Phase] = []
        at = self.clock.monotonic()
        for _ in range(dice.choice((0, 1, 1, 2, 3))):
            at += self.horizon_s * dice.choice((0.2, 0.5, 1.0))
            phases.append(_Phase(at, dice.choices(_KINDS, _WEIGHTS)[0], dice.choice((0.3, 0.8, 1.0, 1.0))))
        return phases

    def run(self) -> None:
        dice = self.dice
        count = dice.randint(20, 60) if self.storm else dice.choice((1, 2, 4, 8, 16))
        targets = list(TARGETS)
        dice.shuffle(targets)
        pools = [tuple(targets[: dice.choice((1, 1, 2, 3))]) for _ in range(2)]
        for number in range(count):
            self._tasks.append(self.loop.create_task(self._call(number, dice.choice(pools))))
        for _ in range(dice.choice((0, 0, 1, 3))):
            self.loop.call_at(self._some_time(), self._meddle)
        self.loop.run()
        self._check_idle()
        self._heal()

    def _some_time(self) -> float:
        # Often the same moment for several: that is where the trouble is.
        dice = self.dice
        return 1000 + self.horizon_s * (dice.choice((0.0, 0.1, 0.25, 0.5)) if dice.random() < 0.6 else dice.random())

    # What callers do.

    async def _call(self, number: int, pool: tuple[TargetName, ...]) -> None:
        dice, clock = self.dice, self.clock
        await clock.sleep(self._some_time() - clock.monotonic())
        deadline_s = dice.choice((None, None, 0.5, 3.0, 30.0))
        stream = dice.random() < 0.4
        request = _request(deadline_s)
        resolution = Resolution("pool", "default", tuple(_CANDIDATES[target] for target in pool), "sha256:", "t.lock")
        call = Call(request, request, resolution, stream, clock.monotonic())
        seen = self.calls[id(call)] = SeenCall(number, pool, self.retry)
        if dice.random() < 0.15:
            task = asyncio.current_task()
            assert task is not None
            self.loop.call_at(clock.monotonic() + dice.choice((0.0, 0.1, 0.5, 2.0, 20.0)), self._cancel, task)
        self.oracle.call_began(seen, deadline_s)
        refused = overflowed = False
        try:
            if stream:
                await self._read(ChatStream(call, self.send, clock))
            else:
                finish_whole(call, await self.send(call), clock.monotonic())
        except CircuitBreakerError:
            refused = True
        except ContextLengthError:
            overflowed = True
        except (LLMRingError, CrashError):
            pass
        except asyncio.CancelledError:
            self.oracle.check(asyncio.current_task() in self._cancelled, "a call was cancelled by itself")
        self.oracle.call_ended(seen, LATE_S, refused=refused, overflowed=overflowed)
        del self.calls[id(call)]

    def _cancel(self, task: asyncio.Task[None]) -> None:
        self._cancelled.add(task)
        task.cancel()

    async def _read(self, stream: ChatStream) -> None:
        leaves_after = self.dice.choice((0, 1, 100, 100, 100))
        read = 0
        try:
            async for _ in stream:
                read += 1
                if read > leaves_after:
                    break
        finally:
            await stream.aclose()

    def _meddle(self) -> None:
        what = self.dice.choice(("key", "key", "isolate", "restore"))
        if what == "key":
            self.key += 1
            self.oracle.key = self.key
            return
        provider, _, model = self.dice.choice(TARGETS)
        self.oracle.by_hand = True
        if what == "isolate":
            name = self.dice.choice((provider, f"{provider}:{model}"))
            self.oracle.isolated.add(f"no {name}")
            self.board.isolate(name, f"no {name}")
        else:
            self.board.restore(provider)
            self.oracle.restored(provider)
        self.oracle.by_hand = False

    # What servers do.

    async def _exchange(self, call: Call, candidate: Candidate) -> Reply:
        target = (candidate.ref.provider, candidate.credential, candidate.ref.model)
        attempt = self.oracle.attempt_began(self.calls[id(call)], target)
        self.oracle.limit_seen(target, self.board.find(*target).quota.limit)
        hint_s: float | None = None
        kind = "crash"
        try:
            kind = self._behave(target)
            await self._pass_time(call, 500.0 if kind == "hang" else self._latency())
            if kind in ("429h", "503", "402"):
                hint_s = self.dice.choice(_HINTS_S) if kind == "429h" or self.dice.random() < 0.5 else None
            if kind not in ("ok", "hang"):
                raise _error(kind, hint_s)
        except DeadlineExceededError:
            self.oracle.attempt_ended(attempt, "deadline", 0.0)
            raise
        except asyncio.CancelledError:
            self.oracle.attempt_ended(attempt, "cancelled", 0.0)
            raise
        except Exception:
            if kind == "429h" and not hint_s:
                kind = "429"  # "again at once" says nothing
            self.oracle.attempt_ended(attempt, kind, hint_s or 0.0)
            raise
        usage = UsageReported(Usage(10, self.dice.choice((0, 10, 400))))
        if not call.stream:
            self.oracle.attempt_ended(attempt, "ok", 0.0)
            return Reply(candidate, [TextDelta("Hi"), usage, Finished("stop", None)], 200, None, [])
        self.oracle.stream_began(attempt)
        source = _Source(self, call, attempt, [TextDelta("!"), usage, Finished("stop", None)])
        return Reply(
            candidate, [TextDelta("Hi")], 200, None, [], source=source, first_content_at=self.clock.monotonic()
        )

    def _behave(self, target: TargetName) -> str:
        if self.healed:
            return "ok"
        now = self.clock.monotonic()
        for phase in self.phases[target]:
            if now < phase.until:
                return phase.kind if self.dice.random() < phase.share else "ok"
        return "ok"

    def _latency(self) -> float:
        return self.dice.choice((-1.0, 0.0, 0.0, 0.1, 0.1, 0.5, 5.0, 25.0))

    async def _pass_time(self, call: Call, seconds: float) -> None:
        """Below 0: without giving anybody else a turn."""
        if seconds < 0:
            return
        now = self.clock.monotonic()
        if call.deadline is not None and now + seconds >= call.deadline:
            await self.clock.sleep(call.deadline - now)
            raise DeadlineExceededError("the deadline")
        await self.clock.sleep(seconds)

    # What must hold when all is over.

    def _check_idle(self) -> None:
        check = self.oracle.check
        for task in self._tasks:
            check(task.done(), "a call never ended")
            if not task.cancelled():
                error = task.exception()
                if error is not None:
                    raise error
        if self.violation is not None:
            raise self.violation
        check(not self.loop.problems, "; ".join(self.loop.problems))
        for target in TARGETS:
            found = self.board.find(target[0], target[1], target[2])
            check(found.quota.in_flight == 0, f"{found.quota.in_flight} permits of {target} were never given back")
        for queue in self.gates._queues.values():
            check(len(queue) == 0, "somebody waits in a line for ever")

    def _heal(self) -> None:
        """Every server is well, and long enough has passed: each target must answer its first call, and nothing be against it."""
        self.healed = True
        self.oracle.by_hand = True
        for provider in ("one", "two"):
            self.board.restore(provider) if self.dice.random() < 0.2 else self._restore_isolated(provider)
        self.oracle.by_hand = False
        self.loop.at += 1000
        for target in self.oracle.in_flight:  # those that were asked
            for scope, gate in self.board.find(*target).gates():
                self.oracle.check(scope is Scope.QUOTA or gate.state is not BreakerState.ISOLATED, "still isolated")
            self._tasks = [self.loop.create_task(self._well(target))]
            self.loop.run()
            self._check_idle()
            for _, gate in self.board.find(*target).gates():
                self.oracle.check(gate.state is BreakerState.CLOSED, f"a gate of {target} never closed again")
            self.oracle.check(self.board.find(*target).refusal(self.clock.monotonic()) is None, "refused when well")

    def _restore_isolated(self, provider: str) -> None:
        targets = [self.board.find(*target) for target in TARGETS if target[0] == provider]
        if any(gate.state is BreakerState.ISOLATED for target in targets for _, gate in target.gates()):
            self.board.restore(provider)

    async def _well(self, target: TargetName) -> None:
        request = _request(100.0)
        call = Call(request, request, Resolution("pool", "default", (_CANDIDATES[target],), "sha256:", "t"), False, 0.0)
        call.started = self.clock.monotonic()
        seen = self.calls[id(call)] = SeenCall(-1, (target,), self.retry)
        self.oracle.call_began(seen, 100.0)
        try:
            finish_whole(call, await self.send(call), self.clock.monotonic())
        except ProviderError as error:
            raise ViolationError(f"{target} is well and was not asked: {error}") from error
        self.oracle.call_ended(seen, LATE_S, refused=False)
        del self.calls[id(call)]


class _Source:
    """The rest of a simulated stream."""

    def __init__(self, world: World, call: Call, attempt: Attempt, events: list[Event]) -> None:
        self._world = world
        self._call = call
        self._attempt = attempt
        self._events = events
        self._kind = "left"

    async def next_events(self) -> list[Event] | None:
        try:
            await self._world._pass_time(self._call, self._world._latency())
        except DeadlineExceededError:
            self._kind = "deadline"
            raise
        if not self._world.healed and self._world.dice.random() < 0.1:
            self._kind = "interrupted"
            raise StreamInterruptedError("cut")
        if not self._events:
            self._kind = "ok"
            return None
        return [self._events.pop(0)]

    def close(self) -> None:
        self._world.oracle.attempt_ended(self._attempt, self._kind, 0.0)
