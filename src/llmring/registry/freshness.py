"""How old a registry's facts are, and what its dates say by now. Pure: the day is passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from llmring.registry.parse import RegistryFile

MAX_AGE_DAYS: Final = 90  # guess: prices and retirements of most vendors change a few times a year


@dataclass(frozen=True, slots=True)
class SourceAge:
    """How old what one source says of one provider is. age_days: negative where it is dated after the day asked for."""

    provider: str
    source: str
    what: str
    url: str
    date: str
    age_days: int
    facts: int
    stale: bool


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model past its retirement date that is not marked retired. kind: whether that date was the earliest or a firm one."""

    model: str
    retires: str
    kind: str | None
    successor: str | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """as_of: the day it was asked for. sources: by provider, oldest first. past_retirement: see Retirement."""

    as_of: str
    sources: tuple[SourceAge, ...]
    past_retirement: tuple[Retirement, ...]


def check_freshness(files: Iterable[RegistryFile], as_of: date, *, max_age_days: int) -> Freshness:
    """The age of each source's facts on `as_of`; stale are those older than `max_age_days`."""
    ages: list[SourceAge] = []
    past: list[Retirement] = []
    for file in files:
        counts = Counter(fact.source for facts in file.facts.values() for fact in facts.values())
        for key, source in sorted(file.sources.items(), key=lambda item: (item[1].date, item[0])):
            age = (as_of - date.fromisoformat(source.date)).days
            ages.append(
                SourceAge(
                    file.provider, key, source.what, source.url, source.date, age, counts[key], age > max_age_days
                )
            )
        past.extend(
            Retirement(info.id, info.retires, info.retires_kind, info.successor)
            for _, info in sorted(file.models.items())
            if info.retires is not None and info.retires <= as_of.isoformat() and info.lifecycle != "retired"
        )
    return Freshness(as_of.isoformat(), tuple(ages), tuple(past))
