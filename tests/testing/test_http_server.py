"""The server's own HTTP: requests at any split, exact bytes out, one reply after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llmring.testing import Exact, FakeProvider, Fault
from llmring.testing.http_server import BadRequestError, Request, RequestReader

Talk = Callable[[FakeProvider, bytes], Coroutine[Any, Any, tuple[bytes, str]]]

SIZED = b'POST /a HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = b"POST /b?q=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n"
EMPTY = b"GET /c HTTP/1.1\r\nConnection: close\r\n\r\n"


def read_all(pieces: list[bytes]) -> list[Request]:
    reader, requests = RequestReader(0), list[Request]()
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.next()) is not None:
            requests.append(request)
    return requests


def test_requests_are_read_at_any_split() -> None:
    data = SIZED + CHUNKED + EMPTY
    whole = read_all([data])
    assert [(r.method, r.target, r.body, r.keep_alive) for r in whole] == [
        ("POST", "/a", b'{"a":1}', True),
        ("POST", "/b?q=1", b"abcde", True),
        ("GET", "/c", b"", False),
    ]
    assert whole[0].headers == {"host": "x", "x-one": "1, 2", "content-length": "7"}
    for at in range(1, len(data)):
        assert read_all([data[:at], data[at:]]) == whole
    assert read_all([data[i : i + 1] for i in range(len(data))]) == whole


@pytest.mark.parametrize(
    "data",
    [
        b"no-request-line\r\n\r\n",
        b"POST / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_http_is_refused(data: bytes, fake_provider: FakeProvider, talk: Talk) -> None:
    with pytest.raises(BadRequestError):
        read_all([data])
    reply, _ = await talk(fake_provider, data)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert fake_provider.received == []


async def test_exact_sends_the_head_and_the_chunks_as_they_are(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Exact(418, {"X-A": "b"}, [b"\x00\xff", b"", b"tail"]))
    reply, ending = await talk(fake_provider, EMPTY)
    assert reply == b"HTTP/1.1 418 I'm a Teapot\r\nX-A: b\r\ncontent-length: 6\r\n\r\n\x00\xfftail"
    assert ending == "fin"


async def test_exact_leaves_framing_alone_where_the_headers_say_it(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Exact(299, {"Transfer-Encoding": "chunked"}, [b"1\r\na\r\n", b"0\r\n\r\n"]))
    reply, _ = await talk(fake_provider, EMPTY)
    assert reply == b"HTTP/1.1 299 Unknown\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"


async def test_exact_without_a_status_sends_nothing_of_its_own_and_closes(
    fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(Exact(None, chunks=[b"HTTP/9.9 what", b"ever\n"]))
    assert await talk(fake_provider, SIZED) == (b"HTTP/9.9 whatever\n", "fin")


async def test_an_event_among_the_chunks_parts_the_writes(fake_provider: FakeProvider) -> None:
    gate = asyncio.Event()
    fake_provider.script(Exact(200, {}, [b"first", gate, b"second"]))
    reader, writer = await asyncio.open_connection("127.0.0.1", fake_provider.port)
    writer.write(EMPTY)
    assert (await reader.readuntil(b"first")).endswith(b"\r\n\r\nfirst")
    gate.set()
    assert await reader.read() == b"second"
    writer.close()
    await writer.wait_closed()


async def test_pipelined_requests_are_answered_in_order_on_one_connection(
    fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(*(Exact(200, {}, [text]) for text in (b"one", b"two", b"three")))
    reply, _ = await talk(fake_provider, SIZED + CHUNKED + EMPTY)
    bodies = [part.split(b"\r\n\r\n")[1] for part in reply.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"one", b"two", b"three"]
    assert [r.connection for r in fake_provider.received] == [0, 0, 0]
    assert fake_provider.connections_opened == 1


async def test_a_client_that_waits_for_100_continue_gets_it(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Exact(200, {}, [b"done"]))
    head, _, body = SIZED.replace(b"Host: x", b"Expect: 100-continue\r\nConnection: close").partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", fake_provider.port)
    writer.write(head + b"\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read()).endswith(b"\r\n\r\ndone")
    writer.close()
    await writer.wait_closed()


async def test_an_http_1_0_client_is_hung_up_on_after_its_reply(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Exact(200, {}, [b"done"]))
    reply, ending = await talk(fake_provider, b"GET / HTTP/1.0\r\n\r\n")
    assert (reply[-4:], ending) == (b"done", "fin")


async def test_a_large_reply_waits_for_a_slow_reader_and_arrives_whole(fake_provider: FakeProvider, talk: Talk) -> None:
    pieces = [bytes([n % 256]) * 50_000 for n in range(200)]
    fake_provider.script(Exact(200, {}, pieces))
    reply, _ = await talk(fake_provider, EMPTY)
    assert reply.partition(b"\r\n\r\n")[2] == b"".join(pieces)


async def test_it_listens_on_loopback_only() -> None:
    async with FakeProvider() as fake:
        assert fake.base_url == f"http://127.0.0.1:{fake.port}/v1"
        server = fake._server._server
        assert server is not None
        assert [sock.getsockname()[0] for sock in server.sockets] == ["127.0.0.1"]


async def test_closing_ends_idle_busy_and_held_connections_and_is_idempotent() -> None:
    gate = asyncio.Event()
    fake = FakeProvider()
    async with fake:
        fake.script(Exact(200, {}, [b"idle"]), Exact(200, {}, [gate, b"never"]), Fault.hang(), Fault.endless())
        streams = [await asyncio.open_connection("127.0.0.1", fake.port) for _ in range(4)]
        for count, (_, writer) in enumerate(streams, 1):
            writer.write(SIZED)
            await fake.wait_received(count)
        await fake.wait_held()
        assert fake.open_connections == 4
    await fake.close()
    assert fake.open_connections == 0
    assert fake.in_flight == 0
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for _, writer in streams:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionResetError:
            pass


async def test_a_client_that_vanishes_leaves_nothing_behind(fake_provider: FakeProvider) -> None:
    gate = asyncio.Event()
    fake_provider.script(Exact(200, {}, [b"first", gate, b"never"]), Fault.hang(), Fault.endless())
    for count in (1, 2, 3):
        _, writer = await asyncio.open_connection("127.0.0.1", fake_provider.port)
        writer.write(SIZED)
        await fake_provider.wait_received(count)
        assert fake_provider.in_flight == 1
        writer.transport.abort()
        await fake_provider.wait_disconnected()
        assert fake_provider.in_flight == 0
    assert fake_provider.max_in_flight == 1
    fake_provider.release()
    gate.set()
