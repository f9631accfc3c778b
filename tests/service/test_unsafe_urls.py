"""RT17 by every way in: whatever way an inside address is written, resolved or redirected to, nothing connects to it.

The spellings and the listener are those of the guard's own tests.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from tests.transport.test_guard import INSIDE, listener

from llmring import File, Image, LLMRequest, LLMRing, Message
from llmring.clock import SystemClock
from llmring.exceptions import ConfigurationError, ProviderError, UnsafeURLError
from llmring.registry.sources.package_index import PackageIndex
from llmring.testing.http_server import Action, HTTPServer, Request, plain
from llmring.transport.guard import Guard, fetch
from llmring.transport.http import HTTPTransport

__all__ = ["listener"]  # the fixture

Listener = tuple[int, list[str]]
Record = Callable[[str, object], None]

OLLAMA = {
    "base_url": "http://127.0.0.1:9",
    "dialect": "ollama_chat",
    "auth": "none",
}  # takes no URLs: they are fetched here
MANIFEST = "[providers.mine]\nbase_url = '{url}'\n"

# Names as they resolve: to inside addresses at once, beside public ones, and at the second look.
NAMES: Mapping[str, Sequence[Sequence[str]]] = {
    "a.example": [["127.0.0.1"]],
    "b.example": [["::1"]],
    "127.0.0.1.nip.example": [["127.0.0.1"]],
    "7f000001.nip.example": [["127.0.0.1"]],
    "metadata.example": [["169.254.169.254"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "translated.example": [["64:ff9b::7f00:1"]],
    "six-to-four.example": [["2002:7f00:1::"]],
    "zone.example": [["fe80::1%lo"]],
    "zero.example": [["0.0.0.0"]],
    "shared.example": [["100.64.0.1"]],
    "ula.example": [["fd00:ec2::254"]],
    "mixed.example": [["93.184.216.34", "127.0.0.1"]],
    "mixed6.example": [["2606:4700:4700::1111", "::1"]],
    "wörd.example": [["127.0.0.1"]],
    "xn--wrd-sna.example": [["10.0.0.1"]],
    "ends.with.a.dot.example.": [["127.0.0.1"]],
    "localtest.me.example": [["192.168.1.1"]],
    "words.example": [["localhost"]],
    "octal.example": [["0177.0.0.1"]],
}


def image(url: str) -> list[Message]:
    return [Message(role="user", content=[Image(url)])]


def document(url: str) -> list[Message]:
    return [Message(role="user", content=[File(url, media_type="application/pdf")])]


async def ask(ring: LLMRing, model: str, messages: list[Message]) -> None:
    await ring.chat(LLMRequest(model=model, messages=messages))


async def by_image(url: str, transport: HTTPTransport | None) -> None:
    async with LLMRing(providers={"mine": OLLAMA}, transport=transport, dotenv=False) as ring:
        await ask(ring, "mine:m", image(url))


async def by_document(url: str, transport: HTTPTransport | None) -> None:
    async with LLMRing(providers={"mine": OLLAMA}, transport=transport, dotenv=False) as ring:
        await ask(ring, "mine:m", document(url))


async def by_registry(url: str, transport: HTTPTransport | None) -> None:
    async with LLMRing(registry_url=url, transport=transport, dotenv=False) as ring:
        await ring.refresh_registry()


async def by_manifest(url: str, transport: HTTPTransport | None) -> None:
    Path("llmring.toml").write_text(MANIFEST.format(url=url))
    async with LLMRing(transport=transport, dotenv=False) as ring:
        await ring.chat("mine:m", "Hi")


class OneDoor(Guard):
    """Lets one address of this machine through, to stand for a public server."""

    door = ""

    def check_url(self, url: str) -> None:
        if url != self.door:
            super().check_url(url)

    def check_address(self, host: str, address: str) -> None:
        pass  # what the look at the URL lets pass is connected to


async def through(
    door: Callable[[Request], Iterable[Action]], go: Callable[[HTTPTransport, str], Awaitable[object]]
) -> None:
    server = HTTPServer(door)
    await server.start()
    guard = OneDoor()
    url = f"http://127.0.0.1:{server.port}/simple/one/"
    object.__setattr__(guard, "door", url)
    transport = HTTPTransport(clock=SystemClock(), guard=guard)
    try:
        await go(transport, url)
    finally:
        await transport.close()
        await server.close()


async def by_package_index(url: str, transport: HTTPTransport | None) -> None:
    """The address of a file, as a page of an index has it."""
    page = plain(
        200,
        {"content-type": "text/html"},
        f'<a href="{url}#sha256={"0" * 64}">one-1.0.whl</a>'.encode(errors="replace"),
    )

    async def go(transport: HTTPTransport, door: str) -> None:
        index = PackageIndex(transport, door.removesuffix("one/"))
        await index.fetch_newest("one", re.compile(r"one-([\d.]+)\.whl"), 1000)

    await through(lambda request: [page], go)


async def by_redirect(url: str, transport: HTTPTransport | None) -> None:
    location = "".join(char for char in url if char not in "\n\r").encode().decode("latin-1")
    reply = b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: " + location.encode("latin-1") + b"\r\n\r\n"
    await through(lambda request: [reply], lambda transport, door: fetch(transport, door, max_bytes=100))


WAYS: Mapping[str, Callable[[str, HTTPTransport | None], Awaitable[None]]] = {
    "image": by_image,
    "document": by_document,
    "registry_url": by_registry,
    "manifest": by_manifest,
    "package index": by_package_index,
    "redirect": by_redirect,
}
# There these name a file, or a path of the server that sends them: nothing inside is meant.
HARMLESS: Mapping[str, Callable[[str], bool]] = {
    "registry_url": lambda url: "://" not in url,
    "package index": lambda url: "//" not in url.partition(":")[2] and not url.startswith("//"),
    "redirect": lambda url: not url or ("//" not in url.partition(":")[2] and not url.startswith("//")),
}


def is_harmless(way: str, url: str) -> bool:
    return way in HARMLESS and HARMLESS[way](url)


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("way", WAYS)
async def test_no_way_in_leads_to_an_inside_address(
    way: str, listener: Listener, scale: float, record_property: Record
) -> None:
    port, connected = listener
    refused = 0
    passed: dict[str, object] = {}
    for spelling in INSIDE:
        try:
            await WAYS[way](spelling.replace("{port}", str(port)), None)
        except ConfigurationError:
            refused += 1
        except ProviderError as error:
            passed[spelling] = error
        else:
            passed[spelling] = None
        assert connected == [], spelling
    assert {url: what for url, what in passed.items() if not is_harmless(way, url)} == {}
    record_property("spellings", f"{len(INSIDE)}, refused {refused}, TCP connections {len(connected)}")


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("way", ["image", "document", "registry_url", "manifest"])
async def test_no_name_leads_to_an_inside_address(
    way: str, listener: Listener, scale: float, record_property: Record
) -> None:
    port, connected = listener
    for name, answers in NAMES.items():
        asked: list[str] = []

        async def resolve(
            host: str, port: int, answers: Sequence[Sequence[str]] = answers, asked: list[str] = asked
        ) -> Sequence[str]:
            asked.append(host)
            return answers[min(len(asked), len(answers)) - 1]

        transport = HTTPTransport(clock=SystemClock(), guard=Guard(), resolve=resolve)
        with pytest.raises(UnsafeURLError):
            await WAYS[way](f"https://{name}:{port}/", transport)
        await transport.close()
        assert asked, name
        assert connected == [], name
    record_property("names", f"{len(NAMES)}, TCP connections {len(connected)}")


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("hops", [1, 2, 3])
async def test_each_of_three_redirects_is_looked_at(hops: int, listener: Listener) -> None:
    port, connected = listener
    server = HTTPServer(
        lambda request: [
            plain(
                302,
                {
                    "location": f"/{int(request.target[1:]) - 1}"
                    if request.target != "/1"
                    else f"https://0x7f.1:{port}/"
                },
                b"",
            )
        ]
    )
    await server.start()
    transport = HTTPTransport(clock=SystemClock(), guard=Guard(allow_private=True, allow_http=True))
    try:
        with pytest.raises(UnsafeURLError, match="unusual spelling"):
            await fetch(transport, f"http://127.0.0.1:{server.port}/{hops}", max_bytes=100)
    finally:
        await transport.close()
        await server.close()
    assert connected == []
