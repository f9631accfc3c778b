"""Writing for people and for pipes: stdout carries data, stderr talk. Model text is data: a terminal never obeys it."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from typing import Any, TextIO

from llmring import env

BROKEN_PIPE = 141  # what a shell says of a command that SIGPIPE ended: 128 + 13

# All control characters but newline and tab: they could move the cursor, retitle the window, or hide text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Talk(logging.Handler):
    """llmring's own warnings, as lines of talk."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}")


def show_warnings() -> None:
    """What llmring logs as a warning is said on stderr."""
    logger = logging.getLogger("llmring")
    logger.addHandler(_Talk(logging.WARNING))
    logger.propagate = False


def quiet_pipes() -> None:
    """Text that a stream's encoding cannot say is written as `?` instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def write(text: str) -> None:
    """Data, at once. Ends the process quietly where nobody reads any more."""
    if sys.stdout.isatty():
        text = _CONTROL.sub("", text)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it exits; that flush must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(BROKEN_PIPE) from None


def write_json(value: Any) -> None:
    """One JSON value, one line."""
    write(json.dumps(value, ensure_ascii=False) + "\n")


def write_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Columns, left-aligned, two spaces between them; no trailing blanks."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def say(text: str) -> None:
    """One line of talk."""
    sys.stderr.write(_one_line(text) + "\n")


def complain(label: str, text: str) -> None:
    """`error: …` or `hint: …`, in colour on a terminal unless NO_COLOR is set."""
    head = f"{label}:"
    if _colours(sys.stderr):
        head = f"\x1b[{'1;31' if label == 'error' else '36'}m{head}\x1b[0m"
    sys.stderr.write(f"{head} {_one_line(text)}\n")


def _one_line(text: str) -> str:
    return _CONTROL.sub("", " ".join(text.split()))


def _colours(stream: TextIO) -> bool:
    return stream.isatty() and env.get(env.NO_COLOR) is None
