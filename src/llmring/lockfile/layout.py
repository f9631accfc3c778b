"""A lock's text without what only people see: white space and comments. Pure."""

from __future__ import annotations

import re
from typing import Final

# Texts are matched to be stepped over: a `#` or a blank within one says something.
_TOKEN: Final = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'[^'\n]*')|#[^\n]*|\s+""")


def strip_layout(text: str) -> str:
    """What is left says the same: two locks with the same rest differ in white space and comments alone."""
    return _TOKEN.sub(lambda found: found[1] or "", text)
