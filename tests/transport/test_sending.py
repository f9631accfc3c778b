"""What a request's head says, how its body goes, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import cast

import pytest

from llmring.exceptions import ConfigurationError, ProviderConnectionError, ServiceClosedError
from llmring.testing.http_server import Action, HTTPServer, Request, Signal, plain
from llmring.transport.base import HTTPRequest
from llmring.transport.http import HTTPTransport

Serve = Callable[..., Awaitable[HTTPServer]]

MIB = 1024 * 1024
OK = plain(200, {}, b"fine")


class Raw:
    """A server that keeps the bytes as they came, and answers when `answers_at` of them are there; then it reads on, or not."""

    def __init__(self, answer: bytes, *, answers_at: int = 1, reads_on: bool = True) -> None:
        self.answer = answer
        self.answers_at = answers_at
        self.reads_on = reads_on
        self.connections = 0
        self.closed = 0
        self.received: list[bytearray] = []
        self.port = 0
        self.over = asyncio.Event()  # a server that does not read on waits for it
        if reads_on:
            self.over.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        received = bytearray()
        self.received.append(received)
        try:
            while len(received) < self.answers_at and (data := await reader.read(65536)):
                received += data
            writer.write(self.answer)
            await writer.drain()
            while self.reads_on and (data := await reader.read(65536)):
                received += data
            await self.over.wait()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.closed += 1


@pytest.fixture
async def open_raw() -> AsyncIterator[Callable[[Raw], Awaitable[Raw]]]:
    async with AsyncExitStack() as stack:

        async def start(raw: Raw) -> Raw:
            server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
            raw.port = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
            return raw

        yield start


def keep(seen: list[Request], held: str | None = None) -> Callable[[Request], Iterable[Action]]:
    """Answers, and keeps what was asked. held: a path whose answers wait until they are let go."""

    def answer(request: Request) -> Iterable[Action]:
        seen.append(request)
        return [Signal.HOLD, OK] if request.target == held else [OK]

    return answer


async def test_a_head_is_written_as_it_was_given_and_says_the_rest_itself(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport
) -> None:
    raw = await open_raw(Raw(OK))
    url = f"http://127.0.0.1:{raw.port}/v1/größe?q=a b#part"
    request = HTTPRequest("POST", url, {"Content-Type": "application/json", "X-Word": "größe"}, b'{"a":1}')
    assert await (await transport.send(request)).read(None) == b"fine"
    head, body = bytes(raw.received[0]).split(b"\r\n\r\n")
    assert body == b'{"a":1}'
    assert head.decode().split("\r\n") == [
        "POST /v1/gr%C3%B6%C3%9Fe?q=a+b HTTP/1.1",
        f"Host: 127.0.0.1:{raw.port}",
        "Content-Type: application/json",
        "X-Word: größe",
        "Accept: */*",
        "Accept-Encoding: identity",
        "User-Agent: llmring",
        "Content-Length: 7",
    ]


async def test_the_callers_own_headers_win_however_they_are_spelt(serve: Serve, transport: HTTPTransport) -> None:
    seen: list[Request] = []
    server = await serve(keep(seen))
    mine = {"HOST": "api.example", "accept": "text/plain", "ACCEPT-encoding": "gzip", "user-AGENT": "mine"}
    await (await transport.send(HTTPRequest("GET", f"http://127.0.0.1:{server.port}/", mine))).read(None)
    headers = seen[0].headers
    assert (headers["host"], headers["accept"], headers["user-agent"]) == ("api.example", "text/plain", "mine")
    assert headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(("method", "length"), [("POST", "0"), ("PUT", "0"), ("GET", None), ("DELETE", None)])
async def test_no_body_has_a_length_only_where_one_is_expected(
    serve: Serve, transport: HTTPTransport, method: str, length: str | None
) -> None:
    seen: list[Request] = []
    server = await serve(keep(seen))
    await (await transport.send(HTTPRequest(method, f"http://127.0.0.1:{server.port}/", {}))).read(None)
    assert seen[0].headers.get("content-length") == length


async def test_a_user_in_the_url_is_sent_as_a_header_and_not_in_the_path(
    serve: Serve, transport: HTTPTransport
) -> None:
    seen: list[Request] = []
    server = await serve(keep(seen))
    url = f"http://us%40er:p%C3%A4ss@127.0.0.1:{server.port}/v1"
    await (await transport.send(HTTPRequest("GET", url, {}))).read(None)
    assert seen[0].target == "/v1"
    assert seen[0].headers["host"] == f"127.0.0.1:{server.port}"
    scheme, _, login = seen[0].headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(login).decode()) == ("Basic", "us@er:päss")


@pytest.mark.spec("RT17")
@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "a\nX-B: b"},
        {"X-A": "a\rX-B: b"},
        {"X-A\r\nX-B": "b"},
        {"X-A": "a\0b"},
        {"X-A": "\r\n\r\nGET / HTTP/1.1"},
        {"Content-Length": "3"},
        {"transfer-encoding": "chunked"},
        {"X-A": "\ud800"},
        {"Content-Length ": "3"},
        {"Transfer-Encoding\t": "chunked"},
        {"Transfer-Encoding: chunked, X": "a"},
        {" X-A": "a"},
        {"": "a"},
    ],
    ids=repr,
)
async def test_no_header_can_make_two_requests_of_one(
    serve: Serve, transport: HTTPTransport, headers: dict[str, str]
) -> None:
    server = await serve(OK)
    request = HTTPRequest("POST", f"http://127.0.0.1:{server.port}/", headers, b"{}")
    with pytest.raises(ConfigurationError, match="not what HTTP allows"):
        await transport.send(request)
    assert server.connections_opened == 0


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("path", ["/a\r\nX-B: b", "/a\nb", "/a b HTTP/1.1", "/a\0b"], ids=repr)
async def test_no_path_can_either(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport, path: str
) -> None:
    raw = await open_raw(Raw(OK))
    try:
        await (await transport.send(HTTPRequest("GET", f"http://127.0.0.1:{raw.port}{path}", {}))).read(None)
    except ConfigurationError:
        assert raw.connections == 0
    else:
        first, host, *rest = bytes(raw.received[0]).decode().split("\r\n")
        assert first.count(" ") == 2
        assert host.startswith("Host: ")
        assert not [line for line in rest if line.startswith("X-B")]


async def test_interim_replies_are_passed_over(serve: Serve, transport: HTTPTransport) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    server = await serve([interim, OK])
    for _ in range(2):
        reply = await transport.send(HTTPRequest("POST", f"http://127.0.0.1:{server.port}/", {}, b"{}"))
        assert (reply.status, await reply.read(None)) == (200, b"fine")
    assert server.connections_opened == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    ],
)
async def test_a_reply_that_has_no_body_is_at_its_end(
    serve: Serve, transport: HTTPTransport, method: str, answer: bytes
) -> None:
    server = await serve(answer)
    for _ in range(2):
        reply = await transport.send(HTTPRequest(method, f"http://127.0.0.1:{server.port}/", {}))
        assert await reply.read(None) == b""
    assert server.connections_opened == 1


async def test_a_body_without_a_length_ends_with_the_connection(serve: Serve, transport: HTTPTransport) -> None:
    server = await serve([b"HTTP/1.1 200 OK\r\n\r\n", b"all there ", b"is", Signal.FIN])
    for number in (1, 2):
        reply = await transport.send(HTTPRequest("GET", f"http://127.0.0.1:{server.port}/", {}))
        assert await reply.read(None) == b"all there is"
        assert server.connections_opened == number


async def test_a_get_is_sent_once_more_where_a_kept_connection_was_closed_and_no_more_than_once(
    serve: Serve, transport: HTTPTransport
) -> None:
    requests: list[Request] = []

    def answer(request: Request) -> Iterable[Action]:
        requests.append(request)
        return [OK] if len(requests) in (1, 3) else [Signal.FIN]

    server = await serve(answer)
    request = HTTPRequest("GET", f"http://127.0.0.1:{server.port}/", {})
    assert await (await transport.send(request)).read(None) == b"fine"
    assert await (await transport.send(request)).read(None) == b"fine"
    assert (len(requests), server.connections_opened) == (3, 2)
    with pytest.raises(ProviderConnectionError, match="before it answered"):
        await transport.send(request)
    assert len(requests) == 5


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1, 20 * MIB])
async def test_after_a_large_body_the_connection_is_used_again(
    serve: Serve, transport: HTTPTransport, size: int
) -> None:
    seen: list[Request] = []
    server = await serve(keep(seen))
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    for _ in range(3):
        reply = await transport.send(HTTPRequest("POST", f"http://127.0.0.1:{server.port}/", {}, body))
        assert await reply.read(None) == b"fine"
    assert [request.body == body for request in seen] == [True] * 3
    assert server.connections_opened == 1


REFUSED = plain(413, {}, b"too much")


@pytest.mark.parametrize("reads_on", [True, False])
async def test_a_server_that_refuses_a_body_in_its_middle_is_heard_and_the_connection_is_not_used_again(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport, reads_on: bool
) -> None:
    raw = await open_raw(Raw(REFUSED, answers_at=100, reads_on=reads_on))
    request = HTTPRequest("POST", f"http://127.0.0.1:{raw.port}/", {}, bytes(64 * MIB))
    for number in (1, 2):
        reply = await transport.send(request)
        assert (reply.status, await reply.read(None)) == (413, b"too much")
        assert raw.connections == number
    assert all(len(received) < 64 * MIB for received in raw.received)
    raw.over.set()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} <= _tasks_of_servers()


async def test_whoever_gives_up_in_the_middle_of_a_body_leaves_nobody_writing(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport
) -> None:
    raw = await open_raw(Raw(OK, answers_at=1000 * MIB))
    task = asyncio.create_task(
        transport.send(HTTPRequest("POST", f"http://127.0.0.1:{raw.port}/", {}, bytes(64 * MIB)))
    )
    while not (raw.received and raw.received[0]):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while not raw.closed:
        await asyncio.sleep(0)
    assert len(raw.received[0]) < 64 * MIB
    assert asyncio.all_tasks() - {asyncio.current_task()} <= _tasks_of_servers()


async def test_a_server_that_goes_in_the_middle_of_a_body_is_an_error(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport
) -> None:
    class Goes(Raw):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            writer.transport.abort()

    raw = await open_raw(Goes(b""))
    with pytest.raises(ProviderConnectionError, match="before it answered"):
        await transport.send(HTTPRequest("POST", f"http://127.0.0.1:{raw.port}/", {}, bytes(64 * MIB)))


async def test_whoever_is_cancelled_as_soon_as_it_is_sent_disturbs_none_of_the_many_under_way(
    serve: Serve, transport: HTTPTransport
) -> None:
    seen: list[Request] = []

    server = await serve(keep(seen, held="/held"))

    def call(path: str) -> asyncio.Task[bytes]:
        async def read() -> bytes:
            return await (
                await transport.send(HTTPRequest("POST", f"http://127.0.0.1:{server.port}{path}", {}, b"{}"))
            ).read(None)

        return asyncio.create_task(read())

    await asyncio.gather(*(call("/first") for _ in range(21)))  # their connections are kept
    held = [call("/held") for _ in range(20)]
    await server.wait_until(lambda: server.held == 20)
    cancelled = call("/cancelled")
    await asyncio.sleep(0)  # it has its connection, and waits for the answer
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await call("/last")
    server.release()
    assert await asyncio.gather(*held) == [b"fine"] * 20
    assert sum(request.target == "/held" for request in seen) == 20
    assert sum(request.target == "/last" for request in seen) == 1


async def test_the_connection_that_was_used_last_is_used_next(serve: Serve, transport: HTTPTransport) -> None:
    seen: list[Request] = []

    server = await serve(keep(seen, held="/many"))

    async def call(path: str) -> None:
        await (await transport.send(HTTPRequest("GET", f"http://127.0.0.1:{server.port}{path}", {}))).read(None)

    many = [asyncio.create_task(call("/many")) for _ in range(20)]
    await server.wait_until(lambda: server.held == 20)
    server.release()
    await asyncio.gather(*many)
    for _ in range(10):
        await call("/few")
    assert server.connections_opened == 20
    assert len({request.connection for request in seen if request.target == "/few"}) == 1


async def test_a_connection_that_is_not_kept_leaves_the_others_in_their_order(
    serve: Serve, transport: HTTPTransport
) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Iterable[Action]:
        seen.append(request)
        if request.target == "/closes":
            return [plain(200, {"connection": "close"}, b"fine"), Signal.FIN]
        return [gates[int(request.target[1:])], OK] if request.target[1:].isdecimal() else [OK]

    gates = [asyncio.Event() for _ in range(4)]
    server = await serve(answer)

    async def call(path: str) -> int:
        await (await transport.send(HTTPRequest("GET", f"http://127.0.0.1:{server.port}{path}", {}))).read(None)
        return seen[-1].connection

    many = [asyncio.create_task(call(f"/{number}")) for number in range(4)]
    while len(seen) < 4:
        await asyncio.sleep(0)
    for gate, task in zip(gates, many, strict=True):  # so they come back one after the other
        gate.set()
        await task
    connections = {request.target: request.connection for request in seen}
    assert [await call(path) for path in ("/closes", "/closes", "/few", "/few")] == [
        connections[path] for path in ("/3", "/2", "/1", "/1")
    ]


@pytest.mark.parametrize(
    "early",
    [plain(200, {}, b"a stranger's"), b"HTTP/1.1 408 Request Time-out\r\n", b"\r\n", b"H"],
    ids=["whole", "its first line", "a line break", "one letter"],
)
async def test_a_reply_that_nobody_asked_for_is_nobodys_nor_is_the_beginning_of_one(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport, early: bytes
) -> None:
    class Begins(Raw):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            await reader.read(1000)
            writer.write(OK)
            if self.connections == 1:
                await talks.wait()
                writer.write(early)
                talked.set()
                if await reader.read(1000):
                    writer.write(plain(200, {}, b"a stranger's"))
            await reader.read(1000)
            writer.close()

    talks, talked = asyncio.Event(), asyncio.Event()
    raw = await open_raw(Begins(b""))
    request = HTTPRequest("POST", f"http://127.0.0.1:{raw.port}/", {}, b"{}")
    assert await (await transport.send(request)).read(None) == b"fine"
    talks.set()
    await talked.wait()
    for _ in range(10):  # the loop reads it, with no request under way
        await asyncio.sleep(0)
    assert await (await transport.send(request)).read(None) == b"fine"
    assert raw.connections == 2


class Deaf(Raw):
    """Takes a connection, and nothing that comes over it, until it is over."""

    ended = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        transport = cast("asyncio.Transport", writer.transport)
        transport.pause_reading()
        await self.over.wait()
        transport.resume_reading()
        writer.close()


async def test_closing_does_not_wait_for_a_server_that_takes_no_more(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport
) -> None:
    raw = await open_raw(Deaf(b"", reads_on=False))
    request = HTTPRequest("POST", f"http://127.0.0.1:{raw.port}/", {}, bytes(64 * MIB))
    sending = [asyncio.create_task(transport.send(request)) for _ in range(2)]
    while raw.connections < 2:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    await transport.close()
    for result in await asyncio.gather(*sending, return_exceptions=True):
        assert isinstance(result, ServiceClosedError)
    raw.over.set()


async def test_whoever_gives_up_leaves_no_connection_to_a_server_that_takes_no_more(
    open_raw: Callable[[Raw], Awaitable[Raw]], transport: HTTPTransport
) -> None:
    raw = await open_raw(Deaf(b"", reads_on=False))
    task = asyncio.create_task(
        transport.send(HTTPRequest("POST", f"http://127.0.0.1:{raw.port}/", {}, bytes(64 * MIB)))
    )
    while not raw.connections:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    sockets = count_sockets()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(3):
        await asyncio.sleep(0)
    assert count_sockets() == sockets - 1
    raw.over.set()


def count_sockets() -> int:
    gc.collect()
    return sum(
        isinstance(found, socket.socket) and found.fileno() >= 0 for found in cast("list[object]", gc.get_objects())
    )


async def test_urls_without_number_are_not_all_kept(serve: Serve, transport: HTTPTransport) -> None:
    seen: list[Request] = []
    server = await serve(keep(seen))
    for number in range(600):
        url = f"http://127.0.0.1:{server.port}/{number % 300}"
        await (await transport.send(HTTPRequest("GET", url, {}))).read(None)
    assert [request.target for request in seen] == [f"/{number % 300}" for number in range(600)]
    assert server.connections_opened == 1


def _tasks_of_servers() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if "Raw.serve" in repr(task.get_coro())}
