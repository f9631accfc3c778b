"""A manifest, found and opened; the providers that it declares, as raw tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmring.exceptions import LockfileError
from llmring.lockfile.finding import Finding
from llmring.lockfile.manifest import read_declared_providers, read_manifest


def test_nothing_declared_is_an_empty_table(tmp_path: Path) -> None:
    assert read_declared_providers(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.llmring]\nschema = "1"\n')
    (tmp_path / "llmring.toml").write_text('schema = "1"\n')
    assert read_declared_providers(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "table"), [("llmring.toml", "providers"), ("pyproject.toml", "tool.llmring.providers")]
)
def test_provider_tables_come_as_they_stand(tmp_path: Path, name: str, table: str) -> None:
    (tmp_path / name).write_text(f'[{table}.house]\nbase_url = "https://llm.example"\nlocal = false\n')
    assert read_declared_providers(tmp_path) == {"house": {"base_url": "https://llm.example", "local": False}}


def test_providers_in_both_files_are_an_error_naming_both(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text('[providers.a]\nbase_url = "https://a.example"\n')
    (tmp_path / "pyproject.toml").write_text('[tool.llmring.providers.b]\nbase_url = "https://b.example"\n')
    with pytest.raises(LockfileError, match=r"llmring\.toml.*pyproject\.toml"):
        read_declared_providers(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("llmring.toml", "[providers", "broken TOML"),
        ("llmring.toml", "providers = 3", "no table"),
        ("llmring.toml", "[providers]\nhouse = 3", "'house'"),
        ("pyproject.toml", "[tool.llmring]\nproviders = []", r"tool\.llmring\.providers"),
        ("pyproject.toml", "x = " + "[" * 100_000, "broken TOML"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LockfileError, match=words) as raised:
        read_declared_providers(tmp_path)
    assert name in str(raised.value)


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\nllmring = 3"])
def test_a_pyproject_of_another_shape_declares_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_declared_providers(tmp_path) == {}


def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").mkdir()
    with pytest.raises(LockfileError, match="no regular file"):
        read_declared_providers(tmp_path)
    (tmp_path / "llmring.toml").rmdir()
    (tmp_path / "llmring.toml").write_bytes(b"\xff")
    with pytest.raises(LockfileError, match="broken TOML"):
        read_declared_providers(tmp_path)


@pytest.mark.parametrize("text", ["\ufeff{}", "{}", "\ufeff# a word\n{}"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_manifest_of_an_editor_on_windows_asks_for_the_same(tmp_path: Path, text: str, end: str) -> None:
    asked = text.format('[alias.fast]\nmodels = [\n  "openai:tiny",\n]\ntemperature = 0.5\n').replace("\n", end)
    (tmp_path / "llmring.toml").write_bytes(asked.encode())
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.profiles["default"].aliases["fast"].models == ("openai:tiny",)
    assert read_declared_providers(tmp_path) == {}


def test_a_source_may_be_a_package_and_each_is_named_once(tmp_path: Path) -> None:
    def read(order: str) -> tuple[str, ...]:
        (tmp_path / "llmring.toml").write_text(f"[sources]\nfacts = {order}\n")
        manifest = read_manifest(tmp_path)
        assert manifest is not None
        return manifest.sources.facts

    assert read('["plugin-acme", "registry"]') == ("plugin-acme", "registry")
    for wrong in (
        "[]",
        '["plugin-"]',
        '["plugin-../x"]',
        '["Plugin-x"]',
        '["registry", "registry"]',
        '["genai-prices"]',
    ):
        with pytest.raises(LockfileError, match="facts"):
            read(wrong)


def test_a_profile_can_lift_what_the_default_one_asks_for(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(
        '[alias.fast]\nmodels = ["a:one"]\nneeds = ["tools"]\nmax-price = { input = "1" }\n'
        "[profile.dev.alias.fast]\nneeds = []\nmax-price = {}\n"
    )
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    one = manifest.profiles["dev"].aliases["fast"]
    assert (one.needs, one.max_price) == ((), {})


def test_any_finding_of_an_audit_can_be_set_aside_by_its_key(tmp_path: Path) -> None:
    key = Finding("source.unreachable", "provider-api of openai", "no key").key
    ignore = f'[[audit.ignore]]\nid = "{key}"\nuntil = 2027-01-01\nreason = "no key here"\n'
    (tmp_path / "llmring.toml").write_text(ignore)
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert [rule.id for rule in manifest.ignored] == [key]
    (tmp_path / "llmring.toml").write_text(ignore.replace("of openai", "of openai "))
    with pytest.raises(LockfileError, match="needs id"):
        read_manifest(tmp_path)


def test_a_pool_of_a_profiles_own_brings_its_own_constraints(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(
        """schema = "1"
[alias.assistant]
models = ["anthropic:claude-sonnet-5"]
needs = ["tools", "vision"]
min-input = 200_000
max-price = { input = "3" }
temperature = 0.2
[profile.dev.alias.assistant]
models = ["ollama:llama3.2:3b"]
[profile.cheap.alias.assistant]
max-price = { input = "1" }
"""
    )
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    dev, cheap = (manifest.profiles[name].aliases["assistant"] for name in ("dev", "cheap"))
    assert (dev.models, dev.needs, dev.min_input, dev.max_price) == (("ollama:llama3.2:3b",), (), None, {})
    assert dev.parameters == {"temperature": 0.2}
    assert (cheap.models, cheap.needs, cheap.min_input) == (
        ("anthropic:claude-sonnet-5",),
        ("tools", "vision"),
        200_000,
    )
    assert cheap.max_price["input"] == 1
