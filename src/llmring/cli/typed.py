"""What somebody types at a prompt: one message, perhaps of several lines. Line editing and ↑ come from readline, where there is one;
nothing that is typed is written to a file.
"""

from __future__ import annotations

import select
import sys
from typing import Final

from llmring import env
from llmring.cli.output import complain, say_as_it_is

PROMPT: Final = "> "
MORE: Final = "... "
_BLOCK: Final = '"""'


def read_typed() -> str | None:
    """The next message; None at the end of input. Raises KeyboardInterrupt for Ctrl-C, which drops what was begun."""
    _prepare_editing()
    try:
        lines = [_read_line(PROMPT)]
        if lines[0].strip().startswith(_BLOCK):
            return _read_block(lines[0].strip().removeprefix(_BLOCK))
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(_read_line(MORE))
        # Where pasted text comes as lines of its own, the rest of it waits already.
        _add_waiting(lines)
    except (EOFError, OSError):
        say_as_it_is("")
        return None
    except UnicodeDecodeError:
        complain("error", f"that was no text in {sys.stdin.encoding}, which this terminal is taken to speak")
        return ""
    return "\n".join(lines)


def _read_block(first: str) -> str:
    """The lines up to one that ends with three quotes."""
    lines = [first] if first.strip() else []
    while not (lines and lines[-1].rstrip().endswith(_BLOCK)):
        lines.append(_read_line(MORE))
    lines[-1] = lines[-1].rstrip().removesuffix(_BLOCK)
    return "\n".join(lines).strip("\n")


def _add_waiting(lines: list[str]) -> None:
    try:
        while _is_waiting():
            lines.append(_read_line(""))
    except EOFError:
        pass  # the message stands; who wants to end says so once more


def _read_line(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)  # with readline
    # input() would write the prompt to stdout, among the answers.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.removesuffix("\n")


def _is_waiting() -> bool:
    try:
        return bool(select.select([sys.stdin], [], [], 0)[0])
    except (OSError, ValueError):
        return False  # Windows asks sockets alone


def _prepare_editing() -> None:
    try:
        import readline
    except ImportError:
        return
    # Python switches it off. With it, a pasted text of many lines is one message. editline has no such thing, and a terminal
    # that knows no escape sequences would show them.
    if "libedit" not in (readline.__doc__ or "") and env.get(env.TERM) not in (None, "dumb"):
        readline.parse_and_bind("set enable-bracketed-paste on")
