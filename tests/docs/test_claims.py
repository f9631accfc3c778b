"""What pages say in words and tables, beside their blocks: names that exist, limits that hold, sizes that are kept."""

from __future__ import annotations

import ast
import re
import tomllib
from fnmatch import fnmatchcase

import pytest
from tests.docs.blocks import ROOT, read_blocks

import llmring
from llmring import env
from llmring.media.local import MAX_DOCUMENT_BYTES, MAX_FILE_BYTES
from llmring.providers.table import PROVIDERS


def page(name: str) -> str:
    return (ROOT / name).read_text()


def test_a_pasted_program_of_the_readme_names_what_it_imports_from_llmring_alone() -> None:
    blocks = [block.code for block in read_blocks(page("README.md")) if block.language == "python"]
    assert blocks
    for code in blocks:
        modules = {node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)}
        assert {module for module in modules if module and module.startswith("llmring")} == {"llmring"}


@pytest.mark.spec("U20")
def test_the_page_on_files_names_the_ten_and_the_limits_that_hold() -> None:
    text = page("docs/file-utilities.md")
    named = re.findall(r"^\| `(\w+)\(", text, re.MULTILINE)
    assert len(named) == 10
    assert all(callable(getattr(llmring, name)) for name in named)
    assert f"{MAX_FILE_BYTES // 2**20} MiB; 40 megapixels" in text
    assert f"by path or bytes | {MAX_DOCUMENT_BYTES // 2**20} MiB" in text


@pytest.mark.spec("U22")
def test_the_table_of_clouds_names_providers_and_variables_that_are_there() -> None:
    text = page("docs/cloud-providers.md")
    rows = re.findall(r"^\| `(\w+)` \|.*$", text, re.MULTILINE)
    assert rows
    assert set(rows) <= set(PROVIDERS)
    named = set(re.findall(r"\b(?:AZURE|GOOGLE|AWS)_[A-Z_]+\b", text))
    assert named <= {value for name, value in vars(env).items() if name.isupper()}


@pytest.mark.spec("A22")
def test_a_provider_of_ones_own_takes_thirty_lines() -> None:
    (code,) = (block.code for block in read_blocks(page("docs/writing-a-provider.md")) if "\nclass " in block.code)
    lines = code.partition("class ")[2].partition("async def main")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


def test_the_page_of_doctor_names_every_check_that_it_makes() -> None:
    table = page("docs/doctor.md").partition("| id | looks at |")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    patterns = [name for cell in cells for name in re.findall(r"`([a-z.*]+)`", cell)]
    sources = [ROOT / "src/llmring/cli/doctor.py", *(ROOT / "src/llmring/cli/checks").glob("*.py")]
    made = {name for path in sources for name in re.findall(r'(?:Check\(|name = )f?"([a-z]+[a-z.]*)', path.read_text())}
    assert len(made) > 15
    # An id that goes on with a name ends in a point here.
    assert {name for name in made if not any(fnmatchcase(name, pattern) for pattern in patterns)} == set()


# Every name of the reference's own list, "Best Practices", in its order: a word of the heading that stands for it.
NINE = ["Aliases", "Streams", "Errors", "profile", "settings", "client", "Conversations", "turns", "file functions"]


@pytest.mark.spec("U53")
def test_each_of_the_nine_best_practices_has_a_block_that_runs() -> None:
    _, *sections = re.split(r"^## \d\. ", page("docs/best-practices.md"), flags=re.MULTILINE)
    assert [word in section.partition("\n")[0] for word, section in zip(NINE, sections, strict=True)] == [True] * 9
    for section in sections:
        assert [block for block in read_blocks(section) if block.runs], section.partition("\n")[0]


@pytest.mark.spec("A34")
def test_the_migration_page_names_the_python_and_the_extras_that_there_are() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = page("docs/migration.md")
    assert project["requires-python"] == ">=3.11"
    assert "**Python ≥ 3.11.**" in text
    extras = re.findall(r"^\| `(\w+)` \|", text.partition("## ")[0], re.MULTILINE)
    assert sorted(extras) == sorted(project["optional-dependencies"])
    assert project["optional-dependencies"]["anthropic"] == []
    every = {name for extra, names in project["optional-dependencies"].items() if extra != "all" for name in names}
    named = {re.split(r"[<>=\[]", name)[0] for name in every}
    assert {re.split(r"[<>=\[]", name)[0] for name in project["optional-dependencies"]["all"]} == named
    assert llmring.ANTHROPIC_AVAILABLE


@pytest.mark.spec("A30")
def test_what_the_migration_tables_send_people_to_is_there() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \|$", page("docs/migration.md"), re.MULTILINE)
    assert any("ClientBuilder" in there and "option objects" in here for there, here in rows)
    public = set(llmring.__all__) | {"Timeouts"}
    for there, here in rows:
        if "not built yet" not in here:
            names = re.findall(r"`(?:await )?([A-Z]\w+[a-z]\w*)\b", here)
            assert set(names) <= public, there
