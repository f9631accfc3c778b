"""The guard that keeps tests on this machine. 203.0.113.0/24 and .invalid are reserved: nothing answers there."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import Callable

import aiohttp
import httpx
import openai
import pytest

from llmring.exceptions import ConfigurationError, LiveRequestError
from llmring.testing import FakeProvider, refuse_live_requests

ELSEWHERE = "203.0.113.7"


def with_socket(act: Callable[[socket.socket], object], kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(socket.AF_INET, kind) as sock:
        act(sock)


@pytest.mark.parametrize(
    ("act", "host"),
    [
        (lambda: with_socket(lambda s: s.connect((ELSEWHERE, 443))), ELSEWHERE),
        (lambda: with_socket(lambda s: s.connect_ex((ELSEWHERE, 443))), ELSEWHERE),
        (lambda: with_socket(lambda s: s.sendto(b"x", (ELSEWHERE, 53)), socket.SOCK_DGRAM), ELSEWHERE),
        (lambda: with_socket(lambda s: s.sendto(b"x", 0, (ELSEWHERE, 53)), socket.SOCK_DGRAM), ELSEWHERE),
        (lambda: with_socket(lambda s: s.connect(("api.example.invalid", 443))), "api.example.invalid"),
        (lambda: socket.create_connection(("api.example.invalid", 443)), "api.example.invalid"),
        (lambda: socket.create_connection((ELSEWHERE, 443)), ELSEWHERE),
        (lambda: socket.getaddrinfo(b"api.example.invalid", 443), "api.example.invalid"),
        (lambda: httpx.get("https://api.example.invalid/v1"), "api.example.invalid"),
    ],
)
def test_leaving_this_machine_raises_and_names_the_host(act: Callable[[], object], host: str) -> None:
    with pytest.raises(LiveRequestError, match=host) as caught:
        act()
    assert caught.value.host == host
    assert isinstance(caught.value, ConfigurationError)
    assert "fake_provider" in str(caught.value)


def test_ipv6_and_mapped_addresses_are_judged_too() -> None:
    for host in ("2001:db8::1", f"::ffff:{ELSEWHERE}"):
        with pytest.raises(LiveRequestError, match=host), socket.socket(socket.AF_INET6) as sock:
            sock.connect((host, 443))
    with socket.socket(socket.AF_INET6) as sock:
        sock.connect_ex(("::ffff:127.0.0.1", 9))  # whether anybody listens there is all one


@pytest.mark.parametrize("host", [ELSEWHERE, "api.example.invalid"])
async def test_asyncio_and_aiohttp_are_caught(host: str) -> None:
    with pytest.raises(LiveRequestError, match=host):
        await asyncio.open_connection(host, 443)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(LiveRequestError, match=host):
            await session.get(f"http://{host}/v1")


async def test_the_sdks_error_shows_the_guards_one_in_its_traceback() -> None:
    async with openai.AsyncOpenAI(api_key="sk-test", base_url=f"http://{ELSEWHERE}/v1", max_retries=0) as client:
        # What the SDK makes of it is the SDK's affair; the reader of the failed test must find the host.
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await client.models.list()
    assert f"a test tried to reach {ELSEWHERE!r}" in "".join(traceback.format_exception(caught.value))


async def test_this_machine_stays_reachable(fake_provider: FakeProvider) -> None:
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        _, writer = await asyncio.open_connection(host, fake_provider.port)
        writer.close()
        await writer.wait_closed()
    near, far = socket.socketpair()
    near.close()
    far.close()
    assert socket.getaddrinfo(None, 80)
    assert socket.getaddrinfo(ELSEWHERE, 80)  # an address looked up is not yet one called


def test_it_gives_back_what_it_found() -> None:
    before = (socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo)
    with refuse_live_requests():
        assert socket.socket.connect is not before[0]
    after = (socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo)
    assert after == before
