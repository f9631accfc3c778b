"""Pools as promises: who can serve, who can go on with what the others have begun, and what that loses."""

import pytest
from tests.lockfile.locked import LIBRARY, MANIFEST, ROWS, check, lock_of, read, row, speaker_of

from llmring.lockfile.contract import Examiner
from llmring.lockfile.finding import Finding
from llmring.registry.model_info import ModelInfo

POOL = """\
schema = "1"
[alias.assistant]
models = [{models}]
needs = [{needs}]
{more}
"""
NAMES = {
    "anthropic": "anthropic:claude-mini",
    "openai": "openai:gpt-mini",
    "ollama": "ollama:small:1b",
    "google": "google:mini",
}
ROWS_OF = {name: row(id, digest=None) for name, id in NAMES.items()}


def found_in(pool: list[str], needs: list[str], more: str = "") -> list[Finding]:
    """What is found of a pool of these providers, with rows that can do everything."""
    models = ", ".join(f'"{NAMES.get(name, f"{name}:model")}"' for name in pool)
    manifest = read(POOL.format(models=models, needs=", ".join(f'"{need}"' for need in needs), more=more))
    caps = ("json_schema", "pdf", "reasoning", "tool_choice", "tools", "vision", "web_search", "computer_use")
    rows = [row(NAMES.get(name, f"{name}:model"), caps=caps) for name in pool]
    return check(lock_of(manifest, rows), manifest)


def losses(findings: list[Finding]) -> list[tuple[str, str]]:
    return [
        (finding.facts["model"], finding.facts["loss"])
        for finding in findings
        if finding.facts and "loss" in finding.facts and finding.severity == "error"
    ]


@pytest.mark.spec("X04")
def test_seals_are_lost_where_an_alias_calls_tools_or_thinks() -> None:
    lost = [("openai:gpt-mini", "thinking signatures of anthropic dropped")]
    assert losses(found_in(["anthropic", "openai"], ["tools"])) == lost
    assert losses(found_in(["anthropic", "openai"], ["reasoning"])) == lost
    assert (
        found_in(["anthropic", "openai"], ["vision"]) == []
    )  # there is nothing in its history that the other could not take
    assert found_in(["anthropic", "anthropic"][:1], ["tools"]) == []
    both = losses(found_in(["anthropic", "google"], ["tools"]))
    assert both == [
        ("google:mini", "thinking signatures of anthropic dropped"),
        ("anthropic:claude-mini", "thinking signatures of google dropped"),
    ]


@pytest.mark.spec("X04")
def test_thinking_without_a_seal_is_missed_by_who_asked_for_it() -> None:
    assert losses(found_in(["ollama", "openai"], ["tools"])) == []
    assert losses(found_in(["ollama", "openai"], ["reasoning"])) == [("openai:gpt-mini", "thinking of ollama dropped")]


@pytest.mark.spec("X04")
def test_uploads_and_a_provider_s_own_blocks() -> None:
    assert losses(found_in(["openai", "anthropic"], ["pdf"])) == [
        ("anthropic:claude-mini", "uploads of openai refused"),
        ("openai:gpt-mini", "uploads of anthropic refused"),
    ]
    assert losses(found_in(["openai", "anthropic"], ["web_search"])) == [
        ("openai:gpt-mini", "blocks of anthropic dropped")
    ]


@pytest.mark.spec("X04")
@pytest.mark.parametrize("need", ["pdf", "tool_choice", "web_search", "computer_use"])
def test_what_a_dialect_has_no_words_for_is_no_whatever_the_model_can(need: str) -> None:
    (found,) = [one for one in found_in(["ollama"], [need]) if one.id == "constraint.failed"]
    assert found.facts == {"model": "ollama:small:1b", "need": need}
    assert found.source == "llmring's table of dialects"


@pytest.mark.spec("X04")
def test_a_provider_that_nobody_here_knows_is_unknown_and_not_fine() -> None:
    findings = found_in(["openai", "mine"], ["tools"])
    assert {(finding.id, finding.severity) for finding in findings} == {("handover.unknown", "error")}
    assert losses(findings) == [
        ("mine:model", "history of openai unknown"),
        ("openai:gpt-mini", "history of mine unknown"),
    ]
    more = '[alias.assistant.lossy]\n"openai:gpt-mini" = ["history of mine unknown"]\n"mine:model" = ["history of openai unknown"]'
    assert found_in(["openai", "mine"], ["tools"], more) == []


@pytest.mark.spec("X04")
def test_a_loss_that_was_accepted_is_no_finding_and_one_that_is_none_is_noted() -> None:
    accepted = '[alias.assistant.lossy]\n"openai:gpt-mini" = ["thinking signatures of anthropic dropped"]'
    assert found_in(["anthropic", "openai"], ["tools"], accepted) == []
    (note,) = found_in(["anthropic", "openai"], ["vision"], accepted)
    assert (note.id, note.severity) == ("handover.lossy", "note")


@pytest.mark.spec("X04")
def test_a_model_that_does_not_think_leaves_nothing_to_lose() -> None:
    manifest = read(MANIFEST)
    still = row("anthropic:claude-mini", caps=("tools", "vision"), lacks=frozenset({"reasoning"}))
    (note,) = check(lock_of(manifest, [still, *ROWS[1:]], {"libA": LIBRARY}), manifest, {"libA": LIBRARY})
    assert note.severity == "note"


@pytest.mark.spec("X04")
def test_answers_say_who_says_so() -> None:
    examiner = Examiner(speaker_of)
    known = ModelInfo(
        "ollama:small:1b", caps=frozenset({"pdf", "tools"}), lacks=frozenset({"vision"}), facts_source="ollama listing"
    )
    answers = {need: examiner.serves(known, need) for need in ("pdf", "tools", "vision", "reasoning")}
    assert {need: (answer.verdict, answer.source) for need, answer in answers.items()} == {
        "pdf": ("no", "llmring's table of dialects"),
        "tools": ("yes", "ollama listing"),
        "vision": ("no", "ollama listing"),
        "reasoning": ("unknown", "ollama listing"),
    }


@pytest.mark.spec("X04")
def test_all_edges_are_listed_when_asked_for() -> None:
    infos = {one.info.id: one.info for one in ROWS_OF.values()}
    edges = list(Examiner(speaker_of).edges([NAMES["anthropic"], NAMES["ollama"]], [], infos, all=True))
    told = {(edge.target, edge.kind, edge.verdict) for edge in edges}
    assert (NAMES["ollama"], "call_ids", "yes") in told
    assert (NAMES["ollama"], "thinking", "no") in told
    assert not any(edge.matters for edge in edges)
