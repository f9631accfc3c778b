"""Files, whole or not at all: read, a regular file that somebody else named, and never more of it than asked for; written, so that
nobody ever sees half of one.
"""

from __future__ import annotations

import os
import stat

# O_NONBLOCK: opening a pipe must not wait for a writer. O_NOCTTY: nor may a terminal become ours. Not all systems have all.
_OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


class NotARegularFileError(OSError):
    """A folder, device, pipe or socket."""


def read_regular_file(path: str | os.PathLike[str], limit: int) -> tuple[bytes, os.stat_result]:
    """The first `limit` bytes, and the file's status as it was before they were read.

    A reader that allows N bytes asks for N + 1: a file may grow, and files of /proc say that they are empty. Raises
    NotARegularFileError, else OSError or ValueError (a name with NUL) where it cannot be read.
    """
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        # What was opened is looked at, not what the name meant before.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotARegularFileError("no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit), status
    finally:
        os.close(descriptor)


def replace_file(path: str | os.PathLike[str], data: bytes, *, mode: int = 0o600, keep_mode: bool = False) -> None:
    """Writes a file beside `path` and puts it in its place: who is interrupted, even by a power cut, leaves the old one. mode: of
    the file; default, its user's alone. keep_mode: one that is there keeps its own. Folders that are missing are made, for their
    user alone. Raises OSError.
    """
    import tempfile  # slow to load, for the many who only read

    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, mode=0o700 if mode == 0o600 else 0o777, exist_ok=True)
    if keep_mode and os.path.exists(path):
        mode = stat.S_IMODE(os.stat(path).st_mode)
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _write_out_folder(folder)


def _write_out_folder(folder: str) -> None:
    """A name is as durable as the content behind it only once its folder is written out, too."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders; the file is in its place, whatever this one allows
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot
    finally:
        os.close(descriptor)
