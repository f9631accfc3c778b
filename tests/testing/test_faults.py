"""Every kind of fault, as a client sees it that trusts nothing but its socket."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llmring.testing import Answer, FakeProvider, Fault
from llmring.testing.replies import gzip_pieces
from llmring.testing.steps import FAULT_KINDS, FaultKind, SeededFaults

Talk = Callable[[FakeProvider, bytes], Coroutine[Any, Any, tuple[bytes, str]]]

ANSWER = Answer("one two three")


def ask(*, stream: bool, model: str = "m") -> bytes:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


PLAIN, STREAM = ask(stream=False), ask(stream=True)


def read_head(reply: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = reply.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines)


def read_body(reply: bytes) -> tuple[bytes, bool]:
    """The body without its framing, and whether it was whole."""
    _, headers = read_head(reply)
    rest = reply.partition(b"\r\n\r\n")[2]
    if "content-length" in headers:
        return rest, len(rest) == int(headers["content-length"])
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            return body, rest == b"\r\n"
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body, False


def read_events(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.decode().split("\n\n") if line and line != "data: [DONE]"]


def text_of(events: list[Any]) -> str:
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)


async def test_status_is_an_error_reply_in_the_dialects_words(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Fault.status(429, "Slow down.", code="rate_limit_exceeded", headers={"retry-after": "2"}))
    reply, ending = await talk(fake_provider, STREAM)
    status, headers = read_head(reply)
    assert (status, headers["retry-after"], headers["content-type"], ending) == (429, "2", "application/json", "fin")
    error = json.loads(read_body(reply)[0])["error"]
    assert (error["message"], error["code"]) == ("Slow down.", "rate_limit_exceeded")


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
async def test_reset_resets_before_any_byte(request_bytes: bytes, fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Fault.reset())
    assert await talk(fake_provider, request_bytes) == (b"", "rst")


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
async def test_close_before_reply_closes_before_any_byte(
    request_bytes: bytes, fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(Fault.close_before_reply())
    assert await talk(fake_provider, request_bytes) == (b"", "fin")


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
@pytest.mark.parametrize("fault", [Fault.hang(ANSWER), Fault.slow_head(ANSWER), Fault.stall(2, ANSWER)])
async def test_waiting_faults_wait_for_release_and_then_answer_well(
    fault: Fault, request_bytes: bytes, fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(fault)
    client = asyncio.create_task(talk(fake_provider, request_bytes))
    await fake_provider.wait_held()
    assert not client.done()
    fake_provider.release()
    reply, _ = await client
    body, is_whole = read_body(reply)
    assert is_whole
    if request_bytes is STREAM:
        assert text_of(read_events(body)) == "one two three"
        assert body.endswith(b"data: [DONE]\n\n")
    else:
        assert json.loads(body)["choices"][0]["message"]["content"] == "one two three"


async def test_a_hanging_reply_is_over_when_the_client_goes_away(fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.hang())
    _, writer = await asyncio.open_connection("127.0.0.1", fake_provider.port)
    writer.write(PLAIN)
    await fake_provider.wait_held()
    writer.close()
    await writer.wait_closed()
    await fake_provider.wait_disconnected()
    assert fake_provider.in_flight == 0


@pytest.mark.parametrize(("after", "text"), [(0, ""), (3, "one two"), (99, "one two three")])
async def test_stall_has_sent_exactly_so_many_events_and_never_the_last(after: int, text: str, talk: Talk) -> None:
    async with FakeProvider() as fake:
        fake.script(Fault.stall(after, ANSWER))
        client = asyncio.create_task(talk(fake, STREAM))
        await fake.wait_held()
        await fake.close()
        body, is_whole = read_body((await client)[0])
    assert (text_of(read_events(body)), is_whole) == (text, False)
    assert body.count(b"data: ") == min(after, 5)


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize(("after", "text"), [(0, ""), (1, ""), (2, "one"), (4, "one two three"), (99, "one two three")])
async def test_cut_ends_a_stream_after_so_many_events_and_never_after_its_last(
    after: int, text: str, how: Any, fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(Fault.cut(after, how, ANSWER))
    reply, ending = await talk(fake_provider, STREAM)
    assert ending == how
    body, is_whole = read_body(reply)
    assert not is_whole
    assert b"[DONE]" not in body
    events = read_events(body)
    # An answer of three words has five events before the last: the role, the words, the finish reason.
    assert len(events) == min(after, 5)
    assert text_of(events) == text


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_cut_ends_a_plain_reply_half_way(how: Any, fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Fault.cut(1, how, ANSWER))
    reply, ending = await talk(fake_provider, PLAIN)
    body, is_whole = read_body(reply)
    assert (bool(body), is_whole, ending) == (True, False, how)


async def test_garbage_is_the_same_for_the_same_seed_and_no_json(fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Fault.garbage(1), Fault.garbage(1), Fault.garbage(2))
    bodies = [read_body((await talk(fake_provider, request))[0]) for request in (PLAIN, STREAM, PLAIN)]
    assert [is_whole for _, is_whole in bodies] == [True, True, True]
    assert bodies[0] == bodies[1] != bodies[2]
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(bodies[0][0])


async def test_error_in_stream_comes_after_so_many_events_and_ends_the_body(
    fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(Fault.error_in_stream(2, "Out of memory.", code="oom", answer=ANSWER))
    reply, _ = await talk(fake_provider, STREAM)
    body, is_whole = read_body(reply)
    *events, last = read_events(body)
    assert (read_head(reply)[0], is_whole, text_of(events)) == (200, True, "one")
    assert (last["error"]["message"], last["error"]["code"]) == ("Out of memory.", "oom")
    assert b"[DONE]" not in body


async def test_error_in_stream_is_an_error_with_status_200_where_the_reply_is_plain(
    fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(Fault.error_in_stream(2, "Out of memory."))
    reply, _ = await talk(fake_provider, PLAIN)
    assert read_head(reply)[0] == 200
    assert json.loads(read_body(reply)[0])["error"]["message"] == "Out of memory."


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
async def test_gzip_bomb_unpacks_to_its_size_and_a_good_answer(
    request_bytes: bytes, fake_provider: FakeProvider, talk: Talk
) -> None:
    size = 3 * 1024 * 1024 + 17
    fake_provider.script(Fault.gzip_bomb(size, ANSWER))
    reply, _ = await talk(fake_provider, request_bytes)
    body, is_whole = read_body(reply)
    assert (read_head(reply)[1]["content-encoding"], is_whole) == ("gzip", True)
    assert len(body) < size / 100
    unpacked = gzip.decompress(body)
    answer = unpacked.lstrip()
    assert len(unpacked) - len(answer) == size
    assert b"three" in answer


def test_a_large_gzip_bomb_is_small_on_the_wire() -> None:
    assert sum(len(piece) for piece in gzip_pieces(b" ", 200 * 1024 * 1024, b"{}")) < 1024 * 1024


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
async def test_long_line_is_one_text_of_its_size(request_bytes: bytes, fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Fault.long_line(200_000))
    reply, _ = await talk(fake_provider, request_bytes)
    body, is_whole = read_body(reply)
    assert is_whole
    if request_bytes is STREAM:
        assert text_of(read_events(body)) == "x" * 200_000
        assert max(len(line) for line in body.split(b"\n")) > 200_000
    else:
        assert json.loads(body)["choices"][0]["message"]["content"] == "x" * 200_000


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
async def test_deep_json_is_as_deep_as_asked(request_bytes: bytes, fake_provider: FakeProvider, talk: Talk) -> None:
    fake_provider.script(Fault.deep_json(100, ANSWER))
    reply, _ = await talk(fake_provider, request_bytes)
    body, _ = read_body(reply)
    value: Any = (read_events(body)[0] if request_bytes is STREAM else json.loads(body))["deep"]
    depth = 1
    while value:
        value, depth = value[0], depth + 1
    assert depth == 100


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
async def test_endless_goes_on_until_the_client_goes_away(request_bytes: bytes, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.endless())
    reader, writer = await asyncio.open_connection("127.0.0.1", fake_provider.port)
    writer.write(request_bytes)
    assert len(await reader.readexactly(2_000_000)) == 2_000_000
    assert fake_provider.in_flight == 1
    writer.transport.abort()
    await fake_provider.wait_disconnected()
    assert fake_provider.in_flight == 0


@pytest.mark.parametrize("request_bytes", [PLAIN, STREAM])
@pytest.mark.parametrize("off_by", [10, -10])
async def test_wrong_content_length_is_off_by_so_much(
    off_by: int, request_bytes: bytes, fake_provider: FakeProvider, talk: Talk
) -> None:
    fake_provider.script(Fault.wrong_content_length(off_by, ANSWER))
    reply, ending = await talk(fake_provider, request_bytes)
    length = int(read_head(reply)[1]["content-length"])
    assert (length - len(reply.partition(b"\r\n\r\n")[2]), ending) == (off_by, "fin")


async def test_a_fault_waits_for_the_gate_of_the_answer_it_breaks(fake_provider: FakeProvider, talk: Talk) -> None:
    gate = asyncio.Event()
    fake_provider.script(Fault.cut(0, answer=Answer(gate=gate)))
    client = asyncio.create_task(talk(fake_provider, STREAM))
    await fake_provider.wait_received()
    assert not client.done()
    gate.set()
    assert not read_body((await client)[0])[1]


# Seeded -------------------------------------------------------------------------------------------------------------------


def test_seeded_faults_are_a_function_of_seed_and_number() -> None:
    first = [SeededFaults(0.3, 7).at(n) for n in range(300)]
    assert [SeededFaults(0.3, 7).at(n) for n in reversed(range(300))] == first[::-1]
    assert [SeededFaults(0.3, 8).at(n) for n in range(300)] != first
    struck = [fault for fault in first if fault is not None]
    assert 60 < len(struck) < 120
    assert {fault.kind for fault in struck} == set(SeededFaults(0, 0).kinds)


def test_a_higher_rate_strikes_the_same_requests_and_more() -> None:
    few = {n for n in range(200) if SeededFaults(0.1, 3).at(n)}
    many = {n for n in range(200) if SeededFaults(0.4, 3).at(n)}
    assert few < many


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_every_kind_can_be_asked_for_by_name(kind: FaultKind) -> None:
    fault = SeededFaults(1, 1, [kind]).at(0)
    assert fault is not None
    assert fault.kind == kind


@pytest.mark.parametrize(
    ("rate", "kinds", "named"), [(0.5, ["sabotage"], "sabotage"), (0.5, [], "kinds"), (20, ["reset"], "rate")]
)
def test_impossible_faults_are_refused_by_name(rate: float, kinds: list[Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        FakeProvider().faults(rate=rate, seed=1, kinds=kinds)


async def test_seeded_faults_strike_the_same_requests_again_and_leave_the_script_alone(talk: Talk) -> None:
    async def run() -> list[tuple[int, bytes]]:
        outcomes: list[tuple[int, bytes]] = []
        async with FakeProvider() as fake:
            await talk(fake, PLAIN)
            fake.script(*(Answer(f"answer {n}") for n in range(30)))
            fake.faults(rate=0.5, seed=11, kinds=["status", "garbage", Fault.close_before_reply()])
            for _ in range(20):
                reply, _ = await talk(fake, PLAIN)
                status = read_head(reply)[0] if reply else 0
                outcomes.append((status, read_body(reply)[0] if reply else b""))
            fake.faults(rate=0, seed=0)
            reply, _ = await talk(fake, PLAIN)
            outcomes.append((read_head(reply)[0], read_body(reply)[0]))
        return outcomes

    first = await run()
    assert await run() == first
    good = [json.loads(b)["choices"][0]["message"]["content"] for _, b in first if b.startswith(b'{"id"')]
    assert good == [f"answer {n}" for n in range(len(good))]
    assert 5 < len(good) < 17
