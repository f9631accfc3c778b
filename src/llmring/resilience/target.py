"""Everything that is known of how one target (provider, key, model) is doing: the gates a call to it passes, in order, and its quota.

    credential (provider, key) -> endpoint (provider) -> model (provider, key, model) -> quota (the same)

One bad model never blocks its siblings, one bad key only what is asked with that key. Pure; times are a clock's `monotonic()` seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from llmring.exceptions import (
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    ResponseTooLargeError,
)
from llmring.resilience.breaker import Breaker, BreakerState, Scope
from llmring.resilience.outcome import Outcome, judge
from llmring.resilience.policy import BreakerPolicy
from llmring.resilience.quota import Place, Quota

_CLOSED: Final = BreakerState.CLOSED
_EWMA_WEIGHT: Final = 0.1
_REMEMBERED: Final = 128
_FORCE_EVERY_S: Final = 1.0
# The longest that a server is believed of a spent quota: a month's, and a day for where its month ends. A slip of its pen must not shut
# a key for years.
LONGEST_QUOTA_S: Final = 32 * 86_400.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call may not go to a target now. until: when it may be asked again; infinite for not by itself."""

    scope: Scope
    until: float
    reason: str


class Permit:
    """A call's leave to go to a target, to be given back once with what came of it."""

    __slots__ = ("credential", "endpoint", "model", "place", "started")

    def __init__(self, credential: int, endpoint: int, model: int, started: float, place: Place | None) -> None:
        self.credential = credential
        self.endpoint = endpoint
        self.model = model
        self.started = started
        self.place = place


class Credential:
    """A key of a provider, and whether it is refused. mark: gives something that changes when the key does, and tells nothing of it."""

    __slots__ = ("breaker", "mark", "refused_mark")

    def __init__(self, breaker: Breaker, mark: Callable[[], object]) -> None:
        self.breaker = breaker
        self.mark = mark
        self.refused_mark: object = None

    def has_new_key(self) -> bool:
        """Only where it is shut: another key deserves another try."""
        return self.breaker.state in (BreakerState.OPEN, BreakerState.HALF_OPEN) and self.mark() != self.refused_mark

    def look_for_new_key(self, now: float) -> None:
        if self.has_new_key():
            self.breaker.close(now, "the key has changed")


class Latency:
    """How long the first content, or a whole reply, usually takes. Seconds."""

    __slots__ = ("_last", "usual")

    def __init__(self) -> None:
        self.usual: float | None = None
        self._last: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float, *, moves_usual: bool = True) -> None:
        """moves_usual: not of what is slow. Slow ones would soon be what is usual, and none of them slow any more."""
        if moves_usual:
            usual = self.usual
            self.usual = seconds if usual is None else usual + _EWMA_WEIGHT * (seconds - usual)
        self._last.append(seconds)

    def percentile(self, share: float, *, least: int) -> float | None:
        """None where fewer than `least` are known."""
        if len(self._last) < least:
            return None
        return sorted(self._last)[min(len(self._last) - 1, int(share * len(self._last)))]


class Target:
    """One target. Whoever calls it: `refusal`, `admit`, then exactly one `leave` (and, for a stream, `begin` before it)."""

    __slots__ = (
        "_forced_at",
        "_missing_until",
        "_policy",
        "credential",
        "credential_name",
        "endpoint",
        "first_token",
        "model",
        "model_name",
        "provider",
        "quota",
        "whole",
    )

    def __init__(
        self,
        provider: str,
        credential_name: str | None,
        model_name: str,
        *,
        policy: BreakerPolicy,
        credential: Credential,
        endpoint: Breaker,
        model: Breaker,
        quota: Quota,
    ) -> None:
        self.provider = provider
        self.credential_name = credential_name
        self.model_name = model_name
        self._policy = policy
        self.credential = credential
        self.endpoint = endpoint
        self.model = model
        self.quota = quota
        self.first_token = Latency()
        self.whole = Latency()
        self._forced_at = -math.inf
        self._missing_until = -math.inf

    @property
    def name(self) -> str:
        return f"{self.provider}:{self.model_name}"

    @property
    def shown_name(self) -> str:
        """As transitions call it: with its key's variable, where there are several."""
        return (
            self.name if self.credential_name is None else f"{self.provider}/{self.credential_name}:{self.model_name}"
        )

    def refusal(self, now: float) -> Refusal | None:
        """None where a call may go now, as far as gates and pauses go."""
        if self.credential.breaker.state is _CLOSED and self.endpoint.state is _CLOSED and self.model.state is _CLOSED:
            if self.quota.paused_until <= now:
                return None
            return Refusal(Scope.QUOTA, self.quota.paused_until, self.quota.pause_reason)
        self.credential.look_for_new_key(now)
        worst = Refusal(Scope.QUOTA, self.quota.paused_until, self.quota.pause_reason)
        for scope, breaker in self.gates():
            until = breaker.ready_at(now)
            if until > now and until >= worst.until:
                worst = Refusal(scope, until, breaker.reason)
        return worst if worst.until > now else None

    def is_available(self, now: float) -> bool:
        """Whether there is no refusal. Changes nothing: callable from any thread."""
        if max(self.quota.paused_until, self.endpoint.ready_at(now), self.model.ready_at(now)) > now:
            return False
        return self.credential.breaker.ready_at(now) <= now or self.credential.has_new_key()

    def is_missing(self, now: float) -> bool:
        """Whether all that is held against it is that its provider knows no such model."""
        model = self.model
        is_said = model.state is BreakerState.OPEN and model.until == self._missing_until
        return is_said and self.quota.paused_until <= now

    def gates(self) -> tuple[tuple[Scope, Breaker], ...]:
        """Those with a breaker, in the order in which a call passes them."""
        return (
            (Scope.CREDENTIAL, self.credential.breaker),
            (Scope.ENDPOINT, self.endpoint),
            (Scope.MODEL, self.model),
        )

    def was_brought_forward(self, now: float) -> bool:
        """Within the last second."""
        return now - self._forced_at < _FORCE_EVERY_S

    def bring_forward(self, now: float) -> bool:
        """Where nobody else can be asked: whether a target that rests is to be tried before its time, at most once a second.

        Not where a probe is under way, nor against the server's own word: a key that was refused, a model that it does not know, a time
        that it named.
        """
        if self.was_brought_forward(now) or self.credential.breaker.ready_at(now) > now:
            return False
        resting = [breaker for _, breaker in self.gates() if breaker.ready_at(now) > now]
        for breaker in resting:
            just_opened = now - breaker.opened_at < _FORCE_EVERY_S
            if breaker.state is not BreakerState.OPEN or breaker.kept_until > now or just_opened:
                return False
        if self.quota.paused_until > now:
            return False
        self._forced_at = now
        for breaker in resting:
            breaker.until = now
        return True

    def admit(self, now: float, place: Place | None = None) -> Permit:
        """The call goes: only where there is no refusal. Its place in the quota has been taken already; None: it is one in flight, and
        that is all."""
        return Permit(self.credential.breaker.admit(now), self.endpoint.admit(now), self.model.admit(now), now, place)

    def begin(self, permit: Permit, now: float) -> None:
        """A stream's first content has come: all that a probe has to show. Its end is reported with the same permit."""
        permit.credential = self.credential.breaker.begin(permit.credential, now)
        permit.endpoint = self.endpoint.begin(permit.endpoint, now)
        permit.model = self.model.begin(permit.model, now)
        seconds = now - permit.started
        usual = self.first_token.usual
        is_slow = seconds > max(self._policy.slow_s, self._policy.slow_factor * (seconds if usual is None else usual))
        self.model.note_first_token(permit.model, now, slow=is_slow)
        self.first_token.add(seconds, moves_usual=not is_slow)
        if is_slow and self.model.state is not _CLOSED:
            self.first_token.usual = (
                None  # slow enough to rest: if it comes back as slow as this, that is how it is now
            )

    def leave(self, permit: Permit, error: BaseException | None, now: float, used_tokens: float | None = None) -> None:
        """The call has ended, or was cancelled. used_tokens: in and out; None where nobody knows."""
        place = permit.place
        if place is None:
            self.quota.in_flight -= 1
        else:
            self.quota.settle(place.reserved, used_tokens, now, place.taken_at, place.estimate)
        if error is None:
            self.credential.breaker.succeed(permit.credential, now)
            self.endpoint.succeed(permit.endpoint, now)
            self.model.succeed(permit.model, now)
            self.quota.grow()
            return
        self._fail(permit, error, now)

    def pause(self, now: float, seconds: float, reason: str) -> bool:
        """The server asks to be left alone. False where a longer pause is under way."""
        return self.quota.pause(now + min(seconds, self._policy.pause_cap_s), reason)

    def _fail(self, permit: Permit, error: BaseException, now: float) -> None:
        verdict = judge(error)
        reason = _describe(error)
        credential, endpoint, model, policy = self.credential, self.endpoint, self.model, self._policy
        has_answered = isinstance(error, ProviderError) and error.status is not None
        match verdict.outcome:
            case Outcome.UNREACHABLE:
                endpoint.fail(permit.endpoint, now, reason)
            case Outcome.KEY_REFUSED | Outcome.QUOTA_SPENT:
                is_spent = verdict.outcome is Outcome.QUOTA_SPENT
                rest_s = verdict.hint_s or (policy.quota_rest_s if is_spent else policy.credential_probe_s)
                rest_s = min(rest_s, LONGEST_QUOTA_S)
                if credential.breaker.trip(permit.credential, now, rest_s, reason):
                    # Not by a late answer to the key that was there before: the new one would pass for the refused one.
                    credential.refused_mark = credential.mark()
            case Outcome.MODEL_GONE:
                if model.trip(permit.model, now, policy.missing_model_s, reason):
                    self._missing_until = model.until
            case Outcome.FAILURE | Outcome.OVERLOADED:
                if verdict.slow:
                    model.note_first_token(permit.model, now, slow=True)
                model.fail(permit.model, now, reason, min(verdict.hint_s or 0.0, policy.pause_cap_s))
            case Outcome.PAUSED:
                self.pause(now, verdict.hint_s or 0.0, reason)
            case Outcome.THROTTLED | Outcome.NEUTRAL | Outcome.SUCCESS:
                pass
        if verdict.outcome in (Outcome.OVERLOADED, Outcome.THROTTLED):
            self.quota.cut(now)
        # What this failure says nothing of: a lease goes back. An answer, whatever it says, shows that the endpoint is there.
        credential.breaker.release(permit.credential)
        model.release(permit.model)
        if has_answered:
            endpoint.succeed(permit.endpoint, now)
        else:
            endpoint.release(permit.endpoint)


# Their messages are written here, not by a server, where there is neither a status nor a code.
_OURS = (ProviderConnectionError, ProviderTimeoutError, ResponseTooLargeError)


def _describe(error: BaseException) -> str:
    """For people: what a gate is shut for. A server's own words are left out: they may quote the prompt, and reasons are logged. So is
    all but the number of what a provider of somebody else's raised."""
    name = type(error).__name__
    if not isinstance(error, ProviderError):
        return name
    if error.is_foreign or type(error).__module__ != ProviderError.__module__:
        status: object = error.status
        return f"{name} {status:d}"[:80] if isinstance(status, int) else name
    # A code is one word: what has spaces in it is a sentence, and may be anybody's.
    facts = [str(fact)[:40] for fact in (error.status, error.code) if fact is not None and " " not in str(fact)]
    if isinstance(error, _OURS) and error.status is None and error.code is None:
        return f"{name}: {error.message[:120]}"
    return " ".join((name, *facts))
