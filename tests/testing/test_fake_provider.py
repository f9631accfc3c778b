"""Scripts, answers, and what the fake provider keeps of what it was sent."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trustme

from llmring.schemas import Usage
from llmring.schemas.fold import fold
from llmring.schemas.response import LLMResponse
from llmring.schemas.tools import ToolCall
from llmring.testing import Answer, FakeProvider, Fault, Received
from llmring.wire.table import get_dialect

Talk = Callable[[FakeProvider, bytes], Coroutine[Any, Any, tuple[bytes, str]]]


def ask(model: str = "m", *, path: str = "/v1/chat/completions", **fields: Any) -> bytes:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "how are you"}], **fields}).encode()
    head = f"POST {path} HTTP/1.1\r\nConnection: close\r\nX-Mine: Yes\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def dechunk(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return body


async def text(talk: Talk, fake: FakeProvider, model: str = "m") -> str:
    reply, _ = await talk(fake, ask(model))
    return json.loads(reply.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"]


async def both_ways(talk: Talk, fake: FakeProvider, **fields: Any) -> tuple[LLMResponse, LLMResponse]:
    """The same request plain and streamed, as llmring's own client reads them."""
    dialect = get_dialect("openai_chat")
    plain, _ = await talk(fake, ask(**fields))
    streamed, _ = await talk(fake, ask(stream=True, stream_options={"include_usage": True}, **fields))
    decoder = dialect.decode_stream()
    events = [*decoder.feed(dechunk(streamed.partition(b"\r\n\r\n")[2])), *decoder.close()]
    return fold(dialect.decode(plain.partition(b"\r\n\r\n")[2])), fold(events)


async def test_unscripted_it_answers_and_keeps_the_request(fake_provider: FakeProvider, talk: Talk) -> None:
    assert await text(talk, fake_provider) == Answer().text
    (received,) = fake_provider.received
    assert (received.number, received.method, received.path, received.query) == (0, "POST", "/v1/chat/completions", "")
    assert received.headers["x-mine"] == "Yes"
    assert received.body == json.loads(received.raw)
    assert (received.model, received.stream) == ("m", False)
    assert "how are you" not in repr(received)


async def test_steps_are_taken_in_order_and_the_last_one_stays(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Answer("first"), Answer("last"))
    assert [await text(talk, fake_provider) for _ in range(4)] == ["first", "last", "last", "last"]


async def test_a_model_with_a_script_of_its_own_leaves_the_others_alone(
    fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(Answer("a1"), Answer("a2"))
    fake_provider.script(Answer("b1"), Answer("b2"), model="b")
    assert [await text(talk, fake_provider, model) for model in ("b", "a", "b", "c")] == ["b1", "a1", "b2", "a2"]


async def test_a_new_script_takes_the_place_of_the_old_one(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Answer("old 1"), Answer("old 2"))
    assert await text(talk, fake_provider) == "old 1"
    fake_provider.script(Answer("new"))
    assert await text(talk, fake_provider) == "new"


def test_an_empty_script_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        FakeProvider().script()


async def test_a_function_as_a_step_decides_by_the_request(fake_provider: FakeProvider, talk: Talk) -> None:
    def echo(received: Received) -> Answer:
        return Answer(received.body["messages"][0]["content"].upper())

    fake_provider.script(echo)
    assert await text(talk, fake_provider) == "HOW ARE YOU"


async def test_a_function_that_fails_says_so_in_the_reply(fake_provider: FakeProvider, talk: Talk) -> None:
    def fail(received: Received) -> Answer:
        raise LookupError("planned")

    fake_provider.script(fail)
    reply, _ = await talk(fake_provider, ask())
    assert reply.startswith(b"HTTP/1.1 500 ")
    assert b"LookupError: planned" in reply


ANSWERS = [
    Answer("Hello, you there."),
    Answer(""),
    Answer("naïve 😀\u2028 line\n\n  two"),
    Answer("", tool_calls=[{"id": "c1", "name": "look", "arguments": {"at": "here and there"}}, ToolCall("c2", "go")]),
    Answer("So it is.", reasoning="let me think"),
    Answer("", refusal="I will not."),
    Answer("cut sh", finish_reason="length"),
    Answer("told", usage=Usage(11, 5, cache_read_tokens=3, reasoning_tokens=2)),
    Answer("a", logprobs=[{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]),
    Answer("see", citations=[{"url": "https://example.org/a", "title": "A", "start": 0, "end": 3}]),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: repr(answer.text))
async def test_an_answer_reads_the_same_plain_and_streamed(
    answer: Answer, fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(answer)
    plain, streamed = await both_ways(talk, fake_provider)
    for response in (plain, streamed):
        assert response.content == answer.text
        assert response.model == "m"
        assert response.reasoning == answer.reasoning
        assert response.refusal == answer.refusal
        assert response.finish_reason == (answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop"))
    plain.response_id = streamed.response_id
    assert plain == streamed


async def test_usage_counts_words_unless_given(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Answer("four words are here", reasoning="hm hm"))
    plain, streamed = await both_ways(talk, fake_provider)
    assert plain.usage == streamed.usage == Usage(3, 6, reasoning_tokens=2)


async def test_a_stream_reports_usage_only_when_asked(fake_provider: FakeProvider, talk: Talk) -> None:
    reply, _ = await talk(fake_provider, ask(stream=True))
    assert b"[DONE]" in reply
    assert b'"usage":' not in reply


async def test_headers_and_model_of_an_answer_are_sent(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Answer("x", model="m-2026", headers={"x-region": "moon", "x-request-id": "mine"}))
    reply, _ = await talk(fake_provider, ask())
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"x-region: moon" in head
    assert head.count(b"x-request-id") == 1
    assert b"x-request-id: mine" in head
    assert json.loads(body)["model"] == "m-2026"


async def test_a_gate_holds_the_answer_back_and_in_flight_counts_it(fake_provider: FakeProvider, talk: Talk) -> None:
    gate = asyncio.Event()
    fake_provider.script(Answer("at last", gate=gate))
    clients = [asyncio.create_task(talk(fake_provider, ask())) for _ in range(3)]
    await fake_provider.wait_received(3)
    assert (fake_provider.in_flight, fake_provider.open_connections) == (3, 3)
    assert not any(client.done() for client in clients)
    gate.set()
    for reply, _ in await asyncio.gather(*clients):
        assert b"at last" in reply
    await fake_provider.wait_idle()
    assert (fake_provider.in_flight, fake_provider.max_in_flight) == (0, 3)
    await fake_provider.wait_disconnected()
    assert (fake_provider.connections_opened, fake_provider.open_connections) == (3, 0)


async def test_another_path_gets_a_404_that_says_what_to_do(fake_provider: FakeProvider, talk: Talk) -> None:
    reply, _ = await talk(fake_provider, ask(path="/v1/elsewhere?a=1"))
    assert reply.startswith(b"HTTP/1.1 404 ")
    assert b"/v1/elsewhere" in reply
    assert fake_provider.received[0].query == "a=1"


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}"])
async def test_a_body_that_is_no_request_gets_a_400_and_is_kept(
    body: bytes, fake_provider: FakeProvider, talk: Talk
) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    reply, _ = await talk(fake_provider, head.encode() + body)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert fake_provider.received[0].raw == body
    assert fake_provider.received[0].model is None


async def test_waiting_for_what_has_been_returns_at_once(fake_provider: FakeProvider, talk: Talk) -> None:
    await talk(fake_provider, ask())
    await fake_provider.wait_received(1)
    fake_provider.script(Fault.hang())
    client = asyncio.create_task(talk(fake_provider, ask()))
    await fake_provider.wait_held()
    await fake_provider.wait_held()
    client.cancel()
    await asyncio.gather(client, return_exceptions=True)


async def test_it_speaks_https_where_given_a_certificate() -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)  # pyright: ignore[reportUnknownMemberType]
    authority.configure_trust(client)  # pyright: ignore[reportUnknownMemberType]
    async with FakeProvider(ssl=server) as fake:
        assert fake.base_url.startswith("https://127.0.0.1:")
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port, ssl=client)
        writer.write(ask())
        assert Answer().text.encode() in await reader.read()
        writer.close()
        await writer.wait_closed()
