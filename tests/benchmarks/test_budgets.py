"""Every budget that is measured is named where people and tools look for it, and the page shows the last whole run."""

import re
from pathlib import Path

import pytest
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.report import LATEST, PAGE, PICTURE, read_json, render_page, render_picture, render_text, show

ROOT = Path(__file__).parents[2]
BUDGETS = [benchmark.budget for benchmark in BENCHMARKS]


def test_every_budget_file_is_in_the_list_and_carries_its_own_id() -> None:
    files = sorted(path.name.partition("_")[0].replace("pb", "PB") for path in (ROOT / "benchmarks").glob("pb*.py"))
    assert files == sorted(BUDGETS)
    assert {"PB01", "PB02", "PB03", "PB03b", "PB04", "PB05", "PB06", "PB07", "PB10"} <= {*BUDGETS}


def test_the_last_whole_run_holds_every_budget_with_something_to_check() -> None:
    _, results = read_json(LATEST.read_text())
    assert [result.budget for result in results] == BUDGETS
    assert all(result.checks and result.series for result in results)


def test_the_page_and_its_picture_are_made_of_the_last_whole_run() -> None:
    machine, results = read_json(LATEST.read_text())
    assert PAGE.read_text() == render_page(machine, results)
    assert PICTURE.read_text() == render_picture(results)


def test_the_terminal_shows_every_check_with_its_budget_and_verdict() -> None:
    machine, results = read_json(LATEST.read_text())
    shown = render_text(machine, results).splitlines()
    for result in results:
        for check in result.checks:
            verdict = "–" if check.limit is None else "ok" if check.within else "OVER"
            sign = "≥" if check.is_least else "≤"
            budget = "no budget" if check.limit is None else f"{sign} {show(check.limit)}"
            line = rf"  {verdict} +{re.escape(check.what)} .*{re.escape(budget)}"
            assert any(re.match(line, one) for one in shown), check


def test_an_unknown_budget_is_refused_with_the_list_of_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["PB99"]) == 2
    assert capsys.readouterr().err == f"error: no such budget: PB99; there are {', '.join(BUDGETS)}\n"


@pytest.mark.parametrize(
    ("value", "text"), [(1834.2, "1830"), (12.34, "12.3"), (1 / 6, "0.167"), (-66.2, "-66.2"), (0, "0")]
)
def test_numbers_are_shown_with_three_digits(value: float, text: str) -> None:
    assert show(value) == text
