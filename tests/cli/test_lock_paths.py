"""What every command of the lock prints where all is well and where it is not, as text and as JSON: one snapshot for each path.

The files of the other tests look closer at single commands; here none is left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from tests.cli.inside import Inside
from tests.cli.shell import check
from tests.cli.team import MANIFEST, TODAY, publish
from tests.lockfile.locks import lock as lock_of_aliases

from llmring.cli.lock import SUBCOMMANDS
from llmring.lockfile.render import render_lock

SEEN = '{"alias": "fast", "needs": ["tools"], "input_tokens": 900}\n'


def nothing(inside: Inside) -> None:
    for name in ("llmring.toml", "llmring.lock", ".gitattributes"):
        (inside.folder / name).unlink(missing_ok=True)
    shutil.rmtree(inside.folder / ".git", ignore_errors=True)
    publish(inside)


def manifest(inside: Inside) -> None:
    nothing(inside)
    inside.write("llmring.toml", MANIFEST)


def project(inside: Inside) -> None:
    manifest(inside)
    assert inside.run("lock").code == 0
    inside.write("seen.jsonl", SEEN)


def moved(inside: Inside) -> None:
    """The world is another one since it was locked."""
    project(inside)
    publish(inside, moved=True)


def stale(inside: Inside) -> None:
    project(inside)
    inside.write("llmring.toml", MANIFEST.replace('["anthropic:small-1"]', '["openai:tiny-1"]'))


def unsatisfied(inside: Inside) -> None:
    manifest(inside)
    inside.write("llmring.toml", MANIFEST + 'needs = ["vision"]\nmax-price = { input = "1" }\n')


def repository(inside: Inside) -> None:
    project(inside)
    git(inside, "init", "--quiet")
    git(inside, "add", "llmring.lock")
    git(inside, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "lock")
    publish(inside, moved=True)
    assert inside.run("lock", "upgrade", "--all", "--facts").code == 0


def in_conflict(inside: Inside, theirs: str = "b") -> None:
    nothing(inside)
    sides = [render_lock(lock_of_aliases(aliases)).decode() for aliases in ({"a": "x:one"}, {theirs: "x:two"})]
    inside.write("llmring.lock", f"<<<<<<< one\n{sides[0]}=======\n{sides[1]}>>>>>>> two\n")


def in_conflict_for_good(inside: Inside) -> None:
    in_conflict(inside, "a")


def colliding(inside: Inside) -> None:
    """Two aliases whose names are one in capitals."""
    inside.write("llmring.lock", render_lock(lock_of_aliases({"a-b": "x:one", "a.b": "x:two"})).decode())


def git(inside: Inside, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=inside.folder, check=True, capture_output=True, timeout=50)


@dataclass(frozen=True)
class Way:
    """Where it begins, what is called there, and how that ends."""

    begin: Callable[[Inside], None]
    words: str
    code: int = 0
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    forms: tuple[tuple[str, ...], ...] = ((), ("--json",))


TEXT: tuple[tuple[str, ...], ...] = ((),)
WAYS: Mapping[str, Way] = {
    "lock-good": Way(manifest, "lock"),
    "lock-bad": Way(unsatisfied, "lock", 3),
    "lock-kept": Way(stale, "lock", 1, {"LLMRING_LOCKED": "1"}),
    "lock-frozen": Way(stale, "lock", 0, {"LLMRING_FROZEN": "1"}),
    "init-good": Way(nothing, "lock init --from config.json --profiles prod"),
    "init-bad": Way(project, "lock init", 2),
    "check-good": Way(project, "lock check"),
    "check-bad": Way(stale, "lock check", 1, forms=((), ("--json",), ("--format", "sarif"))),
    "upgrade-good": Way(moved, "lock upgrade fast"),
    "upgrade-bad": Way(project, "lock upgrade fats", 1),
    "diff-good": Way(repository, "lock diff", forms=((), ("--json",), ("--format", "md"))),
    "diff-none": Way(project, "lock diff llmring.lock llmring.lock", forms=((), ("--json",), ("--format", "md"))),
    "diff-bad": Way(project, "lock diff llmring.lock no-such-lock", 2, {"GIT_CEILING_DIRECTORIES": "/"}),
    "audit-good": Way(project, "lock audit", forms=((), ("--json",), ("--format", "md"), ("--format", "sarif"))),
    "audit-bad": Way(moved, "lock audit --as-of 2099-06-30", 1),
    "export-good": Way(project, "lock export --profile dev"),
    "export-bad": Way(colliding, "lock export --format env", 2, forms=TEXT),
    "export-missing": Way(project, "lock export --profile dve", 1),
    "merge-driver-good": Way(repository, "lock merge-driver install"),
    "merge-driver-bad": Way(nothing, "lock merge-driver install", 2, {"GIT_CEILING_DIRECTORIES": "/"}),
    "resolve-conflicts-good": Way(in_conflict, "lock --resolve-conflicts"),
    "resolve-conflicts-bad": Way(in_conflict_for_good, "lock --resolve-conflicts", 1),
    "validate-good": Way(project, "lock validate"),
    "validate-bad": Way(stale, "lock validate", 1),
    "bump-registry-good": Way(moved, "lock bump-registry"),
    "bump-registry-bad": Way(moved, "lock bump-registry", 3, {"LLMRING_OFFLINE": "1"}),
    "contract-good": Way(project, "lock contract"),
    "contract-from": Way(project, "lock contract --from seen.jsonl"),
    "contract-bad": Way(nothing, "lock contract", 1),
    "bind-good": Way(project, "bind titles openai:tiny"),
    "bind-bad": Way(project, "bind titles openai:tinny-1", 3),
    "unbind-good": Way(project, "unbind titles"),
    "unbind-bad": Way(project, "unbind tiles", 1),
    "aliases-good": Way(project, "aliases --profile dev"),
    "aliases-bad": Way(project, "aliases --profile dve", 1),
    "resolve-good": Way(project, "resolve fast"),
    "resolve-bad": Way(project, "resolve fats", 1),
    "explain-good": Way(project, "explain fast"),
    "explain-bad": Way(project, "explain fats", 1),
}


@pytest.fixture
def team(inside: Inside) -> Inside:
    inside.monkeypatch.setenv("LLMRING_REGISTRY_URL", str(inside.folder / "registry"))
    inside.write(
        "config.json", '{"model_list": [{"model_name": "fast", "litellm_params": {"model": "openai/tiny-1"}}]}'
    )
    inside.hidden |= {TODAY: "<today>"}
    return inside


@pytest.mark.parametrize("name", WAYS)
def test_what_it_prints(team: Inside, name: str) -> None:
    way = WAYS[name]
    shown: list[str] = []
    for form in way.forms:
        way.begin(team)
        outcome = team.run(*way.words.split(), *form, **way.environ)
        shown.append(
            f"$ {outcome.command}\n[exit {outcome.code}]\n--- stdout\n{outcome.stdout}--- stderr\n{outcome.stderr}"
        )
        assert outcome.code == way.code, shown[-1]
    # The lock carries the day of its facts, so its digest is another one every day.
    check(f"path-{name}", re.sub(r'("lock_digest": "sha256:)[0-9a-f]{64}', r"\1<digest>", "\n".join(shown)))


def test_no_command_of_the_lock_is_left_out() -> None:
    for path in ("good", "bad"):
        shown = {name.removesuffix(f"-{path}") for name in WAYS if name.endswith(path)}
        others = {"lock", "resolve-conflicts", "bind", "unbind", "aliases", "resolve", "explain"}
        assert shown == others | SUBCOMMANDS.keys()
