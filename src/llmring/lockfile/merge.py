"""Two branches' locks into one: by alias, model and package, against what both began with. Pure.

A file of rows merges by row: neighbours are no conflict, whatever git's lines say. The same alias changed on both sides is one conflict,
and stays one, because which of two models is meant is nobody's guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast

from llmring.lockfile.model import Lock, LockedModel, Profile
from llmring.lockfile.render import hash_facts, render_lock

T = TypeVar("T")

OURS: Final = "<<<<<<< ours\n"
MIDDLE: Final = "=======\n"
THEIRS: Final = ">>>>>>> theirs\n"
_BLOCKS: Final = "\n\n"
# By marker: within which side it may stand, and which side it begins.
_MOVES: Final[Mapping[str, tuple[tuple[str | None, ...], str | None]]] = {
    "<" * 7: ((None,), "ours"),
    "|" * 7: (("ours",), "base"),
    "=" * 7: (("ours", "base"), "theirs"),
    ">" * 7: (("theirs",), None),
}


@dataclass(frozen=True, slots=True)
class Conflict:
    """What both sides changed, each in its way. subject: `profile/alias`, `provider:model`, a package, or a key of the file."""

    subject: str
    kind: str


@dataclass(frozen=True, slots=True)
class Merged:
    """ours, theirs: the merged lock, with what is in conflict as either side has it. The same where there is no conflict."""

    ours: Lock
    theirs: Lock
    conflicts: tuple[Conflict, ...]

    @property
    def lock(self) -> Lock | None:
        """The merged lock; None where there is a conflict."""
        return None if self.conflicts else self.ours


@dataclass(frozen=True, slots=True)
class _Choice:
    """One thing, merged: as our side and as their side would have it. None: not there."""

    ours: Any
    theirs: Any

    @property
    def in_conflict(self) -> bool:
        return self.ours != self.theirs


def merge_locks(base: Lock | None, ours: Lock, theirs: Lock) -> Merged:
    """base: what both sides began with; None where that is not known, and then what only one side has was added by it."""
    conflicts: list[Conflict] = []
    default = _choose(base.default_profile if base else None, ours.default_profile, theirs.default_profile)
    if default.in_conflict:
        conflicts.append(Conflict("default_profile", "default"))
    profiles: tuple[dict[str, Profile], dict[str, Profile]] = ({}, {})
    for name in sorted(ours.profiles.keys() | theirs.profiles.keys()):
        _merge_profile(name, base, ours, theirs, profiles, conflicts)
    packages = _merge_rows(base.extended if base else {}, ours.extended, theirs.extended, "package", conflicts)
    made = [
        replace(side, default_profile=chosen, profiles=mine, extended=cast("Any", extended))
        for side, chosen, mine, extended in zip(
            (ours, theirs), (default.ours, default.theirs), profiles, packages, strict=True
        )
    ]
    # Either side of a conflict needs its rows, so both texts hold them all; who resolves it lets `lock` drop the rest.
    used = {model for lock in made for model in _used(lock)}
    rows = _merge_models(base, ours, theirs, used, conflicts)
    return Merged(replace(made[0], locked=rows[0]), replace(made[1], locked=rows[1]), tuple(conflicts))


def _choose(base: T | None, ours: T | None, theirs: T | None) -> _Choice:
    if ours == theirs or theirs == base:
        return _Choice(ours, ours)
    return _Choice(theirs, theirs) if ours == base else _Choice(ours, theirs)


def _merge_profile(
    name: str,
    base: Lock | None,
    ours: Lock,
    theirs: Lock,
    merged: tuple[dict[str, Profile], dict[str, Profile]],
    conflicts: list[Conflict],
) -> None:
    was = base.profiles.get(name) if base else None
    mine, other = ours.profiles.get(name), theirs.profiles.get(name)
    if was is not None and (mine is None or other is None):
        if (mine or other) != was:  # one side removed it whole, the other changed it
            conflicts.append(Conflict(name, "profile"))
            for into, side in zip(merged, (mine, other), strict=True):
                if side is not None:
                    into[name] = side
        return
    empty = replace(mine or other or Profile(name, {}), bindings={})
    first, second, third = was or empty, mine or empty, other or empty
    bindings = _merge_rows(first.bindings, second.bindings, third.bindings, f"{name}/", conflicts)
    policy = _choose(_terms(first), _terms(second), _terms(third))
    if policy.in_conflict:
        conflicts.append(Conflict(name, "profile"))
    for into, rows, terms in zip(merged, bindings, (policy.ours, policy.theirs), strict=True):
        into[name] = replace(terms, bindings=rows)


def _terms(profile: Profile) -> Profile:
    """What a profile says beside its bindings."""
    return replace(profile, bindings={})


def _merge_rows(
    base: Mapping[str, T], ours: Mapping[str, T], theirs: Mapping[str, T], kind: str, conflicts: list[Conflict]
) -> tuple[dict[str, T], dict[str, T]]:
    merged: tuple[dict[str, T], dict[str, T]] = ({}, {})
    # In our order, what is new from their side behind: the writer sorts, a reader of this object need not.
    for name in dict.fromkeys([*ours, *theirs]):
        choice = _choose(base.get(name), ours.get(name), theirs.get(name))
        if choice.in_conflict:
            in_profile = kind.endswith("/")
            conflicts.append(Conflict(f"{kind}{name}" if in_profile else name, "alias" if in_profile else kind))
        for into, row in zip(merged, (choice.ours, choice.theirs), strict=True):
            if row is not None:
                into[name] = row
    return merged


def _used(lock: Lock) -> set[str]:
    bindings = [binding for profile in lock.profiles.values() for binding in profile.bindings.values()]
    return {model for binding in bindings for model in (*binding.models, *binding.then)}


def _merge_models(
    base: Lock | None, ours: Lock, theirs: Lock, used: set[str], conflicts: list[Conflict]
) -> tuple[dict[str, LockedModel], dict[str, LockedModel]]:
    """The rows of what is used. Of what no side ever used, as any row: a lock without a manifest may keep more than it binds."""
    ever = _used(ours) | _used(theirs) | (_used(base) if base else set[str]())
    merged: tuple[dict[str, LockedModel], dict[str, LockedModel]] = ({}, {})
    for id in dict.fromkeys([*ours.locked, *theirs.locked, *(base.locked if base else ())]):
        was, mine, other = ((lock.locked.get(id) if lock else None) for lock in (base, ours, theirs))
        if id in used:
            # A row that one side dropped is needed by the other.
            choice = _choose(was, mine or other or was, other or mine or was)
            choice = _take_newer(choice)
        elif id in ever:
            continue
        else:
            choice = _choose(was, mine, other)
        if choice.in_conflict:
            conflicts.append(Conflict(id, "model"))
        for into, row in zip(merged, (choice.ours, choice.theirs), strict=True):
            if row is not None:
                into[id] = row
    return merged


def _take_newer(choice: _Choice) -> _Choice:
    """Both sides looked the model up, on different days: the later one knows more. A row is taken whole, never mixed."""
    ours, theirs = choice.ours, choice.theirs
    if not choice.in_conflict or not _is_whole(ours) or not _is_whole(theirs) or ours.digest != theirs.digest:
        return choice  # rows that were edited by hand, or other weights: for a person
    days = [row.info.price_as_of or "" for row in (ours, theirs)]
    if days[0] == days[1]:
        return choice
    newer = ours if days[0] > days[1] else theirs
    return _Choice(newer, newer)


def _is_whole(row: LockedModel | None) -> bool:
    return row is not None and row.facts is not None and row.facts == hash_facts(row)


# Text


def render_merged(merged: Merged) -> bytes:
    """The merged lock as text; around what is in conflict, and nothing else, git's markers: one pair a conflict."""
    if not merged.conflicts:
        return render_lock(merged.ours)
    ours, theirs = (_blocks(lock) for lock in (merged.ours, merged.theirs))
    # In the order in which either side's writer has them: what only they have stands where it would be sorted.
    union = replace(
        merged.ours,
        profiles={**merged.theirs.profiles, **merged.ours.profiles, **_union_profiles(merged)},
        locked={**merged.theirs.locked, **merged.ours.locked},
        extended={**merged.theirs.extended, **merged.ours.extended},
    )
    parts: list[str] = []
    for head in _blocks(union):
        mine, other = ours.get(head), theirs.get(head)
        if mine == other:
            parts.append(f"{mine}\n")
        else:
            parts.append(f"{OURS}{_with_end(mine)}{MIDDLE}{_with_end(other)}{THEIRS}")
    return "\n".join(parts).encode()


def _union_profiles(merged: Merged) -> dict[str, Profile]:
    return {
        name: replace(profile, bindings={**merged.theirs.profiles[name].bindings, **profile.bindings})
        for name, profile in merged.ours.profiles.items()
        if name in merged.theirs.profiles
    }


def _blocks(lock: Lock) -> dict[str, str]:
    """The paragraphs of the canonical text by what each is about: its first line, and in a table its second, which names the row."""
    named: dict[str, str] = {}
    for block in render_lock(lock).decode().rstrip("\n").split(_BLOCKS):
        lines = block.split("\n", 2)
        named["\n".join(lines[: 2 if lines[0].startswith("[[") else 1])] = block
    return named


def _with_end(block: str | None) -> str:
    return "" if block is None else f"{block}\n"


def split_sides(text: str) -> tuple[str, str, str | None]:
    """Our text, their text, and, of markers in git's diff3 style, the base's, from a file with conflict markers.

    Raises ValueError where markers are out of order.
    """
    sides: dict[str, list[str]] = {"ours": [], "base": [], "theirs": []}
    now: str | None = None
    has_base = False
    for line in text.splitlines(keepends=True):
        mark = line[:7] if line[7:8] in ("", " ", "\n", "\r") else ""
        move = _MOVES.get(mark)
        if move is not None:
            allowed, begins = move
            if now not in allowed:
                raise ValueError(mark)
            now, has_base = begins, has_base or begins == "base"
        elif now is None:
            for side in sides.values():
                side.append(line)
        else:
            sides[now].append(line)
    if now is not None:
        raise ValueError("no end")
    ours, base, theirs = ("".join(side) for side in sides.values())
    return ours, theirs, base if has_base else None
