"""Locks to compare, merge and audit, in the canonical text that `llmring lock` writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmring.lockfile.model import Binding, Lock, LockedModel, Profile
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import hash_facts, render_lock
from llmring.registry.model_info import ModelInfo


def model(id: str, **facts: Any) -> LockedModel:
    """A whole row: with the hash of its facts."""
    digest = facts.pop("digest", None)
    row = LockedModel(ModelInfo(id, **facts), digest=digest, retires_kind=facts.get("retires_kind"))
    return replace(row, facts=hash_facts(row))


def lock(aliases: dict[str, str], *rows: LockedModel, profile: str = "default", **of_bindings: dict[str, Any]) -> Lock:
    """A lock with one profile. aliases: models by alias, with blanks between. A model without a row gets one that says nothing."""
    bindings = {
        alias: Binding(alias, tuple(models.split()), **of_bindings.get(alias, {})) for alias, models in aliases.items()
    }
    known = {row.info.id: row for row in rows}
    for binding in bindings.values():
        for name in (*binding.models, *binding.then):
            known.setdefault(name, model(name, pin="snapshot"))
    made = Lock("1.1", "default", {profile: Profile(profile, bindings)}, known, {}, "", "llmring.lock")
    return parse_lock(render_lock(made), "llmring.lock")
