"""The navigation of the site, from docs/zensical.toml, and docs/llms.txt, which lists it for language models (https://llmstxt.org/)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import DOCS, ROOT
from .source import first_sentence

# Pages that stand at the top of the repository, and on the site in a folder of their own.
PROJECT_PAGES: Final = {
    "project/changelog.md": "CHANGELOG.md",
    "project/contributing.md": "CONTRIBUTING.md",
    "project/security.md": "SECURITY.md",
}

# A paragraph of at least four words; no date, list, table, heading, comment or block.
_PROSE: Final = re.compile(r"(?!Date: |\d+\. |- |\||\[|>|<|#|```)(\S+\s+){3}")

_LLMS_HEAD: Final = """\
# llmring

> {summary}

Import name `llmring`, Python 3.11 or later, asyncio. Models are named `provider:model`, applications ask for an alias that
`llmring.lock` binds to an ordered pool of models. Never write `pip install llmring`: that name on PyPI belongs to another project;
install from the checkout.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation. path: from the site's top. section: the titles above it."""

    title: str
    path: str
    section: tuple[str, ...]


def entries() -> list[Entry]:
    """Every page in the order of the navigation."""
    project = tomllib.loads((DOCS / "zensical.toml").read_text())["project"]
    return list(_walk(project["nav"], ()))


def _walk(items: list[Any], section: tuple[str, ...]) -> Iterator[Entry]:
    for item in items:
        ((title, target),) = item.items()
        if isinstance(target, str):
            yield Entry(title, target, section)
        else:
            yield from _walk(target, (*section, title))


def page_text(path: str, made: Mapping[str, str]) -> str:
    """A page of the site as Markdown; `made` holds generated ones that may not be written yet. Raises SystemExit for none."""
    text = made.get(f"docs/{path}")
    if text is not None:
        return text
    source = ROOT / PROJECT_PAGES[path] if path in PROJECT_PAGES else DOCS / path
    if not source.is_file():
        raise SystemExit(f"docs/zensical.toml: the navigation names {path}, which is no page")
    return source.read_text()


def llms_txt(made: Mapping[str, str]) -> str:
    """docs/llms.txt: a line for every page, in the sections of the navigation."""
    summary = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["description"]
    lines = [_LLMS_HEAD.format(summary=summary)]
    section = None
    for entry in entries():
        heading = entry.section[0] if entry.section else "Start"
        if heading != section:
            lines += [] if section is None else [""]
            lines += [f"## {heading}", ""]
            section = heading
        title = ": ".join((*entry.section[1:], entry.title))
        lines.append(f"- [{title}]({entry.path}): {_lead(page_text(entry.path, made))}")
    return "\n".join([*lines, ""])


def _lead(page: str) -> str:
    """The first sentence below a page's title, without what only makes sense on the page."""
    for paragraph in page.partition("\n")[2].split("\n\n"):
        text = re.sub(r"^\*\*[^*]+\*\* ", "", paragraph.strip())  # the label of a decision
        if _PROSE.match(text):
            return first_sentence(re.sub(r"\[([^\]]*)\]\([^)\s]*\)", r"\1", text))  # its links lead on from elsewhere
    return "see its sections."
