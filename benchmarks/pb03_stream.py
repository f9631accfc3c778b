"""What a chunk of a stream costs."""

from __future__ import annotations

from functools import partial

from benchmarks.processes import Contestant, Cores, serve
from benchmarks.result import Result, Series, at_most
from benchmarks.rounds import take_turns

budget = "PB03"
title = "`chat_stream`: CPU a chunk, streams of 500 chunks, 16 at once"
_METHOD = (
    "The server writes each chunk by itself, as fast as it is taken. The whole stream's CPU, its request included, "
    "divided by its text chunks."
)
_ROUNDS = 9
_MODEL = "chunks-500"
_AT_ONCE = 16
_OTHERS = {"openai_responses": 10.0, "anthropic_messages": 12.0, "gemini_generate": 10.0, "ollama_chat": 10.0}
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
                "bare aiohttp": partial(bare.run, "stream", _MODEL, count=128, at_once=_AT_ONCE),
                "llmring": partial(ring.run, "stream", _MODEL, count=128, at_once=_AT_ONCE),
                "openai SDK": partial(sdk.run, "stream", _MODEL, count=16, at_once=_AT_ONCE),
            },
            _ROUNDS,
        )
    floor, ours, vendor = (Series(who, "µs", tuple(values)) for who, values in taken.items())
    series, checks = [floor, ours, vendor], [at_most(ours, 10.0)]
    for dialect, limit in _OTHERS.items():
        floor, ours = _measure_dialect(cores, dialect)
        series += [floor, ours]
        checks.append(at_most(ours, limit))
    return Result(budget, title, _METHOD, tuple(series), tuple(checks))


def _measure_dialect(cores: Cores, dialect: str) -> tuple[Series, Series]:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url, dialect) as bare,
        Contestant("llmring_ring", url, dialect) as ring,
    ):
        taken = take_turns(
            {
                f"bare aiohttp, {dialect}": partial(bare.run, "stream", _MODEL, count=128, at_once=_AT_ONCE),
                f"llmring, {dialect}": partial(ring.run, "stream", _MODEL, count=128, at_once=_AT_ONCE),
            },
            _OTHERS_ROUNDS,
        )
    floor, ours = (Series(who, "µs", tuple(values)) for who, values in taken.items())
    return floor, ours
