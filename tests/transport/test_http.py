"""What goes over the wire and what comes back, on real sockets."""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping

import pytest

from llmring.exceptions import ProviderConnectionError, ServiceClosedError
from llmring.testing import FakeClock
from llmring.testing.http_server import Action, HTTPServer, Request, Signal, chunk, head, plain
from llmring.transport.base import HTTPRequest
from llmring.transport.http import HTTPTransport

Serve = Callable[..., Awaitable[HTTPServer]]
Open = Callable[..., HTTPTransport]

OK = plain(200, {"content-type": "text/plain"}, b"fine")
CHUNKED = head(200, {"transfer-encoding": "chunked"})


def post(
    server: HTTPServer, path: str = "/v1/chat", body: bytes = b"{}", headers: Mapping[str, str] | None = None
) -> HTTPRequest:
    return HTTPRequest("POST", f"http://127.0.0.1:{server.port}{path}", headers or {}, body)


class Recorder:
    """An answerer that keeps the requests."""

    def __init__(self, *actions: Action) -> None:
        self.actions = actions
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Iterable[Action]:
        self.requests.append(request)
        return self.actions


def open_sockets() -> int:
    gc.collect()
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            pass  # the folder's own descriptor
    return found


async def test_a_request_arrives_as_it_was_written(serve: Serve, transport: HTTPTransport) -> None:
    seen = Recorder(OK)
    server = await serve(seen)
    request = post(server, "/v1/chat?alt=sse", b'{"a": 1}', {"Content-Type": "application/json", "X-Mine": "yes"})
    reply = await transport.send(request)
    assert (reply.status, await reply.read(None)) == (200, b"fine")
    (got,) = seen.requests
    assert (got.method, got.target, got.body) == ("POST", "/v1/chat?alt=sse", b'{"a": 1}')
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-mine"] == "yes"
    assert "cookie" not in got.headers


async def test_replies_are_asked_for_uncompressed_unless_the_caller_says_otherwise(
    serve: Serve, transport: HTTPTransport
) -> None:
    seen = Recorder(OK)
    server = await serve(seen)
    await (await transport.send(post(server))).read(None)
    await (await transport.send(post(server, headers={"accept-encoding": "gzip"}))).read(None)
    assert [request.headers["accept-encoding"] for request in seen.requests] == ["identity", "gzip"]


async def test_header_names_come_in_lower_case_and_the_first_of_two_counts(
    serve: Serve, transport: HTTPTransport
) -> None:
    server = await serve(b"HTTP/1.1 200 OK\r\nX-Request-ID: one\r\nx-request-id: two\r\nContent-Length: 0\r\n\r\n")
    reply = await transport.send(post(server))
    assert dict(reply.headers) == {"x-request-id": "one", "content-length": "0"}
    assert await reply.read(None) == b""


async def test_a_stream_is_read_as_it_comes(serve: Serve, transport: HTTPTransport) -> None:
    second = asyncio.Event()
    server = await serve([CHUNKED, chunk(b"one"), second, chunk(b"two"), chunk(b"")])
    reply = await transport.send(post(server))
    assert await reply.read_some(None) == b"one"
    second.set()
    assert await reply.read_some(None) == b"two"
    assert await reply.read_some(None) == b""
    assert await reply.read_some(None) == b""


async def test_calls_one_after_the_other_share_one_connection(serve: Serve, transport: HTTPTransport) -> None:
    server = await serve(OK)
    for _ in range(20):
        reply = await transport.send(post(server))
        await reply.read(None)
        reply.close()
    assert server.connections_opened == 1


async def test_200_calls_at_once_do_not_queue_for_connections(serve: Serve, transport: HTTPTransport) -> None:
    server = await serve([Signal.HOLD, OK])

    async def call() -> bytes:
        return await (await transport.send(post(server))).read(None)

    calls = [asyncio.create_task(call()) for _ in range(200)]
    await server.wait_until(lambda: server.held == 200)
    server.release()
    assert await asyncio.gather(*calls) == [b"fine"] * 200


async def test_a_reply_that_is_closed_early_is_cut_and_the_server_sees_it(
    serve: Serve, transport: HTTPTransport
) -> None:
    server = await serve([CHUNKED, chunk(b"one"), Signal.HOLD])
    reply = await transport.send(post(server))
    assert await reply.read_some(None) == b"one"
    reply.close()
    reply.close()
    await server.wait_until(lambda: not server.connections)
    with pytest.raises(ProviderConnectionError):
        await reply.read_some(None)


@pytest.mark.spec("X01")
@pytest.mark.parametrize("packed", [False, True])
async def test_what_came_before_a_connection_broke_is_given_out_to_a_slow_reader_too(
    serve: Serve, transport: HTTPTransport, packed: bool
) -> None:
    rest = asyncio.Event()
    coding = {"content-encoding": "gzip"} if packed else {}
    first, second = (gzip.compress(word) if packed else word for word in (b"one", b"two"))
    server = await serve(
        [head(200, {"transfer-encoding": "chunked"} | coding), chunk(first), rest, chunk(second), Signal.FIN]
    )
    reply = await transport.send(post(server))
    assert await reply.read_some(None) == b"one"
    rest.set()
    # Nobody reads while the rest and the connection's end arrive: both are here when the server has lost the connection.
    await server.wait_until(lambda: not server.connections)
    for _ in range(3):
        await asyncio.sleep(0)
    assert await reply.read_some(None) == b"two"
    with pytest.raises(ProviderConnectionError, match="in the middle of its answer"):
        await reply.read_some(None)
    with pytest.raises(ProviderConnectionError):
        await reply.read_some(None)


async def test_a_reply_that_is_closed_unread_but_whole_keeps_its_connection(
    serve: Serve, transport: HTTPTransport
) -> None:
    server = await serve(OK)
    for _ in range(3):
        (await transport.send(post(server))).close()
    assert server.connections_opened == 1


@pytest.mark.spec("A09")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed_and_no_header_is_sent_again(
    serve: Serve, transport: HTTPTransport, status: int
) -> None:
    elsewhere = Recorder(OK)
    other = await serve(elsewhere)
    seen = Recorder(plain(status, {"location": f"http://127.0.0.1:{other.port}/"}, b""))
    server = await serve(seen)
    reply = await transport.send(post(server, headers={"Authorization": "Bearer key", "X-Extra": "mine"}))
    assert reply.status == status
    assert len(seen.requests) == 1
    assert elsewhere.requests == []
    assert other.connections_opened == 0


async def test_cookies_are_not_kept(serve: Serve, transport: HTTPTransport) -> None:
    seen = Recorder(plain(200, {"set-cookie": "session=1"}, b""))
    server = await serve(seen)
    for _ in range(2):
        await (await transport.send(post(server))).read(None)
    assert "cookie" not in seen.requests[1].headers


async def test_a_body_of_many_megabytes_arrives_whole(serve: Serve, transport: HTTPTransport) -> None:
    seen = Recorder(OK)
    body = os.urandom(1024) * 5000
    reply = await transport.send(post(await serve(seen), body=body))
    assert await reply.read(None) == b"fine"
    assert seen.requests[0].body == body


async def test_a_request_without_a_body_sends_none(serve: Serve, transport: HTTPTransport) -> None:
    seen = Recorder(OK)
    server = await serve(seen)
    await (await transport.send(HTTPRequest("GET", f"http://127.0.0.1:{server.port}/", {}))).read(None)
    assert (seen.requests[0].method, seen.requests[0].body) == ("GET", b"")
    assert "content-type" not in seen.requests[0].headers


async def test_a_post_is_sent_once_where_the_server_closes_a_kept_connection_without_answering(
    serve: Serve, transport: HTTPTransport
) -> None:
    requests: list[Request] = []

    def answer(request: Request) -> Iterable[Action]:
        requests.append(request)
        return [OK] if len(requests) == 1 else [Signal.FIN]

    server = await serve(answer)
    await (await transport.send(post(server))).read(None)
    with pytest.raises(ProviderConnectionError, match="before it answered"):
        await transport.send(post(server))
    assert len(requests) == 2
    assert server.connections_opened == 1


@pytest.mark.spec("A19", "U01")
async def test_closing_leaves_no_socket_open(serve: Serve, fake_clock: FakeClock) -> None:
    server = await serve([CHUNKED, chunk(b"one"), Signal.HOLD, chunk(b"")])
    before = open_sockets()
    transport = HTTPTransport(clock=fake_clock)
    pooled, cut = await transport.send(post(server)), await transport.send(post(server))
    assert await cut.read_some(None) == b"one"
    server.release()
    await pooled.read(None)
    await transport.close()
    await server.wait_until(lambda: not server.connections)
    assert open_sockets() == before


@pytest.mark.spec("A19", "U01")
async def test_a_closed_transport_refuses_and_can_be_closed_again(serve: Serve, transport: HTTPTransport) -> None:
    server = await serve(OK)
    await (await transport.send(post(server))).read(None)
    await transport.close()
    await transport.close()
    with pytest.raises(ServiceClosedError):
        await transport.send(post(server))
    assert server.connections_opened == 1


@pytest.mark.spec("U01")
@pytest.mark.parametrize("actions", [[Signal.HOLD], [CHUNKED, chunk(b"one"), Signal.HOLD]])
async def test_closing_ends_the_calls_that_are_under_way(
    serve: Serve, transport: HTTPTransport, actions: list[Action]
) -> None:
    server = await serve(actions)

    async def call() -> bytes:
        return await (await transport.send(post(server))).read(None)

    task = asyncio.create_task(call())
    await server.wait_until(lambda: server.held == 1)
    await transport.close()
    with pytest.raises(ServiceClosedError):
        await task
