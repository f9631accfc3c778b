"""The operations behind `llmring bind` and `llmring unbind`: one alias of the manifest is edited, and the lock made to follow; where no
manifest is, the lock itself. Nothing is written unless everything that it needs is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import tomli

from llmring.exceptions import LockfileError
from llmring.lockfile.edit import Edit, Mode, bind_in_lock, bind_in_manifest, unbind_in_lock, unbind_in_manifest
from llmring.lockfile.facts import Asked, gather
from llmring.lockfile.finding import Finding, exit_code
from llmring.lockfile.intent import Intent, Manifest, ProfileIntent, Sources
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.known import Gathered
from llmring.lockfile.locking import Accepted, make_lock
from llmring.lockfile.manifest import MANIFEST_NAME, PYPROJECT_NAME, read_manifest
from llmring.lockfile.model import DEFAULT_PROFILE, Lock
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.relock import relock
from llmring.lockfile.render import render_lock, render_row
from llmring.lockfile.store import LOCK_NAME, read_lock_bytes
from llmring.lockfile.writing import alone_in, write_whole

_MAX_MANIFEST_BYTES: Final = 1024 * 1024
_TOOL: Final = ("tool", "llmring")


@dataclass(frozen=True, slots=True)
class Bound:
    """What came of it. before, after: the alias's pool. models: what the lock binds now, pointers resolved. paths: the files written.
    is_last: nothing is bound in the profile any more.

    findings: where one is an error, nothing was written.
    """

    alias: str
    profile: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    models: tuple[str, ...]
    findings: tuple[Finding, ...]
    paths: tuple[Path, ...]
    is_last: bool = False

    @property
    def exit_code(self) -> int:
        return exit_code(self.findings)


@dataclass(frozen=True, slots=True)
class _ManifestFile:
    path: Path
    data: bytes
    within: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"{self.path} [tool.llmring]" if self.within else str(self.path)

    def parse(self, text: str) -> Manifest:
        table: Any = tomli.loads(text)
        for step in self.within:
            table = table[step]
        return parse_manifest(cast("dict[str, Any]", table), self.source)


async def bind(
    directory: Path,
    alias: str,
    models: Sequence[str],
    asked: Asked,
    today: str,
    *,
    profile: str | None = None,
    mode: Mode = Mode.REPLACE,
    allow_unknown: bool = False,
    lock_path: Path | None = None,
) -> Bound:
    """Binds the alias to these models, appends them to its pool, or removes them from it.

    Every model that is new to the lock is verified with the sources; one that nobody knows is an error unless `allow_unknown`.
    lock_path: a lock without a manifest, to be edited in place; default, the folder's where it has no manifest. Raises
    AliasNotFoundError, ProfileNotFoundError, ConfigurationError, LockfileError.
    """
    accepted = Accepted(unknown=allow_unknown)
    file = None if lock_path is not None else _find_manifest(directory)
    if file is None:
        return await _bind_directly(
            lock_path or directory / LOCK_NAME,
            alias,
            models,
            asked,
            today,
            profile=profile,
            mode=mode,
            accepted=accepted,
        )

    def edit(text: str) -> Edit:
        return bind_in_manifest(text, file.source, alias, models, profile, mode, within=file.within)

    return await _change_manifest(directory, file, edit, alias, profile, asked, today, accepted)


async def unbind(
    directory: Path,
    alias: str,
    asked: Asked,
    today: str,
    *,
    profile: str | None = None,
    lock_path: Path | None = None,
) -> Bound:
    """Takes the alias away from the profile. Raises as `bind`."""
    file = None if lock_path is not None else _find_manifest(directory)
    if file is None:
        path = lock_path or directory / LOCK_NAME
        with alone_in(path.parent):
            data, text, lock = _read_direct(path)
            edit = unbind_in_lock(text, str(path), alias, profile)
            write_whole(path, edit.text.encode(), expected=data)
        name = _name(profile, lock)
        return Bound(
            alias, name, edit.before, (), (), (), (path,), is_last=set(lock.profiles[name].bindings) == {alias}
        )

    def take_away(text: str) -> Edit:
        return unbind_in_manifest(text, file.source, alias, profile, within=file.within)

    return await _change_manifest(directory, file, take_away, alias, profile, asked, today, Accepted())


# With a manifest


def _find_manifest(directory: Path) -> _ManifestFile | None:
    if read_manifest(directory) is None:  # raises for a broken one, and for two
        return None
    own = directory / MANIFEST_NAME
    path, within = (own, ()) if own.exists() else (directory / PYPROJECT_NAME, _TOOL)
    return _ManifestFile(path, read_lock_bytes(path, _MAX_MANIFEST_BYTES), within)


async def _change_manifest(
    directory: Path,
    file: _ManifestFile,
    change: Callable[[str], Edit],
    alias: str,
    profile: str | None,
    asked: Asked,
    today: str,
    accepted: Accepted,
) -> Bound:
    edit = change(file.data.decode())
    lock_path = directory / LOCK_NAME
    locked = read_lock_bytes(lock_path) if lock_path.exists() else None
    manifest = file.parse(edit.text)
    made = await relock(directory, asked, today, accepted=accepted, dry_run=True, manifest=manifest)
    paths: list[Path] = []
    if made.exit_code == 0:
        with alone_in(directory):
            if made.stale and (read_lock_bytes(lock_path) if lock_path.exists() else None) != locked:
                raise LockfileError(
                    f"{lock_path} was changed meanwhile", hint="nothing was written: run the command again"
                )
            # The manifest first: what is left by a crash in between is a lock that `check` calls stale, and `lock` makes right.
            if write_whole(file.path, edit.text.encode(), expected=file.data):
                paths.append(file.path)
            if made.stale and write_whole(lock_path, render_lock(made.lock), expected=locked):
                paths.append(lock_path)
    name = profile or DEFAULT_PROFILE
    bindings = made.lock.profiles[name].bindings
    models = bindings[alias].models if alias in bindings else ()
    return Bound(alias, name, edit.before, edit.after, models, made.findings, tuple(paths), is_last=not bindings)


# Without one


async def _bind_directly(
    path: Path,
    alias: str,
    models: Sequence[str],
    asked: Asked,
    today: str,
    *,
    profile: str | None,
    mode: Mode,
    accepted: Accepted,
) -> Bound:
    data, text, lock = _read_direct(path)
    name = _name(profile, lock)
    source = str(path)
    edit = bind_in_lock(text, source, alias, models, profile, mode)
    findings, rows = await _verify(lock, source, name, alias, edit.after, asked, today, accepted)
    paths: tuple[Path, ...] = ()
    if edit.is_change and exit_code(findings) == 0:
        if rows:
            edit = bind_in_lock(text, source, alias, models, profile, mode, rows=rows)
        with alone_in(path.parent):
            write_whole(path, edit.text.encode(), expected=data)
        paths = (path,)
    return Bound(alias, name, edit.before, edit.after, edit.after, findings, paths)


def _read_direct(path: Path) -> tuple[bytes, str, Lock]:
    if not path.exists():
        raise LockfileError(
            f"neither a manifest nor a lock to bind in: {path} does not exist", hint="`llmring lock init` writes both"
        )
    data = read_lock_bytes(path)
    lock = parse_lock(data, str(path))
    if any(binding.input is not None for profile in lock.profiles.values() for binding in profile.bindings.values()):
        raise LockfileError(
            f"{path} was locked from a manifest, and that is what is bound in",
            hint="run this where its llmring.toml is, without --lockfile; or write one: `llmring lock init --from`",
        )
    return data, data.decode("utf-8-sig"), lock


def _name(profile: str | None, lock: Lock) -> str:
    return profile or lock.default_profile or DEFAULT_PROFILE


async def _verify(
    lock: Lock, source: str, profile: str, alias: str, pool: Iterable[str], asked: Asked, today: str, accepted: Accepted
) -> tuple[tuple[Finding, ...], dict[str, str]]:
    """What is found of the pool's models that the lock has no row for, and their rows as TOML."""
    models = tuple(pool)
    new = [model for model in models if model not in lock.locked]
    gathered = await gather(new, Sources(), asked, today) if new else Gathered(today)
    intent = Intent(alias, models)
    wanted = Manifest(source, {profile: ProfileIntent(profile, {alias: intent})})
    made = make_lock(wanted, lock, gathered, accepted=accepted)
    rows = {model: render_row(made.lock.locked[model]) for model in new}
    return made.findings, rows
