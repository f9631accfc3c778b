"""How many calls a second one core makes, with few under way and with many."""

from __future__ import annotations

from functools import partial

from benchmarks.processes import Contestant, Cores, serve
from benchmarks.result import Result, Series, at_least, ratio_at_least, ratio_at_most
from benchmarks.rounds import take_turns

budget = "PB02"
title = "`LLMRing.chat`, warm: calls a second on one core, 64 and 1,000 at once"
_METHOD = (
    "The calls of PB01, by the clock on the wall. The absolute figure is the budget's, and that of the machine as much "
    "as of the library: the ratio to bare aiohttp in the same run says which. What many calls at once cost more is "
    "Python's garbage collector, which walks through all that is under way: with `gc.freeze()` and "
    "`gc.set_threshold(50_000, 20, 100)`, which is a program's to say and not a library's, the third pair of lines. The "
    "calls/s of the others, at 64 at once, stand with PB01."
)
_ROUNDS = 9
_COUNT = 6000
_FEW, _MANY = "64 at once", "1,000 at once"
_RELAXED = "1,000 at once, seldom collected"
_KINDS = {_FEW: (64, False), _MANY: (1000, False), _RELAXED: (1000, True)}


def run(cores: Cores) -> Result:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url) as bare,
        Contestant("llmring_ring", url) as ring,
    ):
        taken = take_turns(
            {
                f"{who}, {kind}": partial(
                    one.measure, "chat", "hello", count=_COUNT, at_once=at_once, relax_gc=relax_gc
                )
                for kind, (at_once, relax_gc) in _KINDS.items()
                for who, one in (("bare aiohttp", bare), ("llmring", ring))
            },
            _ROUNDS,
        )
    rate = {who: Series(who, "/s", tuple(one.per_s for one in spent)) for who, spent in taken.items()}
    cpu = {who: Series(f"{who}, CPU", "µs", tuple(one.cpu_us for one in spent)) for who, spent in taken.items()}
    few, many, relaxed = (rate[f"llmring, {kind}"] for kind in _KINDS)
    checks = [at_least(few, 5000.0), at_least(many, 5000.0), ratio_at_least(many, few, 0.85)]
    checks += [
        ratio_at_least(relaxed, few, None),
        ratio_at_least(rate[f"bare aiohttp, {_MANY}"], rate[f"bare aiohttp, {_FEW}"], None),
    ]
    checks += [ratio_at_least(rate[f"llmring, {kind}"], rate[f"bare aiohttp, {kind}"], None) for kind in _KINDS]
    checks += [ratio_at_most(cpu[f"llmring, {kind}"], cpu[f"bare aiohttp, {kind}"], None) for kind in _KINDS]
    return Result(budget, title, _METHOD, (*rate.values(), *cpu.values()), tuple(checks))
