"""Values that must never be shown: `Secret` for keys, `SafeUrl` for addresses, `Scrubber` for text that may quote them."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import NoReturn
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

HIDDEN = "***"

_PERCENT_CODE = re.compile("%[0-9A-F]{2}")


class Secret:
    """A value that only `reveal()` gives out: repr, str, format and `__dict__` hide it, pickle is refused.

    >>> Secret("sk-123")
    Secret('***')
    """

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        # A closure, not an attribute holding the text: debuggers and error reporters walk attributes.
        self._reveal = lambda: value

    def reveal(self) -> str:
        return self._reveal()

    def __repr__(self) -> str:
        return f"Secret('{HIDDEN}')"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, format_spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled; pass the name of its environment variable instead")


class SafeUrl:
    """A URL whose userinfo and query never show: they may hold keys."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = Secret(url)

    def reveal(self) -> str:
        return self._url.reveal()

    def __str__(self) -> str:
        return safe_url(self._url.reveal())

    def __repr__(self) -> str:
        return f"SafeUrl('{self}')"

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)


def safe_url(url: str) -> str:
    """The URL as it may be shown: no userinfo, no query, no fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    if host != parts.netloc:
        host = f"{HIDDEN}@{host}"
    return urlunsplit((parts.scheme, host, parts.path, HIDDEN if parts.query else "", ""))


class Scrubber:
    """Replaces every secret it has been told about, in each spelling that a body or a URL may quote it in: as it is,
    escaped for JSON, percent-encoded. Owned by one service; there is no process-wide list.
    """

    __slots__ = ("_renewed", "_spellings")

    # Shorter values are words ("test", "none"): replacing those would garble every message.
    _SHORTEST = 8
    # A token lives about an hour, and a request that carries the one before may still be on its way.
    _RENEWED_KEPT = 8

    def __init__(self) -> None:
        self._spellings: set[bytes] = set()
        self._renewed: dict[str, deque[set[bytes]]] = {}

    def add(self, secret: Secret) -> None:
        self._spellings |= self._read(secret)

    def add_renewed(self, owner: str, secret: Secret) -> None:
        """A secret that is renewed all day long: of one owner's, the last few are known, so that the list does not grow."""
        self._renewed.setdefault(owner, deque(maxlen=self._RENEWED_KEPT)).append(self._read(secret))

    def _read(self, secret: Secret) -> set[bytes]:
        value = secret.reveal()
        if len(value) < self._SHORTEST:
            return set()
        return {spelling.encode("utf-8", "surrogatepass") for spelling in _spellings(value)}

    def scrub(self, data: bytes) -> bytes:
        known = self._spellings.union(*(spellings for kept in self._renewed.values() for spellings in kept))
        # Secrets may overlap or hold one another, so all places are found before the first is replaced.
        spans = sorted(span for spelling in known for span in _spans(spelling, data))
        if not spans:
            return data
        kept: list[bytes] = []
        shown_from = 0
        for start, end in spans:
            if start >= shown_from:
                kept += (data[shown_from:start], HIDDEN.encode())
            shown_from = max(shown_from, end)
        kept.append(data[shown_from:])
        return b"".join(kept)

    def scrub_text(self, text: str) -> str:
        return self.scrub(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _spellings(value: str) -> set[str]:
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    escaped |= {spelling.replace("/", "\\/") for spelling in escaped}  # legal JSON, and what PHP servers write
    quoted = {quote(value, safe=safe, errors="surrogatepass") for safe in ("", "/")}
    quoted.add(quote_plus(value, errors="surrogatepass"))
    quoted |= {_PERCENT_CODE.sub(lambda code: code[0].lower(), spelling) for spelling in quoted}
    return {value, *escaped, *quoted}


def _spans(needle: bytes, data: bytes) -> Iterator[tuple[int, int]]:
    """Where `needle` stands in `data`, overlapping places included."""
    at = data.find(needle)
    while at >= 0:
        yield at, at + len(needle)
        at = data.find(needle, at + 1)
