"""Builds the site: pages are copied to a folder of their own, links that leave docs/ are made to work there, and Zensical is run.

Zensical insists that its input lies below its configuration, and would publish whatever lies in docs/. A link to a file of the
repository leads to a copy of that file, so that the site needs no network and no host of the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from . import DOCS, ROOT
from .navigation import PROJECT_PAGES

_LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
_MARK: Final = re.compile(r"^ *<!-- test: .*-->\n", re.MULTILINE)  # how a block is tried
_COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")
# What Zensical says when all is well.
_CALM: Final = re.compile(r"(Build (started|finished).*|No issues found.*|)")


class SiteError(Exception):
    """The site cannot be built as it stands; the message says where."""


def build(folder: Path) -> Path:
    """Builds the site below `folder`, which is emptied first. Returns the folder of the site. Raises SiteError."""
    shutil.rmtree(folder, ignore_errors=True)
    stage = Stage(folder / "pages")
    for page in sorted(DOCS.rglob("*.md")):
        stage.add_page(page, page.relative_to(DOCS).as_posix())
    for path, source in PROJECT_PAGES.items():
        stage.add_page(ROOT / source, path)
    for name in ("llms.txt", "site.css"):
        shutil.copy(DOCS / name, stage.folder)
    config = folder / "zensical.toml"
    config.write_text((DOCS / "zensical.toml").read_text().replace("REPOSITORY", ROOT.as_posix()))
    ran = subprocess.run(  # noqa: S603 — our own arguments
        [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(config)],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = _COLORS.sub("", ran.stdout + ran.stderr)
    if ran.returncode != 0 or not all(_CALM.fullmatch(line.strip()) for line in said.splitlines()):
        raise SiteError(
            said.partition("Traceback (most recent call last)")[0].strip() or f"zensical ended with {ran.returncode}"
        )
    site = folder / "site"
    for page in stage.folder.rglob("*.md"):  # what llms.txt leads to
        shutil.copy(page, site / page.relative_to(stage.folder))
    return site


class Stage:
    """The folder of pages that Zensical reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._moved: Mapping[Path, str] = {
            DOCS / "llms.txt": "llms.txt",
            ROOT / "README.md": "index.md",
            **{ROOT / source: path for path, source in PROJECT_PAGES.items()},
        }

    def add_page(self, source: Path, path: str, *, written_at: Path | None = None) -> None:
        """Copies a page; its links, which are meant from `written_at` (default: source), lead on from where it stands now."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        parts = _CODE.split(source.read_text())
        for number in range(0, len(parts), 2):  # every other part is code, and stays
            prose = _MARK.sub("", parts[number])
            parts[number] = _LINK.sub(lambda link: self._relink(link, written_at or source, path), prose)
        target.write_text("".join(parts))

    def _relink(self, link: re.Match[str], source: Path, path: str) -> str:
        text, (place, hash_sign, anchor) = link[1], link[2].partition("#")
        if "://" in place or not place or place.startswith("mailto:"):
            return link[0]
        file = Path(os.path.normpath(source.parent / unquote(place)))
        if not file.exists() or not file.is_relative_to(ROOT):
            raise SiteError(f"{source.relative_to(ROOT)} links to {place}, which does not exist")
        if file.is_dir():
            return text  # the site has no listings
        where = self._moved.get(file)
        if file == ROOT / "README.md":
            hash_sign, anchor = "", ""  # the front page stands in for it, and has other headings
        if where is None and file.is_relative_to(DOCS):
            where = file.relative_to(DOCS).as_posix()
        elif where is None:
            where = f"source/{file.relative_to(ROOT).as_posix()}.txt"
            hash_sign, anchor = "", ""  # of lines, as hosts of repositories show them
        if not where.endswith(".md") and where != "llms.txt":
            self._copy(file, where)
        relative = os.path.relpath(where, Path(path).parent)
        return f"[{text}]({relative}{hash_sign}{anchor})"

    def _copy(self, file: Path, where: str) -> None:
        copy = self.folder / where
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
