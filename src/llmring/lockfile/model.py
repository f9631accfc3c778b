"""What a lockfile says, as plain data. Pure: reading it from text is `parse`, finding it on disk is `store`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from llmring.registry.model_info import ModelInfo

DEFAULT_PROFILE = "default"

Policy = Literal["warn", "fail", "ignore"]
POLICIES: Final = ("warn", "fail", "ignore")


@dataclass(frozen=True, slots=True)
class Binding:
    """One alias of one profile.

    models: the pool, `provider:model` in the order they are tried. input: hash of the intent it was locked from.
    parameters: what a request under this alias sends where it says nothing itself: temperature, max_tokens, reasoning_effort, system.
    requested: the pool as the manifest wrote it, where a pointer was resolved; resolved: hash over what each was resolved to.
    then: the successor pool that was reviewed, until: the day (YYYY-MM-DD, it begins in UTC) from which it serves instead of `models`.
    """

    alias: str
    models: tuple[str, ...]
    input: str | None = None
    requested: tuple[str, ...] = ()
    resolved: str | None = None
    until: str | None = None
    then: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def is_succeeded(self, today: str) -> bool:
        """Whether `then` serves on this day (YYYY-MM-DD)."""
        return self.until is not None and bool(self.then) and today >= self.until

    def serving(self, today: str) -> tuple[str, ...]:
        """The pool of this day."""
        return self.then if self.is_succeeded(today) else self.models


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of bindings, by alias, in the file's order.

    on_drift: what a response of another model than the locked one comes to. min_pin: the manifest's; under "content", digests are
    verified before a model's first use. Both are here because nobody reads the manifest at run time.
    """

    name: str
    bindings: Mapping[str, Binding]
    on_drift: Policy = "warn"
    min_pin: str | None = None


@dataclass(frozen=True, slots=True)
class LockedModel:
    """The row of one model: what is known of it, and what only the lock's own commands read.

    digest: of the content, where the pin is one. retires_kind: "earliest" or "firm". facts: hash over the row.
    """

    info: ModelInfo
    digest: str | None = None
    retires_kind: str | None = None
    facts: str | None = None


@dataclass(frozen=True, slots=True)
class ExtendedPackage:
    """An installed distribution whose aliases appear as `package:alias`.

    dist: name and version it was locked at. lock: `sha256:…` of the lockfile that it ships.
    """

    package: str
    dist: str | None
    lock: str


@dataclass(frozen=True, slots=True)
class Lock:
    """One lockfile, read.

    version: as the file writes it. default_profile: None where the file names none. digest: `sha256:…` of the file's bytes.
    source: where it came from, for messages.
    """

    version: str
    default_profile: str | None
    profiles: Mapping[str, Profile]
    locked: Mapping[str, LockedModel]
    extended: Mapping[str, ExtendedPackage]
    digest: str
    source: str

    def find_info(self, model: str) -> ModelInfo | None:
        """What the lock knows of `provider:model`; None where it has no row for it."""
        row = self.locked.get(model)
        return None if row is None else row.info
