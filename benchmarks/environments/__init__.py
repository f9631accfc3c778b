"""An environment for everybody who is measured beside llmring, made by uv from a list of pinned versions.

`NAME.in` says what is wanted, `NAME.txt` pins all that this pulls in; `python -m benchmarks.environments` makes what is missing
or stale under `.cache/bench`, with `--pin` it first writes the `.txt` anew. Where packages come from is for uv's own settings
to say. Imports nothing of llmring.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
_ENVIRONMENTS = ROOT / ".cache" / "bench"
_STAMP = "made-of"


def python_of(name: str) -> str:
    """The interpreter of an environment. Ends the program where that is not made, or not of today's list."""
    if not is_made(name):
        raise SystemExit(
            f"error: the environment of {name} is missing or stale; run `python -m benchmarks.environments`"
        )
    return str(_ENVIRONMENTS / name / "bin" / "python")


def wanted(name: str) -> tuple[str, str]:
    """What an environment is made for: the package and its version, of the one line of its `.in`."""
    package, _, number = (FOLDER / f"{name}.in").read_text().strip().partition("==")
    return package.partition("[")[0], number


def is_made(name: str) -> bool:
    stamp = _ENVIRONMENTS / name / _STAMP
    return stamp.exists() and stamp.read_text() == _fingerprint(name)


def make(name: str) -> None:
    """Makes an environment from nothing. Raises CalledProcessError where uv fails; its own message is on stderr."""
    folder = _ENVIRONMENTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run_uv("venv", "--quiet", "--python", sys.executable, str(folder))
    pinned = str(FOLDER / f"{name}.txt")
    _run_uv("pip", "sync", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python"), pinned)
    (folder / _STAMP).write_text(_fingerprint(name))  # last: whoever is interrupted begins anew


def pin(name: str) -> None:
    """Writes NAME.txt: the newest versions that go with NAME.in, for every system and Python from 3.11."""
    paths = (str(FOLDER / f"{name}.in"), "--output-file", str(FOLDER / f"{name}.txt"))
    overrides = str(FOLDER / "overrides.txt")
    quiet = ("--quiet", "--no-header", "--no-annotate")
    _run_uv(
        "pip",
        "compile",
        *quiet,
        "--upgrade",
        "--universal",
        "--python-version",
        "3.11",
        "--override",
        overrides,
        *paths,
    )


def _fingerprint(name: str) -> str:
    made_of = (FOLDER / f"{name}.txt").read_bytes() + sys.version.encode()
    return hashlib.sha256(made_of).hexdigest()


def _run_uv(*arguments: str) -> None:
    subprocess.run([_find_uv(), *arguments], check=True)


def _find_uv() -> str:
    """The Makefile says which in $UV; without it, the one on PATH, or the Makefile's own."""
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        raise SystemExit("error: no uv on PATH; run `make bench`, which brings one, or set UV=/path/to/uv")
    return found
