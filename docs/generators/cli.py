"""docs/reference/cli.md: every command with its arguments and options, from the commands themselves, and the exit codes."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from llmring.cli import failures
from llmring.cli.main import llmring

_HEAD = """\
# The command

Data go to stdout, talk to stderr; errors are a line and perhaps a hint. This page is made from the commands' own help.
"""


def page() -> str:
    """The page's text."""
    context = click.Context(llmring, info_name="llmring", **llmring.context_settings)
    commands = list(_commands(llmring, context))
    lines = [_HEAD, "| command | what it does |", "|---|---|"]
    for command, where in commands:
        lines.append(
            f"| [`{where.command_path}`](#{_anchor(where.command_path)}) | {_cell(command.get_short_help_str(200))} |"
        )
    lines += ["", "## Exit codes", "", *_exit_codes(), ""]
    for command, where in commands:
        lines += _section(command, where)
    return "\n".join(lines)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        below = click.Context(command, info_name=name, parent=context)
        yield command, below
        if isinstance(command, click.Group):
            yield from _commands(command, below)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w]+", "-", heading.lower())


def _exit_codes() -> list[str]:
    doc = inspect.getdoc(failures) or ""
    listed = " ".join(doc.partition("\n\n")[2].split()).partition(". ")
    rows = [row.partition(" ") for row in listed[0].split(" · ")]
    worst = listed[2]
    if not all(code.isdecimal() for code, _, _ in rows):
        raise SystemExit(
            "docs/generators/cli.py: the exit codes are not where they were, in the docstring of cli/failures.py"
        )
    return ["| code | means |", "|---|---|", *(f"| {code} | {_cell(text)} |" for code, _, text in rows), "", worst]


def _section(command: click.Command, context: click.Context) -> list[str]:
    lines = [f"## {context.command_path}", ""]
    lines += [" ".join([f"`{context.command_path}", *command.collect_usage_pieces(context)]) + "`", ""]
    lines += [_prose(inspect.cleandoc(command.help or "")), ""]
    rows: list[tuple[str, str]] = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            rows.append(record)
    if rows:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [
            f"| `{_cell(' '.join(names.split()))}` | {_cell(' '.join(meaning.split()))} |" for names, meaning in rows
        ]
        lines.append("")
    if command.epilog:
        lines += [inspect.cleandoc(command.epilog), ""]
    return lines


def _prose(text: str) -> str:
    """Help text as Markdown: a paragraph that click is told to leave alone (a line of `\\b`) is a block."""
    paragraphs = text.split("\n\n")
    kept = [part.removeprefix("\b\n") for part in paragraphs]
    return "\n\n".join(
        part if part == whole else textwrap.indent(part, "    ") for part, whole in zip(kept, paragraphs, strict=True)
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
