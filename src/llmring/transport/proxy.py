"""Which proxy a request goes through, by the variables that curl and urllib read. Pure: the environment is passed in.

As there, loopback is no exception by itself: where a proxy is set, NO_PROXY=localhost,127.0.0.1 keeps local servers out of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from llmring import env
from llmring.exceptions import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443}

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The proxies of one environment, read once. Their URLs may hold credentials: no message shows them."""

    __slots__ = ("_by_scheme", "_exceptions")

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raises ConfigurationError for a proxy that is no http or https URL; the message names the variable alone."""
        self._by_scheme: dict[str, str] = {}
        for scheme, name in (("http", env.HTTP_PROXY), ("https", env.HTTPS_PROXY)):
            proxy = _read_proxy(name, environ) or _read_proxy(env.ALL_PROXY, environ)
            if proxy:
                self._by_scheme[scheme] = proxy
        entries = (_either_case(env.NO_PROXY, environ) or "").replace(",", " ").split()
        self._exceptions = [_parse_exception(entry) for entry in entries]

    def __bool__(self) -> bool:
        return bool(self._by_scheme)

    def find(self, scheme: str, host: str, port: int | None) -> str | None:
        """The URL of the proxy for this server, None where it is reached directly. `host` without brackets."""
        proxy = self._by_scheme.get(scheme)
        if proxy is None:
            return None
        host = host.lower().rstrip(".")
        port = port or _DEFAULT_PORTS[scheme]
        return None if any(exception.names(host, port) for exception in self._exceptions) else proxy


@dataclass(frozen=True, slots=True)
class _Exception:
    """One entry of NO_PROXY: a host with everything below it, a network, or `*`; with a port, only that port."""

    host: str
    port: int | None
    network: _Network | None

    def names(self, host: str, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            try:
                return ipaddress.ip_address(host) in self.network
            except ValueError:
                return False
        return self.host == "*" or host == self.host or host.endswith(f".{self.host}")


def _parse_exception(entry: str) -> _Exception:
    entry = entry.lower()
    network = _network(entry)
    if network is not None:
        return _Exception(entry, None, network)
    host, colon, port = entry.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = entry, ""
    host = host.strip("[]")
    number = int(port) if port else None
    network = _network(host)
    # ".example.com" and "*.example.com" are how some tools want "example.com" written.
    return _Exception(host if host == "*" else host.removeprefix("*").strip("."), number, network)


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _read_proxy(name: str, environ: Mapping[str, str]) -> str | None:
    # In a CGI program HTTP_PROXY is a header that the web client chose (CVE-2016-5385).
    if name == env.HTTP_PROXY and "REQUEST_METHOD" in environ:
        proxy = env.get(name.lower(), environ)
    else:
        proxy = _either_case(name, environ)
    if proxy is None:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        sound = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(
            f"{name} does not name a proxy that can be used",
            hint="it needs the form http://host:port; SOCKS proxies are not supported",
        )
    return proxy


def _either_case(name: str, environ: Mapping[str, str]) -> str | None:
    """Lower case wins, as in curl and urllib."""
    return env.get(name.lower(), environ) or env.get(name, environ)
