"""The state of every target of one ring, made when it is first asked for: who shares which gate, and who is told of a change."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

from llmring.exceptions import ConfigurationError
from llmring.resilience.breaker import Breaker, BreakerState, Scope, Transition
from llmring.resilience.budget import RetryBudget
from llmring.resilience.policy import BreakerPolicy, RateLimits, RetryPolicy
from llmring.resilience.quota import Quota
from llmring.resilience.target import Credential, Target

if TYPE_CHECKING:
    from llmring.clock import Clock

_log = logging.getLogger("llmring.resilience")

# Names of models come from callers: a program that invents them must not fill the memory.
_MOST_TARGETS: Final = 4096


@dataclass(frozen=True, slots=True)
class GateHealth:
    """One gate of a target. retry_in_s: seconds until it is tried again; None where it is not shut, or not by itself opened."""

    scope: Scope
    state: BreakerState
    reason: str
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """How one target is doing. available: whether a call would be sent to it now. concurrency_limit: None while nothing speaks for one.
    usual_first_token_s: of streams; None until there was one."""

    provider: str
    model: str
    credential: str | None
    available: bool
    gates: tuple[GateHealth, ...]
    in_flight: int
    concurrency_limit: float | None
    usual_first_token_s: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """How every target is doing that was asked for so far."""

    targets: tuple[TargetHealth, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Board:
    """The gates of a ring.

    limits: by target, most exact first: "provider:model", "provider", "*". find_mark: given a provider's name and which of its keys,
    something that changes when the key does. listener: hears of each transition; what it raises is logged and goes no further.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        retry: RetryPolicy | None = None,
        breaker: BreakerPolicy | None = None,
        limits: Mapping[str, RateLimits] | RateLimits | None = None,
        find_mark: Callable[[str, str | None], object] | None = None,
        listener: Callable[[Transition], None] | None = None,
        random: Random | None = None,
    ) -> None:
        self.clock = clock
        self.retry = retry or RetryPolicy()
        self.budget = RetryBudget()
        self.random = random or Random()  # noqa: S311 - spreads retries, keeps no secret
        self._breaker = breaker or BreakerPolicy()
        self._limits = {"*": limits} if isinstance(limits, RateLimits) else dict(limits or {})
        self._find_mark = find_mark or _no_mark
        self._listener = listener
        self._targets: dict[tuple[str, str | None, str], Target] = {}
        self._credentials: dict[tuple[str, str | None], Credential] = {}
        self._endpoints: dict[str, Breaker] = {}

    def find(self, provider: str, credential: str | None, model: str) -> Target:
        try:
            return self._targets[provider, credential, model]
        except KeyError:
            return self._make(provider, credential, model)

    def forget(self, provider: str) -> None:
        """Another provider has this name now: what is known of the old one says nothing of it. Calls under way end with the old."""
        self._targets = {key: target for key, target in self._targets.items() if key[0] != provider}
        self._credentials = {key: found for key, found in self._credentials.items() if key[0] != provider}
        self._endpoints.pop(provider, None)

    def health(self) -> Health:
        now = self.clock.monotonic()
        return Health(tuple(_describe(target, now) for _, target in sorted(self._targets.items(), key=_name_of)))

    def isolate(self, name: str, reason: str) -> None:
        """Asks a provider, or one `provider:model`, no more until `restore`. Raises ConfigurationError for no name."""
        for breaker in self._named(name):
            breaker.isolate(reason)

    def restore(self, name: str) -> None:
        """Closes every gate of a provider, or of one `provider:model`: whatever was known against it is forgotten."""
        now = self.clock.monotonic()
        provider, _, model = name.partition(":")
        for breaker in self._named(name):
            breaker.close(now)
        for target in self._targets.values():
            if target.provider == provider and model in ("", target.model_name):
                target.quota.paused_until = -math.inf
                target.model.close(now)
                target.credential.breaker.close(now)

    def _named(self, name: str) -> list[Breaker]:
        provider, colon, model = name.partition(":")
        if not provider or (colon and not model):
            raise ConfigurationError(f"{name[:80]!r} names no target", hint="`provider` or `provider:model`")
        if not colon:
            return [self._endpoint(provider)]
        found = [t.model for t in self._targets.values() if (t.provider, t.model_name) == (provider, model)]
        return found or [self.find(provider, None, model).model]

    def _endpoint(self, provider: str) -> Breaker:
        found = self._endpoints.get(provider)
        if found is None:
            found = self._endpoints[provider] = self._make_breaker(Scope.ENDPOINT, provider)
        return found

    def _make(self, provider: str, credential: str | None, model: str) -> Target:
        if len(self._targets) >= _MOST_TARGETS:
            self._drop_idle()
        key = self._credentials.get((provider, credential))
        if key is None:
            shown = f"{provider}/{credential}" if credential else provider
            breaker = self._make_breaker(Scope.CREDENTIAL, shown, windowed=False)
            key = Credential(breaker, partial(self._find_mark, provider, credential))
            self._credentials[provider, credential] = key
        limits = self._limits.get(f"{provider}:{model}") or self._limits.get(provider) or self._limits.get("*")
        target = Target(
            provider,
            credential,
            model,
            policy=self._breaker,
            credential=key,
            endpoint=self._endpoint(provider),
            model=self._make_breaker(Scope.MODEL, f"{provider}:{model}"),
            quota=Quota(limits),
        )
        self._targets[provider, credential, model] = target
        return target

    def _drop_idle(self) -> None:
        now = self.clock.monotonic()
        idle = [key for key, target in self._targets.items() if not target.quota.in_flight and not target.refusal(now)]
        for key in idle[: _MOST_TARGETS // 4]:
            del self._targets[key]

    def _make_breaker(self, scope: Scope, name: str, *, windowed: bool = True) -> Breaker:
        return Breaker(self._breaker, self.random, partial(self._tell, scope, name), windowed=windowed)

    def _tell(
        self, scope: Scope, name: str, old: BreakerState, new: BreakerState, reason: str, retry_in_s: float | None
    ) -> None:
        self.tell(Transition(scope, name, old, new, reason, self.clock.now(), retry_in_s))

    def tell(self, transition: Transition) -> None:
        """Logs a transition, and hands it to the listener."""
        level = logging.WARNING if transition.new in (BreakerState.OPEN, BreakerState.ISOLATED) else logging.INFO
        _log.log(
            level,
            "%s of %s: %s -> %s (%s)",
            transition.scope,
            transition.target,
            transition.old,
            transition.new,
            transition.reason,
        )
        if self._listener is not None:
            try:
                self._listener(transition)
            except Exception:  # the application's own code: its mistake must not fail a call
                _log.exception("the listener for transitions raised")


def _no_mark(provider: str, credential: str | None) -> object:
    return None


def _name_of(item: tuple[tuple[str, str | None, str], Target]) -> tuple[str, str, str]:
    provider, credential, model = item[0]
    return provider, model, credential or ""


def _describe(target: Target, now: float) -> TargetHealth:
    gates: list[GateHealth] = []
    for scope, breaker in target.gates():
        ready = breaker.ready_at(now)
        gates.append(GateHealth(scope, breaker.state, breaker.reason, ready - now if now < ready < math.inf else None))
    paused_s = target.quota.paused_until - now
    is_paused = paused_s > 0
    gates.append(
        GateHealth(
            Scope.QUOTA,
            BreakerState.OPEN if is_paused else BreakerState.CLOSED,
            target.quota.pause_reason if is_paused else "",
            paused_s if is_paused else None,
        )
    )
    limit = target.quota.limit
    return TargetHealth(
        target.provider,
        target.model_name,
        target.credential_name,
        target.refusal(now) is None,
        tuple(gates),
        target.quota.in_flight,
        None if limit == math.inf else limit,
        target.first_token.usual,
    )
