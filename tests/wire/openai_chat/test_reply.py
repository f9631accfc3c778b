"""Replies and streams: what they mean where servers differ, what is refused, and that both sides of the dialect
agree."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import (
    MalformedResponseError,
    ProviderError,
    ProviderRateLimitError,
    ResponseTooLargeError,
    StreamInterruptedError,
)
from llmring.schemas import Usage
from llmring.schemas.events import Event, Finished, TextDelta, ToolCallEnd, ToolCallStart
from llmring.schemas.fold import fold
from llmring.wire.base import MAX_JSON_DEPTH
from llmring.wire.event_stream import MAX_BARE_BYTES
from llmring.wire.openai_chat import DIALECT
from llmring.wire.openai_chat.response import read_usage

CASES = sorted(path for path in (Path(__file__).parents[1] / "cases" / "openai_chat").iterdir() if path.is_dir())
STREAMS = [(case / "wire_stream.sse").read_bytes() for case in CASES if (case / "wire_stream.sse").exists()]
REPLIES = [(case / "wire_reply.json").read_bytes() for case in CASES if (case / "wire_reply.json").exists()]


def _reply(message: object, **choice: Any) -> bytes:
    return orjson.dumps({"id": "r", "model": "m", "choices": [{"index": 0, "message": message, **choice}]})


def _chunk(delta: object, finish: object = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "r", "model": "m", "choices": [choice], **more}) + b"\n\n"


def _stream(*frames: bytes) -> list[Event]:
    decoder = DIALECT.decode_stream()
    events = [event for frame in frames for event in decoder.feed(frame)]
    return events + decoder.close()


DONE = b"data: [DONE]\n\n"
STOP = _chunk({}, "stop")


# Finish reasons -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("S04")
@pytest.mark.parametrize(
    ("raw", "with_calls", "reason", "kept"),
    [
        ("stop", False, "stop", "stop"),
        ("length", False, "length", "length"),
        ("length", True, "length", "length"),
        ("tool_calls", True, "tool_calls", "tool_calls"),
        ("function_call", True, "tool_calls", "function_call"),
        ("content_filter", False, "content_filter", "content_filter"),
        ("error", False, "error", "error"),
        ("stop", True, "tool_calls", "stop"),
        ("eos", False, "stop", "eos"),
        ("eos_token", False, "stop", "eos_token"),
        ("stop_sequence", False, "stop", "stop_sequence"),
        ("end_turn", False, "stop", "end_turn"),
        ("end_turn", True, "tool_calls", "end_turn"),
        ("COMPLETE", False, "stop", "COMPLETE"),
        ("max_tokens", False, "length", "max_tokens"),
        ("MAX_TOKENS", False, "length", "MAX_TOKENS"),
        ("model_length", False, "length", "model_length"),
        ("model_context_window_exceeded", False, "length", "model_context_window_exceeded"),
        ("tool_use", True, "tool_calls", "tool_use"),
        ("TOOL_CALL", True, "tool_calls", "TOOL_CALL"),
        ("SAFETY", False, "content_filter", "SAFETY"),
        ("RECITATION", False, "content_filter", "RECITATION"),
        ("PROHIBITED_CONTENT", False, "content_filter", "PROHIBITED_CONTENT"),
        ("guardrail_intervened", False, "content_filter", "guardrail_intervened"),
        ("refusal", False, "content_filter", "refusal"),
        ("abort", False, "error", "abort"),
        ("insufficient_system_resource", True, "error", "insufficient_system_resource"),
        ("a word of tomorrow", False, "error", "a word of tomorrow"),
        ("", False, "stop", None),
        (None, False, "stop", None),
    ],
)
def test_finish_reasons_are_put_into_our_words_and_kept_as_said(
    raw: str | None, with_calls: bool, reason: str, kept: str | None
) -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}] if with_calls else None
    last = DIALECT.decode(_reply({"content": "x", "tool_calls": calls}, finish_reason=raw))[-1]
    assert last == Finished(reason, kept)  # pyright: ignore[reportArgumentType]


@pytest.mark.spec("X01")
@pytest.mark.parametrize("frames", [[DONE], [_chunk({"content": "x"}), DONE], [_chunk({}, ""), DONE]], ids=range(3))
def test_a_stream_that_says_done_without_saying_why_is_interrupted(frames: list[bytes]) -> None:
    decoder = DIALECT.decode_stream()
    seen = [event for frame in frames[:-1] for event in decoder.feed(frame)]
    with pytest.raises(StreamInterruptedError, match="without a finish reason"):
        decoder.feed(frames[-1])
    assert not any(isinstance(event, Finished) for event in seen)


@pytest.mark.spec("X01")
def test_a_finish_reason_without_the_terminal_event_is_no_end() -> None:
    with pytest.raises(StreamInterruptedError):
        _stream(_chunk({"content": "x"}), STOP)
    assert _stream(_chunk({"content": "x"}), STOP, DONE)[-1] == Finished("stop", "stop")


def test_what_comes_after_the_terminal_event_is_not_read() -> None:
    decoder = DIALECT.decode_stream()
    decoder.feed(STOP + DONE)
    assert decoder.finished
    assert decoder.feed(b"data: garbage\n\n") == []
    assert decoder.close() == decoder.close() == []


@pytest.mark.spec("X01")
def test_an_error_does_not_swallow_the_events_before_it_and_is_raised_next() -> None:
    decoder = DIALECT.decode_stream()
    events = decoder.feed(_chunk({"content": "x"}) + b"data: {nope\n\n" + _chunk({"content": "y"}))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["x"]
    assert decoder.finished
    for again in (decoder.close, lambda: decoder.feed(b"data: x\n\n"), decoder.close):
        with pytest.raises(MalformedResponseError):
            again()


def _end(data: bytes) -> ProviderError:
    """The error that a stream of these bytes ends with, which `close` raises each time it is asked."""
    decoder = DIALECT.decode_stream()
    decoder.feed(data)
    errors = list[ProviderError]()
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            decoder.close()
        errors.append(caught.value)
    assert errors[0] is errors[1]
    return errors[0]


ERROR = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'


@pytest.mark.spec("U17")
@pytest.mark.parametrize(
    "tail",
    [
        b"data: " + ERROR,
        b"data: " + ERROR + b"\r",
        b'event: error\ndata: {"message":"slow down","type":"rate_limit_error"}\n',
        b'data: {"object":"error","message":"slow down","type":"rate_limit_error","code":429}',
    ],
    ids=["in a line without end", "in a line", "by the event's name", "by object"],
)
def test_an_error_at_the_end_counts_without_its_blank_line(tail: bytes) -> None:
    for before in (b"", _chunk({"content": "x"})):
        error = _end(before + tail)
        assert isinstance(error, ProviderRateLimitError)
        assert "slow down" in error.message


@pytest.mark.spec("U17")
@pytest.mark.parametrize(
    "body", [ERROR, b"\xef\xbb\xbf\r\n " + ERROR + b"\n", b"[\n" + ERROR + b"\n]\n"], ids=["bare", "blank", "in a list"]
)
def test_a_bare_error_in_the_place_of_a_stream_counts(body: bytes) -> None:
    assert isinstance(_end(body), ProviderRateLimitError)


@pytest.mark.spec("X01")
@pytest.mark.parametrize(
    "data",
    [
        b"data: " + ERROR[:-1],
        ERROR[:-1],
        ERROR + _chunk({"content": "x"}),
        _chunk({"content": "x"}) + ERROR,
        b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}',
        b'{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}',
        b'{"error": null}',
        b"[]",
        b'{"error":{"message":"' + b"x" * MAX_BARE_BYTES + b'"}}',
    ],
    ids=range(9),
)
def test_what_is_cut_or_no_error_at_the_end_is_an_interruption(data: bytes) -> None:
    assert type(_end(data)) is StreamInterruptedError


# Usage --------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("P07")
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, Usage(3, 4)),
        (
            {
                "prompt_tokens": 30,
                "completion_tokens": 40,
                "total_tokens": 70,
                "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 32},
            },
            Usage(30, 40, cache_read_tokens=20, cache_write_tokens=5, reasoning_tokens=32),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 35,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(10, 25, reasoning_tokens=20),
        ),
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": "4", "prompt_tokens_details": None}, Usage()),
        (
            {
                "prompt_tokens": 12.0,
                "completion_tokens": 3.0,
                "total_tokens": 17.0,
                "completion_tokens_details": {"reasoning_tokens": 2.0},
            },
            Usage(12, 5, reasoning_tokens=2),
        ),
        ({"prompt_tokens": 1.5, "completion_tokens": 1e300}, Usage()),
        ({"prompt_tokens": -3.0, "completion_tokens": 2.0**53}, Usage()),
        ({"prompt_tokens": -3, "completion_tokens": True, "completion_tokens_details": [1]}, Usage()),
    ],
    ids=[
        "plain",
        "details",
        "reasoning on top of the completion",
        "empty",
        "no numbers",
        *("floats", "parts", "too many"),
        "nonsense",
    ],
)
def test_usage_is_read(given: dict[str, Any], wanted: Usage) -> None:
    assert read_usage(given) == wanted


# Tool calls ---------------------------------------------------------------------------------------------------------


def _piece(**fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return {**fields, "function": function}


def _calls(*deltas: dict[str, Any] | list[dict[str, Any]]) -> tuple[list[Event], list[tuple[str, str, str]]]:
    frames = [_chunk({"tool_calls": delta if isinstance(delta, list) else [delta]}) for delta in deltas]
    events = _stream(*frames, _chunk({}, "tool_calls"), DONE)
    return events, [(call.id, call.name, call.raw_arguments) for call in fold(events).tool_calls or ()]


@pytest.mark.parametrize(
    ("deltas", "wanted"),
    [
        ([_piece(index=0, id="a", name="f"), _piece(index=0, arguments="{}")], [("a", "f", "{}")]),
        ([_piece(index=0, id="a", name="f", arguments=None)], [("a", "f", "")]),
        (
            [_piece(index=0, name="f", arguments="{}"), _piece(index=1, name="g")],
            [("call_0", "f", "{}"), ("call_1", "g", "")],
        ),
        ([_piece(index=5, id="a", name="f"), _piece(index=2, id="b", name="g")], [("a", "f", ""), ("b", "g", "")]),
        (
            [_piece(id="a", name="f"), _piece(id="b", name="g"), _piece(id="a", arguments="{}")],
            [("a", "f", "{}"), ("b", "g", "")],
        ),
        (
            [[_piece(name="f", arguments="1"), _piece(name="g", arguments="2")]],
            [("call_0", "f", "1"), ("call_1", "g", "2")],
        ),
        (
            [_piece(index=0, id="a", arguments="{"), _piece(index=0, name="f"), _piece(index=0, arguments="}")],
            [("a", "f", "{}")],
        ),
        ([_piece(index=0, id="a", name="f", arguments={"x": 1})], [("a", "f", '{"x":1}')]),
        (
            [_piece(index=0, id="a", name="f", arguments="{}"), _piece(index=0, id="b", arguments="")],
            [("a", "f", "{}")],
        ),
        (
            [_piece(id="f", name="f", arguments='{"x":"}"}'), _piece(id="f", name="f", arguments='{"x":2}')],
            [("f", "f", '{"x":"}"}'), ("f", "f", '{"x":2}')],
        ),
        (
            [[_piece(id="f", name="f", arguments="{}"), _piece(id="f", name="f", arguments={"x": 2})]],
            [("f", "f", "{}"), ("f", "f", '{"x":2}')],
        ),
        (
            [_piece(name="f", arguments="{}"), _piece(name="f", arguments="{}")],
            [("call_0", "f", "{}"), ("call_1", "f", "{}")],
        ),
        ([_piece(id="a", name="f"), _piece(id="a", name="g")], [("a", "f", ""), ("a", "g", "")]),
        (
            [
                _piece(id="a", name="f", arguments='{"x":"\\'),
                *(_piece(id="a", name="f", arguments=piece) for piece in ('"}', '", "y":{', "}", "}", " ", "")),
            ],
            [("a", "f", '{"x":"\\"}", "y":{}} ')],
        ),
        (
            [
                *(_piece(id="f", name="f", arguments=piece) for piece in "{}"),
                *(_piece(id="f"), _piece(id="f", name="f", arguments="{"), _piece(id="f", arguments="}")),
            ],
            [("f", "f", "{}"), ("f", "f", "{}")],
        ),
    ],
)
def test_the_pieces_of_a_call_find_each_other(deltas: list[Any], wanted: list[tuple[str, str, str]]) -> None:
    events, calls = _calls(*deltas)
    assert calls == wanted
    starts = [event.index for event in events if isinstance(event, ToolCallStart)]
    assert starts == list(range(len(wanted)))
    assert sorted(event.index for event in events if isinstance(event, ToolCallEnd)) == starts


def test_a_call_ends_at_the_next_one_only_where_nothing_can_follow() -> None:
    whole, _ = _calls(_piece(index=0, id="a", name="f", arguments="{}"), _piece(index=1, id="b", name="g"))
    begun, _ = _calls(_piece(index=0, id="a", name="f", arguments="{"), _piece(index=1, id="b", name="g"))
    order = [
        [type(event) for event in events if isinstance(event, (ToolCallStart, ToolCallEnd))]
        for events in (whole, begun)
    ]
    assert order[0] == [ToolCallStart, ToolCallEnd, ToolCallStart, ToolCallEnd]
    assert order[1] == [ToolCallStart, ToolCallStart, ToolCallEnd, ToolCallEnd]


@pytest.mark.parametrize("index", [{}, {"index": 0}], ids=["without an index", "all with index 0"])
@pytest.mark.parametrize("names", ["fff", "fgf"])
def test_each_item_of_a_plain_reply_is_a_call_whatever_its_id(names: str, index: dict[str, int]) -> None:
    calls = [_piece(**index, id="c", name=name, arguments=f"[{n}") for n, name in enumerate(names)]
    read = fold(DIALECT.decode(_reply({"tool_calls": calls}))).tool_calls or []
    assert [(call.id, call.name, call.raw_arguments) for call in read] == [
        ("c", name, f"[{n}") for n, name in enumerate(names)
    ]


def test_a_call_said_in_both_words_is_one_call() -> None:
    function = {"name": "f", "arguments": "{}"}
    message = {"tool_calls": [{"id": "a", "function": function}], "function_call": function}
    read = fold(DIALECT.decode(_reply(message))).tool_calls or []
    assert [(call.id, call.raw_arguments) for call in read] == [("a", "{}")]


def test_a_call_in_a_great_many_named_pieces_costs_linear_time() -> None:
    # Counted by the test's own time limit: reading all arguments again with each piece would take minutes.
    head, piece = (
        _piece(id="a", name="f", arguments='{"x":"' + "y" * 500_000),
        _piece(id="a", name="f", arguments="}" * 50),
    )
    _, calls = _calls(head, [piece] * 10_000)
    assert len(calls) == 1


def test_a_great_many_calls_cost_linear_time() -> None:
    # Counted by the test's own time limit: comparing each call with all before it would take minutes.
    many = [{"id": f"c{n}", "function": {"name": "f"}} for n in range(10_000)]
    events, calls = _calls(many)
    assert len(calls) == len(many)
    assert sum(isinstance(event, ToolCallEnd) for event in events) == len(many)


@pytest.mark.spec("S07")
def test_a_refusal_stands_apart_from_content_and_finish_reason() -> None:
    response = fold(DIALECT.decode(_reply({"content": None, "refusal": "No."}, finish_reason="stop")))
    assert (response.refusal, response.content, response.finish_reason) == ("No.", "", "stop")


def test_other_choices_than_the_first_are_not_read() -> None:
    body = {"choices": [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]}
    assert fold(DIALECT.decode(orjson.dumps(body))).content == "a"
    other = _chunk({}).replace(b'"index":0,"delta":{}', b'"index":1,"delta":{"content":"b"}')
    assert fold(_stream(_chunk({"content": "a"}), other, STOP, DONE)).content == "a"


# What is refused ----------------------------------------------------------------------------------------------------

NO_REPLIES = [
    b"",
    b"[]",
    b"null",
    b'"x"',
    b"{}",
    b'{"choices": null}',
    b'{"choices": []}',
    b'{"choices": [7]}',
    b'{"choices": [{"index": 1, "message": {}}]}',
    b'{"choices": [{"index": 0}]}',
    b'{"choices": [{"message": "x"}]}',
    _reply({"content": 7}),
    _reply({"tool_calls": {}}) + b"x",
    _reply({"tool_calls": "x"}),
    _reply({"tool_calls": [7]}),
    _reply({"tool_calls": [{"id": "a"}]}),
    _reply({"tool_calls": [{"id": "a", "function": 7}]}),
    _reply({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": 7}}]}),
]


@pytest.mark.parametrize("body", NO_REPLIES, ids=range(len(NO_REPLIES)))
def test_a_reply_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        DIALECT.decode(body)


NO_CHUNKS = [
    b"data: nope\n\n",
    b"data: []\n\n",
    b'data: {"choices": 7}\n\n',
    b'data: {"choices": [7]}\n\n',
    _chunk(7),
    _chunk({"content": 7}),
    _chunk({"tool_calls": 7}),
    _chunk({"tool_calls": [{"index": 0, "id": "a"}]}) + STOP,
]


@pytest.mark.parametrize("data", NO_CHUNKS, ids=range(len(NO_CHUNKS)))
def test_a_chunk_that_is_none_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        _stream(data, DONE)


def test_json_nested_past_the_cap_is_refused() -> None:
    deep = b"[" * (MAX_JSON_DEPTH + 1) + b"]" * (MAX_JSON_DEPTH + 1)
    with pytest.raises(ResponseTooLargeError):
        DIALECT.decode(b'{"x": ' + deep + b"}")
    with pytest.raises(ResponseTooLargeError):
        _stream(b'data: {"x": ' + deep + b"}\n\n")
    with pytest.raises(ResponseTooLargeError):
        DIALECT.decode(b"[" * 100_000)


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
    for given_bytes in (data, b"data: " + data + b"\n\n", b'data: {"choices":[{"delta":' + data):
        _outcome(given_bytes)
    with pytest.raises(ProviderError):
        DIALECT.decode(data)


NONSENSE: st.SearchStrategy[Any] = st.sampled_from(
    list[Any]([None, 0, -1, 1e300, True, "", "x", [], [[]], [None], {}, {"a": 1}, {"index": {}}])
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
            chunk = json.loads(frame[6:])
        except ValueError:
            return  # a frame of several lines; the byte mutations below take care of it
        frames[n] = b"data: " + orjson.dumps(_mutate(chunk, draw, nonsense) if n == place else chunk) + b"\n"
    _outcome(b"\n".join(frames) + b"\n" + DONE)


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
