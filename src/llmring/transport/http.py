"""HTTP by aiohttp, and the only module that imports it: no type or exception of aiohttp's leaves this file.

Nothing is sent twice on purpose: retries have one owner, `resilience/`. aiohttp itself repeats a GET, once, where the server
closed an idle connection in the moment of sending; a POST may have been acted upon, so it fails with ProviderConnectionError.
"""

from __future__ import annotations

import asyncio
import io
import os
import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.tracing import Trace
from yarl import URL

from llmring import env
from llmring.clock import Clock
from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    MalformedResponseError,
    ProviderConnectionError,
    ProviderError,
    ProviderUnreachableError,
    ResponseTooLargeError,
    ServiceClosedError,
)
from llmring.secret import safe_url
from llmring.transport.alarm import Alarm
from llmring.transport.base import HTTPReply, HTTPRequest
from llmring.transport.inflate import CODINGS, Inflater
from llmring.transport.proxy import Proxies
from llmring.transport.tls import read_tls_context
from llmring.wire.base import MAX_BODY_BYTES, MAX_STREAM_BYTES

if TYPE_CHECKING:
    from llmring.transport.guard import Guard  # its tables take 3 ms to build; few calls are guarded

# (family, kind, protocol, canonical name, address), as in socket.getaddrinfo
_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host name and a port to IP addresses, as text. Raises OSError where there are none."""

# Below the idle limits of the clouds' front doors (AWS 60 s, nginx 75 s). Servers with shorter ones (uvicorn, node: 5 s) close
# first, which is seen before the connection is used again, but for the time of one trip over the network.
_KEEP_ALIVE_S = 30.0
# What a reply may spend on its head, on interim replies and on the sizes of its chunks, over and above as much as its body has. Heads have
# a few KiB, a chunk's size 5 bytes; none of it reaches a cap on bodies, and it could go on for ever.
_MOST_FRAMING_BYTES = 64 * 1024  # guess
# aiohttp warns of larger bodies given as bytes: they would be written in one go.
_LARGE_BODY_BYTES = 1024 * 1024

# How long the connection that this task is opening may take. aiohttp's own limit goes by the loop's clock, not by ours.
_connect_s: ContextVar[float | None] = ContextVar("llmring_connect_s", default=None)

# What aiohttp raises, and lets through. LLMRingError: from the guard's resolver, and from `no_live_requests`.
_FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError, LLMRingError)


class HTTPTransport:
    """Sends requests over pooled connections; as many at once as are asked for.

    clock: what limits are measured on. max_body_bytes: cap on a body that is read whole, default 20 MiB; max_stream_bytes: on
    one that is read as it comes, default 64 MiB; both before and after decompression. trust_env: whether the proxy and CA bundle variables of `environ` are read, once, at the first request;
    default yes. guard: refuses URLs and addresses (and uses no proxy: what a proxy connects to cannot be checked).
    resolve: looks up names, default the system's resolver.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_stream_bytes: int = MAX_STREAM_BYTES,
        trust_env: bool = True,
        guard: Guard | None = None,
        environ: Mapping[str, str] | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._max_stream_bytes = max_stream_bytes
        self._environ: Mapping[str, str] = (os.environ if environ is None else environ) if trust_env else {}
        self._guard = guard
        self._resolve = resolve
        self._proxies: Proxies | None = None
        self._tls: ssl.SSLContext | bool | None = None  # None: not looked yet; True: aiohttp's ready-made context
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def guard(self) -> Guard | None:
        return self._guard

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        """See `Transport.send`. Raises also UnsafeURLError (guard), ConfigurationError for what cannot be sent,
        MalformedResponseError and ResponseTooLargeError for a reply whose head is no HTTP or too long."""
        alarm = Alarm(self._clock)
        try:
            if self._guard is not None:
                self._guard.check_url(request.url)
            starting = self._start(request, connect_s)
            response = await (starting if until is None else alarm.wait(starting, until))
            return _Reply(response, alarm, self._max_body_bytes, self._max_stream_bytes)
        except _FOREIGN as error:
            alarm.cancel()
            failure = _explain(error, request.url, _ANSWERING, connect_s)
        except BaseException as error:
            alarm.cancel()
            # A cancellation too comes up through aiohttp's frames, and would carry the request's headers along.
            raise error.with_traceback(None)  # noqa: B904  (the same error, and no new one)
        if self._closed:
            raise ServiceClosedError("the transport was closed while a request was under way")
        # Raised here, not above: the foreign error and its frames hold the request's headers, and would hang on as context.
        try:
            raise failure
        finally:
            del failure  # its traceback holds this frame

    async def close(self) -> None:
        """Closes every connection, also those of an event loop that has ended. Idempotent.

        Raises ConfigurationError where another loop, which has not ended, has connections: only there can they be closed."""
        self._check_loop()
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await _end_session(session)

    async def _start(self, request: HTTPRequest, connect_s: float | None) -> aiohttp.ClientResponse:
        session = self._session
        if session is None or self._loop is not asyncio.get_running_loop():
            session = await self._open()
        url = URL(request.url)
        if self._tls is None and url.scheme == "https":
            self._tls = read_tls_context(self._environ) or True
        body = request.body
        token = _connect_s.set(connect_s)
        try:
            return await session.request(
                request.method,
                url,
                data=io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY_BYTES else body,
                headers=request.headers,
                allow_redirects=False,
                proxy=self._find_proxy(url) if self._proxies is not None else None,
                ssl=self._tls or True,
            )
        finally:
            _connect_s.reset(token)

    def _find_proxy(self, url: URL) -> str | None:
        if self._proxies is None or url.host is None or url.scheme not in ("http", "https"):
            return None
        return self._proxies.find(url.scheme, url.host, url.port)

    async def _open(self) -> aiohttp.ClientSession:
        """A session in the running loop. A session of a loop that has ended is dropped; one that is in use is refused."""
        if self._closed:
            raise ServiceClosedError("the transport is closed")
        self._check_loop()
        if self._guard is None:
            self._proxies = Proxies(self._environ) or None
        self._loop = asyncio.get_running_loop()
        ended = self._session
        self._session = session = aiohttp.ClientSession(
            connector=_Connector(self._clock, _Resolver(self._resolve, self._guard), guard=self._guard),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        if ended is not None:
            await _end_session(ended)
        return session

    def _check_loop(self) -> None:
        """Raises ConfigurationError where there is a session in another loop that has not ended."""
        loop = self._loop
        if self._session is None or loop is None or loop.is_closed() or loop is asyncio.get_running_loop():
            return
        raise ConfigurationError(
            "the transport is in use in another event loop",
            hint="make one LLMRing for each event loop, or close() it in the first one",
        )


async def _end_session(session: aiohttp.ClientSession) -> None:
    connector = session.connector
    if isinstance(connector, _Connector):
        connector.cut_orphans()
    await session.close()


class _Connector(aiohttp.TCPConnector):
    """Pools connections without a limit: who may run at once is decided above, not by a queue down here."""

    def __init__(self, clock: Clock, resolver: AbstractResolver, *, guard: Guard | None) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  (its address tuple has no type)
            limit=0,
            keepalive_timeout=_KEEP_ALIVE_S,
            resolver=resolver,
            # A guarded transport remembers no answer: each connection goes to an address that was checked for it.
            use_dns_cache=guard is None,
            socket_factory=None if guard is None else _guarded_sockets(guard),
        )
        self._clock = clock
        self._open: set[_Protocol] = set()
        self._factory = partial(_Protocol, loop=self._loop, open_ones=self._open)

    def cut_orphans(self) -> None:
        """Closes the connections of a loop that has ended: aiohttp leaves them, open, to the garbage collector."""
        if self._loop.is_closed():
            for protocol in list(self._open):
                protocol.cut()
            self._open.clear()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> ResponseHandler:
        creating = super()._create_connection(req, traces, timeout)
        connect_s = _connect_s.get()
        if connect_s is None:
            return await creating
        alarm = Alarm(self._clock)
        try:
            return await alarm.wait(creating, self._clock.monotonic() + connect_s)
        finally:
            alarm.cancel()


def _is_readable(transport: asyncio.Transport | None) -> bool:
    """Whether the socket has bytes, or its end, that the loop has not read. Waits for nothing."""
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):  # Windows: the loop finds out by itself, a moment later
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class _ClosedHereError(aiohttp.ClientConnectionError):
    """The transport was closed under a reply."""


class _FramingError(HttpProcessingError):
    """A reply has more bytes around its body than in it."""


class _Protocol(ResponseHandler):
    """Tells whoever reads a body that it will not come to its end, and cuts a reply that is nothing but framing.

    aiohttp 3.14 does the first where the server closes the connection, but not where a chunk has no size or where we close the session:
    the reader would wait for ever. Keeps itself in `open_ones` as long as it has a connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, open_ones: set[_Protocol]) -> None:
        super().__init__(loop)
        self._wire: asyncio.BaseTransport | None = None
        self._open_ones = open_ones
        self._received_bytes = 0  # of the reply that is under way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire = transport
        self._open_ones.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._wire = None
        self._open_ones.discard(self)
        super().connection_lost(exc)

    def set_response_params(self, **params: Any) -> None:
        """Another request is about to be answered."""
        self._received_bytes = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._received_bytes += len(data)
        if self._received_bytes > _MOST_FRAMING_BYTES:
            body = self._payload
            brought_bytes = 0 if body is None else body.total_bytes
            if self._received_bytes - 2 * brought_bytes > _MOST_FRAMING_BYTES and self.transport is not None:
                self.transport.close()
                self.set_exception(_FramingError(message="more framing than body"))

    def cut(self) -> None:
        """Closes the connection without its event loop, which has ended.

        abort() has the loop do the rest in a moment, and there are no more moments: so what it would have called is called
        here. It is asyncio's own; uvloop has no such thing, and closes a loop's sockets with the loop.
        """
        wire: Any = self._wire
        below: Any = getattr(getattr(wire, "_ssl_protocol", None), "_transport", wire)
        with suppress(RuntimeError):  # "Event loop is closed", said when the connection is marked as closing
            wire.abort()
        lose = getattr(below, "_call_connection_lost", None)
        if lose is not None:
            with suppress(RuntimeError):  # again, where somebody was waiting for the connection
                lose(None)

    def is_connected(self) -> bool:
        """Asked before a pooled connection is used again: whether the server has left it open.

        llama-server closes after every stream though its head says keep-alive, and the loop may not have read that yet. An idle
        connection with anything to read is at its end, or out of step: neither can carry a request. (b1-7e4c0a9, 2026-11-21)
        """
        return super().is_connected() and not _is_readable(self.transport)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)
        self._fail_body(exc)

    def close(self) -> None:
        self._fail_body(_ClosedHereError())
        super().close()

    def abort(self) -> None:
        self._fail_body(_ClosedHereError())
        super().abort()

    def _fail_body(self, error: BaseException) -> None:
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(error)


class _Resolver(AbstractResolver):
    """Looks up names; behind a guard, refuses a name as soon as one of its addresses is not allowed."""

    def __init__(self, resolve: Resolve | None, guard: Guard | None) -> None:
        self._resolve = resolve or _ask_system
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "it has no address")
        if self._guard is not None:
            for address in addresses:
                self._guard.check_address(host, address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


async def _ask_system(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [str(address[0]) for _, _, _, _, address in found]


def _guarded_sockets(guard: Guard) -> Callable[[_AddressInfo], socket.socket]:
    """The last look: aiohttp asks no resolver for a host that it takes for an address, whatever we take it for."""

    def make(info: _AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        guard.check_address(str(address[0]), str(address[0]))
        return socket.socket(family, kind, protocol)

    return make


class _Reply:
    """See `HTTPReply`. Whatever ends a read but success cuts the connection: what is left of the body is nobody's."""

    # State. _max_bytes: the cap in force, by which way the body is read. _announced: its Content-Length, 0 where that is small
    # or unknown. _inflated: what the last bytes decompress to, as far as it was not given out.
    __slots__ = (
        "_alarm",
        "_announced",
        "_coding",
        "_content",
        "_headers",
        "_inflated",
        "_inflater",
        "_max_body_bytes",
        "_max_bytes",
        "_raw_bytes",
        "_refused",
        "_response",
    )

    def __init__(
        self, response: aiohttp.ClientResponse, alarm: Alarm, max_body_bytes: int, max_stream_bytes: int
    ) -> None:
        self._response = response
        self._content = response.content
        self._alarm = alarm
        self._max_body_bytes = max_body_bytes
        self._max_bytes = max_stream_bytes
        self._announced = 0
        self._raw_bytes = 0
        self._headers: dict[str, str] | None = None
        self._coding = ""
        self._inflater: Inflater | None = None
        self._inflated: Iterator[bytes] = iter(())
        self._refused: ProviderError | None = None
        length = response.headers.get("Content-Length")
        if length is not None and len(length) > 6 and length.isdecimal():  # shorter: below any cap worth setting
            self._announced = int(length)
        coding = response.headers.get("Content-Encoding")
        if coding is not None:
            self._check_coding(coding.strip().lower())

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        if self._headers is None:
            self._headers = {}
            for name, value in self._response.headers.items():
                self._headers.setdefault(name.lower(), value)
        return self._headers

    async def read(self, until: float | None) -> bytes:
        self._max_bytes = self._max_body_bytes
        parts: list[bytes] = []
        while data := await self.read_some(until):
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def read_some(self, until: float | None) -> bytes:
        content = self._content
        try:
            if self._refused is not None:
                raise self._refused
            if self._announced > self._max_bytes:
                raise ResponseTooLargeError(
                    f"the reply announces {self._announced} bytes, and may have {self._max_bytes}", status=self.status
                )
            while True:
                if self._inflater is not None and (data := next(self._inflated, b"")):
                    # A few bytes can become many pieces, which nobody waits for: others get their turn in between.
                    await asyncio.sleep(0)
                    return data
                # Most of a fast stream is here already: no timer, no future for it.
                data = content.read_nowait() if content.exception() is None else self._take_last()
                if not data and not content.is_eof():
                    waiting = content.readany()
                    data = await (waiting if until is None else self._alarm.wait(waiting, until))
                if not data:
                    if self._inflater is not None:
                        self._inflater.end()
                    self._alarm.cancel()
                    return b""
                self._raw_bytes += len(data)
                if self._raw_bytes > self._max_bytes:
                    raise ResponseTooLargeError(f"the reply is larger than {self._max_bytes} bytes", status=self.status)
                if not self._coding:
                    return data
                if self._inflater is None:
                    self._inflater = Inflater(self._coding, self._max_bytes)
                self._inflated = self._inflater.feed(data)
        except _FOREIGN as error:
            failure = _explain(error, str(self._response.url), _READING)
        except BaseException:
            self.close()
            raise
        self.close()
        try:
            raise failure
        finally:
            del failure

    def close(self) -> None:
        self._alarm.cancel()
        self._response.close()

    def _take_last(self) -> bytes:
        """What came before the connection broke, which aiohttp would not give out any more; then raises why it broke."""
        if not self._response.closed:  # by us, or read to its end
            data = self._content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage]
            if data:
                return data
        return self._content.read_nowait()

    def _check_coding(self, coding: str) -> None:
        if coding in CODINGS:
            self._coding = coding
        elif coding not in ("", "identity"):
            self._refused = MalformedResponseError(
                f"the reply is compressed with {coding[:40]!r}, which was not asked for", status=self.status
            )


class _Failure(NamedTuple):
    """One row of the table: what aiohttp raises, what it becomes, and what to say. {where}, {phase}, {reason}: see `_explain`."""

    foreign: type[Exception]
    ours: type[LLMRingError]
    message: str
    hint: str | None = None


_ANSWERING = "before it answered"
_READING = "in the middle of its answer"

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
    _Failure(_FramingError, ResponseTooLargeError, "{where} sends more around its answer than an answer"),
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
    _Failure(_ClosedHereError, ServiceClosedError, "the transport was closed while {where} was answering"),
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


def _explain(error: Exception, url: str, phase: str, connect_s: float | None = None) -> Exception:
    """What to raise in place of `error`. Says who and when, never the URL's query, its user, a header or a body."""
    if isinstance(error, LLMRingError) or type(error) is TimeoutError:
        return error.with_traceback(None)  # ours already; its frames are aiohttp's, with the request's headers in them
    cause = next((cause for cause in _causes(error) if isinstance(cause, (LineTooLong, _FramingError))), error)
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
