"""A team's lock from its first day on, told by git and the console command as they are: two branches, a conflict, a model that retires.

`snapshots/lock-story.txt` is what everybody saw. Nothing is asked but a registry of the story's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.shell import check

import llmring
from llmring.lockfile.parse import parse_lock
from llmring.registry.parse import Fact, FactSource, make_file
from llmring.registry.refresh import write_file

COMMAND = Path(sys.executable).with_name("llmring")
TODAY = datetime.now(UTC).date().isoformat()
OLD_LOCK = """\
version = "1.0"
default_profile = "default"

[[profiles.default.bindings]]
alias = "deep"
models = ["anthropic:thinker-1"]

[[profiles.default.bindings]]
alias = "fast"
models = ["openai:swift"]
"""


@dataclass
class Story:
    """One clone, and the transcript of what was done in it."""

    folder: Path
    environ: dict[str, str]
    told: list[str] = field(default_factory=list[str])

    def tell(self, text: str) -> None:
        self.told.append(f"\n# {text}\n" if self.told else f"# {text}\n")

    def run(self, *arguments: str, code: int = 0) -> str:
        """`llmring`, its exit code, and everything that it printed."""
        done = self._start([str(COMMAND), *arguments])
        shown = "".join(f"{line}\n" for line in (done.stdout + done.stderr).splitlines())
        self.told.append(f"$ llmring {' '.join(arguments)}\n{shown}[exit {done.returncode}]\n")
        assert done.returncode == code, self.told[-1]
        return done.stdout

    def git(self, *arguments: str, code: int = 0) -> str:
        """`git`; of what it prints only what is the same in all its versions: which files are in conflict."""
        done = self._start(["git", *arguments])
        self.told.append(f"$ git {' '.join(arguments)}\n")
        assert done.returncode == code, done
        if code:
            unmerged = self._start(["git", "diff", "--name-only", "--diff-filter=U"]).stdout.split()
            self.told.append(f"[exit {code}: in conflict are {', '.join(unmerged)}]\n")
        return done.stdout

    def commit(self, subject: str) -> None:
        self._start(["git", "add", "--all"])
        self.git("commit", "--quiet", "--all", "--message", f"'{subject}'")

    def _start(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=50, check=False
        )

    @property
    def lock(self) -> bytes:
        return (self.folder / "llmring.lock").read_bytes()

    def pool(self, alias: str) -> tuple[str, ...]:
        return parse_lock(self.lock, "").profiles["default"].bindings[alias].models

    def check(self, name: str) -> None:
        text = "".join(self.told)
        for what, shown in ((str(self.folder.parent), "<home>"), (str(COMMAND.parent), "<bin>"), (TODAY, "<today>")):
            text = text.replace(what, shown)
        check(name, text)


def publish(folder: Path, *, retired: bool = False) -> None:
    """The registry; `retired`: swift-1 has a last day, and its pointer leads to the dearer swift-2."""
    page = FactSource("the vendor's page", "https://example.org/models", TODAY)

    def facts(pin: str, **values: str | bool) -> dict[str, Fact]:
        told = {"pin": pin, "caps__tools": True, **values}
        return {name.replace("__", "."): Fact(value, "page") for name, value in told.items()}

    swift_1 = facts("snapshot", price__input="1", price__output="4")
    if retired:
        swift_1 |= facts("snapshot", retires="2027-06-30", retires_kind="firm", successor="swift-2")
    openai = {
        "swift": facts("pointer", points_to="swift-2" if retired else "swift-1"),
        "swift-1": swift_1,
        "swift-2": facts("snapshot", price__input="1.25", price__output="5"),
    }
    anthropic = {
        "thinker-1": facts("snapshot", price__input="5", price__output="25"),
        "thinker-mini-1": facts("snapshot", price__input="1", price__output="5"),
    }
    folder.mkdir(exist_ok=True)
    for vendor, models in (("openai", openai), ("anthropic", anthropic)):
        write_file(folder / f"{vendor}.json", make_file(vendor, TODAY, {"page": page}, models))


@pytest.fixture
def story(tmp_path: Path) -> Story:
    publish(tmp_path / "registry")
    environ = {
        "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
        "LLMRING_OFFLINE": "1",
        "LLMRING_REGISTRY_URL": str(tmp_path / "registry"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONWARNINGS": "error",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # A checkout that is not the installed one is named there.
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = str(Path(llmring.__file__).parents[1])
    environ |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    (tmp_path / "team").mkdir()
    return Story(tmp_path / "team", environ)


@pytest.mark.spec("V10", "V11", "V12")
def test_a_lock_and_its_team(story: Story) -> None:
    begin(story)
    merge_two_aliases(story)
    settle_one_alias(story)
    outlive_a_model(story)
    story.tell("Who clones it has what was reviewed, whatever day it is.")
    story.git("clone", "--quiet", ".", "../clone")
    elsewhere = Story(story.folder.parent / "clone", story.environ, story.told)
    elsewhere.run("lock", "check")
    assert elsewhere.lock == story.lock
    story.check("lock-story")


def begin(story: Story) -> None:
    story.tell("A project has a lock of version 1.0. It gets a manifest, and git learns to merge locks.")
    (story.folder / "llmring.lock").write_text(OLD_LOCK)
    story.git("init", "--quiet", "--initial-branch", "main")
    story.run("lock", "init", "--git")
    story.commit("Lock our models")
    # What was a pointer is pinned; the manifest still says what is wanted.
    assert story.pool("fast") == ("openai:swift-1",)


def merge_two_aliases(story: Story) -> None:
    story.tell("Ann and Bob each bind an alias of theirs: git merges it.")
    story.git("switch", "--quiet", "--create", "ann")
    story.run("bind", "deep", "openai:swift-2", "--append")
    story.commit("Let deep fall back")
    story.git("switch", "--quiet", "--create", "bob", "main")
    story.run("bind", "titles", "anthropic:thinker-mini-1")
    story.commit("Bind titles")
    story.git("merge", "--quiet", "--no-edit", "ann")
    story.run("lock", "check")
    story.run("aliases")
    assert story.pool("deep") == ("anthropic:thinker-1", "openai:swift-2")
    assert story.pool("titles") == ("anthropic:thinker-mini-1",)


def settle_one_alias(story: Story) -> None:
    story.tell(
        "Both bind the same alias, each in their way: that is a conflict, and stays one until a person has chosen."
    )
    story.git("switch", "--quiet", "--create", "cat")
    story.run("bind", "fast", "openai:swift", "anthropic:thinker-mini-1")
    story.commit("Let fast fall back")
    story.git("switch", "--quiet", "bob")
    story.run("bind", "fast", "anthropic:thinker-mini-1")
    story.commit("Bind fast to thinker-mini")
    story.git("merge", "--quiet", "--no-edit", "cat", code=1)
    story.run("lock", "check", code=2)
    in_conflict = story.lock
    story.run("lock", "--resolve-conflicts", code=1)
    assert story.lock == in_conflict
    story.tell("Cat's it is. The manifest says so, and the lock follows.")
    story.git("checkout", "--quiet", "--theirs", "llmring.toml")
    story.git("checkout", "--quiet", "--ours", "llmring.lock")
    story.run("lock")
    story.run("lock", "check")
    story.commit("Merge cat")
    assert story.pool("fast") == ("openai:swift-1", "anthropic:thinker-mini-1")


def outlive_a_model(story: Story) -> None:
    story.tell(
        "Months later a vendor sets swift-1's last day. What is locked keeps working; the nightly audit says it."
    )
    publish(story.folder.parent / "registry", retired=True)
    before = story.lock
    story.run("lock", "check")
    story.run("lock", "audit", "--as-of", "2027-06-30", code=1)
    story.tell("An upgrade proposes what the manifest allows, and the diff says what that costs.")
    story.run("lock", "upgrade", "fast", "--dry-run", "--exit-code", code=1)
    assert story.lock == before
    story.run("lock", "upgrade", "fast")
    shown = story.run("lock", "diff", "--exit-code", code=1)
    assert "+25.0%" in shown
    story.commit("Upgrade fast")
    story.run("lock", "diff", "--exit-code")
    story.run("lock", "audit", "--as-of", "2027-06-30")
    assert story.pool("fast")[0] == "openai:swift-2"
