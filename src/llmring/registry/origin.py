"""Where a ring's facts come from: a path, or what was fetched from an https address and kept, else what ships with llmring.

Nothing is fetched but when `refresh` is called. What was kept is used from then on, also offline and after a restart, until it is
refreshed again. Every ring has an origin, and most never ask it: what reads files and parses them loads when it is first needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from llmring import env
from llmring.clock import Clock
from llmring.exceptions import ConfigurationError, RegistryError, RegistryRollbackError
from llmring.registry.model_info import ModelInfo
from llmring.secret import safe_url

if TYPE_CHECKING:
    from llmring.registry.snapshot import Snapshot
    from llmring.transport.guard import GuardedTransport

_log = logging.getLogger("llmring.registry")


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The registry in use. origin: the path or address it came from. as_of: the date of its newest fact. models: how many it
    knows. changed: whether they were others before."""

    origin: str
    as_of: str
    models: int
    changed: bool


class RegistryOrigin:
    """The facts of one ring. url: `registry_url`, None for what ships with llmring. Makes nothing and reads nothing until asked.

    Raises ConfigurationError for a url that is neither a path nor file: nor https:. allow_http: for tests on this machine.
    """

    def __init__(self, url: str | None, *, environ: Mapping[str, str], clock: Clock, allow_http: bool = False) -> None:
        self._clock = clock
        self._url: str | None = None
        self._path: Path | None = None
        if url is not None and url.lower().startswith(("https://", "http://") if allow_http else "https://"):
            self._url = _check_address(url)
        elif url is not None:
            self._path = _read_path(url)
        self._kept = None if self._url is None else _kept_file(self._url, environ)
        self._fetched: Snapshot | None = None
        self._warned = False

    def load(self) -> dict[str, ModelInfo]:
        """The models by id. Raises nothing: where what was named cannot be used, that is logged once, and what ships with llmring
        is used."""
        try:
            snapshot = self._current()
        except RegistryError as error:
            if not self._warned:
                self._warned = True
                _log.warning("%s; llmring goes by the facts that ship with it", error)
            snapshot = None
        if snapshot is not None:
            return snapshot.models()
        from llmring.registry.snapshot import read_bundled

        return read_bundled()

    def snapshot(self) -> Snapshot:
        """The registry in use. Raises RegistryError where it cannot be used, or none ships with llmring."""
        current = self._current()
        if current is not None:
            return current
        from llmring.registry.snapshot import bundled_folder, parse_snapshot, read_files

        return parse_snapshot(read_files(bundled_folder()), "llmring's own registry")

    def _current(self) -> Snapshot | None:
        if self._fetched is not None:
            return self._fetched
        if self._path is not None:
            self._fetched = self._read_path()
            return self._fetched
        if self._kept is None:
            return None
        from llmring.registry.kept import read_kept

        return read_kept(self._kept)

    async def refresh(
        self, find_fetcher: Callable[[], GuardedTransport], *, allow_rollback: bool = False
    ) -> RegistryState:
        """Reads the path again, or fetches what the address has now, checks it and keeps it.

        Raises RegistryError where it cannot be had or is no registry, RegistryRollbackError where it is older than what was kept
        (unless allow_rollback), and what was known stays; UnsafeURLError for an address that is not public; ConfigurationError where
        no registry_url was given.
        """
        if self._path is not None:
            snapshot = await asyncio.to_thread(self._read_path)
            changed = snapshot != self._fetched
        elif self._url is not None:
            from llmring.registry.fetch import FETCH_S, fetch_files

            contents = await fetch_files(find_fetcher(), self._url, until=self._clock.monotonic() + FETCH_S)
            snapshot, changed = await asyncio.to_thread(self._take, contents, allow_rollback)
        else:
            raise ConfigurationError(
                "there is nowhere to refresh model facts from",
                hint=f"LLMRing(registry_url=…) or {env.LLMRING_REGISTRY_URL}",
            )
        self._fetched, self._warned = snapshot, False
        return RegistryState(snapshot.origin, snapshot.as_of, len(snapshot.models()), changed)

    def _read_path(self) -> Snapshot:
        from llmring.registry.snapshot import parse_snapshot, read_files

        assert self._path is not None
        return parse_snapshot(read_files(self._path), str(self._path))

    def _take(self, contents: Mapping[str, bytes], allow_rollback: bool) -> tuple[Snapshot, bool]:
        """What was fetched, checked against what was there before, and kept."""
        from llmring.registry.kept import read_kept, write_kept
        from llmring.registry.snapshot import parse_snapshot

        assert self._url is not None
        origin = str(safe_url(self._url))
        snapshot = parse_snapshot(contents, origin)
        try:
            # What lies on the disk: another program may have fetched since.
            before = None if self._kept is None else read_kept(self._kept)
        except RegistryError:  # what was kept is broken: there is nothing to go back behind
            before = None
        before = before or self._fetched
        if not allow_rollback:
            _check_dates(snapshot, before, datetime.fromtimestamp(self._clock.now(), UTC))
        if self._kept is None:
            _log.warning("%s: there is no folder to keep it in, so it is used until this program ends", origin)
        else:
            try:
                write_kept(self._kept, contents)
            except OSError as error:
                _log.warning(
                    "%s cannot be kept in %s (%s), so it is used until this program ends",
                    origin,
                    self._kept.parent,
                    error.strerror,
                )
        return snapshot, before is None or before.files != snapshot.files


def _check_address(url: str) -> str:
    if "?" in url or "#" in url:
        raise ConfigurationError(
            f"registry_url {safe_url(url)} has a query or a fragment", hint="name the folder that holds index.json"
        )
    return url


def _read_path(url: str) -> Path:
    """A path, or a file: URL, as a path. Where that is relative, it is so to where the program stands now."""
    if url.startswith("file:"):
        parts = urlsplit(url)
        if parts.netloc not in {"", "localhost"} or not parts.path:
            raise ConfigurationError(
                f"registry_url {safe_url(url)} names another machine", hint="file:///path/to/registry"
            )
        url = unquote(parts.path)
    elif "://" in url:
        raise ConfigurationError(
            f"registry_url {safe_url(url)!r} is neither a path nor file: nor https:",
            hint=f"see {env.LLMRING_REGISTRY_URL}",
        )
    return Path(os.path.abspath(os.path.expanduser(url)))


def _check_dates(snapshot: Snapshot, before: Snapshot | None, now: datetime) -> None:
    """Facts never get older by themselves: who can replay an old registry could hide a retirement, or bring back an old price."""
    tomorrow = (now + timedelta(days=1)).date().isoformat()
    for provider, file in snapshot.files.items():
        if file.as_of > tomorrow:
            # Taken, it would make every honest registry of the years until then an older one.
            raise RegistryError(f"{snapshot.origin}: the facts of {provider} are of {file.as_of}, which is yet to come")
        known = None if before is None else before.files.get(provider)
        if known is not None and file.as_of < known.as_of:
            raise RegistryRollbackError(
                f"{snapshot.origin}: the facts of {provider} are of {file.as_of}, older than those of {known.as_of} that were kept",
                hint="allow_rollback=True takes them all the same",
            )
    if before is not None and snapshot.as_of < before.as_of:
        raise RegistryRollbackError(
            f"{snapshot.origin} is of {snapshot.as_of}, older than what was kept, of {before.as_of}",
            hint="allow_rollback=True takes it all the same",
        )


# What is kept: one file for each address, named by a hash, so that no address makes a path.


def _kept_file(url: str, environ: Mapping[str, str]) -> Path | None:
    folder = cache_folder(environ)
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()
    return None if folder is None else folder / "registry" / f"{name}.json"


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """Where llmring keeps what it can fetch again: LLMRING_CACHE_DIR, else llmring in the user's cache folder; None without a HOME."""
    given = env.get(env.LLMRING_CACHE_DIR, environ)
    if given is not None:
        return Path(os.path.abspath(os.path.expanduser(given)))
    caches, home = env.get(env.XDG_CACHE_HOME, environ), env.get(env.HOME, environ)
    # The XDG specification says that a relative path is to be ignored.
    if caches is not None and os.path.isabs(caches):
        return Path(caches) / "llmring"
    return Path(home) / ".cache" / "llmring" if home is not None else None
