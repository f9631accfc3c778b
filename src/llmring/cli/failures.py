"""Errors as people and scripts meet them: one line, perhaps a hint, and an exit code. No traceback for what is not a bug.

0 fine · 1 act: unknown alias, profile, provider or model, or something found that wants doing · 2 bad input: usage, lockfile, settings,
a request the provider refuses, a file that the system does · 3 could not be determined: network, credentials, a provider's failure · 4 refused for
safety · 130 interrupted. Of several the worst counts: 4, then 2, 3, 1.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import click

from llmring.cli.output import complain, complain_in_json
from llmring.exceptions import (
    AliasNotFoundError,
    DigestMismatchError,
    InvalidRequestError,
    LLMRingError,
    ModelInfoNotFoundError,
    ModelNotFoundError,
    PackageLockError,
    ProfileNotFoundError,
    ProviderError,
    ProviderNotFoundError,
    UnsafeURLError,
)

if TYPE_CHECKING:
    from pydantic import ValidationError

FINE: Final = 0
UNKNOWN_NAME: Final = 1
ACT: Final = 1
BAD_INPUT: Final = 2
UNDETERMINED: Final = 3
REFUSED: Final = 4
INTERRUPTED: Final = 130

_WORST_FIRST: Final = (REFUSED, BAD_INPUT, UNDETERMINED, ACT)

_MAX_NAME: Final = 200  # of a file, as it is shown

# The first that fits, so subclasses stand before their bases.
_CODES: tuple[tuple[type[LLMRingError], int], ...] = (
    (AliasNotFoundError, UNKNOWN_NAME),
    (ProfileNotFoundError, UNKNOWN_NAME),
    (ProviderNotFoundError, UNKNOWN_NAME),
    (ModelInfoNotFoundError, UNKNOWN_NAME),
    (ModelNotFoundError, UNKNOWN_NAME),
    (UnsafeURLError, REFUSED),
    (DigestMismatchError, REFUSED),
    (PackageLockError, REFUSED),
    (InvalidRequestError, BAD_INPUT),
    (ProviderError, UNDETERMINED),
)

# What a script may want to decide by; facts of errors that hold content or whole responses are not among them.
_FACTS: Final = (
    "name", "close_matches", "provider", "model", "status", "code", "request_id", "retry_after_s", "retryable",
)  # fmt: skip


class CommandError(Exception):
    """A command cannot go on, for a reason that is the command's own. Becomes a line, a hint and this exit code."""

    def __init__(self, message: str, *, exit_code: int = BAD_INPUT, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.hint = hint


def exit_code(kind: type[LLMRingError]) -> int:
    """What a command ends with that could not go on because of this error."""
    return next((code for known, code in _CODES if issubclass(kind, known)), BAD_INPUT)


def worst(codes: list[int]) -> int:
    """The exit code of a command that came to several; FINE for none."""
    return next((code for code in _WORST_FIRST if code in codes), FINE)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error as it is shown."""

    kind: str
    problems: list[str]
    exit_code: int
    hint: str | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


def report(error: Exception, as_json: bool = False) -> int | None:
    """Says on stderr what went wrong; returns the exit code, or None for an error that is none of ours.

    as_json: as one JSON object, `{"error": {"type", "message", "hint", "exit_code", …}}`, where what is not known is left out.
    """
    failure = _describe(error)
    if failure is None:
        return None
    if as_json:
        said = {"type": failure.kind, "message": "; ".join(failure.problems), "hint": failure.hint}
        said |= {"exit_code": failure.exit_code} | failure.facts
        complain_in_json({"error": {name: value for name, value in said.items() if value is not None}})
    else:
        for problem in failure.problems:
            complain("error", problem)
        if failure.hint:
            complain("hint", failure.hint)
    return failure.exit_code


def _describe(error: Exception) -> _Failure | None:
    if isinstance(error, LLMRingError):
        hint = error.hint
        # The hint has a line of its own here.
        message = str(error).replace(f" ({hint})", "", 1) if hint else str(error)
        code = exit_code(type(error))
        facts = {name: getattr(error, name, None) for name in _FACTS}
        facts = {name: value for name, value in facts.items() if value not in (None, "", ())}
        return _Failure(type(error).__name__, [message], code, hint, facts)
    if isinstance(error, CommandError):
        return _Failure("CommandError", [error.message], error.exit_code, error.hint)
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = None if context is None else f"see `{context.command_path} --help`"
        return _Failure("UsageError", [error.format_message()], BAD_INPUT, hint)
    if isinstance(error, OSError):
        # What the system refuses is no bug: a folder that is gone, a name that is too long, a full disk.
        return _Failure(type(error).__name__, [_name_refusal(error)], BAD_INPUT)
    if _is_validation_error(error):
        problems = list[str]()
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            where = ".".join(str(step) for step in problem["loc"])
            text = problem["msg"].removeprefix("Value error, ")
            problems.append(text if not where or text.startswith(where) else f"{where}: {text}")
        return _Failure("ValidationError", problems, BAD_INPUT)
    return None


def _name_refusal(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        name = str(error.filename)
        return f"{name[:_MAX_NAME]}{'…' if len(name) > _MAX_NAME else ''}: {text}"
    return "the current folder is gone" if _is_here_gone() else text


def _is_here_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _is_validation_error(error: Exception) -> TypeGuard[ValidationError]:
    # Only a process that has loaded pydantic can have raised it.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(error, pydantic.ValidationError)
