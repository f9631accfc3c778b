"""What a thousand streams at once take in memory, and how late they make everything else on their loop."""

from __future__ import annotations

from benchmarks.processes import Contestant, Cores, Measured, serve
from benchmarks.result import Result, Series, at_most, quantile

budget = "PB10"
title = "1,000 concurrent streams of 500 chunks: memory and the loop's lag"
_METHOD = (
    "The server waits 50 ms before each chunk, 20,000 chunks a second in all; the streams begin one after the other over "
    "2.5 s, and all 1,000 are under way until the first has its 500. Memory is the most that the whole process has held, "
    "Python and all imports included. Lag is how much later than after 5 ms a sleeping task comes back, from the first "
    "request to the last chunk. One round in a new process for each."
)
_MODEL = "chunks-500-pace-50"
_STREAMS = 1000
_SPREAD_S = 2.5


def run(cores: Cores) -> Result:
    bare, ring = _measure(cores, "bare_aiohttp"), _measure(cores, "llmring_ring")
    series: list[Series] = []
    for who, one in (("bare aiohttp", bare), ("llmring", ring)):
        late_ms = [late_s * 1000 for late_s in one.late_s]
        series += [
            Series(f"{who}, peak memory", "MiB", (one.peak_mib,)),
            Series(f"{who}, lag p50", "ms", (quantile(late_ms, 0.5),)),
            Series(f"{who}, lag p99", "ms", (quantile(late_ms, 0.99),)),
            Series(f"{who}, CPU a chunk", "µs", (one.cpu_us,)),
        ]
    bare_peak, _, bare_lag, _, ring_peak, _, ring_lag, _ = series
    checks = (at_most(ring_peak, 150.0), at_most(ring_lag, 20.0), at_most(bare_peak, None), at_most(bare_lag, None))
    return Result(budget, title, _METHOD, tuple(series), checks)


def _measure(cores: Cores, contestant: str) -> Measured:
    with serve(cores.other) as url, Contestant(contestant, url) as one:
        return one.measure("stream", _MODEL, count=_STREAMS, at_once=_STREAMS, spread_s=_SPREAD_S, watch=True)
