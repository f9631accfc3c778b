"""The README works when it is pasted: every block of code runs, against the real small model."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmring.lockfile.parse import parse_lock

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh"]
TOML = [code for language, code in BLOCKS if language == "toml"]


def test_every_block_has_a_language_that_is_run_here() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "sh", "toml"}


@pytest.mark.model
@pytest.mark.spec("A36", "U03", "U04")
@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_a_python_block_runs_as_written(code: str, reader: tuple[Path, dict[str, str]]) -> None:
    folder, environ = reader
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip()


@pytest.mark.model
@pytest.mark.timeout(180)
@pytest.mark.parametrize("code", SHELL, ids=range(len(SHELL)))
def test_a_shell_block_runs_as_written(code: str, reader: tuple[Path, dict[str, str]]) -> None:
    folder, environ = reader
    if "make " in code:
        if not (ROOT / ".venv" / ".synced").exists():
            pytest.skip("this environment was not made by `make setup`")
        folder = ROOT
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


@pytest.mark.parametrize("code", TOML, ids=range(len(TOML)))
def test_a_lockfile_that_is_shown_is_a_lockfile(code: str) -> None:
    assert parse_lock(code.encode(), "README.md").profiles


def test_a_pasted_program_names_what_it_imports_from_llmring_alone() -> None:
    for code in PYTHON:
        modules = {node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)}
        assert {module for module in modules if module and module.startswith("llmring")} == {"llmring"}
