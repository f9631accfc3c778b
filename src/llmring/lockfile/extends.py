"""The lockfile inside an installed distribution, found through its metadata. The package itself is never imported."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmring.exceptions import LockfileError, PackageLockError
from llmring.lockfile.model import DEFAULT_PROFILE, ExtendedPackage, Lock, Profile
from llmring.lockfile.parse import digest_of, parse_lock
from llmring.lockfile.store import LOCK_NAME, read_lock_bytes

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from llmring.lockfile.intent import ProfileIntent

MAX_PACKAGE_LOCK_BYTES: Final = 1024 * 1024
_RELOCK = "review what changed, then record the new digest in the lockfile"


def read_package_lock(row: ExtendedPackage, source: str) -> Lock:
    """The lock that `row` names, as it was when it was recorded. `source` names the lockfile that extends it.

    Raises PackageLockError where the distribution ships another lockfile than recorded, LockfileError where it is not installed or
    ships none.
    """
    where = f"{source}: extended package {row.package!r}"
    version, data = _read_shipped(row.package, where)
    if digest_of(data) != row.lock:
        raise PackageLockError(
            f"{where} ships another lockfile than the recorded one (locked at {row.dist or 'an unknown version'},"
            f" installed {version})",
            hint=_RELOCK,
        )
    return parse_lock(data, f"{row.package}:{LOCK_NAME}", max_bytes=MAX_PACKAGE_LOCK_BYTES)


def find_package_lock(package: str, source: str, profiles: Iterable[ProfileIntent] = ()) -> ExtendedPackage:
    """What an installed distribution ships, as a lock records it. `source` names the manifest; profiles: its, whose lists of providers
    hold for the package's aliases too. Raises as `read_package_lock`, PackageLockError also for a provider outside of such a list."""
    where = f"{source}: extended package {package!r}"
    version, data = _read_shipped(package, where)
    lock = parse_lock(data, f"{package}:{LOCK_NAME}", max_bytes=MAX_PACKAGE_LOCK_BYTES)
    for wanted in profiles:
        _check_providers(lock, wanted, where)
    return ExtendedPackage(package, f"{package} {version}", digest_of(data))


def choose_profile(lock: Lock, name: str) -> Profile | None:
    """A package's profile for who looks in the one of this name: its own of that name, else its default."""
    return lock.profiles.get(name) or lock.profiles.get(lock.default_profile or DEFAULT_PROFILE)


def _check_providers(lock: Lock, wanted: ProfileIntent, where: str) -> None:
    found = choose_profile(lock, wanted.name)
    if wanted.providers is None or found is None:
        return
    for alias, binding in found.bindings.items():
        for model in (*binding.models, *binding.then):
            provider = model.partition(":")[0]
            if provider not in wanted.providers:
                raise PackageLockError(
                    f"{where} binds {alias!r} to {model}, and profile {wanted.name!r} allows no provider {provider}",
                    hint="add it to `providers` of the manifest, or take the package out of [extends]",
                )


def _read_shipped(package: str, where: str) -> tuple[str, bytes]:
    """The version of the installed distribution, and the lockfile that it ships."""
    # Needed by the few locks that extend a package, and slow to import for all the others.
    from importlib import metadata

    try:
        distribution = metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: no name at all
        raise LockfileError(f"{where} is not installed", hint="install it, or remove it from the manifest") from None
    return distribution.version, read_lock_bytes(_find(distribution, where), MAX_PACKAGE_LOCK_BYTES)


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
