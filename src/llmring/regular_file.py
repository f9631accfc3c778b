"""Reading a file that somebody else named: a regular file or nothing, and never more of it than asked for."""

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
