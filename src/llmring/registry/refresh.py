"""The registry made anew: what sources say, merged into one file a provider. Deciding is pure; `refresh` reads and `write_file` writes.

Where two say different things, the one that knows best is believed and both are named: the vendor's own listing, then a page
that a person has read, then for prices genai-prices before litellm and for everything else litellm before genai-prices.
A fact whose source cannot be read stays as it was; so does all that was known of a model that no source names any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, cast

from llmring.exceptions import LLMRingError, RegistryError
from llmring.registry.fetch import render_index
from llmring.registry.parse import (
    MAX_REGISTRY_BYTES,
    Fact,
    FactSource,
    FactValue,
    RegistryFile,
    make_file,
    parse_registry,
)
from llmring.registry.render import render_registry
from llmring.registry.snapshot import INDEX_NAME, read_files
from llmring.registry.sources.base import GENAI_PRICES, LISTING, LITELLM, PLUGGED, REFRESHABLE, Reading, Source
from llmring.regular_file import read_regular_file, replace_file

_OLD: Final = re.compile(r"(.+)-\d{4}-\d{2}-\d{2}", re.ASCII)
_PAGE: Final = 1  # the rank of a page that a person has read
_PLUGGED: Final = 5  # of what a package adds: it fills in, and never contradicts
_KEPT: Final = 9  # of what a source said once, of a model that it names no more


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A fact that sources see differently. believed, against: (source's key, value)."""

    model: str
    fact: str
    believed: tuple[str, FactValue]
    against: tuple[tuple[str, FactValue], ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of one provider.

    file: its facts now. disagreements: see there. unread: sources that could not be read, with the reason. unnamed: models
    that were read from sources before, and that no source names now.
    """

    file: RegistryFile
    disagreements: tuple[Disagreement, ...]
    unread: Mapping[str, LLMRingError]
    unnamed: tuple[str, ...]


async def refresh(old: RegistryFile, sources: Iterable[Source], today: str) -> Refreshed:
    """Asks each source once; one that fails is named, and its facts stay."""
    readings: list[Reading] = []
    unread: dict[str, LLMRingError] = {}
    for source in sources:
        try:
            reading = await source.read(old.provider, today)
        except LLMRingError as error:
            unread[source.key] = error
            continue
        if reading is not None:
            readings.append(reading)
    return merge(old, readings, unread, today)


def merge(old: RegistryFile, readings: Sequence[Reading], unread: Mapping[str, LLMRingError], today: str) -> Refreshed:
    """The file that these readings make of the old one. Pure: the same readings a second time change nothing."""
    read = {reading.key: reading for reading in readings}
    sources = dict(old.sources) | {key: _dated(reading, old) for key, reading in read.items()}
    named = {
        name
        for reading in readings
        if reading.names_models
        for name, facts in reading.models.items()
        if "category" in facts
    }
    facts: dict[str, Mapping[str, Fact]] = {}
    disagreements: list[Disagreement] = []
    for name in sorted(named | old.facts.keys()):
        said = _gather(name, old, read, sources)
        facts[name] = _decide(name, said, disagreements)
        _settle(cast("dict[str, Fact]", facts[name]), today)
    used = {fact.source for known in facts.values() for fact in known.values()}
    kept = {key: source for key, source in sources.items() if key in used}
    as_of = max((source.date for source in kept.values()), default=old.as_of)
    unnamed = tuple(
        sorted(name for name in old.facts if readings and _was_read(old, name, read) and not _names(name, read))
    )
    return Refreshed(make_file(old.provider, as_of, kept, facts), tuple(disagreements), unread, unnamed)


def _dated(reading: Reading, old: RegistryFile) -> FactSource:
    """Who says it, and when: a version that was read before keeps its day, unless it says something else today, as a price list does
    that knows prices of days to come."""
    before = old.sources.get(reading.key)
    if before is None or reading.dated or before.what != reading.said_by.what:
        return reading.said_by
    says_the_same = all(
        reading.models[name].get(fact) == known.value
        for name, facts in old.facts.items()
        if name in reading.models
        for fact, known in facts.items()
        # What follows from a firm date is nobody's words: `_settle`.
        if known.source == reading.key and (fact, known.value) != ("lifecycle", "retired")
    )
    return before if says_the_same else reading.said_by


def _names(name: str, read: Mapping[str, Reading]) -> bool:
    return any(name in reading.models for reading in read.values())


def _was_read(old: RegistryFile, name: str, read: Mapping[str, Reading]) -> bool:
    return any(fact.source in read for fact in old.facts[name].values())


def _base(key: str) -> str:
    """A source's key without the date that it gets when a newer version no longer says the same."""
    found = _OLD.fullmatch(key)
    return found[1] if found and found[1] in REFRESHABLE else key


def _rank(key: str, fact: str) -> int:
    order = (GENAI_PRICES, LITELLM) if fact.startswith("price.") else (LITELLM, GENAI_PRICES)
    if key == LISTING:
        return 0
    if key in order:
        return 2 + order.index(key)
    if key.startswith(PLUGGED):
        return _PLUGGED
    return _KEPT if _base(key) in REFRESHABLE else _PAGE


def _gather(
    name: str, old: RegistryFile, read: Mapping[str, Reading], sources: dict[str, FactSource]
) -> dict[str, list[Fact]]:
    """All that is said of a model, by fact."""
    said: dict[str, list[Fact]] = {}
    for key, reading in read.items():
        for fact, value in reading.models.get(name, {}).items():
            said.setdefault(fact, []).append(Fact(value, key))
    for fact, known in old.facts.get(name, {}).items():
        base = _base(known.source)
        if base in read:
            if name in read[base].models:
                continue  # it says so no more
            if known.source == base:
                # Its words of then, under their own date: the source that is read now does not say them.
                before = old.sources[base]
                known = Fact(known.value, f"{base}-{before.date}")
                sources[known.source] = before
        said.setdefault(fact, []).append(known)
    return said


def _decide(name: str, said: Mapping[str, Sequence[Fact]], disagreements: list[Disagreement]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for fact in sorted(said):
        first, *others = sorted(said[fact], key=lambda known: (_rank(known.source, fact), known.source))
        facts[fact] = first
        against = tuple(
            (other.source, other.value)
            for other in others
            if _rank(other.source, fact) != _KEPT and not _is_same(fact, first.value, other.value)
        )
        if against:
            disagreements.append(Disagreement(name, fact, (first.source, first.value), against))
    window, prompt = facts.get("context_window"), facts.get("max_input")
    if window and prompt and cast("int", window.value) < cast("int", prompt.value):
        # What holds prompt and answer cannot be smaller than the prompt: one of the two is wrong, and the weaker one goes.
        weaker = max(("context_window", "max_input"), key=lambda fact: (_rank(facts[fact].source, fact), fact))
        stronger = "max_input" if weaker == "context_window" else "context_window"
        gone = facts.pop(weaker)
        believed = facts[stronger]
        disagreements.append(
            Disagreement(
                name, f"{stronger} against {weaker}", (believed.source, believed.value), ((gone.source, gone.value),)
            )
        )
    return facts


def _is_same(fact: str, one: FactValue, other: FactValue) -> bool:
    return Decimal(str(one)) == Decimal(str(other)) if fact.startswith("price.") else one == other


def _settle(facts: dict[str, Fact], today: str) -> None:
    """What a firm date makes of where a model stands, once it has come."""
    retires, kind, lifecycle = facts.get("retires"), facts.get("retires_kind"), facts.get("lifecycle")
    # A listing says where a model stands today, however overdue its retirement is.
    told = lifecycle is not None and lifecycle.source == LISTING
    if retires and kind and kind.value == "firm" and str(retires.value) <= today and not told:
        facts["lifecycle"] = Fact("retired", retires.source)


# Files


def read_file(path: Path) -> RegistryFile:
    """Raises RegistryError for a file that cannot be read, or is no registry."""
    try:
        data, _ = read_regular_file(path, MAX_REGISTRY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no readable file"
        raise RegistryError(f"{path}: {reason}") from None
    return parse_registry(data, str(path))


def write_file(path: Path, file: RegistryFile) -> bool:
    """Writes the file whole or not at all; False where it held the same already. Raises RegistryError."""
    return _replace(path, render_registry(file))


def write_index(folder: Path) -> bool:
    """Writes what a `registry_url` asks for first, the hashes of the folder's files; as `write_file`."""
    contents = read_files(folder) if folder.is_dir() else {}
    return bool(contents) and _replace(folder / INDEX_NAME, render_index(contents))


def _replace(path: Path, data: bytes) -> bool:
    try:
        if path.exists() and read_regular_file(path, MAX_REGISTRY_BYTES + 1)[0] == data:
            return False
        replace_file(path, data, mode=0o644)  # it is committed
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror or 'cannot be written'}") from None
    return True
