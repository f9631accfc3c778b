"""`llmring lock check`: whether the lock is what the manifest asks for. Asks no network and no clock, and needs no key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmring.cli.options import json_option, lockfile_option
from llmring.cli.output import write

if TYPE_CHECKING:
    from llmring.lockfile.checking import Checked


@click.command("check", short_help="Whether the lock is what the manifest asks for.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["text", "json", "github", "sarif", "md"]),
    default="text",
    help="github: annotations of a workflow; sarif: for code scanning.",
)
@click.option("--frozen", is_flag=True, help="Check the lock by itself: the manifest is not read.")
@lockfile_option
@json_option("The same as --format json.")
def command(format: str, frozen: bool, lockfile: str | None, as_json: bool) -> int:
    """Check the lock against the manifest beside it, and every member of every pool against what its alias needs.

    Reads these two files and nothing else: no network, no clock, no key. An old commit passes for ever.
    """
    from llmring.cli.lock_sources import is_frozen
    from llmring.lockfile.checking import check_file
    from llmring.lockfile.finding import Finding, exit_code
    from llmring.lockfile.reports import Report, render_report

    path = find_lock_here(lockfile)
    if path.exists():
        frozen = frozen or is_frozen()
        checked = check_file(path, frozen=frozen)
        findings, text, fine = checked.findings, checked.text, _say_fine(checked, frozen)
        facts = {"manifest": None if checked.manifest is None else checked.manifest.source}
    else:
        findings = [Finding("lock.missing", path.name, "there is no such lock", hint=first_step(path))]
        text, fine, facts = "", "", {"manifest": None}
    report = Report("llmring lock check", findings, _shown(path), text=text, facts=facts, fine=fine)
    write(render_report(report, "json" if as_json else format))  # pyright: ignore[reportArgumentType]: click has checked it
    return exit_code(findings)


def find_lock_here(lockfile: str | None) -> Path:
    """The lock that is meant, there or not: one that ships with llmring is nobody's to check, or to write."""
    import os

    from llmring.lockfile.store import find_lock_path

    return find_lock_path(lockfile, os.environ, Path.cwd())


def first_step(path: Path) -> str:
    """What to do where there is no lock."""
    from llmring.lockfile.checking import has_manifest

    return "run `llmring lock`" if has_manifest(path.parent) else "`llmring lock init` writes a manifest and a lock"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def _say_fine(checked: Checked, frozen: bool) -> str:
    bindings = sum(len(profile.bindings) for profile in checked.lock.profiles.values())
    counted = [(bindings, "binding"), (len(checked.lock.profiles), "profile"), (len(checked.lock.locked), "model")]
    told = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counted)
    none = "the manifest was not read" if frozen else "no manifest"
    against = f"{none}: the lock by itself" if checked.manifest is None else "it is what the manifest asks for"
    return f"fine ({against}; {told})"
