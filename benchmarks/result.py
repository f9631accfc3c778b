"""What was measured and what was allowed. Plain arithmetic: no clock, no process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Series:
    """One number, taken once a round. who: what was measured. unit: of the numbers."""

    who: str
    unit: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def low(self) -> float:
        return min(self.rounds)

    @property
    def high(self) -> float:
        return max(self.rounds)


@dataclass(frozen=True, slots=True)
class Check:
    """A value and the most it may be; `is_least`: the least. unit: "×" for a ratio. limit None: worth seeing, and no budget says
    how much."""

    what: str
    value: float
    limit: float | None
    unit: str
    is_least: bool = False

    @property
    def within(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.is_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Result:
    """One budget, measured. method: how, in a sentence or two."""

    budget: str
    title: str
    method: str
    series: tuple[Series, ...]
    checks: tuple[Check, ...]

    @property
    def within(self) -> bool:
        return all(check.within for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        return {
            "budget": self.budget,
            "title": self.title,
            "method": self.method,
            "within": self.within,
            "checks": [{**asdict(check), "within": check.within} for check in self.checks],
            "series": [{**asdict(one), "median": one.median, "low": one.low, "high": one.high} for one in self.series],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """Reads what `to_dict` wrote."""
        return cls(
            budget=data["budget"],
            title=data["title"],
            method=data["method"],
            series=tuple(Series(one["who"], one["unit"], tuple(one["rounds"])) for one in data["series"]),
            checks=tuple(
                Check(one["what"], one["value"], one["limit"], one["unit"], one["is_least"]) for one in data["checks"]
            ),
        )


def at_most(series: Series, limit: float | None) -> Check:
    """The median itself may be at most `limit`; None: whatever it is."""
    return Check(series.who, series.median, limit, series.unit)


def at_least(series: Series, limit: float) -> Check:
    """The median itself is to be `limit` or more."""
    return Check(series.who, series.median, limit, series.unit, is_least=True)


def ratio_at_most(series: Series, base: Series, limit: float | None) -> Check:
    """So many times the base at most; None: however many."""
    return Check(f"{series.who} / {base.who}", _by_round(lambda a, b: a / b, series, base), limit, "×")


def ratio_at_least(series: Series, base: Series, limit: float | None) -> Check:
    """So many times the base or more; None: however many."""
    check = ratio_at_most(series, base, limit)
    return replace(check, is_least=True)


def excess_at_most(series: Series, base: Series, limit: float | None) -> Check:
    """So much more than the base at most; None: however much."""
    return Check(f"{series.who} − {base.who}", _by_round(lambda a, b: a - b, series, base), limit, series.unit)


def _by_round(compare: Callable[[float, float], float], series: Series, base: Series) -> float:
    # Round by round: the two of a round were taken within seconds of each other, on a machine in the same mood.
    return median(compare(a, b) for a, b in zip(series.rounds, base.rounds, strict=True))


def find(series: Sequence[Series], who: str) -> Series:
    return next(one for one in series if one.who == who)


def quantile(values: Sequence[float], at: float) -> float:
    """The smallest of the values that is no less than the share `at` of them. Raises ValueError where there are none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, ceil(len(values) * at) - 1)]
