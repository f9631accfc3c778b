"""TOML that is edited as text: tomlkit keeps comments, order and spelling. What is changed is changed on plain tables alike, so that the
two can be compared. Pure.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TypeAlias, cast

import orjson
import tomli
import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Array, InlineTable

from llmring.exceptions import LockfileError
from llmring.lockfile.toml_array import replace_strings

Change: TypeAlias = "Callable[[MutableMapping[str, Any]], None]"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def edit_toml(text: str, source: str, change: Change, *, otherwise: str = "") -> str:
    """The text with the change, which is called with tomlkit's tables and with plain ones. Raises LockfileError where the text is no TOML,
    or cannot be changed without saying something else besides.

    otherwise: lines that say the same at the text's end, for where tomlkit loses its way.
    """
    wanted = copy.deepcopy(load_toml(text, source))
    change(wanted)
    wanted = _without_empty(wanted)
    for made in (_change(text, change), _append(text, otherwise) if otherwise else None):
        if made is not None and _says(made, wanted):
            return made if "\r" not in text else _with_line_ends_of(text, made)
    raise LockfileError(
        f"{source}: written in a way that cannot be edited without losing some of it",
        hint="edit it by hand, or write the alias as a table of its own: [alias.NAME]",
    )


def _change(text: str, change: Change) -> str | None:
    try:
        document = tomlkit.parse(text)
        change(document)
        return _set_off(text, _with_comments_of(text, tomlkit.dumps(document)))
    except (TOMLKitError, AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        # tomlkit keeps the text's form, and loses its way in some of the forms that TOML allows.
        return None


def _append(text: str, lines: str) -> str:
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{end}\n{lines}"


def _says(text: str, wanted: Any) -> bool:
    try:
        return _without_empty(tomli.loads(text)) == wanted
    except (ValueError, RecursionError):
        return False


def _with_comments_of(before: str, after: str) -> str:
    """Where lines were only taken away: with the comments at their end, which are about what follows. tomlkit takes them for a part of
    the table that they stand behind."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    gone = len(old) - len(new)
    start = next((place for place, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(new))
    if gone <= 0 or old[start + gone :] != new[start:]:
        return after
    end = start + gone
    # Of two tables that begin alike, the lines that are gone may seem to begin further down than they do.
    while start and not old[start].lstrip().startswith("[") and old[start - 1] == old[end - 1]:
        start, end = start - 1, end - 1
    first = end
    while first > start and (not old[first - 1].strip() or old[first - 1].lstrip().startswith("#")):
        first -= 1
    kept = old[first:end]
    return "".join([*old[:start], *kept, *old[end:]]) if any(line.strip() for line in kept) else after


def _set_off(before: str, after: str) -> str:
    """Where a table was only put in: with a blank line before it and one behind."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    added = len(new) - len(old)
    start = next((place for place, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(old))
    table = "".join(new[start : start + added]).strip()
    if added <= 0 or old[start:] != new[start + added :] or not table.startswith("["):
        return after
    above = "\n" if start and old[start - 1].strip() else ""
    below = "\n" if start < len(old) and old[start].strip() else ""
    return "".join([*old[:start], above, table, "\n", below, *old[start:]])


def _with_line_ends_of(text: str, made: str) -> str:
    """The made text with the line ends of Windows, where all of the text has them."""
    is_all = text.count("\n") == text.count("\r\n")
    return made.replace("\r\n", "\n").replace("\n", "\r\n") if is_all else made


def render_table(path: Sequence[str], models: Sequence[str]) -> str:
    """The lines of a table that has nothing but a pool."""
    keys = (step if _BARE.fullmatch(step) else orjson.dumps(step).decode() for step in path)
    return f"[{'.'.join(keys)}]\nmodels = {_new_array(models).as_string()}\n"


def load_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError) as error:
        raise LockfileError(f"{source}: broken TOML: {error}") from None


def find_table(data: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any] | None:
    here: Any = data
    for step in path:
        here = cast("Mapping[str, Any]", here).get(step) if isinstance(here, Mapping) else None
    return cast("Mapping[str, Any]", here) if isinstance(here, Mapping) else None


def reach(table: MutableMapping[str, Any], path: Sequence[str]) -> MutableMapping[str, Any]:
    """The table at the end of the path, made where it is not there: [a.b.c] without tables of its own for a and b."""
    here = table
    for depth, step in enumerate(path):
        if step not in here:
            is_last = depth == len(path) - 1
            if not isinstance(here, Container | AbstractTable):
                here[step] = {}
            elif isinstance(here, InlineTable):
                here[step] = tomlkit.inline_table()
            else:
                here[step] = tomlkit.table(is_super_table=not is_last)
        here = here[step]
    return here


def set_models(row: MutableMapping[str, Any], models: Sequence[str]) -> None:
    """`models` of a row. Of a list that is there, those that stay keep their place, their comments and the way that they are written."""
    given: Any = row.get("models")
    if isinstance(given, Array):
        edited: Any = tomlkit.parse(f"models = {replace_strings(given.as_string(), models)}")
        row["models"] = edited["models"]
    elif isinstance(row, Container | AbstractTable):
        row["models"] = _new_array(models)
    else:
        row["models"] = list(models)


def add_binding(profile: MutableMapping[str, Any], alias: str, models: Sequence[str]) -> None:
    """A row for the alias at the end of a lock's profile."""
    is_text = isinstance(profile, Container | AbstractTable)
    row: Any = tomlkit.table() if is_text else {}
    row["alias"] = alias
    set_models(row, models)
    if profile.get("bindings"):
        profile["bindings"].append(row)
    elif is_text:
        rows: Any = tomlkit.aot()
        rows.append(row)
        profile["bindings"] = rows
    else:
        profile["bindings"] = [row]


def parse_row(text: str, like: MutableMapping[str, Any]) -> Any:
    """The lines of one row as a table of the kind of `like`."""
    if not isinstance(like, Container | AbstractTable):
        return tomli.loads(text)
    row: Any = tomlkit.table()
    for name, value in cast("dict[str, Any]", tomlkit.parse(text)).items():
        row[name] = value
    return row


def _new_array(models: Sequence[str]) -> Array:
    array = tomlkit.array()
    for model in models:
        array.append(model)  # pyright: ignore[reportUnknownMemberType]: tomlkit's lists are of anything
    return array.multiline(len(models) > 1)


def _without_empty(value: Any) -> Any:
    """Without empty tables: what is left of the tables around an alias that was taken away says nothing."""
    if isinstance(value, dict):
        inner = {name: _without_empty(one) for name, one in cast("dict[str, Any]", value).items()}
        return {name: one for name, one in inner.items() if one != {}}
    return value
