"""Proxies and certificates by the usual variables."""

from __future__ import annotations

import asyncio
import base64
import gc
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import trustme

from llmring.exceptions import ConfigurationError, LLMRingError, ProviderUnreachableError
from llmring.testing.http_server import Action, HTTPServer, Request, Signal, plain
from llmring.transport.base import HTTPRequest
from llmring.transport.guard import Guard
from llmring.transport.http import HTTPTransport
from llmring.transport.http.pool import ConnectionProtocol
from llmring.transport.proxy import Proxies

Serve = Callable[..., Awaitable[HTTPServer]]
Open = Callable[..., HTTPTransport]

OK = plain(200, {}, b"fine")
PROXY = "http://proxy.example:3128"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """For a server that shows a certificate for `api.example`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate: Any = authority.issue_cert("api.example")  # trustme types its argument with a package that is not here
    certificate.configure_cert(context)
    return context


async def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


class Tunnel:
    """A proxy that does CONNECT: keeps the heads of the requests, and passes everything on to `target`."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.end_of_head = b"\r\n\r\n"
        self.answer = b"HTTP/1.1 200 Connection established\r\n\r\n"
        self.target = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(self.end_of_head)).decode())
        writer.write(self.answer)
        if b" 200 " in self.answer:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self._pass_on(reader, up_writer), self._pass_on(up_reader, writer))
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def tunnel() -> AsyncIterator[Tunnel]:
    tunnel = Tunnel()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(tunnel.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1")
    tunnel.port = server.sockets[0].getsockname()[1]
    yield tunnel
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def get(url: str) -> HTTPRequest:
    return HTTPRequest("GET", url, {})


async def fail(transport: HTTPTransport, url: str) -> LLMRingError:
    with pytest.raises(LLMRingError) as caught:
        await transport.send(get(url))
    return caught.value


@pytest.mark.spec("U33")
async def test_http_goes_through_http_proxy_with_its_credentials(serve: Serve, open_transport: Open) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Iterable[Action]:
        seen.append(request)
        return [OK]

    proxy = await serve(answer)
    transport = open_transport(environ={"HTTP_PROXY": f"http://me:p%40ss@127.0.0.1:{proxy.port}"})
    for _ in range(2):
        reply = await transport.send(get("http://api.example/v1?x=1"))
        assert await reply.read(None) == b"fine"
    assert [request.target for request in seen] == ["http://api.example/v1?x=1"] * 2
    credentials = base64.b64encode(b"me:p@ss").decode()
    assert {request.headers["proxy-authorization"] for request in seen} == {f"Basic {credentials}"}
    assert {request.headers["host"] for request in seen} == {"api.example"}
    assert proxy.connections_opened == 1


@pytest.mark.spec("U33")
async def test_https_goes_through_a_tunnel_and_keys_stay_inside_it(
    serve: Serve, open_transport: Open, tunnel: Tunnel, tls: ssl.SSLContext, bundle: str
) -> None:
    server = await serve(OK, ssl=tls)
    tunnel.target = server.port
    environ = {"https_proxy": f"http://me:secret@127.0.0.1:{tunnel.port}", "SSL_CERT_FILE": bundle}
    transport = open_transport(environ=environ)
    for _ in range(2):
        reply = await transport.send(HTTPRequest("GET", "https://api.example/v1", {"Authorization": "Bearer key"}))
        assert await reply.read(None) == b"fine"
    (head,) = tunnel.heads
    assert head.startswith("CONNECT api.example:443 HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:secret').decode()}\r\n" in head
    assert "Bearer" not in head


async def test_a_tunnel_that_has_ended_leaves_nothing_behind(
    serve: Serve, open_transport: Open, tunnel: Tunnel, tls: ssl.SSLContext, bundle: str
) -> None:
    server = await serve([plain(200, {"connection": "close"}, b"fine"), Signal.FIN], ssl=tls)
    tunnel.target = server.port
    transport = open_transport(environ={"HTTPS_PROXY": f"http://127.0.0.1:{tunnel.port}", "SSL_CERT_FILE": bundle})

    async def count_after_a_call() -> int:
        reply = await transport.send(get("https://api.example/v1"))
        assert await reply.read(None) == b"fine"
        for _ in range(20):
            await asyncio.sleep(0)
        gc.collect()
        return sum(type(found) is ConnectionProtocol for found in cast("list[object]", gc.get_objects()))

    first = await count_after_a_call()
    assert max([await count_after_a_call() for _ in range(4)]) < first + 4


async def test_a_reply_that_was_dropped_unclosed_is_told_of_without_the_login(
    serve: Serve, open_transport: Open
) -> None:
    end = asyncio.Event()
    proxy = await serve([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", end, Signal.FIN])
    transport = open_transport(environ={"HTTP_PROXY": f"http://me:secret@127.0.0.1:{proxy.port}"})
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    async def drop() -> None:
        await transport.send(get("http://api.example/v1"))
        end.set()
        while not told:
            await asyncio.sleep(0)

    with pytest.warns(ResourceWarning, match=r"api\.example") as warned:
        await drop()
    assert not [text for text in map(str, (*warned, *told)) if "secret" in text]


@pytest.mark.spec("U33")
async def test_a_proxy_that_refuses_is_named_without_its_credentials(open_transport: Open, tunnel: Tunnel) -> None:
    tunnel.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    transport = open_transport(environ={"ALL_PROXY": f"http://me:secret@127.0.0.1:{tunnel.port}"})
    error = await fail(transport, "https://api.example/v1")
    assert type(error) is ProviderUnreachableError
    assert "the proxy refuses a connection to api.example:443: HTTP 407" in str(error)
    assert "secret" not in repr(error)


@pytest.mark.spec("U33")
async def test_a_proxy_that_is_not_there_is_named_as_the_cause(serve: Serve, open_transport: Open) -> None:
    server = await serve(OK)
    await server.close()
    transport = open_transport(environ={"HTTPS_PROXY": f"http://me:secret@127.0.0.1:{server.port}"})
    error = await fail(transport, "https://api.example/v1")
    assert type(error) is ProviderUnreachableError
    assert "no connection to the proxy for api.example:443: Connection refused" in str(error)
    assert "NO_PROXY" in str(error)
    assert "secret" not in repr(error)


@pytest.mark.spec("U33")
async def test_no_proxy_and_trust_env_off_go_straight(serve: Serve, open_transport: Open) -> None:
    server, proxy = await serve(OK), await serve(OK)
    environ = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "NO_PROXY": "127.0.0.1"}
    url = f"http://127.0.0.1:{server.port}/"
    for transport in (
        open_transport(environ=environ),
        open_transport(environ=environ | {"NO_PROXY": ""}, trust_env=False),
    ):
        await (await transport.send(get(url))).read(None)
    assert (server.connections_opened, proxy.connections_opened) == (2, 0)


async def test_a_guarded_transport_uses_no_proxy(serve: Serve, open_transport: Open) -> None:
    server, proxy = await serve(OK), await serve(OK)
    guard = Guard(allow_private=True, allow_http=True)
    transport = open_transport(environ={"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}, guard=guard)
    await (await transport.send(get(f"http://127.0.0.1:{server.port}/"))).read(None)
    assert (server.connections_opened, proxy.connections_opened) == (1, 0)


@pytest.mark.spec("U33")
@pytest.mark.parametrize(
    ("environ", "url", "proxied"),
    [
        ({}, "https://a.example", False),
        ({"HTTPS_PROXY": PROXY}, "https://a.example", True),
        ({"HTTPS_PROXY": PROXY}, "http://a.example", False),
        ({"HTTP_PROXY": PROXY}, "http://a.example", True),
        ({"http_proxy": PROXY}, "http://a.example", True),
        ({"ALL_PROXY": PROXY}, "http://a.example", True),
        ({"all_proxy": PROXY}, "https://a.example", True),
        ({"HTTPS_PROXY": " "}, "https://a.example", False),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "https://a.example", True),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": PROXY}, "https://a.example", True),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://a.example", False),
        ({"HTTP_PROXY": PROXY}, "http://localhost:11434", True),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "localhost,127.0.0.1"}, "http://localhost:11434", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, "https://a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example"}, "https://a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example"}, "https://A.Example.", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example"}, "https://b.a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": ".example"}, "https://b.a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*.a.example"}, "https://b.a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example"}, "https://ba.example", True),
        ({"ALL_PROXY": PROXY, "no_proxy": "x.example, a.example"}, "https://a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "x.example a.example"}, "https://a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example:8443"}, "https://a.example:8443", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example:8443"}, "https://a.example", True),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example:443"}, "https://a.example", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, "https://11.1.2.3", True),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, "https://a.example", True),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "fd00::/8,[::1]"}, "https://[fd00::1]", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "fd00::/8,[::1]"}, "https://[::1]", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "[::1]:8080"}, "https://[::1]:8080", False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "[::1]:8080"}, "https://[::1]", True),
        ({"ALL_PROXY": PROXY, "NO_PROXY": ",,"}, "https://a.example", True),
    ],
)
def test_the_variables_say_which_proxy(environ: dict[str, str], url: str, proxied: bool) -> None:
    parts = urlsplit(url)
    proxy = Proxies(environ).find(parts.scheme, parts.hostname or "", parts.port)
    assert proxy == (PROXY if proxied else None)


@pytest.mark.spec("U33")
@pytest.mark.parametrize(
    "proxy", ["socks5://me:secret@localhost", "http://", "http://me:secret@host:99999", "http://[x"]
)
async def test_a_proxy_that_cannot_be_used_is_an_error_that_names_the_variable(
    open_transport: Open, proxy: str
) -> None:
    error = await fail(open_transport(environ={"HTTPS_PROXY": proxy}), "https://api.example/")
    assert type(error) is ConfigurationError
    assert error.message.startswith("HTTPS_PROXY ")
    assert "secret" not in repr(error)


@pytest.mark.spec("U33")
async def test_ssl_cert_file_names_whom_to_trust(
    serve: Serve, open_transport: Open, tls: ssl.SSLContext, bundle: str
) -> None:
    server = await serve(OK, ssl=tls)
    transport = open_transport(environ={"SSL_CERT_FILE": bundle}, resolve=to_loopback)
    reply = await transport.send(get(f"https://api.example:{server.port}/"))
    assert await reply.read(None) == b"fine"


@pytest.mark.spec("U33")
@pytest.mark.parametrize("trust_env", [True, False])
async def test_without_it_a_private_authority_is_refused(
    serve: Serve, open_transport: Open, tls: ssl.SSLContext, bundle: str, trust_env: bool
) -> None:
    server = await serve(OK, ssl=tls)
    environ = {} if trust_env else {"SSL_CERT_FILE": bundle}
    transport = open_transport(environ=environ, resolve=to_loopback, trust_env=trust_env)
    error = await fail(transport, f"https://api.example:{server.port}/")
    assert type(error) is ProviderUnreachableError
    assert f"the certificate of api.example:{server.port} is refused: unable to get local issuer" in str(error)
    assert "SSL_CERT_FILE" in str(error)


async def test_a_certificate_for_another_name_is_refused(
    serve: Serve, open_transport: Open, tls: ssl.SSLContext, bundle: str
) -> None:
    server = await serve(OK, ssl=tls)
    transport = open_transport(environ={"SSL_CERT_FILE": bundle}, resolve=to_loopback)
    error = await fail(transport, f"https://other.example:{server.port}/")
    assert type(error) is ProviderUnreachableError
    assert "Hostname mismatch" in str(error)


async def test_tls_with_a_server_that_speaks_none_is_a_typed_error(open_transport: Open, tunnel: Tunnel) -> None:
    tunnel.end_of_head = b"\x16"  # what TLS begins with
    tunnel.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    error = await fail(open_transport(), f"https://127.0.0.1:{tunnel.port}/")
    assert type(error) is ProviderUnreachableError
    assert f"TLS with 127.0.0.1:{tunnel.port} failed: WRONG_VERSION_NUMBER" in str(error)


@pytest.mark.spec("U33")
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_certificates_that_are_not_there_are_an_error_for_https_alone(
    serve: Serve, open_transport: Open, tmp_path: Path, name: str
) -> None:
    server = await serve(OK)
    transport = open_transport(environ={name: str(tmp_path / "nothing")})
    assert await (await transport.send(get(f"http://127.0.0.1:{server.port}/"))).read(None) == b"fine"
    error = await fail(transport, "https://api.example/")
    assert type(error) is ConfigurationError
    assert name in str(error)


@pytest.mark.spec("U33")
async def test_a_bundle_that_is_no_pem_file_is_an_error(open_transport: Open, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    error = await fail(open_transport(environ={"SSL_CERT_FILE": str(path)}), "https://api.example/")
    assert type(error) is ConfigurationError
    assert "SSL_CERT_FILE" in str(error)
