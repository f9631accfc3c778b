"""LLMRING_LOCKFILE_PATH, LOCKED, FROZEN, OFFLINE and PROFILE: each is heard by every command that it concerns, or the command refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.cli.inside import Inside, Vendor
from tests.cli.team import MANIFEST, publish

from llmring import env
from llmring.lockfile.parse import parse_lock

WRITING = (
    "lock init --force",
    "lock upgrade fast",
    "lock bump-registry",
    "lock --resolve-conflicts",
    "bind fast openai:tiny-1",
    "unbind fast",
)
READING = (
    "lock check",
    "lock audit",
    "lock validate",
    "lock export",
    "lock contract",
    "lock diff llmring.lock",
    "lock upgrade fast --dry-run",
    "aliases",
    "resolve fast",
    "explain fast",
)
LOCK_1_0 = 'version = "1.0"\n\n[[profiles.default.bindings]]\nalias = "other"\nmodels = ["openai:tiny-1"]\n'
OTHER = MANIFEST.replace("fast", "other")


@pytest.fixture
def project(inside: Inside) -> Inside:
    """A folder with a manifest and its lock."""
    publish(inside)
    inside.monkeypatch.setenv(env.LLMRING_REGISTRY_URL, str(inside.folder / "registry"))
    inside.write("llmring.toml", MANIFEST)
    assert inside.run("lock").code == 0
    return inside


def contents(folder: Path, but: str = "-") -> Mapping[str, bytes]:
    """What lies there; but: and not in this folder within it."""
    files = [path for path in folder.rglob("*") if path.is_file() and folder / but not in path.parents]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# LLMRING_LOCKFILE_PATH


@pytest.fixture
def elsewhere(project: Inside) -> Path:
    """Another project, whose lock the variable names."""
    other = project.folder / "other"
    other.mkdir()
    (other / "llmring.toml").write_text(OTHER)
    project.monkeypatch.setenv(env.LLMRING_LOCKFILE_PATH, "other/llmring.lock")
    assert project.run("lock").code == 0
    return other


def test_a_lock_named_elsewhere_is_made_there_from_the_manifest_beside_it(project: Inside, elsewhere: Path) -> None:
    assert "other" in parse_lock((elsewhere / "llmring.lock").read_bytes(), "").profiles["default"].bindings
    assert not (elsewhere / "llmring.lock").is_symlink()
    assert "other" not in (project.folder / "llmring.lock").read_text()


def test_what_writes_writes_there_and_touches_nothing_here(project: Inside, elsewhere: Path) -> None:
    here = contents(project.folder, "other")
    for words in ("lock", *WRITING):
        (elsewhere / "llmring.toml").write_text(OTHER.replace('"openai:tiny",', '"openai:tiny-2",'))
        (elsewhere / "llmring.lock").write_text(LOCK_1_0)
        outcome = project.run(*words.replace("fast", "other").split())
        assert outcome.code == 0, outcome
        changed = (elsewhere / "llmring.lock").read_text() != LOCK_1_0
        assert changed == ("resolve" not in words), outcome
        assert contents(project.folder, "other") == here


def test_what_reads_reads_that_one(project: Inside, elsewhere: Path) -> None:
    (project.folder / "llmring.lock").write_text("broken = [")
    for words in READING:
        named = words.replace("fast", "other").replace(" llmring.lock", " other/llmring.lock")
        assert project.run(*named.split()).code == 0, words


def test_diff_compares_that_one_with_its_own_history(project: Inside, elsewhere: Path) -> None:
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "x"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *arguments], cwd=project.folder, check=True, capture_output=True, timeout=50)
    (elsewhere / "llmring.lock").write_text((project.folder / "llmring.lock").read_text())
    told = json.loads(project.run("lock", "diff", "--json").stdout)
    assert {change["subject"] for change in told["changes"]} >= {"default/fast", "default/other"}


def test_a_lock_of_another_name_is_locked_and_checked_and_not_bound_in(project: Inside) -> None:
    name = {env.LLMRING_LOCKFILE_PATH: "eu.lock"}
    assert project.run("lock", **name).code == 0
    assert project.run("lock", "check", **name).code == 0
    before = contents(project.folder)
    assert before["eu.lock"] == before["llmring.lock"]
    outcome = project.run("bind", "fast", "openai:tiny-1", **name)
    assert (outcome.code, env.LLMRING_LOCKFILE_PATH in outcome.stderr) == (2, True)
    assert contents(project.folder) == before


# LLMRING_LOCKED, LLMRING_FROZEN


@pytest.mark.parametrize("variable", [env.LLMRING_LOCKED, env.LLMRING_FROZEN])
def test_where_the_lock_is_kept_nothing_writes_it(project: Inside, variable: str) -> None:
    before = contents(project.folder)
    for words in WRITING:
        outcome = project.run(*words.split(), **{variable: "1"})
        assert (outcome.code, outcome.stdout) == (2, ""), outcome
        assert f"{variable} is set" in outcome.stderr
    assert contents(project.folder) == before


@pytest.mark.parametrize("variable", [env.LLMRING_LOCKED, env.LLMRING_FROZEN])
def test_where_the_lock_is_kept_it_can_be_read(project: Inside, variable: str) -> None:
    before = contents(project.folder)
    for words in READING:
        assert project.run(*words.split(), **{variable: "1"}).code == 0, words
    assert contents(project.folder) == before


def test_locking_is_checking_where_the_lock_is_kept(project: Inside) -> None:
    project.write("llmring.toml", MANIFEST.replace("openai:tiny-2", "openai:tiny-1"))
    before = contents(project.folder)
    stale = project.run("lock", LLMRING_LOCKED="1")
    assert (stale.code, "lock.stale" in stale.stdout) == (1, True)
    # Frozen, what the manifest says is nobody's business; not even whether it can be read.
    project.write("llmring.toml", "broken = [")
    for words in (["lock"], ["lock", "check"], ["lock", "audit"]):
        assert project.run(*words, LLMRING_FROZEN="1").code == 0
    assert project.run("lock", "--frozen").code == project.run("lock", "check", "--frozen").code == 0
    assert project.run("lock", "check").code == 2
    assert contents(project.folder)["llmring.lock"] == before["llmring.lock"]


@pytest.mark.parametrize("variable", [env.LLMRING_LOCKED, env.LLMRING_FROZEN])
def test_without_a_lock_the_bundled_one_is_refused(inside: Inside, variable: str) -> None:
    for words in ("lock audit", "lock export", "aliases", "resolve fast", "explain fast"):
        outcome = inside.run(*words.split(), **{variable: "1"})
        assert (outcome.code, outcome.stdout) == (2, "")
        assert variable in outcome.stderr


# LLMRING_OFFLINE


@pytest.mark.parametrize(
    "words",
    [
        "lock",
        "lock init --from start.lock --force",
        "lock upgrade --all --facts",
        "lock audit --online",
        "lock bump-registry",
        "bind titles openai:tiny-3",
    ],
)
def test_offline_no_vendor_hears_of_it(project: Inside, vendor: Vendor, words: str) -> None:
    project.monkeypatch.setenv(env.OPENAI_API_KEY, vendor.key or "")
    project.monkeypatch.setenv(env.OPENAI_BASE_URL, vendor.url)
    project.write("start.lock", LOCK_1_0)
    locked = (project.folder / "llmring.lock").read_text()

    def run(**environ: str) -> list[str]:
        project.write("llmring.toml", MANIFEST.replace('facts = ["registry"]', 'facts = ["provider-api", "registry"]'))
        project.write("llmring.lock", LOCK_1_0 if words == "lock" else locked)
        vendor.seen.clear()
        project.run(*words.split(), **environ)
        return list(vendor.seen)

    assert run(LLMRING_OFFLINE="1") == []
    assert run(), "it asks where it may: else its silence would prove nothing"


# LLMRING_PROFILE


@pytest.mark.parametrize("words", ["aliases", "resolve fast", "explain fast", "lock export --format env"])
def test_the_profile_is_the_variables_unless_one_is_named(project: Inside, words: str) -> None:
    of_dev = "openai:tiny-2"
    assert of_dev not in project.run(*words.split()).stdout
    assert of_dev in project.run(*words.split(), LLMRING_PROFILE="dev").stdout
    assert of_dev not in project.run(*words.split(), "--profile", "default", LLMRING_PROFILE="dev").stdout
    assert project.run(*words.split(), LLMRING_PROFILE="dve").code == 1


def test_binding_and_unbinding_are_of_the_variables_profile(project: Inside) -> None:
    told = json.loads(project.run("bind", "fast", "openai:tiny-1", "--json", LLMRING_PROFILE="dev").stdout)
    assert (told["profile"], told["after"]) == ("dev", ["openai:tiny-1"])
    told = json.loads(project.run("unbind", "fast", "--json", LLMRING_PROFILE="dev").stdout)
    assert (told["profile"], told["before"]) == ("dev", ["openai:tiny-1"])
    assert project.run("bind", "fast", "openai:tiny-1", LLMRING_PROFILE="dve").code == 1


def test_what_is_about_the_whole_lock_is_so_in_every_profile(project: Inside) -> None:
    for words in ("lock check", "lock audit", "lock contract --json", "lock export", "lock"):
        plain, other = project.run(*words.split()), project.run(*words.split(), LLMRING_PROFILE="dev")
        assert (plain.code, plain.stdout) == (other.code, other.stdout)
