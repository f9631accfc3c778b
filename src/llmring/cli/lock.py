"""`llmring lock`: locks what the manifest asks for; its subcommands check, upgrade, compare, audit and export the lock."""

from __future__ import annotations

import importlib
from typing import Any

import click

from llmring.cli.failures import CommandError
from llmring.cli.options import json_option

# Loaded when asked for, as the commands above them are. One line a subcommand: its module holds `command`.
SUBCOMMANDS = {
    "audit": "llmring.cli.lock_audit",
    "bump-registry": "llmring.cli.lock_bump_registry",
    "check": "llmring.cli.lock_check",
    "contract": "llmring.cli.lock_contract",
    "diff": "llmring.cli.lock_diff",
    "export": "llmring.cli.lock_export",
    "init": "llmring.cli.lock_init",
    "merge-driver": "llmring.cli.lock_merge_driver",
    "upgrade": "llmring.cli.lock_upgrade",
    "validate": "llmring.cli.lock_validate",
}


class _Subcommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = SUBCOMMANDS.get(cmd_name)
        if module is None:
            return None
        try:
            return importlib.import_module(module).command
        except ModuleNotFoundError as error:
            if error.name == module:  # not built yet
                return None
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            import difflib

            near = difflib.get_close_matches(args[0], SUBCOMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else "see `llmring lock --help`"
            raise CommandError(f"no command {args[0][:80]!r} of `llmring lock`", hint=hint)
        return super().resolve_command(ctx, args)


@click.group("lock", cls=_Subcommands, invoke_without_command=True, short_help="Lock what the manifest asks for.")
@click.option("--check", "--locked", "check", is_flag=True, help="Only check: the same as `llmring lock check`.")
@click.option("--resolve-conflicts", is_flag=True, help="Merge both sides of a lock that git left in conflict.")
@click.option("--offline", is_flag=True, help="Ask nobody: go by the registry that ships with llmring.")
@click.option("--accept-price", is_flag=True, help="Take prices under half of those that are locked.")
@click.option("--allow-rollback", is_flag=True, help="Take facts that are older than those that are locked.")
@json_option()
@click.pass_context
def command(ctx: click.Context, **options: Any) -> int | None:
    """Lock what the manifest asks for: keep every pin that is still allowed, resolve the rest, drop what nobody asks for."""
    if ctx.invoked_subcommand is not None:
        given = next((name for name, value in options.items() if value), None)
        if given is not None:
            # It would go unheard, and --offline is a promise.
            name = {"as_json": "json"}.get(given, given.replace("_", "-"))
            raise click.UsageError(f"--{name} belongs behind {ctx.invoked_subcommand}, or to `llmring lock` alone")
        return None
    if options["resolve_conflicts"]:
        # Loads git's side of things: only who asks for it pays.
        resolve = importlib.import_module("llmring.cli.lock_merge_driver").resolve_conflicts
        return resolve(as_json=options["as_json"])
    if options["check"]:
        check = importlib.import_module(SUBCOMMANDS["check"]).command
        return ctx.invoke(check, as_json=options["as_json"])
    from llmring.cli.lock_make import lock_here

    return lock_here(
        offline=options["offline"],
        accept_price=options["accept_price"],
        allow_rollback=options["allow_rollback"],
        as_json=options["as_json"],
    )
