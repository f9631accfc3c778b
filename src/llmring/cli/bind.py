"""`llmring bind`: which models an alias stands for, written where the project says so, and locked."""

from __future__ import annotations

import click

from llmring.cli.binding import bind_here
from llmring.cli.options import complete_model, json_option, lock_options


@click.command("bind", short_help="Bind an alias to models, and lock them.")
@click.argument("alias", shell_complete=complete_model)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=complete_model)
@click.option("--append", is_flag=True, help="Add the models to the end of the alias's pool.")
@click.option("--remove", is_flag=True, help="Take the models out of the alias's pool.")
@click.option("--allow-unknown", is_flag=True, help="Take models that no source knows.")
@click.option("--offline", is_flag=True, help="Ask nobody: go by the registry that ships with llmring.")
@lock_options
@json_option()
def command(
    alias: str,
    models: tuple[str, ...],
    append: bool,
    remove: bool,
    allow_unknown: bool,
    offline: bool,
    profile: str | None,
    lockfile: str | None,
    as_json: bool,
) -> int:
    """Bind ALIAS to MODEL..., each written provider:model, in the order in which they are tried.

    Edits llmring.toml or [tool.llmring] of pyproject.toml, keeping its comments and order, then locks. Without a manifest, or with
    --lockfile, the lockfile itself is edited. A model that no source knows is refused.
    """
    from llmring.lockfile.edit import Mode

    if append and remove:
        raise click.UsageError("--append and --remove are two different things")
    mode = Mode.APPEND if append else Mode.REMOVE if remove else Mode.REPLACE
    return bind_here(
        alias,
        models,
        mode=mode,
        allow_unknown=allow_unknown,
        offline=offline,
        profile=profile,
        lockfile=lockfile,
        as_json=as_json,
    )
