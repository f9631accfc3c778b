"""The two files of docs/ci, which people copy: they are what they claim, and every command in them does what it is there for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.blocks import ROOT

CI = ROOT / "docs" / "ci"
WORKFLOW = CI / "github-workflow.yml"
HOOKS = CI / "pre-commit-config.yaml"
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]

MANIFEST = 'schema = "1"\n[alias.fast]\nmodels = ["anthropic:claude-haiku-5-5"]\n'
DEARER = MANIFEST.replace("claude-haiku-5-5", "claude-sonnet-5-5")

FAKE_GH = """\
#!/bin/sh
echo "$*" >>calls
case "$*" in *--paginate*) cat ids;; esac
"""


def run_of(job: str, name: str) -> str:
    (found,) = [step["run"] for step in JOBS[job]["steps"] if step.get("name") == name]
    return found


@dataclass
class Project:
    """A repository with a manifest and its lock, and an origin that has the same."""

    folder: Path

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """As GitHub runs a step, with what a job of a pull request is told."""
        environ = {
            "PATH": f"{self.folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder.parent),
            "GITHUB_BASE_REF": "main",
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_STEP_SUMMARY": "summary.md",
            "NUMBER": "7",
            "OPENAI_API_KEY": "",  # a secret that is not set
        }
        return subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project(tmp_path_factory.mktemp("shipped"))
    project.write("llmring.toml", MANIFEST)
    made = project.run(
        "git init --quiet --initial-branch=main . ; git config user.name you ; git config user.email you@example.com\n"
        "llmring lock --offline\n"
        "git add llmring.toml llmring.lock ; git commit --quiet --message one\n"
        "git update-ref refs/remotes/origin/main HEAD"
    )
    assert made.returncode == 0, made.stderr
    return project.folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    return Project(shutil.copytree(template, tmp_path / "project"))


# What the workflow may do


def test_its_actions_are_pinned_to_the_commits_that_our_own_workflows_use() -> None:
    ours = "".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    used = re.findall(r"uses: (.*)", WORKFLOW.read_text())
    assert len(used) == 6
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action)
        assert action in ours


def test_only_the_job_that_runs_nothing_of_the_pull_request_may_write() -> None:
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in JOBS.items()} == {
        "check": None,
        "comment": {"pull-requests": "write"},
        "audit": None,
    }
    steps = JOBS["comment"]["steps"]
    assert [step["uses"].partition("@")[0] for step in steps if "uses" in step] == ["actions/download-artifact"]
    assert not any("pip" in step.get("run", "") or "llmring " in step.get("run", "") for step in steps)
    assert "pull_request_target" not in WORKFLOW.read_text()
    for job in JOBS.values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")  # what a stranger names is never part of a script
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_keys_are_given_to_the_nightly_audit_alone() -> None:
    with_keys = [
        (name, step["name"])
        for name, job in JOBS.items()
        for step in job["steps"]
        if "secrets." in str(step.get("env", ""))
    ]
    assert with_keys == [("audit", "The world is as it was locked")]
    assert WORKFLOW.read_text().count("secrets.") == len(JOBS["audit"]["steps"][3]["env"])
    assert JOBS["audit"]["if"] == "github.event_name != 'pull_request'"


# What its steps do


CHECK = "The lock is what the manifest asks for"
DIFF = "What it changes"


def test_a_pull_request_that_keeps_lock_and_manifest_together_passes_and_shows_its_changes(project: Project) -> None:
    project.write("llmring.toml", DEARER)
    assert project.run("llmring lock --offline").returncode == 0
    checked, compared = project.run(run_of("check", CHECK)), project.run(run_of("check", DIFF))
    assert (checked.returncode, checked.stdout, compared.returncode) == (0, "", 0)
    assert "first is now anthropic:claude-sonnet-5-5" in project.read("models.md")
    assert project.read("summary.md") == project.read("models.md")


def test_a_pull_request_that_changes_the_manifest_alone_is_marked_and_fails(project: Project) -> None:
    project.write("llmring.toml", DEARER)
    checked = project.run(run_of("check", CHECK))
    assert checked.returncode == 1
    assert checked.stdout.startswith("::error file=llmring.lock,line=")
    assert "lock.stale" in checked.stdout


@pytest.mark.parametrize(
    ("ids", "sent"),
    [
        ("", "api --method POST repos/acme/shop/issues/7/comments --field body=@comment.md --silent"),
        ("11\n12\n", "api --method PATCH repos/acme/shop/issues/comments/12 --field body=@comment.md --silent"),
    ],
)
def test_there_is_one_comment_which_later_pushes_write_anew(project: Project, ids: str, sent: str) -> None:
    project.write("gh", FAKE_GH)
    (project.folder / "gh").chmod(0o755)
    project.write("ids", ids)
    project.write("models.md", "### Models\n")
    ran = project.run(run_of("comment", "One comment, which each push writes anew"))
    assert ran.returncode == 0, ran.stderr
    assert project.read("calls").splitlines()[1:] == [sent]
    assert project.read("comment.md") == "<!-- llmring.lock -->\n### Models\n"


def test_an_audit_that_has_no_key_is_no_green_one_and_says_what_it_lacks(project: Project) -> None:
    audited = project.run(run_of("audit", "The world is as it was locked"))
    assert audited.returncode == 3
    assert "source.unreachable" in project.read("summary.md")
    proposed = project.run(run_of("audit", "What an upgrade would change"))
    assert (proposed.returncode, proposed.stderr) == (0, "note: llmring.lock is up to date\n")


# The hook


def test_the_hook_lets_a_commit_through_or_not_as_the_check_does(project: Project) -> None:
    run = f"PRE_COMMIT_HOME=.cache pre-commit run --config {HOOKS} --files llmring.toml"
    fine = project.run(run)
    assert fine.returncode == 0, fine.stdout + fine.stderr
    project.write("llmring.toml", DEARER)
    stopped = project.run(run)
    assert stopped.returncode == 1
    assert "lock.stale" in stopped.stdout


@pytest.mark.parametrize(
    ("path", "looks"),
    [("llmring.toml", True), ("llmring.lock", True), ("pyproject.toml", True), ("src/llmring.toml.py", False)],
)
def test_the_hook_looks_where_lock_and_manifest_lie(path: str, looks: bool) -> None:
    (repository,) = yaml.safe_load(HOOKS.read_text())["repos"]
    (hook,) = repository["hooks"]
    assert repository["repo"] == "local"  # nothing is fetched
    assert bool(re.search(hook["files"], path)) is looks
