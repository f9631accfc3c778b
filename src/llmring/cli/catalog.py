"""The models that `list` and `info` look among: those of the registry, and those of the lockfile, whose facts count more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmring import env
from llmring.clock import SystemClock
from llmring.exceptions import AliasNotFoundError, ModelInfoNotFoundError
from llmring.lockfile.store import LockStore, find_lock
from llmring.registry.catalog import Catalog
from llmring.registry.facts import name_source
from llmring.registry.layers import lay_over
from llmring.registry.model_info import ModelInfo
from llmring.registry.origin import RegistryOrigin
from llmring.resolver import Resolver


@dataclass(frozen=True, slots=True)
class KnownModels:
    """catalog: of both. pools: by profile and alias, the models of the lockfile's own bindings. in_lock: every model that the lockfile
    names. resolver: of its names."""

    catalog: Catalog
    pools: Mapping[tuple[str, str], tuple[str, ...]]
    in_lock: frozenset[str]
    resolver: Resolver

    def find_aliases(self, model: str) -> list[tuple[str, str]]:
        """Profile and alias of every pool that this model is in."""
        return [place for place, models in self.pools.items() if model in models]


def read_known_models(lockfile: str | None) -> KnownModels:
    """Raises LockfileError where the lockfile cannot be used, ConfigurationError where ./.env cannot."""
    environ = env.load()
    clock = SystemClock()
    store = LockStore(find_lock(lockfile, environ, Path.cwd()).path, clock)
    lock = store.current()
    models = RegistryOrigin(env.get(env.LLMRING_REGISTRY_URL, environ), environ=environ, clock=clock).load()
    resolver = Resolver(
        store,
        clock=clock,
        # Facts are asked for, not calls: whoever the provider is, and whether there is a key.
        has_credential=lambda name: False,
        known_provider=lambda name: True,
        known_model=lambda ref: str(ref) in models,
        default_profile=env.get(env.LLMRING_PROFILE, environ),
        # What is listed is not called: `info` on one model must not talk of another's retirement.
        is_silent=True,
    )
    # By what they resolve to: a pool may hold `gpt-5-high`, which is gpt-5.
    pools = {
        (profile.name, alias): tuple(str(each.ref) for each in resolver.resolve(alias, profile.name).candidates)
        for profile in lock.profiles.values()
        for alias in profile.bindings
    }
    in_lock = frozenset(lock.locked) | {model for pool in pools.values() for model in pool}
    for name in in_lock:
        row = lock.find_info(name)
        known = None if row is None else name_source(row, "the lockfile")
        models[name] = lay_over(known, models.get(name)) or ModelInfo(name)
    return KnownModels(Catalog(lambda: models), pools, in_lock, resolver)


def find_model(known: KnownModels, name: str, profile: str | None) -> ModelInfo:
    """The first model of an alias's pool, or the model of this name.

    Raises ModelInfoNotFoundError, or AliasNotFoundError where the name comes closer to an alias, each with close matches.
    """
    try:
        resolution = known.resolver.resolve(name, profile)
    except AliasNotFoundError as not_an_alias:
        try:
            return known.catalog.get(name)
        except ModelInfoNotFoundError as error:
            raise (not_an_alias if not_an_alias.close_matches and not error.close_matches else error) from None
    first = resolution.candidates[0]
    if resolution.alias is None:
        return known.catalog.get(str(first.ref))
    # An extended package's rows count beside the lock's own.
    row = name_source(first.info, "the lockfile")
    return lay_over(row, known.catalog.look_up(first.info.id)) or row
