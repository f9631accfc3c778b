"""What is going away: a table, and the one way in which using it warns. docs/support-policy.md says how long things are kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """name: as a user writes it, such as `LLMRing.old` or `LLMRing.chat(old=…)`. replacement: what to write now. since: the version
    that warns first. removed_in: the one that no longer has it, a later minor."""

    name: str
    replacement: str
    since: str
    removed_in: str

    @property
    def message(self) -> str:
        return f"{self.name} is deprecated since llmring {self.since} and goes in {self.removed_in}; use {self.replacement}"


# Every one, by name. tests/test_deprecation.py uses each of them, and refuses one whose removal has come.
DEPRECATIONS: Final[tuple[Deprecation, ...]] = ()


def find_deprecation(name: str, table: tuple[Deprecation, ...] = DEPRECATIONS) -> Deprecation:
    """Raises LookupError for what the table does not have: nothing is deprecated beside it."""
    for row in table:
        if row.name == name:
            return row
    raise LookupError(f"{name} is not in the table of deprecations")


def warn_deprecated(name: str, *, table: tuple[Deprecation, ...] = DEPRECATIONS, stacklevel: int = 1) -> None:
    """Warns where the caller of the function that calls this stands; for a parameter, or a spelling of a value.

    stacklevel: how many frames further up, as of `warnings.warn`, counted from there.
    """
    warnings.warn(find_deprecation(name, table).message, DeprecationWarning, stacklevel=stacklevel + 2)


if TYPE_CHECKING:
    # Type checkers know this name, and strike through what it decorates.
    from typing_extensions import deprecated as deprecated
else:

    def deprecated(name: str, /, *, table: tuple[Deprecation, ...] = DEPRECATIONS) -> Callable[[Any], Any]:
        """Decorates a function, method or class that the table names: each use warns once, where it stands in the caller's code."""
        from typing_extensions import deprecated as mark

        return mark(find_deprecation(name, table).message)
