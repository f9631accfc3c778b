"""The SSRF guard, for whatever URL a user, a lock or a response names: https only, public addresses only. Pure.

A transport with a guard (`HTTPTransport(guard=Guard())`) checks each URL and, because names can be made to resolve to anything,
each address that it is about to connect to. `fetch` is how a file is got through such a transport.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from llmring.exceptions import ConfigurationError, ProviderResponseError, ResponseTooLargeError, UnsafeURLError
from llmring.secret import safe_url
from llmring.transport.base import HTTPReply, HTTPRequest, Transport

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# What a machine's own network uses. `allow_private` opens these, and nothing below.
_PRIVATE = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)
# https://www.iana.org/assignments/iana-ipv4-special-registry: the rest that is not globally reachable; multicast; 240/4.
# Link-local is here: clouds serve machine credentials at 169.254.169.254.
_NEVER = _networks(
    "0.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    # IPv6 is read the other way round: public is 2000::/3, but for these. 2001::/23 holds Teredo, 2002::/16 is 6to4.
    # Mapped and compatible IPv4, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), link-local and multicast lie outside 2000::/3.
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")

_HINT = "only public https addresses may be named here; use a public URL, or download the file and pass its content"


@dataclass(frozen=True, slots=True)
class Guard:
    """Which URLs and addresses may be reached.

    allow_private: also this machine and private networks (never link-local, multicast and the like). Default no.
    allow_http: also plain http, but only where the host is this machine (`localhost`, 127.0.0.1, ::1), which needs
    allow_private too. Default no.
    """

    allow_private: bool = False
    allow_http: bool = False

    def check_url(self, url: str) -> None:
        """Raises UnsafeURLError. Looks at the URL alone: what its name resolves to is `check_address`'s."""
        # urlsplit drops tabs and line breaks, and clients differ over backslashes: what is judged must be what is sent.
        if any(char <= " " or char in "\x7f\\" for char in url):
            raise _unsafe(url, "it holds spaces, control characters or backslashes")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _unsafe(url, "it is no well-formed URL") from None
        if "@" in parts.netloc:
            raise _unsafe(url, "it holds a user name")
        if port == 0:
            raise _unsafe(url, "port 0")
        self._check_scheme(url, parts)
        self._check_host(url, parts.hostname or "")

    def check_address(self, host: str, address: str) -> None:
        """Raises UnsafeURLError where `address`, which `host` resolved to, may not be connected to."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            raise UnsafeURLError(f"{host} resolves to something that is no address", hint=_HINT) from None
        if not self._allows(found):
            raise UnsafeURLError(f"{host} resolves to {found}, which is not public", hint=_HINT)

    def _check_scheme(self, url: str, parts: SplitResult) -> None:
        if parts.scheme == "https":
            return
        if parts.scheme != "http":
            raise _unsafe(url, "it is no https URL")
        if not self.allow_http or not _is_this_machine(parts.hostname or ""):
            raise _unsafe(url, "http is not encrypted")

    def _check_host(self, url: str, host: str) -> None:
        if "%" in host:
            raise _unsafe(url, "its host holds a percent sign")
        # Full-width digits, circled letters, ideographic dots: other clients read them as the plain character.
        if unicodedata.normalize("NFKC", host) != host or "\u3002" in host:
            raise _unsafe(url, "its host is in an unusual spelling")
        if ":" in host:
            self._check_literal(url, host)
            return
        labels = host.removesuffix(".").split(".")
        if not all(labels):
            raise _unsafe(url, "it has no host, or one with empty parts")
        if _is_number(labels[-1]):
            # Whatever ends in a number is read as an address, in octal, hex or fewer parts too: only one spelling passes.
            self._check_literal(url, ".".join(labels))
        elif labels[-1] == "localhost" and not self.allow_private:
            raise _unsafe(url, "it names this machine")

    def _check_literal(self, url: str, host: str) -> None:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise _unsafe(url, "its host is an address in an unusual spelling") from None
        if not self._allows(address):
            raise _unsafe(url, "its address is not public")

    def _allows(self, address: _Address) -> bool:
        if _is_in(address, _PRIVATE):
            return self.allow_private
        if isinstance(address, ipaddress.IPv6Address) and (address not in _PUBLIC_IPV6 or address.scope_id):
            return False
        return not _is_in(address, _NEVER)


def check_url(url: str, *, allow_private: bool = False, allow_http: bool = False) -> None:
    """Raises UnsafeURLError for a URL that may not be fetched from here. See `Guard`."""
    Guard(allow_private=allow_private, allow_http=allow_http).check_url(url)


class GuardedTransport(Transport, Protocol):
    """A transport that applies `guard` to each URL and to each address it connects to."""

    @property
    def guard(self) -> Guard | None: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What `fetch` got. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


async def fetch(
    transport: GuardedTransport, url: str, *, max_bytes: int, redirects: int = 3, until: float | None = None
) -> Fetched:
    """GETs a URL, without credentials. Up to `redirects` redirects are followed; the guard checks each URL.

    max_bytes: cap on the body. until: when to give up, in the clock's `monotonic()` seconds; None = never.
    Raises UnsafeURLError, ResponseTooLargeError, ProviderConnectionError, TimeoutError. An error status is no exception.
    """
    if transport.guard is None:
        raise ConfigurationError("fetch needs a transport with a guard: HTTPTransport(guard=Guard(), ...)")
    for _ in range(redirects + 1):
        headers = {"Accept-Encoding": "identity", "User-Agent": "llmring"}
        reply = await transport.send(HTTPRequest("GET", url, headers), until=until)
        try:
            if reply.status not in _REDIRECTS:
                return Fetched(reply.status, reply.headers, await _read(reply, url, max_bytes, until))
            target = reply.headers.get("location")
        finally:
            reply.close()
        if not target:
            raise ProviderResponseError(f"{safe_url(url)} redirects to nowhere")
        try:
            url = urljoin(url, target)
        except ValueError:
            raise UnsafeURLError(f"{safe_url(url)} redirects to something that is no URL") from None
    raise UnsafeURLError(f"more than {redirects} redirects, the last to {safe_url(url)}")


async def _read(reply: HTTPReply, url: str, max_bytes: int, until: float | None) -> bytes:
    announced = reply.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(url, max_bytes)
    parts: list[bytes] = []
    size = 0
    while data := await reply.read_some(until):
        parts.append(data)
        size += len(data)
        if size > max_bytes:
            raise _too_large(url, max_bytes)
    return b"".join(parts)


def _too_large(url: str, max_bytes: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"{safe_url(url)} is larger than {max_bytes} bytes")


def _unsafe(url: str, reason: str) -> UnsafeURLError:
    return UnsafeURLError(f"{safe_url(url)} may not be fetched: {reason}", hint=_HINT)


def _is_number(label: str) -> bool:
    return label.isdecimal() or label.startswith("0x")


def _is_this_machine(host: str) -> bool:
    if host.removesuffix(".").split(".")[-1] == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_in(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
