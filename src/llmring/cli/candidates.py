"""What may stand where the cursor is: aliases, profiles and models for a shell's completion. Asked at every press of Tab, so it
reads the lockfile and nothing heavier, and says nothing: what cannot be read completes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import click

from llmring import env
from llmring.clock import SystemClock
from llmring.exceptions import LLMRingError
from llmring.lockfile.model import Lock
from llmring.lockfile.store import LockStore, find_lock

_MOST = 500  # a guess: nobody reads more
# Bash puts a completion into the command line as it is, and a lockfile, which may be anybody's, can name a model `x:$(…)`.
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+%,-]+", re.ASCII)


def profiles(ctx: click.Context, incomplete: str) -> list[str]:
    """The lockfile's profiles."""
    lock = _read_lock(ctx)
    return [] if lock is None else _starting(lock.profiles, incomplete)


def aliases_and_models(ctx: click.Context, incomplete: str) -> list[str]:
    """The profile's aliases and every model that the lockfile names; behind a colon also those of the registry."""
    lock = _read_lock(ctx)
    names = set[str]()
    if lock is not None:
        profile = lock.profiles.get(ctx.params.get("profile") or env.get(env.LLMRING_PROFILE) or _default(lock))
        names.update(() if profile is None else profile.bindings)
        names.update(lock.locked)
        names.update(*(binding.models for each in lock.profiles.values() for binding in each.bindings.values()))
    if ":" in incomplete:
        names.update(_registered())
    return _starting(names, incomplete)


def _default(lock: Lock) -> str:
    return lock.default_profile or "default"


def _registered() -> Iterable[str]:
    from llmring.registry.catalog import shared_catalog

    try:
        return shared_catalog().all()
    except LLMRingError:
        return ()


def _read_lock(ctx: click.Context) -> Lock | None:
    try:
        # Not env.load: ./.env is not read at a press of a key, and its warnings would land in the command line.
        found = find_lock(ctx.params.get("lockfile"), os.environ, Path.cwd())
        return LockStore(found.path, SystemClock()).current()
    except (LLMRingError, OSError):
        return None


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name))[:_MOST]
