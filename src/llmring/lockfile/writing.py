"""Writes a lockfile or manifest whole or not at all, and by one llmring at a time."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from llmring.exceptions import LockfileError
from llmring.lockfile.parse import MAX_LOCK_BYTES
from llmring.lockfile.store import read_lock_bytes
from llmring.regular_file import replace_file

_MODE: Final = 0o644  # these files are committed


@contextmanager
def alone_in(directory: Path) -> Generator[None]:
    """Inside it no other llmring makes a lock in this folder. Raises LockfileError where one does; leaves no file behind."""
    try:
        import fcntl
    except ImportError:  # Windows has no flock: there the check before the replacement is all there is
        yield
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise LockfileError(f"{directory}: {error.strerror or 'no such folder'}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockfileError(
                f"another llmring is making a lock in {directory}",
                hint="nothing was changed: try again when it is done",
            ) from None
        except OSError:
            pass  # a file system without locks, as some of the network have none
        yield
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes, *, expected: bytes | None) -> bool:
    """Replaces the file's content, whole or not at all; False where it has these bytes already.

    expected: what was read before, None for no file: anything else means that somebody changed it meanwhile. Raises LockfileError.
    """
    path = _real(path)
    present = read_lock_bytes(path, MAX_LOCK_BYTES) if path.exists() else None
    if present == data:
        return False
    if present != expected:
        raise LockfileError(f"{path} was changed meanwhile", hint="nothing was written: run the command again")
    try:
        replace_file(path, data, mode=_MODE, keep_mode=True)
    except OSError as error:
        raise LockfileError(f"{path}: {error.strerror or 'cannot be written'}") from None
    return True


def _real(path: Path) -> Path:
    """Where a link leads, as long as that is in the link's own folder or below it."""
    if not path.is_symlink():
        return path
    real, root = Path(os.path.realpath(path)), Path(os.path.realpath(path.parent))
    if not real.is_relative_to(root):
        raise LockfileError(f"{path} is a link that leads out of its folder", hint="make it a file")
    return real
