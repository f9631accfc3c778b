"""`llmring bind` and `unbind`: what they print, what they write, and what they refuse."""

import json
import tomllib

import pytest
from tests.cli.inside import Inside
from tests.cli.team import publish

from llmring.lockfile.parse import parse_lock

MANIFEST = """\
schema = "1"

[alias.fast]
models = ["openai:tiny-1"]   # cheap

[profile.dev]
"""


@pytest.fixture
def place(inside: Inside) -> Inside:
    """A folder, and a registry of today; nobody is asked."""
    publish(inside)
    inside.monkeypatch.setenv("LLMRING_REGISTRY_URL", str(inside.folder / "registry"))
    inside.monkeypatch.setenv("LLMRING_OFFLINE", "1")
    return inside


@pytest.fixture
def project(place: Inside) -> Inside:
    """The same with a manifest and its lock."""
    place.write("llmring.toml", MANIFEST)
    assert place.run("lock").code == 0
    return place


def read(inside: Inside, name: str) -> str:
    return (inside.folder / name).read_text()


def both(inside: Inside) -> tuple[str, str]:
    return read(inside, "llmring.toml"), read(inside, "llmring.lock")


@pytest.mark.spec("V06")
def test_bind_edits_the_manifest_and_locks(project: Inside) -> None:
    project.run("bind", "fast", "anthropic:small-1", "--append").check("bind-append")
    assert read(project, "llmring.toml") == MANIFEST.replace(
        '["openai:tiny-1"]', '["openai:tiny-1", "anthropic:small-1"]'
    )
    lock = parse_lock(read(project, "llmring.lock").encode(), "l")
    assert lock.profiles["dev"].bindings["fast"].models == ("openai:tiny-1", "anthropic:small-1")
    assert set(lock.locked) == {"openai:tiny-1", "anthropic:small-1"}
    assert project.run("lock", "check").code == 0
    before = both(project)
    project.run("bind", "fast", "openai:tiny-1", "anthropic:small-1").check("bind-again")
    assert both(project) == before


@pytest.mark.spec("V06")
def test_bind_in_a_profile_and_unbind_touch_that_profile(project: Inside) -> None:
    before = both(project)
    outcome = project.run("bind", "fast", "anthropic:small-1", "--profile", "dev", "--json")
    told = json.loads(outcome.stdout)
    assert (told["profile"], told["before"], told["after"], told["exit_code"]) == (
        "dev",
        ["openai:tiny-1"],
        ["anthropic:small-1"],
        0,
    )
    lock = parse_lock(read(project, "llmring.lock").encode(), "l")
    assert lock.profiles["default"].bindings["fast"].models == ("openai:tiny-1",)
    project.run("unbind", "fast", "--profile", "dev").check("unbind-profile")
    assert tomllib.loads(read(project, "llmring.toml"))["alias"] == tomllib.loads(MANIFEST)["alias"]
    assert read(project, "llmring.lock") == before[1]
    project.run("unbind", "fast").check("unbind")
    assert parse_lock(read(project, "llmring.lock").encode(), "l").profiles["default"].bindings == {}


@pytest.mark.spec("V07")
@pytest.mark.parametrize(
    ("name", "code", "arguments"),
    [
        ("unknown-profile", 1, ["bind", "fast", "openai:tiny-1", "--profile", "dve"]),
        ("unknown-alias", 1, ["bind", "fasd", "openai:tiny-1", "--append"]),
        ("unbind-unknown", 1, ["unbind", "fats"]),
        ("unknown-model", 3, ["bind", "fast", "openai:tinny-1"]),
        ("unknown-fallback", 3, ["bind", "fast", "openai:tiny-1", "anthropic:smal-1"]),
        ("no-model", 2, ["bind", "fast", "tiny-1"]),
        ("two-modes", 2, ["bind", "fast", "openai:a", "--append", "--remove"]),
        ("hostile", 2, ["bind", "../fast", "openai:tiny-1"]),
        ("unknown-json", 1, ["bind", "fast", "openai:tiny-1", "--profile", "dve", "--json"]),
    ],
)
def test_what_is_wrong_changes_no_file(project: Inside, name: str, code: int, arguments: list[str]) -> None:
    before = both(project)
    outcome = project.run(*arguments)
    outcome.check(f"bind-{name}")
    assert outcome.code == code
    assert both(project) == before
    assert sorted(path.name for path in project.folder.iterdir() if path.name.startswith("llmring")) == [
        "llmring.lock",
        "llmring.toml",
    ]


@pytest.mark.spec("V06")
def test_what_nobody_knows_is_taken_where_it_is_meant(project: Inside) -> None:
    outcome = project.run("bind", "mine", "openai:ft:our-own", "--allow-unknown")
    assert outcome.code == 0
    assert "model.unknown" in outcome.stdout
    lock = parse_lock(read(project, "llmring.lock").encode(), "l")
    assert lock.profiles["default"].bindings["mine"].models == ("openai:ft:our-own",)
    assert lock.locked["openai:ft:our-own"].info.pin == "unknown"


DIRECT = """\
# ours
version = "1.0"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "fast"
models = ["openai:tiny-1"]  # cheap
"""


@pytest.mark.spec("V06", "V10")
def test_without_a_manifest_the_lock_is_edited_in_place(place: Inside) -> None:
    place.write("llmring.lock", DIRECT)
    place.run("bind", "fast", "anthropic:small-1", "--append").check("bind-direct")
    assert read(place, "llmring.lock") == DIRECT.replace('["openai:tiny-1"]', '["openai:tiny-1", "anthropic:small-1"]')
    assert not (place.folder / "llmring.toml").exists()
    assert place.run("bind", "fast", "openai:tinny-1").code == 3
    assert place.run("unbind", "fast").code == 0
    assert "fast" not in read(place, "llmring.lock")


def test_a_lock_with_facts_gets_those_of_the_new_model(place: Inside) -> None:
    place.write("other.lock", DIRECT.replace("1.0", "1.1") + '\n[[locked]]\nid = "openai:tiny-1"\npin = "snapshot"\n')
    assert place.run("bind", "fast", "anthropic:small-1", "--lockfile", "other.lock").code == 0
    lock = parse_lock(read(place, "other.lock").encode(), "l")
    assert list(lock.locked) == ["anthropic:small-1"]
    assert lock.locked["anthropic:small-1"].facts


def test_where_nothing_is_nothing_is_made(inside: Inside) -> None:
    inside.run("bind", "fast", "openai:tiny-1").check("bind-nowhere")
    assert list(inside.folder.iterdir()) == []


def test_a_lock_whose_manifest_is_gone_is_not_edited(project: Inside) -> None:
    (project.folder / "llmring.toml").unlink()
    project.run("bind", "fast", "anthropic:small-1").check("bind-orphan")


def test_a_lock_that_follows_a_manifest_is_not_edited_behind_its_back(project: Inside) -> None:
    before = both(project)
    outcome = project.run("bind", "fast", "anthropic:small-1", "--lockfile", "llmring.lock")
    assert (outcome.code, "without --lockfile" in outcome.stderr) == (2, True)
    assert both(project) == before
