"""`llmring lock` and what belongs to making a lock: init, upgrade, bump-registry, validate. No key, no server: the registry answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shell import Shell, check

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
def empty(shell: Shell) -> Shell:
    """A folder with a registry of its own beside it, and neither manifest nor lock."""
    (shell.folder / "llmring.lock").unlink()
    write_registry(shell.folder)
    shell.environ["LLMRING_REGISTRY_URL"] = str(shell.folder / "registry")
    return shell


def write_registry(folder: Path, **facts: object) -> None:
    (folder / "registry").mkdir(exist_ok=True)
    (folder / "registry" / "openai.json").write_text(json.dumps(REGISTRY | facts))


def look(path: Path) -> tuple[int, int, int]:
    """What a write would change."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def put(shell: Shell, text: str) -> Path:
    (shell.folder / "llmring.toml").write_text(text)
    return shell.folder / "llmring.lock"


@pytest.mark.spec("V01")
async def test_a_lock_is_made_and_a_second_time_nothing_is_written(empty: Shell) -> None:
    lock = put(empty, OPENAI)
    (await empty.run("lock")).check("lock-made")
    check("lock-golden", lock.read_text())
    status = look(lock)
    (await empty.run("lock")).check("lock-up-to-date")
    assert look(lock) == status


async def test_a_lock_in_json(empty: Shell) -> None:
    put(empty, OPENAI)
    (await empty.run("lock", "--json")).check("lock-json")


async def test_a_model_that_nobody_knows_leaves_everything_as_it_was(empty: Shell) -> None:
    lock = put(empty, OPENAI.replace("openai:tiny", "openai:tinny-1"))
    lock.write_text('version = "1.0"\n')
    (await empty.run("lock")).check("lock-unknown-model")
    assert lock.read_text() == 'version = "1.0"\n'


async def test_constraints_that_do_not_hold_in_json(empty: Shell) -> None:
    lock = put(empty, OPENAI + 'needs = ["vision"]\nmax-price = { input = "1" }\n')
    (await empty.run("lock", "--json")).check("lock-constraints-json")
    assert not lock.exists()


@pytest.mark.spec("V03")
async def test_without_keys_the_registry_answers_and_who_could_not_be_asked_is_said(empty: Shell) -> None:
    put(empty, '[alias.fast]\nmodels = ["openai:tiny-1"]\n[sources]\nprices = ["registry"]\n')
    (await empty.run("lock")).check("lock-without-keys")
    # Whoever asks for something newer must not be told that there is none.
    lock = (empty.folder / "llmring.lock").read_bytes()
    (await empty.run("lock", "upgrade", "--all")).check("lock-upgrade-without-keys")
    assert (empty.folder / "llmring.lock").read_bytes() == lock


async def test_no_manifest_is_said_and_how_to_get_one(empty: Shell) -> None:
    (await empty.run("lock")).check("lock-no-manifest")
    (await empty.run("lock", "upgrade")).check("lock-upgrade-no-manifest")


async def test_a_subcommand_that_is_none_has_close_ones(shell: Shell) -> None:
    (await shell.run("lock", "upgarde")).check("lock-no-such-command")


async def test_an_option_before_a_subcommand_is_no_promise_that_goes_unheard(shell: Shell) -> None:
    (await shell.run("lock", "--offline", "upgrade", "--all")).check("lock-option-before")


# Upgrade


async def test_an_upgrade_without_a_name_lists_the_choices(empty: Shell) -> None:
    put(empty, OPENAI)
    (await empty.run("lock", "upgrade")).check("lock-upgrade-bare")
    (await empty.run("lock", "upgrade", "fsat")).check("lock-upgrade-unknown-alias")
    (await empty.run("lock", "upgrade", "--precise", "fast")).check("lock-upgrade-no-precise")


async def test_a_pointer_moves_when_it_is_asked_to_and_not_before(empty: Shell) -> None:
    lock = put(empty, OPENAI)
    await empty.run("lock")
    before = lock.read_bytes()
    models = dict(MODELS)
    models["tiny"] = {**models["tiny"], "points_to": {"value": "tiny-2", "source": "page"}}
    write_registry(empty.folder, models=models)
    await empty.run("lock")
    assert lock.read_bytes() == before
    (await empty.run("lock", "upgrade", "fast", "--dry-run", "--exit-code")).check("lock-upgrade-dry-run")
    assert lock.read_bytes() == before
    (await empty.run("lock", "upgrade", "fast")).check("lock-upgrade-moved")
    assert parse_lock(lock.read_bytes(), "").profiles["default"].bindings["fast"].models == ("openai:tiny-2",)
    (await empty.run("lock", "upgrade", "--precise", "fast=openai:tiny-1", "--json")).check("lock-upgrade-precise-json")


async def test_facts_are_gathered_anew_and_a_price_that_fell_asks_for_a_person(empty: Shell) -> None:
    lock = put(empty, OPENAI)
    await empty.run("lock")
    models = dict(MODELS)
    models["tiny-1"] = {**models["tiny-1"], "price": {"input": {"value": "0.5", "source": "page"}}}
    write_registry(empty.folder, models=models)
    (await empty.run("lock", "upgrade", "--all", "--facts")).check("lock-upgrade-halved")
    (await empty.run("lock", "upgrade", "--all", "--facts", "--accept-price")).check("lock-upgrade-accepted")
    assert b'price = { input = "0.5" }' in lock.read_bytes()


@pytest.mark.spec("V05")
@pytest.mark.parametrize("how", ["flag", "variable", "unreachable"])
async def test_bump_registry_offline_changes_nothing_and_exits_3(empty: Shell, how: str) -> None:
    lock = put(empty, '[alias.fast]\nmodels = ["ollama:tiny"]\n')
    lock.write_text('version = "1.0"\n[[profiles.default.bindings]]\nalias = "fast"\nmodels = ["ollama:tiny"]\n')
    before = {path: look(path) for path in empty.folder.iterdir()}
    # Nothing listens on port 9 of this machine.
    environ = {"LLMRING_OFFLINE": "1"} if how == "variable" else {"OLLAMA_HOST": "http://127.0.0.1:9"}
    outcome = await empty.run("lock", "bump-registry", *(["--offline"] if how == "flag" else []), **environ)
    assert outcome.code == 3, outcome
    assert {path: look(path) for path in empty.folder.iterdir()} == before


# Ollama


@pytest.mark.spec("V13")
async def test_ollamas_digest_is_locked_and_moves_only_when_it_is_asked_to(empty: Shell) -> None:
    tags: list[dict[str, Any]] = [{"name": "tiny:1b", "model": "tiny:1b", "digest": "a" * 64, "size": 10**9}]

    def answer(request: Request) -> list[bytes]:
        said: Any = (
            {"models": tags} if request.target == "/api/tags" else {"capabilities": ["completion"], "model_info": {}}
        )
        return [plain(200, {"Content-Type": "application/json"}, json.dumps(said).encode())]

    server = HTTPServer(answer)
    await server.start()
    try:
        empty.environ["OLLAMA_HOST"] = f"http://127.0.0.1:{server.port}"
        lock = put(empty, '[defaults]\nmin-pin = "content"\n[alias.fast]\nmodels = ["ollama:tiny:1b"]\n')
        (await empty.run("lock")).check("lock-ollama-pulled")
        assert f'digest = "sha256:{"a" * 64}"' in lock.read_text()
        tags[0]["digest"] = "b" * 64
        assert "up to date" in (await empty.run("lock")).stderr
        (await empty.run("lock", "upgrade", "--all")).check("lock-ollama-changed")
        before = lock.read_bytes()
        tags.clear()
        (await empty.run("lock", "upgrade", "--all")).check("lock-ollama-missing")
        assert lock.read_bytes() == before
    finally:
        await server.close()


# Init


async def test_init_writes_a_manifest_and_its_lock_and_never_overwrites(empty: Shell) -> None:
    config = empty.folder / "config.json"
    config.write_text(
        json.dumps(
            {"model_list": [{"model_name": "fast", "litellm_params": {"model": "openai/tiny-1", "api_key": "k" * 40}}]}
        )
    )
    arguments = ("lock", "init", "--from", "config.json", "--profiles", "prod", "--offline")
    (await empty.run(*arguments)).check("lock-init")
    assert (
        (empty.folder / "llmring.toml")
        .read_text()
        .endswith('[alias.fast]\nmodels = [\n    "openai:tiny-1",\n]\n\n[profile.prod]\n')
    )
    before = look(empty.folder / "llmring.toml")
    (await empty.run(*arguments)).check("lock-init-again")
    assert look(empty.folder / "llmring.toml") == before
    assert (await empty.run(*arguments, "--force")).code == 0


async def test_init_begins_with_the_lock_that_is_here_and_keeps_its_pins(shell: Shell) -> None:
    before = parse_lock((shell.folder / "llmring.lock").read_bytes(), "")
    assert (await shell.run("lock", "init", "--offline")).code in (0, 3)
    manifest = (shell.folder / "llmring.toml").read_text()
    for binding in before.profiles["default"].bindings.values():
        assert f"[alias.{binding.alias}]" in manifest
        assert all(f'"{model}"' in manifest for model in binding.models)


async def test_init_chooses_the_same_whatever_keys_are_here(shell: Shell) -> None:
    texts: list[str] = []
    for environ in ({}, {"ANTHROPIC_API_KEY": "sk-ant-0123456789abcdefghij"}):
        (shell.folder / "llmring.lock").unlink(missing_ok=True)
        outcome = await shell.run("lock", "init", "--suggest", "--offline", "--force", **environ)
        assert outcome.code == 0, outcome
        texts.append((shell.folder / "llmring.toml").read_text())
        texts.append((shell.folder / "llmring.lock").read_text())
    assert texts[:2] == texts[2:]


async def test_init_tells_git_how_to_merge_locks(empty: Shell) -> None:
    import subprocess

    subprocess.run(["git", "init", "--quiet", str(empty.folder)], check=True, timeout=50)
    outcome = await empty.run("lock", "init", "--git", "--offline", "--json")
    assert json.loads(outcome.stdout)["manifest"] == "<folder>/llmring.toml", outcome
    assert "llmring.lock merge=" in (empty.folder / ".gitattributes").read_text()


async def test_init_refuses_two_beginnings_and_a_second_manifest(empty: Shell) -> None:
    (await empty.run("lock", "init", "--from", "x", "--suggest")).check("lock-init-two-beginnings")
    (empty.folder / "pyproject.toml").write_text('[tool.llmring.alias.fast]\nmodels = ["llamacpp:one"]\n')
    (await empty.run("lock", "init")).check("lock-init-in-pyproject")
    assert sorted(os.listdir(empty.folder)) == ["pyproject.toml", "registry"]


async def test_validate_checks_and_audits(empty: Shell) -> None:
    put(empty, OPENAI)
    assert (await empty.run("lock")).code == 0
    outcome = await empty.run("lock", "validate", "--json")
    assert len([json.loads(line) for line in outcome.stdout.splitlines()]) == 2
    put(empty, OPENAI + 'needs = ["tools"]\n')
    stale = await empty.run("lock", "validate")
    assert stale.code in (1, 3), stale
    assert "lock.stale" in stale.stdout
