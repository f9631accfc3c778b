"""docs/reference/errors.md: the tree of exceptions, when each is raised, whether another try may help, and the command's exit code."""

from __future__ import annotations

import inspect

from llmring import exceptions
from llmring.cli.failures import exit_code
from llmring.exceptions import LLMRingError, ProviderError

from .source import read_field_notes

_HEAD = """\
# Errors

Everything that llmring raises is an `LLMRingError`, from `src/llmring/exceptions.py`, of which this page is made. `except
ProviderError` is for what a provider did, `except ConfigurationError` for what was asked. What happens before one is raised, which
model of the pool is tried next: [what happens when…](../reliability.md). Signatures: [API](api/errors.md).

"""


def page() -> str:
    """The page's text."""
    doc = inspect.getdoc(exceptions) or ""
    tree = doc[doc.index("LLMRingError\n") :].partition("\n\n")[0]
    lines = [*(f"    {line}" for line in tree.splitlines()), ""]
    lines += ["## Each of them", "", "| error | raised when | another try may help | exit code |", "|---|---|---|---|"]
    kinds = _kinds()
    for kind in kinds:
        when = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()).replace("|", "\\|")
        again = "" if not issubclass(kind, ProviderError) else "yes" if kind.retryable else "no"
        lines.append(
            f"| [`{kind.__name__}`](api/errors.md#llmring.{kind.__name__}) | {when} | {again} | {exit_code(kind)} |"
        )
    lines += ["", "Another try at the same model, that is; an error says for itself what holds: `error.retryable`.", ""]
    lines += [
        "## What they know",
        "",
        "Every error has `message` and, where there is something to do about it, `hint`.",
        "",
    ]
    lines += ["| field | on | what it is |", "|---|---|---|"]
    for kind in kinds:
        if "__init__" not in vars(kind) or kind is LLMRingError:
            continue
        names = [*inspect.signature(kind).parameters, *vars(kind)]
        notes = read_field_notes(inspect.getdoc(kind) or "", names)[1]
        lines += [f"| `{name}` | `{kind.__name__}` | {note.meaning} |" for name, note in notes.items()]
    return _HEAD + "\n".join([*lines, ""])


def _kinds() -> list[type[LLMRingError]]:
    """Every public error, in the order of the tree."""
    from llmring import __all__ as public

    found: list[type[LLMRingError]] = []

    def walk(kind: type[LLMRingError]) -> None:
        if kind.__name__ in public:
            found.append(kind)
        for below in kind.__subclasses__():
            if below.__module__ == exceptions.__name__:
                walk(below)

    walk(LLMRingError)
    return found
