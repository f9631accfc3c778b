"""`llmring registry update`: fetches the facts that `LLMRING_REGISTRY_URL` names and keeps them for every later call of this user."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import click

from llmring.cli.failures import REFUSED, UNDETERMINED, CommandError
from llmring.cli.options import json_option
from llmring.cli.output import write, write_json
from llmring.exceptions import RegistryError, RegistryRollbackError

if TYPE_CHECKING:
    from llmring.registry.origin import RegistryState


@click.command("update", short_help="Fetch model facts from a URL and keep them.")
@click.option("--url", help="Where from: a path, file: or https:. Default LLMRING_REGISTRY_URL.")
@click.option("--allow-rollback", is_flag=True, help="Take facts that are older than those that were kept.")
@json_option()
def command(url: str | None, allow_rollback: bool, as_json: bool) -> None:
    """Fetch model facts and keep them: from then on llmring goes by them, also offline, until they are updated again."""
    try:
        state = asyncio.run(_refresh(url, allow_rollback))
    except RegistryRollbackError as error:
        raise CommandError(error.message, exit_code=REFUSED, hint="--allow-rollback takes them all the same") from None
    except RegistryError as error:
        hint = error.hint or "nothing was changed: llmring goes by the facts that it had"
        raise CommandError(error.message, exit_code=UNDETERMINED, hint=hint) from None
    if as_json:
        write_json(dataclasses.asdict(state))
    else:
        what = "" if state.changed else ", as before"
        models = f"{state.models} {'model' if state.models == 1 else 'models'}"
        write(f"{models} of {state.origin}, as of {state.as_of}{what}\n")


async def _refresh(url: str | None, allow_rollback: bool) -> RegistryState:
    # Whatever lockfile lies here says nothing of the registry.
    from llmring.lockfile.store import BUNDLED_LOCK
    from llmring.service import LLMRing

    async with LLMRing(origin="llmring-cli", registry_url=url, lockfile_path=BUNDLED_LOCK) as ring:
        return await ring.refresh_registry(allow_rollback=allow_rollback)
