"""What a plain call costs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from benchmarks.peers import OPENAI, PEERS
from benchmarks.processes import Contestant, Cores, Measured, serve
from benchmarks.result import Result, Series, ratio_at_most
from benchmarks.rounds import take_turns

budget = "PB01"
title = "`LLMRing.chat`, warm, every guard on: CPU a call, 64 at once"
_METHOD = (
    "A loopback server answers at once. llmring makes the request object, resolves its alias through a lockfile, calls "
    "under a deadline, reads, and prices the answer; bare aiohttp posts JSON and reads JSON. The others do what their "
    "readme does, each in an environment of its own, with retries, caches and telemetry off; the SDKs of Anthropic, "
    "Google and Ollama speak their own dialect, the rest OpenAI's chat completions."
)
_ROUNDS = 7
_COUNT = 3000
_AT_ONCE = 64
_OTHERS = ("openai_responses", "anthropic_messages", "gemini_generate", "ollama_chat")
_OTHERS_ROUNDS = 5


def run(cores: Cores) -> Result:
    with ExitStack() as stack:
        url = stack.enter_context(serve(cores.other))
        bare = stack.enter_context(Contestant("bare_aiohttp", url))
        ring = stack.enter_context(Contestant("llmring_ring", url))
        measures = {"bare aiohttp": _calls(bare, _COUNT), "llmring": _calls(ring, _COUNT)}
        for peer in PEERS:
            measures[peer.label] = _calls(stack.enter_context(peer.open(url)), peer.calls)
        taken = take_turns(measures, _ROUNDS)
    cpu = {who: Series(who, "µs", tuple(one.cpu_us for one in spent)) for who, spent in taken.items()}
    rates = [Series(f"{who}, calls/s", "/s", tuple(one.per_s for one in spent)) for who, spent in taken.items()]
    floor, ours = cpu["bare aiohttp"], cpu["llmring"]
    series = [*cpu.values(), *rates]
    checks = [ratio_at_most(ours, floor, 2.0), ratio_at_most(ours, cpu[OPENAI.label], 1 / 6)]
    for dialect in _OTHERS:
        floor, ours = _measure_dialect(cores, dialect)
        series += [floor, ours]
        checks.append(ratio_at_most(ours, floor, 2.0))
    return Result(budget, title, _METHOD, tuple(series), tuple(checks))


def _calls(contestant: Contestant, count: int) -> Callable[[], Measured]:
    return partial(contestant.measure, "chat", "hello", count=count, at_once=_AT_ONCE)


def _measure_dialect(cores: Cores, dialect: str) -> tuple[Series, Series]:
    with (
        serve(cores.other) as url,
        Contestant("bare_aiohttp", url, dialect) as bare,
        Contestant("llmring_ring", url, dialect) as ring,
    ):
        taken = take_turns(
            {f"bare aiohttp, {dialect}": _calls(bare, _COUNT), f"llmring, {dialect}": _calls(ring, _COUNT)},
            _OTHERS_ROUNDS,
        )
    floor, ours = (Series(who, "µs", tuple(one.cpu_us for one in spent)) for who, spent in taken.items())
    return floor, ours
