"""An audit with everything it needs gathered: what sources say of the locked models today. Asks; writes nothing."""

from __future__ import annotations

from dataclasses import replace

from llmring.lockfile.audit import Audit, Rules, audit_lock, list_asked
from llmring.lockfile.facts import OFFLINE, Asked, gather
from llmring.lockfile.intent import Manifest, Sources
from llmring.lockfile.model import Lock


async def audit_here(lock: Lock, manifest: Manifest | None, rules: Rules, asked: Asked, today: str) -> Audit:
    """The audit of a lock by its manifest's sources; by the usual ones where it has no manifest.

    today: of what sources say (YYYY-MM-DD), which an audit for another day does not change.
    """
    sources = Sources() if manifest is None else manifest.sources
    gathered = await gather(list_asked(lock), sources, asked, today)
    if not rules.online:
        # Nobody wanted them asked, so that they were not is nothing to report.
        gathered = replace(gathered, unread={name: why for name, why in gathered.unread.items() if why != OFFLINE})
    return audit_lock(lock, gathered, rules, () if manifest is None else manifest.ignored)


def find_local_providers() -> frozenset[str]:
    """Providers that run on the user's machine."""
    from llmring.providers.table import PROVIDERS

    return frozenset(name for name, row in PROVIDERS.items() if row.local)
