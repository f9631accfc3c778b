"""What is deprecated still works, warns once where it is used, and goes when it was said to go."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

import llmring
from llmring import deprecation
from llmring.deprecation import DEPRECATIONS, Deprecation, find_deprecation, warn_deprecated

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "llmring"

# How each row of the table is used: by its name, what works still. A row without a use fails below.
USES: Mapping[str, Callable[[], object]] = {}


def version(text: str) -> tuple[int, ...]:
    assert re.fullmatch(r"\d+\.\d+\.\d+", text), text
    return tuple(map(int, text.split(".")))


def overdue(table: tuple[Deprecation, ...], now: str) -> list[str]:
    """Rows whose removal has come."""
    return [row.name for row in table if version(row.removed_in) <= version(now)]


def too_short(table: tuple[Deprecation, ...]) -> list[str]:
    """Rows that are not kept for one minor version at least."""
    return [row.name for row in table if version(row.removed_in)[:2] <= version(row.since)[:2]]


def warned_at(use: Callable[[], object]) -> list[tuple[str, int, str]]:
    """The deprecations that a use warned of: in which file, at which line, and in which words."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use()
    return [(one.filename, one.lineno, str(one.message)) for one in caught if one.category is DeprecationWarning]


@pytest.mark.spec("A31")
def test_every_deprecated_thing_works_and_warns_once_where_it_is_used() -> None:
    assert set(USES) == {row.name for row in DEPRECATIONS}
    for row in DEPRECATIONS:
        ((file, _, message),) = warned_at(USES[row.name])
        assert (file, message) == (__file__, row.message)


@pytest.mark.spec("A31")
def test_nothing_outlives_its_removal_and_everything_is_kept_for_a_minor() -> None:
    assert overdue(DEPRECATIONS, llmring.__version__) == []
    assert too_short(DEPRECATIONS) == []


@pytest.mark.spec("A31")
def test_nothing_warns_past_the_table() -> None:
    found = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "DeprecationWarning" in path.read_text() and path.name != "deprecation.py"
    ]
    assert found == []


@pytest.mark.spec("A31", "Z14")
def test_the_policy_lists_what_is_deprecated() -> None:
    page = (ROOT / "docs" / "support-policy.md").read_text()
    for row in DEPRECATIONS:
        assert f"`{row.name}`" in page
    assert ("Nothing is deprecated at the moment." in page) == (not DEPRECATIONS)


# The mechanism itself, on a table of its own: it has to work before it is needed.

SAMPLE = (
    Deprecation(name="old", replacement="new", since="0.2.0", removed_in="0.3.0"),
    Deprecation(name="Old", replacement="New", since="0.2.0", removed_in="1.0.0"),
    Deprecation(name="call(way=…)", replacement="call(options=…)", since="0.2.1", removed_in="0.3.0"),
)
# Type checkers know the decorator without the table that tests bring.
deprecated = cast("Callable[..., Callable[[Any], Any]]", deprecation.deprecated)


@deprecated("old", table=SAMPLE)
def old(number: int) -> int:
    return number + 1


@deprecated("old", table=SAMPLE)
async def old_later(number: int) -> int:
    return number + 1


@deprecated("Old", table=SAMPLE)
class Old:
    def __init__(self, number: int) -> None:
        self.number = number

    @deprecated("old", table=SAMPLE)
    def method(self) -> int:
        return self.number


def call(*, way: int | None = None) -> int | None:
    if way is not None:
        warn_deprecated("call(way=…)", table=SAMPLE)
    return way


def line() -> int:
    """The line that this is called from."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


@pytest.mark.spec("A31")
def test_a_function_a_class_a_method_and_a_parameter_warn_at_the_callers_line() -> None:
    lines: list[int] = []

    def use() -> None:
        assert (old(1), lines.append(line())) == (2, None)
        made, _ = Old(3), lines.append(line())
        assert (made.method(), lines.append(line())) == (3, None)
        assert (call(way=4), lines.append(line())) == (4, None)

    words = [SAMPLE[0].message, SAMPLE[1].message, SAMPLE[0].message, SAMPLE[2].message]
    assert warned_at(use) == [(__file__, number, said) for number, said in zip(lines, words, strict=True)]


@pytest.mark.spec("A31")
async def test_a_coroutine_function_warns_when_it_is_called() -> None:
    assert inspect.iscoroutinefunction(old_later) or hasattr(old_later, "__wrapped__")
    with pytest.warns(DeprecationWarning, match="old is deprecated since llmring 0.2.0 and goes in 0.3.0; use new"):
        waiting = old_later(1)
    assert await waiting == 2


@pytest.mark.spec("A31")
def test_what_is_not_used_does_not_warn() -> None:
    assert warned_at(lambda: call()) == []


@pytest.mark.spec("A31")
def test_what_the_table_does_not_have_cannot_be_deprecated() -> None:
    with pytest.raises(LookupError, match="nowhere is not in the table"):
        deprecated("nowhere", table=SAMPLE)
    with pytest.raises(LookupError):
        warn_deprecated("old")
    assert find_deprecation("Old", SAMPLE).replacement == "New"


@pytest.mark.spec("A31")
def test_a_row_whose_time_has_come_is_found() -> None:
    assert overdue(SAMPLE, "0.2.9") == []
    assert overdue(SAMPLE, "0.3.0") == ["old", "call(way=…)"]
    assert overdue(SAMPLE, "2.0.0") == ["old", "Old", "call(way=…)"]
    assert too_short(SAMPLE) == []
    assert too_short((Deprecation(name="x", replacement="y", since="0.2.0", removed_in="0.2.1"),)) == ["x"]
