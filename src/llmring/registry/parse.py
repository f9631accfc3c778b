"""A registry file: bytes into models, with who said each fact and when. Pure, strict and bounded: the bytes may be anybody's.

One file a provider, in JSON: `schema`, `provider`, `as_of`, `sources` by key, and `models` by the vendor's own name. A fact is
`{"value": …, "source": key}`; what has no source is not in the file. A file of a newer minor schema ("1.2") is read leniently:
facts and words that this version does not know are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, cast

import orjson

from llmring.exceptions import RegistryError
from llmring.registry.model_info import CAPS, PINS, PRICE_KINDS, ModelInfo
from llmring.schemas.model_ref import MODEL_NAME, PROVIDER_NAME

SCHEMA: Final = "1"
MAX_REGISTRY_BYTES: Final = 8 * 1024 * 1024  # a guess: several times the largest file that ships
MAX_MODELS: Final = 5000  # a guess: one provider with more is no provider
CATEGORIES: Final = ("chat", "embedding")
LIFECYCLES: Final = ("active", "preview", "deprecated", "retired")
RETIRES_KINDS: Final = ("earliest", "firm")

PRICE_KIND: Final = re.compile(rf"({'|'.join(PRICE_KINDS)})(_above_[1-9]\d{{0,8}})?", re.ASCII)
PRICE: Final = re.compile(r"(0|[1-9]\d{0,8})(\.\d{1,12})?", re.ASCII)
# Of the files' whole text, words of a vendor's own: levels of effort, keys of sources.
WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
SOURCE_KEY: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_URL: Final = re.compile(r"https://[a-z0-9.-]{1,253}(/[!#-;=?-~]{0,1900})?", re.ASCII)
_SCHEMA: Final = re.compile(r"1(\.[1-9]\d{0,3})?", re.ASCII)
_MAX_TEXT: Final = 256
_MAX_TOKENS: Final = 10**12
_MAX_EFFORTS: Final = 16
_MAX_SHOWN: Final = 80

FactValue: TypeAlias = str | int | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactSource:
    """Who says something: `what` it is and in which version, where it is, and the date it is of (YYYY-MM-DD)."""

    what: str
    url: str
    date: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known, and the key of the source that says so."""

    value: FactValue
    source: str


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """One provider's models.

    provider: its name. as_of: the date of the newest source (YYYY-MM-DD). sources: by key. models: by the vendor's own name.
    facts: the same models as they are written down: by fact (`max_input`, `price.input`, `caps.tools`), each with its source.
    """

    provider: str
    as_of: str
    sources: Mapping[str, FactSource]
    models: Mapping[str, ModelInfo]
    facts: Mapping[str, Mapping[str, Fact]]


Kind: TypeAlias = Literal["tokens", "date", "word", "model", "efforts", "bool", "price"]

# Every fact there is, with what its value looks like; prices and capabilities come by kind.
FACTS: Final[Mapping[str, Kind]] = {
    "category": "word",
    "context_window": "tokens",
    "deprecated": "date",
    "dimensions": "tokens",
    "lifecycle": "word",
    "max_input": "tokens",
    "max_output": "tokens",
    "pin": "word",
    "points_to": "model",
    "reasoning_efforts": "efforts",
    "retires": "date",
    "retires_kind": "word",
    "successor": "model",
}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "category": CATEGORIES,
    "lifecycle": LIFECYCLES,
    "pin": PINS,
    "retires_kind": RETIRES_KINDS,
}
_GROUPS: Final = ("price", "caps")


def parse_registry(data: bytes, source: str) -> RegistryFile:
    """The models of one provider. `source` names the file in errors. Raises RegistryError for anything that is no registry."""
    return _Reader(source).file(data)


class _Reader:
    __slots__ = ("_kinds", "_lenient", "_source", "_sources")

    def __init__(self, source: str) -> None:
        self._source = source
        self._lenient = False
        self._sources: dict[str, FactSource] = {}
        self._kinds: dict[str, Kind] = {}  # of names that came before: models share them

    def error(self, place: str, what: str, *, hint: str | None = None) -> RegistryError:
        return RegistryError(f"{self._source}: {place}{': ' if place else ''}{what}", hint=hint)

    def file(self, data: bytes) -> RegistryFile:
        if len(data) > MAX_REGISTRY_BYTES:
            raise self.error("", f"more than {MAX_REGISTRY_BYTES:,} bytes")
        try:
            document: Any = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self.error("", f"no JSON (line {error.lineno}, column {error.colno})") from None
        top = self.table(document, "", "the file")
        schema: Any = top.get("schema")
        if not isinstance(schema, str) or not _SCHEMA.fullmatch(schema):
            shown = repr(schema)[:_MAX_SHOWN] if isinstance(schema, str) else "missing"
            raise self.error("", f"schema is {shown}", hint=f'this llmring reads schema "{SCHEMA}"')
        self._lenient = schema != SCHEMA
        self.keys(top, ("schema", "provider", "as_of", "sources", "models"), "")
        provider: Any = top.get("provider")
        if not isinstance(provider, str) or not PROVIDER_NAME.fullmatch(provider):
            raise self.error("", "provider is no provider's name", hint="lower-case letters, digits, '_' and '-'")
        as_of = self.date(top.get("as_of"), "as_of")
        self._sources = {
            key: self.fact_source(key, row) for key, row in self.table(top.get("sources"), "sources").items()
        }
        rows = self.table(top.get("models"), "models")
        if len(rows) > MAX_MODELS:
            raise self.error("models", f"more than {MAX_MODELS:,}")
        facts: dict[str, Mapping[str, Fact]] = {}
        for name, row in rows.items():
            place = f"model {name[:_MAX_SHOWN]!r}"
            if not MODEL_NAME.fullmatch(name):
                raise self.error(place, "no name of a model")
            facts[name] = self.model(row, place)
        return make_file(provider, as_of, self._sources, facts)

    # Values

    def table(self, value: Any, place: str, name: str | None = None) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error("" if name else place, f"{name + ' ' if name else ''}is no object")
        return cast("dict[str, Any]", value)

    def keys(self, table: dict[str, Any], known: tuple[str, ...], place: str) -> None:
        if not self._lenient:
            for key in table:
                if key not in known:
                    raise self.error(place, f"{key[:_MAX_SHOWN]!r} is not known", hint=f"known: {', '.join(known)}")

    def text(self, value: Any, place: str) -> str:
        if not isinstance(value, str) or not value or len(value) > _MAX_TEXT or not value.isprintable():
            raise self.error(place, f"no text of 1 to {_MAX_TEXT} printable characters")
        return value

    def date(self, value: Any, place: str) -> str:
        if not isinstance(value, str) or not is_date(value):
            raise self.error(place, "no date", hint="write YYYY-MM-DD")
        return value

    def fact_source(self, key: str, row: Any) -> FactSource:
        place = f"sources, {key[:_MAX_SHOWN]!r}"
        if not SOURCE_KEY.fullmatch(key):
            raise self.error(place, "no name of a source", hint="lower-case letters, digits, '_', '.' and '-'")
        table = self.table(row, place)
        self.keys(table, ("what", "url", "date"), place)
        url: Any = table.get("url")
        if not isinstance(url, str) or not _URL.fullmatch(url):
            raise self.error(place, "url is no https:// address")
        return FactSource(
            self.text(table.get("what"), f"{place}, what"), url, self.date(table.get("date"), f"{place}, date")
        )

    # Facts

    def model(self, row: Any, place: str) -> dict[str, Fact]:
        found: dict[str, Fact] = {}
        for name, value in self.table(row, place).items():
            if name in _GROUPS:
                for kind, entry in self.table(value, f"{place}, {name}").items():
                    self.read(found, f"{name}.{kind}", entry, place)
            elif "." in name:
                raise self.error(place, f"{name[:_MAX_SHOWN]!r} is not known")
            else:
                self.read(found, name, value, place)
        return found

    def read(self, found: dict[str, Fact], name: str, entry: Any, place: str) -> None:
        kind = self._kinds.get(name) or kind_of(name)
        if kind is None:
            if self._lenient:
                return
            raise self.error(place, f"{name[:_MAX_SHOWN]!r} is not known")
        self._kinds[name] = kind
        if not isinstance(entry, dict):
            raise self.error(f"{place}, {name}", "a fact is an object with value and source")
        table = cast("dict[str, Any]", entry)
        source: Any = table.get("source")
        if not isinstance(source, str) or source not in self._sources:
            raise self.error(f"{place}, {name}", "its source is not among the file's sources")
        if len(table) != 2:
            self.keys(table, ("value", "source"), f"{place}, {name}")
        value = read_value(kind, name, table.get("value"))
        if value is not None:
            found[name] = Fact(value, source)
        elif not (self._lenient and kind == "word" and isinstance(table.get("value"), str)):
            raise self.error(f"{place}, {name}", f"{_show(table.get('value'))} is not what it may be")


def _show(value: Any) -> str:
    """A value, for an error. Of a list or an object only that it is one: of one that is nested deep enough, `repr` itself fails."""
    return "a list or an object" if isinstance(value, list | dict) else repr(value)[:_MAX_SHOWN]


def kind_of(name: str) -> Kind | None:
    """What values of this fact look like; None if there is no such fact."""
    group, dot, kind = name.partition(".")
    if not dot:
        return FACTS.get(name)
    if group == "caps":
        return "bool" if kind in CAPS else None
    return "price" if group == "price" and PRICE_KIND.fullmatch(kind) else None


def read_value(kind: Kind, name: str, value: Any) -> FactValue | None:
    """The value as facts hold it; None where it is none."""
    match kind:
        case "bool":
            return value if isinstance(value, bool) else None
        case "tokens":
            return value if type(value) is int and 0 < value <= _MAX_TOKENS else None
        case "efforts":
            return _efforts(value)
        case _:
            pass
    if not isinstance(value, str):
        return None
    match kind:
        case "price":
            fits = PRICE.fullmatch(value) is not None
        case "date":
            fits = is_date(value)
        case "word":
            fits = value in _WORDS[name]
        case "model":
            fits = MODEL_NAME.fullmatch(value) is not None
    return value if fits else None


def _efforts(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    levels = cast("list[Any]", value)
    if len(levels) > _MAX_EFFORTS or not all(isinstance(level, str) and WORD.fullmatch(level) for level in levels):
        return None
    return tuple(levels) if len(set(levels)) == len(levels) else None


def is_date(text: str) -> bool:
    """Whether it is a date of the calendar, written YYYY-MM-DD."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def make_file(
    provider: str, as_of: str, sources: Mapping[str, FactSource], facts: Mapping[str, Mapping[str, Fact]]
) -> RegistryFile:
    """A registry file of facts that are known to be ones."""
    said = {key: f"{found.what}, {found.date}" for key, found in sources.items()}
    models = {name: _make_info(f"{provider}:{name}", known, sources, said) for name, known in facts.items()}
    return RegistryFile(provider, as_of, sources, models, facts)


def _make_info(
    model_id: str, facts: Mapping[str, Fact], sources: Mapping[str, FactSource], said: Mapping[str, str]
) -> ModelInfo:
    values: dict[str, Any] = {}
    price: dict[str, Decimal] = {}
    caps: set[str] = set()
    lacks: set[str] = set()
    priced = facts.get("price.input")
    of_facts: Counter[str] = Counter()
    for name, fact in facts.items():
        if name.startswith("price."):
            price[name[6:]] = Decimal(cast("str", fact.value))
            priced = priced or fact
            continue
        of_facts[fact.source] += 1
        if name.startswith("caps."):
            (caps if fact.value else lacks).add(name[5:])
        else:
            values[name] = fact.value
    price_source = sources[priced.source] if priced else None
    return ModelInfo(
        id=model_id,
        caps=frozenset(caps) if caps or lacks else None,
        lacks=frozenset(lacks),
        price=price,
        price_source=price_source.what if price_source else None,
        price_as_of=price_source.date if price_source else None,
        # Most facts of a model come from one source; `sources` says it of each.
        facts_source=sources[of_facts.most_common(1)[0][0]].what if of_facts else None,
        sources={name: said[fact.source] for name, fact in facts.items()},
        **values,
    )
