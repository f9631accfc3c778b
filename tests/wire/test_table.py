"""Dialects by name, and what the wire must not know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import llmring
from llmring.exceptions import ConfigurationError
from llmring.wire.table import DIALECTS, get_dialect


def test_every_dialect_is_listed_under_its_own_name() -> None:
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {name: name for name in DIALECTS}


def test_an_unknown_dialect_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="openai_chat"):
        get_dialect("openai")


def test_the_wire_and_the_schemas_import_no_io_and_no_vendor() -> None:
    root = Path(llmring.__file__).parent
    forbidden = {
        "asyncio",
        "socket",
        "ssl",
        "http",
        "aiohttp",
        "httpx",
        "openai",
        "anthropic",
        "google",
        "ollama",
        "urllib",
    }
    files = [*(root / "wire").rglob("*.py"), *(root / "schemas").glob("*.py")]
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.split(".")[0] for name in names}, file
