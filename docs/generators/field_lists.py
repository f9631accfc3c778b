"""Shows what a docstring says of fields and parameters as a list. mkdocstrings loads this into griffe when the site is built.

Our docstrings say `name: meaning`, a line each; Markdown would run the lines together.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.append(str(Path(__file__).resolve().parents[1]))
from generators.source import FieldNote, read_field_notes


class FieldLists(griffe.Extension):
    """griffe's hook on everything that has a docstring."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        if obj.docstring is None or not isinstance(obj, (griffe.Class, griffe.Function)):
            return
        names = set(obj.members)
        functions = [obj.members.get("__init__")] if isinstance(obj, griffe.Class) else [obj]
        for function in functions:
            if isinstance(function, griffe.Function):
                names |= {parameter.name for parameter in function.parameters}
        prose, notes = read_field_notes(obj.docstring.value, names)
        if notes:
            rows = [_row(list(group), note) for note, group in itertools.groupby(notes, key=notes.__getitem__)]
            obj.docstring.value = "\n\n".join([prose, "\n".join(rows)])


def _row(names: list[str], note: FieldNote) -> str:
    unit = f" ({note.unit})" if note.unit else ""
    return f"- {', '.join(f'`{name}`' for name in names)}{unit}: {note.meaning}"
