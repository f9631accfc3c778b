"""What changed between two locks, in the words that matter to who reviews it: aliases, models, prices, what they can do. Pure.

Where a fact comes from, and when it was looked up, is no change. What is not known is None, and no percent is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from llmring.lockfile.model import DEFAULT_PROFILE, Binding, Lock, LockedModel, Profile
from llmring.lockfile.render import render_decimal

What: TypeAlias = Literal[
    "default", "profile", "alias", "models", "order", "requested", "parameter", "successor", "intent",
    "model", "pin", "digest", "cap", "limit", "price", "retires", "package",
]  # fmt: skip
# Each model that has a price has one of these; what the rest come to hangs on how it is used.
MAIN_KINDS: Final = ("input", "output")
_TIER: Final = re.compile(r"([a-z_0-9]+?)_above_\d{1,9}", re.ASCII)
_LIMITS = ("max_input", "max_output", "context_window")
_GRADES = ("content", "snapshot", "pointer", "unknown")


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    what: its kind; of a profile, alias, model or package it is that one was added (before is None) or removed (after is None).
    subject: `profile/alias`, `provider:model` or a name. fact: which parameter, price, limit or capability. before, after: JSON data.
    percent: of a price. worse: whether a reader should look twice: a weaker pin, a higher price, less room, something lost.
    """

    what: What
    subject: str
    fact: str | None = None
    before: Any = None
    after: Any = None
    percent: Decimal | None = None
    worse: bool = False

    def to_dict(self) -> dict[str, Any]:
        said: dict[str, Any] = {"what": self.what, "subject": self.subject, "fact": self.fact}
        said = {name: value for name, value in said.items() if value is not None}
        said |= {"before": self.before, "after": self.after, "worse": self.worse}
        return said if self.percent is None else said | {"percent": render_decimal(self.percent)}


def diff_locks(old: Lock, new: Lock) -> list[Change]:
    """Every change, the lock's own first, then alias by alias, then model by model."""
    return [*_top(old, new), *_profiles(old, new), *_models(old, new), *_packages(old, new)]


def _top(old: Lock, new: Lock) -> Iterator[Change]:
    if old.default_profile != new.default_profile:
        yield Change("default", "default_profile", None, old.default_profile, new.default_profile)


def _profiles(old: Lock, new: Lock) -> Iterator[Change]:
    for name in sorted(old.profiles.keys() | new.profiles.keys()):
        before, after = old.profiles.get(name), new.profiles.get(name)
        if before is None or after is None:
            yield Change("profile", name, None, before and name, after and name, worse=after is None)
        elif (before.on_drift, before.min_pin) != (after.on_drift, after.min_pin):
            yield from _terms(name, before, after)
        yield from _aliases(name, before or Profile(name, {}), after or Profile(name, {}))


def _terms(name: str, old: Profile, new: Profile) -> Iterator[Change]:
    if old.on_drift != new.on_drift:
        worse = old.on_drift == "fail" or new.on_drift == "ignore"
        yield Change("parameter", name, "on_drift", old.on_drift, new.on_drift, worse=worse)
    if old.min_pin != new.min_pin:
        worse = _rank(new.min_pin or "unknown") > _rank(old.min_pin or "unknown")
        yield Change("parameter", name, "min_pin", old.min_pin, new.min_pin, worse=worse)


def _aliases(profile: str, old: Profile, new: Profile) -> Iterator[Change]:
    for alias in sorted(old.bindings.keys() | new.bindings.keys()):
        subject = f"{profile}/{alias}"
        before, after = old.bindings.get(alias), new.bindings.get(alias)
        if before is None or after is None:
            yield Change("alias", subject, None, _pool(before), _pool(after), worse=after is None)
        else:
            yield from _binding(subject, before, after)


def _pool(binding: Binding | None) -> list[str] | None:
    return None if binding is None else list(binding.models)


def _binding(subject: str, old: Binding, new: Binding) -> Iterator[Change]:
    if old.models != new.models:
        same = sorted(old.models) == sorted(new.models)
        yield Change("order" if same else "models", subject, None, list(old.models), list(new.models))
    if old.requested != new.requested:
        yield Change("requested", subject, None, list(old.requested), list(new.requested))
    for name in sorted(old.parameters.keys() | new.parameters.keys()):
        before, after = old.parameters.get(name), new.parameters.get(name)
        if before != after:
            yield Change("parameter", subject, name, before, after)
    if (old.until, old.then) != (new.until, new.then):
        yield Change("successor", subject, None, _successor(old), _successor(new))
    if old.input != new.input and old.models == new.models and old.parameters == new.parameters:
        # Constraints are no facts of the lock; that they are others than those it was locked by is all that shows here.
        yield Change("intent", subject)


def _successor(binding: Binding) -> dict[str, Any] | None:
    return {"until": binding.until, "then": list(binding.then)} if binding.until or binding.then else None


def _models(old: Lock, new: Lock) -> Iterator[Change]:
    for id in sorted(old.locked.keys() | new.locked.keys()):
        before, after = old.locked.get(id), new.locked.get(id)
        if before is None or after is None:
            yield Change("model", id, None, before and _grade(before), after and _grade(after))
        else:
            yield from _model(id, before, after)


def _grade(row: LockedModel) -> str:
    return row.info.pin or "unknown"


def _model(id: str, old: LockedModel, new: LockedModel) -> Iterator[Change]:
    was, now = _grade(old), _grade(new)
    if was != now:
        yield Change("pin", id, None, was, now, worse=_rank(now) > _rank(was))
    if old.digest != new.digest:
        yield Change("digest", id, None, old.digest, new.digest, worse=True)
    caps = {*(old.info.caps or ()), *(new.info.caps or ()), *old.info.lacks, *new.info.lacks}
    for cap in sorted(caps):
        could, can = old.info.can(cap), new.info.can(cap)
        if could is not can:
            yield Change("cap", id, cap, could, can, worse=could is True)
    for limit in _LIMITS:
        before, after = getattr(old.info, limit), getattr(new.info, limit)
        if before != after:
            yield Change(
                "limit", id, limit, before, after, worse=after is None or (before is not None and after < before)
            )
    for kind in sorted(old.info.price.keys() | new.info.price.keys()):
        cost, costs = old.info.price.get(kind), new.info.price.get(kind)
        if cost != costs:
            yield _price(id, kind, cost, costs)
    before, after = (_retirement(row) for row in (old, new))
    if before != after:
        yield Change("retires", id, None, before, after, worse=_is_sooner(old, new))


def _rank(grade: str) -> int:
    return _GRADES.index(grade) if grade in _GRADES else len(_GRADES)


def _retirement(row: LockedModel) -> str | None:
    return row.info.retires and (f"{row.info.retires} ({row.retires_kind})" if row.retires_kind else row.info.retires)


def _is_sooner(old: LockedModel, new: LockedModel) -> bool:
    """Whether it may be gone earlier than it was said to, or for sure where it was not."""
    if new.info.retires is None or old.info.retires is None:
        return new.info.retires is not None
    return (new.info.retires, new.retires_kind != "firm") < (old.info.retires, old.retires_kind != "firm")


def _price(id: str, kind: str, old: Decimal | None, new: Decimal | None) -> Change:
    return Change(
        "price",
        id,
        kind,
        None if old is None else render_decimal(old),
        None if new is None else render_decimal(new),
        percent=percent_of(old, new),
        worse=old is None or new is None or new > old,
    )


def percent_of(old: Decimal | None, new: Decimal | None) -> Decimal | None:
    """By how much a price or a bill changed, to a tenth of a percent; 0 only where it is the same. None where one is not known."""
    if old is None or new is None or (not old and new):
        return None
    if old == new:
        return Decimal(0)
    percent = ((new - old) * 100 / old).quantize(Decimal("0.1"))
    return percent or Decimal("0.1").copy_sign(new - old)


def base_kind(kind: str) -> str:
    """The kind of price that a tier belongs to: `input` of `input_above_200000`; any other kind is its own."""
    tier = _TIER.fullmatch(kind)
    return kind if tier is None else tier[1]


def _packages(old: Lock, new: Lock) -> Iterator[Change]:
    for name in sorted(old.extended.keys() | new.extended.keys()):
        before, after = old.extended.get(name), new.extended.get(name)
        if before != after:
            yield Change(
                "package", name, None, before and (before.dist or before.lock), after and (after.dist or after.lock)
            )


# Money


@dataclass(frozen=True, slots=True)
class AliasUsage:
    """What was used under an alias. tokens: by kind of price (input, output, cache_read, …), each token once."""

    calls: int
    tokens: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a change comes to for one alias that both locks have.

    worst: the highest percent of any kind of price, from the dearest member of the pool before to the dearest one after; a tier that is
    new is held against the kind it belongs to. unpriced: members, before or after, of which no price is known, or none of input or of
    output where another has one: what they cost is in no percent here.
    before, after: USD for the usage at the first model's prices, None where one is not known or no usage was given; percent: of these.
    """

    subject: str
    worst: Decimal | None
    unpriced: tuple[str, ...]
    calls: int | None = None
    before: Decimal | None = None
    after: Decimal | None = None

    @property
    def percent(self) -> Decimal | None:
        return percent_of(self.before, self.after)

    def to_dict(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "subject": self.subject,
            "worst_percent": None if self.worst is None else render_decimal(self.worst),
            "unpriced": list(self.unpriced),
        }
        if self.calls is None:
            return said
        usd = {"before_usd": self.before, "after_usd": self.after, "percent": self.percent}
        return said | {"calls": self.calls} | {k: None if v is None else render_decimal(v) for k, v in usd.items()}


def diff_costs(old: Lock, new: Lock, usage: Mapping[str, AliasUsage] | None = None) -> list[Cost]:
    """What the change costs, for each alias whose bill it can move: its pool changed, or a price of a member.

    usage: by `profile/alias`, or by alias alone for the new lock's default profile.
    """
    costs: list[Cost] = []
    for name, profile in sorted(new.profiles.items()):
        before = old.profiles.get(name)
        for alias, binding in sorted(profile.bindings.items()):
            was = None if before is None else before.bindings.get(alias)
            if was is None or (was.models == binding.models and _prices(old, was) == _prices(new, binding)):
                continue
            used = (usage or {}).get(f"{name}/{alias}")
            if used is None and name == (new.default_profile or DEFAULT_PROFILE):
                used = (usage or {}).get(alias)
            costs.append(_cost(f"{name}/{alias}", (old, was), (new, binding), used))
    return costs


def list_unknown_usage(lock: Lock, usage: Iterable[str]) -> list[str]:
    """Of the names that usage was given for, those that the lock has no alias for."""
    known = {f"{name}/{alias}" for name, profile in lock.profiles.items() for alias in profile.bindings}
    default = lock.default_profile or DEFAULT_PROFILE
    return sorted(name for name in usage if not known & {name, f"{default}/{name}"})


def _prices(lock: Lock, binding: Binding) -> list[Mapping[str, Decimal]]:
    infos = [lock.find_info(model) for model in binding.models]
    return [{} if info is None else info.price for info in infos]


def _cost(subject: str, old: tuple[Lock, Binding], new: tuple[Lock, Binding], used: AliasUsage | None) -> Cost:
    before, after = _prices(*old), _prices(*new)
    dear, dearer = _dearest(before), _dearest(after)
    percents = [percent_of(dear.get(kind, dear.get(base_kind(kind))), price) for kind, price in dearer.items()]
    known = [percent for percent in percents if percent is not None]
    named = [*zip(old[1].models, before, strict=True), *zip(new[1].models, after, strict=True)]
    main = {kind for kind in MAIN_KINDS if kind in dear or kind in dearer}
    unpriced = tuple(sorted({model for model, price in named if not price or main - price.keys()}))
    worst = max(known, default=None)
    if used is None:
        return Cost(subject, worst, unpriced)
    return Cost(subject, worst, unpriced, used.calls, _bill(before[0], used.tokens), _bill(after[0], used.tokens))


def _dearest(prices: list[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    dearest: dict[str, Decimal] = {}
    for price in prices:
        for kind, amount in price.items():
            dearest[kind] = max(amount, dearest.get(kind, amount))
    return dearest


def _bill(price: Mapping[str, Decimal], tokens: Mapping[str, int]) -> Decimal | None:
    """USD. None where a kind that was used has no price: unknown is never 0."""
    used = {kind: count for kind, count in tokens.items() if count}
    if any(kind not in price for kind in used):
        return None
    return sum((price[kind] * count / 1_000_000 for kind, count in used.items()), Decimal(0))
