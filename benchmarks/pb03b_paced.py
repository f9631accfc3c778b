"""What a chunk of a stream costs at the pace of a model: one wake-up and one read for each."""

from __future__ import annotations

from functools import partial

from benchmarks.peers import OPENAI
from benchmarks.processes import Contestant, Cores, serve
from benchmarks.result import Result, Series, ratio_at_most
from benchmarks.rounds import take_turns

budget = "PB03b"
title = "`chat_stream`, paced: CPU a chunk, 200 streams of 50 chunks a second"
_METHOD = (
    "The server waits 20 ms before each of a stream's 100 chunks; the streams begin one after the other over half a "
    "second, so that their chunks come by themselves. All of the process's CPU, requests included, divided by the text "
    "chunks. The SDK reads 40 such streams: 200 would take it more than a core."
)
_ROUNDS = 5
_MODEL = "chunks-100-pace-20"
_STREAMS = 200
_SDK_STREAMS = 40
_SPREAD_S = 0.5


def run(cores: Cores) -> Result:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url) as bare,
        Contestant("llmring_ring", url) as ring,
        OPENAI.open(url) as sdk,
    ):
        taken = take_turns(
            {
                who: partial(one.run, "stream", _MODEL, count=streams, at_once=streams, spread_s=_SPREAD_S)
                for who, one, streams in (
                    ("bare aiohttp", bare, _STREAMS),
                    ("llmring", ring, _STREAMS),
                    (OPENAI.label, sdk, _SDK_STREAMS),
                )
            },
            _ROUNDS,
        )
    series = floor, ours, vendor = tuple(Series(who, "µs", tuple(values)) for who, values in taken.items())
    checks = (ratio_at_most(ours, floor, 1.4), ratio_at_most(ours, vendor, None))
    return Result(budget, title, _METHOD, series, checks)
