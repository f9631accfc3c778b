"""One way to write JSON data, and hashes over it: what two machines say of the same data is the same text."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson


def render_canonical(value: Any) -> bytes:
    """UTF-8, sorted keys, no blanks. Raises TypeError for what JSON has no words for, so that nothing is hashed by its repr."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def fingerprint(value: Any) -> str:
    """`sha256:` and 64 hex digits over the canonical text."""
    return f"sha256:{hashlib.sha256(render_canonical(value)).hexdigest()}"
