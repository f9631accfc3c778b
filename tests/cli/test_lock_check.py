"""`llmring lock check` and `llmring lock contract`: what they print, and how they end."""

import json
from pathlib import Path

import pytest
from tests.cli.inside import Inside
from tests.lockfile.locked import MANIFEST, ROWS, lock_of, read, row

WHOLE = MANIFEST.partition("[extends]")[0]


def lay_out(inside: Inside, manifest: str = WHOLE, lock: bytes | None = None) -> None:
    inside.write("llmring.toml", manifest)
    (inside.folder / "llmring.lock").write_bytes(lock_of(read(WHOLE)) if lock is None else lock)


def many_faults() -> bytes:
    """A price that was edited, a fallback that cannot see, an orphan."""
    blind = row("openai:gpt-mini", caps=("tools", "reasoning"), lacks=frozenset({"vision"}))
    data = lock_of(read(WHOLE), [ROWS[0], blind, ROWS[2], row("openai:gone")])
    return data.replace(b'cache_read = "0.2"', b'cache_read = "0.1"', 1)


def test_fine(inside: Inside) -> None:
    lay_out(inside)
    inside.run("lock", "check").check("lock-check-fine")


def test_the_same_by_its_older_names(inside: Inside) -> None:
    lay_out(inside)
    plain = inside.run("lock", "check")
    for name in ("--check", "--locked"):
        again = inside.run("lock", name)
        assert (again.code, again.stdout) == (plain.code, plain.stdout)


@pytest.mark.spec("V04", "V08")
@pytest.mark.parametrize("format", ["text", "json", "github", "md"])
def test_faults(inside: Inside, format: str) -> None:
    lay_out(inside, lock=many_faults())
    inside.run("lock", "check", "--format", format).check(f"lock-check-faults-{format}")


def test_sarif(inside: Inside) -> None:
    lay_out(inside, lock=many_faults())
    outcome = inside.run("lock", "check", "--format", "sarif")
    results = json.loads(outcome.stdout)["runs"][0]["results"]
    assert (outcome.code, {result["ruleId"] for result in results}) == (
        4,
        {"facts.mismatch", "constraint.failed", "lock.orphan"},
    )


@pytest.mark.spec("V04")
def test_a_misspelt_fallback(inside: Inside) -> None:
    lay_out(inside, WHOLE.replace('"openai:gpt-mini"]\nneeds', '"openai:gpt-mimi"]\nneeds'))
    inside.run("lock", "check").check("lock-check-misspelt-fallback")


@pytest.mark.spec("X04")
def test_a_hand_over_that_loses_something(inside: Inside) -> None:
    accepted = '"openai:gpt-mini" = ["thinking signatures of anthropic dropped"]\n'
    lay_out(inside, WHOLE.replace(accepted, ""))
    inside.run("lock", "check").check("lock-check-lossy")


def test_nothing_to_check(inside: Inside) -> None:
    inside.run("lock", "check").check("lock-check-nothing")
    inside.write("llmring.toml", WHOLE)
    inside.run("lock", "check").check("lock-check-no-lock")


def test_without_a_manifest(inside: Inside) -> None:
    lay_out(inside)
    (inside.folder / "llmring.toml").unlink()
    inside.run("lock", "check").check("lock-check-no-manifest")


def test_bad_input(inside: Inside) -> None:
    lay_out(inside, lock=b'version = "1.1"\n<<<<<<< ours\n')
    inside.run("lock", "check").check("lock-check-conflict")
    lay_out(inside, manifest=WHOLE.replace("needs =", "neds ="))
    inside.run("lock", "check").check("lock-check-bad-manifest")


def test_a_lock_elsewhere_is_held_against_the_manifest_beside_it(inside: Inside) -> None:
    other = inside.folder / "other"
    other.mkdir()
    (other / "llmring.toml").write_text(WHOLE)
    (other / "llmring.lock").write_bytes(lock_of(read(WHOLE)))
    by_option = inside.run("lock", "check", "--lockfile", "other/llmring.lock", "--json")
    by_variable = inside.run("lock", "check", "--json", LLMRING_LOCKFILE_PATH="other/llmring.lock")
    assert by_option.code == by_variable.code == 0
    assert json.loads(by_option.stdout) == json.loads(by_variable.stdout)
    assert json.loads(by_option.stdout)["manifest"].endswith("other/llmring.toml")


@pytest.mark.spec("V03")
def test_checking_writes_nothing(inside: Inside) -> None:
    lay_out(inside, lock=many_faults())
    before = {path: path.read_bytes() for path in inside.folder.iterdir()}
    inside.run("lock", "check")
    assert {path: path.read_bytes() for path in inside.folder.iterdir()} == before


@pytest.mark.spec("X04")
def test_the_contract(inside: Inside) -> None:
    lay_out(inside)
    inside.run("lock", "contract").check("lock-contract")
    outcome = inside.run("lock", "contract", "--json", "--profile", "dev")
    promises = json.loads(outcome.stdout)["promises"]
    assert {promise["profile"] for promise in promises} == {"dev"}
    assert {edge["answer"] for promise in promises for edge in promise["takes_over"]} == {"yes", "no"}
    assert {edge["source"] for promise in promises for edge in promise["takes_over"]} == {"llmring's table of dialects"}
    assert {answer["source"] for promise in promises for answer in promise["serves"].values()} == {"registry"}
    inside.run("lock", "contract", "--profile", "deb").check("lock-contract-no-such-profile")


@pytest.mark.spec("X04")
def test_what_was_seen_becomes_part_of_the_contract(inside: Inside) -> None:
    lay_out(inside)
    seen: Path = inside.write("seen.jsonl", '{"alias": "fast", "json_schema": true, "input_tokens": 9000}\n')
    inside.run("lock", "contract", "--from", seen.name).check("lock-contract-from")
    assert 'needs = ["json_schema"]\nmin-input = 9000\n' in (inside.folder / "llmring.toml").read_text()
    assert "lock.stale" in inside.run("lock", "check").stdout
    again = inside.run("lock", "contract", "--from", seen.name, "--json")
    assert json.loads(again.stdout) == {"manifest": "llmring.toml", "added": {}, "written": False}
    inside.write("seen.jsonl", '{"alias": "fats"}\n')
    inside.run("lock", "contract", "--from", seen.name).check("lock-contract-from-unknown")
