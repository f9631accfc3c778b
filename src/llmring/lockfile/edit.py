"""Changes of one alias in what people write: the manifest, or a lock without one. Text in, text out: comments, order and everything
else stay as they are. What the text says afterwards is compared with what it should say, and nothing is given out where they differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson
import tomli

from llmring.exceptions import AliasNotFoundError, ConfigurationError, ProfileNotFoundError
from llmring.lockfile.intent import Manifest
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.model import DEFAULT_PROFILE
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.toml_edit import (
    Change,
    add_binding,
    edit_toml,
    find_table,
    load_toml,
    parse_row,
    reach,
    render_table,
    set_models,
)
from llmring.schemas.model_ref import ALIAS_NAME, parse_model_ref

_MAX_SHOWN: Final = 80
_NAME_HINT: Final = "letters, digits, '.', '_' and '-'; it begins with a letter or digit and ends by 64 characters"


class Mode(StrEnum):
    """How the models of a `bind` and the alias's pool come together."""

    REPLACE = "replace"
    APPEND = "append"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Edit:
    """What came of it. text: the whole new text. before, after: the alias's pool; () where there is none."""

    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def is_change(self) -> bool:
        return self.before != self.after


def combine(alias: str, pool: Sequence[str], models: Sequence[str], mode: Mode) -> tuple[str, ...]:
    """The new pool. Raises ConfigurationError for a model that is there already, or is not, and for a pool of nothing."""
    given = [str(parse_model_ref(model)) for model in models]
    twice = next((model for model in given if given.count(model) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{twice} is named twice", hint="the second one would never be reached")
    match mode:
        case Mode.REPLACE:
            made = given
        case Mode.APPEND:
            there = next((model for model in given if model in pool), None)
            if there is not None:
                raise ConfigurationError(f"alias {alias!r} has {there} already", hint=f"its pool: {', '.join(pool)}")
            made = [*pool, *given]
        case Mode.REMOVE:
            missing = next((model for model in given if model not in pool), None)
            if missing is not None:
                raise ConfigurationError(f"alias {alias!r} has no {missing}", hint=f"its pool: {', '.join(pool)}")
            made = [model for model in pool if model not in given]
    if not made:
        raise ConfigurationError(
            f"alias {alias!r} would have no model left", hint=f"`llmring unbind {alias}` takes the alias away"
        )
    return tuple(made)


# The manifest ---------------------------------------------------------------------------------------------------------


def bind_in_manifest(
    text: str,
    source: str,
    alias: str,
    models: Sequence[str],
    profile: str | None,
    mode: Mode,
    *,
    within: Sequence[str] = (),
) -> Edit:
    """The manifest with this pool for the alias. within: the tables around it, ("tool", "llmring") in a pyproject.

    An alias that is not there is made, except by APPEND and REMOVE; a profile never is. Raises AliasNotFoundError,
    ProfileNotFoundError, ConfigurationError, LockfileError.
    """
    _check_name(alias, "the alias")
    name = _check_profile(text, source, profile, within)
    inherited = _pool_of(text, source, alias, name, within)
    if inherited is None and mode is not Mode.REPLACE:
        raise _no_alias(alias, name, source, _aliases_of(text, source, name, within))
    before = inherited or ()
    after = combine(alias, before, models, mode)
    if after == before:
        return Edit(text, before, after)
    path = _alias_path(tomli.loads(text), alias, name, within)

    def change(table: MutableMapping[str, Any]) -> None:
        set_models(reach(table, path), after)

    return Edit(_edited(text, source, change, within, render_table(path, after)), before, after)


def unbind_in_manifest(text: str, source: str, alias: str, profile: str | None, *, within: Sequence[str] = ()) -> Edit:
    """The manifest without the alias's table in this profile. Raises as `bind_in_manifest`."""
    name = _check_profile(text, source, profile, within)
    before = _pool_of(text, source, alias, name, within)
    if before is None:
        raise _no_alias(alias, name, source, _aliases_of(text, source, name, within))
    data = tomli.loads(text)
    path = _alias_path(data, alias, name, within)
    if find_table(data, path) is None:
        raise ConfigurationError(
            f"{source}: profile {name!r} has alias {alias!r} from the profile that it inherits",
            hint="unbind it there; a profile cannot take away what it inherits",
        )

    def change(table: MutableMapping[str, Any]) -> None:
        del reach(table, path[:-1])[path[-1]]

    changed = _edited(text, source, change, within)
    return Edit(changed, before, _pool_of(changed, source, alias, name, within) or ())


def _check_profile(text: str, source: str, profile: str | None, within: Sequence[str]) -> str:
    name = DEFAULT_PROFILE if profile is None else profile
    manifest = _parse(text, source, within)
    if name not in manifest.profiles:
        raise no_profile(name, source, manifest.profiles)
    return name


def _pool_of(text: str, source: str, alias: str, profile: str, within: Sequence[str]) -> tuple[str, ...] | None:
    manifest = _parse(text, source, within)
    intent = manifest.profiles[profile].aliases.get(alias)
    return None if intent is None else intent.models


def _aliases_of(text: str, source: str, profile: str, within: Sequence[str]) -> list[str]:
    return list(_parse(text, source, within).profiles[profile].aliases)


def _alias_path(data: Mapping[str, Any], alias: str, profile: str, within: Sequence[str]) -> tuple[str, ...]:
    """Where the alias's table stands. The default profile's aliases stand at the top, unless its own table has this one."""
    own = (*within, "profile", profile, "alias", alias)
    if profile == DEFAULT_PROFILE and find_table(data, own) is None:
        return (*within, "alias", alias)
    return own


def _edited(text: str, source: str, change: Change, within: Sequence[str], otherwise: str = "") -> str:
    changed = edit_toml(text, source, change, otherwise=otherwise)
    # What is left must still be a manifest: a profile may have built on what was taken away.
    _parse(changed, source, within)
    return changed


def _parse(text: str, source: str, within: Sequence[str]) -> Manifest:
    return parse_manifest(find_table(load_toml(text, source), within) or {}, source)


# A lock without a manifest --------------------------------------------------------------------------------------------


def bind_in_lock(
    text: str,
    source: str,
    alias: str,
    models: Sequence[str],
    profile: str | None,
    mode: Mode,
    *,
    rows: Mapping[str, str] | None = None,
) -> Edit:
    """The lock with this pool for the alias, what else it says as it was. Of TOML or JSON, whichever it is.

    rows: facts of models as TOML, by model: those that the lock needs are added where it has facts at all, and those that nobody
    needs any more go.
    """
    _check_name(alias, "the alias")
    name, pools = _read_lock_pools(text, source, profile)
    if alias not in pools and mode is not Mode.REPLACE:
        raise _no_alias(alias, name, source, list(pools))
    before = pools.get(alias, ())
    after = combine(alias, before, models, mode)
    if after == before:
        return Edit(text, before, after)

    def change(table: MutableMapping[str, Any]) -> None:
        bindings: Any = table["profiles"][name].get("bindings")
        row = next((row for row in bindings or () if row.get("alias") == alias), None)
        if row is None:
            add_binding(table["profiles"][name], alias, after)
        else:
            # How it was locked, and what 1.0 had in place of `models`, is true of the old pool alone.
            for key in ("model", "provider", "input", "requested", "resolved"):
                row.pop(key, None)
            set_models(row, after)
        _change_rows(table, before, rows or {})

    return Edit(_edited_lock(text, source, change), before, after)


def _change_rows(table: MutableMapping[str, Any], dropped: Sequence[str], rows: Mapping[str, str]) -> None:
    """Takes away facts of models that were bound to the alias alone, and adds those of models that have none."""
    there: Any = table.get("locked")
    if not there:
        return
    needed = _bound_models(table)
    for place in reversed(range(len(there))):
        id = there[place].get("id")
        if id in dropped and id not in needed:
            del there[place]
    known = {row.get("id") for row in there}
    for model in sorted(needed - known):
        if model in rows:
            there.append(parse_row(rows[model], table))
    if not there:
        del table["locked"]


def _bound_models(table: Mapping[str, Any]) -> set[str]:
    bindings = [row for profile in table["profiles"].values() for row in profile.get("bindings") or ()]
    found: set[str] = set()
    for row in bindings:
        models = row.get("models")
        found.update([models] if isinstance(models, str) else models or [])
        found.update(row.get("then") or [])
        if row.get("model"):
            provider, model = row.get("provider"), row["model"]
            found.add(model if provider is None or model.startswith(f"{provider}:") else f"{provider}:{model}")
    return {str(model) for model in found}


def unbind_in_lock(text: str, source: str, alias: str, profile: str | None) -> Edit:
    """The lock without the alias in this profile."""
    name, pools = _read_lock_pools(text, source, profile)
    if alias not in pools:
        raise _no_alias(alias, name, source, list(pools))

    def change(table: MutableMapping[str, Any]) -> None:
        rows: Any = table["profiles"][name]["bindings"]
        del rows[next(place for place, row in enumerate(rows) if row.get("alias") == alias)]
        if not rows:
            del table["profiles"][name]["bindings"]
        _change_rows(table, pools[alias], {})

    return Edit(_edited_lock(text, source, change), pools[alias], ())


def _read_lock_pools(text: str, source: str, profile: str | None) -> tuple[str, dict[str, tuple[str, ...]]]:
    lock = parse_lock(text.encode(), source)
    name = profile or lock.default_profile or DEFAULT_PROFILE
    found = lock.profiles.get(name)
    if found is None:
        raise no_profile(name, source, lock.profiles)
    return name, {alias: binding.models for alias, binding in found.bindings.items()}


def _edited_lock(text: str, source: str, change: Change) -> str:
    if text.lstrip().startswith("{"):
        table = orjson.loads(text)
        change(table)
        changed = orjson.dumps(table, option=orjson.OPT_INDENT_2).decode() + "\n"
    else:
        changed = edit_toml(text, source, change)
    parse_lock(changed.encode(), source)
    return changed


# What to say ----------------------------------------------------------------------------------------------------------


def _check_name(name: str, what: str) -> None:
    if not ALIAS_NAME.fullmatch(name):
        raise ConfigurationError(f"{what} is {name[:_MAX_SHOWN]!r}", hint=_NAME_HINT)


def no_profile(name: str, source: str, known: Mapping[str, Any]) -> ProfileNotFoundError:
    """An error that names the profiles that come close."""
    close = tuple(difflib.get_close_matches(name[:_MAX_SHOWN], known, n=3))
    there = ", ".join(known) or "none"
    return ProfileNotFoundError(
        f"no profile {name[:_MAX_SHOWN]!r} in {source}",
        name=name,
        close_matches=close,
        hint=f"did you mean {' or '.join(close)}?"
        if close
        else f"it has: {there[:300]}; a new one is written there by hand",
    )


def _no_alias(alias: str, profile: str, source: str, known: Sequence[str]) -> AliasNotFoundError:
    close = tuple(difflib.get_close_matches(alias[:_MAX_SHOWN], known, n=3))
    there = ", ".join(known) or "no alias at all"
    return AliasNotFoundError(
        f"no alias {alias[:_MAX_SHOWN]!r} in profile {profile!r} of {source}",
        name=alias,
        close_matches=close,
        hint=f"did you mean {' or '.join(close)}?" if close else f"the profile has: {there[:300]}",
    )
