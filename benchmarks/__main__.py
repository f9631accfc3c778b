"""`python -m benchmarks [PB01 …]`: runs every budget, or those that are named, and prints measured beside allowed.

A whole run is kept, as JSON and as `docs/benchmarks.md` with its picture; a run of some is only printed. Exits with 0
whatever the verdicts are, and with an error where somebody could not be measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from benchmarks import (
    pb01_chat,
    pb02_rate,
    pb03_stream,
    pb03b_paced,
    pb04_first,
    pb05_resolve,
    pb06_chain,
    pb07_start,
    pb09_queue,
    pb10_streams,
)
from benchmarks.processes import ROOT, Cores, choose_cores, pin
from benchmarks.report import (
    LATEST,
    PAGE,
    PICTURE,
    look_at_machine,
    render_json,
    render_page,
    render_picture,
    render_result,
    render_table,
)
from benchmarks.result import Result


class Benchmark(Protocol):
    """A module that measures one budget of the project's performance plan."""

    budget: str
    title: str

    def run(self, cores: Cores) -> Result: ...


BENCHMARKS: Sequence[Benchmark] = (
    pb01_chat,
    pb02_rate,
    pb03_stream,
    pb03b_paced,
    pb04_first,
    pb05_resolve,
    pb06_chain,
    pb07_start,
    pb09_queue,
    pb10_streams,
)


def main(arguments: Sequence[str]) -> int:
    known = [benchmark.budget for benchmark in BENCHMARKS]
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"error: no such budget: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = [benchmark for benchmark in BENCHMARKS if not arguments or benchmark.budget in arguments]
    cores = choose_cores()
    pin(0, cores.measured)
    machine = look_at_machine(datetime.now(UTC).date().isoformat(), cores)
    started = time.monotonic()
    results: list[Result] = []
    print(machine.line)
    for benchmark in chosen:
        print(f"measuring {benchmark.budget} …", file=sys.stderr, flush=True)
        results.append(benchmark.run(cores))
        print(f"\n{render_result(results[-1])}", flush=True)
    print(f"\n{render_table(results)}")
    print(f"\n{time.monotonic() - started:.0f} s")
    if not arguments:
        LATEST.parent.mkdir(exist_ok=True)
        LATEST.write_text(render_json(machine, results))
        PAGE.write_text(render_page(machine, results))
        PICTURE.write_text(render_picture(results))
        print(f"kept: {', '.join(str(path.relative_to(ROOT)) for path in (LATEST, PAGE, PICTURE))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
