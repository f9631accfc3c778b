"""Reads the blocks of code out of a page, with the marks that say how each is tried. Pure; `run_blocks.py` runs them.

A mark is an HTML comment before the block, `<!-- test: … -->`, and one of a closed set (several: with commas):
    continues          goes on in the names of the python block before it
    fake               vendors' keys and base URLs lead to a fake provider; without it, profile `local` and the small model
    exits N            ends with this exit code
    file NAME          is written to the page's folder under this name, and not run
    skip because …     is only parsed; the reason is for the reader of the page's source
A block in `text` is what the block before it prints: `…` stands for anything in a line, a line of `…` alone for any lines.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

ROOT = Path(__file__).parents[2]

Language = Literal["python", "sh", "toml", "json", "text"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})(\w*)(.*)$")
_MARK = re.compile(r"^ *<!-- test: (.+?) -->$")
_FILE_NAME = re.compile(r"[\w.-]+")


class PageError(Exception):
    """What is wrong with a page before anything of it runs, with the line."""


@dataclass(slots=True)
class Marks:
    """How a block is tried."""

    continues: bool = False
    fake: bool = False
    exits: int = 0
    file: str | None = None
    skip: str | None = None


@dataclass(slots=True)
class Block:
    """line: that of its first line of code, counted from 1. output: the text block that follows it, if any."""

    line: int
    language: Language
    code: str
    marks: Marks = field(default_factory=Marks)
    output: str | None = None

    @property
    def runs(self) -> bool:
        return self.language in ("python", "sh") and self.marks.skip is None and self.marks.file is None


def pages() -> list[Path]:
    """Every page whose blocks are tried."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read_blocks(text: str) -> list[Block]:
    """The page's blocks in order, outputs joined to what prints them. Raises PageError."""
    found: list[Block] = []
    for block in _blocks(text.splitlines()):
        if block.language != "text" or block.marks.skip is not None or block.marks.file is not None:
            found.append(block)
        elif not found or not found[-1].runs or found[-1].output is not None:
            raise PageError(f"line {block.line}: no block before it prints this text")
        else:
            found[-1].output = block.code
    return found


def _blocks(lines: list[str]) -> Iterator[Block]:
    marks: tuple[int, str] | None = None
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if mark := _MARK.match(line):
            if marks is not None:
                raise PageError(f"line {marks[0]}: a mark without a block")
            marks = at, mark[1]
        elif "<!-- test" in line:
            raise PageError(f"line {at}: this mark is not read")
        elif fence := _FENCE.match(line):
            start = at
            while at < len(lines) and lines[at].strip() != fence[2]:
                at += 1
            if at == len(lines):
                raise PageError(f"line {start}: the block does not end")
            code = textwrap.dedent("\n".join(lines[start:at]) + "\n")
            at += 1
            yield Block(start + 1, _read_language(fence[3], start), code, _read_marks(marks))
            marks = None
        elif line.strip() and marks is not None:
            raise PageError(f"line {marks[0]}: a mark without a block")


def _read_language(name: str, line: int) -> Language:
    if name not in LANGUAGES:
        raise PageError(f"line {line}: {name or 'no language'}; a block is one of {', '.join(LANGUAGES)}")
    return name


def _read_marks(given: tuple[int, str] | None) -> Marks:
    marks = Marks()
    if given is None:
        return marks
    line, text = given
    if reason := re.fullmatch(r"skip because (.{8,})", text):
        marks.skip = reason[1]
        return marks
    for word in text.split(", "):
        name, _, value = word.partition(" ")
        if name in ("continues", "fake") and not value:
            setattr(marks, name, True)
        elif name == "exits" and value.isdecimal():
            marks.exits = int(value)
        elif name == "file" and _FILE_NAME.fullmatch(value):
            marks.file = value
        else:
            raise PageError(f"line {line}: {word!r} is no mark")
    return marks


def differs(printed: str, shown: str) -> str | None:
    """None where `printed` is what the page shows; else the first shown line that it is not."""
    lines = printed.rstrip("\n").split("\n")
    at, anywhere = 0, False
    for line in shown.rstrip("\n").split("\n"):
        if line.strip() == "…":
            anywhere = True
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("…")))
        candidates = range(at, len(lines) if anywhere else min(at + 1, len(lines)))
        hit = next((i for i in candidates if pattern.fullmatch(lines[i].rstrip())), None)
        if hit is None:
            return line
        at, anywhere = hit + 1, False
    return None if anywhere or at == len(lines) else f"the end; printed further: {lines[at]}"
