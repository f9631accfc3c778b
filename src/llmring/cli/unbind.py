"""`llmring unbind`: takes an alias away, where the project says what it stands for."""

from __future__ import annotations

import click

from llmring.cli.binding import unbind_here
from llmring.cli.options import complete_model, json_option, lock_options


@click.command("unbind", short_help="Take an alias away, and lock what is left.")
@click.argument("alias", shell_complete=complete_model)
@click.option("--offline", is_flag=True, help="Ask nobody: go by the registry that ships with llmring.")
@lock_options
@json_option()
def command(alias: str, offline: bool, profile: str | None, lockfile: str | None, as_json: bool) -> int:
    """Take ALIAS away from the profile: out of the manifest and the lockfile, or out of the lockfile that has no manifest."""
    return unbind_here(alias, offline=offline, profile=profile, lockfile=lockfile, as_json=as_json)
