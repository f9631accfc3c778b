"""Errors as people and scripts meet them: one line, perhaps a hint, and an exit code. No traceback for what is not a bug.

0 fine · 1 unknown alias, profile or model · 2 bad input: usage, lockfile, settings, a request the provider refuses ·
3 could not be determined: network, credentials, a provider's failure · 4 refused for safety · 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeGuard

import click

from llmring.cli.output import complain
from llmring.exceptions import (
    AliasNotFoundError,
    InvalidRequestError,
    LLMRingError,
    ModelNotFoundError,
    ProfileNotFoundError,
    ProviderError,
    UnsafeURLError,
)

if TYPE_CHECKING:
    from pydantic import ValidationError

UNKNOWN_NAME: Final = 1
BAD_INPUT: Final = 2
UNDETERMINED: Final = 3
REFUSED: Final = 4
INTERRUPTED: Final = 130

# The first that fits, so subclasses stand before their bases.
_CODES: tuple[tuple[type[LLMRingError], int], ...] = (
    (AliasNotFoundError, UNKNOWN_NAME),
    (ProfileNotFoundError, UNKNOWN_NAME),
    (ModelNotFoundError, UNKNOWN_NAME),
    (UnsafeURLError, REFUSED),
    (InvalidRequestError, BAD_INPUT),
    (ProviderError, UNDETERMINED),
)


def report(error: Exception) -> int | None:
    """Says on stderr what went wrong; returns the exit code, or None for an error that is none of ours."""
    if isinstance(error, LLMRingError):
        hint = error.hint
        # The hint has a line of its own here.
        complain("error", str(error).replace(f" ({hint})", "", 1) if hint else str(error))
        if hint:
            complain("hint", hint)
        return next((code for kind, code in _CODES if isinstance(error, kind)), BAD_INPUT)
    if isinstance(error, click.ClickException):
        complain("error", error.format_message())
        if isinstance(error, click.UsageError) and error.ctx is not None:
            complain("hint", f"see `{error.ctx.command_path} --help`")
        return BAD_INPUT
    if _is_validation_error(error):
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            where = ".".join(str(step) for step in problem["loc"])
            text = problem["msg"].removeprefix("Value error, ")
            complain("error", text if not where or text.startswith(where) else f"{where}: {text}")
        return BAD_INPUT
    return None


def _is_validation_error(error: Exception) -> TypeGuard[ValidationError]:
    # Only a process that has loaded pydantic can have raised it.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(error, pydantic.ValidationError)
