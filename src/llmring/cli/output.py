"""Writing for people and for pipes: stdout carries data, stderr talk. Model text is data: a terminal never obeys it.

With --json, what is said on stderr is JSON too: one object a line, whose one key says what it is: note, warning or error.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TextIO, TypeAlias

import click

from llmring import env
from llmring.exceptions import ConfigurationError

BROKEN_PIPE = 141  # what a shell says of a command that SIGPIPE ended: 128 + 13

Label: TypeAlias = Literal["note", "warning", "error", "hint"]

# All control characters but newline and tab: they could move the cursor, retitle the window, or hide text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STYLES: dict[Label, str] = {"error": "1;31", "warning": "33", "hint": "36", "note": "2"}
# A last column narrower than this is no column: the table becomes a list. A guess.
_NARROWEST_COLUMN = 16


class _Talk(logging.Handler):
    """llmring's own warnings, as lines of talk."""

    def __init__(self, as_json: bool) -> None:
        super().__init__(logging.WARNING)
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "llmring.resilience":
            return  # how gates stand matters to who goes on calling; a command ends with its error
        # Not asked of click's context: a warning may come from another thread.
        _talk("warning", record.getMessage(), self._as_json)


@contextmanager
def showing_warnings(as_json: bool) -> Generator[None]:
    """Inside it, what llmring logs as a warning is said on stderr."""
    logger = logging.getLogger("llmring")
    talk, propagated = _Talk(as_json), logger.propagate
    logger.addHandler(talk)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(talk)
        logger.propagate = propagated


def quiet_pipes() -> None:
    """Text that a stream's encoding cannot say is written as `?` instead of raising; talk to a closed stderr goes nowhere."""
    if sys.stderr is None:  # closed; libraries, too, write to it without asking
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, it stays open for as long as the process runs
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


# Data


def write(text: str) -> None:
    """Data, at once. Ends the process quietly where nobody reads any more; ConfigurationError where stdout is closed, or its disk full."""
    if sys.stdout is None:
        raise ConfigurationError("stdout is closed")
    if sys.stdout.isatty():
        text = _CONTROL.sub("", text)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _mute(sys.stdout)
        raise SystemExit(BROKEN_PIPE) from None
    except OSError as error:
        _mute(sys.stdout)
        raise ConfigurationError(f"stdout cannot be written: {error.strerror}") from None


def end_data() -> None:
    """Writes out what others printed to stdout. Raises as `write`."""
    if sys.stdout is not None:
        write("")


def _mute(stream: TextIO) -> None:
    """Python flushes its streams once more when it exits; that flush must go somewhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_json(value: Any) -> None:
    """One JSON value, one line."""
    write(json.dumps(value, ensure_ascii=False) + "\n")


def write_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns, left-aligned, two spaces between them; no trailing blanks.

    On a terminal that is too narrow the last column is wrapped at its blanks, and where not even that fits, each row becomes a
    short list. A pipe gets every row on one line.
    """
    table = [tuple(_one_line(cell) for cell in row) for row in [head, *rows]]
    widths = [max(_width(row[column]) for row in table) for column in range(len(head))]
    room = _columns() if sys.stdout is not None and sys.stdout.isatty() else sys.maxsize
    left = room - sum(widths[:-1]) - 2 * (len(head) - 1)
    if left < min(widths[-1], _NARROWEST_COLUMN):
        write("\n".join(_as_list(table[0], row) for row in table[1:]))
        return
    for row in table:
        start = "".join(_pad(cell, width) + "  " for cell, width in zip(row[:-1], widths[:-1], strict=True))
        first, *others = _wrap(row[-1], left) or [""]
        write(f"{start}{first}".rstrip() + "\n")
        for line in others:
            write(" " * _width(start) + line + "\n")


def _columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _as_list(head: tuple[str, ...], row: tuple[str, ...]) -> str:
    return "".join(f"{name}: {cell}".rstrip() + "\n" for name, cell in zip(head, row, strict=True))


def _wrap(text: str, room: int) -> list[str]:
    """Lines of at most `room` columns, broken at blanks; a longer word has a line of its own."""
    lines = list[str]()
    for word in text.split():
        if lines and _width(lines[-1]) + 1 + _width(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _width(text: str) -> int:
    """How many columns a terminal takes for it."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    wide = sum(east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(combining(letter) > 0 for letter in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


# Talk


def note(text: str) -> None:
    """One line of talk: `note: …`."""
    _talk("note", text, _wants_json())


def warn(text: str) -> None:
    """One line of talk: `warning: …`."""
    _talk("warning", text, _wants_json())


def say(text: str) -> None:
    """One line of talk without a word before it; with --json, a note."""
    if _wants_json():
        _talk("note", text, as_json=True)
    else:
        say_as_it_is(_one_line(text))


def complain(label: Label, text: str) -> None:
    """`error: …` or `hint: …`, in colour on a terminal unless NO_COLOR is set."""
    _talk(label, text, as_json=False)


def complain_in_json(value: dict[str, Any]) -> None:
    """One line of talk that is a JSON object."""
    say_as_it_is(json.dumps(value, ensure_ascii=False))


def _talk(label: Label, text: str, as_json: bool) -> None:
    if as_json:
        complain_in_json({label: text})
        return
    head = f"{label}:"
    if colours(sys.stderr):
        head = f"\x1b[{_STYLES[label]}m{head}\x1b[0m"
    say_as_it_is(f"{head} {_one_line(text)}")


def say_as_it_is(line: str) -> None:
    """A line of talk whose blanks matter. None of it comes from others."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except ValueError:
        pass  # nobody listens to talk: no reason to fail
    except OSError:
        _mute(sys.stderr)


def _wants_json() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get("as_json") is True


def _one_line(text: str) -> str:
    return _CONTROL.sub("", " ".join(text.split()))


def colours(stream: TextIO) -> bool:
    """Whether this stream is a terminal that knows colours, and NO_COLOR is not set."""
    return stream.isatty() and env.get(env.NO_COLOR) is None and env.get(env.TERM) != "dumb"
