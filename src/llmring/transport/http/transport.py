"""What the rest of llmring sends with: one pool of connections, opened at the first request."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from llmring.clock import Clock
from llmring.exceptions import ConfigurationError, ServiceClosedError
from llmring.transport.alarm import Alarm
from llmring.transport.base import HTTPReply, HTTPRequest
from llmring.transport.http.failures import ANSWERING, FOREIGN, explain
from llmring.transport.http.head import Origin, Target, read_login, write_head
from llmring.transport.http.line import Line
from llmring.transport.http.pool import Connector, Resolve, Resolver
from llmring.transport.http.reply import Reply
from llmring.transport.proxy import Proxies
from llmring.transport.tls import read_tls_context
from llmring.wire.base import MAX_BODY_BYTES, MAX_STREAM_BYTES

if TYPE_CHECKING:
    from llmring.transport.guard import Guard  # its tables take 3 ms to build; few calls are guarded

# How many URLs are kept made ready. An application calls a few; those of images are many, and each comes once.
_MOST_TARGETS = 256
# RFC 9110, 9.2.1: asking again changes nothing.
_SAFE_METHODS = frozenset({"GET", "HEAD"})


class HTTPTransport:
    """Sends requests over pooled connections; as many at once as are asked for.

    clock: what limits are measured on. max_body_bytes: cap on a body that is read whole, default 20 MiB; max_stream_bytes: on one that
    is read as it comes, default 64 MiB; both before and after decompression. trust_env: whether the proxy and CA bundle variables of
    `environ` are read, once, at the first request; default yes. guard: refuses URLs and addresses (and uses no proxy: what a proxy
    connects to cannot be checked). resolve: looks up names, default the system's resolver.
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
        self._connector: Connector | None = None
        self._targets: dict[str, Target] = {}
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
            with alarm.until(until):
                line = await self._start(request, connect_s)
            return Reply(line, request.url, alarm, self._max_body_bytes, self._max_stream_bytes)
        except FOREIGN as error:
            alarm.cancel()
            failure = explain(error, request.url, ANSWERING, connect_s)
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
        connector, self._connector = self._connector, None
        self._targets.clear()
        if connector is not None:
            await connector.end()

    async def _start(self, request: HTTPRequest, connect_s: float | None) -> Line:
        connector = self._connector
        if connector is None or self._loop is not asyncio.get_running_loop():
            connector = await self._open()
        target = self._targets.get(request.url) or self._make_ready(request.url)
        head = write_head(request, target)
        may_repeat = request.method in _SAFE_METHODS
        while True:
            line = Line(connector, await connector.borrow(target.origin, connect_s))
            try:
                protocol = line.write(head, request.body, has_reply_body=request.method != "HEAD")
                while True:
                    message, body = await protocol.read()
                    if not 100 <= message.code <= 199 or message.code == 101:
                        line.begin(message, body)
                        return line
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                line.cut()
                if not may_repeat:
                    raise
                may_repeat = False
            except BaseException:
                line.cut()
                raise

    def _make_ready(self, text: str) -> Target:
        """Raises ValueError, or what aiohttp has for a URL that it cannot call."""
        url = URL(text)
        if url.scheme not in ("http", "https"):
            raise aiohttp.NonHttpUrlClientError(text)
        if not url.raw_host:
            raise aiohttp.InvalidURL(text)
        is_secure = url.scheme == "https"
        if is_secure and self._tls is None:
            self._tls = read_tls_context(self._environ) or True
        found = (
            None if self._proxies is None or url.host is None else self._proxies.find(url.scheme, url.host, url.port)
        )
        proxy = None if found is None else URL(found)
        host = url.host_port_subcomponent
        lines = [f"Host: {host}"]
        path = url.raw_path_qs
        if proxy is not None and not is_secure:  # such a proxy is told the whole URL; through others there is a tunnel
            path = f"http://{host}{path}"
            if (login := read_login(proxy)) is not None:
                lines.append(f"Proxy-Authorization: {login}")
        loop = asyncio.get_running_loop()
        origin = Origin("GET", url.origin(), loop=loop, ssl=self._tls or True, proxy=proxy)
        target = Target(origin, path, lines, read_login(url))
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        self._targets[text] = target
        return target

    async def _open(self) -> Connector:
        """A pool in the running loop. A pool of a loop that has ended is dropped; one that is in use is refused."""
        if self._closed:
            raise ServiceClosedError("the transport is closed")
        self._check_loop()
        if self._guard is None:
            self._proxies = Proxies(self._environ) or None
        self._loop = asyncio.get_running_loop()
        ended = self._connector
        self._targets.clear()
        self._connector = connector = Connector(self._clock, Resolver(self._resolve, self._guard), guard=self._guard)
        if ended is not None:
            await ended.end()
        return connector

    def _check_loop(self) -> None:
        """Raises ConfigurationError where there is a pool in another loop that has not ended."""
        loop = self._loop
        if self._connector is None or loop is None or loop.is_closed() or loop is asyncio.get_running_loop():
            return
        raise ConfigurationError(
            "the transport is in use in another event loop",
            hint="make one LLMRing for each event loop, or close() it in the first one",
        )
