"""What is piped in: text or bytes of stdin, within limits, and without waiting for ever for a pipe that nobody writes to."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import Final

from llmring.cli.failures import CommandError
from llmring.cli.output import note

MAX_PIPED_BYTES: Final = 10 * 1024 * 1024  # a guess: no model reads as much
_SAY_AFTER_S: Final = 2.0  # guess
_GIVE_UP_AFTER_S: Final = 30.0  # guess


def is_terminal() -> bool:
    """Whether somebody types: stdin is open, and a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()  # None where it is closed


def read_bytes() -> bytes:
    """All of stdin, however long it takes. Raises CommandError where it is too much."""
    try:
        data = sys.stdin.buffer.read(MAX_PIPED_BYTES + 1)
    except (OSError, ValueError, AttributeError):
        raise CommandError("stdin cannot be read") from None
    if len(data) > MAX_PIPED_BYTES:
        raise CommandError(f"what was piped in is larger than {MAX_PIPED_BYTES} bytes")
    return data


def read_text() -> str:
    """All of stdin as text. Raises CommandError where it is none."""
    try:
        return read_bytes().decode(sys.stdin.encoding or "utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise CommandError(
            f"what was piped in is no text in {sys.stdin.encoding}", hint="-a - attaches images and PDFs from stdin"
        ) from None


def read_text_beside() -> str:
    """What is piped in beside a message; "" where nothing is.

    A pipe may be one that this process has only inherited, and that nobody will ever write to or close. After 30 seconds without
    a first byte that is an error: going on would ask about something that is not there.
    """
    if not _is_piped() or not sys.stdin.readable():
        return ""
    if not wait_for_data(sys.stdin.fileno(), _SAY_AFTER_S):
        note("waiting for what is piped in; `< /dev/null` goes without it")
        if not wait_for_data(sys.stdin.fileno(), _GIVE_UP_AFTER_S - _SAY_AFTER_S):
            raise CommandError(
                f"stdin is a pipe through which nothing came in {_GIVE_UP_AFTER_S:.0f} s",
                hint="`< /dev/null` goes without it; `-a -` waits as long as it takes",
            )
    return read_text()


def wait_for_data(descriptor: int, seconds: float) -> bool:
    """Whether, within that time, something came or the other side closed."""
    if not hasattr(select, "poll"):
        return True  # Windows cannot ask a pipe: reading it waits
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(seconds * 1000))


def _is_piped() -> bool:
    """Whether stdin is a pipe or a file, as opposed to a terminal, /dev/null, or a daemon's socket that never ends."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
