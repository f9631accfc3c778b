"""`lock check` looks at the two files and nothing else: a process in which anything else is refused comes to the same result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lockfile.locked import MANIFEST, ROWS, lock_of, read
from tests.lockfile.test_extends import Site, digest_of

import llmring
from llmring.lockfile.check import Installed

SCRIPT = Path(__file__).with_name("hermetic.py")
WITHOUT_PACKAGES = MANIFEST.partition("[extends]")[0]


def run_denied(
    folder: Path, *arguments: str, input: str = "", packages: Path | None = None
) -> subprocess.CompletedProcess[str]:
    source = str(Path(llmring.__file__).parents[1])
    environment = {
        "PYTHONPATH": os.pathsep.join([source, *([str(packages)] if packages else [])]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
        "OPENAI_API_KEY": "never-read",
    }
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env=environment,
        input=input,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.spec("V02")
@pytest.mark.parametrize("format", ["text", "sarif"])
def test_it_passes_with_everything_else_denied(tmp_path: Path, format: str) -> None:
    manifest = read(WITHOUT_PACKAGES)
    (tmp_path / "llmring.toml").write_text(WITHOUT_PACKAGES)
    (tmp_path / "llmring.lock").write_bytes(lock_of(manifest))
    ran = run_denied(tmp_path, "lock", "check", "--format", format)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.spec("V02")
def test_and_fails_as_it_would(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(WITHOUT_PACKAGES)
    (tmp_path / "llmring.lock").write_bytes(lock_of(read(WITHOUT_PACKAGES)).replace(b'input = "2"', b'input = "1"', 1))
    ran = run_denied(tmp_path, "lock", "check")
    assert ran.returncode == 4, ran.stderr
    assert "facts.mismatch" in ran.stdout


@pytest.mark.spec("V02")
def test_it_passes_with_the_lock_of_an_installed_package(tmp_path: Path) -> None:
    packages, folder = tmp_path / "packages", tmp_path / "here"
    packages.mkdir()
    folder.mkdir()
    shipped = lock_of(read('[alias.theirs]\nmodels = ["openai:gpt-mini"]\n'), [ROWS[1]])
    Site(packages).install("libA", {"libA/__init__.py": b"raise SystemExit(98)", "libA/llmring.lock": shipped})
    found = Installed("libA 2.3.1", digest_of(shipped))
    (folder / "llmring.toml").write_text(MANIFEST)
    (folder / "llmring.lock").write_bytes(lock_of(read(MANIFEST), extended={"libA": found}))
    ran = run_denied(folder, "lock", "check", packages=packages)
    assert (ran.returncode, ran.stderr) == (0, "")


# One use of each thing that is denied, a line each: as `check` would write it, whose modules import what they use at their top.
PLANTED = """\
from datetime import date; date.today()
from datetime import datetime, UTC; datetime.now(UTC)
import time; time.time()
from time import monotonic; monotonic()
from time import perf_counter_ns; perf_counter_ns()
import time; time.strftime("%Y")
import time; time.sleep(0)
from llmring.clock import SystemClock; SystemClock().now()
from llmring.clock import SystemClock; SystemClock().monotonic()
import os; os.environ["OPENAI_API_KEY"]
import os; os.environ.get("HTTPS_PROXY")
import os; os.getenv("HOME")
import os; dict(os.environ)
import os; "OPENAI_API_KEY" in os.environ
import os; os.environ["LLMRING_PROFILE"] = "prod"
from pathlib import Path; Path.home()
from pathlib import Path; Path("~/.config").expanduser()
import pwd, os; pwd.getpwuid(os.getuid())
from pathlib import Path; Path("/nonexistent/.llmring").exists()
from pathlib import Path; Path("/etc/hosts").read_text()
from pathlib import Path; list(Path("/").iterdir())
import os; os.open("/etc/hosts", os.O_RDONLY)
from pathlib import Path; Path("llmring.lock").write_text("")
import os; os.open("llmring.lock", os.O_WRONLY)
import os; os.rename("llmring.lock", "other.lock")
import os; os.remove("llmring.lock")
import socket; socket.create_connection(("127.0.0.1", 9))
import socket; socket.getaddrinfo("example.org", 443)
from urllib.request import urlopen; urlopen("http://127.0.0.1:9")
import asyncio; asyncio.run(asyncio.sleep(0))
import subprocess; subprocess.run(["git", "status"])
import os; os.system("true")
import os; os.fork()
"""


@pytest.mark.spec("V02")
def test_each_use_of_what_is_denied_ends_the_check(tmp_path: Path) -> None:
    (tmp_path / "llmring.lock").write_bytes(b"kept")
    ran = run_denied(tmp_path, "--planted", input=PLANTED)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert (tmp_path / "llmring.lock").read_bytes() == b"kept"


@pytest.mark.spec("V02")
def test_the_denial_is_real(tmp_path: Path) -> None:
    # A command that asks the clock and the environment ends in it.
    (tmp_path / "llmring.lock").write_bytes(lock_of(read(WITHOUT_PACKAGES)))
    ran = run_denied(tmp_path, "explain", "fast")
    assert ran.returncode == 99
    assert "refused: " in ran.stderr
