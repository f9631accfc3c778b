"""Servers that send anything: every case of every dialect, with its JSON broken at random places and its events in disorder.

Whatever the bytes, a decoder gives events that fold, or raises an error of ours; it never says Finished of an answer that was cut,
and it costs linear time. Seeded: a failure names the case and the bytes.
"""

from __future__ import annotations

import copy
import json
import random
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pytest
from tests.wire.matrix import CASES, dialects

from llmring.exceptions import ContextLengthError, LLMRingError
from llmring.schemas.events import (
    Event,
    Finished,
    ProviderBlock,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallSealed,
    ToolCallStart,
)
from llmring.schemas.fold import fold
from llmring.wire.base import Dialect, WorksInBackground
from llmring.wire.table import DIALECTS

SEED = 20261121
BROKEN_A_CASE = 40
EVENTS_KEPT = 40  # of a stream: recordings may have thousands

# What stands where something else should: any type, numbers past every limit, texts that tools trip over, words that mean something.
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 10**12, 2**63, 2**64 - 1, -(2**63), 1.5, 1e308),
    *("", "x", "\u2028\u2029\x00\x85", "\u202e", "a" * 300, "stop", "error", "message", "text", "tool_use", "thinking"),
    *("redacted_thinking", "function_call", "custom_tool_call", "computer_call", "reasoning", "response.completed"),
    *("response.output_item.done", "content_block_delta", "input_json_delta", "signature_delta"),
    *([], {}, [[]], [{}], [None], {"x": 1}, {"type": None}, {"error": {"message": "m"}}),
)
_KEYS = ("error", "type", "index", "id", "name", "delta", "content", "output_index", "item")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value, as what holds it and its key."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(cast("dict[Any, Any]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[Any]", value)))
    for key, child in items:
        yield value, key
        yield from _places(child)


def _break(value: Any, draw: random.Random) -> Any:
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return copy.deepcopy(draw.choice(_ODD))
        holder, key = draw.choice(places)
        what = draw.random()
        if what < 0.6:
            holder[key] = copy.deepcopy(draw.choice(_ODD))
        elif what < 0.75:
            del holder[key]
        elif what < 0.85:
            other, at = draw.choice(places)
            holder[key] = copy.deepcopy(other[at])
        elif isinstance(holder, dict):
            holder[draw.choice(_KEYS)] = copy.deepcopy(draw.choice(_ODD))
        else:
            holder.insert(key, copy.deepcopy(holder[key]))
    return value


def _write(value: Any, draw: random.Random) -> bytes:
    """JSON, now and then with what is none: a lone surrogate, NaN, a number past a float's range, an end too early."""
    data = json.dumps(value).encode()
    match draw.randrange(40):
        case 0:
            return data.replace(b'"', b'"\\ud800', 1)
        case 1:
            return re.sub(rb"\d+", draw.choice((b"NaN", b"1e999", b"9" * 400)), data, count=1)
        case 2:
            return data[: draw.randrange(len(data) + 1)]
        case _:
            return data


def _break_event(event: bytes, draw: random.Random) -> bytes:
    """The JSON of an SSE event or of a line, broken."""
    found = re.search(rb"(?m)^(?:data: ?)?([{\[].*)$", event)
    if found is None:
        return event
    try:
        value = orjson.loads(found[1])
    except orjson.JSONDecodeError:
        return event
    return event[: found.start(1)] + _write(_break(value, draw), draw) + event[found.end(1) :]


def _break_stream(data: bytes, end: bytes, draw: random.Random) -> bytes:
    events = [event for event in data.split(end) if event.strip()]
    if len(events) > EVENTS_KEPT:
        at = draw.randrange(len(events) - EVENTS_KEPT)
        events = [*events[:10], *events[at : at + EVENTS_KEPT - 20], *events[-10:]]
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        one, other = draw.randrange(len(events)), draw.randrange(len(events))
        what = draw.random()
        if what < 0.6:
            events[one] = _break_event(events[one], draw)
        elif what < 0.7 and len(events) > 1:
            del events[one]
        elif what < 0.8:
            events.insert(other, events[one])
        elif what < 0.9:
            events[one], events[other] = events[other], events[one]
        else:
            events.append(events[one])
    broken = end.join(events) + end
    return broken if draw.random() < 0.9 else broken[: draw.randrange(len(broken) + 1)]


def _read_stream(dialect: Dialect, pieces: list[bytes]) -> tuple[list[Event], LLMRingError | None]:
    decoder, seen = dialect.decode_stream(), list[Event]()
    try:
        for piece in pieces:
            seen += decoder.feed(piece)
        return seen + decoder.close(), None
    except LLMRingError as error:
        return seen, error


def _check(seen: list[Event], *, whole: bool, where: str) -> None:
    """Events that keep their contract, and a response of them that can be kept and sent back."""
    begun: set[int] = set()
    ended: set[int] = set()
    for event in seen:
        if isinstance(event, ToolCallStart):
            assert event.index not in begun, where
            assert event.id, where
            assert event.name, where
            begun.add(event.index)
        elif isinstance(event, (ToolCallDelta, ToolCallSealed, ToolCallEnd)):
            assert event.index in begun, where
            assert event.index not in ended or isinstance(event, ToolCallSealed), where
        if isinstance(event, ToolCallEnd):
            ended.add(event.index)
        if isinstance(event, Finished):
            assert begun == ended, where
    assert sum(isinstance(event, Finished) for event in seen) == whole, where
    response = fold(seen)
    response.to_message()
    orjson.dumps(response.to_dict())


@pytest.mark.parametrize("name", dialects())
def test_a_broken_reply_gives_events_that_fold_or_an_error_of_ours(name: str) -> None:
    dialect, draw = DIALECTS[name], random.Random(SEED)
    for path in sorted((CASES / name).glob("*/wire_reply.json")):
        try:
            reply = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            continue  # a case of an error that is no JSON
        for _ in range(BROKEN_A_CASE):
            data = _write(_break(reply, draw), draw)
            where = f"{path.parent.name}: {data[:2000]!r}"
            try:
                seen = dialect.decode(data)
            except LLMRingError:
                continue
            finally:
                str(dialect.classify(draw.choice((200, 301, 400, 401, 404, 429, 500)), {}, data))
                _decode_the_rest(dialect, data)
            _check(seen, whole=True, where=where)


def _decode_the_rest(dialect: Dialect, data: bytes) -> None:
    """What is none of it gives an error of ours, too."""
    readers = [codec.decode for codec in (dialect.embeddings, dialect.token_count) if codec is not None]
    if isinstance(dialect, WorksInBackground):
        readers.append(cast("Any", dialect.background.read))
    for read in readers:
        try:
            read(data)
        except LLMRingError:
            continue


@pytest.mark.parametrize("name", dialects())
def test_a_broken_stream_gives_events_that_fold_however_it_is_split_and_no_end_that_nobody_sent(name: str) -> None:
    dialect, draw = DIALECTS[name], random.Random(SEED)
    for path in sorted((CASES / name).glob("*/wire_stream.*")):
        data = path.read_bytes()
        end = b"\n" if path.suffix == ".ndjson" else b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n"
        for _ in range(BROKEN_A_CASE):
            broken = _break_stream(data, end, draw)
            where = f"{path.parent.name}: {broken[:4000]!r}"
            seen, error = _read_stream(dialect, [broken])
            _check(seen, whole=error is None, where=where)
            cuts = sorted(draw.randrange(len(broken) + 1) for _ in range(draw.choice((1, 3, 10))))
            pieces = [broken[a:b] for a, b in zip([0, *cuts], [*cuts, len(broken)], strict=True)]
            again, other = _read_stream(dialect, pieces)
            assert (again, repr(other)) == (seen, repr(error)), where


def _event(data: Any, name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + orjson.dumps(data) + b"\n\n"


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("anthropic_messages", b"event: ping\ndata: \n\n"),
        ("openai_responses", b"event: ping\ndata: \n\n"),
        ("openai_chat", b"data: \n\n"),
        ("gemini_generate", b"data: \n\n"),
        ("gemini_generate", b"data: \r\n\r\n"),
    ],
)
def test_an_event_without_data_is_none_however_it_comes(name: str, event: bytes) -> None:
    whole, split = DIALECTS[name].decode_stream(), DIALECTS[name].decode_stream()
    assert whole.feed(event) == whole.feed(event + event) == []
    assert [split.feed(event[n : n + 1]) for n in range(len(event))] == [[]] * len(event)
    assert not whole.finished
    assert not split.finished


_TEXT = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}


@pytest.mark.parametrize("odd", [[], {}, "x", None, 1.5])
@pytest.mark.parametrize("field", ["content_index", "output_index", "summary_index", "item_id", "type"])
def test_a_place_that_is_none_is_no_crash(field: str, odd: object) -> None:
    thought = {"type": "response.reasoning_summary_text.delta", "output_index": 1, "summary_index": 0, "delta": "b"}
    annotation = {**_TEXT, "type": "response.output_text.annotation.added", "annotation": {"url": "u"}}
    data = b"".join(_event({**event, field: odd}, "x") for event in (_TEXT, thought, annotation))
    seen, error = _read_stream(DIALECTS["openai_responses"], [_event(_TEXT, "x") + data])
    assert isinstance(error, LLMRingError)
    _check(seen, whole=False, where="")


@pytest.mark.parametrize("status", [[], {}, 5, None])
def test_a_background_status_that_is_no_word_is_no_crash(status: object) -> None:
    dialect = DIALECTS["openai_responses"]
    assert isinstance(dialect, WorksInBackground)
    assert dialect.background.read(orjson.dumps({"id": "r", "status": status})).is_done


def test_what_comes_after_the_end_of_a_call_is_not_taken_for_its_arguments() -> None:
    def piece(arguments: str, index: int) -> bytes:
        call = {"index": index, "id": f"c{index}", "function": {"name": "f", "arguments": arguments}}
        return _event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})

    dialect = DIALECTS["openai_chat"]
    seen, error = _read_stream(dialect, [piece('{"a":1}', 0) + piece("{}", 1) + piece(" \n", 0) + piece("{}", 0)])
    assert "after its end" in str(error)
    assert [call.raw_arguments for call in fold(seen).tool_calls or ()] == ['{"a":1}', "{}"]


def test_counts_that_no_answer_can_have_are_none() -> None:
    reply = {"message": {"content": "a"}, "done": True, "prompt_eval_count": 2**64 - 1, "eval_count": 2}
    usage = fold(DIALECTS["ollama_chat"].decode(orjson.dumps(reply))).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (0, 2)


# Time: the test's own time limit counts it. What took quadratic time would take minutes. -----------------------------


def _feed(name: str, pieces: Iterator[bytes] | list[bytes]) -> list[Event]:
    decoder = DIALECTS[name].decode_stream()
    return [event for piece in pieces for event in decoder.feed(piece)]


def test_thinking_in_a_great_many_details_costs_linear_time() -> None:
    detail = {"type": "reasoning.text", "index": 0, "text": "ab"}
    chunk = _event({"choices": [{"index": 0, "delta": {"reasoning_details": [detail] * 10_000}}]})
    end = _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    head = _event({"choices": [{"index": 0, "delta": {"reasoning_details": [{**detail, "text": "x" * 900_000}]}}]})
    seen = _feed("openai_chat", [head, *[chunk] * 30, end])
    details = [event.data["reasoning_details"] for event in seen if isinstance(event, ProviderBlock)]
    assert [len(found[0]["text"]) for found in details] == [900_000 + 30 * 20_000]


def test_a_great_many_pieces_of_an_unknown_kind_cost_linear_time() -> None:
    def delta(**fields: int) -> bytes:
        return _event({"type": "content_block_delta", "index": 0, "delta": {"type": "y", **fields}}, "d")

    start = _event({"type": "content_block_start", "index": 0, "content_block": {"type": "q"}}, "s")
    stop = _event({"type": "content_block_stop", "index": 0}, "e")
    keys = {f"k{n}": n for n in range(50_000)}
    seen = _feed("anthropic_messages", [start, delta(**keys), *[delta(a=1)] * 100_000, stop])
    assert [event.data for event in seen if isinstance(event, ProviderBlock)] == [{"type": "q", **keys, "a": 1}]


def test_a_great_many_reports_of_usage_cost_linear_time() -> None:
    def report(usage: dict[str, Any]) -> bytes:
        return _event({"type": "message_delta", "delta": {}, "usage": usage}, "d")

    taken = [{"type": "compaction", "input_tokens": 1}] * 20_000
    seen = _feed("anthropic_messages", [report({"iterations": taken}), *[report({"output_tokens": 3})] * 20_000])
    usage = fold(seen).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (20_000, 3)


def test_a_great_many_sources_of_a_long_text_cost_linear_time() -> None:
    text = "aü" * 200_000
    size = len(text.encode())
    cited = [{"uri": f"u{n}", "startIndex": 3 * n, "endIndex": size} for n in range(100_000)]
    found: dict[str, Any] = {"groundingChunks": [{"web": {"uri": "w"}}]}
    segment = {"startIndex": 0, "endIndex": size}
    found["groundingSupports"] = [{"segment": segment, "groundingChunkIndices": [0]}] * 20_000
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    candidate |= {"citationMetadata": {"citationSources": cited}, "groundingMetadata": found}
    read = fold(DIALECTS["gemini_generate"].decode(orjson.dumps({"candidates": [candidate]})))
    citations = read.citations or []
    assert [(c.start, c.end) for c in (citations[0], citations[99_999], citations[-1])] == [
        (0, len(text)),
        (2 * 99_999, len(text)),
        (0, len(text)),
    ]


# Errors -------------------------------------------------------------------------------------------------------------

_MB = 1_000_000
_UNSEEN = "\x00\x1b[31m\x85\x9b\u061c\u200b\u200e\u200f\u2028\u202e\u2060\u2066\u2069\ufeff\ufff9\U000e0041"
_BAD = f"m {_UNSEEN}"
ERROR_BODIES: dict[str, bytes] = {
    "tags": b"<" * _MB,
    "open tags": b"<a" * _MB,
    "brackets": b"[" * _MB,
    "quotes": orjson.dumps({"error": "model '" * (_MB // 7)}),
    "a model": orjson.dumps({"error": "model '" + "a" * _MB + "' not found"}),
    "braces": orjson.dumps({"error": "{" * _MB}),
    "long": orjson.dumps({"error": {"message": "a" * _MB, "code": "c" * _MB, "type": "t" * _MB, "status": "s" * _MB}}),
    "digits": orjson.dumps({"error": {"message": f"The input token count ({'1' * _MB}", "status": "INVALID_ARGUMENT"}}),
    "blanks": orjson.dumps({"message": " " * _MB + "x", "error": {"message": " " * _MB + "x"}}),
    "details": orjson.dumps({"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "1" * _MB}, {"@type": []}]}}),
    "unseen": orjson.dumps(
        {"error": {"message": _BAD, "code": _BAD, "type": _BAD, "status": _BAD}, "request_id": _BAD}
    ),
    "unseen at the top": orjson.dumps({"message": _BAD, "detail": _BAD, "error": _BAD}),
    "unseen and no JSON": (_BAD * 50).encode(),
    "no UTF-8": b"\xff\xfe" * 1000,
    "nothing": b"",
    "null": b"null",
    "lists": b"[[[]]]",
    "a list": b'{"error":[1,{"message":"x"}]}',
}
HEADERS = {
    "x-request-id": _BAD * 50,
    "request-id": _BAD,
    "apim-request-id": _BAD,
    "x-debug-trace-id": _BAD,
    "retry-after": "9" * 200,
    "date": "x" * _MB,
    "x-ratelimit-reset-requests": "1h" * 5000,
    "anthropic-ratelimit-tokens-reset": "2" * _MB,
}


@pytest.mark.parametrize("body", ERROR_BODIES.values(), ids=ERROR_BODIES)
@pytest.mark.parametrize("name", DIALECTS)
def test_whatever_an_error_says_it_is_shown_short_and_in_characters_that_do_no_harm(name: str, body: bytes) -> None:
    for status in (-1, 200, 302, 400, 404, 413, 429, 500, 999):
        error = DIALECTS[name].classify(status, HEADERS, body)
        shown = f"{error}{error.message}{error.code}{error.request_id}{error.hint}"
        assert len(shown) < 3000
        odd = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}
        assert not [char for char in shown if unicodedata.category(char) in odd]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "said",
    [
        "prompt is too long",
        "the prompt is longer than the context length 5",
        "input length exceeds the context length",
        "The input token count (5) exceeds the maximum number of tokens allowed (4).",
        "too many tokens: 5",
        "context_length_exceeded",
    ],
)
def test_a_prompt_that_an_error_quotes_does_not_say_what_the_error_is(name: str, said: str) -> None:
    for quoted in (f"Invalid value: {said!r}", f"messages.0: unexpected text\n{said}"):
        inner = {"message": quoted, "type": "invalid_request_error", "status": "INVALID_ARGUMENT", "code": 400}
        for body in ({"error": inner, "message": quoted}, {"error": quoted}, {"message": quoted}, quoted):
            error = DIALECTS[name].classify(400, {}, orjson.dumps(body))
            assert not isinstance(error, ContextLengthError), body
