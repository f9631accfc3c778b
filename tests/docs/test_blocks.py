"""Every block of every page works when it is pasted: README, CONTRIBUTING and docs, by one mechanism (`blocks.py`)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli
from tests.docs.blocks import ROOT, Block, PageError, differs, pages, read_blocks

from llmring.lockfile.parse import parse_lock
from llmring.providers.declared import Trust, declare
from llmring.testing import FakeProvider, LocalModel

# The capability rows that a page's blocks prove.
ROWS = {
    "README.md": ("A36", "U03", "U04"),
    "docs/best-practices.md": ("U53",),
    "docs/cloud-providers.md": ("U22", "A37"),
    "docs/embeddings.md": ("M09", "M01"),
    "docs/file-utilities.md": ("U20", "U51", "U52", "F01", "F14"),
    "docs/migration.md": ("A30", "A34"),
    "docs/standalone.md": ("A35",),
    "docs/vendor-sdks.md": ("U47",),
    "docs/writing-a-provider.md": ("A21", "A22"),
}
# Typed into a shell by test_newcomer.py, so not run here a second time.
RUN_ELSEWHERE = {"docs/quickstart.md"}
MANIFEST_SCHEMA = ROOT / "src" / "llmring" / "lockfile" / "llmring.toml.schema.json"
RUNNER = Path(__file__).parent / "run_blocks.py"


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runs(page: Path) -> bool:
    try:
        return page_name(page) not in RUN_ELSEWHERE and any(block.runs for block in read_blocks(page.read_text()))
    except PageError:
        return False  # the test of reading says so


def runs_together() -> list[Any]:
    """Pages that run in one process: those of a folder below docs; any other page alone."""
    groups: dict[str, list[Path]] = {}
    for page in filter(runs, pages()):
        alone = page.parent in (ROOT, ROOT / "docs")
        groups.setdefault(page_name(page if alone else page.parent), []).append(page)
    return [
        pytest.param(group, id=name, marks=[pytest.mark.spec(*ROWS[name])] if name in ROWS else [])
        for name, group in groups.items()
    ]


def check(block: Block) -> None:
    """What is to be seen of a block without running it."""
    code = block.code
    match block.language:
        case "python":
            compile(code, "block", "exec")
        case "sh":
            subprocess.run(["bash", "-n", "-c", code], check=True, capture_output=True)
        case "json":
            json.loads(code)
        case "toml":
            check_toml(code)
        case "text":
            pass


def check_toml(code: str) -> None:
    """By its first key: a lockfile, a piece of a pyproject.toml, the user's configuration, else a manifest."""
    table = tomli.loads(code)
    first = next(iter(table))
    if first in ("version", "default_profile"):
        assert parse_lock(code.encode(), "page").profiles
    elif list(table) == ["providers"]:
        declarations: dict[str, dict[str, Any]] = table["providers"]
        for name, row in declarations.items():
            declare(name, row, Trust.USER)
    elif first not in ("tool", "project"):
        manifest: Any = json.loads(json.dumps(table, default=str))  # dates as their text
        jsonschema.validate(manifest, json.loads(MANIFEST_SCHEMA.read_text()))


@pytest.mark.parametrize("page", pages(), ids=page_name)
def test_every_block_of_a_page_can_be_read(page: Path) -> None:
    for block in read_blocks(page.read_text()):
        try:
            check(block)
        except Exception as error:
            raise AssertionError(f"{page_name(page)}, line {block.line}: {error}") from error


@pytest.mark.model
@pytest.mark.parametrize("group", runs_together())
async def test_the_blocks_of_a_page_run_as_written(
    group: list[Path],
    reader: dict[str, str],
    lay_out: Callable[[str], Path],
    fake_provider: FakeProvider,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    texts = {page_name(page): page.read_text() for page in group}
    blocks = {
        name: [block for block in read_blocks(text) if block.runs or block.marks.file is not None]
        for name, text in texts.items()
    }
    if any("MY_EMBEDDINGS" in text for text in texts.values()):
        embedding_model: LocalModel = request.getfixturevalue("embedding_model")
        reader["MY_EMBEDDINGS"] = embedding_model.base_url
    job = {
        "fake": vendors_at(fake_provider),
        "pages": [
            {
                "name": name,
                "folder": str(lay_out(text)),
                "blocks": [dataclasses.asdict(block) for block in blocks[name]],
            }
            for name, text in texts.items()
        ],
    }
    for (name, those), results in zip(blocks.items(), await run_pages(job, reader, tmp_path), strict=True):
        for block, result in zip(those, results, strict=False):
            judge(f"{name}, line {block.line}", block, result)
        assert len(results) == len(those)


def vendors_at(fake_provider: FakeProvider) -> dict[str, str]:
    """What makes the fake provider stand for three vendors."""
    key = "a-key-that-opens-nothing"
    return {
        "OPENAI_API_KEY": key,
        "OPENAI_BASE_URL": fake_provider.base_url_of("openai_chat"),
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_BASE_URL": fake_provider.base_url_of("anthropic_messages"),
        "GEMINI_API_KEY": key,
        "GOOGLE_GEMINI_BASE_URL": fake_provider.base_url_of("gemini_generate"),
    }


async def run_pages(job: dict[str, Any], environ: dict[str, str], folder: Path) -> list[list[dict[str, Any]]]:
    """Each page's blocks, and what each came to: exit, stdout, stderr."""
    given, found = folder / "job.json", folder / "found.json"
    given.write_text(json.dumps(job))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(RUNNER), str(given), str(found)),
        cwd=folder,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said = await process.communicate()
    assert (process.returncode, *said) == (0, b"", b"")
    return json.loads(found.read_text())


def judge(place: str, block: Block, result: dict[str, Any]) -> None:
    assert result["exit"] == block.marks.exits, f"{place}: {result['stderr']}"
    if block.language == "python":
        assert result["stderr"] == "", place
    if block.output is not None:
        printed = result["stdout"] or result["stderr"]
        other = differs(printed, block.output)
        assert other is None, f"{place}: does not print {other!r}, but:\n{printed}"


# The mechanism itself


def test_a_block_has_its_marks_its_place_and_its_output() -> None:
    page = "# T\n\n<!-- test: fake, exits 2 -->\n```sh\nllmring x\n```\n\nIt says:\n\n```text\nno\n```\n"
    (block,) = read_blocks(page)
    assert (block.line, block.language, block.code, block.output) == (5, "sh", "llmring x\n", "no\n")
    assert (block.marks.fake, block.marks.exits, block.marks.continues) == (True, 2, False)


@pytest.mark.parametrize(
    "page",
    [
        "```\nx\n```",
        "```ruby\nx\n```",
        "```python\nx",
        "```text\nnobody prints this\n```",
        "<!-- test: fkae -->\n```sh\nx\n```",
        "<!-- test: skip because -->\n```sh\nx\n```",
        "<!-- tests: fake -->\n```sh\nx\n```",
        "<!-- test: fake -->\nwords\n```sh\nx\n```",
        "<!-- test: file ../x -->\n```sh\nx\n```",
    ],
)
def test_a_page_that_cannot_be_tried_is_refused(page: str) -> None:
    with pytest.raises(PageError):
        read_blocks(page)


@pytest.mark.parametrize(
    ("printed", "shown", "line"),
    [
        ("a\nb\n", "a\nb\n", None),
        ("took 3 s\n", "took … s\n", None),
        ("a\nb\nc\n", "…\nc\n", None),
        ("a\nb\nc\n", "a\n…\n", None),
        ("a\nb\n", "a\n", "the end; printed further: b"),
        ("a\n", "a\nb\n", "b"),
        ("a\nc\n", "a\n…\nb\n", "b"),
        ("a+b\n", "a.b\n", "a.b"),
    ],
)
def test_what_is_printed_is_compared_line_by_line(printed: str, shown: str, line: str | None) -> None:
    assert differs(printed, shown) == line


PAGE = """\
<!-- test: file kept.json -->
```json
{"a": 1}
```

```sh
export COLOUR=red
```

```python
import json, os
a = json.load(open("kept.json"))["a"]
print(os.environ["COLOUR"])
```

<!-- test: continues -->
```python
print(a + 1)
```

```python
print("a" in globals())
```

<!-- test: exits 3 -->
```sh
exit 3
```

```python
import asyncio
asyncio.sleep(0)
```

```python
print(1 / 0)
```

```python
print("never")
```
"""


async def test_blocks_share_a_terminal_but_not_their_names_and_the_first_that_fails_is_the_last(tmp_path: Path) -> None:
    blocks = [dataclasses.asdict(block) for block in read_blocks(PAGE)]
    (tmp_path / "page").mkdir()
    job: dict[str, Any] = {
        "fake": {},
        "pages": [{"name": "page.md", "folder": str(tmp_path / "page"), "blocks": blocks}],
    }
    environ = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}
    (results,) = await run_pages(job, environ, tmp_path)
    assert [result["stdout"] for result in results] == ["", "", "red\n", "2\n", "False\n", "", "", ""]
    assert [result["exit"] for result in results] == [0, 0, 0, 0, 0, 3, 0, 1]
    assert "never awaited" in results[6]["stderr"]
    assert 'page.md:block", line 36' in results[7]["stderr"]
    with pytest.raises(AssertionError, match="never awaited"):
        judge("page.md", read_blocks(PAGE)[6], results[6])


def test_a_block_that_prints_something_else_is_told() -> None:
    (block,) = read_blocks("```sh\necho a\n```\n\n```text\nb\n```\n")
    with pytest.raises(AssertionError, match="does not print 'b'"):
        judge("page.md, line 2", block, {"exit": 0, "stdout": "a\n", "stderr": ""})
