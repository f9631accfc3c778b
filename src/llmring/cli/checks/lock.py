"""The lockfile, its profile, and every model of its pools: is the provider known, is there a key, does the model retire."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmring.cli.checks.base import Check
from llmring.cli.failures import BAD_INPUT
from llmring.cli.lock_text import LOCK_NAMED_BY, PROFILE_NAMED_BY
from llmring.exceptions import ConfigurationError, LLMRingError, ProfileNotFoundError
from llmring.lockfile.parse import SUPPORTED_MAJOR, SUPPORTED_MINOR
from llmring.lockfile.store import LockOrigin, LockStore, find_lock

if TYPE_CHECKING:
    from llmring.clock import Clock
    from llmring.service import LLMRing


@dataclass(slots=True)
class Pools:
    """The pools of one profile. aliases: each with its models in order. told: what `explain` says of each model."""

    aliases: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    told: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def providers(self) -> list[str]:
        """Those of the pools, each once, in the order in which they are met."""
        return list(dict.fromkeys(model.partition(":")[0] for models in self.aliases.values() for model in models))

    def has_key(self, provider: str) -> bool:
        """Whether its models would be tried."""
        return any(told["credential"] for model, told in self.told.items() if model.partition(":")[0] == provider)

    def find_usable(self, alias: str, unusable: Container[str]) -> list[str]:
        """The alias's models that a call may be sent to. unusable: providers that cannot answer."""
        return [
            model
            for model in self.aliases[alias]
            if self.told[model]["credential"]
            and self.told[model]["standing"] != "retired"
            and model.partition(":")[0] not in unusable
        ]

    def is_alone(self, provider: str, unusable: Container[str]) -> bool:
        """Whether an alias has models of this provider, and nobody else who can answer."""
        return any(
            not self.find_usable(alias, unusable)
            for alias, models in self.aliases.items()
            if any(model.partition(":")[0] == provider for model in models)
        )


def check_lockfile(lockfile: str | None, environ: Mapping[str, str], clock: Clock) -> Iterator[Check]:
    """Whether there is one, and whether it can be read."""
    try:
        found = find_lock(lockfile, environ, Path.cwd())
    except ConfigurationError as error:
        yield Check("lock.found", "fail", error.message, error.hint, BAD_INPUT)
        return
    if found.origin is LockOrigin.BUNDLED:
        hint = "write an llmring.lock here, so that an upgrade of llmring changes no model of yours"
        yield Check("lock.found", "warn", "no llmring.lock here: the one bundled with llmring is used", hint)
    else:
        yield Check("lock.found", "ok", f"{found.path} ({LOCK_NAMED_BY[found.origin.value]})")
    try:
        lock = LockStore(found.path, clock).current()
    except ConfigurationError as error:
        yield Check("lock.valid", "fail", error.message, error.hint, BAD_INPUT)
        return
    count = sum(len(profile.bindings) for profile in lock.profiles.values())
    text = f"version {lock.version}; profiles: {', '.join(lock.profiles) or 'none'}; {count} bindings"
    if lock.version != f"{SUPPORTED_MAJOR}.{SUPPORTED_MINOR}":
        text += f"; this llmring writes {SUPPORTED_MAJOR}.{SUPPORTED_MINOR}"
    yield Check("lock.valid", "ok", text)


def read_pools(ring: LLMRing, profile: str | None) -> tuple[Pools, Check]:
    """The pools of the profile that counts, and the check of that profile."""
    pools = Pools()
    try:
        pools.aliases = ring.list_aliases(profile)
        told: dict[str, Any] = {"profile": profile or "default", "profile_layer": ""}
        for alias in pools.aliases:
            told = ring.explain(alias, profile)
            # In the pool a model may stand with its effort: `explain` gives its own name, so places count.
            pools.told |= dict(zip(pools.aliases[alias], told["candidates"], strict=True))
    except ConfigurationError as error:
        code = None if isinstance(error, ProfileNotFoundError) else BAD_INPUT
        return pools, Check("lock.profile", "fail", error.message, error.hint, code)
    if not pools.aliases:
        return pools, Check("lock.profile", "warn", "the profile binds no alias")
    return pools, Check("lock.profile", "ok", f"{told['profile']} ({PROFILE_NAMED_BY[told['profile_layer']]})")


def check_models(pools: Pools) -> Iterator[Check]:
    """Where each model stands in its life. Those of which nobody knows anything are told in one line."""
    silent: list[str] = []
    for model, told in sorted(pools.told.items()):
        facts = told["facts"]
        match told["standing"]:
            case "retired":
                text = f"{told['warnings'][0]}; used by {', '.join(_users(pools, model))}"
                yield Check(
                    f"model.{model}", "fail", text, "bind another model, or ask for another version of this one"
                )
            case "retiring" | "deprecated":
                text = f"{told['warnings'][0]}; used by {', '.join(_users(pools, model))}"
                yield Check(
                    f"model.{model}", "warn", text, "bind another model" + (" before then" if facts["retires"] else "")
                )
            case _ if facts["lifecycle"] is None and facts["retires"] is None:
                silent.append(model)
            case _:
                text = facts["lifecycle"] or f"retires {facts['retires']}"
                yield Check(f"model.{model}", "ok", text)
    if silent:
        yield Check("model.unknown", "ok", f"nothing is known of when these retire: {', '.join(silent)}")


def _users(pools: Pools, model: str) -> list[str]:
    return [alias for alias, models in pools.aliases.items() if model in models]


def check_keys(pools: Pools, broken: Mapping[str, LLMRingError]) -> Iterator[Check]:
    """Whether each provider of the pools is known, and has a key. broken: of these it could never be sent."""
    for provider in pools.providers:
        told = next(told for model, told in pools.told.items() if model.partition(":")[0] == provider)
        if provider in broken:
            yield Check(f"key.{provider}", "fail", broken[provider].message, broken[provider].hint)
        elif told["credential"]:
            yield Check(f"key.{provider}", "ok", told["why"])
        else:
            is_unknown = told["why"].endswith("is not known")
            hint = (
                "declare it in code or in the user's config file, or install what provides it" if is_unknown else None
            )
            yield Check(f"key.{provider}", "warn", f"{told['why']}; its models are passed over", hint)


def check_aliases(pools: Pools, unusable: Container[str]) -> Iterator[Check]:
    """Whether a call of each alias can be sent to somebody. unusable: providers that cannot answer."""
    for alias, models in pools.aliases.items():
        usable = pools.find_usable(alias, unusable)
        if usable:
            yield Check(
                f"alias.{alias}", "ok", f"goes to {usable[0]}; {len(usable)} of {len(models)} models can be called"
            )
        else:
            yield Check(f"alias.{alias}", "fail", f"none of its models can be called: {', '.join(models)}", "see above")
