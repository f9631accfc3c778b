"""`llmring aliases`: what a profile binds. Reads the lockfile and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from llmring import env
from llmring.cli.options import json_option, lock_options
from llmring.cli.output import note, write_json, write_table
from llmring.clock import SystemClock
from llmring.lockfile.store import LockOrigin, LockStore, find_lock
from llmring.resolver import Resolver


@click.command("aliases")
@lock_options
@json_option()
def command(profile: str | None, lockfile: str | None, as_json: bool) -> None:
    """List the aliases of a profile, each with its pool in order."""
    environ = env.load()
    found = find_lock(lockfile, environ, Path.cwd())
    clock = SystemClock()
    resolver = Resolver(
        LockStore(found.path, clock),
        clock=clock,
        # Listing asks about no provider.
        has_credential=lambda name: False,
        known_provider=lambda name: True,
        default_profile=env.get(env.LLMRING_PROFILE, environ),
    )
    aliases = resolver.list_aliases(profile)
    if found.origin is LockOrigin.BUNDLED:
        note("no llmring.lock here; these are the aliases bundled with llmring")
    if as_json:
        write_json({"lockfile": str(found.path), "origin": found.origin.value, "aliases": aliases})
    else:
        write_table(("ALIAS", "MODELS"), [(alias, ", ".join(models)) for alias, models in aliases.items()])
