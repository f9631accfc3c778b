"""Locks of other versions: 1.0 is read for ever, and a reader of 1.0 finds its way in what we write."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmring.clock import SystemClock
from llmring.lockfile.model import Binding, Lock, LockedModel, Profile
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import render_lock
from llmring.lockfile.store import LockStore
from llmring.registry.model_info import ModelInfo
from llmring.resolver import Resolver

FULL = Lock(
    version="1.1",
    default_profile="prod",
    profiles={
        "prod": Profile(
            "prod",
            {
                "fast": Binding(
                    "fast",
                    ("openai:gpt-5-2026-01-01", "ollama:llama3.2:3b"),
                    input=f"sha256:{'0' * 64}",
                    requested=("openai:gpt-5", "ollama:llama3.2:3b"),
                    resolved=f"sha256:{'1' * 64}",
                    until="2030-01-01",
                    then=("openai:gpt-6",),
                    parameters={"temperature": 0.2, "max_tokens": 7, "reasoning_effort": "low", "system": "reviewer"},
                )
            },
            on_drift="fail",
            min_pin="snapshot",
        ),
        "dev": Profile("dev", {}, on_drift="ignore"),
    },
    locked={"openai:gpt-6": LockedModel(ModelInfo("openai:gpt-6", pin="snapshot"))},
    extended={},
    digest="",
    source="",
)


def read_as_1_0(text: str, alias: str, profile: str | None = None) -> list[str]:
    """A reader of version 1.0 as anybody would write it: profiles, their bindings, the models of an alias. What it does not know it
    steps over."""
    lock: dict[str, Any] = tomllib.loads(text)
    assert str(lock["version"]).startswith("1.")
    rows = lock["profiles"][profile or lock.get("default_profile", "default")].get("bindings", [])
    (row,) = [row for row in rows if row["alias"] == alias]
    models: list[str] | str = row.get("models") or row["model"]
    return [models] if isinstance(models, str) else models


@pytest.mark.spec("V10")
def test_a_1_1_lock_resolves_in_a_plain_reader_of_1_0() -> None:
    assert read_as_1_0(render_lock(FULL).decode(), "fast") == list(FULL.profiles["prod"].bindings["fast"].models)


@pytest.mark.spec("V10")
@pytest.mark.parametrize("path", ["llmring.lock", "src/llmring/llmring.lock"])
def test_our_own_locks_resolve_in_it_too(path: str) -> None:
    data = (Path(__file__).parents[2] / path).read_bytes()
    lock = parse_lock(data, path)
    for profile in lock.profiles.values():
        for alias, binding in profile.bindings.items():
            assert read_as_1_0(data.decode(), alias, profile.name) == list(binding.models)


def test_everything_that_is_written_is_read_back() -> None:
    data = render_lock(FULL)
    read = parse_lock(data, "")
    assert (read.profiles, read.locked, read.default_profile) == (FULL.profiles, FULL.locked, FULL.default_profile)
    assert render_lock(read) == data
    assert b'on_drift = "fail"\nmin_pin = "snapshot"\n' in data


@pytest.mark.parametrize(("key", "value"), [("on_drift", "shout"), ("min_pin", "strong")])
def test_a_policy_that_nobody_knows_is_an_error_and_of_a_newer_version_the_strict_one(key: str, value: str) -> None:
    text = f'version = "1.1"\n[profiles.default]\n{key} = "{value}"\n'
    with pytest.raises(Exception, match=key):
        parse_lock(text.encode(), "l")
    profile = parse_lock(text.replace("1.1", "1.2").encode(), "l").profiles["default"]
    assert profile.on_drift == ("fail" if key == "on_drift" else "warn")


ROWS: list[dict[str, Any]] = [
    {"alias": "fast", "provider": "openai", "model": "gpt-4o"},
    {"alias": "slow", "models": ["anthropic:big", "ollama:llama3.2:3b"]},
    {"alias": "one", "models": "openai:gpt-4o"},
    {"alias": "whole", "model": "openai:gpt-4o", "provider": "openai"},
]
POOLS = {
    "fast": ["openai:gpt-4o"],
    "slow": ["anthropic:big", "ollama:llama3.2:3b"],
    "one": ["openai:gpt-4o"],
    "whole": ["openai:gpt-4o"],
}


@pytest.mark.spec("V10")
@pytest.mark.parametrize("form", ["toml", "json"])
def test_a_1_0_lock_of_toml_or_json_resolves(tmp_path: Path, form: str) -> None:
    path = tmp_path / "llmring.lock"
    if form == "json":
        table = {"version": "1.0", "default_profile": "default", "metadata": {"by": "x"}, "profiles": {}}
        path.write_text(json.dumps(table | {"profiles": {"default": {"name": "default", "bindings": ROWS}}}))
    else:
        rows = "".join(
            "[[profiles.default.bindings]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items())
            for row in ROWS
        )
        path.write_text(f'version = "1.0"\ndefault_profile = "default"\nregistry_versions = {{ openai = 3 }}\n{rows}')
    clock = SystemClock()
    resolver = Resolver(
        LockStore(path, clock), clock=clock, has_credential=lambda name: False, known_provider=lambda name: True
    )
    assert resolver.list_aliases() == POOLS
    before = path.read_bytes()
    assert resolver.resolve_alias("slow") == "anthropic:big"
    assert path.read_bytes() == before
