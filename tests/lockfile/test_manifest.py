"""The providers that a manifest declares, as raw tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmring.exceptions import LockfileError
from llmring.lockfile.manifest import read_declared_providers


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
