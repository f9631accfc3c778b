"""Everybody who is to be measured is: by a contestant of its own, in an environment whose every version is pinned."""

import ast
import re
from pathlib import Path

import pytest
from benchmarks.peers import PEERS, Peer
from benchmarks.peers_table import gather_rows
from benchmarks.report import LATEST, read_json
from benchmarks.result import Result, Series

from benchmarks import environments

CONTESTANTS = Path(__file__).parents[2] / "benchmarks" / "contestants"
NAMED = {"openai", "anthropic", "google-genai", "ollama", "litellm", "any-llm-sdk", "lm-deluge", "pydantic-ai-slim"}
each_peer = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.environment)


def test_every_library_that_the_plan_names_is_measured() -> None:
    assert {environments.wanted(peer.environment)[0] for peer in PEERS} == NAMED


def test_every_contestant_is_measured_and_every_list_belongs_to_one() -> None:
    modules = {path.stem for path in CONTESTANTS.glob("*.py")} - {"__init__"}
    assert modules == {"bare_aiohttp", "llmring_ring"} | {peer.contestant for peer in PEERS}
    lists = {path.stem for path in environments.FOLDER.glob("*.txt")} - {"overrides"}
    assert lists == {peer.environment for peer in PEERS}


@each_peer
def test_every_version_of_an_environment_is_pinned(peer: Peer) -> None:
    lines = (environments.FOLDER / f"{peer.environment}.txt").read_text().splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*( ; .+)?", line)] == []


@each_peer
def test_the_pinned_list_holds_what_the_environment_is_made_for(peer: Peer) -> None:
    package, number = environments.wanted(peer.environment)
    assert f"{package}=={number}" in (environments.FOLDER / f"{peer.environment}.txt").read_text().splitlines()


@each_peer
def test_a_contestant_imports_nothing_of_llmring_and_judges_the_answer(peer: Peer) -> None:
    source = (CONTESTANTS / f"{peer.contestant}.py").read_text()
    assert not {name for name in _imported(source) if name.partition(".")[0] == "llmring"}
    assert "== ANSWER" in source


@each_peer
def test_a_contestant_says_what_was_switched_off(peer: Peer) -> None:
    said = ast.get_docstring(ast.parse((CONTESTANTS / f"{peer.contestant}.py").read_text()))
    assert said is not None
    assert re.search(r"Off: |nothing to switch off|to switch off", said)


@each_peer
def test_the_last_whole_run_measured_everybody(peer: Peer) -> None:
    _, results = read_json(LATEST.read_text())
    row = next(row for row in gather_rows(results, [peer.label]) if row.who == peer.label)
    assert row.call_us
    assert row.calls_per_s
    assert row.import_ms
    assert bool(row.chunk_us) == bool(peer.streams)


def test_a_missing_environment_ends_the_run_and_says_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environments, "_ENVIRONMENTS", tmp_path)
    with pytest.raises(SystemExit, match=r"litellm is missing or stale; run `python -m benchmarks\.environments`"):
        environments.python_of("litellm")


def test_rows_begin_with_the_floor_and_llmring_and_go_on_from_cheap_to_dear() -> None:
    results = [
        Result("PB01", "t", "m", tuple(Series(who, "µs", (us,)) for who, us in COSTS.items()), ()),
        Result("PB03", "t", "m", (Series("cheap", "µs", (7.0,)),), ()),
        Result("PB07", "t", "m", (Series("dear, imports", "ms", (900.0,)),), ()),
    ]

    rows = gather_rows(results, ["dear", "cheap"])

    assert [(row.who, row.ratio) for row in rows] == [
        ("bare aiohttp", 1.0),
        ("llmring", 2.0),
        ("cheap", 3.0),
        ("dear", 40.0),
    ]
    assert [row.chunk_us for row in rows] == [None, None, 7.0, None]
    assert [row.import_ms for row in rows] == [None, None, None, 900.0]


COSTS = {"dear": 4000.0, "bare aiohttp": 100.0, "cheap": 300.0, "llmring": 200.0}


def _imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names
