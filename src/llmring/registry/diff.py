"""What changed between two registry files, in the words that matter: models, prices in percent, limits, capabilities. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias, cast

from llmring.registry.parse import Fact, FactValue, RegistryFile

What: TypeAlias = Literal["added", "removed", "retired", "price", "cap", "limit", "fact"]
_LIMITS = ("max_input", "max_output", "context_window", "dimensions")


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    what: a model that is `added`, `removed` or now `retired`, a `price`, a capability (`cap`), a `limit`, another `fact`.
    before, after: the values; None where there was, or is, none. percent: of a price that went up or down.
    """

    what: What
    model: str
    fact: str | None = None
    before: FactValue | None = None
    after: FactValue | None = None
    percent: Decimal | None = None

    def __str__(self) -> str:
        if self.what in ("added", "removed", "retired"):
            return f"{self.model} is {self.what}"
        change = f"{show(self.before)} -> {show(self.after)}"
        percent = "" if self.percent is None else f" ({self.percent:+}%)"
        return f"{self.model} {self.fact}: {change}{percent}"


def diff_registries(old: RegistryFile, new: RegistryFile) -> list[Change]:
    """Every change of a model's facts, model by model; where a fact comes from, and when it was looked up, is none."""
    changes: list[Change] = []
    for name in sorted(old.facts.keys() | new.facts.keys()):
        before, after = old.facts.get(name), new.facts.get(name)
        if before is None:
            changes.append(Change("added", f"{new.provider}:{name}"))
        elif after is None:
            changes.append(Change("removed", f"{old.provider}:{name}"))
        else:
            changes.extend(_model(f"{new.provider}:{name}", before, after))
    return changes


def _model(model: str, before: Mapping[str, Fact], after: Mapping[str, Fact]) -> Iterator[Change]:
    for fact in sorted(before.keys() | after.keys()):
        old = before[fact].value if fact in before else None
        new = after[fact].value if fact in after else None
        if old == new:
            continue
        if fact == "lifecycle" and new == "retired":
            yield Change("retired", model, fact, old, new)
        elif fact.startswith("price."):
            percent = _percent(old, new)
            if percent != 0:
                yield Change("price", model, fact, old, new, percent)
        elif fact.startswith("caps."):
            yield Change("cap", model, fact, old, new)
        else:
            yield Change("limit" if fact in _LIMITS else "fact", model, fact, old, new)


def _percent(old: FactValue | None, new: FactValue | None) -> Decimal | None:
    """By how much a price changed, to a tenth of a percent; 0 only where it is the same number."""
    if old is None or new is None:
        return None
    before, after = Decimal(cast("str", old)), Decimal(cast("str", new))
    if before == after:
        return Decimal(0)
    if not before:
        return None
    percent = ((after - before) * 100 / before).quantize(Decimal("0.1"))
    return percent or Decimal("0.1").copy_sign(after - before)


def show(value: FactValue | None) -> str:
    """A value as people read it."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value) or "none"
        case _:
            return str(value)
