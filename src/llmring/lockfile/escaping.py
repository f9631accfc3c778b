"""Names that may be anybody's, made harmless for where they are shown: Markdown, GitHub's workflow commands, a shell. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
# What Markdown gives a meaning within a line, and `@` and `#`, with which GitHub would call people and issues. `:` and `/` stay: they
# name models, and a bare URL that becomes a link still shows where it leads. Without its bracket, the other half of a pair is text.
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<#|~$@&])")
_PLAIN: Final = re.compile(r"[A-Za-z0-9@%+=:,./_-]+", re.ASCII)


def one_line(text: str) -> str:
    """Without line breaks, control characters and what turns the direction of text."""
    return " ".join(_CONTROL.sub(" ", text).split())


def escape_markdown(text: str) -> str:
    """Text that Markdown, in a table too, shows as it is."""
    return _MARKDOWN.sub(r"\\\1", one_line(text)).replace("\\@", "&#64;")


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
