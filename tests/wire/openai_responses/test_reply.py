"""Reading replies and streams of this dialect, where a case folder cannot say it: what is garbage, and what is too large."""

import json
import random
from functools import partial
from typing import Any

import pytest

from llmring.exceptions import (
    LLMRingError,
    MalformedResponseError,
    ProviderError,
    ResponseTooLargeError,
    StreamInterruptedError,
)
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, Message
from llmring.schemas.events import Event, TextDelta
from llmring.schemas.fold import fold
from llmring.wire.base import MAX_LINE_BYTES, Target
from llmring.wire.openai_responses import DIALECT

SEED = 20261121
CREATED: dict[str, Any] = {
    "type": "response.created",
    "response": {"id": "resp_1", "model": "m", "status": "in_progress", "output": []},
}
COMPLETED: dict[str, Any] = {
    "type": "response.completed",
    "response": {"id": "resp_1", "model": "m", "status": "completed", "output": []},
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}


def sse(*events: Any) -> bytes:
    return b"".join(b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events)


def read(*events: Any) -> list[Event]:
    decoder = DIALECT.decode_stream()
    return [*decoder.feed(sse(*events)), *decoder.close()]


def reply(*output: Any, **more: Any) -> bytes:
    return json.dumps({"id": "resp_1", "model": "m", "status": "completed", "output": list(output), **more}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"output": {}}',
        b'{"output": [1]}',
        b'{"output": [{}]}',
        b'{"output": [{"type": 7}]}',
        b'{"output": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}',
        b'{"output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": 7}]}',
        b'{"output": [{"type": "computer_call"}]}',
        b'{"output": [], "status": "queued"}',
        b'{"output": [], "status": "in_progress"}',
    ],
)
def test_what_is_no_reply_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        DIALECT.decode(data)


@pytest.mark.parametrize(
    "event",
    [
        7,
        [],
        {"type": "response.failed"},
        {"type": "response.output_item.added", "item": 3},
        {"type": "response.output_item.done"},
        {"type": "response.output_text.delta"},
        {"type": "response.output_text.delta", "delta": 7},
        {"type": "response.function_call_arguments.delta", "delta": "{}", "item_id": "fc_9"},
        {"type": "response.custom_tool_call_input.delta", "delta": "x", "output_index": 4},
        {"type": "response.reasoning_text.delta", "delta": None},
        {"type": "response.refusal.delta"},
        {"type": "response.completed", "response": []},
    ],
)
def test_an_event_that_is_none_is_malformed(event: Any) -> None:
    decoder = DIALECT.decode_stream()
    assert len(decoder.feed(sse(CREATED, event))) == 1
    assert decoder.finished
    with pytest.raises(MalformedResponseError):
        decoder.close()


def test_garbage_gives_events_or_a_typed_error_and_nothing_else() -> None:
    dice = random.Random(SEED)
    whole = sse(CREATED, {"type": "response.output_item.added", "output_index": 0, "item": CALL}, COMPLETED)
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        for run in (DIALECT.decode_stream().feed, DIALECT.decode):
            try:
                run(bytes(data))
            except LLMRingError:
                pass


def test_values_of_any_kind_in_any_place_give_events_or_a_typed_error() -> None:
    values: list[Any] = [None, True, 7, -1, 1.5, "", "x", [], [1], {}, {"a": 1}]
    item = {**CALL, "summary": 1, "content": 1, "phase": 1, "encrypted_content": 1}
    for kind in ("message", "reasoning", "function_call", "custom_tool_call", "computer_call", "web_search_call"):
        for name in [*item, "action", "actions", "input"]:
            for value in values:
                broken = {**item, "type": kind, name: value}
                done = {"type": "response.output_item.done", "output_index": 0, "item": broken}
                for run in (partial(DIALECT.decode, reply(broken)), partial(read, CREATED, done, COMPLETED)):
                    try:
                        fold(run())
                    except ProviderError:
                        pass


def test_a_line_past_the_cap_is_refused() -> None:
    decoder = DIALECT.decode_stream()
    with pytest.raises(ResponseTooLargeError):
        decoder.feed(b"data: " + b"x" * (MAX_LINE_BYTES + 1))


def test_json_past_the_depth_cap_is_refused() -> None:
    with pytest.raises(ResponseTooLargeError):
        DIALECT.decode(b'{"output": ' + b"[" * 80 + b"]" * 80 + b"}")


def test_nothing_is_read_behind_the_end() -> None:
    decoder = DIALECT.decode_stream()
    decoder.feed(sse(CREATED, COMPLETED))
    assert decoder.finished
    assert decoder.feed(sse({"type": "error", "message": "late"})) == []
    assert decoder.close() == []


def test_an_error_is_raised_again_at_each_call() -> None:
    decoder = DIALECT.decode_stream()
    with pytest.raises(StreamInterruptedError):
        decoder.close()
    with pytest.raises(StreamInterruptedError):
        decoder.close()
    with pytest.raises(StreamInterruptedError):
        decoder.feed(b"")


def test_a_text_that_came_in_pieces_is_not_said_twice() -> None:
    item = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hello"}]}
    events = read(
        CREATED,
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hello"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        COMPLETED,
    )
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hello"]


def test_items_that_all_stand_under_index_0_are_told_apart_by_their_ids() -> None:
    calls = [{**CALL, "id": f"fc_{n}", "call_id": f"call_{n}"} for n in range(2)]
    done = [{"type": "response.output_item.done", "output_index": 0, "item": call} for call in calls]
    assert [call.id for call in fold(read(CREATED, *done, COMPLETED)).tool_calls or ()] == ["call_0", "call_1"]


def test_arguments_that_are_an_object_become_text() -> None:
    response = fold(DIALECT.decode(reply({**CALL, "arguments": {"a": 1}})))
    assert response.tool_calls is not None
    assert response.tool_calls[0].arguments == {"a": 1}


@pytest.mark.spec("S11")
def test_an_answer_that_thinking_used_up_is_empty_and_no_error() -> None:
    thought: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
    data = reply(thought, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    response = fold(DIALECT.decode(data))
    assert (response.content, response.finish_reason, response.error) == ("", "length", None)


@pytest.mark.spec("K05", "K06")
def test_an_answer_goes_back_as_it_came() -> None:
    output: list[dict[str, Any]] = [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Look."}],
            "encrypted_content": "gAAA",
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "One moment."}],
        },
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"},
        CALL,
    ]
    message = fold(DIALECT.decode(reply(*output))).to_message()
    again = Message.from_dict(json.loads(json.dumps(message.to_dict())))
    request = LLMRequest(model="m", messages=["Hi", again, Message.tool_result("call_1", "ok")])
    body = DIALECT.encode(request, Target("openai", "m", ModelInfo("openai:m")), stream=False).body
    assert body["input"][1:-1] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Look."}],
            "encrypted_content": "gAAA",
        },
        {"role": "assistant", "content": "One moment.", "phase": "commentary"},
        output[2],
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
    ]
