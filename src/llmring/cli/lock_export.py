"""`llmring lock export`: the lock in the words of others. Reads the lock, and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from llmring.cli.options import json_option, lock_options
from llmring.cli.output import note, write


@click.command("export", short_help="The lock for other tools.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["json", "env", "python", "litellm", "cyclonedx", "md", "1.0"]),
    default="json",
    help="env, python and litellm hold one profile. Default: json.",
)
@lock_options
@json_option("The same as --format json.")
def command(format: str, profile: str | None, lockfile: str | None, as_json: bool) -> None:
    """Print the lock for other tools: as data, environment, Python, LiteLLM's config, CycloneDX, a page, or version 1.0."""
    import os

    from llmring.lockfile.export import export_lock
    from llmring.lockfile.parse import parse_lock
    from llmring.lockfile.store import find_lock, read_lock_bytes

    chosen = "json" if as_json else format
    found = find_lock(lockfile, os.environ, Path.cwd())
    lock = parse_lock(read_lock_bytes(found.path), str(found.path))
    write(export_lock(lock, chosen, profile))
    lost = [
        alias for each in lock.profiles.values() for alias, one in each.bindings.items() if one.parameters or one.then
    ]
    if chosen in ("env", "python", "1.0") and lost:
        note(f"{chosen} has no words for parameters and successors, which are left out: {', '.join(sorted(set(lost)))}")
