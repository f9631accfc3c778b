"""Every error of aiohttp's and of the system, and what it becomes. One table."""

from __future__ import annotations

import os
import ssl
from typing import NamedTuple

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from yarl import URL

from llmring import env
from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    MalformedResponseError,
    ProviderConnectionError,
    ProviderUnreachableError,
    ResponseTooLargeError,
    ServiceClosedError,
)
from llmring.secret import safe_url

# What aiohttp raises, and lets through. LLMRingError: from the guard's resolver, and from `no_live_requests`.
FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError, LLMRingError)


class ClosedHereError(aiohttp.ClientConnectionError):
    """The transport was closed under a reply."""


class FramingError(HttpProcessingError):
    """A reply has more bytes around its body than in it."""


class _Failure(NamedTuple):
    """One row of the table: what aiohttp raises, what it becomes, and what to say. {where}, {phase}, {reason}: see `explain`."""

    foreign: type[Exception]
    ours: type[LLMRingError]
    message: str
    hint: str | None = None


ANSWERING = "before it answered"
READING = "in the middle of its answer"

_REACHABLE = "is the base_url right, does the server run, does a firewall or proxy stand between?"
_CERTIFICATE = f"where a company proxy or a private CA signs, {env.SSL_CERT_FILE} names its certificates"
_PROXY = (
    f"{env.HTTPS_PROXY}, {env.HTTP_PROXY} and {env.ALL_PROXY} set the proxy, {env.NO_PROXY} names hosts that need none"
)

# The first row that fits counts: aiohttp's classes inherit from one another.
_FAILURES = (
    _Failure(
        aiohttp.ConnectionTimeoutError,
        ProviderUnreachableError,
        "no connection to {where} within {connect_s} s",
        "Timeouts.connect sets this limit: LLMRequest(timeout=Timeouts(connect=…)); " + _REACHABLE,
    ),
    _Failure(
        aiohttp.ClientConnectorDNSError, ProviderUnreachableError, "{where}: name not found (DNS): {reason}", _REACHABLE
    ),
    _Failure(
        aiohttp.ClientConnectorCertificateError,
        ProviderUnreachableError,
        "TLS: the certificate of {where} is refused: {reason}",
        _CERTIFICATE,
    ),
    _Failure(
        aiohttp.ClientSSLError,
        ProviderUnreachableError,
        "TLS with {where} failed: {reason}",
        "does the server speak TLS on this port? http:// URLs are not encrypted",
    ),
    _Failure(
        aiohttp.ClientProxyConnectionError,
        ProviderUnreachableError,
        "no connection to the proxy for {where}: {reason}",
        _PROXY,
    ),
    _Failure(aiohttp.ClientConnectorError, ProviderUnreachableError, "no connection to {where}: {reason}", _REACHABLE),
    _Failure(
        aiohttp.ClientHttpProxyError,
        ProviderUnreachableError,
        "the proxy refuses a connection to {where}: {reason}",
        _PROXY,
    ),
    _Failure(LineTooLong, ResponseTooLargeError, "{where} sends a header line that is too long"),
    _Failure(FramingError, ResponseTooLargeError, "{where} sends more around its answer than an answer"),
    _Failure(HttpProcessingError, MalformedResponseError, "{where} sends something that is not HTTP/1.1"),
    _Failure(aiohttp.ClientResponseError, MalformedResponseError, "{where} sends something that is not HTTP/1.1"),
    _Failure(
        aiohttp.InvalidURL,
        ConfigurationError,
        "{url} is no URL that can be called",
        "URLs have the form https://host[:port]/path",
    ),
    _Failure(
        aiohttp.NonHttpUrlClientError,
        ConfigurationError,
        "{url} is no http or https URL",
        "URLs have the form https://host[:port]/path",
    ),
    _Failure(ClosedHereError, ServiceClosedError, "the transport was closed while {where} was answering"),
    _Failure(aiohttp.ClientError, ProviderConnectionError, "{where} closed the connection {phase}{reason}", None),
    _Failure(OSError, ProviderConnectionError, "the connection to {where} broke {phase}{reason}", None),
    _Failure(
        ValueError,
        ConfigurationError,
        "the request to {where} cannot be sent: its URL or a header is not what HTTP allows",
        "look for line breaks in keys and extra_headers, and for a user name in the base_url beside a key",
    ),
    _Failure(RuntimeError, ProviderConnectionError, "the connection to {where} was closed {phase}"),
)


def explain(error: Exception, url: str, phase: str, connect_s: float | None = None) -> Exception:
    """What to raise in place of `error`. Says who and when, never the URL's query, its user, a header or a body."""
    if isinstance(error, LLMRingError) or type(error) is TimeoutError:
        return error.with_traceback(None)  # ours already; its frames are aiohttp's, with the request's headers in them
    cause = next((cause for cause in _causes(error) if isinstance(cause, (LineTooLong, FramingError))), error)
    row = next(row for row in _FAILURES if isinstance(cause, row.foreign))
    message = row.message.format(
        where=_where(url),
        url=safe_url(url),
        phase=phase,
        reason=_reason(error),
        connect_s=f"{connect_s:g}" if connect_s is not None else "the given",
    )
    return row.ours(message, hint=row.hint)


def _causes(error: BaseException) -> list[BaseException]:
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    return causes


def _where(url: str) -> str:
    """host:port."""
    try:
        parts = URL(url)
    except ValueError:
        return safe_url(url)
    host = parts.host or "?"
    return f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}"


def _reason(error: Exception) -> str:
    """What the system says, in words. Texts of aiohttp's own are not used: some quote URLs or what the server sent."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        found = error.certificate_error
        return found.verify_message if isinstance(found, ssl.SSLCertVerificationError) else "it is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        found = error.os_error
        if isinstance(found, ssl.SSLError):
            return found.reason or "the handshake broke off"
        return _errno_text(found.errno) or found.strerror or "no reason given"
    if isinstance(error, OSError) and (text := _errno_text(error.errno)):
        return f": {text}"
    return ""


def _errno_text(number: int | None) -> str:
    # Name resolution has numbers of its own, most of them negative.
    return os.strerror(number) if number is not None and number > 0 else ""
