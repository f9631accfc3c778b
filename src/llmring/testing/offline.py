"""Keeps tests off the network: while active, a connection that would leave this machine raises, naming the host.

It stands in front of the socket module, which asyncio's own loops, aiohttp, httpx and the vendors' SDKs go through. Not seen:
loops that bring their own sockets (uvloop, asyncio's proactor loop on Windows), and resolvers written in C (aiodns, c-ares);
what these look up is still refused when it is connected to.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Generator
from typing import Any

from llmring.exceptions import LiveRequestError


@contextlib.contextmanager
def refuse_live_requests() -> Generator[None]:
    """Inside the block, connecting to or looking up anything but this machine raises LiveRequestError. For the whole process."""
    saved = {name: vars(socket.socket).get(name) for name in ("connect", "connect_ex", "sendto")}
    saved_lookup = socket.getaddrinfo
    setattr(socket.socket, "connect", _guarded(socket.socket.connect, address_at=0))  # noqa: B010
    setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex, address_at=0))  # noqa: B010
    setattr(socket.socket, "sendto", _guarded(socket.socket.sendto, address_at=-1))  # noqa: B010

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        # Addresses need no lookup, and servers name them to listen; connecting to one is judged by `connect`.
        if host and _as_address(_text(host)) is None:
            _check(_text(host))
        return saved_lookup(host, *args, **kwargs)

    setattr(socket, "getaddrinfo", lookup)  # noqa: B010
    try:
        yield
    finally:
        setattr(socket, "getaddrinfo", saved_lookup)  # noqa: B010
        for name, method in saved.items():
            if method is None:
                delattr(socket.socket, name)  # it was inherited
            else:
                setattr(socket.socket, name, method)


def _guarded(method: Callable[..., Any], *, address_at: int) -> Callable[..., Any]:
    def guarded(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            try:
                _check(_text(args[address_at][0]))
            except LiveRequestError:
                # socket.create_connection closes its socket only where an OSError is raised.
                if self.type & socket.SOCK_STREAM:
                    self.close()
                raise
        return method(self, *args)

    return guarded


def _check(host: str) -> None:
    address = _as_address(host)
    if address is None:
        is_local = (
            host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost") or not host
        )
    else:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        address = mapped or address
        is_local = address.is_loopback or address.is_unspecified
    if not is_local:
        raise LiveRequestError(
            f"a test tried to reach {host!r}, and no_live_requests is active",
            host=host,
            hint="point base_url at the fake_provider fixture, or take no_live_requests off this test",
        )


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _text(host: str | bytes) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else host
