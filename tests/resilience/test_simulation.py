"""RT12: thousands of seeded runs of the shipped chain, and bugs planted into it that these runs find."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.resilience.planted import PLANTED, Plant
from tests.resilience.sim_loop import WedgedError
from tests.resilience.sim_oracle import ViolationError
from tests.resilience.sim_world import World

Record = Callable[[str, object], None]

# What must have come up for the runs to mean anything.
WANTED = (
    "ok",
    "probe",
    "a second probe after a lease",
    "before its time",
    "repeat",
    "line",
    "overflow",
    "a larger window",
    "pause",
    "cancelled",
    "deadline",
    "left",
    "interrupted",
    "credential closed->open",
    "credential open->closed by key",
    "endpoint closed->open",
    "endpoint half_open->closed",
    "model half_open->open",
    "model half_open->closed",
    "model closed->isolated",
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of runs warn of thousands of gates."""
    loggers = [logging.getLogger(name) for name in ("llmring.resilience", "llmring.calls")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    yield
    for logger, was in zip(loggers, before, strict=True):
        logger.disabled = was


@pytest.mark.spec("RT12", "U18", "U31", "B22")
@pytest.mark.timeout(300)
def test_no_schedule_breaks_a_promise(scale: float, record_property: Record) -> None:
    runs = round(20_000 * scale)
    seen: Counter[str] = Counter()
    started_s = time.process_time()
    for seed in range(runs):
        world = World(seed)
        try:
            world.run()
        except (ViolationError, WedgedError) as problem:
            pytest.fail(f"seed {seed}: {problem!r}")
        seen.update(world.oracle.seen)
    missing = [what for what in WANTED if not seen[what]]
    assert not missing, f"never came up: {missing}"
    took_s = time.process_time() - started_s  # of the processor: how busy the machine is with others is no matter
    assert took_s <= 90
    record_property("schedules", f"{runs} in {took_s:.0f} s of CPU, violations 0, with a probe {seen['probe']}")
    record_property("with a lost probe", seen["a second probe after a lease"])
    record_property("with a cancellation", seen["cancelled"])


@pytest.mark.spec("RT12")
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, scale: float, record_property: Record
) -> None:
    plant(monkeypatch)
    for seed in range(2000):
        try:
            World(seed).run()
        except (ViolationError, WedgedError) as problem:
            record_property("found after", f"{seed + 1} schedules: {str(problem)[:100]}")
            return
    pytest.fail("not found in 2000 schedules")
