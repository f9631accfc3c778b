"""The two locks that are checked in: the bundled one and the repository's own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from llmring.clock import SystemClock
from llmring.lockfile.facts import Asked
from llmring.lockfile.model import Lock
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.relock import relock
from llmring.lockfile.render import render_lock
from llmring.lockfile.store import BUNDLED_LOCK, LockOrigin, LockStore, find_lock
from llmring.providers.table import PROVIDERS
from llmring.resolver import Resolver
from llmring.schemas.model_ref import parse_model_ref

REPOSITORY_LOCK = Path(__file__).parents[2] / "llmring.lock"
LOCKS = pytest.mark.parametrize("path", [BUNDLED_LOCK, REPOSITORY_LOCK], ids=["bundled", "repository"])
# Which variable holds the key of which vendor; Ollama needs none.
VENDORS: Mapping[str, str | None] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "ollama": None,
}


def read(path: Path) -> Lock:
    return parse_lock(path.read_bytes(), str(path))


def make_resolver(path: Path, environ: Mapping[str, str]) -> Resolver:
    def has_credential(name: str) -> bool:
        variables = PROVIDERS[name].key_variables
        return not variables or any(variable in environ for variable in variables)

    clock = SystemClock()
    return Resolver(
        LockStore(path, clock), clock=clock, has_credential=has_credential, known_provider=PROVIDERS.__contains__
    )


@pytest.mark.spec("U35", "U36")
@pytest.mark.parametrize("alias", ["fast", "balanced", "vision"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_any_one_key_is_enough_for_every_alias_in_an_empty_directory(
    clean_environment: Path, vendor: str, alias: str
) -> None:
    variable = VENDORS[vendor]
    environ = {} if variable is None else {variable: "a-key"}
    found = find_lock(None, environ, clean_environment)
    assert found.origin is LockOrigin.BUNDLED
    assert make_resolver(found.path, environ).resolve_alias(alias).startswith(f"{vendor}:")


@pytest.mark.spec("U35")
@LOCKS
def test_each_alias_is_a_pool_over_all_four_vendors(path: Path) -> None:
    resolver = make_resolver(path, {})
    for alias in ("fast", "balanced", "vision"):
        candidates = resolver.resolve(alias, "default").candidates
        assert {candidate.ref.provider for candidate in candidates} == set(VENDORS)
        for candidate in candidates:
            assert candidate.info.caps is not None
            assert alias != "vision" or "vision" in candidate.info.caps


@pytest.mark.spec("U35")
def test_both_locks_have_the_same_default_profile_and_facts() -> None:
    """The bundled one is the repository's without its other profiles; LLMRING_TEST_UPDATE=1 writes it."""
    ours = read(REPOSITORY_LOCK)
    profile = ours.profiles["default"]
    models = {model for binding in profile.bindings.values() for model in binding.models}
    locked = {name: row for name, row in ours.locked.items() if name in models}
    expected = render_lock(replace(ours, profiles={"default": profile}, locked=locked))
    if os.environ.get("LLMRING_TEST_UPDATE"):
        BUNDLED_LOCK.write_bytes(expected)
    assert BUNDLED_LOCK.read_bytes() == expected
    assert ours.default_profile == "default"


@pytest.mark.spec("V01")
async def test_the_repositorys_lock_is_what_its_manifest_asks_for() -> None:
    nobody = Asked(lambda: pytest.fail("everything is locked: nobody is to be asked"))
    relocked = await relock(REPOSITORY_LOCK.parent, nobody, "2026-11-21", dry_run=True)
    assert (relocked.stale, relocked.changes, relocked.findings) == (False, (), ())
    assert render_lock(relocked.lock) == REPOSITORY_LOCK.read_bytes()


@LOCKS
def test_every_bound_model_has_a_row_and_every_row_is_bound(path: Path) -> None:
    lock = read(path)
    bound = {m for profile in lock.profiles.values() for binding in profile.bindings.values() for m in binding.models}
    assert bound == set(lock.locked)
    assert {parse_model_ref(model).provider for model in bound} <= set(PROVIDERS)
    assert list(lock.locked) == sorted(lock.locked)


@LOCKS
def test_every_fact_names_its_source_and_nothing_local_has_a_price(path: Path) -> None:
    for name, row in read(path).locked.items():
        info = row.info
        if PROVIDERS[parse_model_ref(name).provider].local:
            assert not info.price, name
        else:
            assert {"input", "output", "cache_read"} <= set(info.price), name
            assert info.price_source, name
            assert info.price_as_of, name
            assert info.max_input, name
            assert info.max_output, name
        assert info.facts_source or not info.caps, name


@LOCKS
def test_one_fact_a_line_and_lists_of_models_a_line_each(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('# Generated by `llmring lock`. Do not edit.\nversion = "1.1"\n')
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    line = re.compile(r'(|#.*|\[.*\]|[a-z0-9_]+ = [^=]*|price = \{ .* \}|    "[^"]+",|\])')
    assert all(line.fullmatch(each) for each in text.splitlines())


def test_the_demo_profile_is_local_and_its_failover_begins_with_another_server() -> None:
    profile = read(REPOSITORY_LOCK).profiles["local"]
    model = "llamacpp:smollm2-135m-instruct"
    # What it inherits from the default profile is not here.
    own = {alias: binding.models for alias, binding in profile.bindings.items() if alias != "vision"}
    assert own == {
        "balanced": (model,),
        "extractor": (model,),
        "fast": (model,),
        "resilient": ("lmstudio:smollm2-135m-instruct", model),
        "summarizer": (model,),
    }
