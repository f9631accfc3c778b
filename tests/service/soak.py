"""RT11: many streams that end in every way there is, over real sockets, and what is left of them afterwards.

`python tests/service/soak.py --seconds 600 --report docs/reliability-report.md` is `make soak`; test_soak.py runs a short one.
The server is a process of its own, so that memory, sockets and the loop's time are the client's alone. What is to happen to a stream is
drawn from a seed, and told to the server in the prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import platform
import random
import re
import stat
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from llmring import LLMRequest, LLMRing, Timeouts
from llmring.exceptions import CircuitBreakerError, LLMRingError
from llmring.resilience.breaker import Transition
from llmring.resilience.policy import BreakerPolicy, RateLimits
from llmring.schemas.retry import RetryPolicy
from llmring.testing import Answer, Exact, FakeProvider, Fault, Received
from llmring.testing.steps import Ending

AT_ONCE = 64
MIB = 1024 * 1024
SECTION = "## Soak"
# After so many, connections, caches and the interpreter's own arenas are as large as they will be.
WARM_UP = 1000
WORDS = Answer("one two three four five six seven eight nine ten")
LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "pool"
models = ["one:m1", "two:m2", "three:m3"]
"""
# What happens to a stream, and how often.
FATES = {
    "read": 45,
    "leave": 10,
    "drop": 5,
    "cancel": 15,
    "timeout": 9,
    "disconnect": 14,
    "refused": 2,
}


# The server -----------------------------------------------------------------------------------------------------------


def step_for(received: Received, fake: FakeProvider) -> Answer | Exact | Fault:
    text = str(received.body["messages"][-1]["content"])
    if text == "stats":
        return Answer(json.dumps({"in_flight": fake.in_flight - 1, "open": fake.open_connections}))
    fate, number = text.split()
    dice = random.Random(f"{number} {received.number}")
    match fate:
        case "timeout":
            return dice.choice([Fault.hang(), Fault.stall(dice.randrange(1, 12), WORDS)])
        case "cancel":
            return dice.choice([WORDS, Fault.hang(), Fault.stall(dice.randrange(12), WORDS)])
        case "disconnect":
            how: Ending = dice.choice(("fin", "rst"))
            return dice.choice([Fault.cut(dice.randrange(14), how, WORDS), Fault.reset(), Fault.close_before_reply()])
        case "refused":
            return Fault.status(dice.choice([500, 503, 529, 429]))
        case _:
            return WORDS


async def serve() -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a client that has gone is what this is about
    async with FakeProvider(record=False) as fake:
        fake.script(lambda received: step_for(received, fake))
        print(fake.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the client goes


# The client -----------------------------------------------------------------------------------------------------------


class LoopWatch:
    """The longest time that the loop stood still, in seconds: cpu, of our own work; wall, with whatever else the machine did."""

    EVERY_S = 0.005

    def __init__(self) -> None:
        self.cpu_s = self.wall_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._start()

    def _start(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.thread_time()
        self._timer = self._loop.call_later(self.EVERY_S, self._look)

    def _look(self) -> None:
        late_s = time.perf_counter() - self._wall - self.EVERY_S
        self.wall_s = max(self.wall_s, late_s)
        self.cpu_s = max(self.cpu_s, min(late_s, time.thread_time() - self._cpu))
        self._start()

    def stop(self) -> None:
        self._timer.cancel()


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def count_sockets() -> int:
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that lists them
            found += stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode)
    return found


async def one_stream(ring: LLMRing, number: int, outcomes: Counter[str]) -> None:
    dice = random.Random(f"RT11 {number}")
    fate = dice.choices(list(FATES), list(FATES.values()))[0]
    request = LLMRequest(
        model=dice.choice(["pool", "one:m1", "two:m2", "three:m3"]),
        messages=f"{fate} {number}",
        timeout=Timeouts(first_token=0.05, idle=0.05) if fate == "timeout" else None,
        on_interrupt=dice.choice(["raise", "raise", "restart"]),
        retry=RetryPolicy(attempts=2, backoff_s=0.001, hedge=dice.random() < 0.2),
        deadline=30,
    )
    try:
        match fate:
            case "leave":
                async with ring.chat_stream(request) as stream:
                    async for chunk in stream:
                        if chunk.delta and dice.random() < 0.5:
                            break
            case "drop":
                stream = ring.chat_stream(request)
                await anext(stream)
                del stream
            case "cancel":
                reader = asyncio.create_task(read(ring, request))
                await asyncio.sleep(dice.random() * 0.03)
                reader.cancel()
                await reader
            case _:
                await read(ring, request)
        outcomes[f"{fate}: ended"] += 1
    except CircuitBreakerError:
        outcomes[f"{fate}: CircuitBreakerError"] += 1
        await asyncio.sleep(0.01)  # else those who are refused at once would be nearly all
    except LLMRingError as error:
        outcomes[f"{fate}: {type(error).__name__}"] += 1
    except asyncio.CancelledError:
        if fate != "cancel":
            raise
        outcomes["cancel: cancelled"] += 1


async def read(ring: LLMRing, request: LLMRequest) -> None:
    async for _ in ring.chat_stream(request):
        pass


async def run_streams(ring: LLMRing, first: int, streams: int, seconds: float, outcomes: Counter[str]) -> int:
    """As many as asked for, or as fit into the time. Gives their number."""
    numbers = iter(range(first, first + streams) if not seconds else range(first, sys.maxsize))
    until = time.monotonic() + seconds
    done = 0

    async def work() -> None:
        nonlocal done
        for number in numbers:
            if seconds and time.monotonic() > until:
                return
            await one_stream(ring, number, outcomes)
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return done


async def server_idle(ring: LLMRing) -> dict[str, int]:
    """What the server still has under way; it hears of a connection that was cut a moment later."""
    stats: dict[str, int] = {}
    for _ in range(100):
        stats = json.loads((await ring.chat("four:m4", "stats")).content)
        if stats["in_flight"] == 0:
            break
        await asyncio.sleep(0.02)
    return stats


def count_transition(transition: Transition, outcomes: Counter[str]) -> None:
    outcomes[f"gate of {transition.scope}: {transition.new}"] += 1


async def soak(base_url: str, lock: Path, streams: int, seconds: float) -> dict[str, object]:
    tasks, sockets = asyncio.all_tasks(), count_sockets()
    outcomes: Counter[str] = Counter()
    ring = LLMRing(
        lockfile_path=lock,
        providers={name: {"base_url": base_url, "api_key": "sk-soak"} for name in ("one", "two", "three", "four")},
        # Opens now and then, and soon looks whether it may close: many probes, many of them cancelled.
        breaker=BreakerPolicy(consecutive_failures=7, failure_rate=0.6, open_s=0.01, open_cap_s=0.05, lease_s=5),
        limits={"two": RateLimits(max_concurrent=16)},
        on_transition=lambda transition: count_transition(transition, outcomes),
        dotenv=False,
    )
    async with ring:
        warm = await run_streams(ring, 0, WARM_UP, 0, outcomes)
        await server_idle(ring)
        # What was imported stays for good; without this, the collector walks through it again and again.
        gc.collect()
        gc.freeze()
        before = resident_bytes()
        watch = LoopWatch()
        began = time.monotonic()
        done = await run_streams(ring, warm, streams, seconds, outcomes)
        took_s = time.monotonic() - began
        watch.stop()
        stats = await server_idle(ring)
        grown = resident_bytes() - before
        await asyncio.sleep(0)
        targets = ring.health().targets
        left_sockets = count_sockets() - sockets
        left_tasks = len(asyncio.all_tasks() - tasks)
    await asyncio.sleep(0.05)  # closed sockets are let go a moment later
    return {
        "streams": warm + done,
        "streams_per_s": round(done / took_s),
        "seconds": round(took_s, 1),
        "tasks_left": left_tasks,
        "server_in_flight": stats["in_flight"],
        "sockets_open": left_sockets,
        "sockets_left": count_sockets() - sockets,
        "permits_left": sum(target.in_flight for target in targets),
        "waiting_left": sum(target.waiting for target in targets),
        "leases_left": sum(g.state == "half_open" and g.retry_in_s is not None for t in targets for g in t.gates),
        "rss_grown_mib": round(grown / MIB, 2),
        "loop_blocked_ms": round(watch.cpu_s * 1000, 1),
        "loop_late_ms": round(watch.wall_s * 1000, 1),
        "outcomes": dict(sorted(outcomes.items())),
    }


def failures(found: dict[str, object]) -> list[str]:
    """What is not as RT11 wants it."""
    limits = {
        "tasks_left": 0,
        "server_in_flight": 0,
        "sockets_open": 2 * AT_ONCE + 4,  # kept for the next request
        "sockets_left": 0,
        "permits_left": 0,
        "waiting_left": 0,
        "leases_left": 0,
        "rss_grown_mib": 5,
        "loop_blocked_ms": 50,
    }
    return [f"{name} {found[name]} > {most}" for name, most in limits.items() if float(str(found[name])) > most]


async def run(streams: int, seconds: float) -> dict[str, object]:
    server = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        base_url = (await server.stdout.readline()).decode().strip()
        with tempfile.TemporaryDirectory() as folder:
            lock = Path(folder, "llmring.lock")
            lock.write_text(LOCK)
            return await soak(base_url, lock, streams, seconds)
    finally:
        server.stdin.close()
        await server.wait()


def write_section(report: Path, found: dict[str, object]) -> None:
    """Puts the figures in the place of those of an earlier run; the rest of the report stays."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    outcomes = cast("dict[str, int]", found["outcomes"])
    lines = [
        SECTION,
        "",
        f"Written by `make soak` on {datetime.now(UTC).date()}: {machine}. Row RT11: streams that are read, left, dropped, cancelled,",
        "timed out and cut off at random, over loopback sockets; a third of them restart, a fifth may hedge.",
        "",
        "| figure | value |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in found.items() if name != "outcomes"),
        "",
        "| outcome | times |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in outcomes.items()),
    ]
    old = report.read_text() if report.exists() else "# Reliability report\n"
    kept = re.sub(rf"\n*{SECTION}\n.*", "", old, flags=re.DOTALL)
    report.write_text(kept.rstrip() + "\n\n" + "\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--streams", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=0.0, help="in place of a number of streams")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return 0
    found = asyncio.run(run(options.streams, options.seconds))
    print(json.dumps(found))
    if options.report is not None:
        write_section(options.report, found)
    wrong = failures(found)
    for problem in wrong:
        print(problem, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
