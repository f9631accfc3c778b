"""A merge where it happens: the files that git hands to a merge driver, and a lock that git left in conflict. Reads and writes files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmring.exceptions import LockfileError
from llmring.lockfile.git import BASE, OURS, THEIRS, no_repository, read_stage, run_git
from llmring.lockfile.merge import Conflict, Merged, merge_locks, render_merged, split_sides
from llmring.lockfile.model import Lock
from llmring.lockfile.parse import SUPPORTED_MINOR, parse_lock
from llmring.lockfile.render import hash_facts
from llmring.lockfile.store import LOCK_NAME, read_lock_bytes
from llmring.lockfile.writing import alone_in, write_whole

DRIVER: Final = "llmring"
ATTRIBUTES: Final = ".gitattributes"
ATTRIBUTE: Final = f"{LOCK_NAME} merge={DRIVER}"
_MARKER: Final = b"<<<<<<<"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What came of a merge. tampered: models whose row is not what its hash says; they were so before."""

    path: Path
    conflicts: tuple[Conflict, ...]
    tampered: tuple[str, ...] = ()


def merge_files(base: Path, ours: Path, theirs: Path, shown: str) -> Resolved:
    """What a merge driver does: writes the merge over `ours`; with git's markers around what is in conflict, and nothing else.

    shown: the lock's name, for messages. Raises LockfileError, and then has written nothing.
    """
    sides = [read_lock_bytes(path) for path in (base, ours, theirs)]
    merged = _merge(sides[0], sides[1], sides[2], shown)
    write_whole(ours, render_merged(merged), expected=sides[1])
    return Resolved(ours, merged.conflicts, _find_tampered(merged))


def merge_lines(base: Path, ours: Path, theirs: Path) -> None:
    """Git's own merge, line by line, over `ours`: for files that are no locks that can be read."""
    run_git(ours.parent, "merge-file", "-L", "ours", "-L", "base", "-L", "theirs", str(ours), str(base), str(theirs))


def resolve_file(path: Path) -> Resolved | None:
    """Merges a lock that git left in conflict, and writes it where all of it merges; None where the file has no conflict.

    Both sides come from git's index, so that what its line merge mixed, and what was edited since, does not count; without git, from the
    markers. Raises LockfileError.
    """
    data = read_lock_bytes(path)
    ours, theirs = _read_sides(path)
    if not any(line.startswith(_MARKER) for line in data.splitlines()) and not _is_only_ours(data, ours, theirs):
        return None
    if ours is None or theirs is None:
        base, ours, theirs = _split(data, path)
    else:
        base = read_stage(path, BASE) or b""
    merged = _merge(base, ours, theirs, path.name)
    if not merged.conflicts:
        with alone_in(path.parent):
            write_whole(path, render_merged(merged), expected=data)
    return Resolved(path, merged.conflicts, _find_tampered(merged))


def _read_sides(path: Path) -> tuple[bytes | None, bytes | None]:
    try:
        return read_stage(path, OURS), read_stage(path, THEIRS)
    except LockfileError:
        return None, None  # no git: the markers in the file say enough


def _is_only_ours(data: bytes, ours: bytes | None, theirs: bytes | None) -> bool:
    """Whether git left our side alone, without markers: it does where the driver's program is not there."""
    return ours is not None and theirs is not None and data.splitlines() == ours.splitlines()


def _split(data: bytes, path: Path) -> tuple[bytes, bytes, bytes]:
    try:
        ours, theirs, base = split_sides(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise LockfileError(f"{path}: not UTF-8") from None
    except ValueError:
        raise LockfileError(
            f"{path}: its conflict markers are out of order", hint="take one side: git checkout --ours, or --theirs"
        ) from None
    return (base or "").encode(), ours.encode(), theirs.encode()


def _merge(base: bytes, ours: bytes, theirs: bytes, shown: str) -> Merged:
    # Git hands over an empty base where both sides added the file.
    before = parse_lock(base, f"{shown} (base)") if base.strip() else None
    return merge_locks(before, _parse(ours, f"{shown} (ours)"), _parse(theirs, f"{shown} (theirs)"))


def _parse(data: bytes, source: str) -> Lock:
    lock = parse_lock(data, source)
    minor = lock.version.split(".")[1:2]
    if minor and int(minor[0]) > SUPPORTED_MINOR:
        raise LockfileError(
            f"{source}: version {lock.version} is newer than what this llmring writes",
            hint="merge with the newer llmring",
        )
    return lock


def _find_tampered(merged: Merged) -> tuple[str, ...]:
    rows = [*merged.ours.locked.values(), *merged.theirs.locked.values()]
    return tuple(sorted({row.info.id for row in rows if row.facts is not None and row.facts != hash_facts(row)}))


def install_driver(directory: Path, program: str) -> tuple[Path, bool]:
    """Tells this clone's git to merge locks with `program`, and `.gitattributes` to do so for locks. Returns that file, and whether it
    changed. A second time changes nothing. Raises LockfileError outside a repository.
    """
    top = run_git(directory, "rev-parse", "--show-toplevel")
    if top.returncode:
        raise no_repository(directory, top.stderr, hint="run it within one")
    path = Path(os.fsdecode(top.stdout.removesuffix(b"\n"))) / ATTRIBUTES
    if path.is_symlink():
        # It would be written to wherever a repository, which may be anybody's, has it lead. git reads none either, since 2.32:
        # https://github.com/git/git/blob/master/Documentation/RelNotes/2.32.0.txt (2026-11-21)
        raise LockfileError(f"{path} is a link, which git does not read", hint="make it a file of its own")
    # `--`: the path may begin with a dash.
    command = f"{program} lock merge-driver run -- %O %A %B %P"
    for name, value in (("name", "llmring: locks, row by row"), ("driver", command)):
        done = run_git(directory, "config", "--local", f"merge.{DRIVER}.{name}", value)
        if done.returncode:
            raise LockfileError(f"git config: {done.stderr.decode(errors='replace').strip()[:200]}")
    try:
        text = read_lock_bytes(path).decode() if path.exists() else ""
        if ATTRIBUTE in text.splitlines():
            return path, False
        break_before = "\n" if text and not text.endswith("\n") else ""
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{break_before}{ATTRIBUTE}\n")
    except (OSError, ValueError) as error:
        raise LockfileError(f"{path} cannot be changed: {error}") from None
    return path, True
