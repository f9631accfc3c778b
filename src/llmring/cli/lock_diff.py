"""`llmring lock diff`: what changed between two locks, in the words that matter to who reviews it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from llmring.cli.failures import ACT, FINE
from llmring.cli.options import json_option, lockfile_option
from llmring.cli.output import note, warn, write, write_json

if TYPE_CHECKING:
    from llmring.lockfile.diff import AliasUsage
    from llmring.lockfile.model import Lock

_HEAD: Final = "HEAD"
_MAX_LISTED: Final = 5


@click.command("diff", short_help="What changed between two locks.")
@click.argument("old", metavar="[A]", default=_HEAD)
@click.argument("new", metavar="[B]", required=False)
@click.option(
    "--format", "format", type=click.Choice(["text", "md", "json"]), default="text", help="md: for a pull request."
)
@click.option(
    "--usage",
    type=click.Path(path_type=Path),
    help="JSON of what was used, reckoned at the first model of each pool: "
    '{"aliases": {"fast": {"calls": 12, "tokens": {"input": 9000, "output": 500}}}}.',
)
@click.option("--exit-code", "as_exit_code", is_flag=True, help="Exit with 1 where anything changed.")
@lockfile_option
@json_option("The same as --format json.")
def command(
    old: str, new: str | None, format: str, usage: Path | None, as_exit_code: bool, lockfile: str | None, as_json: bool
) -> int:
    """Compare lock A with lock B: aliases, models, pins, prices, capabilities, limits, retirement.

    A and B are files, or commits of git. Default: what HEAD has against what the file says now.
    """
    from llmring.lockfile.diff import diff_costs, diff_locks, list_unknown_usage
    from llmring.lockfile.diff_report import Diff, diff_data, render_markdown, render_text
    from llmring.lockfile.store import find_lock_path

    # Not `find_lock`: a lock that only a commit has is compared, too, and the bundled one is nobody's history.
    path = find_lock_path(lockfile, os.environ, Path.cwd())
    before, after = _read(old, path), _read(new, path)
    used = None if usage is None else _read_usage(usage)
    unknown = list_unknown_usage(after, used or ())
    if unknown:
        more = f" and {len(unknown) - _MAX_LISTED} more" if len(unknown) > _MAX_LISTED else ""
        warn(
            f"{usage}: {after.source} has no alias {', '.join(unknown[:_MAX_LISTED])}{more}; that usage counts for nothing"
        )
    changes = diff_locks(before, after)
    diff = Diff(before.source, after.source, changes, diff_costs(before, after, used), used is not None)
    if as_json or format == "json":
        write_json(diff_data(diff))
    else:
        write(render_markdown(diff) if format == "md" else render_text(diff))
    return ACT if as_exit_code and changes else FINE


def _read(named: str | None, path: Path) -> Lock:
    """The lock that an argument names: a file if there is one of that name, else what git has at that commit."""
    from llmring.lockfile.git import read_at
    from llmring.lockfile.parse import parse_lock
    from llmring.lockfile.store import read_lock_bytes

    if named is None:
        return parse_lock(read_lock_bytes(path), path.name)
    file = Path.cwd() / named
    # Path.is_file raises for a name that is too long to be one. A bare repository has a file HEAD, which is no lock.
    if named != _HEAD and os.path.isfile(file):
        return parse_lock(read_lock_bytes(file), named)
    data = read_at(named, path)
    if data is None:
        note(f"{named} has no {path.name}: everything is new")
        data = b'version = "1.1"\n'
    return parse_lock(data, f"{named}:{path.name}")


def _read_usage(path: Path) -> dict[str, AliasUsage]:
    from llmring.lockfile.store import read_lock_bytes
    from llmring.lockfile.usage_file import MAX_USAGE_BYTES, parse_usage_file

    return parse_usage_file(read_lock_bytes(Path.cwd() / path, MAX_USAGE_BYTES), str(path))
