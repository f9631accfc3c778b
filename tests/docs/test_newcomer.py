"""A newcomer's first five minutes: the files of this checkout in a new folder, then every block of the quickstart, in order.

`make setup` and `make demo` are run as they are, with what uv has downloaded for this checkout, so that it takes seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block, differs, read_blocks

QUICKSTART = ROOT / "docs" / "quickstart.md"
MARK = "=== what follows is printed by the block of line"


def files_of_the_checkout() -> list[str]:
    """What a clone would hold, were everything committed that is there now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def typed(blocks: list[Block]) -> str:
    """The blocks as somebody types them into a shell, each announced; a file is written, as an editor would."""
    lines = ["set -euo pipefail"]
    for block in blocks:
        lines.append(f"echo '{MARK} {block.line}'")
        lines.append(
            block.code
            if block.marks.file is None
            else f"cat >{block.marks.file} <<'END OF FILE'\n{block.code}END OF FILE"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.model
@pytest.mark.spec("A36")
@pytest.mark.timeout(300)
def test_a_newcomer_who_follows_the_quickstart_sees_what_it_shows(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / ".synced").exists() or shutil.which("git") is None:
        pytest.skip("no checkout that was set up with `make setup`")
    clone = tmp_path / "llmring"
    for name in files_of_the_checkout():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, clone / name)
    blocks = [block for block in read_blocks(QUICKSTART.read_text()) if block.marks.skip is None]
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LLMRING_", "MAKE", "PYTEST_")) and name != "MFLAGS"
    }
    environ["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR", str(ROOT / ".cache" / "uv"))
    # Where the checkout has a uv of its own, the clone need not fetch another.
    environ["PATH"] = f"{ROOT / '.tools' / 'uv' / 'bin'}{os.pathsep}{environ['PATH']}"

    opens = next(number for number, block in enumerate(blocks) if block.code == "make model\n")
    inside = tmp_path / "inside.sh"
    inside.write_text(typed(blocks[opens + 1 :]))

    # What follows `make model` is typed into the shell that it opens.
    ran = subprocess.run(
        ["bash", "-c", f"{typed(blocks[: opens + 1]).rstrip()} <<<'bash {inside} </dev/null'"],
        cwd=clone,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    printed = {
        int(line): text for line, _, text in (part.lstrip().partition("\n") for part in ran.stdout.split(MARK)[1:])
    }
    assert list(printed) == [block.line for block in blocks]
    for block in blocks:
        if block.output is not None:
            other = differs(printed[block.line], block.output)
            assert other is None, f"line {block.line} does not print {other!r}, but:\n{printed[block.line]}"
        elif block.runs and block is not blocks[opens]:
            assert printed[block.line].strip(), f"line {block.line} prints nothing"
    where = subprocess.run(
        [clone / ".venv" / "bin" / "python", "-c", "import llmring; print(llmring.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(clone / "src" / "llmring" / "__init__.py")
