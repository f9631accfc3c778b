"""Replies and streams beyond the cases: what is no reply, what is cut, what is garbage, and what we write ourselves."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import (
    ConfigurationError,
    MalformedResponseError,
    ProviderError,
    ProviderResponseError,
    ResponseTooLargeError,
    StreamInterruptedError,
)
from llmring.registry.model_info import ModelInfo
from llmring.schemas import Citation, LLMResponse, Message, ToolCall, Usage
from llmring.schemas.events import Event, Finished, TextDelta
from llmring.schemas.fold import fold
from llmring.schemas.request import LLMRequest
from llmring.wire.anthropic_messages import DIALECT, encode_reply, encode_stream
from llmring.wire.base import MAX_JSON_DEPTH, Target

CASES = sorted(path for path in (Path(__file__).parents[1] / "cases" / "anthropic_messages").iterdir() if path.is_dir())
STREAMS = [path.read_bytes() for case in CASES if (path := case / "wire_stream.sse").exists()]
REPLIES = [path.read_bytes() for case in CASES if (path := case / "wire_reply.json").exists()]


def _frame(kind: str, **event: Any) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + orjson.dumps({"type": kind, **event}) + b"\n\n"


START = _frame("message_start", message={"id": "m1", "model": "c", "usage": {"input_tokens": 3, "output_tokens": 1}})
BEGIN = _frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
END = _frame("content_block_stop", index=0)
LAST = _frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
STOP = _frame("message_stop")


def _delta(index: object = 0, **delta: Any) -> bytes:
    return _frame("content_block_delta", index=index, delta=delta)


def _text(text: str) -> bytes:
    return _delta(type="text_delta", text=text)


def _read(*frames: bytes) -> list[Event]:
    decoder = DIALECT.decode_stream()
    events = [event for frame in frames for event in decoder.feed(frame)]
    return events + decoder.close()


def _reply(*blocks: Any, **fields: Any) -> bytes:
    return orjson.dumps({"type": "message", "content": list(blocks), "stop_reason": "end_turn", **fields})


# Ends ---------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("X01")
def test_a_stream_that_stops_without_saying_why_is_interrupted() -> None:
    with pytest.raises(StreamInterruptedError, match="without a stop reason"):
        _read(START, BEGIN, _text("x"), END, STOP)


@pytest.mark.spec("X01")
def test_a_stop_reason_without_the_terminal_event_is_no_end() -> None:
    decoder = DIALECT.decode_stream()
    events = decoder.feed(START + BEGIN + _text("x") + END + LAST)
    assert not decoder.finished
    with pytest.raises(StreamInterruptedError, match="before its end"):
        decoder.close()
    assert not any(isinstance(event, Finished) for event in events)


def test_what_comes_after_the_terminal_event_is_not_read() -> None:
    events = _read(START + LAST + STOP + BEGIN + b"data: nope\n\n", b"more")
    assert isinstance(events[-1], Finished)


@pytest.mark.spec("X01")
def test_an_error_does_not_swallow_the_events_before_it_and_is_raised_next() -> None:
    decoder = DIALECT.decode_stream()
    events = decoder.feed(START + BEGIN + _text("Hel") + b"event: x\ndata: nope\n\n")
    assert events[-1] == TextDelta("Hel")
    assert decoder.finished
    for again in (lambda: decoder.feed(STOP), decoder.close):
        with pytest.raises(MalformedResponseError):
            again()


@pytest.mark.spec("X01")
@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b": ping\n\n", b"{", b'{"x": 1}', b"event: message_stop\n", b"data: {}"]
)
def test_what_is_cut_or_no_error_at_the_end_is_an_interruption(data: bytes) -> None:
    with pytest.raises(StreamInterruptedError, match="before anything of an answer came"):
        _read(data)


def test_a_block_that_nobody_ended_ends_with_the_message() -> None:
    call: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
    piece = _delta(type="input_json_delta", partial_json='{"a": 1}')
    begin = _frame("content_block_start", index=0, content_block=call)
    response = fold(_read(START, begin, piece, LAST, STOP))
    assert response.tool_calls == [ToolCall("t1", "f", '{"a": 1}')]
    assert response.finish_reason == "tool_calls", "calls end the turn, whatever the word"


def test_input_of_a_server_tool_that_was_cut_is_kept_as_the_vendor_advises() -> None:
    call: dict[str, Any] = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    begin = _frame("content_block_start", index=0, content_block=call)
    response = fold(_read(START, begin, _delta(type="input_json_delta", partial_json='{"que'), END, LAST, STOP))
    assert response.blocks is not None
    assert response.blocks[0]["data"]["input"] == {"INVALID_JSON": '{"que'}


# What is none -------------------------------------------------------------------------------------------------------

NO_REPLIES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"content": null}',
    b'{"content": "x"}',
    _reply(7),
    _reply({"text": "x"}),
    _reply({"type": 7}),
    _reply({"type": "text"}),
    _reply({"type": "text", "text": 7}),
    _reply({"type": "thinking", "thinking": 7}),
    _reply({"type": "tool_use", "id": "t"}),
]


@pytest.mark.parametrize("body", NO_REPLIES, ids=range(len(NO_REPLIES)))
def test_a_reply_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        DIALECT.decode(body)


NO_EVENTS = [
    b"data: nope\n\n",
    b"data: []\n\n",
    _frame("message_start"),
    _frame("message_delta"),
    _frame("content_block_start", index=0),
    _frame("content_block_start", index="x", content_block={"type": "text", "text": ""}),
    BEGIN + _frame("content_block_delta", index=0),
    BEGIN + _delta(type="text_delta", text=7),
    BEGIN + _delta(index=1, type="thinking_delta", thinking="x"),
    BEGIN + _delta(type="input_json_delta", partial_json={}),
    BEGIN + _delta(type="thinking_delta", thinking=[]),
]


@pytest.mark.parametrize("data", NO_EVENTS, ids=range(len(NO_EVENTS)))
def test_an_event_that_is_none_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        _read(data, LAST, STOP)


def test_json_nested_past_the_cap_is_refused() -> None:
    deep = b"[" * (MAX_JSON_DEPTH + 1) + b"]" * (MAX_JSON_DEPTH + 1)
    with pytest.raises(ResponseTooLargeError):
        DIALECT.decode(b'{"x": ' + deep + b"}")
    with pytest.raises(ResponseTooLargeError):
        _read(b'event: ping\ndata: {"x": ' + deep + b"}\n\n")


def test_counts_that_are_none_are_zero() -> None:
    counts: dict[str, Any] = {
        "input_tokens": None,
        "output_tokens": "7",
        "cache_read_input_tokens": -1,
        "iterations": [7, {}],
    }
    assert fold(DIALECT.decode(_reply(usage=counts))).usage == Usage()


# Garbage ------------------------------------------------------------------------------------------------------------


def _outcome(data: bytes) -> None:
    """Events, or a typed error; anything else fails the test by itself."""
    decoder = DIALECT.decode_stream()
    try:
        for start in range(0, len(data), 97):
            for event in decoder.feed(data[start : start + 97]):
                assert isinstance(event, Event)
        decoder.close()
    except ProviderError:
        pass


@settings(max_examples=150, deadline=None, database=None)
@given(st.binary(max_size=300))
def test_random_bytes_give_events_or_a_typed_error(data: bytes) -> None:
    for given_bytes in (data, b"event: x\ndata: " + data + b"\n\n", b'data: {"type":"content_block_delta",' + data):
        _outcome(given_bytes)
    with pytest.raises(ProviderError):
        DIALECT.decode(data)


NONSENSE: st.SearchStrategy[Any] = st.sampled_from(
    list[Any]([None, 0, -1, 1e300, True, "", "x", [], [[]], [None], {}, {"a": 1}, {"type": {}}, {"type": "text"}])
)


def _mutate(value: Any, draw: random.Random, nonsense: Any) -> Any:
    """The value with one of its leaves or branches replaced."""
    kind = cast("Any", type(value))
    if kind not in (dict, list) or not value or draw.random() < 0.15:
        return nonsense
    copy: Any = value.copy()
    key = draw.choice(list(copy) if kind is dict else range(len(copy)))
    copy[key] = _mutate(copy[key], draw, nonsense)
    return copy


@settings(max_examples=300, deadline=None, database=None)
@given(st.sampled_from(STREAMS), st.randoms(use_true_random=False), NONSENSE)
def test_streams_with_one_value_replaced_give_events_or_a_typed_error(
    data: bytes, draw: random.Random, nonsense: object
) -> None:
    frames = [line for line in data.split(b"\n") if line.startswith(b"data: {")]
    place = draw.randrange(len(frames)) if frames else 0
    for n, frame in enumerate(frames):
        try:
            event = json.loads(frame[6:])
        except ValueError:
            return  # an event of several lines; the byte mutations below take care of it
        frames[n] = b"data: " + orjson.dumps(_mutate(event, draw, nonsense) if n == place else event) + b"\n"
    _outcome(b"\n".join(frames) + b"\n")


@settings(max_examples=300, deadline=None, database=None)
@given(st.sampled_from(STREAMS + REPLIES), st.data())
def test_truncated_and_scratched_bytes_give_events_or_a_typed_error(data: bytes, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(start, len(data)))
    scratched = data[:start] + draw.draw(st.binary(max_size=6)) + data[end:]
    _outcome(scratched)
    try:
        DIALECT.decode(scratched)
    except ProviderError:
        pass


@settings(max_examples=200, deadline=None, database=None)
@given(st.sampled_from(REPLIES), st.randoms(use_true_random=False), NONSENSE)
def test_replies_with_one_value_replaced_give_events_or_a_typed_error(
    data: bytes, draw: random.Random, nonsense: object
) -> None:
    try:
        body = json.loads(data)
    except ValueError:
        return
    try:
        DIALECT.decode(orjson.dumps(_mutate(body, draw, nonsense)))
    except ProviderError:
        pass


# The round trip -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("K06", "K05")
@pytest.mark.parametrize(
    "name", ["thinking_between_tool_calls", "thinking_omitted_and_redacted", "web_search_streamed"]
)
def test_an_answer_goes_back_as_it_came(name: str) -> None:
    reply = json.loads((CASES[0].parent / name / "wire_reply.json").read_bytes())
    said = fold(DIALECT.decode(orjson.dumps(reply))).to_message()
    request = LLMRequest(model="c", messages=[Message.user("Hi"), said, Message.user("Go on")], max_tokens=5)
    encoded = DIALECT.encode(request, Target("anthropic", "c", ModelInfo("anthropic:c")), stream=False)
    came = [{key: value for key, value in block.items() if key != "citations"} for block in reply["content"]]
    assert encoded.body["messages"][1] == {"role": "assistant", "content": came}
    assert encoded.warnings == []


# The server side ----------------------------------------------------------------------------------------------------

READ = {
    case.name: LLMResponse.from_dict(json.loads((case / "response.json").read_bytes()))
    for case in CASES
    if (case / "response.json").exists()
}
# The dialect has no word for an answer of which nobody knows whether it is whole.
ANSWERS = {name: response for name, response in READ.items() if response.finish_reason != "error"}


def _both_ways(response: LLMResponse) -> list[dict[str, Any]]:
    plain = fold(DIALECT.decode(orjson.dumps(encode_reply(response)))).to_dict()
    return [plain, fold(_read(*encode_stream(response))).to_dict()]


@pytest.mark.parametrize("response", ANSWERS.values(), ids=ANSWERS)
def test_what_we_write_as_a_server_we_read_as_a_client(response: LLMResponse) -> None:
    assert _both_ways(response) == [response.to_dict()] * 2


def _texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


RESPONSES = st.builds(
    LLMResponse,
    _texts(),
    model=st.just("m"),
    response_id=st.none() | st.just("r1"),
    finish_reason=st.sampled_from(["stop", "length", "content_filter"]),
    refusal=st.none() | _texts().filter(bool),
    usage=st.builds(Usage, st.integers(20, 99), st.integers(50, 99), reasoning_tokens=st.integers(0, 49)),
)


@settings(max_examples=100, deadline=None, database=None)
@given(RESPONSES, st.lists(st.tuples(_texts().filter(bool), st.dictionaries(_texts(), _texts())), max_size=3))
def test_any_answer_survives_both_ways(response: LLMResponse, calls: list[tuple[str, dict[str, str]]]) -> None:
    if calls:
        response.tool_calls = [ToolCall(f"c{n}", name, arguments) for n, (name, arguments) in enumerate(calls)]
        response.finish_reason = "tool_calls"
    wanted = response.to_dict()
    words = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
    wanted["raw_finish_reason"] = words[wanted["finish_reason"]]
    assert _both_ways(response) == [wanted] * 2


def test_citations_come_back_to_the_words_that_they_stood_at() -> None:
    first = Citation("https://a.b", "A", 0, 5, "par", {"type": "web_search_result_location", "encrypted_index": "e"})
    page = {"type": "page_location", "document_index": 0, "start_page_number": 1, "end_page_number": 2}
    second = Citation(None, "Doc", 9, 14, "sun", page)
    response = LLMResponse("Paris is sunny.", model="m", citations=[first, second], finish_reason="stop")
    texts = [block["text"] for block in encode_reply(response)["content"]]
    assert texts == ["Paris", " is ", "sunny", "."]
    for read in _both_ways(response):
        assert read["citations"] == [first, second]
        assert read["content"] == "Paris is sunny."


def test_a_stream_comes_in_words_and_pieces_and_ends_with_its_stop() -> None:
    call = ToolCall("c", "f", '{"city": "Paris", "days": 3}')
    frames = encode_stream(LLMResponse("one two  three\n", model="m", tool_calls=[call]))
    assert frames[-1] == STOP
    assert all(re.fullmatch(rb"event: \w+\ndata: [^\n]+\n\n", frame) for frame in frames)
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in frames]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert [delta["text"] for delta in deltas if "text" in delta] == ["one", " two", "  three", "\n"]
    assert sum("partial_json" in delta for delta in deltas) >= 3


@pytest.mark.parametrize("reason", ["error", "cancelled"])
def test_an_answer_that_failed_is_not_written_as_one(reason: Any) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        encode_reply(LLMResponse("x", finish_reason=reason))
    with pytest.raises(ConfigurationError, match=reason):
        encode_stream(LLMResponse("x", finish_reason=reason))


def test_what_another_dialect_alone_understands_is_not_written() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "provider", "dialect": "gemini_generate", "data": {}},
        {"type": "text", "text": "x"},
    ]
    assert encode_reply(LLMResponse("x", blocks=blocks))["content"] == [{"type": "text", "text": "x"}]


@pytest.mark.spec("U17")
@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_an_error_at_the_end_counts_without_its_blank_line(ending: bytes) -> None:
    tail = _frame("error", error={"type": "overloaded_error", "message": "Overloaded"})[:-2]
    with pytest.raises(ProviderResponseError, match="Overloaded"):
        _read(START + BEGIN, tail + ending)
