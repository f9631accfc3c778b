"""A run's results as text for a terminal, as JSON to keep, and as the page `docs/benchmarks.md`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, Cores
from benchmarks.result import Check, Result

LATEST = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"

_PACKAGES = ("aiohttp", "openai", "orjson", "pydantic")
_PAGE_HEAD = """\
# Benchmarks

What llmring costs beside what nobody can do without: bare aiohttp on the same machine, in the same run. Absolute
numbers drift from machine to machine; ratios hold. `make bench` runs all of it and writes this page from
`benchmarks/results/latest.json`; `make bench ARGS=PB01` runs one and writes nothing.

Everybody takes turns, in processes of their own, on one core; the server has another. Values are medians over the
rounds, the range is their lowest and highest; ratios and differences are taken round by round, and then their median.
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run was made on. pinned: whether the two sides each had a core for themselves."""

    date: str
    cpu: str
    cores: int
    pinned: bool
    system: str
    python: str
    packages: dict[str, str]

    @property
    def line(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        pinned = "" if self.pinned else " (nothing pinned)"
        return f"{self.date}: {self.cpu}, {self.cores} cores{pinned}, {self.system}, Python {self.python}, {packages}"


def look_at_machine(date: str, cores: Cores) -> Machine:
    return Machine(
        date=date,
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        pinned=cores.measured is not None,
        system=platform.system(),
        python=platform.python_version(),
        packages={name: version(name) for name in _PACKAGES},
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def show(value: float) -> str:
    """Three digits that say something: 1830, 12.3, 0.104."""
    return f"{float(f'{value:.3g}'):g}"


def render_text(machine: Machine, results: Iterable[Result]) -> str:
    lines = [machine.line]
    for result in results:
        lines += ["", f"{result.budget}  {result.title.replace('`', '')}"]
        width = max(len(name) for name in [*(one.who for one in result.series), *(one.what for one in result.checks)])
        for one in result.series:
            value = f"{show(one.median):>8} {one.unit}"
            lines.append(f"  {'':6}{one.who:{width}} {value:12} {show(one.low)}–{show(one.high)}")
        for check in result.checks:
            value = f"{show(check.value):>8} {check.unit}"
            lines.append(f"  {_verdict(check):6}{check.what:{width}} {value:12} {_budget(check)}")
    return "\n".join(lines)


def render_page(machine: Machine, results: Sequence[Result]) -> str:
    lines = [
        _PAGE_HEAD,
        machine.line,
        "",
        "| budget | what | measured | allowed | verdict |",
        "|---|---|---:|---:|---|",
    ]
    for result in results:
        for check in result.checks:
            measured = _amount(check.value, check.unit)
            lines.append(f"| {result.budget} | {check.what} | {measured} | {_budget(check)} | {_verdict(check)} |")
    for result in results:
        lines += ["", f"## {result.budget}", "", f"{result.title}. {result.method}", ""]
        lines += ["| who | median | range |", "|---|---:|---:|"]
        for one in result.series:
            lines.append(f"| {one.who} | {_amount(one.median, one.unit)} | {show(one.low)}–{show(one.high)} |")
    return "\n".join(lines) + "\n"


def _verdict(check: Check) -> str:
    if check.limit is None:
        return "–"
    return "ok" if check.within else "OVER"


def _budget(check: Check) -> str:
    return "no budget" if check.limit is None else f"≤ {_amount(check.limit, check.unit)}"


def _amount(value: float, unit: str) -> str:
    return f"{show(value)} {unit}".strip()


def render_json(machine: Machine, results: Iterable[Result]) -> str:
    data = {"machine": asdict(machine), "results": [result.to_dict() for result in results]}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def read_json(text: str) -> tuple[Machine, list[Result]]:
    """Reads what `render_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    return Machine(**data["machine"]), [Result.from_dict(result) for result in data["results"]]
