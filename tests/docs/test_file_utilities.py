"""docs/file-utilities.md: every block runs as it is written, against the fake provider, and its table names what there is."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

import llmring
from llmring.media.local import MAX_DOCUMENT_BYTES, MAX_FILE_BYTES
from llmring.testing import FakeProvider

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "file-utilities.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "vision"
models = ["openai:gpt-5-nano"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 48), "red").save(tmp_path / "before.png")
    Image.new("RGB", (1024, 768), "blue").save(tmp_path / "after.png")
    Image.new("RGB", (64, 48), "white").save(tmp_path / "screenshot.png")
    Image.new("RGB", (200, 300), "white").save(tmp_path / "paper.pdf")
    (tmp_path / "llmring.lock").write_text(LOCK)
    return tmp_path


@pytest.mark.spec("U20", "U51", "U52", "F01", "F14")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_a_block_runs_as_written(number: int, folder: Path, fake_provider: FakeProvider) -> None:
    language, code = BLOCKS[number]
    assert language == "python"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONWARNINGS": "error",
        "OPENAI_API_KEY": "k" * 20,
        "OPENAI_BASE_URL": fake_provider.base_url,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=folder, env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate()
    assert (process.returncode, stderr.decode()) == (0, "")
    if "uploaded_files" in code:
        assert (fake_provider.files.uploads, fake_provider.files.deletions) == (1, 1)


@pytest.mark.spec("U20")
def test_the_page_names_the_ten_and_the_limits_that_hold() -> None:
    named = re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE)
    assert len(named) == 10
    assert all(callable(getattr(llmring, name)) for name in named)
    assert f"{MAX_FILE_BYTES // 2**20} MiB; 40 megapixels" in PAGE
    assert f"by path or bytes | {MAX_DOCUMENT_BYTES // 2**20} MiB" in PAGE
