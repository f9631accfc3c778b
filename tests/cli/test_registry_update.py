"""`llmring registry update`: where facts come from is said, and what cannot be had changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmring.cli.failures import UNDETERMINED, CommandError
from llmring.cli.registry_update import command
from llmring.exceptions import ConfigurationError, UnsafeURLError


def run(*arguments: str) -> None:
    command.main(args=list(arguments), standalone_mode=False)


@pytest.fixture
def facts(clean_environment: Path) -> Path:
    page = {"what": "a page", "url": "https://example.org/models", "date": "2026-11-01"}
    model = {"max_input": {"value": 7, "source": "page"}}
    file = {"schema": "1", "provider": "own", "as_of": "2026-11-01", "sources": {"page": page}, "models": {"m": model}}
    (clean_environment / "own.json").write_text(json.dumps(file))
    return clean_environment / "own.json"


@pytest.mark.spec("U23")
def test_an_update_says_what_it_has_from_where_and_of_when(
    facts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--url", "own.json")
    assert capsys.readouterr().out == f"1 model of {facts}, as of 2026-11-01\n"
    monkeypatch.setenv("LLMRING_REGISTRY_URL", str(facts))
    run("--json")
    told = {"origin": str(facts), "as_of": "2026-11-01", "models": 1, "changed": True}
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.spec("U23")
def test_an_update_from_nowhere_or_from_inside_a_network_fails_and_says_why(
    facts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="absent cannot be read") as caught:
        run("--url", "absent")
    assert (caught.value.exit_code, caught.value.hint is not None) == (UNDETERMINED, True)
    with pytest.raises(ConfigurationError, match="nowhere to refresh"):
        run()
    with pytest.raises(UnsafeURLError):
        run("--url", "https://127.0.0.1/facts")
    assert capsys.readouterr().out == ""
