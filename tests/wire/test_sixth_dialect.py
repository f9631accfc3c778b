"""What a dialect costs: one folder and one line. A made-up one is added to a copy of the package, and works like the others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import llmring

HERE = Path(__file__).parent
PACKAGE = Path(llmring.__file__).parent  # of the source, or of an installed wheel
# A program that calls the new dialect as any other, against a server that it did not write.
CALL = """
import asyncio
from llmring import LLMRequest, LLMRing
from llmring.testing import Exact, FakeProvider

PLAIN = b'{"by": "m-6", "say": "Hello, world", "why": "done", "cost": [3, 2]}'
STREAM = [b'{"say": "Hello, "}\\n', b'{"say": "wor', b'ld"}\\n{"by": "m-6", "why": "done", "cost": [3, 2]}\\n']

async def main():
    async with FakeProvider() as fake:
        row = {"base_url": fake.base_url, "dialect": "sixth", "auth": "none"}
        async with LLMRing(providers={"mine": row}, dotenv=False) as ring:
            request = LLMRequest(model="mine:m-6", messages="hi")
            fake.script(Exact(200, {"content-type": "application/json"}, [PLAIN]))
            plain = await ring.chat(request)
            fake.script(Exact(200, {"content-type": "application/jsonl", "connection": "close"}, STREAM))
            async with ring.chat_stream(request) as stream:
                said = "".join([chunk.delta async for chunk in stream])
            fake.script(Exact(429, {}, [b"slow down"]))
            try:
                await ring.chat(request)
            except Exception as caught:
                error = type(caught).__name__
        print(fake.received[0].path, plain.content, plain.usage.total_tokens, said, stream.response.finish_reason, error)

asyncio.run(main())
"""

INI = """\
[pytest]
addopts = --import-mode=importlib -p no:cacheprovider -p no:randomly -q
asyncio_default_fixture_loop_scope = function
filterwarnings = error
markers = spec
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package with the new dialect: its folder, and its line in the table."""
    package = tmp_path / "src" / "llmring"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "sixth", package / "wire" / "sixth", ignore=shutil.ignore_patterns("cases", "__pycache__"))
    table = package / "wire" / "table.py"
    line = '        "openai_chat": openai_chat.DIALECT,\n'
    text = table.read_text()
    assert line in text
    # Imported where it is used, so that it is one line here too.
    table.write_text(
        text.replace(line, line + '        "sixth": __import__("llmring.wire.sixth", fromlist=["DIALECT"]).DIALECT,\n')
    )
    return tmp_path


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PYTHONPATH": f"{tree / 'src'}:{tree}", "PATH": "/usr/bin:/bin", "HOME": str(tree)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environ, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_ring_speaks_a_dialect_that_is_one_folder_and_one_line(tree: Path) -> None:
    done = run(tree, "-c", CALL)
    assert done.stderr == ""
    assert done.stdout.split("\n")[0] == "/v1/sixth Hello, world 5 Hello, world stop ProviderRateLimitError"


def test_the_shared_tests_find_its_cases(tree: Path) -> None:
    folder = tree / "tests" / "wire"
    folder.mkdir(parents=True)
    shutil.copytree(HERE / "sixth" / "cases", folder / "cases")
    shutil.copy(HERE / "test_cases.py", folder)
    (tree / "pytest.ini").write_text(INI)
    wanted = (
        "written_as",
        "does_not_change",
        "gives_its_events",
        "same_response",
        "any_split",
        "cut_after",
        "names_its_source",
    )
    done = run(tree, "-m", "pytest", "-k", " or ".join(wanted), "tests/wire/test_cases.py")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "8 passed" in done.stdout
