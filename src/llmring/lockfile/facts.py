"""Asks the sources of a manifest what they say of models, in its order of precedence, and merges it. The only part of locking that asks.

A source that cannot be read is named and the others still count: whether that is enough is for `locking` to decide. Where two say
different things the first is believed, both are named, and a constraint is held against the worse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeAlias, cast

from llmring.exceptions import LLMRingError
from llmring.lockfile.finding import Finding
from llmring.lockfile.intent import Sources
from llmring.lockfile.known import Gathered, Known
from llmring.lockfile.model import LockedModel
from llmring.registry.freshness import MAX_AGE_DAYS
from llmring.registry.model_info import PINS, ModelInfo
from llmring.registry.parse import FactSource, FactValue
from llmring.registry.snapshot import Snapshot
from llmring.registry.sources.base import PLUGGED, Identity, Reading, Source

PROVIDER_API: Final = "provider-api"
REGISTRY: Final = "registry"
GENAI_PRICES: Final = "genai-prices"
OFFLINE: Final = "not asked: offline"

_LIFECYCLE: Final = ("lifecycle", "deprecated", "retires", "retires_kind", "successor")
# Facts that a lock's row has no words for, or that are no claims two sources could differ in.
_UNLOCKED: Final = ("category", "dimensions", "reasoning_efforts", "successor", "deprecated")
_LIMITS: Final = ("max_input", "max_output", "context_window")
# What follows the name of a model at OpenRouter and changes how a request is routed; listed is the model alone:
# https://openrouter.ai/docs/guides/routing/model-variants/overview (2026-11-21)
_ROUTING: Final = ("nitro", "floor", "exacto")

_Said: TypeAlias = "tuple[FactValue, FactSource]"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask. registry: gives the registry in use, and raises RegistryError where it cannot be read. listing, prices: None where
    they are not to be asked. listed: the providers that have a listing. resolve: tells what a name means that its vendor's listing lacks.
    find_plugged: the source of an installed package by `plugin-NAME`, None where no package gives it. knows: whether a provider of
    this name can be called; None: any may be."""

    registry: Callable[[], Snapshot]
    listing: Source | None = None
    prices: Source | None = None
    listed: frozenset[str] = frozenset()
    resolve: Callable[[str, str], Awaitable[str | None]] | None = None
    find_plugged: Callable[[str], Source | None] | None = None
    knows: Callable[[str], bool] | None = None


@dataclass(slots=True)
class _OfProvider:
    """What was read of one provider: by source, then by model, then by fact. naming: sources whose models exist because they say so."""

    provider: str
    said: dict[str, dict[str, dict[str, _Said]]] = field(default_factory=dict[str, dict[str, dict[str, _Said]]])
    identities: Mapping[str, Identity] = field(default_factory=dict[str, Identity])
    naming: list[str] = field(default_factory=lambda: [PROVIDER_API, REGISTRY])
    since: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    unread: dict[str, str] = field(default_factory=dict[str, str])
    stale: list[Finding] = field(default_factory=list[Finding])

    def of(self, name: str) -> dict[str, dict[str, _Said]]:
        """What each source says of a model."""
        return {source: models[found] for source, models in self.said.items() if (found := self._find(models, name))}

    def find_identity(self, name: str) -> Identity:
        found = self._find(self.identities, name)
        return Identity() if found is None else self.identities[found]

    def _find(self, models: Mapping[str, object], name: str) -> str | None:
        """The key that a model stands under. Ollama lists `:latest` where nobody has to say it."""
        if name in models:
            return name
        base, _, suffix = name.rpartition(":")
        other = base if self.provider == "openrouter" and suffix in _ROUTING else f"{name}:latest" if not base else ""
        return other if other in models else None


async def gather(models: Iterable[str], sources: Sources, asked: Asked, today: str) -> Gathered:
    """What the sources say today (YYYY-MM-DD) of these models, and of those that their pointers name. Raises nothing of a source's."""
    wanted: dict[str, set[str]] = {}
    for model in models:
        provider, _, name = model.partition(":")
        wanted.setdefault(provider, set()).add(name)
    known: dict[str, Known] = {}
    findings: list[Finding] = []
    unread: dict[str, str] = {}
    listed: set[str] = set()
    covered: set[str] = set()
    names: dict[str, tuple[str, ...]] = {}
    for provider in sorted(wanted):
        read = await _read(provider, sources, asked, today)
        findings += read.stale
        if PROVIDER_API in read.said:
            listed.add(provider)
            covered.add(provider)  # an empty listing says that there is nothing
        await _resolve(read, sorted(wanted[provider]), asked, today)
        catalogs = [read.said[source] for source in read.naming if source in read.said]
        if any(catalogs):
            covered.add(provider)
        unread |= read.unread
        names[provider] = tuple(sorted({name for catalog in catalogs for name in catalog}))
        queue = sorted(wanted[provider])
        for name in queue:
            one = _merge(f"{provider}:{name}", read, sources)
            known[f"{provider}:{name}"] = one
            findings += _disagreements(f"{provider}:{name}", read, sources)
            target = one.info.points_to
            if target is not None and target not in queue:
                queue.append(target)
    strangers = frozenset(name for name in wanted if asked.knows is not None and not asked.knows(name))
    return Gathered(today, known, frozenset(listed), frozenset(covered), strangers, names, unread, tuple(findings))


async def _read(provider: str, sources: Sources, asked: Asked, today: str) -> _OfProvider:
    read = _OfProvider(provider)
    for source in dict.fromkeys([*sources.facts, *sources.lifecycle, *sources.prices]):
        try:
            if source == REGISTRY:
                _take_registry(read, provider, asked.registry(), today)
            else:
                await _take_source(read, provider, source, asked, today)
        except LLMRingError as error:
            read.unread[f"{source} of {provider}"] = error.message
    return read


def _take_registry(read: _OfProvider, provider: str, snapshot: Snapshot, today: str) -> None:
    file = snapshot.files.get(provider)
    if file is None:
        return
    read.said[REGISTRY] = {
        name: {fact: (one.value, file.sources[one.source]) for fact, one in facts.items()}
        for name, facts in file.facts.items()
    }
    age_days = (date.fromisoformat(today) - date.fromisoformat(file.as_of)).days
    if age_days > MAX_AGE_DAYS:
        read.stale.append(
            Finding(
                "source.stale",
                f"{REGISTRY} of {provider}",
                f"the registry's newest fact of {provider} is {age_days} days old ({file.as_of})",
                severity="warning",
                hint="use a newer llmring, or `llmring registry update`",
                source=snapshot.origin,
            )
        )


async def _take_source(read: _OfProvider, provider: str, source: str, asked: Asked, today: str) -> None:
    if source == PROVIDER_API:
        if provider not in asked.listed:
            return  # it has no listing that we can read
        reader = asked.listing
    elif source.startswith(PLUGGED) and asked.find_plugged is not None:
        reader = asked.find_plugged(source)
        if reader is None:
            read.unread[f"{source} of {provider}"] = "no installed package gives it"
            return
    else:
        reader = asked.prices if source == GENAI_PRICES else None
    if reader is None:
        read.unread[f"{source} of {provider}"] = OFFLINE
        return
    reading: Reading | None = await reader.read(provider, today)
    if reading is None:
        return
    read.said[source] = {
        name: {fact: (value, reading.said_by) for fact, value in facts.items()}
        for name, facts in reading.models.items()
    }
    read.since[source] = reading.since
    if source == PROVIDER_API:
        read.identities = reading.identities
    elif source.startswith(PLUGGED) and reading.names_models:
        read.naming.append(source)


async def _resolve(read: _OfProvider, names: Iterable[str], asked: Asked, today: str) -> None:
    """Asks the vendor for names that its listing lacks: Anthropic answers an alias with the id of what it means."""
    listed = read.said.get(PROVIDER_API)
    if listed is None or asked.resolve is None:
        return
    lacking = [name for name in names if PROVIDER_API not in read.of(name)]
    for name in lacking:
        try:
            target = await asked.resolve(read.provider, name)
        except LLMRingError as error:
            read.unread[f"{PROVIDER_API} of {read.provider}"] = error.message
            return
        if target is not None:
            said_by = FactSource(f"{read.provider}, asked for it by name", "", today)
            pointer: dict[str, FactValue] = {} if target == name else {"pin": "pointer", "points_to": target}
            listed[name] = {fact: (value, said_by) for fact, value in pointer.items()}


# Merging


def _order(fact: str, sources: Sources) -> tuple[str, ...]:
    return sources.prices if fact.startswith("price.") else sources.lifecycle if fact in _LIFECYCLE else sources.facts


def _merge(model: str, read: _OfProvider, sources: Sources) -> Known:
    provider, _, name = model.partition(":")
    said = read.of(name)
    chosen = _choose(said, sources)
    identity = read.find_identity(name)
    info = _make_info(model, chosen)
    if identity.remote:
        info = replace(info, pin="pointer")
    elif identity.digest is not None:
        info = replace(info, pin="content")
    row = LockedModel(info, digest=None if identity.remote else identity.digest, retires_kind=info.retires_kind)
    # Ollama lists what is pulled here, the others what there is: of those, what is not listed is gone.
    all_listed = PROVIDER_API in read.said and provider != "ollama"
    found = PROVIDER_API in said or (not all_listed and any(_names(source, said) for source in read.naming))
    return Known(
        row=row,
        worst=_worst(info, said, sources),
        found=found,
        created=identity.created,
        released=identity.released,
        seen=min((source.date for facts in said.values() for _, source in facts.values()), default=None),
        priced=_find_start(read, name, said, sources),
    )


def _names(source: str, said: Mapping[str, Mapping[str, _Said]]) -> bool:
    """Whether a model exists because this source speaks of it: a package's, as with the registry's own, where it gives a category."""
    return source in said and (not source.startswith(PLUGGED) or "category" in said[source])


def _find_start(read: _OfProvider, name: str, said: Mapping[str, Mapping[str, _Said]], sources: Sources) -> str | None:
    """The day from which the chosen prices hold, where their source tells it."""
    for source in sources.prices:
        if any(fact.startswith("price.") for fact in said.get(source, {})):
            return read.since.get(source, {}).get(name)
    return None


def _choose(said: Mapping[str, Mapping[str, _Said]], sources: Sources) -> dict[str, _Said]:
    """Each fact from the first source that states it. Prices come from one source, a date and its kind as well."""
    chosen: dict[str, _Said] = {}
    for source in sources.facts:
        for fact, one in said.get(source, {}).items():
            if not fact.startswith("price.") and fact not in _LIFECYCLE:
                chosen.setdefault(fact, one)
    for source in sources.lifecycle:
        facts = said.get(source, {})
        dated = "retires" in chosen
        for fact in _LIFECYCLE:
            if fact in facts and not (dated and fact in ("retires", "retires_kind")):
                chosen.setdefault(fact, facts[fact])
    for source in sources.prices:
        prices = {fact: one for fact, one in said.get(source, {}).items() if fact.startswith("price.")}
        if prices:
            return chosen | prices
    return chosen


def _make_info(model: str, chosen: Mapping[str, _Said]) -> ModelInfo:
    values: dict[str, Any] = {}
    caps: dict[bool, set[str]] = {True: set(), False: set()}
    price: dict[str, Decimal] = {}
    of_facts: Counter[str] = Counter()
    priced: FactSource | None = None
    for fact, (value, source) in sorted(chosen.items()):
        if fact.startswith("price."):
            price[fact[6:]] = Decimal(cast("str", value))
            priced = source if priced is None or fact == "price.input" else priced
            continue
        if fact.startswith("caps."):
            caps[bool(value)].add(fact[5:])
        else:
            values[fact] = value
        of_facts[source.what] += 1
    return ModelInfo(
        id=model,
        caps=frozenset(caps[True]) if caps[True] or caps[False] else None,
        lacks=frozenset(caps[False]),
        price=price,
        price_source=None if priced is None else priced.what,
        price_as_of=None if priced is None else priced.date,
        # Of several equally often, the first by name: the same facts give the same lock.
        facts_source=min(of_facts, key=lambda what: (-of_facts[what], what)) if of_facts else None,
        **values,
    )


def _worst(info: ModelInfo, said: Mapping[str, Mapping[str, _Said]], sources: Sources) -> ModelInfo:
    limits: dict[str, int | None] = {}
    for fact in _LIMITS:
        values = [cast("int", value) for _, value in _statements(fact, said, sources)]
        limits[fact] = min(values, default=None)
    denied = {
        cap for cap in info.caps or () if any(value is False for _, value in _statements(f"caps.{cap}", said, sources))
    }
    # A tier that only another source knows of raises the price of the kind it belongs to.
    tiers = {fact[6:] for source in sources.prices for fact in said.get(source, {}) if fact.partition("_above_")[1]}
    kinds = info.price.keys() | {tier for tier in tiers if tier.partition("_above_")[0] in info.price}
    price = {
        kind: max(Decimal(str(value)) for _, value in _statements(f"price.{kind}", said, sources)) for kind in kinds
    }
    pins = [str(pin) for _, pin in _statements("pin", said, sources)]
    ends = [
        (str(facts["retires"][0]), cast("Any", facts["retires_kind"][0]) if "retires_kind" in facts else None)
        for source in sources.lifecycle
        if "retires" in (facts := said.get(source, {}))
    ]
    end = min(ends, default=None, key=lambda one: one[0])
    return replace(
        info,
        caps=None if info.caps is None else info.caps - denied,
        lacks=info.lacks | denied,
        price=price,
        pin=info.pin if info.pin == "content" or not pins else max(pins, key=PINS.index),
        retires=None if end is None else end[0],
        retires_kind=None if end is None else end[1],
        max_input=limits["max_input"],
        max_output=limits["max_output"],
        context_window=limits["context_window"],
    )


def _statements(
    fact: str, said: Mapping[str, Mapping[str, _Said]], sources: Sources
) -> Iterator[tuple[FactSource, FactValue]]:
    for source in _order(fact, sources):
        one = said.get(source, {}).get(fact)
        if one is not None:
            yield one[1], one[0]


def _disagreements(model: str, read: _OfProvider, sources: Sources) -> Iterator[Finding]:
    said = read.of(model.partition(":")[2])
    for fact in sorted({fact for facts in said.values() for fact in facts} - set(_UNLOCKED)):
        stated = list(_statements(fact, said, sources))
        against = [other for other in stated[1:] if not _is_same(fact, stated[0][1], other[1])]
        if not against:
            continue
        first = stated[0]
        denied = ", ".join(f"{source.what} says {_show(value)}" for source, value in against)
        yield Finding(
            "source.disagree",
            model,
            f"{fact} is {_show(first[1])} by {first[0].what}, and {denied}",
            severity="warning",
            source=first[0].what,
            hint="a constraint is held against the worse of them",
            facts={"fact": fact, "said": {source.what: _show(value) for source, value in (first, *against)}},
        )


def _is_same(fact: str, one: FactValue, other: FactValue) -> bool:
    return Decimal(str(one)) == Decimal(str(other)) if fact.startswith("price.") else one == other


def _show(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, tuple) else str(value)
