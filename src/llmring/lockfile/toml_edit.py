"""TOML that is edited as text: tomlkit keeps comments, order and spelling. What is changed is changed on plain tables alike, so that the
two can be compared. Pure.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias, cast

import tomli
import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Array, InlineTable

from llmring.exceptions import LockfileError

Change: TypeAlias = "Callable[[MutableMapping[str, Any]], None]"


def edit_toml(text: str, source: str, change: Change) -> str:
    """The text with the change, which is called with tomlkit's tables and with plain ones. Raises LockfileError where the text is no TOML,
    or cannot be changed without saying something else besides."""
    wanted = copy.deepcopy(load_toml(text, source))
    change(wanted)
    changed = _change(text, source, change)
    if _without_empty(load_toml(changed, source)) != _without_empty(wanted):
        raise _too_intricate(source)
    return changed


def _change(text: str, source: str, change: Change) -> str:
    try:
        document = tomlkit.parse(text)
        change(document)
        return tomlkit.dumps(document)
    except (TOMLKitError, AttributeError, KeyError, TypeError, ValueError, IndexError):
        # tomlkit keeps the text's form, and loses its way in some of the forms that TOML allows.
        raise _too_intricate(source) from None


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
        _replace_items(given, models)
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


def _replace_items(array: Array, models: Sequence[str]) -> None:
    before = [str(item) for item in cast("list[Any]", array)]
    steps = difflib.SequenceMatcher(None, before, list(models), autojunk=False).get_opcodes()
    for kind, start, end, new_start, new_end in reversed(steps):
        if kind == "equal":
            continue
        # The new ones first: a list that is empty for a moment forgets how its lines were set.
        for offset, model in enumerate(models[new_start:new_end]):
            array.insert(end + offset, model)
        for place in range(end - 1, start - 1, -1):
            del array[place]


def _without_empty(value: Any) -> Any:
    """Without empty tables: what is left of the tables around an alias that was taken away says nothing."""
    if isinstance(value, dict):
        inner = {name: _without_empty(one) for name, one in cast("dict[str, Any]", value).items()}
        return {name: one for name, one in inner.items() if one != {}}
    return value


def _too_intricate(source: str) -> LockfileError:
    return LockfileError(
        f"{source}: written in a way that cannot be edited without losing some of it",
        hint="edit it by hand, or write the alias as a table of its own: [alias.NAME]",
    )
