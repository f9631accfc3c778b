"""`make demo` is the first thing that a newcomer runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.model
@pytest.mark.spec("U19", "U39")
@pytest.mark.timeout(120)
def test_the_demo_streams_structures_and_fails_over_and_writes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    folder = tmp_path / "folder"
    folder.mkdir()

    ran = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "demo.py"],
        cwd=folder,
        env={"HOME": str(home), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    # A failover is logged as a warning; nothing else may be said.
    assert [line for line in ran.stderr.splitlines() if "trying the next model" not in line] == []
    assert list(folder.iterdir()) == []
    _, streamed, structured, failed_over = re.split(r"^\d\. .*$", ran.stdout, flags=re.MULTILINE)
    line = r"^  {} → llamacpp:smollm2-135m-instruct, \d+ \+ \d+ tokens, \d+\.\d\d s, cost unknown: .*llamacpp.*$"
    for alias, part in [("summarizer", streamed), ("extractor", structured), ("resilient", failed_over)]:
        assert re.search(line.format(alias), part, re.MULTILINE), part
    assert "lockfile" in streamed
    assert "Book(title=" in structured
    assert "1895" in structured
    assert "lmstudio:smollm2-135m-instruct, ProviderUnreachableError" in failed_over
