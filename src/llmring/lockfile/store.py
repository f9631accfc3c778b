"""Which lockfile is used, and what it says now. Looks at the disk at most once a second; never writes, never creates a file."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from llmring import env
from llmring.clock import Clock
from llmring.exceptions import LockfileError
from llmring.lockfile.model import Lock
from llmring.lockfile.parse import MAX_LOCK_BYTES, digest_of, parse_lock
from llmring.regular_file import NotARegularFileError, read_regular_file

_log = logging.getLogger("llmring.lockfile")

LOCK_NAME: Final = "llmring.lock"
BUNDLED_LOCK: Final = Path(__file__).resolve().parent.parent / LOCK_NAME
LOOK_EVERY_S: Final = 1.0


class LockOrigin(StrEnum):
    """Who named the lockfile: the program, the environment, the working directory, or nobody."""

    EXPLICIT = "explicit"
    ENVIRONMENT = "environment"
    DIRECTORY = "directory"
    BUNDLED = "bundled"


@dataclass(frozen=True, slots=True)
class FoundLock:
    """The lockfile to use, and who named it."""

    path: Path
    origin: LockOrigin


def find_lock(explicit: str | Path | None, environ: Mapping[str, str], cwd: Path) -> FoundLock:
    """The first of: `explicit`, LLMRING_LOCKFILE_PATH, `./llmring.lock`, the bundled one.

    What is named must exist; the bundled one is refused under LLMRING_LOCKED and LLMRING_FROZEN. Raises LockfileError.
    """
    if explicit is not None:
        return _named(Path(explicit), cwd, LockOrigin.EXPLICIT, "lockfile_path")
    given = env.get(env.LLMRING_LOCKFILE_PATH, environ)
    if given is not None:
        return _named(Path(given), cwd, LockOrigin.ENVIRONMENT, env.LLMRING_LOCKFILE_PATH)
    local = cwd / LOCK_NAME
    # lexists: a link to nowhere was meant to be used, so it is an error and not a reason to go on.
    if os.path.lexists(local):
        return FoundLock(local, LockOrigin.DIRECTORY)
    for variable in (env.LLMRING_LOCKED, env.LLMRING_FROZEN):
        if env.is_set(variable, environ):
            raise LockfileError(
                f"no lockfile: {local} does not exist, and {variable} refuses the one bundled with llmring",
                hint=f"write {LOCK_NAME} here, name one in {env.LLMRING_LOCKFILE_PATH}, or unset {variable}",
            )
    return FoundLock(BUNDLED_LOCK, LockOrigin.BUNDLED)


def find_lock_path(explicit: str | Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """The same for who writes or checks: whether it is there or not, and never the bundled one. Raises LockfileError."""
    given = env.get(env.LLMRING_LOCKFILE_PATH, environ)
    if explicit is not None:
        return _whole(Path(explicit), cwd, "lockfile_path")
    return cwd / LOCK_NAME if given is None else _whole(Path(given), cwd, env.LLMRING_LOCKFILE_PATH)


def _named(path: Path, cwd: Path, origin: LockOrigin, setting: str) -> FoundLock:
    whole = _whole(path, cwd, setting)
    if not whole.exists():
        raise LockfileError(f"{setting} names {str(path)!r}, which does not exist", hint="correct it, or leave it out")
    return FoundLock(whole, origin)


def _whole(path: Path, cwd: Path, setting: str) -> Path:
    try:
        return cwd / path.expanduser()
    except RuntimeError as error:  # ~nobody
        raise LockfileError(f"{setting} names {str(path)!r}: {error}", hint="write the whole path") from None


@dataclass(frozen=True, slots=True)
class _Look:
    """What the disk shows without reading the file. changed_ns: of its content, its permissions or its name."""

    mtime_ns: int
    changed_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Look:
        return cls(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def read_lock_bytes(path: Path, max_bytes: int = MAX_LOCK_BYTES) -> bytes:
    """The file's bytes. Raises LockfileError where it is no regular file, cannot be read, or is too large."""
    return _read(path, max_bytes)[0]


def _read(path: Path, max_bytes: int) -> tuple[bytes, _Look]:
    try:
        data, status = read_regular_file(path, max_bytes + 1)
    except NotARegularFileError:
        raise LockfileError(f"{path} is no regular file", hint="name a file, not a folder or a pipe") from None
    except OSError as error:
        raise LockfileError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > max_bytes:
        raise LockfileError(f"{path}: larger than {max_bytes} bytes")
    # The status is from before the reading: a write in between shows at the next look.
    return data, _Look.of(status)


class LockStore:
    """One lockfile and its current content. Callable from any thread.

    A file that stops being readable or understandable does not stop a running program: the last good lock stays in use,
    and a warning is logged once for each bad content.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._guard = threading.Lock()
        self._lock: Lock | None = None
        self._look: _Look | None = None
        self._is_settled = False
        self._digest = ""  # of the bytes read last, whether or not they are a lock
        self._next_look = float("-inf")
        self._generation = 0

    @property
    def generation(self) -> int:
        """Goes up whenever `current` begins to give another lock; 0 before the first."""
        return self._generation

    def current(self) -> Lock:
        """The lock as the disk had it at most a second ago. The same object as long as nothing changed.

        Raises LockfileError where the file cannot be used and no earlier content is known.
        """
        lock = self._lock
        if lock is None:
            with self._guard:
                return self._lock or self._load()
        now = self._clock.monotonic()
        # One thread looks; the others go on with the lock they have rather than wait for a disk.
        if now >= self._next_look and self._guard.acquire(blocking=False):
            try:
                if now >= self._next_look:
                    self._next_look = now + LOOK_EVERY_S
                    self._look_again(lock)
                lock = self._lock or lock
            finally:
                self._guard.release()
        return lock

    def expire(self) -> None:
        """The next `current` looks at the disk, however short ago the last look was."""
        self._next_look = float("-inf")

    def _load(self) -> Lock:
        data, look = _read(self.path, MAX_LOCK_BYTES)
        lock = parse_lock(data, str(self.path))
        # The order matters to a thread that reads without the guard: what is new is whole before it shows.
        self._look, self._digest = look, lock.digest
        self._next_look = self._clock.monotonic() + LOOK_EVERY_S
        self._generation += 1
        self._lock = lock
        return lock

    def _look_again(self, known: Lock) -> None:
        look: _Look | None = None
        read_before = self._digest
        try:
            look = _Look.of(os.stat(self.path))
            if look == self._look and self._is_settled:
                return
            data, look = _read(self.path, MAX_LOCK_BYTES)
            self._take(data, known)
        except (OSError, LockfileError) as error:
            if look != self._look or self._digest != read_before:
                what = error.strerror if isinstance(error, OSError) else error
                _log.warning("%s changed and cannot be used; the lock read before stays in use: %s", self.path, what)
        # A write within one tick of the file system's clock may leave no trace: what was read once is read once more.
        self._is_settled = look is not None and look == self._look
        self._look = look

    def _take(self, data: bytes, known: Lock) -> None:
        digest = digest_of(data)
        if digest == self._digest:
            return
        self._digest = digest
        lock = parse_lock(data, str(self.path))
        if lock.digest != known.digest:
            self._generation += 1
            self._lock = lock
