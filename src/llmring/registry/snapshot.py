"""A registry as it stands: the files of one folder, bundle or package, read together. Reads files; writes none, asks no network.

Whatever is read may be anybody's: names have a grammar, sizes are bounded, and each file says whose models it holds.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmring.exceptions import RegistryError
from llmring.registry.model_info import ModelInfo
from llmring.registry.parse import MAX_REGISTRY_BYTES, RegistryFile, parse_registry
from llmring.regular_file import read_regular_file

_log = logging.getLogger("llmring.registry")

FILE_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}\.json", re.ASCII)
INDEX_NAME: Final = (
    "index.json"  # what a folder that is served over https has beside its files; no provider is called so
)
MAX_FILES: Final = 64  # guess: there are four
MAX_SNAPSHOT_BYTES: Final = MAX_REGISTRY_BYTES  # of all files together

# In a wheel the files lie beside this module; in a checkout, at its top.
_PACKAGED: Final = Path(__file__).resolve().parent / "data"
_CHECKOUT: Final = Path(__file__).resolve().parents[3] / "registry"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of one registry, by provider. origin: where they came from, for people."""

    origin: str
    files: Mapping[str, RegistryFile]

    @property
    def as_of(self) -> str:
        """The date of its newest fact (YYYY-MM-DD)."""
        return max(file.as_of for file in self.files.values())

    def models(self) -> dict[str, ModelInfo]:
        return {info.id: info for file in self.files.values() for info in file.models.values()}


def parse_snapshot(contents: Mapping[str, bytes], origin: str) -> Snapshot:
    """The files of a registry, by name. Raises RegistryError for anything that is none."""
    check_names(contents, origin)
    files = {name: parse_registry(data, f"{origin}: {name}") for name, data in contents.items()}
    for name, file in files.items():
        if name != f"{file.provider}.json":
            raise RegistryError(f"{origin}: {name} holds the models of {file.provider!r}")
    return Snapshot(origin, {file.provider: file for file in files.values()})


def check_names(contents: Mapping[str, object], origin: str) -> None:
    """Raises RegistryError for no file, too many, or one whose name is no provider's."""
    if not contents:
        raise RegistryError(f"{origin}: no registry files", hint="it holds one PROVIDER.json for each provider")
    if len(contents) > MAX_FILES:
        raise RegistryError(f"{origin}: more than {MAX_FILES} files")
    for name in contents:
        if not FILE_NAME.fullmatch(name) or name == INDEX_NAME:
            raise RegistryError(f"{origin}: {name[:80]!r} is no name of a registry file", hint="PROVIDER.json")


def read_files(path: Path) -> dict[str, bytes]:
    """The registry files of a folder, or the one that is named. Raises RegistryError where they cannot be read."""
    try:
        if path.is_dir():
            with os.scandir(path) as entries:
                # Bounded before it is sorted: the folder may be any.
                names = [name for entry, _ in zip(entries, range(10_000), strict=False) if _is_data(name := entry.name)]
            paths = [path / name for name in sorted(names)[: MAX_FILES + 1]]
        else:
            paths = [path]
        contents: dict[str, bytes] = {}
        left = MAX_SNAPSHOT_BYTES
        for each in paths:
            contents[each.name], _ = read_regular_file(each, left + 1)
            left -= len(contents[each.name])
            if left < 0:
                raise RegistryError(f"{path}: more than {MAX_SNAPSHOT_BYTES:,} bytes")
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else None
        raise RegistryError(f"the registry {path} cannot be read: {what or error}") from None
    return contents


def _is_data(name: str) -> bool:
    return name != INDEX_NAME and FILE_NAME.fullmatch(name) is not None


def bundled_folder() -> Path:
    """Where the registry that ships with llmring lies: in the package, or in a checkout at its top."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def read_bundled() -> dict[str, ModelInfo]:
    """The models that ship with llmring. Raises nothing: a file that is broken, as no whole installation has one, is left out
    with a warning, and so is a folder that is missing."""
    models: dict[str, ModelInfo] = {}
    try:
        contents = read_files(bundled_folder())
        if not contents:
            raise RegistryError(f"{bundled_folder()} holds no registry")
    except RegistryError as error:
        _log.warning("llmring's own registry cannot be read, so that nothing is known of any model: %s", error)
        return models
    for name, data in contents.items():
        try:
            models |= parse_snapshot({name: data}, "the bundled registry").models()
        except RegistryError as error:
            _log.warning("a file of llmring's own registry cannot be used: %s", error)
    return models
