"""What it costs to start: to import llmring, and to run its smallest command."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks import environments
from benchmarks.contestants.llmring_ring import write_lock
from benchmarks.peers import PEERS
from benchmarks.processes import Cores, Spent, run_once
from benchmarks.result import Check, Result, Series, excess_at_most
from benchmarks.rounds import take_turns

budget = "PB07"
title = "Start: whole processes, CPU and wall time"
_METHOD = (
    "Each line is a new process with warm bytecode. The floor defines one pydantic model and imports aiohttp: what "
    "any program on these two pays before its first line. llmring loads aiohttp with its first call, so that is shown "
    "too. Of the others it is what their readme imports; some load more with their first call."
)
_ROUNDS = 12
_PEER_ROUNDS = 3

_PYTHON = "python -c pass"
_FLOOR = "pydantic model + aiohttp"
_RING = "from llmring import LLMRing"
_WITH_TRANSPORT = "the same, and what the first call loads"
_PACKAGE = "import llmring"
_ALIASES = "llmring aliases"

_IMPORT_RING = "from llmring import LLMRing, LLMRequest, Message"
_IMPORT_WITH_TRANSPORT = f"{_IMPORT_RING}\nimport llmring.transport.http"
_VENDORS = ("openai", "anthropic", "google.genai", "ollama")


def run(cores: Cores) -> Result:
    commands = {
        _PYTHON: _python("pass"),
        _FLOOR: _python("import aiohttp, pydantic\nclass Model(pydantic.BaseModel):\n    name: str"),
        _RING: _python(_IMPORT_RING),
        _WITH_TRANSPORT: _python(_IMPORT_WITH_TRANSPORT),
        _PACKAGE: _python("import llmring"),
        _ALIASES: [str(Path(sys.executable).with_name("llmring")), "aliases"],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_lock(folder, ["fast", "balanced", "vision"])
        taken = _take_turns(commands, folder, _ROUNDS)
        others = _take_turns(
            {
                "bare aiohttp": _python("import aiohttp, orjson"),
                "llmring": _python(_IMPORT_WITH_TRANSPORT),
                **{peer.label: [environments.python_of(peer.environment), "-c", peer.imports] for peer in PEERS},
            },
            folder,
            _PEER_ROUNDS,
        )
    cpu = {who: Series(f"{who}, CPU", "ms", tuple(one.cpu_ms for one in spent)) for who, spent in taken.items()}
    wall = {who: Series(f"{who}, wall", "ms", tuple(one.wall_ms for one in spent)) for who, spent in taken.items()}
    imports = [Series(f"{who}, imports", "ms", tuple(one.cpu_ms for one in spent)) for who, spent in others.items()]
    checks = (
        excess_at_most(cpu[_RING], cpu[_FLOOR], 60.0),
        excess_at_most(wall[_RING], wall[_FLOOR], 60.0),
        # The budget's words end with the import; with aiohttp loaded on both sides it is this that compares.
        excess_at_most(cpu[_WITH_TRANSPORT], cpu[_FLOOR], None),
        excess_at_most(cpu[_ALIASES], cpu[_PYTHON], 250.0),
        excess_at_most(cpu[_PACKAGE], cpu[_PYTHON], 15.0),
        Check(f"vendor SDKs that {_RING} loads", _count_vendors(), 0, ""),
    )
    return Result(budget, title, _METHOD, (*cpu.values(), *wall.values(), *imports), checks)


def _take_turns(commands: Mapping[str, list[str]], folder: Path, rounds: int) -> dict[str, list[Spent]]:
    return take_turns({who: partial(run_once, command, folder) for who, command in commands.items()}, rounds)


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _count_vendors() -> int:
    code = f"import sys\n{_IMPORT_RING}\nprint(sum(name in sys.modules for name in {_VENDORS!r}))"
    return int(subprocess.run(_python(code), capture_output=True, text=True, check=True).stdout)
