"""What aliases were seen to need, as a file says it: JSON, a row an observation, one a line or in a list. Pure.

`{"alias": "fast", "tools": true, "vision": false, "input_tokens": 12000, "output_tokens": 800}`; `needs` may list the words instead.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

from llmring.exceptions import AliasNotFoundError, LockfileError
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.toml_edit import edit_toml, find_table, load_toml, reach
from llmring.registry.model_info import CAPS
from llmring.schemas.model_ref import ALIAS_NAME

MAX_OBSERVED_BYTES: Final = 8 * 1024 * 1024
_MAX_TOKENS: Final = 10**12
_MAX_SHOWN: Final = 80
_COUNTS: Final = {"input_tokens": "min-input", "output_tokens": "min-output"}
_HINT: Final = 'write {"alias": "NAME", "needs": ["tools"], "input_tokens": 12000}'


@dataclass(frozen=True, slots=True)
class Observed:
    """What one alias needed, over all its rows. needs: words of CAPS. limits: the most tokens, by the manifest's key."""

    needs: frozenset[str] = frozenset()
    limits: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Required:
    """What came of it. text: the whole new manifest. added: by alias, what it did not ask for before, in words."""

    text: str
    added: Mapping[str, tuple[str, ...]]


def parse_observed(data: bytes, source: str) -> dict[str, Observed]:
    """What each alias needed. Raises LockfileError for a row that cannot be read: half of what is needed is a wrong contract."""
    if len(data) > MAX_OBSERVED_BYTES:
        raise LockfileError(f"{source}: larger than {MAX_OBSERVED_BYTES} bytes")
    found: dict[str, Observed] = {}
    for place, row in _rows(data, source):
        alias, seen = _read_row(row, f"{source}: {place}")
        before = found.get(alias, Observed())
        limits = dict(before.limits or {})
        for key, count in (seen.limits or {}).items():
            limits[key] = max(count, limits.get(key, 0))
        found[alias] = Observed(before.needs | seen.needs, limits)
    return found


def require_in_manifest(
    text: str, source: str, observed: Mapping[str, Observed], within: tuple[str, ...] = ()
) -> Required:
    """The manifest with what was observed added to what its aliases ask for; nothing is taken away. within: the tables around it.

    Raises AliasNotFoundError for an alias that the manifest does not have, LockfileError for what cannot be edited.
    """
    manifest = parse_manifest(find_table(load_toml(text, source), within) or {}, source)
    known = {alias for profile in manifest.profiles.values() for alias in profile.aliases}
    for alias in observed:
        if alias not in known:
            raise _no_alias(alias, source, known)
    added: dict[str, tuple[str, ...]] = {}

    def change(table: MutableMapping[str, Any]) -> None:
        for alias, seen in observed.items():
            told: dict[str, None] = {}
            for path, is_base in _tables(table, alias, within):
                told |= dict.fromkeys(_require(reach(table, path), seen, is_base))
            if told:
                added[alias] = tuple(told)

    changed = edit_toml(text, source, change)
    parse_manifest(find_table(load_toml(changed, source), within) or {}, source)
    return Required(changed, added)


def _tables(table: Mapping[str, Any], alias: str, within: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], bool]]:
    """Where the alias stands, and whether what is not said there has nowhere else to be said."""
    base = (*within, "alias", alias)
    has_base = find_table(table, base) is not None
    if has_base:
        yield base, True
    for name in find_table(table, (*within, "profile")) or {}:
        path = (*within, "profile", name, "alias", alias)
        if find_table(table, path) is not None:
            yield path, not has_base


def _require(row: MutableMapping[str, Any], seen: Observed, is_base: bool) -> Iterable[str]:
    """is_base: else only what this table says in place of the base is raised; the rest it inherits."""
    given: Any = row.get("needs")
    if given is not None or is_base:
        missing = sorted(seen.needs - set(given or ()))
        if missing:
            if given is None:
                row["needs"] = missing
            else:
                given.extend(missing)
            yield from (f"needs {need}" for need in missing)
    for key, count in sorted((seen.limits or {}).items()):
        least: Any = row.get(key)
        if count and (is_base if least is None else least < count):
            row[key] = count
            yield f"{key} {count}"


def _rows(data: bytes, source: str) -> Iterable[tuple[str, Any]]:
    data = data.removeprefix(codecs.BOM_UTF8)  # some editors begin with it
    try:
        whole: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        pass  # a value a line
    else:
        rows = cast("list[Any]", whole) if isinstance(whole, list) else [whole]
        yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))
        return
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            try:
                yield f"line {number}", orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise LockfileError(f"{source}: line {number}: broken JSON: {error.msg}", hint=_HINT) from None


def _read_row(given: Any, where: str) -> tuple[str, Observed]:
    if not isinstance(given, dict):
        raise LockfileError(f"{where} is no table", hint=_HINT)
    row = cast("dict[str, Any]", given)
    alias: Any = row.get("alias")
    if not isinstance(alias, str) or not ALIAS_NAME.fullmatch(alias):
        raise LockfileError(f"{where}: no alias", hint=_HINT)
    listed: Any = row.get("needs", [])
    if not isinstance(listed, list):
        raise LockfileError(f"{where}: needs is no list of words", hint=_HINT)
    needs = set[str]()
    for word in cast("list[Any]", listed):
        if word not in CAPS:
            raise LockfileError(f"{where}: needs says {str(word)[:_MAX_SHOWN]!r}", hint=f"words: {', '.join(CAPS)}")
        needs.add(word)
    limits: dict[str, int] = {}
    for key, value in row.items():
        if key in CAPS and isinstance(value, bool):
            needs |= {key} if value else set()
        elif key in _COUNTS and type(value) is int and 0 <= value <= _MAX_TOKENS:
            limits[_COUNTS[key]] = value
        elif key not in ("alias", "needs"):
            hint = f"{', '.join(_COUNTS)} with a number; {', '.join(CAPS)} with true or false"
            raise LockfileError(f"{where}: {key[:_MAX_SHOWN]!r} is nothing that can be observed so", hint=hint)
    return alias, Observed(frozenset(needs), limits)


def _no_alias(alias: str, source: str, known: Iterable[str]) -> AliasNotFoundError:
    import difflib

    close = tuple(difflib.get_close_matches(alias, known, n=3))
    hint = f"did you mean {' or '.join(close)}?" if close else f"`llmring bind {alias} MODEL` makes one"
    return AliasNotFoundError(f"no alias {alias!r} in {source}", name=alias, close_matches=close, hint=hint)
