"""What happens to images and files between a request and the wire: fetched, sent along, uploaded once."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gc
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from llmring import (
    ConfigurationError,
    DeadlineExceededError,
    File,
    FilePart,
    FileUploadStrategy,
    Image,
    ImagePart,
    LLMRequest,
    LLMRing,
    Message,
    ProviderResponseError,
    RetryPolicy,
    TextPart,
    ToolOutputPart,
    UnsafeURLError,
)
from llmring.clock import SystemClock
from llmring.providers.base import BaseLLMProvider, ProviderRow
from llmring.providers.file_rules import FileRules
from llmring.providers.table import PROVIDERS
from llmring.secret import Scrubber, Secret
from llmring.testing import Answer, Exact, FakeClock, FakeProvider
from llmring.testing.fake_provider import Received
from llmring.transport.guard import Guard
from llmring.transport.http import HTTPTransport

IMAGES = Path(__file__).parent.parent / "images"
PNG = (IMAGES / "plain.png").read_bytes()
PDF = b"%PDF-1.7\n" + b"a page\n" * 100

MakeRing = Callable[..., LLMRing]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, lock: Path) -> AsyncIterator[MakeRing]:
    """Rings whose transport may fetch from this machine, over providers that are rows of the table, changed as a test says."""
    async with AsyncExitStack() as stack:

        def make(*rows: ProviderRow, **given: Any) -> LLMRing:
            clock = given.get("clock") or SystemClock()
            transport = HTTPTransport(clock=clock, guard=Guard(allow_private=True, allow_http=True), environ={})
            stack.push_async_callback(transport.close)
            ring = LLMRing(lockfile_path=lock, transport=transport, **given)
            for row in rows:
                base = fake_provider.url if row.name != "google" else f"{fake_provider.url}/v1beta"
                provider = BaseLLMProvider(
                    row, environ={}, scrubber=Scrubber(), api_key=Secret("k" * 20), base_url=base
                )
                ring.register_provider(row.name, provider)
            stack.push_async_callback(ring.close)
            return ring

        yield make


def changed(name: str, **quirks: Any) -> ProviderRow:
    """A row of the table whose models all have these quirks."""
    row = PROVIDERS[name]
    return dataclasses.replace(row, quirks=dataclasses.replace(row.quirks, **quirks), model_quirks=())


def with_limits(name: str, **limits: Any) -> ProviderRow:
    """A row of the table with other limits on what goes along with a request."""
    row = PROVIDERS[name]
    assert row.files is not None
    rules: FileRules = dataclasses.replace(row.files, dialects=frozenset({row.dialect}), **limits)
    return dataclasses.replace(row, files=rules, sdk=rules.api)


def request(model: str, *parts: Any, **options: Any) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content=["look", *parts])], max_tokens=9, **options)


def serve(fake: FakeProvider, *files: tuple[str, bytes, str]) -> list[str]:
    """Has the fake provider serve these paths too; the list grows with the paths that were asked for."""
    asked: list[str] = []
    known = {path: Exact(headers={"content-type": kind}, chunks=[data]) for path, data, kind in files}

    def answer(received: Received) -> Any:
        if received.method != "GET":
            return Answer("seen")
        asked.append(received.path)
        return known.get(received.path) or Exact(status=404, chunks=[b""])

    fake.script(answer)
    return asked


def chats(fake: FakeProvider) -> list[Received]:
    return [
        one for one in fake.received if one.method == "POST" and "/files" not in one.path and "upload" not in one.path
    ]


# By URL


@pytest.mark.spec("F08")
@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_a_url_is_passed_on_where_the_provider_fetches_and_fetched_here_where_it_does_not(
    name: str, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    asked = serve(fake_provider, ("/cat.png", PNG, "text/html"))
    url = f"{fake_provider.url}/cat.png"
    ring = make_ring(changed(name, image_urls=True))
    given = request(f"{name}:m", ImagePart(url=url, detail=None))
    await ring.chat(given)
    assert url in fake_provider.received[-1].raw.decode()
    assert asked == []

    ring = make_ring(changed(name, image_urls=False))
    await ring.chat(given)
    sent = fake_provider.received[-1].raw.decode()
    assert url not in sent
    assert b64(PNG) in sent
    assert "image/png" in sent, "the type is what the bytes say, not what the server says"
    assert asked == ["/cat.png"]
    assert given.messages[0].content == [TextPart(text="look"), ImagePart(url=url)], "the caller's request is unchanged"


@pytest.mark.spec("F08", "U49")
async def test_a_document_by_url_is_fetched_where_the_dialect_has_no_words_for_it(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    asked = serve(fake_provider, ("/docs/a%20paper.pdf", PDF, "application/octet-stream"))
    await make_ring(changed("openai")).chat(request("openai:m", File(f"{fake_provider.url}/docs/a%20paper.pdf?x=1")))
    (file,) = [part for part in fake_provider.received[-1].body["messages"][0]["content"] if part["type"] == "file"]
    assert file["file"] == {"file_data": f"data:application/pdf;base64,{b64(PDF)}", "filename": "a paper.pdf"}
    assert asked == ["/docs/a%20paper.pdf"]


@pytest.mark.spec("F08")
async def test_an_image_in_a_tools_result_is_fetched_too(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    serve(fake_provider, ("/cat.png", PNG, "image/png"))
    output = ToolOutputPart(tool_call_id="c1", content=[ImagePart(url=f"{fake_provider.url}/cat.png")])
    call = {"id": "c1", "function": {"name": "see", "arguments": "{}"}}
    messages = [
        Message(role="user", content="look"),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", content=[output]),
    ]
    ring = make_ring(changed("anthropic", image_urls=False))
    await ring.chat(LLMRequest(model="anthropic:m", messages=messages, max_tokens=9))
    assert b64(PNG) in fake_provider.received[-1].raw.decode()


# Where each vendor is told what a tool showed. Gemini 3 takes it in the result, as Claude does; older ones after it.
SHOWN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "openai": lambda body: body["messages"][-1],
    "anthropic": lambda body: body["messages"][-1]["content"][0],
    "google": lambda body: body["contents"][-1],
    "google 3": lambda body: body["contents"][-1]["parts"][0]["functionResponse"],
    "ollama": lambda body: body["messages"][-1],
}


@pytest.mark.spec("F12")
@pytest.mark.parametrize("name", SHOWN)
async def test_an_image_that_a_tool_gave_reaches_every_vendor_once(
    name: str, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    messages = [
        Message.user("look"),
        Message(role="assistant", tool_calls=[{"id": "c1", "function": {"name": "see", "arguments": "{}"}}]),
        Message(role="tool", content=[ToolOutputPart(tool_call_id="c1", content=[Image(PNG)])]),
    ]
    vendor, _, version = name.partition(" ")
    ring = make_ring(changed(vendor, tool_media=bool(version)))
    await ring.chat(LLMRequest(model=f"{vendor}:m", messages=messages, max_tokens=9))
    sent = fake_provider.received[-1]
    assert sent.raw.decode().count(b64(PNG)) == 1
    shown = SHOWN[name](sent.body)
    assert b64(PNG) in orjson.dumps(shown).decode()
    if name == "anthropic":
        assert (shown["type"], shown["tool_use_id"]) == ("tool_result", "c1")
    elif name == "google 3":
        assert (shown["name"], shown["id"]) == ("see", "c1")
    else:
        assert shown["role"] == "user"
        assert "see gave:" in orjson.dumps(shown).decode()
    if name == "openai":
        assert sent.body["messages"][-2] == {
            "role": "tool",
            "tool_call_id": "c1",
            "content": "The result is in the next message.",
        }


@pytest.mark.spec("F08")
async def test_a_pool_fetches_once(make_ring: MakeRing, fake_provider: FakeProvider, lock: Path) -> None:
    asked: list[str] = []

    def answer(received: Received) -> Any:
        if received.method == "GET":
            asked.append(received.path)
            return Exact(chunks=[PNG])
        return Exact(status=503, chunks=[b"{}"])

    fake_provider.script(answer)
    lock.write_text(lock.read_text().replace('"one:m1", "two:m2", "three:m3"', '"openai:a", "openai:b"'))
    ring = make_ring(changed("openai", image_urls=False), retry=RetryPolicy(attempts=2, backoff_s=0.0))
    with pytest.raises(ProviderResponseError):
        await ring.chat(request("pool", ImagePart(url=f"{fake_provider.url}/cat.png")))
    assert len(chats(fake_provider)) == 4
    assert asked == ["/cat.png"]


@pytest.mark.spec("F08", "RT17")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/cat.png",
        "https://127.0.0.1:{port}/cat.png",
        "https://localhost:{port}/cat.png",
        "https://[::1]:{port}/cat.png",
        "https://169.254.169.254/latest/meta-data",
        "http://example.org/cat.png",
        "https://2130706433:{port}/cat.png",
        "https://user@example.org/cat.png",
    ],
)
async def test_no_url_reaches_into_the_own_network(url: str, lock: Path, fake_provider: FakeProvider) -> None:
    ring = LLMRing(lockfile_path=lock)
    row = changed("openai", image_urls=False)
    provider = BaseLLMProvider(
        row, environ={}, scrubber=Scrubber(), api_key=Secret("k" * 20), base_url=fake_provider.url
    )
    ring.register_provider("openai", provider)
    async with ring:
        for part in (
            ImagePart(url=url.format(port=fake_provider.port)),
            FilePart(url=url.format(port=fake_provider.port)),
        ):
            with pytest.raises(UnsafeURLError):
                await ring.chat(request("openai:m", part))
    assert fake_provider.received == []
    assert fake_provider.connections_opened == 0


@pytest.mark.spec("F08")
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Exact(status=404, chunks=[b""]), "cannot be fetched: status 404"),
        (Exact(chunks=[b"<html>"]), "no PNG, JPEG"),
        (Exact(headers={"content-length": "30000000"}, chunks=[b""]), "larger than 20971520 bytes"),
        (Exact(status=None, chunks=[b""]), "cannot be fetched"),
    ],
)
async def test_what_cannot_be_fetched_is_no_failure_of_the_provider(
    reply: Exact, words: str, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(reply)
    ring = make_ring(changed("openai", image_urls=False))
    with pytest.raises(ConfigurationError, match=words) as caught:
        await ring.chat(request("openai:m", ImagePart(url=f"{fake_provider.url}/cat.png?token=hidden")))
    assert "hidden" not in str(caught.value)
    assert chats(fake_provider) == []


@pytest.mark.spec("F08")
@pytest.mark.parametrize(("deadline", "error"), [(None, ConfigurationError), (5.0, DeadlineExceededError)])
async def test_a_server_that_never_answers_is_not_waited_for(
    deadline: float | None,
    error: type[Exception],
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
) -> None:
    gate = asyncio.Event()
    fake_provider.script(Exact(chunks=[gate, b""]))
    ring = make_ring(changed("openai", image_urls=False), clock=fake_clock)
    part = ImagePart(url=f"{fake_provider.url}/cat.png")
    call = asyncio.create_task(ring.chat(request("openai:m", part, deadline=deadline)))
    await fake_provider.wait_received()
    fake_clock.advance(61.0)
    with pytest.raises(error):
        await call
    gate.set()


@pytest.mark.spec("X04")
async def test_an_upload_is_not_named_to_a_provider_that_does_not_have_it(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(with_limits("openai", inline_bytes=500), with_limits("anthropic", inline_bytes=500))
    await ring.chat(request("openai:m", File(PDF)))
    (uploaded,) = ring.uploaded_files()
    part = File(file_id=uploaded.file_id, media_type="application/pdf")
    seen = len(fake_provider.received)
    with pytest.raises(ConfigurationError, match=r"anthropic does not know the upload .*it lies at openai"):
        await ring.chat(request("anthropic:m", part))
    assert len(fake_provider.received) == seen
    await ring.chat(request("openai:m", part))
    assert uploaded.file_id in fake_provider.received[-1].raw.decode()


async def test_a_local_file_is_read_when_it_is_sent(
    make_ring: MakeRing, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    part = Image(path)
    ring = make_ring(changed("openai"))
    await ring.chat(request("openai:m", part))
    assert b64(PNG) in fake_provider.received[-1].raw.decode()
    gone = Image(path)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"picture\.png: cannot be read"):
        await ring.chat(request("openai:m", gone))


# Uploads

VENDORS: tuple[Literal["openai", "anthropic", "google"], ...] = ("openai", "anthropic", "google")


@pytest.mark.spec("U49", "F05")
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("source", ["path", "bytes", "url"])
async def test_a_document_over_the_inline_limit_is_uploaded_once_and_named(
    name: str, source: str, make_ring: MakeRing, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    serve(fake_provider, ("/paper.pdf", PDF, "application/pdf"))
    path = tmp_path / "paper.pdf"
    path.write_bytes(PDF)
    part: FilePart = {
        "path": lambda: File(path),
        "bytes": lambda: File(PDF, filename="paper.pdf"),
        "url": lambda: File(f"{fake_provider.url}/paper.pdf"),
    }[source]()
    row = with_limits(name, inline_bytes=500)
    row = dataclasses.replace(row, quirks=dataclasses.replace(row.quirks, file_urls=False), model_quirks=())
    ring = make_ring(row)
    for _ in range(3):
        await ring.chat(request(f"{name}:m", part))
    assert fake_provider.files.uploads == 1
    (stored,) = fake_provider.files.stored.values()
    assert (stored.filename, stored.data) == ("paper.pdf", PDF)
    (listed,) = ring.uploaded_files()
    assert (listed.provider, listed.size_bytes) == (name, len(PDF))
    sent = chats(fake_provider)
    assert len(sent) == 3
    for one in sent:
        text = one.raw.decode()
        assert listed.file_id in text
        assert b64(PDF) not in text
        assert len(text) < 500


@pytest.mark.spec("U49", "F16")
@pytest.mark.parametrize("name", VENDORS)
async def test_below_the_limit_nothing_is_uploaded_unless_asked(
    name: str, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(with_limits(name))
    await ring.chat(request(f"{name}:m", File(PDF)))
    assert fake_provider.files.uploads == 0
    assert b64(PDF) in fake_provider.received[-1].raw.decode()
    assert ring.uploaded_files() == []


@pytest.mark.spec("U49")
@pytest.mark.parametrize("name", VENDORS)
async def test_many_calls_at_once_upload_once(name: str, make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(with_limits(name, inline_bytes=500))
    calls = [ring.chat(request(f"{name}:m", File(PDF))) for _ in range(20)]
    await asyncio.gather(*calls)
    assert fake_provider.files.uploads == 1
    assert len(chats(fake_provider)) == 20


@pytest.mark.spec("U49")
async def test_the_first_caller_may_go_and_the_others_get_their_file(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.files.gate = gate = asyncio.Event()
    ring = make_ring(with_limits("anthropic", inline_bytes=500))
    first = asyncio.create_task(ring.chat(request("anthropic:m", File(PDF))))
    await fake_provider.wait_received()
    second = asyncio.create_task(ring.chat(request("anthropic:m", File(PDF))))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    assert (await second).content
    assert fake_provider.files.uploads == 1


@pytest.mark.spec("U49")
async def test_other_bytes_another_provider_and_another_key_are_other_uploads(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(with_limits("openai", inline_bytes=500), with_limits("anthropic", inline_bytes=500))
    await ring.chat(request("openai:m", File(PDF), File(PDF + b"2")))
    assert fake_provider.files.uploads == 2
    await ring.chat(request("anthropic:m", File(PDF)))
    assert fake_provider.files.uploads == 3
    row = with_limits("openai", inline_bytes=500)
    ring.register_provider(
        "openai",
        BaseLLMProvider(
            row, environ={}, scrubber=Scrubber(), api_key=Secret("other-key-0123456789"), base_url=fake_provider.url
        ),
    )
    await ring.chat(request("openai:m", File(PDF)))
    assert fake_provider.files.uploads == 4


@pytest.mark.spec("U49")
async def test_the_largest_go_first_until_the_rest_fits(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    small, middle, large = (b"%PDF-" + bytes(size) for size in (300, 600, 900))
    ring = make_ring(with_limits("openai", inline_bytes=1400))
    await ring.chat(request("openai:m", File(small), File(large), File(middle), Image(PNG)))
    assert [stored.data for stored in fake_provider.files.stored.values()] == [large]
    await ring.chat(request("openai:m", File(small), File(middle), File(large, filename="x.pdf"), "y" * 800))
    assert sorted(len(stored.data) for stored in fake_provider.files.stored.values()) == [605, 905, 905]


@pytest.mark.spec("U49")
async def test_a_vendors_limit_for_one_file_counts_alone(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(with_limits("google", inline_bytes=10_000, inline_file_bytes=500))
    await ring.chat(request("google:m", File(PDF), File(b"%PDF-small")))
    assert [stored.data for stored in fake_provider.files.stored.values()] == [PDF]


@pytest.mark.spec("U49")
def test_the_vendors_limits_are_those_of_their_pages() -> None:
    limits = {
        name: (row.files.inline_bytes, row.files.inline_file_bytes)
        for name, row in PROVIDERS.items()
        if row.files is not None
    }
    assert limits["openai"] == (32_000_000, None)
    assert limits["anthropic"] == (32_000_000, None)
    assert limits["google"] == (100_000_000, 50_000_000)


@pytest.mark.spec("U49")
async def test_an_upload_that_is_about_to_expire_is_made_anew(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    fake_provider.files.expires_at = "2100-01-01T00:00:00Z"
    ring = make_ring(with_limits("anthropic", inline_bytes=500), clock=fake_clock)
    await ring.chat(request("anthropic:m", File(PDF)))
    await ring.chat(request("anthropic:m", File(PDF)))
    assert fake_provider.files.uploads == 1
    (file,) = ring.uploaded_files()
    assert file.expires_at is not None
    fake_clock.advance(file.expires_at - fake_clock.now() - 200.0)
    await ring.chat(request("anthropic:m", File(PDF)))
    assert fake_provider.files.uploads == 2


@pytest.mark.spec("U49")
@pytest.mark.parametrize("name", VENDORS)
async def test_uploads_stay_until_they_are_deleted(name: str, make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(with_limits(name, inline_bytes=500))
    await ring.chat(request(f"{name}:m", File(PDF), File(PDF + b"2")))
    assert await ring.delete_uploaded_files("another") == 0
    assert len(fake_provider.files.stored) == 2
    fake_provider.files.stored.popitem()  # gone already: no error
    assert await ring.delete_uploaded_files(name) == 2
    assert fake_provider.files.stored == {}
    assert ring.uploaded_files() == []
    await ring.chat(request(f"{name}:m", File(PDF)))
    assert fake_provider.files.uploads == 3


@pytest.mark.spec("U49")
@pytest.mark.parametrize("strategy", [None, FileUploadStrategy(), FileUploadStrategy(delete_at_close=True)])
async def test_closing_a_ring_deletes_where_that_was_asked_for(
    strategy: FileUploadStrategy | None, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(with_limits("openai", inline_bytes=500), upload_strategy=strategy)
    await ring.chat(request("openai:m", File(PDF)))
    await ring.close()
    await ring.close()
    deletes = strategy is not None and strategy.delete_at_close
    assert fake_provider.files.deletions == (1 if deletes else 0)
    assert len(fake_provider.files.stored) == (0 if deletes else 1)


@pytest.mark.spec("U49")
@pytest.mark.parametrize("name", VENDORS)
async def test_a_refused_upload_is_a_typed_error_without_the_key_and_is_tried_again(
    name: str, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.files.refuse_status = 500
    ring = make_ring(with_limits(name, inline_bytes=500))
    with pytest.raises(ProviderResponseError, match="uploading a file") as caught:
        await ring.chat(request(f"{name}:m", File(PDF)))
    error = caught.value
    assert (error.status, error.provider, error.model) == (500, name, "m")
    assert error.__cause__ is None
    assert error.__context__ is None
    assert chats(fake_provider) == []
    fake_provider.files.refuse_status = None
    await ring.chat(request(f"{name}:m", File(PDF)))
    assert fake_provider.files.uploads == 1


@pytest.mark.spec("F16", "F05")
async def test_a_strategy_uploads_what_is_larger_than_it_says_once_for_three_uses(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(with_limits("anthropic"), upload_strategy=FileUploadStrategy())
    large = File(b"%PDF-" + bytes(6 * 1024 * 1024))
    for _ in range(3):
        await ring.chat(request("anthropic:m", large, File(PDF)))
    assert [len(stored.data) for stored in fake_provider.files.stored.values()] == [len(large.data or b"")]
    assert fake_provider.files.uploads == 1


@pytest.mark.spec("F16")
async def test_a_strategy_is_a_rings_or_the_environments(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_ring(with_limits("openai")).chat(request("openai:m", File(PDF)))
    assert fake_provider.files.uploads == 0
    monkeypatch.setenv("LLMRING_AUTO_UPLOAD", "1")
    await make_ring(with_limits("openai")).chat(request("openai:m", File(PDF)))
    assert fake_provider.files.uploads == 1
    own = FileUploadStrategy(auto_upload_openai=False)
    await make_ring(with_limits("openai"), upload_strategy=own).chat(request("openai:m", File(PDF)))
    assert fake_provider.files.uploads == 1


@pytest.mark.spec("F16")
@pytest.mark.parametrize(("like", "uploads"), [("openai", 1), ("anthropic", 0)])
async def test_a_vendors_preference_holds_for_its_other_accounts(
    make_ring: MakeRing, fake_provider: FakeProvider, like: str, uploads: int
) -> None:
    row = dataclasses.replace(with_limits(like), name="team", like=like)
    await make_ring(row, upload_strategy=FileUploadStrategy()).chat(request("team:m", File(PDF)))
    assert fake_provider.files.uploads == uploads


@pytest.mark.spec("F16")
async def test_what_the_vendor_takes_no_id_for_goes_along(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(with_limits("anthropic", inline_bytes=10), upload_strategy=FileUploadStrategy(size_threshold=1))
    await ring.chat(request("anthropic:m", File(b"a,b", media_type="text/csv")))
    assert fake_provider.files.uploads == 0


# Size


def lag_of(probe: list[float]) -> float:
    return max(after - before for before, after in itertools.pairwise(probe))


async def longest_pause(work: Awaitable[Any]) -> float:
    """The longest that nothing else could run, in seconds, while `work` went on."""
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    while not ticks:
        await asyncio.sleep(0)
    try:
        await work
    finally:
        ticking.cancel()
        ticks.append(time.perf_counter())
    return lag_of(ticks)


SINK = """
import asyncio, sys
async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except asyncio.IncompleteReadError:
            return writer.close()
        length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
        body = await reader.readexactly(length)
        reply = b'{"id":"1","object":"chat.completion","created":0,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
        reply += b'"message":{"role":"assistant","content":"%d %d"}}]}' % (length, body.count(b"~"))
        head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(reply)
        writer.write(head + reply)
        await writer.drain()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2 ** 25)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture
def sink() -> Any:
    """A server in a process of its own, so that what it does with large requests pauses nothing here."""
    process = subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.spec("U48")
@pytest.mark.parametrize("kind", ["text", "file", "local file", "40,000 messages"])
async def test_twelve_megabytes_leave_whole_and_stop_nothing_else(
    kind: str, sink: str, lock: Path, tmp_path: Path
) -> None:
    size = 12_000_000
    path = tmp_path / "large.pdf"
    path.write_bytes(b"%PDF-" + bytes(size))
    parts: dict[str, Callable[[], Any]] = {
        "text": lambda: "~" * size,
        "file": lambda: File(path.read_bytes()),
        "local file": lambda: File(path),
    }
    if kind in parts:
        given = request("openai:m", parts[kind]())
    else:
        given = LLMRequest(model="openai:m", messages=[Message.user("~" * (size // 40_000)) for _ in range(40_000)])
    async with LLMRing(lockfile_path=lock, providers={"openai": {"base_url": sink, "api_key": "k" * 20}}) as ring:
        await ring.chat("openai:m", "warm up")
        responses: list[Any] = []

        async def call() -> None:
            responses.append(await ring.chat(given))

        gc.collect()
        # The machine may be busy with something else for a moment, once; llmring's own pauses come every time.
        pauses: list[float] = []
        for _ in range(5):
            pauses.append(await longest_pause(call()))
            if pauses[-1] < 0.05:
                break
        assert min(pauses) < 0.05, pauses
    length, count = responses[-1].content.split()
    assert int(length) > size
    if "file" not in kind:
        assert int(count) == size


@pytest.mark.spec("U48")
async def test_a_large_request_is_the_same_request(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(changed("openai"))
    text = "ä€𝄞\n" * 400_000
    await ring.chat(request("openai:m", text))
    large = orjson.loads(fake_provider.received[-1].raw)
    assert large["messages"][0]["content"][1] == {"type": "text", "text": text}
    await ring.chat(request("openai:m", "short"))
    small = orjson.loads(fake_provider.received[-1].raw)
    large["messages"] = small["messages"] = None
    assert large == small
