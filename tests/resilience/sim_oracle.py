"""What a simulated run must never do, watched from outside: from the attempts that arrive, the transitions that are told, and how calls
end. It shares no code with what it watches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.resilience.sim_loop import SimClock

from llmring.resilience.breaker import BreakerState, Scope, Transition
from llmring.resilience.policy import BreakerPolicy, RateLimits, RetryPolicy

TargetName: TypeAlias = "tuple[str, str | None, str]"

_A_HAIR = 1e-6
_MODEL_FAILURES = frozenset(("500", "503", "529", "reset", "timeout", "garbage", "interrupted"))
_UNANSWERED = frozenset(("unreachable", "timeout", "reset", "garbage", "interrupted"))
_NEVER_AGAIN = frozenset(("400", "overflow", "401", "402", "404", "crash", "deadline", "cancelled"))
_ONLY_ONCE_MORE = frozenset(("unreachable", "timeout"))
_CLOSED, _OPEN, _HALF, _ISOLATED = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.ISOLATED
_LEGAL = {(_CLOSED, _OPEN), (_OPEN, _HALF), (_HALF, _OPEN), (_HALF, _CLOSED)}


class ViolationError(AssertionError):
    """An invariant that does not hold."""


@dataclass(slots=True, eq=False)
class Gate:
    """A breaker as its transitions tell of it."""

    scope: Scope
    name: str
    state: BreakerState = _CLOSED
    due: float = -math.inf
    held_until: float = -math.inf  # what the server itself asked for
    era: int = 0
    probe: Attempt | None = None
    probe_at: float = -math.inf
    is_fresh: bool = False  # it became half-open in this very step
    bad: int = 0
    row: list[float] = field(default_factory=list[float])
    forced_at: float = -math.inf
    key: int = 0  # which was there when it was refused


@dataclass(slots=True, eq=False)
class Attempt:
    call: SeenCall
    target: TargetName
    started: float
    eras: list[tuple[Gate, int]]
    kind: str = ""  # empty while it is in flight
    hint_s: float = 0.0
    has_begun: bool = False


@dataclass(slots=True, eq=False)
class SeenCall:
    number: int
    pool: Sequence[TargetName]
    retry: RetryPolicy
    started: float = math.inf
    deadline: float = math.inf
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    held: dict[TargetName, float] = field(default_factory=dict["TargetName", float])
    fresh: list[TargetName] = field(
        default_factory=list["TargetName"]
    )  # never asked, and well ever since the last attempt ended


class Oracle:
    """Hears of everything; raises ViolationError at the first thing that is wrong."""

    def __init__(
        self,
        clock: SimClock,
        breaker: BreakerPolicy,
        limits: RateLimits | None,
        windows: Mapping[str, int | None],
        *,
        counts_repeats: bool,
    ) -> None:
        self._clock = clock
        self._policy = breaker
        self._limits = limits or RateLimits()
        self._windows = windows  # by `provider:model`
        self._counts_repeats = counts_repeats
        self._gates: dict[tuple[Scope, str], Gate] = {}
        self._paused: dict[TargetName, float] = {}
        self._begun: dict[TargetName, list[float]] = {}
        self.in_flight: dict[TargetName, int] = {}
        self._lines: dict[TargetName, list[SeenCall]] = {}
        self._calls: list[float] = []
        self.alive: list[SeenCall] = []
        self._repeats: list[float] = []
        self._ending: Attempt | None = None
        self._bears: dict[TargetName, float] = {}
        self._cut_at: dict[TargetName, float] = {}
        self.by_hand = False
        self.key = 0
        self.isolated: set[str] = set()  # the reasons that were given
        self.seen: set[str] = set()  # which kinds of thing happened at all

    def gates(self, target: TargetName) -> list[Gate]:
        provider, credential, model = target
        key = provider if credential is None else f"{provider}/{credential}"
        names = ((Scope.CREDENTIAL, key), (Scope.ENDPOINT, provider), (Scope.MODEL, f"{key}:{model}"))
        return [self._gates.setdefault(name, Gate(*name)) for name in names]

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            raise ViolationError(what)

    # Calls.

    def call_began(self, call: SeenCall, deadline_s: float | None) -> None:
        now = self._clock.monotonic()
        call.started = now
        call.deadline = math.inf if deadline_s is None else now + deadline_s
        self._calls.append(now)
        self.alive.append(call)
        if len(call.pool) == 1:
            self._lines.setdefault(call.pool[0], []).append(call)

    def call_ended(self, call: SeenCall, late_s: float, *, refused: bool, overflowed: bool = False) -> None:
        now = self._clock.monotonic()
        self.alive.remove(call)
        self.check(now <= call.deadline + late_s + _A_HAIR, "a call outlived its deadline")
        self.check(all(attempt.kind for attempt in call.attempts), "a call ended, and its attempt did not")
        line = self._lines.get(call.pool[0], [])
        if call in line:
            line.remove(call)
        if refused and not call.attempts:
            for target in call.pool:
                self.check(self._is_shut(target, now), f"{target} was refused, and nothing is against it")
        if (
            overflowed
            and call.retry.on_overflow == "larger_window"
            and len(call.attempts) < call.retry.attempts_per_call
        ):
            tried = {each.target for each in call.attempts}
            for target in call.pool:
                if self._holds_more(target, call) and target not in tried:
                    self.check(self._is_shut(target, now), f"{target} holds more, and was not asked")

    def _holds_more(self, target: TargetName, call: SeenCall) -> bool:
        """Than each of those that the prompt did not fit so far; anybody does where there are none."""
        small = [each.target for each in call.attempts if each.kind == "overflow"]
        if not small:
            return True
        windows = [self._windows[f"{provider}:{model}"] for provider, _, model in (target, *small)]
        known = [window for window in windows if window is not None]
        return len(known) == len(windows) and all(known[0] > other for other in known[1:])

    def _is_shut(self, target: TargetName, now: float) -> bool:
        if self._paused.get(target, -math.inf) > now:
            return True
        for gate in self.gates(target):
            probe = gate.probe
            if gate.scope is Scope.CREDENTIAL and gate.key != self.key:
                continue  # a new key deserves to be tried
            probing = probe is not None and not probe.kind and now < gate.probe_at + self._policy.lease_s
            if gate.state is _ISOLATED or (gate.state is _OPEN and now < gate.due) or (gate.state is _HALF and probing):
                return True
        return False

    # Attempts.

    def attempt_began(self, call: SeenCall, target: TargetName) -> Attempt:
        now = self._clock.monotonic()
        gates = self.gates(target)
        attempt = Attempt(call, target, now, [(gate, gate.era) for gate in gates])
        earlier = [each for each in call.attempts if each.target == target and each.kind != "429h"]
        for gate in gates:
            self._pass(gate, attempt, now)
        self._check_patience(call, target, earlier, now)
        self._check_policy(call, target, earlier, now)
        self._check_pace(target, now)
        self._check_line(call, target, now)
        call.attempts.append(attempt)
        self.in_flight[target] = self.in_flight.get(target, 0) + 1
        return attempt

    def _pass(self, gate: Gate, attempt: Attempt, now: float) -> None:
        self.check(gate.state not in (_OPEN, _ISOLATED), f"asked through a shut gate: {gate.name}")
        if gate.state is _CLOSED:
            recent = [at for at in gate.row if at > now - self._policy.window_s * 4 / 6]
            self.check(len(recent) < self._policy.consecutive_failures, f"{gate.name} should have opened")
            return
        probe = gate.probe
        if probe is not None and not probe.kind and now < gate.probe_at + self._policy.lease_s - _A_HAIR:
            raise ViolationError(f"two probes of {gate.name}")
        self.seen.add("probe" if probe is None or probe.kind else "a second probe after a lease")
        if gate.is_fresh and now < gate.due - _A_HAIR:
            self._check_forced(gate, attempt, now)
        gate.is_fresh = False
        gate.probe, gate.probe_at = attempt, now
        self._no_longer_fresh(gate)

    def _no_longer_fresh(self, gate: Gate) -> None:
        """Who went on to another because of this gate may stand in a line there by the time that it is open again."""
        for call in self.alive:
            if call.fresh:
                call.fresh = [each for each in call.fresh if gate not in self.gates(each)]

    def _check_forced(self, gate: Gate, attempt: Attempt, now: float) -> None:
        """Before its time: only where every other way rests, once a second, and never against the server's own word."""
        self.seen.add("before its time")
        self.check(now >= gate.held_until - _A_HAIR, f"early: the server asked to leave {gate.name} alone")
        if self._limits != RateLimits() or self.seen & {"429", "503", "529"}:
            return  # there may be a line: who had it opened may leave before its turn, and another be the one that goes
        self.check(now >= gate.forced_at + 1 - _A_HAIR, f"{gate.name} was asked before its time twice in a second")
        gate.forced_at = now
        desperate = any(
            all(gate in self.gates(other) or self._is_shut(other, now) for other in call.pool) for call in self.alive
        )
        self.check(desperate, "asked before its time, and nobody needed it")

    def _check_patience(self, call: SeenCall, target: TargetName, earlier: list[Attempt], now: float) -> None:
        self.check(now >= self._paused.get(target, -math.inf) - _A_HAIR, "early: the server's pause is not over")
        self.check(
            now >= call.held.get(target, -math.inf) - _A_HAIR, "early: before the moment that this call was told"
        )
        self.check(now <= call.deadline + 1.0, "an attempt after the deadline")
        if earlier:
            for other in call.fresh:
                if not self._holds_more(other, call):
                    continue  # the prompt is known not to fit there, or may not
                self.check(self._is_shut(other, now), "asked again beside one that was healthy and never asked")

    def _check_policy(self, call: SeenCall, target: TargetName, earlier: list[Attempt], now: float) -> None:
        burnt = [attempt for attempt in call.attempts if attempt.kind != "429h"]
        self.check(len(earlier) < call.retry.attempts, "more attempts at a target than the policy has")
        self.check(len(burnt) < call.retry.attempts_per_call, "more attempts than the policy has")
        self.check(len(call.attempts) - len(burnt) <= 80, "a rate limit is asked for ever")
        if call.attempts:
            self.check(call.attempts[-1].kind not in ("400", "crash", "deadline"), "asked after what ends a call")
        if any(each.kind == "overflow" for each in call.attempts):
            self.check(call.retry.on_overflow == "larger_window", "asked after an overflow that ends a call")
            self.check(self._holds_more(target, call), "asked after an overflow, and not known to hold more")
            self.seen.add("a larger window")
        if earlier:
            last = earlier[-1].kind
            self.check(last not in _NEVER_AGAIN, f"asked again after {last}")
            self.check(last not in _ONLY_ONCE_MORE or len(earlier) == 1, f"asked too often after {last}")
            self._repeats.append(now)
            self.seen.add("repeat")
            if self._counts_repeats:
                repeats = sum(int(at) > int(now) - 10 for at in self._repeats)
                calls = sum(int(at) > int(now) - 10 for at in self._calls)
                self.check(repeats <= 10 + 0.2 * calls + 1, f"{repeats} repeats of {calls} calls: over the budget")

    def _check_pace(self, target: TargetName, now: float) -> None:
        limits, begun = self._limits, self._begun.setdefault(target, [])
        begun.append(now)
        if limits.requests_per_minute is not None:
            recent = sum(at > now - 60 + _A_HAIR for at in begun)
            self.check(recent <= limits.requests_per_minute, f"{recent} requests in a minute")
        if limits.max_concurrent is not None:
            self.check(self.in_flight.get(target, 0) < limits.max_concurrent, "more in flight than may be")

    def _check_line(self, call: SeenCall, target: TargetName, now: float) -> None:
        if len(call.pool) > 1 or call.attempts:
            return
        line = self._lines[target]
        if call not in line:
            return
        if call.started < now - _A_HAIR:
            self.seen.add("line")
        for other in line[line.index(call) + 1 :]:
            ahead = other.attempts and other.attempts[0].started < now - _A_HAIR
            self.check(not ahead, "who came later was served first")

    def stream_began(self, attempt: Attempt) -> None:
        attempt.has_begun = True
        self._ending = attempt

    def attempt_ended(self, attempt: Attempt, kind: str, hint_s: float) -> None:
        """Just before the shipped code hears of it."""
        if attempt.kind:
            return
        now = self._clock.monotonic()
        self.seen.add(kind)
        attempt.kind, attempt.hint_s = kind, hint_s
        self._ending = attempt
        self.in_flight[attempt.target] -= 1
        self._count_cuts(attempt.target, kind, now)
        call = attempt.call
        tried = {each.target for each in call.attempts}
        call.fresh = [each for each in call.pool if each not in tried and not self._is_shut(each, now)]
        if kind == "429h":
            self._paused[attempt.target] = max(self._paused.get(attempt.target, -math.inf), now + hint_s)
            for other in self.alive:
                other.fresh = [each for each in other.fresh if each != attempt.target]
        elif hint_s:
            attempt.call.held[attempt.target] = now + hint_s
        for gate, era in attempt.eras:
            failed = kind in _MODEL_FAILURES if gate.scope is Scope.MODEL else kind == "unreachable"
            if gate.scope is Scope.CREDENTIAL or gate.state is not _CLOSED or era != gate.era:
                continue
            if failed:
                gate.bad += 1
                gate.row.append(now)
            elif kind == "ok" or (gate.scope is Scope.ENDPOINT and kind not in _UNANSWERED and kind.isalnum()):
                gate.row.clear()

    def _count_cuts(self, target: TargetName, kind: str, now: float) -> None:
        """What a target is believed to bear at least: a cut of three tenths a second at most, and one more for each good round."""
        bears = self._bears.get(target, math.inf)
        if kind in ("429", "503", "529") and now - self._cut_at.get(target, -math.inf) >= 1 - _A_HAIR:
            self._cut_at[target] = now
            self._bears[target] = max(1.0, 0.7 * min(bears, max(1, self.in_flight[target])))
        elif kind == "ok" and bears < math.inf:
            self._bears[target] = bears + 1 / bears

    def limit_seen(self, target: TargetName, limit: float) -> None:
        bears = self._bears.get(target, math.inf)
        self.check(bears == math.inf or limit >= bears - _A_HAIR, f"{target} may bear {limit:g}, and bore {bears:g}")

    # Transitions.

    def hear(self, told: Transition) -> None:
        if told.scope is Scope.QUOTA:
            self.seen.add("pause")
            return
        now = self._clock.monotonic()
        gate = self._gates.setdefault((told.scope, told.target), Gate(told.scope, told.target))
        change = (told.old, told.new)
        self.check(told.old is gate.state, f"told {change}, and it was {gate.state}")
        # A name that is isolated stays so for keys that were never asked before.
        late = change == (_CLOSED, _ISOLATED) and told.reason in self.isolated
        by_key = told.reason == "the key has changed" and told.new is _CLOSED
        self.check(told.old is not told.new, "nothing changed, and it was told")
        self.check(change in _LEGAL or self.by_hand or by_key or late, f"no such transition: {change}")
        ending = self._ending
        if not (self.by_hand or by_key or late) and change != (_OPEN, _HALF):
            assert ending is not None
            if told.old is _HALF:
                # A success of any probe since it was half-open; a failure of the last one alone.
                is_probe = (gate, gate.era) in ending.eras if told.new is _CLOSED else ending is gate.probe
                self.check(is_probe, f"{gate.name} {told.new}, by one that is not its probe")
            else:
                self.check((gate, gate.era) in ending.eras, f"{gate.name} opened by an attempt of an earlier time")
                self._check_opening(gate, told, ending)
        if told.new is _OPEN:
            assert told.retry_in_s is not None
            assert ending is not None
            gate.due = now + told.retry_in_s
            gate.key = self.key
            is_told = ending.kind in ("503", "402") and ending.hint_s > 0
            gate.held_until = now + ending.hint_s if is_told else gate.due if ending.kind == "404" else -math.inf
            self.check(told.retry_in_s >= ending.hint_s or not is_told, "it opened for less than the server asked")
        if told.old is _HALF and told.new is _CLOSED and ending is not None and ending.has_begun and not ending.kind:
            ending.eras = [(each, era + (each is gate)) for each, era in ending.eras]  # its end counts, too
        if told.new in (_OPEN, _ISOLATED):
            self._no_longer_fresh(gate)
            for target, line in self._lines.items():
                if gate in self.gates(target):
                    line.clear()  # sent away, each to look elsewhere: who comes back stands at the end
        gate.state = told.new
        gate.era += 1
        gate.is_fresh = told.new is _HALF
        gate.probe = None
        gate.bad = 0
        gate.row.clear()
        self.seen.add(f"{told.scope} {told.old}->{told.new}" + (" by key" if by_key else ""))

    def _check_opening(self, gate: Gate, told: Transition, ending: Attempt) -> None:
        policy, stays_s = self._policy, told.retry_in_s or 0.0
        if gate.scope is Scope.CREDENTIAL:
            self.check(ending.kind in ("401", "402"), f"a key is shut by {ending.kind}")
        elif ending.kind == "404":
            self.check(stays_s == policy.missing_model_s, "a missing model rests for another time")
        else:
            fewest = min(policy.consecutive_failures, math.ceil(policy.min_calls * policy.failure_rate))
            self.check(gate.bad >= fewest or "streams" in told.reason, f"{gate.name} opened after {gate.bad} failures")
            most = policy.open_cap_s * (1 + policy.jitter)
            least = policy.open_s * (1 - policy.jitter)
            self.check(least <= stays_s <= max(most, ending.hint_s), f"open for {stays_s:g} s")

    def restored(self, provider: str) -> None:
        for target in list(self._paused):
            if target[0] == provider:
                del self._paused[target]
