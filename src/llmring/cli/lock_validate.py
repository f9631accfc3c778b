"""`llmring lock validate`: the kept name of `lock check` and then `lock audit`."""

from __future__ import annotations

import importlib

import click

from llmring.cli.failures import worst
from llmring.cli.options import json_option


@click.command("validate", short_help="Check the lock, then audit it: `lock check` and `lock audit`.")
@json_option("Print two JSON objects, a line each: of the check, and of the audit.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Check the lock against the manifest, then against the date. Asks no vendor."""
    codes: list[int] = []
    for name in ("check", "audit"):
        one: click.Command = importlib.import_module(f"llmring.cli.lock_{name}").command
        arguments = ["--json"] if as_json else []
        with one.make_context(f"llmring lock {name}", arguments, parent=ctx.parent) as inner:
            result = one.invoke(inner)
        codes.append(result if isinstance(result, int) else 0)
    return worst(codes)
