"""Names that may be anybody's, made harmless for where they are shown: Markdown, GitHub's workflow commands, a shell. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

# What Markdown gives a meaning within a line. `:` and `/` stay: they name models, and a bare URL that becomes a link still shows where
# it leads. Without its bracket, the other half of a pair is text.
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<#|~$&])")
# GitHub calls people and issues in the text that Markdown has become: neither a backslash nor `&#64;` keeps it from that, what parts the
# sign from the name does. https://github.com/github/cmark-gfm/issues/181 (2026-11-21). Vertex's `model@20250101` calls nobody.
_CALLS: Final = re.compile(r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9])|#(?=[0-9])", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9@%+=:,./_-]+", re.ASCII)


def one_line(text: str) -> str:
    """Without line breaks, and without what is no letter of its own: control characters, what is not seen or turns the direction of text."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def escape_markdown(text: str) -> str:
    """Text that Markdown, in a table too, shows as it is."""
    return _CALLS.sub(r"\g<0>&#8203;", _MARKDOWN.sub(r"\\\1", one_line(text)))


def render_markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of escaped cells, ending in a line break."""
    lines = [head, ["---"] * len(head), *([escape_markdown(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escape_command_data(text: str) -> str:
    """The message of a GitHub workflow command.

    One command a line; the runner reads %25, %0D and %0A back. The form is in GitHub's workflow-commands-for-github-actions, these
    escapes in who writes such commands: https://docs.rs/codelore-lib/0.27.3/codelore_lib/output/gha/ (2026-11-21).
    """
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_command_property(text: str) -> str:
    """The value of a parameter of a workflow command, where colon and comma end it, too."""
    return escape_command_data(text).replace(":", "%3A").replace(",", "%2C")


def quote_shell(text: str) -> str:
    """One word of a POSIX shell, whatever is in it."""
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "'\"'\"'") + "'"
