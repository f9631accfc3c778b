"""The lockfile inside an installed distribution, found through its metadata. The package itself is never imported."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmring.exceptions import LockfileError
from llmring.lockfile.model import ExtendedPackage, Lock
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.store import LOCK_NAME, read_lock_bytes

if TYPE_CHECKING:
    from importlib.metadata import Distribution

MAX_PACKAGE_LOCK_BYTES: Final = 1024 * 1024
_RELOCK = "review what changed, then record the new digest in the lockfile"


def read_package_lock(row: ExtendedPackage, source: str) -> Lock:
    """The lock that `row` names, as it was when it was recorded. `source` names the lockfile that extends it.

    Raises LockfileError where the distribution is not installed, ships no lockfile, or ships another one than recorded.
    """
    # Needed by the few locks that extend a package, and slow to import for all the others.
    from importlib import metadata

    where = f"{source}: extended package {row.package!r}"
    try:
        distribution = metadata.distribution(row.package)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: no name at all
        raise LockfileError(f"{where} is not installed", hint="install it, or remove it from the manifest") from None
    path = _find(distribution, where)
    data = read_lock_bytes(path, MAX_PACKAGE_LOCK_BYTES)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if digest != row.lock:
        raise LockfileError(
            f"{where} ships another lockfile than the recorded one (locked at {row.dist or 'an unknown version'},"
            f" installed {distribution.version})",
            hint=_RELOCK,
        )
    return parse_lock(data, f"{row.package}:{LOCK_NAME}", max_bytes=MAX_PACKAGE_LOCK_BYTES)


def find_package_lock(package: str, source: str) -> ExtendedPackage:
    """What an installed distribution ships, as a lock records it. `source` names the manifest. Raises as `read_package_lock`."""
    from importlib import metadata

    where = f"{source}: extended package {package!r}"
    try:
        distribution = metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: no name at all
        raise LockfileError(f"{where} is not installed", hint="install it, or remove it from the manifest") from None
    data = read_lock_bytes(_find(distribution, where), MAX_PACKAGE_LOCK_BYTES)
    parse_lock(data, f"{package}:{LOCK_NAME}", max_bytes=MAX_PACKAGE_LOCK_BYTES)
    name = f"{package} {distribution.version}"
    return ExtendedPackage(package, name, f"sha256:{hashlib.sha256(data).hexdigest()}")


def _find(distribution: Distribution, where: str) -> Path:
    shipped = [file for file in distribution.files or () if file.name == LOCK_NAME]
    if not shipped:
        raise LockfileError(
            f"{where} ships no {LOCK_NAME}", hint="an editable install lists no files: install it as others would"
        )
    # A package may carry further ones below (tests, examples): the one nearest to its top is its own.
    depth = min(len(file.parts) for file in shipped)
    nearest = [file for file in shipped if len(file.parts) == depth]
    if len(nearest) > 1:
        names = ", ".join(sorted(str(file) for file in nearest))
        raise LockfileError(f"{where} ships more than one lockfile: {names}")
    root = os.path.realpath(str(distribution.locate_file("")))
    try:
        real = os.path.realpath(str(nearest[0].locate()))
    except ValueError:  # a name with NUL
        raise LockfileError(f"{where}: its RECORD names a {LOCK_NAME} that no file can be") from None
    if not Path(real).is_relative_to(root):
        raise LockfileError(f"{where}: {nearest[0]} lies outside of the folder that it is installed in")
    return Path(real)
