"""Checking the lock of a folder: reads the two files and what installed packages ship, and asks nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmring.exceptions import LockfileError
from llmring.lockfile.check import Installed, check_lock
from llmring.lockfile.extends import find_package_lock
from llmring.lockfile.finding import Finding
from llmring.lockfile.intent import Manifest
from llmring.lockfile.manifest import MANIFEST_NAME, PYPROJECT_NAME, read_declared_providers, read_manifest
from llmring.lockfile.model import Lock
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.store import read_lock_bytes
from llmring.providers.base import RESPONSES, ProviderRow
from llmring.providers.declared import Trust, declare
from llmring.providers.table import PROVIDERS
from llmring.wire.handover import Speaker


@dataclass(frozen=True, slots=True)
class Checked:
    """A lock, its manifest (None: there is none), and what was found. text: the lock's own, for line numbers."""

    lock: Lock
    manifest: Manifest | None
    text: str
    findings: list[Finding]


def check_file(path: Path, directory: Path | None = None, *, frozen: bool = False) -> Checked:
    """Checks the lock at `path` against the manifest in `directory` (default: the lock's own folder). frozen: by itself, unread manifest.

    Raises LockfileError where a file cannot be read or understood, ConfigurationError for a provider declared wrongly.
    """
    folder = path.parent if directory is None else directory
    data = read_lock_bytes(path)
    lock = parse_lock(data, path.name)
    manifest = None if frozen else read_manifest(folder)
    speaker_of = make_speaker_of(None if frozen else folder)
    findings = check_lock(lock, data, manifest, speaker_of=speaker_of, installed=find_installed(lock.extended))
    return Checked(lock, manifest, data.decode("utf-8-sig"), findings)


def has_manifest(directory: Path) -> bool:
    """Whether anything there asks for a lock."""
    own, pyproject = directory / MANIFEST_NAME, directory / PYPROJECT_NAME
    return own.exists() or (pyproject.exists() and read_manifest(directory) is not None)


def make_speaker_of(directory: Path | None) -> Callable[[str], Speaker | None]:
    """How models are spoken to, by llmring's own table and what the manifest in `directory` declares; None: there is none."""
    rows = dict(PROVIDERS)
    declared: Mapping[str, Mapping[str, Any]] = {} if directory is None else read_declared_providers(directory)
    rows |= {name: declare(name, given, Trust.REPOSITORY).row for name, given in declared.items()}
    known: dict[tuple[str, str | None], Speaker] = {}

    def speaker_of(model: str) -> Speaker | None:
        provider, _, name = model.partition(":")
        row = rows.get(provider)
        if row is None:
            return None
        pattern = next((pattern for pattern, _ in row.model_quirks if re.fullmatch(pattern, name)), None)
        only_responses = row.responses_only is not None and re.fullmatch(row.responses_only, name) is not None
        key = (provider, f"{pattern} {only_responses}")
        if key not in known:  # one object for all models alike, so that pairs of them are looked at once
            known[key] = _make_speaker(row, pattern, RESPONSES if only_responses else row.dialect)
        return known[key]

    return speaker_of


def _make_speaker(row: ProviderRow, pattern: str | None, dialect: str) -> Speaker:
    quirks = next((quirks for known, quirks in row.model_quirks if known == pattern), row.quirks)
    files = row.files is not None and dialect in row.files.dialects
    return Speaker(row.name, dialect, quirks, keeps_files=files, local=row.local)


def find_installed(packages: Iterable[str]) -> dict[str, Installed | None]:
    """What each package ships, by its metadata; None where it is not installed. No package is imported."""
    found: dict[str, Installed | None] = {}
    for package in packages:
        from importlib import metadata  # slow to import, and few locks extend a package

        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
            continue
        try:
            row = find_package_lock(package, "installed")
        except LockfileError:
            found[package] = Installed(f"{package} {version}", None)
        else:
            found[package] = Installed(row.dist or f"{package} {version}", row.lock)
    return found
