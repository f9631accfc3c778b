"""What was recorded is what is replayed, and no credential is in the file."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    ProviderConnectionError,
    ResponseTooLargeError,
    ServiceClosedError,
)
from llmring.testing.http_server import Action, HTTPServer, Request, Signal, chunk, head, plain
from llmring.transport.base import HTTPRequest, Transport
from llmring.transport.http import HTTPTransport
from llmring.transport.replay import RecordedError, RecordedExchange, RecordingTransport, ReplayTransport

Serve = Callable[..., Awaitable[HTTPServer]]

SECRET = "sk-0123456789"
URL = "https://api.example/v1/chat"


def post(body: bytes = b"{}", url: str = URL) -> HTTPRequest:
    return HTTPRequest("POST", url, {}, body)


def recorded(body: bytes = b"{}", *chunks: bytes, url: str = URL) -> RecordedExchange:
    return RecordedExchange("POST", url, body, chunks=list(chunks))


async def run(transport: Transport, request: HTTPRequest) -> tuple[int, dict[str, str], list[bytes], str]:
    """Status, headers, pieces and the error's class name of one exchange."""
    status, headers, pieces, name = 0, dict[str, str](), list[bytes](), ""
    try:
        reply = await transport.send(request)
        status, headers = reply.status, dict(reply.headers)
        while data := await reply.read_some(None):
            pieces.append(data)
        reply.close()
    except (LLMRingError, TimeoutError) as error:
        name = type(error).__name__
    return status, headers, pieces, name


async def test_a_recording_replays_as_it_happened(serve: Serve, transport: HTTPTransport, tmp_path: Path) -> None:
    chunked = head(200, {"transfer-encoding": "chunked", "content-type": "text/event-stream"})
    answers: dict[str, list[Action]] = {
        "/plain": [plain(200, {"content-type": "application/json", "x-request-id": "r1"}, '{"a": "ü"}'.encode())],
        "/binary": [plain(200, {}, b"\xff\x00\xfe")],
        "/stream": [chunked, chunk(b"data: 1\n\n"), chunk(b"data: 2\n\n"), chunk(b"")],
        "/cut": [chunked, chunk(b"data: 1\n\n"), Signal.FIN],
        "/busy": [plain(429, {"retry-after": "3"}, b"slow down")],
        "/gone": [Signal.FIN],
    }

    def answer(request: Request) -> Iterable[Action]:
        return answers[request.target]

    server = await serve(answer)
    recording = RecordingTransport(transport)
    requests = [
        HTTPRequest("POST", f"http://127.0.0.1:{server.port}{path}", {"Authorization": SECRET}, b'{"n": 1}')
        for path in answers
    ]
    happened = [await run(recording, request) for request in requests]
    recording.save(tmp_path / "exchanges.json")
    replay = ReplayTransport.load(tmp_path / "exchanges.json")
    assert [await run(replay, request) for request in requests] == happened
    assert [name for _, _, _, name in happened] == [
        "",
        "",
        "",
        "ProviderConnectionError",
        "",
        "ProviderConnectionError",
    ]
    assert replay.unused == []


async def test_a_reply_that_is_read_whole_has_the_same_cap_while_it_is_recorded(
    serve: Serve, open_transport: Callable[..., HTTPTransport]
) -> None:
    server = await serve(plain(200, {}, b"x" * 2_000_000))
    recording = RecordingTransport(open_transport(max_body_bytes=1_000_000, max_stream_bytes=3_000_000))
    reply = await recording.send(HTTPRequest("GET", f"http://127.0.0.1:{server.port}/", {}))
    with pytest.raises(ResponseTooLargeError):
        await reply.read(None)
    replay = await ReplayTransport(recording.exchanges).send(HTTPRequest("GET", f"http://127.0.0.1:{server.port}/", {}))
    with pytest.raises(ResponseTooLargeError):
        await replay.read(None)


async def test_no_credential_is_in_the_file(serve: Serve, transport: HTTPTransport, tmp_path: Path) -> None:
    server = await serve(plain(200, {"set-cookie": SECRET, "x-strange": SECRET, "x-ratelimit-limit": "9"}, b"{}"))
    recording = RecordingTransport(transport)
    headers = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "My-Own": SECRET, "Content-Type": "text/plain"}
    url = f"http://127.0.0.1:{server.port}/v1?key={SECRET}&alt=sse"
    await run(recording, HTTPRequest("POST", url, headers, b"a prompt"))
    path = tmp_path / "exchanges.json"
    recording.save(path)
    assert SECRET not in path.read_text()
    (exchange,) = json.loads(path.read_text())["exchanges"]
    assert exchange["request"] == {
        "method": "POST",
        "url": f"http://127.0.0.1:{server.port}/v1?key=***&alt=sse",
        "headers": {"authorization": "***", "x-api-key": "***", "my-own": "***", "content-type": "text/plain"},
        "body": "a prompt",
    }
    assert exchange["reply"]["headers"]["set-cookie"] == "***"
    assert exchange["reply"]["headers"]["x-ratelimit-limit"] == "9"
    # Another key finds the same exchange.
    replay = ReplayTransport.load(path)
    assert (await run(replay, HTTPRequest("POST", url.replace(SECRET, "other"), {}, b"a prompt")))[0] == 200


async def test_a_request_is_known_by_method_url_and_body() -> None:
    replay = ReplayTransport([recorded(b'{"a": 1, "b": 2}')])
    for request in (
        post(b'{"a": 1}'),
        post(b'{"a": 1, "b": 2}', f"{URL}/other"),
        HTTPRequest("PUT", URL, {}, b'{"a": 1, "b": 2}'),
        post(b""),
    ):
        with pytest.raises(ConfigurationError, match="no recorded exchange is left"):
            await replay.send(request)
    assert await (await replay.send(post(b'{"b":2,"a":1}'))).read(None) == b""


async def test_the_same_request_gets_one_answer_after_the_other() -> None:
    replay = ReplayTransport([recorded(b"{}", b"one"), recorded(b"{}", b"two")])
    assert [await (await replay.send(post())).read(None) for _ in range(2)] == [b"one", b"two"]
    with pytest.raises(ConfigurationError, match="answers once"):
        await replay.send(post())


@pytest.mark.parametrize(
    "kind",
    [
        "ConfigurationError",
        "MalformedResponseError",
        "ProviderConnectionError",
        "ResponseTooLargeError",
        "TimeoutError",
    ],
)
async def test_errors_are_replayed_before_and_after_the_head(kind: str) -> None:
    early = RecordedExchange("POST", URL, b"{}", status=None, error=RecordedError(kind, "as recorded"))
    late = RecordedExchange("POST", URL, b"{}", chunks=[b"one"], error=RecordedError(kind, "as recorded"))
    replay = ReplayTransport([early, late])
    assert await run(replay, post()) == (0, {}, [], kind)
    assert await run(replay, post()) == (200, {}, [b"one"], kind)


async def test_closed_is_closed() -> None:
    replay = ReplayTransport([recorded(b"{}", b"one"), recorded(b"{}", b"two")])
    reply = await replay.send(post())
    reply.close()
    with pytest.raises(ProviderConnectionError):
        await reply.read_some(None)
    await replay.close()
    with pytest.raises(ServiceClosedError):
        await replay.send(post())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "cannot be read"),
        ("[]", "is no recording of version 1"),
        ('{"llmring_replay": 2, "exchanges": []}', "is no recording of version 1"),
        ('{"llmring_replay": 1}', "is damaged"),
        ('{"llmring_replay": 1, "exchanges": [{}]}', "is damaged"),
        ('{"llmring_replay": 1, "exchanges": 3}', "is damaged"),
    ],
)
def test_a_file_that_is_no_recording_says_so(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "exchanges.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        ReplayTransport.load(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.json cannot be read"):
        ReplayTransport.load(tmp_path / "nothing.json")
