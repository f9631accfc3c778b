"""What was used under each alias, as a file of JSON says it: `{"aliases": {"fast": {"calls": 12, "tokens": {"input": 900}}}}`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.exceptions import LockfileError
from llmring.lockfile.diff import AliasUsage
from llmring.registry.parse import PRICE_KIND
from llmring.schemas.model_ref import ALIAS_NAME

MAX_USAGE_BYTES: Final = 8 * 1024 * 1024
_MAX_COUNT: Final = 10**15
_MAX_SHOWN: Final = 80
_HINT: Final = 'write {"aliases": {"ALIAS": {"calls": 12, "tokens": {"input": 9000, "output": 500}}}}'
_PACKAGED: Final = re.compile(r"[:/]")


def parse_usage_file(data: bytes, source: str) -> dict[str, AliasUsage]:
    """Usage by `alias` or `profile/alias`. Raises LockfileError for anything else: a bill must not rest on half a file."""
    if len(data) > MAX_USAGE_BYTES:
        raise LockfileError(f"{source}: larger than {MAX_USAGE_BYTES} bytes")
    try:
        top: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise LockfileError(f"{source}: broken JSON in line {error.lineno}: {error.msg}", hint=_HINT) from None
    rows = _table(_table(top, source, "the file").get("aliases"), source, "aliases")
    return {alias: _read(alias, row, source) for alias, row in rows.items()}


def _read(alias: str, row: Any, source: str) -> AliasUsage:
    shown = repr(alias[:_MAX_SHOWN])
    if not all(ALIAS_NAME.fullmatch(part) for part in _PACKAGED.split(alias)):
        raise LockfileError(f"{source}: {shown} is no alias", hint=_HINT)
    table = _table(row, source, shown)
    tokens = _table(table.get("tokens", {}), source, f"tokens of {shown}")
    for kind in tokens:
        if not PRICE_KIND.fullmatch(kind):
            raise LockfileError(
                f"{source}: {shown}: {kind[:_MAX_SHOWN]!r} is no kind of token", hint="input, output, cache_read, …"
            )
    counts = {kind: _count(count, source, f"{kind} of {shown}") for kind, count in tokens.items()}
    return AliasUsage(_count(table.get("calls", 0), source, f"calls of {shown}"), counts)


def _table(value: Any, source: str, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise LockfileError(f"{source}: {what} is no table", hint=_HINT)
    return cast("dict[str, Any]", value)


def _count(value: Any, source: str, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_COUNT:
        raise LockfileError(f"{source}: {what} is no whole number of 0 or more")
    return value
