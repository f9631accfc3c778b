"""`llmring lock`: locks what the manifest asks for; its subcommands check, upgrade, compare, audit and export the lock."""

from __future__ import annotations

import importlib

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
        return None if module is None else importlib.import_module(module).command

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
@click.option("--frozen", is_flag=True, help="Only check, and the lock by itself: the manifest is not read.")
@click.option(
    "--resolve-conflicts",
    is_flag=True,
    help="Merge both sides of a lock that git left in conflict; what was edited by hand since is replaced.",
)
@click.option("--offline", is_flag=True, help="Ask nobody: go by the registry that ships with llmring.")
@click.option("--accept-price", is_flag=True, help="Take prices under half of those that are locked.")
@click.option("--allow-rollback", is_flag=True, help="Take facts that are older than those that are locked.")
@json_option()
@click.pass_context
def command(
    ctx: click.Context,
    check: bool,
    frozen: bool,
    resolve_conflicts: bool,
    offline: bool,
    accept_price: bool,
    allow_rollback: bool,
    as_json: bool,
) -> int | None:
    """Lock what the manifest asks for: keep every pin that is still allowed, resolve the rest, drop what nobody asks for.

    Under LLMRING_LOCKED, or with --locked, nothing is written: the lock is checked. Under LLMRING_FROZEN it is checked by itself.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx, ctx.invoked_subcommand)
        return None
    if resolve_conflicts:
        # Loads git's side of things: only who asks for it pays.
        resolve = importlib.import_module("llmring.cli.lock_merge_driver").resolve_conflicts
        return resolve(as_json=as_json)
    from llmring.cli.lock_sources import find_keeper

    if check or frozen or find_keeper() is not None:
        checking = importlib.import_module(SUBCOMMANDS["check"]).command
        return ctx.invoke(checking, frozen=frozen, as_json=as_json)
    from llmring.cli.lock_make import lock_here

    return lock_here(offline=offline, accept_price=accept_price, allow_rollback=allow_rollback, as_json=as_json)


def _refuse_options(ctx: click.Context, subcommand: str) -> None:
    # They would go unheard, and --offline is a promise.
    given = next((parameter for parameter in ctx.command.params if ctx.params.get(parameter.name or "")), None)
    if given is not None:
        raise click.UsageError(f"{given.opts[0]} belongs behind {subcommand}, or to `llmring lock` alone")
