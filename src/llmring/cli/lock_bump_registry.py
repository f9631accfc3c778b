"""`llmring lock bump-registry`: the kept name of `lock upgrade --all --facts`, which offline changes nothing."""

from __future__ import annotations

import click

from llmring.cli.failures import UNDETERMINED, CommandError
from llmring.cli.options import json_option


@click.command("bump-registry", short_help="Gather all facts anew: `lock upgrade --all --facts`.")
@click.option("--offline", is_flag=True, help="Ask nobody. Then nothing is known to be newer: exits with 3.")
@click.option("--accept-price", is_flag=True, help="Take prices under half of those that are locked.")
@click.option("--allow-rollback", is_flag=True, help="Take facts that are older than those that are locked.")
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@json_option()
def command(offline: bool, accept_price: bool, allow_rollback: bool, dry_run: bool, as_json: bool) -> int:
    """Gather the facts of all models anew and lock them."""
    from llmring.cli.lock_make import run, show
    from llmring.cli.lock_sources import is_offline
    from llmring.lockfile.locking import Accepted, Move

    if is_offline(offline):
        raise CommandError(
            "offline, nobody can be asked for newer facts; nothing was changed",
            exit_code=UNDETERMINED,
            hint="`llmring lock upgrade --all --facts --offline` goes by the registry that ships with llmring",
        )
    accepted = Accepted(price=accept_price, rollback=allow_rollback)
    relocked = run(Move(everything=True, facts=True), accepted, offline=False, strict=True, dry_run=dry_run)
    show("llmring lock bump-registry", relocked, as_json=as_json)
    return relocked.exit_code
