"""Pages that could lie: generated ones are current, links lead somewhere, and what pages say of the house is so."""

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

from llmring import env

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FLOORS = re.compile(r"^cli > .*?(?=^```)", re.DOTALL | re.MULTILINE)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_generated_pages_are_current() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.spec("U33")
def test_the_environment_page_names_every_variable_that_is_read() -> None:
    page = (ROOT / "docs" / "environment.md").read_text()
    names = [value for name, value in vars(env).items() if name.isupper()]
    assert names
    assert [name for name in names if f"| `{name}` |" not in page] == []


@pytest.mark.spec("U33")
def test_the_environment_page_names_what_a_repositorys_dotenv_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [value for name, value in vars(env).items() if name.isupper()]
    (tmp_path / ".env").write_text("".join(f"{name}=1\n" for name in names))
    monkeypatch.chdir(tmp_path)
    for name in names:
        monkeypatch.delenv(name, raising=False)
    taken = env.load()
    page = (ROOT / "docs" / "environment.md").read_text()
    said = page.partition("so it does not say")[2].partition("are not taken from it")[0]
    patterns = [fnmatch.translate(name) for name in re.findall(r"`([A-Z_*]+)`", said)]
    assert len(patterns) > 5
    refused = {name for name in names if any(re.match(pattern, name) for pattern in patterns)}
    assert refused == {name for name in names if name not in taken and name != env.LLMRING_NO_DOTENV}


def test_no_module_reads_the_environment_past_env() -> None:
    found = [
        page_id(path)
        for path in (ROOT / "src" / "llmring").rglob("*.py")
        if path.name != "env.py" and re.search(r"os\.getenv|os\.environ(\[|\.get\()", path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" in target or target.startswith("#"):
            continue
        path = page.parent / unquote(target.split("#")[0])
        assert path.exists(), f"{page_id(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_sends_anyone_to_the_other_project_on_pypi(page: Path) -> None:
    for line in page.read_text().splitlines():
        if re.search(r"(pip|uv|pipx|poetry)[a-z ]* (install|add|tool install) [^`]*\bllmring\b", line):
            assert "Never write" in line, f"{page_id(page)}: {line}"


@pytest.mark.parametrize("page", ["AGENTS.md", "docs/decisions/001-floors-and-dialects.md"])
def test_the_floors_on_the_page_are_the_floors_that_are_enforced(page: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["name"] == "floors look down only")
    enforced = " > ".join(layers).replace("(", "").replace(")", "")
    shown = FLOORS.search((ROOT / page).read_text())
    assert shown is not None
    assert " ".join(shown[0].split()) == enforced


def test_agents_page_stays_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) < 60


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    described = set(re.findall(r"^(\w+):.*?##", makefile, re.MULTILINE))
    assert described == set(phony[1].split())
