"""`lock check` looks at the two files and nothing else: a process in which anything else is refused comes to the same result."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.lockfile.locked import MANIFEST, lock_of, read

import llmring

SCRIPT = Path(__file__).with_name("hermetic.py")
WITHOUT_PACKAGES = MANIFEST.partition("[extends]")[0]


def run_denied(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    source = str(Path(llmring.__file__).parents[1])
    environment = {
        "PYTHONPATH": source,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
        "OPENAI_API_KEY": "never-read",
    }
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env=environment,
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
def test_the_denial_is_real(tmp_path: Path) -> None:
    # A command that asks the clock and the environment ends in it.
    (tmp_path / "llmring.lock").write_bytes(lock_of(read(WITHOUT_PACKAGES)))
    ran = run_denied(tmp_path, "explain", "fast")
    assert ran.returncode == 99
    assert "refused: " in ran.stderr
