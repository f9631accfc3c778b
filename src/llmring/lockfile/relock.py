"""The operation behind `llmring lock`, `lock upgrade` and `bind`: read the manifest and the lock, ask for what is missing, decide, write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmring.exceptions import LockfileError, LockfileVersionError
from llmring.lockfile.facts import OFFLINE, Asked, gather
from llmring.lockfile.finding import Finding, Severity, exit_code
from llmring.lockfile.intent import Manifest
from llmring.lockfile.known import Gathered
from llmring.lockfile.locking import NO_RISK, NOTHING, Accepted, Move, list_needed, make_lock, report_unread
from llmring.lockfile.manifest import read_manifest
from llmring.lockfile.model import ExtendedPackage, Lock, LockedModel
from llmring.lockfile.parse import SUPPORTED_MINOR, parse_lock
from llmring.lockfile.render import render_decimal, render_lock, row_facts
from llmring.lockfile.store import LOCK_NAME, read_lock_bytes
from llmring.lockfile.writing import alone_in, write_whole


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the new lock says otherwise. subject: `profile/alias`, `provider:model` or a package; None: was not, or is not, there."""

    subject: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.subject}: {self.after}"
        return (
            f"- {self.subject}: {self.before}"
            if self.after is None
            else f"~ {self.subject}: {self.before} → {self.after}"
        )


@dataclass(frozen=True, slots=True)
class Relocked:
    """What came of locking. lock: the new one; where a finding is an error it was not written, and the file is as it was.

    stale: whether the file says something else than the new lock.
    """

    path: Path
    lock: Lock
    findings: tuple[Finding, ...]
    changes: tuple[Change, ...]
    stale: bool
    written: bool

    @property
    def exit_code(self) -> int:
        return exit_code(self.findings)


async def relock(
    directory: Path,
    asked: Asked,
    today: str,
    *,
    move: Move = NOTHING,
    accepted: Accepted = NO_RISK,
    strict: bool = False,
    dry_run: bool = False,
    manifest: Manifest | None = None,
    old: Lock | None = None,
    lock_path: Path | None = None,
) -> Relocked:
    """Makes the lock of the manifest in `directory` anew, and writes it unless it says the same as before, or a finding is an error.

    asked: the sources; nobody is asked where the old lock holds all that is needed. today: YYYY-MM-DD. move: what an upgrade moves.
    strict: whether a source that cannot be read is an error: whoever asks for something newer must not be told that there is none.
    manifest: instead of the folder's. old: instead of the folder's lock, for pins to keep. lock_path: the lock where it is not
    the folder's llmring.lock. Raises LockfileError where there is no manifest, a file cannot be read, or another llmring is at work in the folder.
    """
    path = lock_path or directory / LOCK_NAME
    with alone_in(directory):
        manifest = manifest or read_manifest(directory)
        if manifest is None:
            raise LockfileError(
                f"no manifest in {directory}: neither llmring.toml nor [tool.llmring] in pyproject.toml",
                hint="`llmring lock init` writes one",
            )
        data = read_lock_bytes(path) if path.exists() else None
        present = None if data is None else parse_lock(data, str(path))
        if present is not None:
            _check_writable(present)
        before = old or present
        needed = list_needed(manifest, before, move)
        gathered = await gather(needed, manifest.sources, asked, today) if needed else Gathered(today)
        made = make_lock(manifest, before, gathered, move=move, accepted=accepted, extended=_find_extended(manifest))
        findings = _report_unread(gathered, strict) + made.findings
        rendered = render_lock(made.lock)
        # One that says the same in another layout is left as it is.
        stale = present is None or render_lock(present) != rendered
        written = False
        if stale and not dry_run and exit_code(findings) == 0:
            written = write_whole(path, rendered, expected=data)
    return Relocked(path, made.lock, findings, tuple(_list_changes(present, made.lock)), stale, written)


def _check_writable(lock: Lock) -> None:
    minor = lock.version.split(".")[1] if "." in lock.version else "0"
    if int(minor) > SUPPORTED_MINOR:
        raise LockfileVersionError(
            f"{lock.source}: version {lock.version} is newer than what this llmring writes",
            hint="use the llmring that wrote it: this one would lose what it does not know",
        )


def _report_unread(gathered: Gathered, strict: bool) -> tuple[Finding, ...]:
    severity: Severity = "error" if strict else "warning"
    return tuple(report_unread(gathered, severity, skip=(OFFLINE,)))  # whoever did not let it be asked knows


def _find_extended(manifest: Manifest) -> Mapping[str, ExtendedPackage]:
    if not manifest.extends:
        return {}
    from llmring.lockfile.extends import find_package_lock

    profiles = manifest.profiles.values()
    return {package: find_package_lock(package, manifest.source, profiles) for package in sorted(manifest.extends)}


def _list_changes(before: Lock | None, after: Lock) -> Iterator[Change]:
    yield from _differ("", _bindings(before), _bindings(after))
    old: Mapping[str, LockedModel] = {} if before is None else before.locked
    new = after.locked
    for model in sorted(old.keys() | new.keys()):
        if model in old and model in new:
            yield from _differ(f"{model} ", _facts(old[model]), _facts(new[model]))
        else:
            was, is_now = old.get(model), new.get(model)
            yield Change(model, None if was is None else _sketch(was), None if is_now is None else _sketch(is_now))
    packages = {} if before is None else {name: one.dist or one.lock for name, one in before.extended.items()}
    yield from _differ("", packages, {name: one.dist or one.lock for name, one in after.extended.items()})


def _bindings(lock: Lock | None) -> dict[str, str]:
    return {
        f"{profile.name}/{alias}": ", ".join(binding.models)
        for profile in (lock.profiles.values() if lock else ())
        for alias, binding in profile.bindings.items()
    }


def _facts(row: LockedModel) -> dict[str, str]:
    """By fact, prices by kind: a new one shows beside the old one."""
    facts = row_facts(row)
    price: dict[str, str] = facts.pop("price", {})
    said = {name: " ".join(value) if isinstance(value, list) else str(value) for name, value in facts.items()}  # pyright: ignore[reportUnknownArgumentType]
    return said | {f"price.{kind}": f"{usd} USD" for kind, usd in price.items()}


def _sketch(row: LockedModel) -> str:
    """A row that is new, or gone, in few words."""
    info = row.info
    said = [f"pin {info.pin or 'unknown'}"]
    if {"input", "output"} <= info.price.keys():
        said.append(
            f"{render_decimal(info.price['input'])} in, {render_decimal(info.price['output'])} out USD per million tokens"
        )
    if info.retires:
        said.append(f"retires {'not before ' if row.retires_kind == 'earliest' else ''}{info.retires}")
    return ", ".join(said)


def _differ(head: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for subject in sorted(before.keys() | after.keys()):
        if before.get(subject) != after.get(subject):
            yield Change(head + subject, before.get(subject), after.get(subject))
