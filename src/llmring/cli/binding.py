"""What `bind` and `unbind` share: where to write, whom to ask, what to say of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from llmring import env
from llmring.cli.output import note, write, write_json
from llmring.exceptions import LockfileError

if TYPE_CHECKING:
    from llmring.lockfile.binding import Bound
    from llmring.lockfile.edit import Mode


def bind_here(
    alias: str,
    models: tuple[str, ...],
    *,
    mode: Mode,
    allow_unknown: bool,
    offline: bool,
    profile: str | None,
    lockfile: str | None,
    as_json: bool,
) -> int:
    """`llmring bind` in the current folder; returns its exit code."""
    from llmring.cli.lock_sources import asking, is_offline, today
    from llmring.lockfile.binding import bind

    folder, lock_path, profile = _find(lockfile, profile)

    async def work() -> Bound:
        async with asking(offline=is_offline(offline)) as asked:
            return await bind(
                folder,
                alias,
                models,
                asked,
                today(),
                profile=profile,
                mode=mode,
                allow_unknown=allow_unknown,
                lock_path=lock_path,
            )

    return _show("llmring bind", asyncio.run(work()), as_json)


def unbind_here(alias: str, *, offline: bool, profile: str | None, lockfile: str | None, as_json: bool) -> int:
    """`llmring unbind` in the current folder; returns its exit code."""
    from llmring.cli.lock_sources import asking, is_offline, today
    from llmring.lockfile.binding import unbind

    folder, lock_path, profile = _find(lockfile, profile)

    async def work() -> Bound:
        async with asking(offline=is_offline(offline)) as asked:
            return await unbind(folder, alias, asked, today(), profile=profile, lock_path=lock_path)

    return _show("llmring unbind", asyncio.run(work()), as_json)


def _find(lockfile: str | None, profile: str | None) -> tuple[Path, Path | None, str | None]:
    """The folder; the lock to edit in place, None where the folder's manifest is what is edited; and the profile."""
    from llmring.cli.lock_sources import check_may_write
    from llmring.lockfile.manifest import read_manifest
    from llmring.lockfile.store import LOCK_NAME, LockOrigin, find_lock, find_lock_path

    check_may_write()
    environ = env.load()
    profile = profile or env.get(env.LLMRING_PROFILE, environ)
    path = find_lock_path(lockfile, environ, Path.cwd())
    if lockfile is None and read_manifest(path.parent) is not None:
        if path.name != LOCK_NAME:
            raise LockfileError(
                f"{env.LLMRING_LOCKFILE_PATH} names {path.name}, and the manifest beside it is bound in {LOCK_NAME}",
                hint=f"edit the manifest, then `llmring lock`; or unset {env.LLMRING_LOCKFILE_PATH}",
            )
        return path.parent, None, profile
    found = find_lock(lockfile, environ, Path.cwd())
    if found.origin is LockOrigin.BUNDLED:
        raise LockfileError(
            "neither a manifest nor a lockfile is here; the lockfile bundled with llmring is not yours to edit",
            hint="`llmring lock init` writes both",
        )
    return found.path.parent, found.path, profile


def _show(command: str, bound: Bound, as_json: bool) -> int:
    code = bound.exit_code
    if as_json:
        write_json(
            {
                "alias": bound.alias,
                "profile": bound.profile,
                "before": list(bound.before),
                "after": list(bound.after),
                "models": list(bound.models),
                "written": [str(path) for path in bound.paths],
                "findings": [finding.to_dict() for finding in bound.findings],
                "exit_code": code,
            }
        )
        return code
    if code == 0 and bound.before != bound.after:
        before, after = ", ".join(bound.before) or "not bound", ", ".join(bound.after) or "not bound"
        write(f"{bound.profile}/{bound.alias}: {before} → {after}\n")
        if bound.models != bound.after and bound.models:
            write(f"locked as {', '.join(bound.models)}\n")
    if bound.findings:
        from llmring.lockfile.reports import Report, render_report

        write(render_report(Report(command, bound.findings, "llmring.lock"), "text"))
    if bound.paths:
        note(f"{' and '.join(path.name for path in bound.paths)} written")
        if bound.is_last:
            note(f"profile {bound.profile} binds no alias any more")
    elif any(finding.id in ("model.unknown", "model.gone") for finding in bound.findings):
        note("nothing was written; --allow-unknown takes models that no source knows")
    else:
        note("nothing was written" if code else f"{bound.alias} is bound so already; nothing was written")
    return code
