"""`llmring lock audit`: did the world move under the lock? Asks the date and, where told to, the sources; changes no file."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from llmring.cli.failures import ACT, CommandError
from llmring.cli.lock_sources import asking, is_frozen, is_offline, today
from llmring.cli.options import json_option, lockfile_option
from llmring.cli.output import note, warn, write

if TYPE_CHECKING:
    from llmring.lockfile.audit import Audit, Rules
    from llmring.lockfile.intent import Manifest
    from llmring.lockfile.model import Lock

_DAYS: Final = re.compile(r"(\d{1,5})\s*(?:d|days?)?", re.ASCII)
_PERCENT: Final = re.compile(r"(\d{1,6}(?:\.\d{1,4})?)\s*%?", re.ASCII)


def _read_days(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    found = _DAYS.fullmatch(value or "")
    if found is None and value is not None:
        raise click.BadParameter(f"{value[:80]!r} is no number of days, such as 60d", ctx, parameter)
    return None if found is None else int(found[1])


def _read_percent(ctx: click.Context, parameter: click.Parameter, value: str) -> Decimal:
    found = _PERCENT.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value[:80]!r} is no percentage, such as 10%", ctx, parameter)
    return Decimal(found[1])


def _read_day(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else date.fromisoformat(value).isoformat()
    except ValueError:
        raise click.BadParameter(f"{value!r:.80} is no date: write YYYY-MM-DD", ctx, parameter) from None


@click.command("audit", short_help="Did the world move under the lock?")
@click.option("--online/--offline", default=False, help="Ask the vendors, too; offline the registry of this llmring.")
@click.option("--as-of", metavar="DATE", callback=_read_day, help="Day to audit for. Default: today.")
@click.option(
    "--horizon",
    metavar="DAYS",
    callback=_read_days,
    help="Report retirements this long before: 60d. Default: the manifest's, or 60d.",
)
@click.option(
    "--fail-on",
    multiple=True,
    metavar="ID",
    help="Warnings with this id are errors, `warning`: all of them. Repeatable. A date that is only the earliest stays a warning.",
)
@click.option(
    "--max-price-increase",
    metavar="PERCENT",
    callback=_read_percent,
    default="0%",
    help="How much a price may rise. Default: 0%.",
)
@click.option("--format", "format", type=click.Choice(["text", "json", "md", "github", "sarif"]), default="text")
@lockfile_option
@json_option("The same as --format json.")
def command(
    online: bool,
    as_of: str | None,
    horizon: int | None,
    fail_on: tuple[str, ...],
    max_price_increase: Decimal,
    format: str,
    lockfile: str | None,
    as_json: bool,
) -> int:
    """Hold what is locked against the date, and against what sources say now: retired, dearer, less able, gone.

    Exits with 1 where there is something to act on, with 3 where it could not be determined.
    """
    from llmring.lockfile.audit import DEFAULT_HORIZON_DAYS, FAIL_ON, Rules
    from llmring.lockfile.auditing import find_local_providers
    from llmring.lockfile.finding import exit_code

    for id in fail_on:
        if id not in FAIL_ON:
            raise click.UsageError(f"--fail-on {id[:80]!r} is no finding: {', '.join(FAIL_ON)}")
    if online and is_offline(False):
        raise CommandError("--online, and LLMRING_OFFLINE is set", hint="unset LLMRING_OFFLINE, or leave --online out")
    path, lock, text, manifest = _read(lockfile)
    horizons = [] if manifest is None else [profile.retire_horizon_days for profile in manifest.profiles.values()]
    rules = Rules(
        as_of=as_of or today(),
        horizon_days=(max(horizons, default=0) or DEFAULT_HORIZON_DAYS) if horizon is None else horizon,
        max_increase_percent=max_price_increase,
        online=online,
        fail_on=frozenset(fail_on),
        local=find_local_providers(),
    )
    audit = asyncio.run(_audit(lock, manifest, rules))
    _print(audit, rules, path, text, "json" if as_json else format)
    return exit_code(audit.findings)


async def _audit(lock: Lock, manifest: Manifest | None, rules: Rules) -> Audit:
    from llmring.lockfile.auditing import audit_here

    async with asking(offline=not rules.online) as asked:
        return await audit_here(lock, manifest, rules, asked, today())


def _read(lockfile: str | None) -> tuple[Path, Lock, str, Manifest | None]:
    import os

    from llmring.lockfile.manifest import read_manifest
    from llmring.lockfile.parse import parse_lock
    from llmring.lockfile.store import LockOrigin, find_lock, read_lock_bytes

    found = find_lock(lockfile, os.environ, Path.cwd())
    if found.origin is LockOrigin.BUNDLED:  # a green tick for it would be one for a lock that is missing
        hint = "`llmring lock` writes one from the manifest, `llmring lock init` writes both"
        raise CommandError("no llmring.lock here", exit_code=ACT, hint=hint)
    data = read_lock_bytes(found.path)
    lock = parse_lock(data, str(found.path))
    return found.path, lock, data.decode("utf-8-sig"), None if is_frozen() else read_manifest(found.path.parent)


def _print(audit: Audit, rules: Rules, path: Path, text: str, format: str) -> None:
    from llmring.lockfile.reports import Report, render_report

    facts = {
        "as_of": rules.as_of,
        "online": rules.online,
        "ignored": [{"id": found.key, "until": rule.until, "reason": rule.reason} for found, rule in audit.ignored],
    }
    report = Report(
        "llmring lock audit",
        audit.findings,
        _show_path(path),
        text,
        facts,
        fine=f"nothing to act on as of {rules.as_of}; vendors {'' if rules.online else 'not '}asked",
    )
    write(render_report(report, format))  # pyright: ignore[reportArgumentType]: click has checked it
    if format == "text":
        for found, rule in audit.ignored:
            note(f"ignored until {rule.until}: {found.key} ({rule.reason})")
        for rule in audit.ended:
            warn(f"{rule.id} was ignored until {rule.until}, which has come")


def _show_path(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return path.as_posix()
