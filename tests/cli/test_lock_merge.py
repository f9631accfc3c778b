"""The merge driver and `--resolve-conflicts` with real git: two branches of one repository, merged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.inside import Inside
from tests.lockfile.locks import lock

import llmring
from llmring.lockfile.model import Lock
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import render_lock

BASE = {"a": "x:one", "b": "x:two", "c": "x:three"}
PROGRAM = f"{sys.executable} -m llmring"


@dataclass
class Repository:
    """A clone with the driver installed, or without; two branches, `ours` checked out."""

    folder: Path

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONPATH": str(Path(llmring.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", "-C", str(self.folder), *who, *arguments],
            env=environ,
            capture_output=True,
            text=True,
            check=check,
        )

    def begin(self, base: Mapping[str, str] | None) -> None:
        self.git("init", "-q", "-b", "ours")
        (self.folder / "readme").write_text("x")
        if base is not None:
            self.write(base)
        self.commit("base")

    def write(self, aliases: Mapping[str, str]) -> None:
        (self.folder / "llmring.lock").write_bytes(render_lock(lock(dict(aliases))))

    def commit(self, subject: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", subject)

    def merge(self, ours: Mapping[str, str], theirs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        self.git("checkout", "-qb", "theirs")
        self.write(theirs)
        self.commit("theirs")
        self.git("checkout", "-q", "ours")
        self.write(ours)
        self.commit("ours")
        return self.git("merge", "-q", "-m", "merged", "theirs", check=False)

    @property
    def text(self) -> str:
        return (self.folder / "llmring.lock").read_text()

    def read(self) -> Lock:
        return parse_lock(self.text.encode(), "llmring.lock")


@pytest.fixture
def repository(inside: Inside) -> Repository:
    return Repository(inside.folder)


def pools(lock: Lock) -> dict[str, str]:
    return {alias: " ".join(binding.models) for alias, binding in lock.profiles["default"].bindings.items()}


@pytest.mark.spec("V11")
@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        (BASE, BASE | {"a": "x:four"}, BASE | {"b": "x:five"}, BASE | {"a": "x:four", "b": "x:five"}),  # neighbours
        (BASE, BASE | {"d": "x:four"}, BASE | {"e": "x:five"}, BASE | {"d": "x:four", "e": "x:five"}),
        (BASE, BASE | {"a": "x:four"}, {"a": "x:one", "c": "x:three"}, {"a": "x:four", "c": "x:three"}),
        (None, {"a": "x:one"}, {"b": "x:two"}, {"a": "x:one", "b": "x:two"}),  # both sides began to lock
    ],
    ids=["edit two", "add two", "edit and delete", "add the file"],
)
def test_the_driver_merges_what_git_alone_would_not(
    inside: Inside,
    repository: Repository,
    base: Mapping[str, str] | None,
    ours: Mapping[str, str],
    theirs: Mapping[str, str],
    expected: Mapping[str, str],
) -> None:
    repository.begin(base)
    assert inside.run("lock", "merge-driver", "install", "--program", PROGRAM).code == 0
    repository.commit("driver")
    merged = repository.merge(ours, theirs)
    assert (merged.returncode, merged.stderr) == (0, "")
    assert pools(repository.read()) == expected
    assert repository.text.encode() == render_lock(lock(dict(expected)))


@pytest.mark.spec("V11")
def test_the_same_alias_on_both_sides_is_one_conflict_that_a_person_resolves(
    inside: Inside, repository: Repository
) -> None:
    repository.begin(BASE)
    inside.run("lock", "merge-driver", "install", "--program", PROGRAM)
    repository.commit("driver")
    merged = repository.merge(BASE | {"a": "x:four", "d": "x:six"}, BASE | {"a": "x:five", "b": "x:seven"})
    assert merged.returncode == 1
    assert "both sides changed alias default/a" in merged.stderr
    assert repository.text.count("<<<<<<< ours\n") == 1
    assert repository.git("diff", "--name-only", "--diff-filter=U").stdout == "llmring.lock\n"
    before = repository.text
    inside.run("lock", "--resolve-conflicts").check("lock-resolve-conflict")
    assert repository.text == before
    assert json.loads(inside.run("lock", "--resolve-conflicts", "--json").stdout)["conflicts"] == [
        {"kind": "alias", "subject": "default/a"}
    ]
    (repository.folder / "llmring.lock").write_text(_take_theirs(before))
    assert pools(repository.read()) == BASE | {"a": "x:five", "b": "x:seven", "d": "x:six"}


def _take_theirs(text: str) -> str:
    head, _, rest = text.partition("<<<<<<< ours\n")
    _, _, rest = rest.partition("=======\n")
    theirs, _, tail = rest.partition(">>>>>>> theirs\n")
    return head + theirs + tail


@pytest.mark.spec("V11")
def test_what_git_left_in_conflict_without_the_driver_is_resolved_afterwards(
    inside: Inside, repository: Repository
) -> None:
    repository.begin(BASE)
    merged = repository.merge(BASE | {"d": "x:four"}, BASE | {"e": "x:five"})
    assert merged.returncode == 1  # both add lines at one place
    assert "<<<<<<<" in repository.text
    inside.run("lock", "--resolve-conflicts").check("lock-resolve-merged")
    assert pools(repository.read()) == BASE | {"d": "x:four", "e": "x:five"}
    inside.run("lock", "--resolve-conflicts").check("lock-resolve-nothing")


def test_a_merged_lock_is_checked_against_the_manifest(inside: Inside, repository: Repository) -> None:
    inside.write("llmring.toml", '[alias.a]\nmodels = ["x:one"]\n')
    repository.begin(BASE)
    repository.merge(BASE | {"d": "x:four"}, BASE | {"e": "x:five"})
    outcome = inside.run("lock", "--resolve-conflicts")
    assert outcome.code == 1
    assert "lock.orphan" in outcome.stdout


def test_a_conflict_without_git_is_resolved_from_its_markers(inside: Inside) -> None:
    ours, theirs = (render_lock(lock(aliases)).decode() for aliases in ({"a": "x:one"}, {"b": "x:two"}))
    inside.write("llmring.lock", f"<<<<<<< one\n{ours}=======\n{theirs}>>>>>>> two\n")
    assert inside.run("lock", "--resolve-conflicts").code == 0
    assert pools(parse_lock((inside.folder / "llmring.lock").read_bytes(), "")) == {"a": "x:one", "b": "x:two"}


@pytest.mark.parametrize(
    "text",
    ["<<<<<<< one\n", "<<<<<<< one\n=======\n>>>>>>> two\n", '<<<<<<< one\nversion = "2"\n=======\n>>>>>>> two\n'],
)
def test_a_conflict_that_cannot_be_read_changes_nothing(inside: Inside, text: str) -> None:
    inside.write("llmring.lock", text)
    outcome = inside.run("lock", "--resolve-conflicts")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert (inside.folder / "llmring.lock").read_text() == text


def test_a_side_that_is_no_lock_is_left_as_a_conflict(inside: Inside, repository: Repository) -> None:
    repository.begin(BASE)
    inside.run("lock", "merge-driver", "install", "--program", PROGRAM)
    repository.commit("driver")
    repository.git("checkout", "-qb", "theirs")
    (repository.folder / "llmring.lock").write_text('version = "1.9"\n')
    repository.commit("theirs")
    repository.git("checkout", "-q", "ours")
    repository.write(BASE | {"d": "x:four"})
    repository.commit("ours")
    merged = repository.git("merge", "theirs", check=False)
    assert merged.returncode == 1
    assert "newer than what this llmring writes" in merged.stderr
    assert repository.git("diff", "--name-only", "--diff-filter=U").stdout == "llmring.lock\n"


def test_installing_twice_changes_nothing_and_keeps_what_is_there(inside: Inside, repository: Repository) -> None:
    repository.begin(None)
    inside.write(".gitattributes", "*.png binary")
    inside.run("lock", "merge-driver", "install").check("lock-merge-driver-install")
    inside.run("lock", "merge-driver", "install", "--json").check("lock-merge-driver-install-again")
    assert (inside.folder / ".gitattributes").read_text() == "*.png binary\nllmring.lock merge=llmring\n"
    driver = repository.git("config", "--local", "merge.llmring.driver").stdout
    assert driver == "llmring lock merge-driver run -- %O %A %B %P\n"


def test_installing_outside_a_repository(inside: Inside) -> None:
    inside.hidden[str(inside.folder.parent)] = "<parent>"
    ceiling = {"GIT_CEILING_DIRECTORIES": str(inside.folder.parent)}
    inside.run("lock", "merge-driver", "install", **ceiling).check("lock-merge-driver-no-repository")


def test_a_link_in_place_of_the_attributes_is_not_written_through(inside: Inside, repository: Repository) -> None:
    repository.begin(None)
    (inside.folder / ".gitattributes").symlink_to(inside.folder / "elsewhere")
    outcome = inside.run("lock", "merge-driver", "install")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert ".gitattributes is a link" in outcome.stderr
    assert not (inside.folder / "elsewhere").exists()
    assert repository.git("config", "--local", "merge.llmring.driver", check=False).returncode == 1


def test_a_bare_repository_has_nothing_to_install_into(inside: Inside, repository: Repository) -> None:
    repository.git("init", "-q", "--bare")
    outcome = inside.run("lock", "merge-driver", "install")
    assert outcome.code == 2
    assert "must be run in a work tree" in outcome.stderr


@pytest.mark.parametrize("folder", ["--help", "a b/\u00fc", "it's $(touch ran) `x`"])
def test_a_lock_in_a_folder_of_any_name(inside: Inside, repository: Repository, folder: str) -> None:
    (inside.folder / folder).mkdir(parents=True)
    path = inside.folder / folder / "llmring.lock"
    repository.begin(None)
    inside.run("lock", "merge-driver", "install", "--program", PROGRAM)

    def commit(aliases: Mapping[str, str]) -> None:
        path.write_bytes(render_lock(lock(dict(aliases))))
        repository.commit("lock")

    commit(BASE)
    repository.git("checkout", "-qb", "theirs")
    commit(BASE | {"b": "x:five"})
    repository.git("checkout", "-q", "ours")
    commit(BASE | {"a": "x:four"})
    merged = repository.git("merge", "-q", "-m", "merged", "theirs", check=False)
    assert (merged.returncode, merged.stderr) == (0, "")
    assert pools(parse_lock(path.read_bytes(), "")) == BASE | {"a": "x:four", "b": "x:five"}
    assert not list(inside.folder.rglob("ran"))


def test_a_driver_that_is_not_there_leaves_a_conflict_that_can_be_resolved(
    inside: Inside, repository: Repository
) -> None:
    repository.begin(BASE)
    inside.run("lock", "merge-driver", "install", "--program", str(inside.folder / "no-such-program"))
    repository.commit("driver")
    assert repository.merge(BASE | {"a": "x:four"}, BASE | {"b": "x:five"}).returncode == 1
    assert "<<<<<<<" not in repository.text  # git leaves our side alone
    assert inside.run("lock", "--resolve-conflicts").code == 0
    assert pools(repository.read()) == BASE | {"a": "x:four", "b": "x:five"}


def test_a_conflict_that_a_person_has_resolved_is_left_alone(inside: Inside, repository: Repository) -> None:
    repository.begin(BASE)
    assert repository.merge(BASE | {"d": "x:four"}, BASE | {"e": "x:five"}).returncode == 1
    repository.write(BASE | {"d": "x:nine"})
    inside.run("lock", "--resolve-conflicts").check("lock-resolve-nothing")
    assert pools(repository.read()) == BASE | {"d": "x:nine"}


def test_windows_line_ends_are_no_conflict(inside: Inside, repository: Repository) -> None:
    repository.begin(BASE)
    repository.git("config", "core.autocrlf", "true")
    assert repository.merge(BASE | {"d": "x:four"}, BASE | {"e": "x:five"}).returncode == 1
    assert "\r\n" in (inside.folder / "llmring.lock").read_bytes().decode()
    assert inside.run("lock", "--resolve-conflicts").code == 0
    assert pools(repository.read()) == BASE | {"d": "x:four", "e": "x:five"}


def test_nothing_to_resolve_in(inside: Inside) -> None:
    assert inside.run("lock", "--resolve-conflicts").code == 2
