"""The processes of a run: the fake provider on one core, everybody who is measured on another."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# No proxy, no key, no setting of this machine's owner takes part.
_ENVIRON = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}


class Cores(NamedTuple):
    """The core that is measured on, and the one for everything else; None where nothing is pinned."""

    measured: int | None
    other: int | None


def choose_cores() -> Cores:
    """Two cores, where the system can pin (Linux) and there are two."""
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    return Cores(cores[0], cores[-1]) if len(cores) > 1 else Cores(None, None)


def pin(process_id: int, core: int | None) -> None:
    """Keeps a process, and those that it starts from now on, on one core. 0 is this process."""
    if sys.platform == "linux" and core is not None:
        os.sched_setaffinity(process_id, {core})


@contextmanager
def serve(core: int | None) -> Generator[str]:
    """The fake provider in a process of its own. Gives its base URL."""
    command = [sys.executable, "-m", "llmring.testing.serve", "--port", "0"]
    process = subprocess.Popen(command, env=_ENVIRON, stdout=subprocess.PIPE, text=True)
    try:
        pin(process.pid, core)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit("error: the fake provider did not start; its own message is above")
        yield url
    finally:
        process.terminate()
        process.communicate()


class Measured(NamedTuple):
    """What a contestant's runs took. A unit is a call or a text chunk; first_s: of each stream, to its first text; late_s: how
    late the loop was, beat for beat, where it was watched; peak_mib: the most memory of its process so far."""

    cpu_s: float
    wall_s: float
    units: int
    first_s: list[float]
    late_s: list[float]
    peak_mib: float

    @property
    def cpu_us(self) -> float:
        """CPU µs for each unit."""
        return self.cpu_s / self.units * 1e6

    @property
    def per_s(self) -> float:
        """Units a second."""
        return self.units / self.wall_s


class Contestant:
    """Somebody who is measured: `worker.py` in a process of its own. Use it as a context manager.

    name: a module of `contestants/`. dialect: what it speaks. python: the interpreter of the environment that has what it imports.
    """

    def __init__(self, name: str, base_url: str, dialect: str = "openai_chat", *, python: str = sys.executable) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", name, base_url, dialect],
            cwd=ROOT,
            env=_ENVIRON,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(
        self,
        kind: str,
        model: str,
        *,
        count: int,
        at_once: int,
        spread_s: float = 0.0,
        watch: bool = False,
        relax_gc: bool = False,
    ) -> Measured:
        """Runs `count` calls (kind "chat") or streams (kind "stream"), of which `at_once` are under way.

        spread_s: the first ones begin one after the other, over so many seconds. watch: the loop's lag, too. relax_gc: with
        garbage collected seldom.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {
            "kind": kind,
            "model": model,
            "count": count,
            "at_once": at_once,
            "spread_s": spread_s,
            "watch": watch,
            "relax_gc": relax_gc,
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"error: {self.name} died; its own message is above")
        return Measured(**json.loads(line))

    def run(self, kind: str, model: str, *, count: int, at_once: int, spread_s: float = 0.0) -> float:
        """CPU µs for each unit: for each call where kind is "chat", for each text chunk where it is "stream"."""
        return self.measure(kind, model, count=count, at_once=at_once, spread_s=spread_s).cpu_us

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its stdin is the end of it


class Spent(NamedTuple):
    """What a whole process took, from its start to its end."""

    cpu_ms: float
    wall_ms: float


def run_once(command: Sequence[str], cwd: Path) -> Spent:
    """Raises CalledProcessError where the process fails."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=cwd, env=_ENVIRON, stdout=subprocess.DEVNULL, check=True)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    cpu_s = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return Spent(cpu_s * 1000, (ended - started) * 1000)
