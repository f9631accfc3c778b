"""From the word in a request to the models to try: an alias of the lockfile, `provider:model`, or `package:alias`.

Reads what the lock says and never guesses: no network, no registry, no constraint is solved here.
"""

from __future__ import annotations

import difflib
import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Final

from cachetools import TTLCache

from llmring.clock import Clock
from llmring.exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    ProfileNotFoundError,
    ProviderNotFoundError,
)
from llmring.lockfile.extends import choose_profile, read_package_lock
from llmring.lockfile.model import DEFAULT_PROFILE, Binding, Lock, Policy, Profile
from llmring.lockfile.store import LockStore
from llmring.registry.layers import lay_over
from llmring.registry.model_info import ModelInfo
from llmring.schemas.model_ref import ModelRef, parse_model_ref

if TYPE_CHECKING:
    from llmring.schemas.request import ReasoningEffort  # it brings pydantic, which `llmring aliases` does without

_log = logging.getLogger("llmring.resolver")

# "max" is none of them: vendors name models so (gpt-5.1-codex-max, qwen-max), and new ones before anybody here knows of them.
_EFFORT_SUFFIXES: Final[Mapping[str, ReasoningEffort]] = {
    "none": "none",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
}
_MAX_SHOWN = 80
_CLOSE = 3
_MOST_SAID = 1000  # a guess: nobody reads more


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that a call may go to, and what the lock knows of it. effort: what a suffix of its name asks for, as in `gpt-5-high`;
    a request's own reasoning_effort wins. requested: the pointer that the lock resolved to this model.
    digest: what its content must be (`sha256:…`), where the profile pins content; None: nobody has to look. credential: which of its
    provider's keys, by its variable, where there are several."""

    ref: ModelRef
    info: ModelInfo
    effort: ReasoningEffort | None = None
    requested: str | None = None
    digest: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name stands for.

    alias: None where the name was `provider:model`. profile: the one that was looked in. candidates: in the order to try.
    lock_digest, source: of the lockfile that says so. binding: what it says of the alias; None without one.
    on_drift: what an answer of another model comes to; None where no model is locked. serves_until: seconds since the epoch, from
    when on the binding's successor serves; None where there is none, or where it serves already.
    """

    alias: str | None
    profile: str
    candidates: tuple[Candidate, ...]
    lock_digest: str
    source: str
    binding: Binding | None = None
    on_drift: Policy | None = None
    serves_until: float | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the lock pins beside the models; a request's own values win."""
        return {} if self.binding is None else self.binding.parameters


class AliasCacheStats:
    """The alias cache's counters since the service was made. size, maxsize: entries."""

    __slots__ = ("evictions", "hits", "maxsize", "misses", "size")

    def __init__(self, hits: int, misses: int, size: int, maxsize: int, evictions: int) -> None:
        self.hits = hits
        self.misses = misses
        self.size = size
        self.maxsize = maxsize
        self.evictions = evictions

    def to_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("hits", "misses", "size", "maxsize", "evictions")}

    def __repr__(self) -> str:
        return f"AliasCacheStats({', '.join(f'{name}={value}' for name, value in self.to_dict().items())})"


class Resolver:
    """Resolves names by one lockfile. Callable from any thread.

    has_credential, known_provider: asked at call time, by provider name. provider_names: for close matches alone.
    known_model: whether a model is one that llmring knows of, beside those of the lock. find_registered: what the program itself
    said of a model; the lock's facts go before it.
    default_profile: what LLMRING_PROFILE says, None where it says nothing. is_silent: whoever only looks logs nothing. cache_size: entries, 0 turns the cache off;
    cache_ttl_s: seconds.
    """

    def __init__(
        self,
        store: LockStore,
        *,
        clock: Clock,
        has_credential: Callable[[str], bool],
        known_provider: Callable[[str], bool],
        provider_names: Callable[[], Iterable[str]] | None = None,
        known_model: Callable[[ModelRef], bool] | None = None,
        find_registered: Callable[[str], ModelInfo | None] | None = None,
        default_profile: str | None = None,
        is_silent: bool = False,
        cache_size: int = 1000,
        cache_ttl_s: float = 3600.0,
    ) -> None:
        if cache_size < 0:
            raise ConfigurationError(f"alias_cache_size is {cache_size}", hint="0 turns the cache off")
        if math.isnan(cache_ttl_s) or cache_ttl_s < 0:
            raise ConfigurationError(f"alias_cache_ttl is {cache_ttl_s}", hint="seconds, 0 or more")
        self._store = store
        self._clock = clock
        self._has_credential = has_credential
        self._known_provider = known_provider
        self._provider_names = provider_names
        self._known_model = known_model
        self._find_registered = find_registered
        self._default_profile = default_profile
        self._is_silent = is_silent
        self._size = cache_size
        self._ttl_s = cache_ttl_s
        self._guard = threading.Lock()
        self._cached_lock: Lock | None = None
        self._hits = self._misses = self._evictions = 0
        self._said: set[str] = set()
        self._start_cache(None)

    # The cache: what was resolved under one lock. Another lock, another cache.

    def _start_cache(self, lock: Lock | None) -> None:
        self._cached_lock = lock
        self._cache: TTLCache[tuple[str, str | None], Resolution] = TTLCache(
            self._size, self._ttl_s, self._clock.monotonic
        )
        self._packages: dict[str, Lock] = {}

    def clear_cache(self) -> None:
        """Forgets what was resolved, and the locks of extended packages, and looks at the lockfile anew; the counters stay."""
        self._store.expire()
        with self._guard:
            self._start_cache(None)

    def stats(self) -> AliasCacheStats:
        with self._guard:
            self._cache.expire()
            return AliasCacheStats(self._hits, self._misses, len(self._cache), self._size, self._evictions)

    def resolve(self, alias_or_model: str, profile: str | None = None) -> Resolution:
        """The models that `alias_or_model` stands for, in the order to try them.

        profile: default, LLMRING_PROFILE, else the lockfile's default_profile, else "default". Raises AliasNotFoundError,
        ProfileNotFoundError or ProviderNotFoundError with close matches, LockfileError where the lock cannot be used.
        """
        lock = self._store.current()
        key = (alias_or_model, profile)
        with self._guard:
            if lock is not self._cached_lock:
                self._start_cache(lock)
            try:
                resolution = self._cache[key]
            except KeyError:
                self._misses += 1
            else:
                until = resolution.serves_until
                if until is None or self._clock.now() < until:
                    self._hits += 1
                    return resolution
                self._misses += 1
        resolution = self._look_up(lock, alias_or_model, profile)
        with self._guard:
            # Meanwhile the file may have changed, and the cache been begun anew for another lock.
            if lock is self._cached_lock and self._size:
                # len() drops what has expired, so what makes room by expiring is no eviction.
                if key not in self._cache and len(self._cache) >= self._size:
                    self._evictions += 1
                self._cache[key] = resolution
        return resolution

    def resolve_alias(self, alias_or_model: str, profile: str | None = None) -> str:
        """`provider:model` of the first candidate whose provider has a credential, else of the first. Raises as `resolve`."""
        candidates = self.resolve(alias_or_model, profile).candidates
        for candidate in candidates:
            if self._has_credential(candidate.ref.provider):
                return str(candidate.ref)
        return str(candidates[0].ref)

    def list_aliases(self, profile: str | None = None) -> dict[str, list[str]]:
        """Every alias of the profile and its pool, those of extended packages as `package:alias`. Raises as `resolve`."""
        lock = self._store.current()
        found = self._find_profile(lock, profile)
        today = self._today()
        aliases = {alias: list(binding.serving(today)) for alias, binding in found.bindings.items()}
        for package in lock.extended:
            for alias, binding in self._package_profile(lock, package, found.name)[1].bindings.items():
                aliases[f"{package}:{alias}"] = list(binding.serving(today))
        return aliases

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).date().isoformat()

    def has_alias(self, alias: str, profile: str | None = None) -> bool:
        """Whether the profile binds this alias. Raises ProfileNotFoundError, and LockfileError, as `resolve`."""
        lock = self._store.current()
        found = self._find_profile(lock, profile)
        package, colon, name = alias.partition(":")
        if not colon:
            return alias in found.bindings
        return package in lock.extended and name in self._package_profile(lock, package, found.name)[1].bindings

    def require_aliases(self, *aliases: str, profile: str | None = None) -> None:
        """Raises one AliasNotFoundError that names every alias that the profile does not bind."""
        missing = [alias for alias in aliases if not self.has_alias(alias, profile)]
        if not missing:
            return
        lock = self._store.current()
        found = self._find_profile(lock, profile)
        close = {alias: _close(alias, found.bindings) for alias in missing}
        guesses = "; ".join(f"for {alias!r}: {', '.join(names)}" for alias, names in close.items() if names)
        raise AliasNotFoundError(
            f"no such aliases in profile {found.name!r} of {lock.source}: "
            + ", ".join(repr(alias[:_MAX_SHOWN]) for alias in missing),
            name=missing[0] if len(missing) == 1 else ", ".join(missing),
            close_matches=tuple(dict.fromkeys(name for names in close.values() for name in names)),
            hint=f"close: {guesses}" if guesses else "bind them in the lockfile",
        )

    def _look_up(self, lock: Lock, name: str, profile: str | None) -> Resolution:
        prefix, colon, rest = name.partition(":")
        if not colon:
            found = self._find_profile(lock, profile)
            return self._make(lock, name, found, self._find_binding(name, found, lock.source), lock)
        if prefix in lock.extended:
            outer = self._find_profile(lock, profile)
            inner_lock, inner = self._package_profile(lock, prefix, outer.name)
            return self._make(lock, name, outer, self._find_binding(rest, inner, inner_lock.source), inner_lock)
        if not self._known_provider(prefix):
            raise self._unknown_provider(lock, name, prefix, profile)
        ref = parse_model_ref(name)
        candidate = self._make_candidate(ref, lock.find_info)
        return Resolution(None, self._profile_name(lock, profile), (candidate,), lock.digest, lock.source)

    def _make(self, lock: Lock, alias: str, profile: Profile, binding: Binding, inner: Lock) -> Resolution:
        today = self._today()
        models = binding.serving(today)
        serves_until = None
        if binding.until is not None and binding.then:
            self._say_successor(alias, profile.name, binding, today)
            if not binding.is_succeeded(today):
                serves_until = datetime.combine(date.fromisoformat(binding.until), time(), UTC).timestamp()
        # `requested` tells what each of `models` was asked for by; of a successor it says nothing.
        is_told = models is binding.models and len(binding.requested) == len(models)
        requested = binding.requested if is_told else (None,) * len(models)

        # A package says what its models can do and cost; where the user's own lock has a row, that one counts.
        def find_info(name: str) -> ModelInfo | None:
            return lock.find_info(name) or inner.find_info(name)

        candidates: list[Candidate] = []
        for model, pointer in zip(models, requested, strict=True):
            made = self._make_candidate(parse_model_ref(model), find_info)
            row = lock.locked.get(model) or inner.locked.get(model)
            digest = row.digest if row is not None and profile.min_pin == "content" else None
            if digest is not None or pointer not in (None, model):
                made = Candidate(made.ref, made.info, made.effort, pointer, digest)
            self._say_retired(made.info, today)
            candidates.append(made)
        return Resolution(
            alias, profile.name, tuple(candidates), lock.digest, lock.source, binding, profile.on_drift, serves_until
        )

    def _say_successor(self, alias: str, profile: str, binding: Binding, today: str) -> None:
        """Once before the day, once from it on."""
        named, then = f"alias {alias!r} of profile {profile!r}", ", ".join(binding.then)
        if binding.is_succeeded(today):
            self._say_once(f"{named} is served by its reviewed successor since {binding.until}: {then}")
        else:
            self._say_once(f"{named} will be served by its reviewed successor from {binding.until} on: {then}")

    def _say_retired(self, info: ModelInfo, today: str) -> None:
        """What is locked keeps working as long as its provider lets it; the log says once that this may end."""
        if info.retires is not None and today >= info.retires:
            how = "may be retired since" if info.retires_kind == "earliest" else "is retired since"
            self._say_once(f"{info.id} {how} {info.retires}; `llmring lock audit` says what may take its place")

    def _say_once(self, text: str) -> None:
        if not self._is_silent and text not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(text)
            _log.warning("%s", text)

    def _make_candidate(self, ref: ModelRef, find_info: Callable[[str], ModelInfo | None]) -> Candidate:
        """The model of this name; where nobody knows it, and one without its suffix is known, that one, thinking as hard as the
        suffix says."""
        info = self._find_info(str(ref), find_info)
        name, dash, suffix = ref.model.rpartition("-")
        if info is None and dash and suffix in _EFFORT_SUFFIXES and not self._is_known(ref):
            plain = ModelRef(ref.provider, name)
            known = self._find_info(str(plain), find_info)
            if known is not None or self._is_known(plain):
                return Candidate(plain, known or ModelInfo(str(plain)), _EFFORT_SUFFIXES[suffix])
        return Candidate(ref, info or ModelInfo(str(ref)))

    def _find_info(self, model: str, find_info: Callable[[str], ModelInfo | None]) -> ModelInfo | None:
        locked = find_info(model)
        registered = None if self._find_registered is None else self._find_registered(model)
        if registered is None:
            return locked
        from llmring.registry.facts import name_source  # here: few programs register models

        return lay_over(locked, name_source(registered, "this program"))

    def _is_known(self, ref: ModelRef) -> bool:
        return self._known_model is not None and self._known_model(ref)

    # Profiles

    def _profile_name(self, lock: Lock, given: str | None) -> str:
        """The profile to look in. One that a person named must exist, whether or not it is needed."""
        if given is not None or self._default_profile is not None:
            return self._find_profile(lock, given).name
        return lock.default_profile or DEFAULT_PROFILE

    def profile_layer(self, given: str | None) -> str:
        """Who says which profile a look-up with this argument looks in. Raises LockfileError, as `resolve`."""
        return self._choose_profile(self._store.current(), given)[1]

    def _choose_profile(self, lock: Lock, given: str | None) -> tuple[str, str]:
        """A profile's name, and who said it."""
        if given is not None:
            return given, "the profile argument"
        if self._default_profile is not None:
            return self._default_profile, "LLMRING_PROFILE"
        if lock.default_profile is not None:
            return lock.default_profile, "default_profile"
        return DEFAULT_PROFILE, "no profile was named"

    def _find_profile(self, lock: Lock, given: str | None) -> Profile:
        name, said_by = self._choose_profile(lock, given)
        profile = lock.profiles.get(name)
        if profile is not None:
            return profile
        close = _close(name, lock.profiles)
        there = ", ".join(lock.profiles) or "none"
        raise ProfileNotFoundError(
            f"no profile {name[:_MAX_SHOWN]!r} ({said_by}) in {lock.source}",
            name=name,
            close_matches=close,
            hint=f"did you mean {' or '.join(close)}?" if close else f"it has: {there[:300]}",
        )

    def _package_profile(self, lock: Lock, package: str, profile: str) -> tuple[Lock, Profile]:
        """A package's lock, and in it the profile of the same name, else its own default."""
        # Read once for each state of the user's lock: an upgrade under a running program shows at its next start.
        with self._guard:
            inner = self._packages.get(package) if lock is self._cached_lock else None
        if inner is None:
            inner = read_package_lock(lock.extended[package], lock.source)
            with self._guard:
                if lock is self._cached_lock:
                    self._packages[package] = inner
        found = choose_profile(inner, profile)
        if found is None:
            raise ProfileNotFoundError(
                f"{inner.source} has neither a profile {profile!r} nor a default one", name=profile
            )
        return inner, found

    # What to say when a name is not found

    def _find_binding(self, alias: str, profile: Profile, source: str) -> Binding:
        binding = profile.bindings.get(alias)
        if binding is not None:
            return binding
        close = _close(alias, profile.bindings)
        there = ", ".join(profile.bindings) or "no alias at all"
        raise AliasNotFoundError(
            f"no alias {alias[:_MAX_SHOWN]!r} in profile {profile.name!r} of {source}",
            name=alias,
            close_matches=close,
            hint=f"did you mean {' or '.join(close)}?"
            if close
            else f"the profile has: {there[:300]}; a model is written provider:model",
        )

    def _unknown_provider(self, lock: Lock, name: str, prefix: str, profile: str | None) -> ProviderNotFoundError:
        known = [*(self._provider_names() if self._provider_names else ()), *lock.extended]
        rest = name.partition(":")[2]
        close = tuple(f"{other}:{rest}" for other in _close(prefix, known))
        close += _close(name, self._find_profile(lock, profile).bindings if lock.profiles else ())
        shown = tuple(text[:_MAX_SHOWN] for text in close)
        return ProviderNotFoundError(
            f"no provider {prefix[:_MAX_SHOWN]!r}, so {name[:_MAX_SHOWN]!r} is no model",
            name=prefix,
            close_matches=close,
            hint=f"did you mean {' or '.join(shown)}?" if close else "declare it: LLMRing(providers={…})",
        )


def _close(name: str, known: Iterable[str]) -> tuple[str, ...]:
    # Case first: difflib counts a wrong case like any other wrong letter, and short aliases fall below its cut-off.
    names = list(known)
    same = [other for other in names if other.lower() == name.lower()]
    near = difflib.get_close_matches(name[:_MAX_SHOWN], names, n=_CLOSE)
    return tuple(dict.fromkeys([*same, *near]))[:_CLOSE]
