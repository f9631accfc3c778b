"""`llmring.lockfile.bind`: what the sources say decides, and nothing is written unless everything is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lockfile.test_facts import TODAY, Says, registry

from llmring.exceptions import LLMRingError, LockfileError, MissingCredentialError
from llmring.lockfile import Asked, Bound, Mode, bind, parse_lock, unbind
from llmring.lockfile.writing import alone_in
from llmring.registry.sources.base import Reading

MANIFEST = '# ours\n[defaults]\nmin-pin = "snapshot"\n[alias.fast]\nmodels = ["openai:tiny"]  # cheap\n[profile.dev]\n'


def asked(listing: Says | None = None) -> Asked:
    facts = {"tiny": {"pin": "snapshot", "max_input": 1000}, "moving": {"pin": "pointer"}}
    return Asked(lambda: registry(facts), listing=listing, listed=frozenset({"openai"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "llmring.toml").write_text(MANIFEST)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def append(folder: Path, model: str, listing: Says | None = None, *, allow_unknown: bool = False) -> Bound:
    return await bind(folder, "fast", [model], asked(listing), TODAY, mode=Mode.APPEND, allow_unknown=allow_unknown)


@pytest.mark.spec("V06")
async def test_a_model_that_its_vendor_lists_is_bound_and_locked_in_every_profile(folder: Path) -> None:
    bound = await append(folder, "openai:newer", Says({"newer": {"pin": "snapshot"}, "tiny": {}}))
    assert (bound.exit_code, bound.after) == (0, ("openai:tiny", "openai:newer"))
    assert [path.name for path in bound.paths] == ["llmring.toml", "llmring.lock"]
    lock = parse_lock((folder / "llmring.lock").read_bytes(), "l")
    assert {profile.bindings["fast"].models for profile in lock.profiles.values()} == {bound.after}
    assert {profile.min_pin for profile in lock.profiles.values()} == {"snapshot"}
    before = files(folder)
    assert (await bind(folder, "fast", bound.after, asked(), TODAY)).paths == ()
    assert files(folder) == before


@pytest.mark.spec("V04", "V06")
@pytest.mark.parametrize(
    ("model", "listing", "code", "id"),
    [
        ("openai:tinny", Says({"tiny": {}}), 1, "model.gone"),
        ("openai:tinny", Says({}, MissingCredentialError("no key")), 3, "model.unknown"),
        ("openai:tinny", None, 3, "model.unknown"),
        ("openai:moving", None, 1, "pin.too-weak"),
    ],
)
async def test_what_may_not_be_bound_changes_no_file(
    folder: Path, model: str, listing: Says | None, code: int, id: str
) -> None:
    before = files(folder)
    bound = await append(folder, model, listing)
    assert bound.exit_code == code
    assert id in {finding.id for finding in bound.findings if finding.severity == "error"}
    assert bound.paths == ()
    assert files(folder) == before


@pytest.mark.spec("V06")
async def test_a_model_of_no_grade_is_no_pin_even_where_it_is_meant(folder: Path) -> None:
    bound = await append(folder, "openai:our-own", allow_unknown=True)
    assert "pin.too-weak" in {finding.id for finding in bound.findings if finding.severity == "error"}
    assert bound.paths == ()


@pytest.mark.spec("V06")
async def test_unbind_drops_what_nobody_needs_any_more(folder: Path) -> None:
    await append(folder, "openai:newer", Says({"newer": {"pin": "snapshot"}, "tiny": {}}))
    bound = await unbind(folder, "fast", asked(), TODAY)
    assert bound.exit_code == 0
    lock = parse_lock((folder / "llmring.lock").read_bytes(), "l")
    assert (lock.locked, [profile.bindings for profile in lock.profiles.values()]) == ({}, [{}, {}])
    assert (folder / "llmring.toml").read_text().startswith('# ours\n[defaults]\nmin-pin = "snapshot"\n')


async def test_a_manifest_that_changed_meanwhile_is_left_as_it_is(folder: Path) -> None:
    class Meddling(Says):
        async def read(self, provider: str, today: str) -> Reading | None:
            (folder / "llmring.toml").write_text(MANIFEST + "# edited\n")
            return await super().read(provider, today)

    with pytest.raises(LockfileError, match="was changed meanwhile"):
        await append(folder, "openai:newer", Meddling({"newer": {"pin": "snapshot"}, "tiny": {}}))
    assert files(folder) == {"llmring.toml": (MANIFEST + "# edited\n").encode()}


async def test_a_lock_that_changed_meanwhile_leaves_the_manifest_as_it_is(folder: Path) -> None:
    class Meddling(Says):
        async def read(self, provider: str, today: str) -> Reading | None:
            (folder / "llmring.lock").write_text('version = "1.1"\n')
            return await super().read(provider, today)

    with pytest.raises(LockfileError, match="was changed meanwhile"):
        await append(folder, "openai:newer", Meddling({"newer": {"pin": "snapshot"}, "tiny": {}}))
    assert (folder / "llmring.toml").read_text() == MANIFEST


async def test_two_at_once_are_told_so(folder: Path) -> None:
    with alone_in(folder), pytest.raises(LLMRingError, match="another llmring"):
        await append(folder, "openai:tiny-2", Says({"tiny-2": {"pin": "snapshot"}, "tiny": {}}))
