"""What `lock`, `lock init`, `lock upgrade` and `lock bump-registry` share: run the operation, say what changed and what was found."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from llmring.cli.lock_check import find_lock_here
from llmring.cli.lock_sources import asking, check_may_write, is_offline, today
from llmring.cli.output import note, write, write_json

if TYPE_CHECKING:
    from llmring.lockfile.locking import Accepted, Move
    from llmring.lockfile.model import Lock
    from llmring.lockfile.relock import Relocked


def lock_here(*, offline: bool, accept_price: bool, allow_rollback: bool, as_json: bool) -> int:
    """`llmring lock` in the current folder; returns its exit code."""
    from llmring.lockfile.locking import NOTHING, Accepted

    accepted = Accepted(price=accept_price, rollback=allow_rollback)
    relocked = run(NOTHING, accepted, offline=offline)
    show("llmring lock", relocked, as_json=as_json)
    return relocked.exit_code


def run(
    move: Move,
    accepted: Accepted,
    *,
    offline: bool,
    strict: bool = False,
    dry_run: bool = False,
    old: Lock | None = None,
) -> Relocked:
    """Locks what the manifest here asks for, or the one beside the lock that LLMRING_LOCKFILE_PATH names; see `relock`."""
    from llmring.lockfile.relock import relock

    if not dry_run:
        check_may_write()
    path = find_lock_here(None)

    async def work() -> Relocked:
        async with asking(offline=is_offline(offline)) as asked:
            return await relock(
                path.parent,
                asked,
                today(),
                move=move,
                accepted=accepted,
                strict=strict,
                dry_run=dry_run,
                old=old,
                lock_path=path,
            )

    return asyncio.run(work())


def show(command: str, relocked: Relocked, *, as_json: bool, more: dict[str, Any] | None = None) -> None:
    """Prints what changed and what was found; more: what else the JSON object holds."""
    if as_json:
        write_json(describe(relocked) | (more or {}))
        return
    # What is not written is not what the file says: with an error the findings are all that counts.
    if relocked.exit_code == 0:
        for change in relocked.changes:
            write(f"{change}\n")
    if relocked.findings:
        from llmring.lockfile.reports import Report, render_report

        write(render_report(Report(command, relocked.findings, relocked.path.name), "text"))
    note(_sum_up(relocked))
    if relocked.written:
        note_check(relocked)


def note_check(relocked: Relocked) -> None:
    """What `lock check` will say of the lock that was just written: better now than in CI."""
    from llmring.lockfile.checking import check_file

    errors = [finding for finding in check_file(relocked.path).findings if finding.severity == "error"]
    if errors:
        ids = ", ".join(sorted({finding.id for finding in errors}))
        note(f"`llmring lock check` will fail: {ids}; `llmring lock contract` tells why")


def describe(relocked: Relocked) -> dict[str, Any]:
    """The result as JSON data."""
    return {
        "lockfile": str(relocked.path),
        "written": relocked.written,
        "stale": relocked.stale,
        "changes": [
            {"subject": change.subject, "before": change.before, "after": change.after} for change in relocked.changes
        ],
        "findings": [finding.to_dict() for finding in relocked.findings],
        "exit_code": relocked.exit_code,
    }


def _sum_up(relocked: Relocked) -> str:
    name = relocked.path.name
    if relocked.written:
        return f"{name} written"
    if relocked.exit_code:
        return f"{name} is as it was"
    return f"{name} would be written: a dry run" if relocked.stale else f"{name} is up to date"
