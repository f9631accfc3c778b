"""Each clock ends its wait, none costs a timer that is not needed, and a cancelled call leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llmring.exceptions import ProviderConnectionError
from llmring.testing import FakeClock
from llmring.testing.http_server import HTTPServer, Signal, chunk, head, plain
from llmring.transport.alarm import Alarm
from llmring.transport.base import HTTPReply, HTTPRequest
from llmring.transport.http import HTTPTransport

Serve = Callable[..., Awaitable[HTTPServer]]
Open = Callable[..., HTTPTransport]

CHUNKED = head(200, {"transfer-encoding": "chunked"})


def post(port: int, scheme: str = "http", host: str = "127.0.0.1") -> HTTPRequest:
    return HTTPRequest("POST", f"{scheme}://{host}:{port}/", {}, b"{}")


@pytest.mark.spec("A24")
async def test_the_connect_clock_covers_the_lookup_of_the_name(open_transport: Open, fake_clock: FakeClock) -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    transport = open_transport(resolve=never)
    task = asyncio.create_task(transport.send(post(443, "https", "api.example"), connect_s=5, until=1e9))
    await fake_clock.wait_timers(2)
    fake_clock.advance(4.9)
    await asyncio.sleep(0)
    assert not task.done()
    fake_clock.advance(0.2)
    with pytest.raises(ProviderConnectionError, match=r"api\.example:443 within 5 s.*Timeouts\.connect"):
        await task
    assert fake_clock.timers == 0


@pytest.mark.spec("A24")
async def test_the_connect_clock_covers_the_tls_handshake(transport: HTTPTransport, fake_clock: FakeClock) -> None:
    accepted = asyncio.Event()
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        writer.close()
        closed.set()

    server = await asyncio.start_server(silent, "127.0.0.1")
    port: int = server.sockets[0].getsockname()[1]
    task = asyncio.create_task(transport.send(post(port, "https"), connect_s=5))
    await accepted.wait()
    fake_clock.advance(5)
    with pytest.raises(ProviderConnectionError, match="within 5 s"):
        await task
    await closed.wait()
    server.close()


@pytest.mark.spec("A24")
async def test_the_connect_clock_stops_once_the_connection_stands(
    serve: Serve, transport: HTTPTransport, fake_clock: FakeClock
) -> None:
    server = await serve([Signal.HOLD, plain(200, {}, b"late")])
    task = asyncio.create_task(transport.send(post(server.port), connect_s=5, until=fake_clock.monotonic() + 600))
    await server.wait_until(lambda: server.held == 1)
    fake_clock.advance(599)
    server.release()
    reply = await task
    assert await reply.read(fake_clock.monotonic() + 1) == b"late"


@pytest.mark.spec("A24")
async def test_a_slow_head_ends_in_a_timeout_and_the_server_sees_the_cut(
    serve: Serve, transport: HTTPTransport, fake_clock: FakeClock
) -> None:
    server = await serve([Signal.HOLD])
    task = asyncio.create_task(transport.send(post(server.port), until=fake_clock.monotonic() + 60))
    await server.wait_until(lambda: server.held == 1)
    fake_clock.advance(60)
    with pytest.raises(TimeoutError):
        await task
    await server.wait_until(lambda: not server.connections)
    assert fake_clock.timers == 0


async def _read(reply: HTTPReply, until: float | None) -> bytes:
    return await reply.read(until)


async def _read_some(reply: HTTPReply, until: float | None) -> bytes:
    return await reply.read_some(until)


@pytest.mark.spec("A24")
@pytest.mark.parametrize("read", [_read, _read_some])
async def test_a_slow_body_ends_in_a_timeout_and_the_server_sees_the_cut(
    serve: Serve,
    transport: HTTPTransport,
    fake_clock: FakeClock,
    read: Callable[[HTTPReply, float | None], Awaitable[bytes]],
) -> None:
    server = await serve([CHUNKED, chunk(b"one"), Signal.HOLD])
    reply = await transport.send(post(server.port))
    assert await reply.read_some(None) == b"one"
    task = asyncio.ensure_future(read(reply, fake_clock.monotonic() + 30))
    await fake_clock.wait_timers()
    fake_clock.advance(30)
    with pytest.raises(TimeoutError):
        await task
    await server.wait_until(lambda: not server.connections)
    assert fake_clock.timers == 0


@pytest.mark.spec("A24")
async def test_a_dripping_stream_lives_as_long_as_its_limit_moves_on(
    serve: Serve, transport: HTTPTransport, fake_clock: FakeClock
) -> None:
    gates = [asyncio.Event() for _ in range(10)]
    drips = [action for gate in gates for action in (gate, chunk(b"x"))]
    server = await serve([CHUNKED, *drips, Signal.HOLD])
    reply = await transport.send(post(server.port), until=fake_clock.monotonic() + 60)
    for gate in gates:
        task = asyncio.create_task(reply.read_some(fake_clock.monotonic() + 30))
        await fake_clock.run_until_idle()
        fake_clock.advance(29)
        assert fake_clock.timers == 1
        gate.set()
        assert await task == b"x"
    task = asyncio.create_task(reply.read_some(fake_clock.monotonic() + 30))
    await fake_clock.run_until_idle()
    fake_clock.advance(29)
    await fake_clock.run_until_idle()
    assert not task.done()
    fake_clock.advance(1)
    with pytest.raises(TimeoutError):
        await task


async def test_reading_what_is_here_already_makes_no_timer(
    serve: Serve, transport: HTTPTransport, fake_clock: FakeClock
) -> None:
    server = await serve(CHUNKED + chunk(b"one") + chunk(b"two") + chunk(b""))
    reply = await transport.send(post(server.port))
    await server.wait_until(lambda: server.in_flight == 0)
    assert await reply.read_some(None)
    # Its time is long past, but nothing has to be waited for.
    while await reply.read_some(fake_clock.monotonic() - 1):
        pass
    assert fake_clock.timers == 0


async def test_a_finished_reply_leaves_no_timer(serve: Serve, transport: HTTPTransport, fake_clock: FakeClock) -> None:
    server = await serve(plain(200, {}, b"fine"))
    until = fake_clock.monotonic() + 60
    for _ in range(3):
        reply = await transport.send(post(server.port), connect_s=5, until=until)
        await reply.read(until)
        assert fake_clock.timers == 0
        reply.close()


@pytest.mark.spec("A19")
async def test_a_cancelled_send_cuts_the_connection(
    serve: Serve, transport: HTTPTransport, fake_clock: FakeClock
) -> None:
    server = await serve([Signal.HOLD])
    task = asyncio.create_task(transport.send(post(server.port), until=fake_clock.monotonic() + 60))
    await server.wait_until(lambda: server.held == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.wait_until(lambda: not server.connections)
    assert fake_clock.timers == 0


@pytest.mark.spec("A19")
async def test_a_cancelled_read_cuts_the_connection(
    serve: Serve, transport: HTTPTransport, fake_clock: FakeClock
) -> None:
    server = await serve([CHUNKED, Signal.HOLD])
    reply = await transport.send(post(server.port))
    task = asyncio.create_task(reply.read_some(fake_clock.monotonic() + 60))
    await fake_clock.wait_timers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.wait_until(lambda: not server.connections)
    assert fake_clock.timers == 0


@pytest.mark.parametrize("outside_first", [True, False])
async def test_a_cancellation_from_outside_wins_over_a_timeout_at_the_same_moment(
    fake_clock: FakeClock, outside_first: bool
) -> None:
    task = asyncio.create_task(Alarm(fake_clock).wait(asyncio.Event().wait(), fake_clock.monotonic() + 1))
    await fake_clock.wait_timers()
    if outside_first:
        task.cancel()
    fake_clock.advance(1)
    if not outside_first:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_timeout_leaves_the_task_uncancelled(fake_clock: FakeClock) -> None:
    async def call() -> int:
        with pytest.raises(TimeoutError):
            await Alarm(fake_clock).wait(asyncio.Event().wait(), fake_clock.monotonic() + 1)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    task = asyncio.create_task(call())
    await fake_clock.wait_timers()
    fake_clock.advance(1)
    assert await task == 0


async def test_of_two_alarms_at_once_the_outer_one_counts(fake_clock: FakeClock) -> None:
    inner_saw: list[str] = []

    async def inner() -> None:
        try:
            await Alarm(fake_clock).wait(asyncio.Event().wait(), fake_clock.monotonic() + 1)
        except BaseException as error:
            inner_saw.append(type(error).__name__)
            raise

    task = asyncio.create_task(Alarm(fake_clock).wait(inner(), fake_clock.monotonic() + 1))
    await fake_clock.wait_timers(2)
    fake_clock.advance(1)
    with pytest.raises(TimeoutError):
        await task
    assert inner_saw == ["CancelledError"]


async def test_an_earlier_limit_moves_the_timer_forward(fake_clock: FakeClock) -> None:
    alarm = Alarm(fake_clock)
    start = fake_clock.monotonic()
    await alarm.wait(asyncio.sleep(0), start + 60)
    task = asyncio.create_task(alarm.wait(asyncio.Event().wait(), start + 30))
    await fake_clock.run_until_idle()
    assert (fake_clock.timers, fake_clock.next_timer) == (1, start + 30)
    fake_clock.advance(30)
    with pytest.raises(TimeoutError):
        await task
