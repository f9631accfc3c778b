"""`llmring registry` as it is used: facts made anew from a wheel, shown, compared, and asked how old they are."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from tests.cli.shell import Shell

import llmring
from llmring.registry.parse import Fact, FactSource, make_file
from llmring.registry.refresh import write_file

MEMBER = "litellm/model_prices_and_context_window_backup.json"
PAGE = FactSource("OpenAI, Models", "https://developers.openai.com/api/docs/models", "2026-10-01")


def save_wheel(folder: Path, version: str, price: float, **rows: dict[str, object]) -> None:
    tiny: dict[str, object] = {
        "litellm_provider": "openai",
        "mode": "chat",
        "max_input_tokens": 1000,
        "input_cost_per_token": price,
        "supports_vision": price < 2e-06,
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(MEMBER, json.dumps({"tiny": tiny, **rows}))
    (folder / f"litellm-{version}-py3-none-any.whl").write_bytes(packed.getvalue())


def save_facts(folder: Path) -> None:
    """What a page says of `tiny`: a window that litellm denies, a firm date, and two facts that nobody else knows."""
    facts = {
        "max_input": Fact(900, "page"),
        "pin": Fact("pointer", "page"),
        "retires": Fact("2026-11-01", "page"),
        "successor": Fact("tiny-two", "page"),
    }
    write_file(folder / "openai.json", make_file("openai", PAGE.date, {"page": PAGE}, {"tiny": facts}))


@pytest.fixture
def workshop(shell: Shell) -> Shell:
    """A folder with a wheel of litellm and a registry, in which a page says something of one model."""
    save_wheel(shell.folder, "1.0.0", 2e-06)
    save_facts(shell.folder / "facts")
    return shell


REFRESH = ("registry", "refresh", "--provider", "openai", "--source", "litellm", "--output", "facts")


async def test_help(shell: Shell) -> None:
    (await shell.run("registry", "--help")).check("help-registry")
    (await shell.run("registry", "refresh", "--help")).check("help-registry-refresh")


@pytest.mark.spec("P01")
async def test_refresh_shows_writes_and_then_finds_nothing_to_do(workshop: Shell) -> None:
    wheel = ("--litellm-wheel", "litellm-1.0.0-py3-none-any.whl")
    (await workshop.run(*REFRESH, *wheel)).check("registry-refresh")
    written = (workshop.folder / "facts" / "openai.json").read_bytes()
    again = await workshop.run(*REFRESH, *wheel)
    assert (again.code, again.stdout.splitlines()[0]) == (0, "openai: 1 models, 0 changes, nothing to write")

    save_wheel(workshop.folder, "2.0.0", 1.5e-06, other={"litellm_provider": "openai", "mode": "embedding"})
    newer = ("--litellm-wheel", "litellm-2.0.0-py3-none-any.whl")
    (await workshop.run(*REFRESH, *newer, "--dry-run", "--json")).check("registry-refresh-dry-run-json")
    assert (workshop.folder / "facts" / "openai.json").read_bytes() == written
    (await workshop.run(*REFRESH, *newer)).check("registry-refresh-changes")


@pytest.mark.spec("P01")
async def test_refresh_names_the_source_that_cannot_be_read_and_keeps_its_facts(workshop: Shell) -> None:
    before = (workshop.folder / "facts" / "openai.json").read_bytes()
    (await workshop.run(*REFRESH, "--litellm-wheel", "litellm-9.whl")).check("registry-refresh-unread")
    assert (workshop.folder / "facts" / "openai.json").read_bytes() == before


@pytest.mark.spec("P01")
async def test_a_broken_file_stops_a_refresh_before_anything_is_written(workshop: Shell) -> None:
    folder = workshop.folder / "facts"
    (folder / "google.json").write_text("{")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    wheel = ("--litellm-wheel", "litellm-1.0.0-py3-none-any.whl", "--provider", "google")
    done = await workshop.run(*REFRESH, *wheel)
    assert (done.code, "google.json: no JSON" in done.stderr) == (2, True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


async def test_refresh_does_not_write_into_the_installed_package(shell: Shell) -> None:
    package = Path(llmring.__file__).parent
    shell.hidden[str(package)] = "<package>"
    (await shell.run("registry", "refresh", "--output", str(package / "registry" / "data"))).check(
        "registry-refresh-package"
    )


@pytest.mark.spec("P01")
async def test_freshness_says_how_old_facts_are_and_who_is_past_its_date(workshop: Shell) -> None:
    asked = ("registry", "freshness", "--registry", "facts", "--as-of", "2026-11-21")
    (await workshop.run(*asked, "--check")).check("registry-freshness")
    (await workshop.run(*asked, "--json")).check("registry-freshness-json")


@pytest.mark.spec("P01")
@pytest.mark.parametrize(("days", "code"), [("51", 0), ("50", 1)])
async def test_a_source_that_is_too_old_fails_the_check(shell: Shell, days: str, code: int) -> None:
    facts = make_file("openai", PAGE.date, {"page": PAGE}, {"tiny": {"pin": Fact("pointer", "page")}})
    write_file(shell.folder / "facts" / "openai.json", facts)
    asked = ("registry", "freshness", "--registry", "facts", "--as-of", "2026-11-21", "--max-age", days)
    outcome = await shell.run(*asked, "--check")
    assert (outcome.code, "51 d (old)" in outcome.stdout) == (code, code == 1)
    assert (await shell.run(*asked)).code == 0


async def test_diff_compares_two_folders(workshop: Shell) -> None:
    changed = make_file("openai", PAGE.date, {"page": PAGE}, {"tiny": {"pin": Fact("snapshot", "page")}, "new": {}})
    write_file(workshop.folder / "other" / "openai.json", changed)
    (await workshop.run("registry", "diff", "facts", "other")).check("registry-diff")
    (await workshop.run("registry", "diff", "facts", "nowhere")).check("registry-diff-no-folder")
