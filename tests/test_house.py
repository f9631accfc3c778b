"""The rules of the house that other programs keep, asked of those programs; and one that none of them knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmring

ROOT = Path(__file__).parent.parent
SOURCE = Path(llmring.__file__).parent


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """What another module may call: of the module, and of its public classes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
            node.name == "__init__" or not node.name.startswith("_")
        ):
            yield node


@pytest.mark.spec("A18")
def test_no_floor_looks_up_and_no_contract_is_broken() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.spec("A18")
def test_below_calls_nothing_can_try_again_or_wait_for_a_limit() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract.get("containers") == ["llmring"])
    at = {name: number for number, names in enumerate(floors) for name in re.findall(r"\w+", names)}
    assert at["calls"] < at["resilience"] < at["providers"] < at["transport"] < at["wire"]


@pytest.mark.spec("A17")
def test_between_modules_nothing_is_passed_that_nobody_has_named() -> None:
    found = [
        f"{path.relative_to(SOURCE)}: {function.name}(**{function.args.kwarg.arg})"
        for path in SOURCE.rglob("*.py")
        for function in public_functions(ast.parse(path.read_text()).body)
        if function.args.kwarg is not None
    ]
    assert found == []


@pytest.mark.spec("A17")
def test_the_type_checker_is_strict_on_the_whole_package() -> None:
    checker = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]
    assert checker["typeCheckingMode"] == "strict"
    assert "src" in checker["include"]
    off = [name for name, value in checker.items() if name.startswith("report") and value in (False, "none")]
    assert off == ["reportMissingTypeStubs"]
