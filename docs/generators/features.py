"""docs/features.md: what each dialect can say, from the matrix that tests/wire/test_matrix.py proves."""

from __future__ import annotations

import sys
from typing import Any

from . import ROOT

FEATURES_HEAD = """\
# Features by dialect

What each dialect can say, as far as llmring is concerned: "yes" is a case of `tests/wire/cases` that `make test` runs over a
connection, judged by the vendor's own SDK; a number is a limit of the vendor's, explained below, and what becomes of a request
that asks for it all the same. A provider is a row of `src/llmring/providers/table.py` and names its dialect.
"""


def features_page() -> str:
    """docs/features.md, from the matrix that tests/wire/test_matrix.py proves."""
    sys.path.insert(0, str(ROOT))
    from tests.wire.matrix import FEATURES, cells, dialects

    names = dialects()
    table = {name: cells(name) for name in names}
    notes: list[str] = []
    rows = [f"| feature | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for key, feature in FEATURES.items():
        shown: list[str] = []
        for name in names:
            cell = table[name].get(key)
            if isinstance(cell, dict):
                notes.append(f"`{name}`, {feature.title}: {_limit_note(cell)}")
                shown.append(f"[{len(notes)}](#limits)")
            else:
                shown.append("?" if cell is None else "yes")
        rows.append(f"| {feature.title} | {' | '.join(shown)} |")
    numbered = [f"{number}. {note}" for number, note in enumerate(notes, start=1)]
    return "\n".join([FEATURES_HEAD, *rows, "", "## Limits", "", *numbered, ""])


def _limit_note(cell: dict[str, Any]) -> str:
    becomes = {"refused": " Refused before anything is sent.", "left_out": " Left out, with a warning on the response."}
    said = next((text for key, text in becomes.items() if key in cell and "fetched" not in cell), "")
    return f"{cell['limit'].rstrip('.')}.{said} [Source]({cell['url']}), {cell['date']}."
