"""How much later the first text of a stream comes than it would without llmring."""

from __future__ import annotations

from functools import partial

from benchmarks.processes import Contestant, Cores, serve
from benchmarks.result import Result, Series, excess_at_most, quantile
from benchmarks.rounds import take_turns

budget = "PB04"
title = "`chat_stream`: time to the first text, 200 streams at once"
_METHOD = (
    "200 streams are under way all the time, each of 50 chunks, 20 ms apart; one that ends is followed by the next, and "
    "the first ones begin one after the other over a second. From the call to the first text, the server's 20 ms "
    "included, at the median and at the 99th percentile of a round's 600 streams."
)
_ROUNDS = 5
_MODEL = "chunks-50-pace-20"
_COUNT = 600
_AT_ONCE = 200
_SPREAD_S = 1.0


def run(cores: Cores) -> Result:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url) as bare,
        Contestant("llmring_ring", url) as ring,
    ):
        taken = take_turns(
            {
                who: partial(one.measure, "stream", _MODEL, count=_COUNT, at_once=_AT_ONCE, spread_s=_SPREAD_S)
                for who, one in (("bare aiohttp", bare), ("llmring", ring))
            },
            _ROUNDS,
        )
    bare_p50, ring_p50, bare_p99, ring_p99 = (
        Series(f"{who}, {name}", "ms", tuple(quantile(one.first_s, at) * 1000 for one in spent))
        for name, at in (("p50", 0.5), ("p99", 0.99))
        for who, spent in taken.items()
    )
    checks = (excess_at_most(ring_p50, bare_p50, 0.3), excess_at_most(ring_p99, bare_p99, 2.0))
    return Result(budget, title, _METHOD, (bare_p50, ring_p50, bare_p99, ring_p99), checks)
