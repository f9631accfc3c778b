"""The manifest beside the lock: `llmring.toml`, or `[tool.llmring]` of `pyproject.toml`. Found and opened here; what its tables say of
aliases is read by `intents`, what they say of providers is for the providers' floor to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import tomli

from llmring.exceptions import LockfileError
from llmring.lockfile.store import read_lock_bytes

if TYPE_CHECKING:
    from llmring.lockfile.intent import Manifest

MANIFEST_NAME: Final = "llmring.toml"
PYPROJECT_NAME: Final = "pyproject.toml"
_MAX_MANIFEST_BYTES = 1024 * 1024


def read_declared_providers(directory: Path) -> Mapping[str, Mapping[str, Any]]:
    """The `[providers.NAME]` tables of the manifest in `directory`; empty where there is none.

    Raises LockfileError where a file cannot be read, the tables are no tables, or both files declare providers.
    """
    own_path, pyproject_path = directory / MANIFEST_NAME, directory / PYPROJECT_NAME
    own = _provider_tables(_read_toml(own_path), own_path, "providers")
    tool = _read_toml(pyproject_path).get("tool")
    ours: Any = cast("dict[str, Any]", tool).get("llmring") if isinstance(tool, dict) else None
    theirs = _provider_tables(
        cast("dict[str, Any]", ours) if isinstance(ours, dict) else {}, pyproject_path, "tool.llmring.providers"
    )
    if own and theirs:
        raise LockfileError(
            f"{own_path} and [tool.llmring.providers] of {pyproject_path} both declare providers",
            hint="keep one of the two manifests",
        )
    return own or theirs


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomli.loads(
            read_lock_bytes(path, _MAX_MANIFEST_BYTES).decode("utf-8-sig")
        )  # editors of Windows begin with a mark
    except (ValueError, RecursionError) as error:
        raise LockfileError(f"{path}: broken TOML: {error}") from None


def _provider_tables(table: Mapping[str, Any], path: Path, place: str) -> Mapping[str, Mapping[str, Any]]:
    given: Any = table.get("providers", {})
    if not isinstance(given, dict):
        raise LockfileError(f"{path}: [{place}] is no table", hint=f"write [{place}.NAME]")
    tables = cast("dict[str, Any]", given)
    for name, row in tables.items():
        if not isinstance(row, dict):
            raise LockfileError(f"{path}: {name[:80]!r} in [{place}] is no table", hint=f"write [{place}.NAME]")
    return tables


def read_manifest(directory: Path) -> Manifest | None:
    """What the manifest in `directory` asks for: `llmring.toml`, or `[tool.llmring]` of `pyproject.toml`; None where there is none.

    Raises LockfileError where it cannot be read, or where both files hold one.
    """
    # Here: a ring asks this module for declared providers, and for nothing that takes this.
    from llmring.lockfile.intents import parse_manifest

    own_path, pyproject_path = directory / MANIFEST_NAME, directory / PYPROJECT_NAME
    tool = _read_toml(pyproject_path).get("tool")
    theirs: Any = cast("dict[str, Any]", tool).get("llmring") if isinstance(tool, dict) else None
    if own_path.exists() and theirs is not None:
        raise LockfileError(
            f"{own_path} and [tool.llmring] of {pyproject_path} are both manifests", hint="keep one of the two"
        )
    if own_path.exists():
        return parse_manifest(_read_toml(own_path), str(own_path))
    if theirs is None:
        return None
    if not isinstance(theirs, dict):
        raise LockfileError(f"{pyproject_path}: [tool.llmring] is no table")
    return parse_manifest(cast("dict[str, Any]", theirs), f"{pyproject_path} [tool.llmring]")
