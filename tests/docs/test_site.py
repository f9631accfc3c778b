"""The site and the reference: built strictly, complete, working without a network; and what the generators refuse."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import click
import pytest
from docs.generators import DOCS, navigation, options, site
from docs.generators.source import first_sentence, public_homes, read_field_notes

import llmring
from llmring.cli.main import COMMANDS
from llmring.cli.main import llmring as command

ENTRIES = navigation.entries()


class Loaded(HTMLParser):
    """What a browser fetches by itself to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given["id"]} if "id" in given else set()
        if tag in ("script", "img", "iframe", "source", "audio", "video"):
            self.urls.append(given.get("src", ""))
        elif tag == "link":
            self.urls.append(given.get("href", ""))


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = site.build(tmp_path / "docs")

    shown = {path.relative_to(built).as_posix(): path.read_text() for path in built.rglob("*.html")}
    assert {entry.path.removesuffix(".md") + ".html" for entry in ENTRIES} <= set(shown)
    for path, page in shown.items():
        loaded = Loaded()
        loaded.feed(page)
        assert [url for url in loaded.urls if "//" in url] == [], path
        here = (built / path).parent
        files = [
            url.partition("?")[0] for url in loaded.urls if url and not url.startswith("data:") and path != "404.html"
        ]
        assert [url for url in files if not (here / url).exists()] == [], path  # pictures too
    styles = "".join(path.read_text() for path in built.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", styles) == []
    assert all('href="' in page and 'site.css"' in page for page in shown.values())  # names in tables stay whole
    # Every public name has its place in the reference.
    anchors = Loaded()
    for path, page in shown.items():
        if path.startswith("reference/api/"):
            anchors.feed(page)
    names = {name for name in llmring.__all__ if name != "__version__"}
    assert {name for name in names if f"llmring.{name}" not in anchors.ids} == set()
    # Docstrings' lines on fields are lists.
    assert "<code>display_width</code>, <code>display_height</code> (pixels)" in shown["reference/api/requests.html"]
    # What llms.txt leads to is there too.
    links = re.findall(r"\]\(([^)]+)\)", (built / "llms.txt").read_text())
    assert [link for link in links if not (built / link).is_file()] == []


@pytest.mark.parametrize("line", ["[words](wrods.md)", "[a word](words.md#no-such-word)"], ids=["page", "anchor"])
def test_a_page_that_leads_nowhere_is_no_site(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.md").write_text(f"# Start\n\n{line}\n")
    (pages / "words.md").write_text("# Words\n")
    (pages / "llms.txt").write_text("# llmring\n")
    (pages / "site.css").write_text("")
    nav = 'nav = [{ "Start" = "index.md" }, { "Words" = "words.md" }]'
    (pages / "zensical.toml").write_text(f'[project]\nsite_name = "t"\ndocs_dir = "pages"\n{nav}\n')
    monkeypatch.setattr(site, "DOCS", pages)
    monkeypatch.setattr(site, "PROJECT_PAGES", dict[str, str]())
    monkeypatch.setattr(site, "ROOT", tmp_path)
    with pytest.raises(site.SiteError, match=r"links to wrods\.md|anchor does not exist"):
        site.build(tmp_path / "built")


def test_links_out_of_docs_lead_to_copies_and_code_stays_as_it_is(tmp_path: Path) -> None:
    page = DOCS / "guides" / "made-up.md"
    text = (
        "# T\n\n[errors](../../src/llmring/exceptions.py#L1), [the\nchangelog](../../CHANGELOG.md#x), [tests](../../tests/wire),\n"
        "[words](../words.md#a), [home](../../README.md#install), [web](https://example.org/a#b), [here](#t)\n\n"
        "<!-- test: fake -->\n```python\n[x](../../nowhere.md)\n```\n"
    )
    stage = site.Stage(tmp_path / "pages")
    (tmp_path / "made-up.md").write_text(text)
    stage.add_page(tmp_path / "made-up.md", "guides/made-up.md", written_at=page)

    staged = (tmp_path / "pages" / "guides" / "made-up.md").read_text()
    assert staged == (
        "# T\n\n[errors](../source/src/llmring/exceptions.py.txt), [the\nchangelog](../project/changelog.md#x), tests,\n"
        "[words](../words.md#a), [home](../index.md), [web](https://example.org/a#b), [here](#t)\n\n"
        "```python\n[x](../../nowhere.md)\n```\n"
    )
    assert (tmp_path / "pages" / "source" / "src" / "llmring" / "exceptions.py.txt").is_file()


def test_every_page_is_in_the_navigation_once() -> None:
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} | set(navigation.PROJECT_PAGES)
    listed = Counter(entry.path for entry in ENTRIES)
    assert pages - set(listed) == set(), "a page that nobody finds: put it into docs/zensical.toml"
    assert set(listed) - pages == set()
    assert [path for path, times in listed.items() if times > 1] == []


@pytest.mark.spec("Z14")
def test_llms_txt_has_the_form_and_every_page() -> None:
    title, *rest = (DOCS / "llms.txt").read_text().split("\n\n")
    assert title == "# llmring"
    assert rest[0].startswith("> ")
    lines = [line for part in rest for line in part.splitlines() if line.startswith("- ")]
    found = [re.fullmatch(r"- \[[^\]]+\]\(([^)]+)\): \S.*", line) for line in lines]
    assert [match[1] for match in found if match] == [entry.path for entry in ENTRIES]
    assert len(found) == len(ENTRIES)


def commands(group: click.Command, path: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context) if isinstance(group, click.Group) else []:
        below = group.get_command(context, name) if isinstance(group, click.Group) else None
        if below is not None and not below.hidden:
            yield f"{path} {name}"
            yield from commands(below, f"{path} {name}")


@pytest.mark.spec("U30")
def test_the_page_of_commands_has_every_command_and_every_option() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    for name in commands(command, "llmring"):
        assert f"\n## {name}\n" in page
    for name in COMMANDS:
        found = command.get_command(click.Context(command), name)
        assert found is not None
        section = page.partition(f"\n## llmring {name}\n")[2]
        assert all(
            option in section for given in found.params if isinstance(given, click.Option) for option in given.opts
        )


@pytest.mark.spec("A32")
@pytest.mark.parametrize("name", options.OPTIONS)
def test_an_option_object_has_a_page_with_an_example_and_every_field(name: str) -> None:
    page = (DOCS / "reference" / "options" / f"{options.OPTIONS[name]}.md").read_text()
    assert page.startswith(f"# {name}\n")
    assert "```python\n" in page
    assert name in page.partition("```python\n")[2].partition("```")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \| (\S.*?) \| (.*?) \| (\S.*?) \|$", page, re.MULTILINE)
    assert [row[0] for row in rows] == list(inspect.signature(getattr(llmring, name)).parameters)


@pytest.mark.spec("A32")
def test_every_object_that_an_application_fills_in_is_an_option_object() -> None:
    named = {name for name in public_homes() if re.search(r"(Options|Params|Strategy|Policy|Timeouts|Request)$", name)}
    assert named <= set(options.OPTIONS)


@dataclasses.dataclass
class Undocumented:
    """Says nothing of its field."""

    size: str = ""


@dataclasses.dataclass
class WithoutUnit:
    """size: how long it is."""

    size: int = 0


@dataclasses.dataclass
class Documented:
    """What a thing is.

    size (metres): how long it is.
    kind, other: what
    it is made of. color: which one it has.
    Raises ValueError for none.
    """

    size: float | None = None
    kind: Literal["wood", "iron"] = "wood"
    other: str = ""
    color: list[str] = dataclasses.field(default_factory=list[str])


@pytest.mark.spec("A32")
@pytest.mark.parametrize(("cls", "missing"), [(Undocumented, "does not say"), (WithoutUnit, "without a unit")])
def test_a_field_that_nobody_explains_is_refused(cls: type, missing: str) -> None:
    with pytest.raises(SystemExit, match=rf"{cls.__name__}\.size: .*{missing}"):
        options.fields_of(cls)


@pytest.mark.spec("A32")
def test_a_field_has_its_type_default_unit_and_meaning() -> None:
    shown = [(f.name, f.type, f.default, f.note.unit, f.note.meaning) for f in options.fields_of(Documented)]
    assert shown == [
        ("size", "number", "`None`", "metres", "how long it is."),
        ("kind", "`'wood'`, `'iron'`", "`'wood'`", "", "what it is made of."),
        ("other", "text", "`''`", "", "what it is made of."),
        ("color", "list of text", "`[]`", "", "which one it has."),
    ]
    prose, _ = read_field_notes(inspect.getdoc(Documented) or "", ["size", "kind", "other", "color"])
    assert prose == "What a thing is.\n\nRaises ValueError for none."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One answer. Another.", "One answer."),
        ("Reads `a.b` of\nit. `x` is next.", "Reads `a.b` of it."),
        ("What it is. one, two: their meaning.", "What it is."),
        ("Only this", "Only this"),
        ("First\n\nSecond.", "First"),
    ],
)
def test_a_first_sentence_ends_where_it_ends(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence
