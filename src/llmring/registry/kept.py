"""What was fetched of a registry, kept on disk: one file for each address, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import orjson

from llmring.exceptions import RegistryError
from llmring.registry.snapshot import MAX_SNAPSHOT_BYTES, Snapshot, parse_snapshot
from llmring.regular_file import read_regular_file, replace_file

# Texts within JSON: quotes and line breaks take two bytes there.
_MAX_KEPT_BYTES: Final = 2 * MAX_SNAPSHOT_BYTES


def read_kept(path: Path) -> Snapshot | None:
    """What was kept; None where nothing was. Raises RegistryError where it cannot be used."""
    try:
        data, _ = read_regular_file(path, _MAX_KEPT_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RegistryError(f"the registry kept in {path} cannot be read: {error.strerror or error}") from None
    if len(data) > _MAX_KEPT_BYTES:
        raise RegistryError(f"the registry kept in {path} is larger than {_MAX_KEPT_BYTES:,} bytes")
    try:
        document: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        document = None
    files: Any = cast("dict[str, Any]", document).get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in cast("dict[str, Any]", files).values()):
        raise RegistryError(f"the registry kept in {path} is no registry", hint="delete it, or refresh it")
    contents = {name: text.encode() for name, text in cast("dict[str, str]", files).items()}
    return parse_snapshot(contents, f"the registry kept in {path}")


def write_kept(path: Path, contents: Mapping[str, bytes]) -> None:
    """Keeps the files as one, whole or not at all. Raises OSError."""
    files = {name: data.decode() for name, data in contents.items()}
    replace_file(path, orjson.dumps({"files": files}))
