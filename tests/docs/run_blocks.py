"""Runs the blocks of some pages, in order, in one process: `python run_blocks.py JOB RESULT`, both JSON files.

One process, because imports take longer than most blocks. Each block still gets names, streams and an environment of its own, each
page a folder; variables that a shell block exports stay for the rest of the page, as they would in a reader's terminal.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import linecache
import os
import subprocess
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

BLOCK_S = 90


class Page:
    def __init__(self, page: dict[str, Any], fake: dict[str, str]) -> None:
        self.name: str = page["name"]
        self.folder = Path(page["folder"])
        self.blocks: list[dict[str, Any]] = page["blocks"]
        self.fake = fake
        self.module = ModuleType("__main__")

    def run_all(self) -> list[dict[str, Any]]:
        """What each block came to; the first that does not end as it should is the last."""
        environ = dict(os.environ)
        results: list[dict[str, Any]] = []
        for block in self.blocks:
            results.append(self.run(block))
            if results[-1]["exit"] != block["marks"]["exits"]:
                break
        os.environ.clear()
        os.environ.update(environ)
        return results

    def run(self, block: dict[str, Any]) -> dict[str, Any]:
        marks = block["marks"]
        if marks["file"] is not None:
            (self.folder / marks["file"]).write_text(block["code"])
            return {"exit": 0, "stdout": "", "stderr": ""}
        before = dict(os.environ)
        if marks["fake"]:
            os.environ.update(self.fake)
            os.environ.pop("LLMRING_PROFILE", None)
        os.chdir(self.folder)
        try:
            if block["language"] == "python":
                return self._run_python(block)
            result, exported = self._run_shell(block)
        finally:
            os.environ.clear()
            os.environ.update(before)
        os.environ.update(exported)
        return result

    def _run_python(self, block: dict[str, Any]) -> dict[str, Any]:
        if not block["marks"]["continues"]:
            self.module = ModuleType("__main__")
        sys.modules["__main__"] = self.module
        # Line numbers of the page, so that a traceback leads to the place.
        source = "\n" * (block["line"] - 1) + block["code"]
        where = f"{self.name}:block"
        linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        status = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                exec(compile(source, where, "exec"), vars(self.module))
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            except BaseException:  # whatever a page does wrong is told, not raised
                status = 1
                traceback.print_exc()
            # What was not closed is a warning, warnings are errors, and both are to be seen at this block.
            gc.collect()
        return {"exit": status, "stdout": _text(out), "stderr": _text(err)}

    def _run_shell(self, block: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        variables = self.folder / ".variables"
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f'{block["code"]}\nenv -0 >"{variables}"'],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BLOCK_S,
            check=False,
        )
        exported: dict[str, str] = {}
        if variables.exists():
            pairs = (pair.partition("=") for pair in variables.read_text().split("\0") if pair)
            own = {"_", "SHLVL", "PWD", "OLDPWD"}
            exported = {name: value for name, _, value in pairs if name not in own and os.environ.get(name) != value}
            variables.unlink()
        return {"exit": ran.returncode, "stdout": ran.stdout, "stderr": ran.stderr}, exported


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    results = [Page(page, job["fake"]).run_all() for page in job["pages"]]
    Path(sys.argv[2]).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
