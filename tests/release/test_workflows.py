"""The workflow files: every action pinned to a commit, and no job that builds may publish."""

import re
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
