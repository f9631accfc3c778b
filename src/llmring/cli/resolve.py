"""`llmring resolve`: which model an alias stands for here, with the keys of this environment. Asks no network."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from llmring.cli.options import complete_model, json_option, lock_options
from llmring.cli.output import write, write_json


@click.command("resolve")
@click.argument("alias", shell_complete=complete_model)
@lock_options
@json_option("Print one JSON object: the model, the whole pool, who has a key.")
def command(alias: str, profile: str | None, lockfile: str | None, as_json: bool) -> None:
    """Print the provider:model that ALIAS stands for.

    The first of its pool whose provider has a key here; where none has, the first.
    """
    explained = asyncio.run(_explain(alias, profile, lockfile))
    if as_json:
        write_json(explained)
    else:
        write(explained["model"] + "\n")


async def _explain(alias: str, profile: str | None, lockfile: str | None) -> dict[str, Any]:
    from llmring.service import LLMRing

    async with LLMRing(origin="llmring-cli", lockfile_path=lockfile) as ring:
        explained = ring.explain(alias, profile)
    return {
        "alias": explained["alias"],
        "profile": explained["profile"],
        "lockfile": explained["lock"],
        "model": explained["resolves_to"],
        "pool": [{name: member[name] for name in ("model", "credential", "why")} for member in explained["candidates"]],
    }
