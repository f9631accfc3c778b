"""A package index of the simple kind, HTML (PEP 503) or JSON (PEP 691): the newest wheel of a package, checked by its sha256."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final, cast
from urllib.parse import urldefrag, urljoin

import orjson

from llmring.clock import Clock, SystemClock
from llmring.exceptions import ProviderResponseError, ProviderTimeoutError, RegistryError
from llmring.secret import safe_url
from llmring.transport.guard import Fetched, GuardedTransport, fetch

PYPI: Final = "https://pypi.org/simple/"
_MAX_INDEX_BYTES: Final = 32 * 1024 * 1024  # a guess: a package with thousands of files has a page of a few MB
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_FILES: Final = 100_000
_TIMEOUT_S: Final = 600.0  # for page and wheel together; a guess: 41 MB over a slow line


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    url: str
    sha256: str


class PackageIndex:
    """An index at `url`, read through a guarded transport: no credentials, public addresses only unless its guard says otherwise."""

    def __init__(
        self, transport: GuardedTransport, url: str = PYPI, *, clock: Clock | None = None, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._transport = transport
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._url = url if url.endswith("/") else f"{url}/"

    async def fetch_newest(self, package: str, wheel: re.Pattern[str], max_bytes: int) -> tuple[str, bytes]:
        """Name and bytes of the newest wheel whose name fits `wheel`, which has the version in its first group.

        Raises RegistryError where there is none, or it is not what the index says; what `fetch` raises.
        """
        try:
            page = urljoin(self._url, f"{package}/")
        except ValueError as error:  # http://[::1
            raise RegistryError(f"the index's address is none: {error}") from None
        # Whoever reads next must not find credentials of a private index in an error.
        shown = str(safe_url(page))
        until = self._clock.monotonic() + self._timeout_s
        found = await self._fetch(page, _MAX_INDEX_BYTES, until)
        is_json = "json" in found.headers.get("content-type", "")
        files = _read_json(found.body, page, shown) if is_json else _read_html(found.body, page, shown)
        wheels = [(_version(fits[1]), file) for file in files if (fits := wheel.fullmatch(file.name))]
        if not wheels:
            raise RegistryError(f"{shown} names no wheel of {package} with a sha256")
        newest = max(version for version, _ in wheels)
        # Of one release, the wheels for every platform hold the same data.
        file = min((file for version, file in wheels if version == newest), key=lambda file: file.name)
        fetched = await self._fetch(file.url, max_bytes, until)
        if hashlib.sha256(fetched.body).hexdigest() != file.sha256:
            raise RegistryError(f"{file.name} has not the sha256 that {shown} names", hint="nothing of it was read")
        return file.name, fetched.body

    async def _fetch(self, url: str, max_bytes: int, until: float) -> Fetched:
        shown = str(safe_url(url))
        try:
            fetched = await fetch(self._transport, url, max_bytes=max_bytes, until=until)
        except TimeoutError:
            raise ProviderTimeoutError(f"{shown}: not here within {self._timeout_s:g} seconds") from None
        if fetched.status != 200:
            raise ProviderResponseError(f"{shown} answered {fetched.status}", status=fetched.status)
        return fetched


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _read_json(body: bytes, page: str, shown: str) -> list[_File]:
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RegistryError(f"{shown} is no JSON") from None
    rows: Any = cast("dict[str, Any]", document).get("files") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise RegistryError(f"{shown} is no page of a package index")
    files: list[_File] = []
    for given in cast("list[Any]", rows)[:_MAX_FILES]:
        row = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        hashes: Any = row.get("hashes")
        sha256: Any = cast("dict[str, Any]", hashes).get("sha256") if isinstance(hashes, dict) else None
        name, url = row.get("filename"), row.get("url")
        # `yanked` is false, or the reason as a text that may be empty.
        if (
            row.get("yanked", False) is False
            and isinstance(name, str)
            and isinstance(url, str)
            and isinstance(sha256, str)
        ):
            _add(files, name, url, sha256, page)
    return files


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[str, str]] = []
        self._href: str | None = None
        self._name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and "data-yanked" not in given:
            self._href, self._name = given.get("href"), ""

    def handle_data(self, data: str) -> None:
        if self._href is not None:
            self._name += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href is not None:
            self.files.append((self._name.strip(), self._href))
            self._href = None


def _read_html(body: bytes, page: str, shown: str) -> list[_File]:
    links = _Links()
    links.feed(body.decode("utf-8", "replace"))
    links.close()
    files: list[_File] = []
    for name, href in links.files[:_MAX_FILES]:
        try:
            url, fragment = urldefrag(href)
        except ValueError:  # what is no URL names no file
            continue
        _add(files, name, url, fragment.removeprefix("sha256="), page)
    if not links.files:
        raise RegistryError(f"{shown} is no page of a package index")
    return files


def _add(files: list[_File], name: str, url: str, sha256: str, page: str) -> None:
    if not _SHA256.fullmatch(sha256):
        return
    try:
        files.append(_File(name, urljoin(page, url), sha256))
    except ValueError:  # what is no URL names no file
        return
