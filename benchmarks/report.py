"""A run's results as text for a terminal, as JSON to keep, and as the page `docs/benchmarks.md` with its picture."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import environments
from benchmarks.peers import PEERS
from benchmarks.peers_table import Row, gather_rows
from benchmarks.plot import Bar, render_svg
from benchmarks.processes import ROOT, Cores
from benchmarks.result import Check, Result

LATEST = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "benchmarks.svg"

_PACKAGES = ("aiohttp", "orjson", "pydantic")
_PAGE_HEAD = """\
# Benchmarks

What llmring costs beside what nobody can do without: bare aiohttp on the same machine, in the same run. Absolute
numbers drift from machine to machine; ratios hold. `make bench` runs all of it and writes this page from
`benchmarks/results/latest.json`; `make bench ARGS=PB01` runs one and writes nothing.

Everybody takes turns, in processes of their own, on one core; the server has another. The vendors' SDKs and the other
libraries each have an environment of their own, pinned in `benchmarks/environments`, and are used as their readmes say,
retries and telemetry off. Values are medians over the rounds, the range is their lowest and highest; ratios and
differences are taken round by round, and then their median.
"""
_PAGE_TABLE = """\

## Beside the others

CPU of a call (64 at once), of a streamed chunk (500 in a stream, as fast as they come), and of what a program imports to
make either. Calls a second are what one core makes. A dash: it does not stream.

![What a call costs](benchmarks.svg)
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
        packages={
            **{name: version(name) for name in _PACKAGES},
            **dict(environments.wanted(one) for one in _environments()),
        },
    )


def _environments() -> list[str]:
    return [peer.environment for peer in PEERS]


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


def render_text(machine: Machine, results: Sequence[Result]) -> str:
    """All of a run. A run prints the same piece by piece, as it goes."""
    return "\n\n".join([machine.line, *(render_result(result) for result in results), render_table(results)]).rstrip()


def render_result(result: Result) -> str:
    lines = [f"{result.budget}  {result.title.replace('`', '')}"]
    width = max(len(name) for name in [*(one.who for one in result.series), *(one.what for one in result.checks)])
    for one in result.series:
        value = f"{show(one.median):>8} {one.unit}"
        lines.append(f"  {'':6}{one.who:{width}} {value:12} {show(one.low)}–{show(one.high)}")
    for check in result.checks:
        value = f"{show(check.value):>8} {check.unit}"
        lines.append(f"  {_verdict(check):6}{check.what:{width}} {value:12} {_budget(check)}")
    return "\n".join(lines)


def render_table(results: Sequence[Result]) -> str:
    """A line for each contestant; nothing where no calls were measured."""
    rows = [row for row in _rows(results) if row.call_us is not None]
    if not rows:
        return ""
    lines = [f"{'':20}{'CPU µs a call':>15}{'× bare':>9}{'calls/s':>9}{'µs a chunk':>12}{'import ms':>11}"]
    for row in rows:
        call, ratio, rate, chunk, start = _cells(row)
        lines.append(f"{row.who:20}{call:>15}{ratio:>9}{rate:>9}{chunk:>12}{start:>11}")
    return "\n".join(lines)


def render_page(machine: Machine, results: Sequence[Result]) -> str:
    lines = [
        _PAGE_HEAD,
        machine.line,
        _PAGE_TABLE,
        "| who | CPU a call | × bare aiohttp | calls/s | CPU a chunk | imports |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in _rows(results):
        call, ratio, rate, chunk, start = _cells(row)
        lines.append(
            f"| {row.who} | {call} µs | {ratio} | {rate} | {_unless_dash(chunk, 'µs')} | {_unless_dash(start, 'ms')} |"
        )
    lines += [
        "",
        "## Budgets",
        "",
        "What each measures, and how, is below. A line without a budget is there to compare with.",
        "",
        "| budget | what | measured | allowed | verdict |",
        "|---|---|---:|---:|---|",
    ]
    for result in results:
        for check in result.checks:
            measured = _amount(check.value, check.unit)
            lines.append(f"| {result.budget} | {check.what} | {measured} | {_budget(check)} | {_verdict(check)} |")
    for result in results:
        lines += ["", f"## {result.budget}: {result.title}", "", result.method, ""]
        lines += ["| who | median | range |", "|---|---:|---:|"]
        for one in result.series:
            lines.append(f"| {one.who} | {_amount(one.median, one.unit)} | {show(one.low)}–{show(one.high)} |")
    return "\n".join(lines) + "\n"


def render_picture(results: Sequence[Result]) -> str:
    rows = [row for row in _rows(results) if row.call_us is not None]
    bars = [Bar(row.who, row.call_us, f"{show(row.call_us)} µs", row.who == "llmring") for row in rows if row.call_us]
    return render_svg("CPU of a call, 64 at once (log scale)", "µs", bars)


def _rows(results: Sequence[Result]) -> list[Row]:
    return gather_rows(results, [peer.label for peer in PEERS])


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    call, ratio, rate, chunk, start = (
        "–" if value is None else show(value)
        for value in (row.call_us, row.ratio, row.calls_per_s, row.chunk_us, row.import_ms)
    )
    return call, ratio, rate, chunk, start


def _unless_dash(cell: str, unit: str) -> str:
    return cell if cell == "–" else f"{cell} {unit}"


def _verdict(check: Check) -> str:
    if check.limit is None:
        return "–"
    return "ok" if check.within else "OVER"


def _budget(check: Check) -> str:
    if check.limit is None:
        return "no budget"
    return f"{'≥' if check.is_least else '≤'} {_amount(check.limit, check.unit)}"


def _amount(value: float, unit: str) -> str:
    return f"{show(value)} {unit}".strip()


def render_json(machine: Machine, results: Iterable[Result]) -> str:
    data = {"machine": asdict(machine), "results": [result.to_dict() for result in results]}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def read_json(text: str) -> tuple[Machine, list[Result]]:
    """Reads what `render_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    return Machine(**data["machine"]), [Result.from_dict(result) for result in data["results"]]
