"""Whatever goes wrong is one of llmring's errors, says who and when, and quotes no secret."""

from __future__ import annotations

import asyncio
import pickle
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest

from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    MalformedResponseError,
    ProviderConnectionError,
    ProviderError,
    ProviderUnreachableError,
    ResponseTooLargeError,
    UnsafeURLError,
)
from llmring.testing import FakeClock
from llmring.testing.http_server import Action, HTTPServer, Signal, chunk, head
from llmring.transport.base import HTTPRequest
from llmring.transport.guard import Guard
from llmring.transport.http import HTTPTransport

Serve = Callable[..., Awaitable[HTTPServer]]
Open = Callable[..., HTTPTransport]

SECRET = "sk-0123456789"
CHUNKED = head(200, {"transfer-encoding": "chunked"})
SIZED = head(200, {"content-length": "100"})


def secret_request(base_url: str, headers: dict[str, str] | None = None) -> HTTPRequest:
    """A request that is full of secrets: query, header and body."""
    return HTTPRequest("POST", f"{base_url}?key={SECRET}", {"X-Key": SECRET, **(headers or {})}, SECRET.encode())


async def fail(transport: HTTPTransport, request: HTTPRequest, gates: Sequence[asyncio.Event] = ()) -> LLMRingError:
    """The error that sending and reading ends in."""
    with pytest.raises(LLMRingError) as caught:
        await read_all(transport, request, gates)
    return caught.value


async def read_all(transport: HTTPTransport, request: HTTPRequest, gates: Sequence[asyncio.Event]) -> None:
    """Opens the gates as soon as a part was read: what comes behind them comes alone."""
    reply = await transport.send(request, connect_s=5)
    while await reply.read_some(None):
        for gate in gates:
            gate.set()


def texts(error: BaseException) -> Iterator[str]:
    """All that logs and error reporters show of an error: texts, facts, what it was raised from, local variables."""
    yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
    yield repr(pickle.dumps(error))
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            yield from texts(cause)


def assert_no_secret(error: BaseException) -> None:
    assert not [text for text in texts(error) if SECRET in text]


BREAKS: dict[str, tuple[list[Action], type[ProviderError], str]] = {
    "no answer": ([Signal.FIN], ProviderConnectionError, "before it answered"),
    "reset": ([Signal.RST], ProviderConnectionError, "before it answered"),
    "half a head": ([b"HTTP/1.1 200 OK\r\nConte", Signal.FIN], ProviderConnectionError, "before it answered"),
    "cut sized body": ([SIZED, b"abc", Signal.FIN], ProviderConnectionError, "in the middle of its answer"),
    "cut chunked body": ([CHUNKED, chunk(b"abc"), Signal.FIN], ProviderConnectionError, "in the middle of its answer"),
    "reset body": ([SIZED, b"abc", asyncio.Event(), Signal.RST], ProviderConnectionError, "in the middle"),
    "no HTTP": ([b"SSH-2.0-server\r\n\r\n"], MalformedResponseError, "not HTTP/1.1"),
    "secret echoed in no HTTP": ([f"{SECRET}\r\n\r\n".encode()], MalformedResponseError, "not HTTP/1.1"),
    "two lengths": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"],
        MalformedResponseError,
        "not HTTP/1.1",
    ),
    "bad chunk": ([CHUNKED, chunk(b"abc"), asyncio.Event(), b"zz\r\n"], MalformedResponseError, "not HTTP/1.1"),
    "header line of 9 KiB": (
        [b"HTTP/1.1 200 OK\r\nX: " + SECRET.encode() * 700 + b"\r\n\r\n"],
        ResponseTooLargeError,
        "header line that is too long",
    ),
    "500 headers": ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"], MalformedResponseError, "not HTTP/1.1"),
    "unknown compression": (
        [head(200, {"content-encoding": "br", "content-length": "1"}) + b"x"],
        MalformedResponseError,
        "'br'",
    ),
}


@pytest.mark.spec("A19")
@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_exchange_is_a_typed_error_that_says_who_and_when(
    serve: Serve, transport: HTTPTransport, name: str
) -> None:
    actions, kind, message = BREAKS[name]
    gates = [asyncio.Event() for _ in actions]  # the table's own events would belong to the first loop that waits
    script = [
        gate if isinstance(action, asyncio.Event) else action for gate, action in zip(gates, actions, strict=True)
    ]
    server = await serve(script)
    request = secret_request(f"http://127.0.0.1:{server.port}/v1")
    error = await fail(transport, request, gates)
    assert type(error) is kind
    assert message in str(error)
    assert_no_secret(error)
    if name != "unknown compression":  # its body is whole: the connection may be used again
        assert f"127.0.0.1:{server.port}" in str(error)
        await server.wait_until(lambda: not server.connections)


async def test_a_refused_connection_names_host_and_port(transport: HTTPTransport) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        error = await fail(transport, secret_request(f"http://127.0.0.1:{port}/v1"))
    assert type(error) is ProviderUnreachableError
    assert str(error).startswith(f"no connection to 127.0.0.1:{port}: Connection refused (")
    assert error.retryable
    assert_no_secret(error)


async def test_a_name_that_does_not_resolve_says_so(open_transport: Open) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    error = await fail(open_transport(resolve=resolve), secret_request("https://api.example/v1"))
    assert type(error) is ProviderUnreachableError
    assert "api.example:443: name not found (DNS): Name or service not known" in str(error)
    assert_no_secret(error)


async def test_a_name_without_an_address_says_so(open_transport: Open) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return []

    error = await fail(open_transport(resolve=resolve), secret_request("https://api.example/v1"))
    assert type(error) is ProviderUnreachableError
    assert "api.example:443: name not found (DNS)" in str(error)


async def test_a_name_that_the_guard_refuses_quotes_no_secret(open_transport: Open) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    error = await fail(open_transport(resolve=resolve, guard=Guard()), secret_request("https://api.example/v1"))
    assert type(error) is UnsafeURLError
    assert_no_secret(error)


@pytest.mark.parametrize(
    "url",
    ["", "no url", "http://", "http:///v1", "ftp://example.com/v1", "http://example.com:99999/", "http://[::1/", "/v1"],
)
async def test_what_is_no_http_url_is_a_configuration_error(transport: HTTPTransport, url: str) -> None:
    error = await fail(transport, secret_request(url))
    assert type(error) is ConfigurationError
    assert_no_secret(error)


async def test_a_line_break_in_a_header_is_a_configuration_error(serve: Serve, transport: HTTPTransport) -> None:
    server = await serve(b"")
    error = await fail(
        transport,
        secret_request(f"http://127.0.0.1:{server.port}/", {"Authorization": f"Bearer {SECRET}\r\nX-Evil: 1"}),
    )
    assert type(error) is ConfigurationError
    assert "line breaks" in str(error)
    assert_no_secret(error)


async def test_a_user_name_in_the_url_beside_a_key_is_a_configuration_error(transport: HTTPTransport) -> None:
    error = await fail(
        transport, secret_request(f"http://user:{SECRET}@127.0.0.1:1/", {"Authorization": f"Bearer {SECRET}"})
    )
    assert type(error) is ConfigurationError
    assert_no_secret(error)


@pytest.mark.parametrize("stage", ["looking up", "waiting for the head", "reading"])
async def test_a_cancellation_quotes_no_secret(serve: Serve, open_transport: Open, stage: str) -> None:
    asked, has_read = asyncio.Event(), asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        asked.set()
        if stage == "looking up":
            await asyncio.Event().wait()
        return ["127.0.0.1"]

    server = await serve([CHUNKED, chunk(b"one"), Signal.HOLD] if stage == "reading" else [Signal.HOLD])
    request = secret_request(f"http://api.example:{server.port}/v1")
    task = asyncio.create_task(read_all(open_transport(resolve=resolve), request, [has_read]))
    await asked.wait()
    if stage != "looking up":
        await server.wait_until(lambda: server.held == 1)
    if stage == "reading":
        await has_read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert_no_secret(caught.value)


async def test_a_timeout_quotes_no_secret(serve: Serve, transport: HTTPTransport, fake_clock: FakeClock) -> None:
    server = await serve([Signal.HOLD])
    task = asyncio.create_task(
        transport.send(secret_request(f"http://127.0.0.1:{server.port}/"), until=fake_clock.monotonic() + 1)
    )
    await server.wait_until(lambda: server.held == 1)
    fake_clock.advance(1)
    with pytest.raises(TimeoutError) as caught:
        await task
    assert_no_secret(caught.value)
