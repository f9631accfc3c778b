"""Hostile and broken replies: events or a typed error, never another exception; and what a stream costs."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import LLMRingError, MalformedResponseError, ResponseTooLargeError, StreamInterruptedError
from llmring.schemas.events import Event, Finished
from llmring.schemas.fold import fold
from llmring.wire.base import MAX_LINE_BYTES
from llmring.wire.ollama_chat import DIALECT


def line(message: Any = None, **rest: Any) -> bytes:
    given = {"role": "assistant", "content": ""} if message is None else message
    return orjson.dumps({"model": "m", "message": given, "done": False, **rest}) + b"\n"


END = line(done=True, done_reason="stop", prompt_eval_count=1, eval_count=1)

BROKEN: list[Any] = [
    [],
    {"message": "text", "done": True},
    {"message": {"content": 7}, "done": True},
    {"message": {"content": ["x"]}, "done": True},
    {"message": {"thinking": {}, "x": 1, "content": "a"}, "done": True, "x": {}},
    {"message": {"tool_calls": {"a": 1}}, "done": True},
    {"message": {"tool_calls": ["x"]}, "done": True},
    {"message": {"tool_calls": [{"function": {"arguments": {}}}]}, "done": True},
    {"message": {"tool_calls": [{"function": {"name": ""}}]}, "done": True},
    {"message": {"content": "one line of a stream"}, "done": False},
    {"done": True},
    {},
]


@pytest.mark.parametrize("body", [body for body in BROKEN if body != BROKEN[4]], ids=str)
def test_what_is_no_reply_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedResponseError):
        DIALECT.decode(orjson.dumps(body))


@pytest.mark.spec("RT02")
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "message",
                        "content",
                        "thinking",
                        "tool_calls",
                        "function",
                        "name",
                        "arguments",
                        "done",
                        "done_reason",
                        "error",
                        "logprobs",
                        "prompt_eval_count",
                        "id",
                    ]
                ),
                c,
            )
        ),
        max_leaves=12,
    )
)
@settings(deadline=None, max_examples=200)
def test_any_json_gives_events_or_a_typed_error(value: Any) -> None:
    data = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) if not _huge(value) else b"{}"
    for read in (DIALECT.decode, _decode_line):
        try:
            fold(read(data))
        except LLMRingError:
            pass


def _decode_line(data: bytes) -> list[Event]:
    return DIALECT.decode_stream().feed(data + b"\n")


def _huge(value: Any) -> bool:
    return any(len(digits) > 18 for digits in json.dumps(value).replace("-", " ").split())


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_give_events_or_a_typed_error(data: bytes) -> None:
    decoder = DIALECT.decode_stream()
    try:
        decoder.feed(data)
        decoder.close()
    except LLMRingError:
        assert decoder.finished


def test_broken_json_after_good_lines_keeps_what_came_before_it() -> None:
    decoder = DIALECT.decode_stream()
    seen = decoder.feed(line({"content": "good"}) + b"{broken\n")
    assert fold(seen).content == "good"
    assert decoder.finished
    for again in (decoder.close, lambda: decoder.feed(END)):
        with pytest.raises(MalformedResponseError):
            again()


def test_an_end_is_an_end_whatever_follows_it() -> None:
    decoder = DIALECT.decode_stream()
    seen = decoder.feed(line({"content": "x"}) + END + b"{broken\n")
    assert decoder.finished
    assert decoder.feed(b"more") == []
    assert decoder.close() == []
    assert isinstance(seen[-1], Finished)


@pytest.mark.parametrize("data", [b"", b"\n\n", line({"content": "x"}), line({"content": "x"})[:-5]])
def test_bytes_that_end_without_done_are_an_interruption(data: bytes) -> None:
    decoder = DIALECT.decode_stream()
    decoder.feed(data)
    with pytest.raises(StreamInterruptedError):
        decoder.close()
    with pytest.raises(StreamInterruptedError):
        decoder.close()


def test_an_endless_line_is_refused() -> None:
    decoder = DIALECT.decode_stream()
    with pytest.raises(ResponseTooLargeError):
        for _ in range(MAX_LINE_BYTES // 65536 + 2):
            decoder.feed(b"x" * 65536)


def test_calls_without_ids_and_with_the_same_id_are_told_apart() -> None:
    def call(**more: Any) -> dict[str, Any]:
        return {"function": {"name": "f", "arguments": {}}, **more}

    lines = [line({"tool_calls": [call(), call(id="a")]}), line({"tool_calls": [call(id="a"), call(id="")]}), END]
    decoder = DIALECT.decode_stream()
    calls = fold([*decoder.feed(b"".join(lines)), *decoder.close()]).tool_calls
    assert [c.id for c in calls or ()] == ["call_0", "a", "call_2", "call_3"]


def test_arguments_that_came_as_text_or_not_at_all_are_read() -> None:
    calls = [{"function": {"name": "f", "arguments": '{"a":1}'}}, {"function": {"name": "g"}}]
    response = fold(DIALECT.decode(line({"tool_calls": calls}, done=True)))
    assert [call.arguments for call in response.tool_calls or ()] == [{"a": 1}, {}]


def test_thinking_between_texts_keeps_its_place() -> None:
    lines = [line({"thinking": "a"}), line({"content": "b"}), line({"thinking": "c"}), line({"content": "d"}), END]
    decoder = DIALECT.decode_stream()
    response = fold(decoder.feed(b"".join(lines)))
    assert response.reasoning == "ac"
    assert [(block["type"], block["text"]) for block in response.blocks or ()] == [
        ("thinking", "a"),
        ("text", "b"),
        ("thinking", "c"),
        ("text", "d"),
    ]


def test_a_stream_is_read_line_by_line_without_waiting_for_more() -> None:
    decoder = DIALECT.decode_stream()
    seen: list[list[Event]] = [decoder.feed(line({"content": word})) for word in ("a", "b")]
    assert [len(events) for events in seen] == [2, 1]
