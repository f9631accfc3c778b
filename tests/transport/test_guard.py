"""The SSRF guard: whatever way an inside address is written, resolved or redirected to, nothing connects to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import (
    ConfigurationError,
    LiveRequestError,
    LLMRingError,
    ProviderResponseError,
    ResponseTooLargeError,
    UnsafeURLError,
)
from llmring.testing import FakeClock
from llmring.testing.http_server import Action, HTTPServer, Request, Signal, chunk, head, plain
from llmring.transport.base import HTTPRequest
from llmring.transport.guard import Guard, check_url, fetch
from llmring.transport.http import HTTPTransport

Serve = Callable[..., Awaitable[HTTPServer]]
Open = Callable[..., HTTPTransport]

OK = plain(200, {"content-type": "image/png"}, b"fine")
LOCAL = Guard(allow_private=True, allow_http=True)

# {port} is where a listener waits on every address of this machine.
INSIDE = [
    # this machine, IPv4
    "https://127.0.0.1:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://127.255.255.254:{port}/",
    "https://2130706433:{port}/",
    "https://017700000001:{port}/",
    "https://0x7f000001:{port}/",
    "https://0X7F000001:{port}/",
    "https://0x7f.0.0.1:{port}/",
    "https://0x7f.0x0.0x0.0x1:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://0177.0000.0000.0001:{port}/",
    "https://127.0.0.01:{port}/",
    "https://00127.0.0.1:{port}/",
    "https://127.0.0x0.1:{port}/",
    "https://4294967297:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0:{port}/",
    "https://0x0:{port}/",
    "https://%31%32%37.0.0.1:{port}/",
    "https://127%2e0%2e0%2e1:{port}/",
    # other alphabets' digits and dots
    "https://１２７.0.0.1:{port}/",
    "https://１２７．０．０．１:{port}/",
    "https://127。0。0。1:{port}/",
    "https://127｡0｡0｡1:{port}/",
    "https://①②⑦.⓪.⓪.①:{port}/",
    "https://१२७.०.०.१:{port}/",
    "https://𝟏𝟐𝟕.𝟎.𝟎.𝟏:{port}/",
    # this machine, by name
    "https://localhost:{port}/",
    "https://LOCALHOST:{port}/",
    "https://localhost.:{port}/",
    "https://anything.localhost:{port}/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "https://ｌｏｃａｌｈｏｓｔ:{port}/",
    # this machine, IPv6
    "https://[::1]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/",
    "https://[::]:{port}/",
    "https://[::127.0.0.1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "https://[::ffff:0:127.0.0.1]:{port}/",
    "https://[64:ff9b::127.0.0.1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[64:ff9b:1::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[2001:0:7f00:1::]:{port}/",
    "https://[fe80::1]:{port}/",
    "https://[fe80::1%25eth0]:{port}/",
    "https://[fe80::1%eth0]:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://[fec0::1]:{port}/",
    "https://[fc00::1]:{port}/",
    "https://[fd12:3456:789a::1]:{port}/",
    "https://[fd00:ec2::254]:{port}/",
    "https://[ff02::1]:{port}/",
    "https://[2001:db8::1]:{port}/",
    "https://[3fff::1]:{port}/",
    "https://[100::1]:{port}/",
    "https://[5f00::1]:{port}/",
    # networks behind the door
    "https://10.0.0.1:{port}/",
    "https://172.16.0.1:{port}/",
    "https://172.31.255.255:{port}/",
    "https://192.168.0.1:{port}/",
    "https://100.64.0.1:{port}/",
    "https://169.254.169.254:{port}/latest/meta-data/",
    "https://2852039166:{port}/",
    "https://192.0.0.192:{port}/",
    "https://192.0.2.1:{port}/",
    "https://192.88.99.1:{port}/",
    "https://198.18.0.1:{port}/",
    "https://198.51.100.1:{port}/",
    "https://203.0.113.1:{port}/",
    "https://224.0.0.1:{port}/",
    "https://240.0.0.1:{port}/",
    "https://255.255.255.255:{port}/",
    # what clients read in two ways
    "https://example.com@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@example.com/",
    "https://:@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@example.com/",
    "https://example.com\\@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@example.com/",
    "https://127.0.0.1:{port}?@example.com/",
    "https://127.0.0.1\t:{port}/",
    "https://127.0.0.1\n:{port}/",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1 :{port}/",
    "https:127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    # schemes
    "http://127.0.0.1:{port}/",
    "http://example.com/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "unix:///var/run/docker.sock",
    "data:text/plain,x",
    "javascript:alert(1)",
    "",
    # not well-formed
    "https://",
    "https://:{port}/",
    "https://.:{port}/",
    "https://a..b:{port}/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com:port/",
    "https://[::1:{port}/",
    "https://[127.0.0.1]:{port}/",
    "https://[v1.127.0.0.1]:{port}/",
]

PUBLIC = [
    "https://example.com/image.png?x=1#top",
    "https://example.com:8443/",
    "https://EXAMPLE.com./",
    "https://bücher.example/",
    "https://xn--bcher-kva.example/",
    "https://1password.example/",
    "https://8.8.8.8/",
    "https://172.32.0.1/",
    "https://100.128.0.1/",
    "https://[2606:4700:4700::1111]/",
    "https://[2001:4860:4860::8888]:443/",
]


@pytest.fixture
async def listener() -> AsyncIterator[tuple[int, list[str]]]:
    """A port on every address of this machine, and who has connected to it."""
    connected: list[str] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(str(writer.get_extra_info("peername")))
        writer.close()

    first = await asyncio.start_server(accept, "0.0.0.0")
    port: int = first.sockets[0].getsockname()[1]
    servers = [first]
    try:
        servers.append(await asyncio.start_server(accept, "::1", port))
    except OSError:
        pass  # a machine without IPv6
    yield port, connected
    for server in servers:
        server.close()


def resolver(*answers: list[str]) -> tuple[list[str], Callable[[str, int], Awaitable[list[str]]]]:
    """Gives one answer after the other; also the names that were asked for."""
    asked: list[str] = []
    left: Iterator[list[str]] = iter(answers)

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(left)

    return asked, resolve


def get(url: str) -> HTTPRequest:
    return HTTPRequest("GET", url, {})


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("url", INSIDE)
async def test_no_spelling_of_an_inside_address_is_connected_to(
    open_transport: Open, listener: tuple[int, list[str]], url: str
) -> None:
    port, connected = listener
    transport = open_transport(guard=Guard())
    target = url.replace("{port}", str(port))
    with pytest.raises(UnsafeURLError):
        await transport.send(get(target))
    with pytest.raises(UnsafeURLError):
        await fetch(transport, target, max_bytes=100)
    with pytest.raises(UnsafeURLError):
        check_url(target)
    assert connected == []


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("url", [url for url in INSIDE if url.startswith("https://")])
async def test_aiohttp_itself_connects_nowhere_inside_should_the_look_at_the_url_miss_something(
    open_transport: Open, listener: tuple[int, list[str]], url: str
) -> None:
    class NearSighted(Guard):
        def check_url(self, url: str) -> None:
            pass

    port, connected = listener
    transport = open_transport(guard=NearSighted())
    with pytest.raises((LLMRingError, TimeoutError)):
        await transport.send(get(url.replace("{port}", str(port))))
    assert connected == []


@pytest.mark.parametrize("url", PUBLIC)
def test_public_https_urls_pass(url: str) -> None:
    check_url(url)


@pytest.mark.spec("RT17")
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%lo"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["localhost"],
        [""],
    ],
)
async def test_a_name_with_one_inside_address_is_not_connected_to(
    open_transport: Open, listener: tuple[int, list[str]], addresses: list[str]
) -> None:
    port, connected = listener
    asked, resolve = resolver(addresses)
    transport = open_transport(guard=Guard(), resolve=resolve)
    with pytest.raises(UnsafeURLError, match=r"a\.example resolves to"):
        await transport.send(get(f"https://a.example:{port}/"))
    assert asked == ["a.example"]
    assert connected == []


@pytest.mark.spec("RT17")
async def test_a_name_that_turns_inside_after_it_was_checked_is_not_connected_to(
    open_transport: Open, listener: tuple[int, list[str]]
) -> None:
    port, connected = listener
    asked, resolve = resolver(["93.184.216.34"], ["127.0.0.1"])
    transport = open_transport(guard=Guard(), resolve=resolve)
    url = f"https://a.example:{port}/"
    # The address that was checked is the address that is connected to (and stopped by the test suite's own fence).
    with pytest.raises(LiveRequestError) as caught:
        await transport.send(get(url))
    assert caught.value.host == "93.184.216.34"
    with pytest.raises(UnsafeURLError):
        await transport.send(get(url))
    assert asked == ["a.example", "a.example"]
    assert connected == []


@given(st.ip_addresses())
def test_an_address_passes_in_a_url_just_where_it_passes_in_a_lookup(address: object) -> None:
    guard = Guard()
    host = f"[{address}]" if ":" in str(address) else str(address)

    def passes(check: Callable[[], None]) -> bool:
        try:
            check()
        except UnsafeURLError:
            return False
        return True

    assert passes(lambda: guard.check_url(f"https://{host}/")) == passes(
        lambda: guard.check_address("a.example", str(address))
    )


@given(st.text())
def test_any_text_passes_or_is_unsafe(text: str) -> None:
    try:
        check_url(text)
    except UnsafeURLError:
        pass


@pytest.mark.parametrize(
    ("url", "private", "http"),
    [
        ("https://10.0.0.1/", True, False),
        ("https://localhost/", True, False),
        ("https://[fd00::1]/", True, False),
        ("http://localhost:8000/", True, True),
        ("http://127.0.0.1:8000/", True, True),
        ("http://[::1]:8000/", True, True),
    ],
)
def test_private_addresses_and_http_open_only_where_allowed(url: str, private: bool, http: bool) -> None:
    check_url(url, allow_private=private, allow_http=http)
    with pytest.raises(UnsafeURLError):
        check_url(url, allow_private=False, allow_http=http)
    if http:
        with pytest.raises(UnsafeURLError):
            check_url(url, allow_private=private)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://example.com/",
        "https://169.254.169.254/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://224.0.0.1/",
        "https://0x7f000001/",
    ],
)
def test_what_no_option_opens(url: str) -> None:
    with pytest.raises(UnsafeURLError):
        check_url(url, allow_private=True, allow_http=True)


def test_the_error_names_the_url_without_its_secrets() -> None:
    with pytest.raises(UnsafeURLError) as caught:
        check_url("https://user:secret@127.0.0.1/path?key=secret")
    assert "127.0.0.1/path" in str(caught.value)
    assert "secret" not in repr(caught.value)


async def test_fetch_brings_a_body_and_sends_no_credentials(serve: Serve, open_transport: Open) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Iterable[Action]:
        seen.append(request)
        return [OK]

    server = await serve(answer)
    found = await fetch(open_transport(guard=LOCAL), f"http://127.0.0.1:{server.port}/a.png?x=1", max_bytes=4)
    assert (found.status, found.headers["content-type"], found.body) == (200, "image/png", b"fine")
    (request,) = seen
    assert (request.method, request.target) == ("GET", "/a.png?x=1")
    assert request.headers["accept-encoding"] == "identity"
    assert set(request.headers) <= {"host", "accept", "accept-encoding", "user-agent"}


async def test_fetch_follows_three_redirects_and_no_more(serve: Serve, open_transport: Open) -> None:
    def answer(request: Request) -> Iterable[Action]:
        left = int(request.target[1:])
        return [plain(302, {"location": f"/{left - 1}"}, b"")] if left else [OK]

    server = await serve(answer)
    transport = open_transport(guard=LOCAL)
    url = f"http://127.0.0.1:{server.port}"
    assert (await fetch(transport, f"{url}/3", max_bytes=100)).body == b"fine"
    with pytest.raises(UnsafeURLError, match="more than 3 redirects"):
        await fetch(transport, f"{url}/4", max_bytes=100)
    with pytest.raises(UnsafeURLError, match="more than 0 redirects"):
        await fetch(transport, f"{url}/1", max_bytes=100, redirects=0)


@pytest.mark.spec("RT17")
@pytest.mark.parametrize(
    "location",
    [
        "https://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "//0.0.0.0:{port}/",
        "http://2130706433:{port}/",
        "http://user@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "http://[::ffff:127.0.0.1]:{port}/",
        "https://[",
    ],
)
async def test_fetch_checks_where_a_redirect_leads(
    serve: Serve, open_transport: Open, listener: tuple[int, list[str]], location: str
) -> None:
    port, connected = listener
    server = await serve(plain(302, {"location": location.replace("{port}", str(port))}, b""))
    with pytest.raises(UnsafeURLError):
        await fetch(open_transport(guard=LOCAL), f"http://127.0.0.1:{server.port}/", max_bytes=100)
    assert connected == []


async def test_fetch_refuses_a_redirect_to_nowhere(serve: Serve, open_transport: Open) -> None:
    server = await serve(plain(302, {}, b""))
    with pytest.raises(ProviderResponseError, match="redirects to nowhere"):
        await fetch(open_transport(guard=LOCAL), f"http://127.0.0.1:{server.port}/", max_bytes=100)


@pytest.mark.parametrize(
    "actions",
    [
        [plain(200, {}, b"12345")],
        [head(200, {"content-length": "5"}), Signal.HOLD],
        [head(200, {"transfer-encoding": "chunked"}), chunk(b"123"), chunk(b"45"), Signal.HOLD],
    ],
)
async def test_fetch_stops_at_its_own_cap(serve: Serve, open_transport: Open, actions: list[Action]) -> None:
    server = await serve(actions)
    transport = open_transport(guard=LOCAL)
    with pytest.raises(ResponseTooLargeError, match="larger than 4 bytes"):
        await fetch(transport, f"http://127.0.0.1:{server.port}/", max_bytes=4)
    await transport.close()
    await server.wait_until(lambda: not server.connections)


async def test_fetch_gives_up_in_time(serve: Serve, open_transport: Open, fake_clock: FakeClock) -> None:
    server = await serve([Signal.HOLD])
    url = f"http://127.0.0.1:{server.port}/"
    task = asyncio.create_task(fetch(open_transport(guard=LOCAL), url, max_bytes=4, until=fake_clock.monotonic() + 10))
    await server.wait_until(lambda: server.held == 1)
    fake_clock.advance(10)
    with pytest.raises(TimeoutError):
        await task


async def test_fetch_needs_a_guard(transport: HTTPTransport) -> None:
    with pytest.raises(ConfigurationError, match="needs a transport with a guard"):
        await fetch(transport, "https://example.com/", max_bytes=100)
