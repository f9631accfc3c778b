"""What it costs to find the models that an alias stands for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.contestants.llmring_ring import make_ring, write_lock
from benchmarks.processes import Cores
from benchmarks.result import Result, Series, at_most
from benchmarks.rounds import take_turns
from llmring.clock import SystemClock
from llmring.lockfile.store import LockStore
from llmring.resolver import Resolver

budget = "PB05"
title = "From an alias to its models: CPU a look-up, cached and cold"
_METHOD = (
    "One thread, one alias of a lockfile with 50, as `llmring lock` writes it. Cold is a cache of size 0: every look-up goes through the lock's "
    "bindings. `resolve` gives the whole pool, as every call asks for it; `resolve_alias` also asks who has a key."
)
_ROUNDS = 9
_COUNT = 10_000
_ALIASES = [f"alias-{number}" for number in range(50)]


def run(cores: Cores) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        lockfile = write_lock(Path(folder), _ALIASES)
        measures: dict[str, Callable[[], float]] = {}
        for name, size in (("cached", 1000), ("cold", 0)):
            ring = make_ring("http://127.0.0.1:9/v1", lockfile, alias_cache_size=size)
            measures[f"Resolver.resolve, {name}"] = partial(_time, _make_resolver(lockfile, size).resolve)
            measures[f"LLMRing.resolve_alias, {name}"] = partial(_time, ring.resolve_alias)
        taken = take_turns(measures, _ROUNDS)
    series = tuple(Series(who, "µs", tuple(values)) for who, values in taken.items())
    checks = tuple(at_most(one, 2.0 if one.who.endswith("cached") else 50.0) for one in series)
    return Result(budget, title, _METHOD, series, checks)


def _make_resolver(lockfile: Path, cache_size: int) -> Resolver:
    clock = SystemClock()
    return Resolver(
        LockStore(lockfile, clock),
        clock=clock,
        has_credential=lambda name: True,
        known_provider=lambda name: True,
        cache_size=cache_size,
    )


def _time(resolve: Callable[[str], object]) -> float:
    alias = _ALIASES[25]
    started = time.process_time()
    for _ in range(_COUNT):
        resolve(alias)
    return (time.process_time() - started) / _COUNT * 1e6
