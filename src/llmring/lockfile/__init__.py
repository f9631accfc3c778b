"""The lockfile: what it says (`model`), how it is read (`parse`, `rows`), where it lies and when it changed (`store`), the locks of
installed packages (`extends`), the manifest beside it (`manifest`), and the commands' operations. Only those of `relock`, `binding` and `starting`
write, and only `facts` asks anybody. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmring.lazy import lazy_names

if TYPE_CHECKING:
    from llmring.lockfile.audit import Audit, Rules, audit_lock
    from llmring.lockfile.auditing import audit_here
    from llmring.lockfile.binding import Bound, bind, unbind
    from llmring.lockfile.check import check_lock
    from llmring.lockfile.checking import Checked, check_file
    from llmring.lockfile.diff import AliasUsage, Change, Cost, diff_costs, diff_locks
    from llmring.lockfile.edit import Mode
    from llmring.lockfile.export import export_lock
    from llmring.lockfile.facts import Asked, gather
    from llmring.lockfile.finding import Finding, exit_code
    from llmring.lockfile.locking import Accepted, Move, list_needed, make_lock
    from llmring.lockfile.manifest import read_manifest
    from llmring.lockfile.merge import Conflict, Merged, merge_locks, render_merged
    from llmring.lockfile.observed import parse_observed, require_in_manifest
    from llmring.lockfile.parse import parse_lock
    from llmring.lockfile.promises import Promise, list_promises
    from llmring.lockfile.relock import Relocked, relock
    from llmring.lockfile.render import render_lock
    from llmring.lockfile.reports import Report, render_report
    from llmring.lockfile.starting import start

# By module, what it offers to programs: the same as the commands.
_NAMES = {
    "binding": ("Bound", "bind", "unbind"),
    "check": ("check_lock",),
    "checking": ("Checked", "check_file"),
    "audit": ("Audit", "Rules", "audit_lock"),
    "auditing": ("audit_here",),
    "diff": ("AliasUsage", "Change", "Cost", "diff_costs", "diff_locks"),
    "export": ("export_lock",),
    "edit": ("Mode",),
    "facts": ("Asked", "gather"),
    "finding": ("Finding", "exit_code"),
    "locking": ("Accepted", "Move", "list_needed", "make_lock"),
    "manifest": ("read_manifest",),
    "merge": ("Conflict", "Merged", "merge_locks", "render_merged"),
    "reports": ("Report", "render_report"),
    "observed": ("parse_observed", "require_in_manifest"),
    "parse": ("parse_lock",),
    "promises": ("Promise", "list_promises"),
    "relock": ("Relocked", "relock"),
    "render": ("render_lock",),
    "starting": ("start",),
}

__all__ = [
    "Accepted",
    "AliasUsage",
    "Asked",
    "Audit",
    "Bound",
    "Change",
    "Checked",
    "Conflict",
    "Cost",
    "Finding",
    "Merged",
    "Mode",
    "Move",
    "Promise",
    "Relocked",
    "Report",
    "Rules",
    "audit_here",
    "audit_lock",
    "bind",
    "check_file",
    "check_lock",
    "diff_costs",
    "diff_locks",
    "exit_code",
    "export_lock",
    "gather",
    "list_needed",
    "list_promises",
    "make_lock",
    "merge_locks",
    "parse_lock",
    "parse_observed",
    "read_manifest",
    "relock",
    "render_lock",
    "render_merged",
    "render_report",
    "require_in_manifest",
    "start",
    "unbind",
]

__getattr__ = lazy_names(__name__, _NAMES)
