"""The workflow files: every action pinned to a commit, no job that builds may publish, and only what was tested is published."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.release.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^(\w+):.*?##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_with_its_version(path: Any) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action


def test_only_the_publishing_jobs_may_ask_for_an_identity() -> None:
    release = load("release.yml")
    assert release["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions") for name, job in release["jobs"].items()}
    assert rights == {
        "build": None,
        "attest": {"attestations": "write", "id-token": "write"},
        "publish": {"id-token": "write"},
    }
    publish = release["jobs"]["publish"]
    assert publish["environment"]["name"] == "pypi"
    assert "PYPI_PROJECT" in publish["if"]
    # It uploads what `build` made; it runs nothing of the repository.
    assert not [step for step in publish["steps"] if "checkout" in step.get("uses", "")]


@pytest.mark.parametrize(
    ("step", "given", "passes"),
    [
        ("The tag names the version", {"TAG": "v1.2.3"}, True),
        ("The tag names the version", {"TAG": "v1.2.30"}, False),
        ("The tag names the version", {"TAG": "v1x2.3"}, False),
        ("The variable names this project", {"PROJECT": "llmring"}, True),
        ("The variable names this project", {"PROJECT": "llm"}, False),
    ],
)
def test_a_tag_or_a_project_that_is_not_the_tree_s_stops_the_release(
    step: str, given: dict[str, str], passes: bool, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "llmring"\nversion = "1.2.3"\n')
    (found,) = [each for each in load("release.yml")["jobs"]["build"]["steps"] if each.get("name") == step]
    assert set(found["env"]) == set(given)
    ran = subprocess.run(
        ["bash", "-e", "-c", found["run"]], cwd=tmp_path, env={"PATH": os.environ["PATH"], **given}, check=False
    )
    assert (ran.returncode == 0) == passes


def test_what_is_published_was_tested_and_attested() -> None:
    jobs = load("release.yml")["jobs"]
    assert (jobs["attest"]["needs"], jobs["publish"]["needs"]) == ("build", ["build", "attest"])
    runs = [step.get("run") for step in jobs["build"]["steps"]]
    kept = next(place for place, step in enumerate(jobs["build"]["steps"]) if "upload-artifact" in step.get("uses", ""))
    # `wheel` makes dist/ anew and tests it; nothing is made after it.
    assert runs.index("make check test") < runs.index("make wheel") == kept - 1
    taken = {
        name: step["with"] for name in jobs for step in jobs[name]["steps"] if "load-artifact" in step.get("uses", "")
    }
    assert {(name, given["name"], given["path"]) for name, given in taken.items()} == {
        (name, "dist", "dist/") for name in ("build", "attest", "publish")
    }
    (attested,) = [step["with"] for step in jobs["attest"]["steps"] if "attest-" in step["uses"]]
    assert attested == {"subject-path": "dist/*"}
    assert jobs["publish"]["steps"][-1]["with"] == {"attestations": True}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_checkout_leaves_no_token_behind(path: Path) -> None:
    steps = [step for job in load(path.name)["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert load(path.name)["permissions"] == {"contents": "read"}


def test_no_workflow_holds_a_secret_or_runs_for_a_stranger_s_pull_request_with_rights() -> None:
    for path in WORKFLOWS:
        text = path.read_text()
        assert "secrets." not in text
        assert "pull_request_target" not in text


def test_workflows_run_targets_that_exist() -> None:
    made = {
        target
        for row in load("ci.yml")["jobs"]["make"]["strategy"]["matrix"]["include"]
        for target in row["targets"].split()
    }
    assert {"check", "test", "wheel", "lowest"} <= made <= TARGETS
    for path in WORKFLOWS:
        for line in re.findall(r"run: make ([a-z ]+)$", path.read_text(), re.MULTILINE):
            assert set(line.split()) <= TARGETS
