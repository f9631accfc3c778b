"""Manifests, facts and locks for the tests of locking, in few words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import tomli

from llmring.lockfile.intent import Manifest
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.known import Gathered, Known
from llmring.lockfile.locking import Made, list_needed, make_lock
from llmring.lockfile.model import Lock, LockedModel
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import render_lock
from llmring.registry.model_info import ModelInfo

TODAY = "2026-11-21"


def manifest(text: str) -> Manifest:
    return parse_manifest(tomli.loads(text), "llmring.toml")


def pool(*models: str, more: str = "") -> Manifest:
    """One alias, `fast`, with these models; more: what else its table says."""
    names = ", ".join(f'"{model}"' for model in models)
    return manifest(f"[alias.fast]\nmodels = [{names}]\n{more}")


def known(model: str, *, found: bool = True, digest: str | None = None, created: bool = False, **facts: Any) -> Known:
    prices: Mapping[str, str] = facts.pop("price", {"input": "2", "output": "10"})
    released, seen = facts.pop("released", None), facts.pop("seen", "2026-01-01")
    priced, worst = facts.pop("priced", None), facts.pop("worst", {})
    price_source = facts.pop("price_source", "genai-prices 0.2.3")
    as_of = facts.pop("price_as_of", TODAY)
    said: dict[str, Any] = {"pin": "snapshot", "caps": frozenset({"tools"}), "facts_source": "a page"} | facts
    info = ModelInfo(
        model,
        price={kind: Decimal(amount) for kind, amount in prices.items()},
        price_as_of=as_of if prices else None,
        price_source=(price_source if prices else None),
        **said,
    )
    row = LockedModel(info, digest=digest, retires_kind=info.retires_kind)
    return Known(row, replace(info, **worst), found, created, released, seen, priced)


def gathered(*models: Known, **more: Any) -> Gathered:
    more.setdefault("covered", frozenset(one.info.provider for one in models if one.found))
    return Gathered(TODAY, {one.info.id: one for one in models}, **more)


def make(wanted: Manifest, old: Lock | None, *models: Known, **options: Any) -> Made:
    """The lock, after the facts that it needs have been checked to be there."""
    said = options.pop("gathered", None) or gathered(*models)
    needed = list_needed(wanted, old, *([options["move"]] if "move" in options else []))
    assert set(needed) <= said.models.keys(), needed
    return make_lock(wanted, old, said, **options)


def locked(made: Made) -> Lock:
    """The lock as it is read back from its text."""
    assert made.exit_code == 0, made.findings
    return parse_lock(render_lock(made.lock), "llmring.lock")


def ids(made: Made) -> list[str]:
    return [f"{found.id} {found.severity}" for found in made.findings]
