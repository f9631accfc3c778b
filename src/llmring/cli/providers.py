"""`llmring providers`: whom can be called from here, how they are spoken to, and where their keys would be. Shows no key."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from llmring.cli.options import json_option
from llmring.cli.output import note, warn, write_json, write_table


@click.command("providers", short_help="List whom one can call, and who has a key.")
@click.option("--available", is_flag=True, help="Only those with a key, and those that need none.")
@json_option("Print one JSON array.")
def command(available: bool, as_json: bool) -> None:
    """List the providers: dialect, base URL, whether there is a key and in which variable, and who declared each."""
    providers = [told for told in asyncio.run(_list()) if told["credential"] or not available]
    if as_json:
        write_json(providers)
        return
    head = ("PROVIDER", "DIALECT", "KEY", "DECLARED IN", "BASE URL")
    write_table(head, [(p["name"], p["dialect"] or "its own", _key(p), p["declared_in"], _url(p)) for p in providers])
    for provider in providers:
        if provider["credential"] and provider["problem"]:
            warn(f"{provider['name']} cannot be called: {provider['problem']}")
    if any(provider["untrusted"] for provider in providers):
        note("what a repository's file declares is reached over https on public hosts alone")


async def _list() -> list[dict[str, Any]]:
    # Whatever lockfile lies here, and whether it can be read, says nothing of providers.
    from llmring.lockfile.store import BUNDLED_LOCK
    from llmring.service import LLMRing

    async with LLMRing(origin="llmring-cli", lockfile_path=BUNDLED_LOCK) as ring:
        return ring.list_providers()


def _key(told: dict[str, Any]) -> str:
    why = str(told["why"]).removeprefix("has a key (").removesuffix(")") if told["key_source"] else str(told["why"])
    return f"yes: {why}" if told["credential"] else f"no: {why}"


def _url(told: dict[str, Any]) -> str:
    return told["base_url"] or ("none" if told["problem"] else "its own")
