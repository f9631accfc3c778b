"""`llmring lock upgrade`: moves what is locked, within the manifest's constraints, cooldown and horizon."""

from __future__ import annotations

import click

from llmring.cli.failures import ACT, UNKNOWN_NAME, CommandError
from llmring.cli.lock_check import find_lock_here
from llmring.cli.options import complete_model, json_option


@click.command("upgrade", short_help="Move what is locked, within what the manifest allows.")
@click.argument("aliases", nargs=-1, metavar="[ALIAS]…", shell_complete=complete_model)
@click.option("--all", "everything", is_flag=True, help="Every alias of every profile.")
@click.option("--model", "models", multiple=True, metavar="ID", help="This model, wherever it stands. Repeatable.")
@click.option(
    "--precise", "precise", multiple=True, metavar="ALIAS=ID", help="Lock what this alias names to this id. Repeatable."
)
@click.option("--facts", is_flag=True, help="Gather the facts anew, too: limits, prices, retirement.")
@click.option("--offline", is_flag=True, help="Ask nobody: go by the registry that ships with llmring.")
@click.option("--accept-price", is_flag=True, help="Take prices under half of those that are locked.")
@click.option("--allow-rollback", is_flag=True, help="Take facts that are older than those that are locked.")
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--exit-code", "with_exit_code", is_flag=True, help="Exit with 1 where something changes, or would.")
@json_option()
def command(
    aliases: tuple[str, ...],
    everything: bool,
    models: tuple[str, ...],
    precise: tuple[str, ...],
    facts: bool,
    offline: bool,
    accept_price: bool,
    allow_rollback: bool,
    dry_run: bool,
    with_exit_code: bool,
    as_json: bool,
) -> int:
    """Move what is locked, within what the manifest allows: what a pointer means today, what Ollama holds now, with --facts all facts.

    Which models an alias may use is the manifest's to say: `llmring bind` changes that.
    """
    from llmring.cli.lock_make import run, show
    from llmring.lockfile.locking import Accepted, Move

    known = _read_aliases()
    if not (aliases or everything or models or precise):
        raise CommandError(
            "upgrade what?",
            hint=f"name an alias ({', '.join(known) or 'there is none'}), --model ID, --precise A=ID or --all",
        )
    chosen = _read_precise(precise)
    for alias in (*aliases, *chosen):
        _check_alias(alias, known)
    for model in models:
        _check_model(model)
    move = Move(frozenset(aliases), frozenset(models), everything, chosen, facts)
    accepted = Accepted(price=accept_price, rollback=allow_rollback)
    relocked = run(move, accepted, offline=offline, strict=True, dry_run=dry_run)
    show("llmring lock upgrade", relocked, as_json=as_json)
    return relocked.exit_code or (ACT if with_exit_code and relocked.stale else 0)


def _read_aliases() -> list[str]:
    from llmring.exceptions import LockfileError
    from llmring.lockfile.manifest import read_manifest

    folder = find_lock_here(None).parent
    manifest = read_manifest(folder)
    if manifest is None:
        raise LockfileError(
            f"no manifest in {folder}: neither llmring.toml nor [tool.llmring] in pyproject.toml",
            hint="`llmring lock init` writes one",
        )
    return sorted({alias for profile in manifest.profiles.values() for alias in profile.aliases})


def _check_alias(alias: str, known: list[str]) -> None:
    if alias in known:
        return
    import difflib

    close = difflib.get_close_matches(alias, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"aliases: {', '.join(known)}"
    raise CommandError(f"no alias {alias[:80]!r} in the manifest", exit_code=UNKNOWN_NAME, hint=hint)


def _check_model(model: str) -> None:
    from llmring.schemas.model_ref import parse_model_ref

    parse_model_ref(model)


def _read_precise(given: tuple[str, ...]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for text in given:
        alias, equals, model = text.partition("=")
        if not equals or not alias:
            raise click.UsageError(f"--precise {text[:80]!r} is no ALIAS=provider:model")
        _check_model(model)
        chosen[alias] = model
    return chosen
