"""Locks made from vendors' own listings, through their SDKs and over a real socket; and what becomes of them where a vendor fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.registry.sources.test_listing import ALIASES, ANTHROPIC, OLLAMA_SHOW, Vendors, listing, vendors

from llmring.lockfile.facts import Asked
from llmring.lockfile.locking import NOTHING, Move
from llmring.lockfile.model import LockedModel
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.relock import Relocked, relock
from llmring.registry.snapshot import Snapshot
from llmring.registry.sources.listing import LISTED_PROVIDERS, VendorListing

__all__ = ["listing", "vendors"]  # fixtures

TODAY = "2026-11-21"
DIGEST = "a" * 64
AGAIN = Move(everything=True, facts=True)


def ask(listing: VendorListing) -> Asked:
    """The vendors alone: a registry that holds nothing, and no prices."""
    return Asked(lambda: Snapshot("nowhere", {}), listing, None, LISTED_PROVIDERS, listing.resolve)


async def lock(folder: Path, listing: VendorListing, model: str, more: str = "", **options: Any) -> Relocked:
    sources = '[sources]\nfacts = ["provider-api"]\nprices = ["provider-api"]\nlifecycle = ["provider-api"]\n'
    (folder / "llmring.toml").write_text(f'{sources}{more}[alias.fast]\nmodels = ["{model}"]\n')
    return await relock(folder, ask(listing), TODAY, **options)


def rows(folder: Path) -> dict[str, LockedModel]:
    return dict(parse_lock((folder / "llmring.lock").read_bytes(), "llmring.lock").locked)


FACTS: list[tuple[str, dict[str, Any]]] = [
    ("openai:gpt-old", {"retires": "2026-12-11", "retires_kind": "firm", "pin": "unknown"}),
    ("google:gemini-tiny", {"max_input": 1048576, "max_output": 65536, "caps": frozenset({"reasoning"})}),
    (
        "openrouter:acme/tiny",
        {"context_window": 200000, "retires": "2027-02-01", "price_as_of": TODAY, "caps": frozenset({"tools", "vision"})},
    ),
    ("openrouter:acme/tiny:nitro", {"context_window": 200000, "retires": "2027-02-01"}),
    ("ollama:tiny:1b", {"pin": "content", "context_window": 40960, "caps": frozenset({"tools", "reasoning"})}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "facts"), FACTS, ids=[model for model, _ in FACTS])
async def test_what_a_vendor_says_is_locked(
    tmp_path: Path, listing: VendorListing, vendors: Vendors, model: str, facts: dict[str, Any]
) -> None:
    vendors.pages["/api/tags"] = {"models": [{"name": "tiny:1b", "model": "tiny:1b", "digest": DIGEST, "size": 10**9}]}
    made = await lock(tmp_path, listing, model)
    assert (made.written, made.exit_code) == (True, 0), made.findings
    row = rows(tmp_path)[model]
    assert {name: getattr(row.info, name) for name in facts} == facts
    assert row.digest == (f"sha256:{DIGEST}" if model.startswith("ollama") else None)
    assert model.partition(":")[0] in (row.info.facts_source or "").lower()


async def test_an_alias_of_a_vendors_is_locked_to_the_model_that_it_means(
    tmp_path: Path, listing: VendorListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    active: dict[str, Any] = {**ANTHROPIC["data"][0], "lifecycle": "active", "deprecated_at": None, "retires_at": None}
    monkeypatch.setitem(ANTHROPIC, "data", [active, active | {"id": "claude-next"}])
    made = await lock(tmp_path, listing, "anthropic:claude-latest")
    binding = made.lock.profiles["default"].bindings["fast"]
    assert (binding.models, binding.requested) == (("anthropic:claude-tiny",), ("anthropic:claude-latest",))
    assert list(rows(tmp_path)) == ["anthropic:claude-tiny"]
    # It moves: the lock does not, until it is asked to.
    monkeypatch.setitem(ALIASES, "claude-latest", "claude-next")
    assert not (await lock(tmp_path, listing, "anthropic:claude-latest")).stale
    moved = await lock(tmp_path, listing, "anthropic:claude-latest", move=AGAIN)
    assert moved.lock.profiles["default"].bindings["fast"].models == ("anthropic:claude-next",)


async def test_openrouters_alias_is_locked_to_its_target(tmp_path: Path, listing: VendorListing) -> None:
    made = await lock(tmp_path, listing, "openrouter:~acme/tiny-latest")
    binding = made.lock.profiles["default"].bindings["fast"]
    assert (binding.models, binding.requested) == (("openrouter:acme/tiny",), ("openrouter:~acme/tiny-latest",))


@pytest.mark.spec("V04")
@pytest.mark.parametrize(
    "model", ["openai:gpt-odl", "anthropic:claude-tyni", "google:gemini-tyni", "openrouter:acme/tiny:nitor"]
)
async def test_what_a_vendor_does_not_list_is_not_locked(tmp_path: Path, listing: VendorListing, model: str) -> None:
    made = await lock(tmp_path, listing, model)
    assert (made.exit_code, [found.id for found in made.findings]) == (1, ["model.gone"])
    assert made.findings[0].hint is not None
    assert "did you mean" in made.findings[0].hint
    assert os.listdir(tmp_path) == ["llmring.toml"]


def refuse(vendors: Vendors) -> None:
    vendors.refuses = True


def hold(vendors: Vendors) -> None:
    vendors.holds = True


def babble(vendors: Vendors) -> None:
    vendors.body = b"[" * 100_000


def flood(vendors: Vendors) -> None:
    row: dict[str, Any] = {"object": "model", "created": 1, "owned_by": "o"}
    vendors.pages["/v1/models"] = {"object": "list", "data": [row | {"id": f"m{number}"} for number in range(2001)]}


@pytest.mark.spec("V03", "V05")
@pytest.mark.parametrize("fail", [refuse, hold, babble, flood])
async def test_a_vendor_that_cannot_be_read_changes_nothing(
    tmp_path: Path,
    listing: VendorListing,
    vendors: Vendors,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[Vendors], None],
) -> None:
    assert (await lock(tmp_path, listing, "openai:gpt-old")).written
    before = (tmp_path / "llmring.lock").read_bytes()
    monkeypatch.setattr("llmring.providers.control.listing._TOTAL_S", 0.02)
    fail(vendors)
    # What is locked needs nobody; whoever asks for something newer is not told that there is none.
    assert (await lock(tmp_path, listing, "openai:gpt-old", move=NOTHING)).exit_code == 0
    upgraded = await lock(tmp_path, listing, "openai:gpt-old", move=AGAIN, strict=True)
    assert (upgraded.exit_code, upgraded.written) == (3, False)
    assert "source.unreachable" in {found.id for found in upgraded.findings if found.severity == "error"}
    # And a name that nobody could vouch for is not taken up.
    new = await lock(tmp_path, listing, "openai:gpt-new")
    assert (new.exit_code, new.written) == (3, False)
    assert "sk-test" not in repr(new.findings)
    assert (tmp_path / "llmring.lock").read_bytes() == before


@pytest.mark.spec("V13")
@pytest.mark.parametrize(
    ("row", "pin", "said"),
    [
        ({"digest": DIGEST, "size": 10**9}, "content", set[str]()),
        ({"digest": DIGEST, "size": 10**9, "details": {"parent_model": "base"}}, "content", {"pin.drift"}),
        ({"digest": DIGEST, "size": 384}, "pointer", set[str]()),
        (None, None, {"model.unknown"}),
    ],
    ids=["pulled", "created", "remote", "missing"],
)
async def test_what_ollama_holds(
    tmp_path: Path,
    listing: VendorListing,
    vendors: Vendors,
    row: dict[str, Any] | None,
    pin: str | None,
    said: set[str],
) -> None:
    vendors.pages["/api/show"] = OLLAMA_SHOW["tiny:1b"]
    vendors.pages["/api/tags"] = {"models": [] if row is None else [row | {"name": "tiny:1b", "model": "tiny:1b"}]}
    made = await lock(tmp_path, listing, "ollama:tiny:1b")
    assert {found.id for found in made.findings} == said
    assert (rows(tmp_path)["ollama:tiny:1b"].info.pin if made.written else None) == pin
