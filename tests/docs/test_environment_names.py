"""The environment page says that it names every variable that is read, so no module may read one by a name of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src" / "llmring").rglob("*.py"))


def names_read_past_the_list(source: str) -> list[str]:
    """Variables that are read by `env.get("NAME")` or `env.is_set("NAME")`, in place of a constant of `env`."""
    return [
        call.args[0].value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and (call.func.value.id, call.func.attr) in {("env", "get"), ("env", "is_set")}
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def test_the_finder_finds() -> None:
    assert names_read_past_the_list('from llmring import env\nenv.get("HOME", {})\nenv.get(env.HOME)') == ["HOME"]


@pytest.mark.spec("U33")
def test_no_module_reads_a_variable_that_is_not_on_the_list() -> None:
    found = {path.name: names for path in SOURCES if (names := names_read_past_the_list(path.read_text()))}
    assert found == {}
