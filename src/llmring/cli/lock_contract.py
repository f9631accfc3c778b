"""`llmring lock contract`: what each pool promises, member by member; and, from a file, what its aliases were seen to need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmring.cli.failures import ACT, FINE, CommandError
from llmring.cli.options import json_option, lock_options
from llmring.cli.output import note, write, write_json, write_table

if TYPE_CHECKING:
    from llmring.lockfile.promises import Promise


@click.command("contract", short_help="What each pool promises, or was seen to need.")
@click.option(
    "--from",
    "observed",
    type=click.Path(path_type=Path),
    help='JSON of what was needed: {"alias": "fast", "needs": ["tools"], "input_tokens": 12000}, one a line.',
)
@lock_options
@json_option()
def command(observed: Path | None, profile: str | None, lockfile: str | None, as_json: bool) -> int:
    """Show whether every member of a pool can serve what its alias needs, and go on with what the others have begun.

    With --from FILE, add what the aliases were seen to need to the manifest; nothing is taken away. Then run `llmring lock`.
    """
    from llmring.cli.lock_check import find_lock_here, first_step

    path = find_lock_here(lockfile)
    if observed is not None:
        return _require(path.parent, Path.cwd() / observed, as_json)
    if not path.exists():
        raise CommandError(f"there is no {path.name}", exit_code=ACT, hint=first_step(path))
    from llmring.lockfile.promises import list_promises

    promises = list_promises(path, profile)
    if as_json:
        write_json({"promises": [promise.to_dict() for promise in promises]})
    else:
        _show(promises)
    return FINE


def _show(promises: list[Promise]) -> None:
    rows = [
        (f"{promise.profile}/{promise.alias}", promise.model, what, answer, why, source)
        for promise in promises
        for what, answer, why, source in promise.lines()
    ]
    if not rows:
        note("no alias needs anything, and no pool hands over: there is nothing to promise")
        return
    write_table(("ALIAS", "MODEL", "WHAT", "ANSWER", "WHY", "SOURCE"), rows)


def _require(folder: Path, observed: Path, as_json: bool) -> int:
    from llmring.lockfile.manifest import MANIFEST_NAME, PYPROJECT_NAME, read_manifest
    from llmring.lockfile.observed import MAX_OBSERVED_BYTES, parse_observed, require_in_manifest
    from llmring.lockfile.store import read_lock_bytes
    from llmring.lockfile.writing import write_whole

    seen = parse_observed(read_lock_bytes(observed, MAX_OBSERVED_BYTES), observed.name)
    if read_manifest(folder) is None:
        raise CommandError("there is no manifest to add it to", hint="`llmring lock init` writes one")
    own = folder / MANIFEST_NAME
    path, within = (own, ()) if own.exists() else (folder / PYPROJECT_NAME, ("tool", "llmring"))
    data = read_lock_bytes(path)
    required = require_in_manifest(data.decode(), path.name, seen, within)
    written = write_whole(path, required.text.encode(), expected=data)
    shown: dict[str, Any] = {alias: list(added) for alias, added in required.added.items()}
    if as_json:
        write_json({"manifest": path.name, "added": shown, "written": written})
    for alias, added in required.added.items() if not as_json else ():
        write(f"{alias}: {', '.join(added)}\n")
    note(f"{path.name} written; run `llmring lock` next" if written else f"{path.name} asks for all of it already")
    return FINE
