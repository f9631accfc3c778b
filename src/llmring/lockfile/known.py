"""What sources say of models at the time of locking, merged: what `facts` gathers and `locking` decides by. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmring.lockfile.finding import Finding
from llmring.lockfile.model import LockedModel
from llmring.registry.model_info import ModelInfo


@dataclass(frozen=True, slots=True)
class Known:
    """One model.

    row: as it would be locked, without its hash. worst: the same facts, in each the least that any source says: what a constraint is
    held against. found: whether a source says that the model exists. created: it was made on this machine. released: the day that
    its vendor gives it; seen: the earliest day that somebody wrote of it; priced: the day from which its prices hold (YYYY-MM-DD).
    """

    row: LockedModel
    worst: ModelInfo
    found: bool = True
    created: bool = False
    released: str | None = None
    seen: str | None = None
    priced: str | None = None

    @property
    def info(self) -> ModelInfo:
        return self.row.info


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was learned on a day. today: YYYY-MM-DD.

    models: by `provider:model`; one that is not here was not asked for. listed: providers whose own listing was read, so that what
    it lacks is gone. covered: providers of which a source knows models at all. strangers: those that nothing here knows how to call. names: by provider, names to suggest from.
    unread: sources that could not be asked, by `source of provider`, with the reason. findings: disagreement and staleness.
    """

    today: str
    models: Mapping[str, Known] = field(default_factory=dict[str, Known])
    listed: frozenset[str] = frozenset()
    covered: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    findings: tuple[Finding, ...] = ()
