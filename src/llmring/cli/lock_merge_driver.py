"""`llmring lock merge-driver` and `llmring lock --resolve-conflicts`: locks of two branches, merged row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmring.cli.failures import ACT, FINE, CommandError
from llmring.cli.options import json_option
from llmring.cli.output import note, say, warn, write, write_json

if TYPE_CHECKING:
    from llmring.lockfile.finding import Finding
    from llmring.lockfile.merging import Resolved


@click.group("merge-driver", short_help="Let git merge locks row by row.")
def command() -> None:
    """Let git merge locks by alias and model instead of by line."""


@command.command("install", short_help="Tell git, in this clone and in .gitattributes.")
@click.option("--program", default="llmring", help="How git runs llmring, through its shell. Default: llmring.")
@json_option()
def install_command(program: str, as_json: bool) -> int:
    """Tell this clone's git to merge llmring.lock with llmring. Commit .gitattributes; each clone runs this once."""
    from llmring.lockfile.merging import ATTRIBUTE, install_driver

    path, changed = install_driver(Path.cwd(), program)
    if as_json:
        write_json({"attributes": str(path), "changed": changed, "program": program})
    else:
        write(f"git merges llmring.lock with `{program}` in this clone\n")
        write(f"{path}: {'added' if changed else 'has'} {ATTRIBUTE}\n")
    return FINE


@command.command("run", short_help="What git runs: BASE OURS THEIRS PATH.")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("ours", type=click.Path(path_type=Path))
@click.argument("theirs", type=click.Path(path_type=Path))
@click.argument("shown", metavar="PATH", default="llmring.lock")
def run_command(base: Path, ours: Path, theirs: Path, shown: str) -> int:
    """Merge THEIRS into OURS. Git runs this; exits with 1 where a conflict is left."""
    from llmring.exceptions import LockfileError
    from llmring.lockfile.merging import merge_files, merge_lines

    try:
        resolved = merge_files(base.absolute(), ours.absolute(), theirs.absolute(), shown)
    except LockfileError as error:
        # Whatever happens, git must not take our side for the merge of both.
        merge_lines(base.absolute(), ours.absolute(), theirs.absolute())
        warn(f"merged line by line, and left as a conflict: {error}")
        return ACT
    _talk(resolved, shown)
    return ACT if resolved.conflicts or resolved.tampered else FINE


def _talk(resolved: Resolved, shown: str) -> None:
    for conflict in resolved.conflicts:
        say(f"{shown}: both sides changed {conflict.kind} {conflict.subject}, each in its way")
    for model in resolved.tampered:
        warn(f"{shown}: the row of {model} is not what was locked; `llmring lock check` says more")


def resolve_conflicts(as_json: bool) -> int:
    """`llmring lock --resolve-conflicts`."""
    import os

    from llmring.cli.lock_sources import check_may_write
    from llmring.lockfile.finding import exit_code
    from llmring.lockfile.merging import resolve_file
    from llmring.lockfile.reports import Report, render_report
    from llmring.lockfile.store import LockOrigin, find_lock

    check_may_write()
    found = find_lock(None, os.environ, Path.cwd())
    if found.origin is LockOrigin.BUNDLED:
        raise CommandError("no llmring.lock here", hint="run it where the lockfile lies")
    resolved = resolve_file(found.path)
    is_merged = resolved is not None and not resolved.conflicts
    findings = _check(found.path) if is_merged else []
    if as_json:
        conflicts = [] if resolved is None else [{"subject": c.subject, "kind": c.kind} for c in resolved.conflicts]
        said = {"lockfile": str(found.path), "had_conflict": resolved is not None, "conflicts": conflicts}
        code = ACT if conflicts else exit_code(findings)
        write_json(said | {"findings": [finding.to_dict() for finding in findings], "exit_code": code})
    if resolved is None:
        note(f"{found.path.name} has no conflict")
        return FINE
    _talk(resolved, found.path.name)
    if resolved.conflicts:
        note(f"nothing was written: {_say_choose(found.path)}")
        return ACT
    if not as_json:
        write(f"{found.path.name}: merged\n")
        if findings:
            write(render_report(Report("llmring lock check", findings, found.path.name), "text"))
    note(f"`git add {found.path.name}` ends the conflict")
    return exit_code(findings)


def _say_choose(path: Path) -> str:
    from llmring.lockfile.manifest import MANIFEST_NAME, PYPROJECT_NAME

    # Whether one of them holds a manifest cannot be asked: it may well be in conflict itself.
    if any((path.parent / name).exists() for name in (MANIFEST_NAME, PYPROJECT_NAME)):
        return f"choose in the manifest, then `git checkout --ours {path.name}` and `llmring lock`"
    return "choose a side of each, and take the markers out"


def _check(path: Path) -> list[Finding]:
    """What `llmring lock check` says of the merged lock; nothing where the manifest is in conflict itself."""
    from llmring.exceptions import LockfileError
    from llmring.lockfile.checking import check_file

    try:
        return check_file(path).findings
    except LockfileError as error:
        warn(f"the merged lock was not checked: {error}")
        return []
