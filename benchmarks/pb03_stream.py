"""What a chunk of a stream costs, as fast as it comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from benchmarks.peers import PEERS
from benchmarks.processes import Contestant, Cores, serve
from benchmarks.result import Result, Series, at_most
from benchmarks.rounds import take_turns

budget = "PB03"
title = "`chat_stream`: CPU a chunk, streams of 500 chunks, 16 at once"
_METHOD = (
    "The server writes each chunk by itself, as fast as it is taken. The whole stream's CPU, its request included, "
    "divided by its text chunks. lm-deluge is missing: its readme calls streaming out of scope."
)
_ROUNDS = 5
_MODEL = "chunks-500"
_COUNT = 128
_AT_ONCE = 16
_OTHERS = {"openai_responses": 10.0, "anthropic_messages": 12.0, "gemini_generate": 10.0, "ollama_chat": 10.0}


def run(cores: Cores) -> Result:
    with ExitStack() as stack:
        url = stack.enter_context(serve(cores.other))
        bare = stack.enter_context(Contestant("bare_aiohttp", url))
        ring = stack.enter_context(Contestant("llmring_ring", url))
        measures = {"bare aiohttp": _streams(bare, _COUNT), "llmring": _streams(ring, _COUNT)}
        for peer in PEERS:
            if peer.streams:
                measures[peer.label] = _streams(stack.enter_context(peer.open(url)), peer.streams)
        taken = take_turns(measures, _ROUNDS)
    cpu = {who: Series(who, "µs", tuple(values)) for who, values in taken.items()}
    ours = cpu["llmring"]
    series, checks = [*cpu.values()], [at_most(ours, 10.0)]
    for dialect, limit in _OTHERS.items():
        floor, ours = _measure_dialect(cores, dialect)
        series += [floor, ours]
        checks.append(at_most(ours, limit))
    return Result(budget, title, _METHOD, tuple(series), tuple(checks))


def _streams(contestant: Contestant, count: int) -> Callable[[], float]:
    return partial(contestant.run, "stream", _MODEL, count=count, at_once=min(count, _AT_ONCE))


def _measure_dialect(cores: Cores, dialect: str) -> tuple[Series, Series]:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url, dialect) as bare,
        Contestant("llmring_ring", url, dialect) as ring,
    ):
        taken = take_turns(
            {f"bare aiohttp, {dialect}": _streams(bare, _COUNT), f"llmring, {dialect}": _streams(ring, _COUNT)},
            _ROUNDS,
        )
    floor, ours = (Series(who, "µs", tuple(values)) for who, values in taken.items())
    return floor, ours
