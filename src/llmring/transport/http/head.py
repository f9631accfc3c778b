"""A request's head, as bytes."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from llmring.transport.base import HTTPRequest

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
# Said here, of the body that is sent. Another length, or another framing, would let one request pass for two.
_FRAMING = frozenset({"content-length", "transfer-encoding"})
# RFC 9110, 5.6.2. "Content-Length " is another name to us, and may be none to a server.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Names that have been looked at, and what they are in lower case. A program has few.
_names: dict[str, str] = {}
_MOST_NAMES = 256


class Origin(aiohttp.ClientRequest):
    """What aiohttp opens connections from, and finds them by in its pool: one for each URL, where aiohttp has one for each request."""

    _key: ConnectionKey | None = None

    @property
    def connection_key(self) -> ConnectionKey:
        if self._key is None:
            key = super().connection_key
            # aiohttp quotes the key where a reply was dropped unclosed. One transport has one login at a proxy.
            self._key = key if key.proxy is None else key._replace(proxy=key.proxy.with_user(None))
        return self._key


class Target(NamedTuple):
    """A URL made ready. origin: what aiohttp opens its connections from. path: as the first line of a head names it. lines: what every
    head to it says. login: of the user in the URL."""

    origin: Origin
    path: str
    lines: list[str]
    login: str | None

    def __repr__(self) -> str:
        return f"Target({self.origin.url.host})"  # a path may hold a key, a login is one


def read_login(url: URL) -> str | None:
    if not url.raw_user and not url.raw_password:
        return None
    return "Basic " + base64.b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()


def write_head(request: HTTPRequest, target: Target) -> bytes:
    """Raises ValueError for what HTTP does not allow; its message quotes nothing."""
    lines = [f"{request.method} {target.path} HTTP/1.1", *target.lines]
    given: set[str] = set()
    for name, value in request.headers.items():
        given.add(_names.get(name) or _check_name(name))
        lines.append(f"{name}: {value}")
    if "host" in given:
        del lines[1]
    if "accept" not in given:
        lines.append("Accept: */*")
    if "accept-encoding" not in given:
        lines.append("Accept-Encoding: identity")
    if "user-agent" not in given:
        lines.append("User-Agent: llmring")
    if target.login is not None:
        if "authorization" in given:
            raise ValueError("two ways to say who calls")
        lines.append(f"Authorization: {target.login}")
    if request.body is not None:
        lines.append(f"Content-Length: {len(request.body)}")
    elif request.method in _BODY_METHODS:
        lines.append("Content-Length: 0")
    if not _FRAMING.isdisjoint(given):
        raise ValueError("the length of the body is not for headers to say")
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count("\r") != breaks or text.count("\n") != breaks or "\0" in text:
        raise ValueError("a line break in a header")
    return f"{text}\r\n\r\n".encode()


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("the name of a header")
    if len(_names) >= _MOST_NAMES:
        _names.clear()
    lower = _names[name] = name.lower()
    return lower
