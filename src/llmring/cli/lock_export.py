"""`llmring lock export`: the lock in the words of others. Reads the lock, and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from llmring import env
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

    from llmring.lockfile.export import ONE_PROFILE, export_lock, list_left_out
    from llmring.lockfile.parse import parse_lock
    from llmring.lockfile.store import LockOrigin, find_lock, read_lock_bytes

    chosen = "json" if as_json else format
    found = find_lock(lockfile, os.environ, Path.cwd())
    lock = parse_lock(read_lock_bytes(found.path), str(found.path))
    if chosen in ONE_PROFILE:
        profile = profile or env.get(env.LLMRING_PROFILE, env.load())
    write(export_lock(lock, chosen, profile))
    if found.origin is LockOrigin.BUNDLED:
        note("no llmring.lock here: this is the one that ships with llmring")
    lost = list_left_out(lock, chosen, profile)
    if lost:
        note(f"{chosen} has no words for all parameters and successors; some are left out: {', '.join(lost)}")
