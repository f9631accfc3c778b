"""`llmring lock` and what belongs to making a lock: init, upgrade, bump-registry, validate. No key, no server: the registry answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.cli.inside import Inside
from tests.cli.shell import LOCKFILE, Shell, check

from llmring.lockfile.parse import parse_lock
from llmring.testing.http_server import HTTPServer, Request, plain

# A registry of our own, so that no test moves with the one that ships.
MODELS: dict[str, dict[str, Any]] = {
    "tiny": {
        "pin": {"value": "pointer", "source": "page"},
        "points_to": {"value": "tiny-1", "source": "page"},
    },
    "tiny-1": {
        "pin": {"value": "snapshot", "source": "page"},
        "max_input": {"value": 1000, "source": "page"},
        "caps": {"tools": {"value": True, "source": "page"}},
        "price": {"input": {"value": "2", "source": "page"}, "output": {"value": "8", "source": "page"}},
    },
    "tiny-2": {"pin": {"value": "snapshot", "source": "page"}},
}
REGISTRY: dict[str, Any] = {
    "schema": "1",
    "provider": "openai",
    "as_of": "2099-01-01",
    "sources": {"page": {"what": "a page", "url": "https://example.org/models", "date": "2099-01-01"}},
    "models": MODELS,
}
OPENAI = '[sources]\nfacts = ["registry"]\nprices = ["registry"]\nlifecycle = ["registry"]\n\n[alias.fast]\nmodels = ["openai:tiny"]\n'


@pytest.fixture
def empty(inside: Inside) -> Inside:
    """A folder with a registry of its own beside it, and neither manifest nor lock."""
    write_registry(inside.folder)
    inside.monkeypatch.setenv("LLMRING_REGISTRY_URL", str(inside.folder / "registry"))
    return inside


def write_registry(folder: Path, **facts: object) -> None:
    (folder / "registry").mkdir(exist_ok=True)
    (folder / "registry" / "openai.json").write_text(json.dumps(REGISTRY | facts))


def look(path: Path) -> tuple[int, int, int]:
    """What a write would change."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def put(empty: Inside | Shell, text: str) -> Path:
    (empty.folder / "llmring.toml").write_text(text)
    return empty.folder / "llmring.lock"


@pytest.mark.spec("V01")
def test_a_lock_is_made_and_a_second_time_nothing_is_written(empty: Inside) -> None:
    lock = put(empty, OPENAI)
    empty.run("lock").check("lock-made")
    check("lock-golden", lock.read_text())
    status = look(lock)
    empty.run("lock").check("lock-up-to-date")
    assert look(lock) == status


def test_a_lock_in_json(empty: Inside) -> None:
    put(empty, OPENAI)
    empty.run("lock", "--json").check("lock-json")


def test_a_model_that_nobody_knows_leaves_everything_as_it_was(empty: Inside) -> None:
    lock = put(empty, OPENAI.replace("openai:tiny", "openai:tinny-1"))
    lock.write_text('version = "1.0"\n')
    empty.run("lock").check("lock-unknown-model")
    assert lock.read_text() == 'version = "1.0"\n'


def test_constraints_that_do_not_hold_in_json(empty: Inside) -> None:
    lock = put(empty, OPENAI + 'needs = ["vision"]\nmax-price = { input = "1" }\n')
    empty.run("lock", "--json").check("lock-constraints-json")
    assert not lock.exists()


@pytest.mark.spec("V03")
def test_without_keys_the_registry_answers_and_who_could_not_be_asked_is_said(empty: Inside) -> None:
    put(empty, '[alias.fast]\nmodels = ["openai:tiny-1"]\n[sources]\nprices = ["registry"]\n')
    empty.run("lock").check("lock-without-keys")
    # Whoever asks for something newer must not be told that there is none.
    lock = (empty.folder / "llmring.lock").read_bytes()
    empty.run("lock", "upgrade", "--all").check("lock-upgrade-without-keys")
    assert (empty.folder / "llmring.lock").read_bytes() == lock


def test_no_manifest_is_said_and_how_to_get_one(empty: Inside) -> None:
    empty.run("lock").check("lock-no-manifest")
    empty.run("lock", "upgrade").check("lock-upgrade-no-manifest")


def test_a_subcommand_that_is_none_has_close_ones(inside: Inside) -> None:
    inside.run("lock", "upgarde").check("lock-no-such-command")


def test_an_option_before_a_subcommand_is_no_promise_that_goes_unheard(inside: Inside) -> None:
    inside.run("lock", "--offline", "upgrade", "--all").check("lock-option-before")


# Upgrade


def test_an_upgrade_without_a_name_lists_the_choices(empty: Inside) -> None:
    put(empty, OPENAI)
    empty.run("lock", "upgrade").check("lock-upgrade-bare")
    empty.run("lock", "upgrade", "fsat").check("lock-upgrade-unknown-alias")
    empty.run("lock", "upgrade", "--precise", "fast").check("lock-upgrade-no-precise")


def test_a_pointer_moves_when_it_is_asked_to_and_not_before(empty: Inside) -> None:
    lock = put(empty, OPENAI)
    empty.run("lock")
    before = lock.read_bytes()
    models = dict(MODELS)
    models["tiny"] = {**models["tiny"], "points_to": {"value": "tiny-2", "source": "page"}}
    write_registry(empty.folder, models=models)
    empty.run("lock")
    assert lock.read_bytes() == before
    empty.run("lock", "upgrade", "fast", "--dry-run", "--exit-code").check("lock-upgrade-dry-run")
    assert lock.read_bytes() == before
    empty.run("lock", "upgrade", "fast").check("lock-upgrade-moved")
    assert parse_lock(lock.read_bytes(), "").profiles["default"].bindings["fast"].models == ("openai:tiny-2",)
    empty.run("lock", "upgrade", "--precise", "fast=openai:tiny-1", "--json").check("lock-upgrade-precise-json")


def test_facts_are_gathered_anew_and_a_price_that_fell_asks_for_a_person(empty: Inside) -> None:
    lock = put(empty, OPENAI)
    empty.run("lock")
    models = dict(MODELS)
    models["tiny-1"] = {**models["tiny-1"], "price": {"input": {"value": "0.5", "source": "page"}}}
    write_registry(empty.folder, models=models)
    empty.run("lock", "upgrade", "--all", "--facts").check("lock-upgrade-halved")
    empty.run("lock", "upgrade", "--all", "--facts", "--accept-price").check("lock-upgrade-accepted")
    assert b'price = { input = "0.5" }' in lock.read_bytes()


@pytest.mark.spec("V05")
@pytest.mark.parametrize("how", ["flag", "variable", "unreachable"])
def test_bump_registry_offline_changes_nothing_and_exits_3(empty: Inside, how: str) -> None:
    lock = put(empty, '[alias.fast]\nmodels = ["ollama:tiny"]\n')
    lock.write_text('version = "1.0"\n[[profiles.default.bindings]]\nalias = "fast"\nmodels = ["ollama:tiny"]\n')
    before = {path: look(path) for path in empty.folder.iterdir()}
    # Nothing listens on port 9 of this machine.
    environ = {"LLMRING_OFFLINE": "1"} if how == "variable" else {"OLLAMA_HOST": "http://127.0.0.1:9"}
    outcome = empty.run("lock", "bump-registry", *(["--offline"] if how == "flag" else []), **environ)
    assert outcome.code == 3, outcome
    assert {path: look(path) for path in empty.folder.iterdir()} == before


@pytest.mark.spec("V05")
def test_bump_registry_offline_is_none_where_no_source_is_asked_over_the_network(empty: Inside) -> None:
    lock = put(empty, OPENAI)
    assert empty.run("lock", "bump-registry", "--offline").code == 3
    assert not lock.exists()


@pytest.mark.spec("V03")
def test_an_upgrade_by_a_registry_that_cannot_be_read_knows_nothing_newer(empty: Inside) -> None:
    lock = put(empty, OPENAI)
    assert empty.run("lock").code == 0
    before = look(lock)
    arguments = ("lock", "upgrade", "--all", "--facts", "--offline")
    assert empty.run(*arguments).code == 0
    outcome = empty.run(*arguments, LLMRING_REGISTRY_URL=str(empty.folder / "nowhere"))
    assert outcome.code == 3, outcome
    assert "see LLMRING_REGISTRY_URL" in outcome.stdout
    assert look(lock) == before


# Ollama


@pytest.mark.spec("V13")
async def test_ollamas_digest_is_locked_and_moves_only_when_it_is_asked_to(shell: Shell) -> None:
    tags: list[dict[str, Any]] = [{"name": "tiny:1b", "model": "tiny:1b", "digest": "a" * 64, "size": 10**9}]

    def answer(request: Request) -> list[bytes]:
        said: Any = (
            {"models": tags} if request.target == "/api/tags" else {"capabilities": ["completion"], "model_info": {}}
        )
        return [plain(200, {"Content-Type": "application/json"}, json.dumps(said).encode())]

    server = HTTPServer(answer)
    await server.start()
    try:
        (shell.folder / "llmring.lock").unlink()
        write_registry(shell.folder)
        shell.environ["LLMRING_REGISTRY_URL"] = str(shell.folder / "registry")
        shell.environ["OLLAMA_HOST"] = f"http://127.0.0.1:{server.port}"
        lock = put(shell, '[defaults]\nmin-pin = "content"\n[alias.fast]\nmodels = ["ollama:tiny:1b"]\n')
        (await shell.run("lock")).check("lock-ollama-pulled")
        assert f'digest = "sha256:{"a" * 64}"' in lock.read_text()
        tags[0]["digest"] = "b" * 64
        assert "up to date" in (await shell.run("lock")).stderr
        (await shell.run("lock", "upgrade", "--all")).check("lock-ollama-changed")
        before = lock.read_bytes()
        tags.clear()
        (await shell.run("lock", "upgrade", "--all")).check("lock-ollama-missing")
        assert lock.read_bytes() == before
    finally:
        await server.close()


# Init


def test_init_writes_a_manifest_and_its_lock_and_never_overwrites(empty: Inside) -> None:
    config = empty.folder / "config.json"
    config.write_text(
        json.dumps(
            {"model_list": [{"model_name": "fast", "litellm_params": {"model": "openai/tiny-1", "api_key": "k" * 40}}]}
        )
    )
    arguments = ("lock", "init", "--from", "config.json", "--profiles", "prod", "--offline")
    empty.run(*arguments).check("lock-init")
    assert (
        (empty.folder / "llmring.toml")
        .read_text()
        .endswith('[alias.fast]\nmodels = [\n    "openai:tiny-1",\n]\n\n[profile.prod]\n')
    )
    before = look(empty.folder / "llmring.toml")
    empty.run(*arguments).check("lock-init-again")
    assert look(empty.folder / "llmring.toml") == before
    assert empty.run(*arguments, "--force").code == 0


def test_init_begins_with_the_lock_that_is_here_and_keeps_its_pins(inside: Inside) -> None:
    before = parse_lock(inside.write("llmring.lock", LOCKFILE).read_bytes(), "")
    assert inside.run("lock", "init", "--offline").code in (0, 3)
    manifest = (inside.folder / "llmring.toml").read_text()
    for binding in before.profiles["default"].bindings.values():
        assert f"[alias.{binding.alias}]" in manifest
        assert all(f'"{model}"' in manifest for model in binding.models)


def test_init_chooses_the_same_whatever_keys_are_here(inside: Inside) -> None:
    texts: list[str] = []
    for environ in ({}, {"ANTHROPIC_API_KEY": "sk-ant-0123456789abcdefghij"}):
        (inside.folder / "llmring.lock").unlink(missing_ok=True)
        outcome = inside.run("lock", "init", "--suggest", "--offline", "--force", **environ)
        assert outcome.code == 0, outcome
        assert inside.run("lock", "check").code == 0
        texts.append((inside.folder / "llmring.toml").read_text())
        texts.append((inside.folder / "llmring.lock").read_text())
    assert texts[:2] == texts[2:]


def test_init_tells_git_how_to_merge_locks(empty: Inside) -> None:
    import subprocess

    subprocess.run(["git", "init", "--quiet", str(empty.folder)], check=True, timeout=50)
    outcome = empty.run("lock", "init", "--git", "--offline", "--json")
    assert json.loads(outcome.stdout)["manifest"] == "<folder>/llmring.toml", outcome
    assert "llmring.lock merge=" in (empty.folder / ".gitattributes").read_text()


def test_init_refuses_two_beginnings_and_a_second_manifest(empty: Inside) -> None:
    empty.run("lock", "init", "--from", "x", "--suggest").check("lock-init-two-beginnings")
    (empty.folder / "pyproject.toml").write_text('[tool.llmring.alias.fast]\nmodels = ["llamacpp:one"]\n')
    empty.run("lock", "init").check("lock-init-in-pyproject")
    assert sorted(os.listdir(empty.folder)) == ["pyproject.toml", "registry"]


def test_validate_checks_and_audits(empty: Inside) -> None:
    put(empty, OPENAI)
    assert empty.run("lock").code == 0
    outcome = empty.run("lock", "validate", "--json")
    assert len([json.loads(line) for line in outcome.stdout.splitlines()]) == 2
    put(empty, OPENAI + 'needs = ["tools"]\n')
    stale = empty.run("lock", "validate")
    assert stale.code in (1, 3), stale
    assert "lock.stale" in stale.stdout
