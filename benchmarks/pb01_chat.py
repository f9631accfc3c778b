"""What a plain call costs."""

from __future__ import annotations

from functools import partial

from benchmarks.processes import Contestant, Cores, serve
from benchmarks.result import Result, Series, ratio_at_most
from benchmarks.rounds import take_turns

budget = "PB01"
title = "`LLMRing.chat`, warm, every guard on: CPU a call, 64 at once"
_METHOD = (
    "A loopback server answers at once. llmring makes the request object, resolves its alias through a lockfile, calls "
    "under a deadline, reads, and prices the answer; bare aiohttp posts JSON and reads JSON."
)
_ROUNDS = 9
_AT_ONCE = 64
_OTHERS = ("openai_responses", "anthropic_messages", "gemini_generate", "ollama_chat")
_OTHERS_ROUNDS = 5


def run(cores: Cores) -> Result:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url) as bare,
        Contestant("llmring_ring", url) as ring,
        Contestant("openai_sdk", url) as sdk,
    ):
        taken = take_turns(
            {
                "bare aiohttp": partial(bare.run, "chat", "hello", count=3000, at_once=_AT_ONCE),
                "llmring": partial(ring.run, "chat", "hello", count=3000, at_once=_AT_ONCE),
                "openai SDK": partial(sdk.run, "chat", "hello", count=512, at_once=_AT_ONCE),
            },
            _ROUNDS,
        )
    floor, ours, vendor = (Series(who, "µs", tuple(values)) for who, values in taken.items())
    series, checks = [floor, ours, vendor], [ratio_at_most(ours, floor, 2.0), ratio_at_most(ours, vendor, 1 / 6)]
    for dialect in _OTHERS:
        floor, ours = _measure_dialect(cores, dialect)
        series += [floor, ours]
        checks.append(ratio_at_most(ours, floor, 2.0))
    return Result(budget, title, _METHOD, tuple(series), tuple(checks))


def _measure_dialect(cores: Cores, dialect: str) -> tuple[Series, Series]:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url, dialect) as bare,
        Contestant("llmring_ring", url, dialect) as ring,
    ):
        taken = take_turns(
            {
                f"bare aiohttp, {dialect}": partial(bare.run, "chat", "hello", count=3000, at_once=_AT_ONCE),
                f"llmring, {dialect}": partial(ring.run, "chat", "hello", count=3000, at_once=_AT_ONCE),
            },
            _OTHERS_ROUNDS,
        )
    floor, ours = (Series(who, "µs", tuple(values)) for who, values in taken.items())
    return floor, ours
