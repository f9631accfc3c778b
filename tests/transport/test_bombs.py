"""Replies made to fill the memory end in a typed error, and never take more of it than the cap."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import LLMRingError, MalformedResponseError, ResponseTooLargeError
from llmring.testing.http_server import Action, HTTPServer, Request, Signal, chunk, head, plain
from llmring.transport.base import HTTPRequest
from llmring.transport.http import HTTPTransport
from llmring.transport.inflate import Inflater

Serve = Callable[..., Awaitable[HTTPServer]]
Open = Callable[..., HTTPTransport]
Growth = Callable[[], AbstractContextManager[Callable[[], int]]]

MIB = 1024 * 1024
MOST_GROWTH = 32 * MIB


def squeeze(megabytes: int, window_bits: int) -> bytes:
    """That many MiB of zeros, compressed, without ever holding them."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    parts = [squeezer.compress(bytes(MIB)) for _ in range(megabytes)]
    return b"".join([*parts, squeezer.flush()])


def endless(first: bytes, rest: bytes) -> Callable[[Request], Iterable[Action]]:
    def answer(request: Request) -> Iterator[Action]:
        yield first
        yield from repeat(rest)

    return answer


def get(server: HTTPServer) -> HTTPRequest:
    return HTTPRequest("GET", f"http://127.0.0.1:{server.port}/", {})


async def read_whole(transport: HTTPTransport, server: HTTPServer) -> int:
    return len(await (await transport.send(get(server))).read(None))


async def read_stream(transport: HTTPTransport, server: HTTPServer) -> int:
    """As a decoder does: each piece is looked at and let go."""
    reply = await transport.send(get(server))
    size = 0
    while data := await reply.read_some(None):
        size += len(data)
    return size


Read = Callable[[HTTPTransport, HTTPServer], Awaitable[int]]
both_ways = pytest.mark.parametrize("read", [read_whole, read_stream])
CAPS: dict[Read, int] = {read_whole: 20 * MIB, read_stream: 64 * MIB}


@pytest.mark.spec("RT19")
@both_ways
@pytest.mark.parametrize(("coding", "window_bits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
async def test_200_megabytes_in_a_small_compressed_reply_are_refused(
    serve: Serve, transport: HTTPTransport, rss_growth: Growth, read: Read, coding: str, window_bits: int
) -> None:
    server = await serve(plain(200, {"content-encoding": coding}, squeeze(200, window_bits)))
    with (
        rss_growth() as growth,
        pytest.raises(ResponseTooLargeError, match=f"decompresses to more than {CAPS[read]} bytes"),
    ):
        await read(transport, server)
    assert growth() <= MOST_GROWTH


@pytest.mark.spec("RT19")
@both_ways
async def test_an_endless_body_is_cut_at_the_cap(
    serve: Serve, transport: HTTPTransport, rss_growth: Growth, read: Read
) -> None:
    server = await serve(endless(head(200, {"transfer-encoding": "chunked"}), chunk(b"data: ..\n\n" * 6553)))
    with rss_growth() as growth, pytest.raises(ResponseTooLargeError, match=f"larger than {CAPS[read]} bytes"):
        await read(transport, server)
    assert growth() <= MOST_GROWTH
    await server.wait_until(lambda: not server.connections)


@pytest.mark.spec("RT19")
@both_ways
async def test_a_line_of_100_megabytes_is_cut_at_the_cap(
    serve: Serve, transport: HTTPTransport, rss_growth: Growth, read: Read
) -> None:
    # Without a length, so that nothing but counting can find it.
    line = bytes([ord("x")]) * 65536
    server = await serve([head(200, {"connection": "close"}), b"data: ", *repeat(line, 1600), Signal.FIN])
    with rss_growth() as growth, pytest.raises(ResponseTooLargeError, match="larger than"):
        await read(transport, server)
    assert growth() <= MOST_GROWTH


@pytest.mark.spec("RT19")
@both_ways
async def test_a_length_over_the_cap_is_refused_before_the_body_comes(
    serve: Serve, transport: HTTPTransport, read: Read
) -> None:
    server = await serve([head(200, {"content-length": str(100 * MIB)}), Signal.HOLD])
    with pytest.raises(ResponseTooLargeError, match="announces 104857600 bytes"):
        await read(transport, server)
    await server.wait_until(lambda: not server.connections)


@pytest.mark.spec("RT19")
async def test_endless_small_chunks_are_cut_at_the_cap(serve: Serve, open_transport: Open) -> None:
    server = await serve(endless(head(200, {"transfer-encoding": "chunked"}), chunk(b"x") * 1000))
    with pytest.raises(ResponseTooLargeError):
        await read_stream(open_transport(max_stream_bytes=100_000), server)


@both_ways
async def test_a_body_of_just_the_cap_is_read(serve: Serve, open_transport: Open, read: Read) -> None:
    server = await serve(plain(200, {}, bytes(MIB)))
    cap = "max_body_bytes" if read is read_whole else "max_stream_bytes"
    assert await read(open_transport(**{cap: MIB}), server) == MIB
    with pytest.raises(ResponseTooLargeError):
        await read(open_transport(**{cap: MIB - 1}), server)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sized", [False, True])
async def test_a_stream_may_be_longer_than_a_body_that_is_read_whole(
    serve: Serve, open_transport: Open, packed: bool, sized: bool
) -> None:
    body = gzip.compress(bytes(3 * MIB), 0) if packed else bytes(3 * MIB)
    headers = {"content-encoding": "gzip"} if packed else {}
    server = await serve(
        plain(200, headers, body)
        if sized
        else head(200, headers | {"transfer-encoding": "chunked"}) + chunk(body) + chunk(b"")
    )
    transport = open_transport(max_body_bytes=2 * MIB, max_stream_bytes=4 * MIB)
    assert await read_stream(transport, server) == 3 * MIB
    with pytest.raises(ResponseTooLargeError):
        await read_whole(transport, server)


async def test_a_compressed_stream_is_given_out_in_small_pieces(serve: Serve, transport: HTTPTransport) -> None:
    server = await serve(plain(200, {"content-encoding": "gzip"}, squeeze(30, 31)))
    reply = await transport.send(get(server))
    sizes: list[int] = []
    while data := await reply.read_some(None):
        sizes.append(len(data))
    assert (sum(sizes), max(sizes)) == (30 * MIB, MIB // 4)


async def test_others_get_their_turn_while_a_few_bytes_become_many(serve: Serve, transport: HTTPTransport) -> None:
    server = await serve(plain(200, {"content-encoding": "gzip"}, squeeze(30, 31)))
    reply = await transport.send(get(server))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    pieces = 0
    while await reply.read_some(None):
        pieces += 1
    other.cancel()
    assert turns >= pieces > 100


def zipped(data: bytes) -> bytes:
    """``data`` as gzip with no time in its header: two processes that name a test by it name the same."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", zipped(b"hello world")),
        ("x-gzip", zipped(b"hello world")),
        ("GZIP", zipped(b"hello ") + zipped(b"world")),
        ("deflate", zlib.compress(b"hello world")),
        ("deflate", zlib.compress(b"hello world")[2:-4]),
        ("identity", b"hello world"),
    ],
)
async def test_a_compressed_reply_that_was_not_asked_for_is_understood(
    serve: Serve, transport: HTTPTransport, coding: str, body: bytes
) -> None:
    server = await serve(plain(200, {"content-encoding": coding}, body))
    assert await (await transport.send(get(server))).read(None) == b"hello world"
    assert await (await transport.send(get(server))).read_some(None)
    assert server.connections_opened == 1


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", zipped(b"hello world")[:-3]),
        ("gzip", zipped(b"hello world") + b"rubbish"),
        ("gzip", b"no gzip"),
        ("deflate", zlib.compress(b"hello world")[:-5]),
        ("deflate", zlib.compress(b"hello world") + b"rubbish"),
        ("deflate", b"\xff\xff\xff"),
        ("gzip, gzip", zipped(zipped(b"hello"))),
        ("zstd", b"x"),
    ],
)
async def test_a_compressed_reply_that_cannot_be_read_is_malformed(
    serve: Serve, transport: HTTPTransport, coding: str, body: bytes
) -> None:
    server = await serve(plain(200, {"content-encoding": coding}, body))
    with pytest.raises(MalformedResponseError):
        await read_whole(transport, server)


@given(st.binary(max_size=500), st.lists(st.integers(1, 40)), st.sampled_from(["gzip", "zlib", "bare"]))
def test_any_split_of_compressed_bytes_gives_the_same(data: bytes, cuts: list[int], kind: str) -> None:
    packed = {"gzip": gzip.compress(data), "zlib": zlib.compress(data), "bare": zlib.compress(data)[2:-4]}[kind]
    inflater = Inflater("gzip" if kind == "gzip" else "deflate", 500)
    out = b""
    for cut in [*cuts, len(packed)]:
        out += b"".join(inflater.feed(packed[:cut]))
        packed = packed[cut:]
    inflater.end()
    assert out == data


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_garbage_gives_bytes_or_a_typed_error(data: bytes, coding: str) -> None:
    inflater = Inflater(coding, 100)
    try:
        assert len(b"".join(inflater.feed(data))) <= 100
        inflater.end()
    except LLMRingError:
        pass
