"""One table of a lockfile, read field by field: types, grammars and closed sets, with errors that name file and place.

Pure; knows what a field may look like, not which tables a lockfile has (that is `parse`).
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, LockfileError
from llmring.registry.model_info import CAPS, PINS, PRICE_KINDS, ModelInfo
from llmring.schemas.model_ref import ALIAS_NAME, parse_model_ref

_log = logging.getLogger("llmring.lockfile")

_PARAMETERS: Final = ("temperature", "max_tokens", "reasoning_effort", "system")
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
# Bounded digits: a price stays exact, and cheap, whatever a file says.
PRICE: Final = re.compile(r"\d{1,9}(\.\d{1,12})?", re.ASCII)
_MAX_TEXT = 256
_MAX_SHOWN = 80
# A number of tokens; more than any context window, small enough to multiply with any price exactly.
_MAX_TOKENS = 10**12
# Of what is no count: a guess, far above any temperature.
_MAX_NUMBER = 10**6


class Reader:
    """Makes rows of one file and gathers the keys that nothing read.

    lenient: a file of a newer minor version, whose closed sets may have grown. warn_unknown: whether unknown keys are worth a word.
    """

    def __init__(self, source: str, *, lenient: bool, warn_unknown: bool) -> None:
        self.source = source
        self.lenient = lenient
        self.refs: dict[str, str] = {}  # names of models that have been through their grammar: most stand in many pools
        self._warn_unknown = warn_unknown
        self._unknown: set[str] = set()

    def row(self, table: Any, place: str) -> Row:
        if not isinstance(table, dict):
            raise LockfileError(f"{self.source}: {place or 'the file'} is no table")
        return Row(self, cast("dict[str, Any]", table), place)

    def note_unknown(self, keys: set[str]) -> None:
        self._unknown |= keys

    def report_unknown(self, version: str) -> None:
        """One warning a file, however many rows hold the key."""
        if self._unknown and self._warn_unknown:
            names = ", ".join(repr(key[:_MAX_SHOWN]) for key in sorted(self._unknown)[:10])
            _log.warning(
                "%s: keys that this llmring does not know are ignored (version %s): %s", self.source, version, names
            )


class Row:
    """One table. Every method reads one field; `done` notes the keys that were left."""

    __slots__ = ("_place", "_read", "_reader", "_table")

    def __init__(self, reader: Reader, table: dict[str, Any], place: str) -> None:
        self._reader = reader
        self._table = table
        self._place = place
        self._read: set[str] = set()

    def error(self, what: str, *, hint: str | None = None) -> LockfileError:
        place = f"{self._place}: " if self._place else ""
        return LockfileError(f"{self._reader.source}: {place}{what}", hint=hint)

    def done(self, *known: str) -> None:
        left = self._table.keys() - self._read - set(known)
        if left:
            self._reader.note_unknown(left)

    def refuse_others(self) -> None:
        """Raises for a key that nothing read: in what people write, it is a misspelling."""
        for name in self._table.keys() - self._read:
            close = difflib.get_close_matches(name, self._read, n=1)
            raise self.error(
                f"no such key: {name[:_MAX_SHOWN]!r}",
                hint=f"did you mean {close[0]}?" if close else f"known keys: {', '.join(sorted(self._read))}",
            )

    def has(self, key: str) -> bool:
        return key in self._table

    def _get(self, key: str) -> Any:
        self._read.add(key)
        return self._table.get(key)

    # Tables within

    def names(self) -> list[str]:
        return list(self._table)

    def table(self, key: str) -> Row:
        return self._reader.row(self._get(key), self._within("table", key))

    def tables(self, key: str, *, label: str) -> Iterator[tuple[str, Row]]:
        given: Any = self._get(key)
        if given is None:
            return
        for name, table in self._reader.row(given, key)._table.items():
            yield name, self._reader.row(table, self._within(label, name))

    def rows(self, key: str, *, label: str) -> list[Row]:
        given: Any = self._get(key)
        if given is None:
            return []
        if not isinstance(given, list):
            raise self.error(f"{key} is no list of tables", hint=f"write each row under [[…{key}]]")
        made: list[Row] = []
        for number, table in enumerate(cast("list[Any]", given), 1):
            named: Any = cast("dict[str, Any]", table).get(label) if isinstance(table, dict) else None
            shown = named if isinstance(named, str) else f"number {number} of {key}"
            made.append(self._reader.row(table, self._within(label, shown)))
        return made

    def _within(self, label: str, name: str) -> str:
        # The name has not been through its grammar yet: shown as repr, cut.
        here = f"{label} {name[:_MAX_SHOWN]!r}"
        return f"{self._place}, {here}" if self._place else here

    # Fields

    def text(self, key: str) -> str | None:
        value: Any = self._get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value or len(value) > _MAX_TEXT or not value.isprintable():
            raise self.error(f"{key} is no text of 1 to {_MAX_TEXT} printable characters")
        return value

    def check_name(self, name: str, what: str) -> None:
        if not ALIAS_NAME.fullmatch(name):
            raise self.error(
                f"{what} is {name[:_MAX_SHOWN]!r}",
                hint="names are letters, digits, '.', '_' and '-', begin with a letter or digit, and end by 64 characters",
            )

    def name(self, key: str) -> str | None:
        value = self.text(key)
        if value is not None:
            self.check_name(value, key)
        return value

    def hash(self, key: str) -> str | None:
        value = self.text(key)
        if value is not None and not _HASH.fullmatch(value):
            raise self.error(f"{key} is no sha256: and 64 hex digits", hint="write the lockfile anew")
        return value

    def date(self, key: str) -> str | None:
        value: Any = self._get(key)
        if type(value) is date:  # TOML has dates of its own
            return value.isoformat()
        text = self.text(key)
        if text is not None and not _is_date(text):
            raise self.error(f"{key} is {text[:_MAX_SHOWN]!r}", hint="write a date: YYYY-MM-DD")
        return text

    def word(self, key: str, allowed: tuple[str, ...]) -> str | None:
        value = self.text(key)
        if value is not None:
            self._check_word(key, value, allowed)
        return value

    def words(self, key: str, allowed: tuple[str, ...]) -> tuple[str, ...] | None:
        words = self.texts(key)
        for word in words or ():
            self._check_word(key, word, allowed)
        return words

    def _check_word(self, key: str, value: str, allowed: tuple[str, ...]) -> None:
        if value not in allowed and not (self._reader.lenient and _WORD.fullmatch(value)):
            raise self.error(f"{key} says {value[:_MAX_SHOWN]!r}", hint=f"known words: {', '.join(allowed)}")

    def texts(self, key: str) -> tuple[str, ...] | None:
        value: Any = self._get(key)
        if value is None:
            return None
        if not isinstance(value, list) or set(map(type, cast("list[Any]", value))) - {str}:
            raise self.error(f"{key} is no list of texts")
        return tuple(cast("list[str]", value))

    def tokens(self, key: str) -> int | None:
        value: Any = self._get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MAX_TOKENS:
            raise self.error(f"{key} is no number of tokens above 0", hint="leave it out where it is unknown")
        return value

    def number(self, key: str) -> int | float | None:
        value: Any = self._get(key)
        if value is None:
            return None
        if type(value) in (int, float) and 0 <= value <= _MAX_NUMBER:
            return abs(value)  # -0.0 is no other number, and two texts of one are one too many
        raise self.error(f"{key} is no number from 0 to {_MAX_NUMBER}")

    def ref(self, key: str, text: str) -> str:
        known = self._reader.refs.get(text)
        if known is None:
            try:
                known = self._reader.refs[text] = str(parse_model_ref(text))
            except ConfigurationError as error:
                raise self.error(f"{key}: {error.message}", hint=error.hint) from None
        return known

    def refs(self, key: str) -> tuple[str, ...]:
        texts = self.texts(key)
        return tuple([self.ref(key, text) for text in texts]) if texts else ()

    def pool(self) -> tuple[str, ...]:
        """The models of a binding: `models` as a list or one text, or 1.0's `model`, with or without `provider` beside it."""
        given: Any = self._get("models")
        model, provider = self.text("model"), self.text("provider")
        if isinstance(given, str):
            return (self.ref("models", given),)
        if given is None and model is not None:
            prefixed = provider is None or model.startswith(f"{provider}:")
            return (self.ref("model", model if prefixed else f"{provider}:{model}"),)
        pool = self.refs("models")
        if not pool:
            raise self.error("no models", hint='write models = ["provider:model"]')
        return pool

    def max_price(self) -> dict[str, Decimal]:
        """What a person allows, by kind: one that no price is of, and a limit that nothing can keep, are mistakes."""
        given: Any = self._get("max-price")
        for kind in cast("dict[str, Any]", given) if isinstance(given, dict) else ():
            self._check_word("max-price", kind, PRICE_KINDS)
        prices = self.price("max-price")
        if given and len(prices) < len(cast("dict[str, Any]", given)):
            raise self.error(
                "max-price is 0, and nobody is known to give tokens away", hint="leave out what may cost anything"
            )
        return prices

    def price(self, key: str = "price") -> dict[str, Decimal]:
        """USD per million tokens by kind. A price of 0 is unknown, not free, and left out."""
        given: Any = self._get(key)
        if given is None:
            return {}
        if not isinstance(given, dict):
            raise self.error(f"{key} is no table", hint=f'write {key} = {{ input = "2", output = "10" }}')
        prices: dict[str, Decimal] = {}
        for kind, value in cast("dict[str, Any]", given).items():
            if not _WORD.fullmatch(kind):
                raise self.error(f"price: {kind[:_MAX_SHOWN]!r} is no kind of token")
            if not isinstance(value, str) or not PRICE.fullmatch(value):
                raise self.error(
                    f"price: {kind} is no decimal text", hint='write USD per million tokens in quotes, such as "2.5"'
                )
            price = Decimal(value)
            if price:
                prices[kind] = price
        return prices

    def parameters(self) -> dict[str, Any]:
        """What an alias says where its request does not."""
        if self._table.keys().isdisjoint(_PARAMETERS):
            return {}
        temperature = self.number("temperature")
        said = {
            "temperature": None if temperature is None else float(temperature),
            "max_tokens": self.tokens("max_tokens"),
            "reasoning_effort": self.word("reasoning_effort", EFFORTS),
            "system": self.name("system"),
        }
        return {name: value for name, value in said.items() if value is not None}

    def info(self) -> ModelInfo:
        """What the row says of its model."""
        name = self.text("id")
        if name is None:
            raise self.error("no id", hint='write id = "provider:model"')
        caps = self.texts("caps")
        for cap in caps or ():
            self._check_word("caps", cap, CAPS)
        kind = self.word("retires_kind", ("earliest", "firm"))
        return ModelInfo(
            id=self.ref("id", name),
            caps=None if caps is None else frozenset(caps),
            lacks=frozenset(self.words("lacks", CAPS) or ()),
            max_input=self.tokens("max_input"),
            max_output=self.tokens("max_output"),
            context_window=self.tokens("context_window"),
            price=self.price(),
            price_source=self.text("price_source"),
            price_as_of=self.date("price_as_of"),
            facts_source=self.text("facts_source"),
            pin=self.word("pin", PINS),
            retires=self.date("retires"),
            retires_kind="earliest" if kind == "earliest" else "firm" if kind == "firm" else None,
        )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return _DATE.fullmatch(text) is not None
