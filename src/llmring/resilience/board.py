"""The state of every target of one ring, made when it is first asked for: who shares which gate, and who is told of a change."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from inspect import iscoroutinefunction
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmring.exceptions import ConfigurationError
from llmring.resilience.breaker import Breaker, BreakerState, Scope, Transition
from llmring.resilience.budget import RetryBudget
from llmring.resilience.policy import BreakerPolicy, RateLimits, RetryPolicy
from llmring.resilience.quota import Quota
from llmring.resilience.target import Credential, Target
from llmring.schemas.model_ref import PROVIDER_NAME

if TYPE_CHECKING:
    from llmring.clock import Clock
    from llmring.resilience.lease import SharingHealth

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
    usual_first_token_s: of streams; None until there was one. waiting: how many calls stand in line for its limits."""

    provider: str
    model: str
    credential: str | None
    available: bool
    gates: tuple[GateHealth, ...]
    in_flight: int
    waiting: int
    concurrency_limit: float | None
    usual_first_token_s: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """How every target is doing that was asked for so far. shared_limits: None where limits are this ring's own."""

    targets: tuple[TargetHealth, ...]
    shared_limits: SharingHealth | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_limits(
    limits: Mapping[str, RateLimits] | RateLimits | None, knows: Callable[[str], bool] | None = None
) -> dict[str, RateLimits]:
    """By the names of targets. Raises ConfigurationError for what names none, or is none. knows: whether a provider has this name."""
    given: object = limits
    if limits is None or isinstance(limits, RateLimits):
        return {} if limits is None else {"*": limits}
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"limits: a {type(given).__name__}", hint='RateLimits(…), or {"provider:model": RateLimits(…)}'
        )
    for name, value in limits.items():
        shown = str(name)[:80]
        provider, colon, model = name.partition(":") if isinstance(name, str) else ("", "", "")  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
        if (name != "*" and not PROVIDER_NAME.fullmatch(provider)) or (colon and not model):
            raise ConfigurationError(f"limits: {shown!r} names no target", hint='"provider:model", "provider" or "*"')
        if name != "*" and knows is not None and not knows(provider):
            raise ConfigurationError(
                f"limits: {shown!r} names no provider that is known here",
                hint="aliases have no limits, providers and their models do; providers=… adds a provider",
            )
        if not isinstance(value, RateLimits):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise ConfigurationError(
                f"limits[{shown!r}]: a {type(value).__name__}", hint="RateLimits(requests_per_minute=…)"
            )
    return dict(limits)


class Sharing(Protocol):
    """Makes quotas that other processes keep as well. tell: hears when it can, and when it cannot."""

    tell: Callable[[Transition], None] | None

    def make_quota(
        self, provider: str, credential: str | None, model: str, limits: RateLimits, *, is_bound: bool
    ) -> Quota: ...

    def health(self) -> SharingHealth: ...


class Board:
    """The gates of a ring.

    limits: for each target, most exact first: "provider:model", "provider", "*". ring_limits: for all of them together. find_mark:
    given a provider's name and which of its keys, something that changes when the key does. listener: hears of each transition; what it raises is logged and goes no further.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        retry: RetryPolicy | None = None,
        breaker: BreakerPolicy | None = None,
        limits: Mapping[str, RateLimits] | RateLimits | None = None,
        ring_limits: RateLimits | None = None,
        knows_provider: Callable[[str], bool] | None = None,
        find_mark: Callable[[str, str | None], object] | None = None,
        sharing: Sharing | None = None,
        listener: Callable[[Transition], None] | None = None,
        random: Random | None = None,
    ) -> None:
        self.clock = clock
        self.retry = retry or RetryPolicy()
        self.budget = RetryBudget()
        self.random = random or Random()  # noqa: S311 - spreads retries, keeps no secret
        self._breaker = breaker or BreakerPolicy()
        self._limits = read_limits(limits, knows_provider)
        self._knows_provider = knows_provider
        self.quota = None if ring_limits is None else Quota(ring_limits)
        self.moved_by_hand: Callable[[], None] | None = None  # whoever keeps lines of waiters is told
        self._find_mark = find_mark or _no_mark
        self._sharing = sharing
        if sharing is not None:
            sharing.tell = self.tell
        self._listener = _check_listener(listener)
        self._targets: dict[tuple[str, str | None, str], Target] = {}
        self._sweep_at = _MOST_TARGETS
        self._credentials: dict[tuple[str, str | None], Credential] = {}
        self._endpoints: dict[str, Breaker] = {}
        self._isolated: dict[str, str] = {}  # reasons, by `provider` and `provider:model`

    def find(self, provider: str, credential: str | None, model: str) -> Target:
        try:
            return self._targets[provider, credential, model]
        except KeyError:
            return self._make(provider, credential, model)

    def forget(self, provider: str) -> None:
        """Another provider has this name now: what is known of the old one says nothing of it, wherever it is. Calls under way end with
        the old. What was isolated by hand stays so: that was said of the name."""
        self._targets = {key: target for key, target in self._targets.items() if key[0] != provider}
        self._credentials = {key: found for key, found in self._credentials.items() if key[0] != provider}
        self._endpoints.pop(provider, None)

    def health(self) -> Health:
        """Changes nothing, and may be asked for by any thread: of a copy, because calls add targets meanwhile."""
        now = self.clock.monotonic()
        return Health(
            tuple(_describe(target, now) for _, target in sorted(self._targets.copy().items(), key=_name_of)),
            None if self._sharing is None else self._sharing.health(),
        )

    def isolate(self, name: str, reason: str) -> None:
        """Asks a provider, or one `provider:model`, no more until `restore`. Raises ConfigurationError for what names none."""
        breakers = self._named(name)
        self._isolated[name] = reason  # for keys that were never asked yet, and for whoever gets this name
        for breaker in breakers:
            breaker.isolate(reason)
        if self.moved_by_hand is not None:
            self.moved_by_hand()

    def restore(self, name: str) -> None:
        """Closes every gate of a provider, or of one `provider:model`: whatever was known against it is forgotten. A provider that was
        isolated by hand stays so until it is restored by its own name."""
        now = self.clock.monotonic()
        provider, _, model = name.partition(":")
        self._isolated = {
            isolated: reason
            for isolated, reason in self._isolated.items()
            if name not in (isolated, isolated.partition(":")[0])
        }
        for breaker in self._named(name):
            breaker.close(now)
        for target in self._targets.values():
            if target.provider == provider and model in ("", target.model_name):
                target.quota.resume()
                target.model.close(now)
                target.credential.breaker.close(now)
                if target.endpoint.state is not BreakerState.ISOLATED:
                    target.endpoint.close(now)
        if self.moved_by_hand is not None:
            self.moved_by_hand()

    def _named(self, name: str) -> list[Breaker]:
        provider, colon, model = name.partition(":")
        if not provider or (colon and not model):
            raise ConfigurationError(f"{name[:80]!r} names no target", hint="`provider` or `provider:model`")
        if self._knows_provider is not None and not self._knows_provider(provider):
            raise ConfigurationError(
                f"{name[:80]!r} names no provider that is known here",
                hint="aliases have no gates, providers and their models do: `provider` or `provider:model`",
            )
        if not colon:
            return [self._endpoint(provider)]
        found = [t.model for t in self._targets.values() if (t.provider, t.model_name) == (provider, model)]
        return found or [self.find(provider, None, model).model]

    def _endpoint(self, provider: str) -> Breaker:
        found = self._endpoints.get(provider)
        if found is None:
            found = self._endpoints[provider] = self._make_breaker(Scope.ENDPOINT, provider)
            reason = self._isolated.get(provider)
            if reason is not None:
                found.isolate(reason)
        return found

    def _make(self, provider: str, credential: str | None, model: str) -> Target:
        if len(self._targets) >= self._sweep_at:
            self._drop_idle()
        shown = f"{provider}/{credential}" if credential else provider
        key = self._credentials.get((provider, credential))
        if key is None:
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
            model=self._make_breaker(Scope.MODEL, f"{shown}:{model}"),
            quota=self._make_quota(provider, credential, model, limits),
        )
        self._targets[provider, credential, model] = target
        reason = self._isolated.get(target.name)
        if reason is not None:
            target.model.isolate(reason)
        return target

    def _make_quota(self, provider: str, credential: str | None, model: str, limits: RateLimits | None) -> Quota:
        is_bound = self.quota is not None
        if limits is None or self._sharing is None:
            return Quota(limits, is_bound=is_bound)
        return self._sharing.make_quota(provider, credential, model, limits, is_bound=is_bound)

    def _drop_idle(self) -> None:
        """The oldest of those that nobody misses; at most a quarter, so that no call has to look through all of them for long."""
        now, most = self.clock.monotonic(), _MOST_TARGETS // 4
        # What has limits remembers what was taken of them, until that is earned. That a model does not exist costs one request to learn
        # anew, and names that are invented are all of that kind.
        idle = (
            key
            for key, target in self._targets.items()
            if target.quota.is_idle(now) and (target.is_missing(now) or not target.refusal(now))
        )
        for key in list(islice(idle, most)):
            del self._targets[key]
        # Where none of them can go, not each new one has all the others looked through.
        self._sweep_at = max(_MOST_TARGETS, len(self._targets) + most)

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


def _check_listener(listener: Callable[[Transition], None] | None) -> Callable[[Transition], None] | None:
    if listener is not None and (not callable(listener) or iscoroutinefunction(listener)):
        raise ConfigurationError(
            "on_transition: a plain function is wanted, which is called with a Transition",
            hint="it runs between two steps of a call: one that has to wait starts a task",
        )
    return listener


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
        target.is_available(now),
        tuple(gates),
        target.quota.in_flight,
        target.quota.waiting,
        None if limit == math.inf else limit,
        target.first_token.usual,
    )
