"""What comes back: its fields and shorthands, and a round trip that loses nothing."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llmring import exceptions
from llmring.exceptions import (
    AttemptRecord,
    ConfigurationError,
    LLMRingError,
    ProviderRateLimitError,
    ToolExecutionError,
)
from llmring.schemas import (
    Citation,
    LLMRequest,
    LLMResponse,
    Message,
    Role,
    StreamChunk,
    StreamEventType,
    TextPart,
    ThinkingPart,
    Timing,
    ToolCall,
    ToolUsePart,
    Usage,
)

CALL = ToolCall("call_1", "add", '{"a": 1}')
SEALED = {"type": "thinking", "text": "hm", "signature": "sealed"}


class Verdict(BaseModel):
    score: int
    id: uuid.UUID


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str]


class Plain:
    def __init__(self) -> None:
        self.name = "plain"
        self.inner = Point(1, ["a"])


def full() -> LLMResponse:
    return LLMResponse(
        "Hello",
        model="gpt-5.6-luna-2026",
        requested_model="fast",
        called_model="openai:gpt-5.6-luna",
        provider="openai",
        alias="fast",
        profile="default",
        usage=Usage(100, 50, cache_read_tokens=80, cache_write_tokens=5, cost=0.003),
        finish_reason="tool_calls",
        raw_finish_reason="tool_calls",
        tool_calls=[CALL],
        tool_results=[{"id": "call_1", "content": "3"}],
        parsed={"answer": None},
        reasoning="hm",
        blocks=[
            {"type": "thinking", "text": "hm", "signature": "sealed", "dialect": "anthropic_messages"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "call": 0},
        ],
        refusal="no",
        logprobs=[{"token": "Hello", "logprob": -0.1}],
        citations=[Citation("https://example.org", "t", 0, 5)],
        error=ProviderRateLimitError("slow down", provider="openai", retry_after_s=2.5),
        id=7,
        response_id="resp_1",
        request_id="req_1",
        status_code=200,
        region="eu",
        timing=Timing(0.25, 1.5),
        warnings=["top_k is not sent"],
        attempts=[{"provider": "a", "error": "x"}],
        raw={"id": "resp_1", "choices": [{"n": None}]},
    )


@pytest.mark.spec("S01", "U11")
def test_a_response_has_every_field_of_the_seeds() -> None:
    response = full()
    assert (response.content, response.text, response.model, response.requested_model) == (
        "Hello",
        "Hello",
        "gpt-5.6-luna-2026",
        "fast",
    )
    assert (response.finish_reason, response.parsed, response.reasoning) == ("tool_calls", {"answer": None}, "hm")
    assert (response.id, response.status_code, response.region, response.response_id) == (7, 200, "eu", "resp_1")
    assert response.logprobs == [{"token": "Hello", "logprob": -0.1}]
    assert response.raw == {"id": "resp_1", "choices": [{"n": None}]}
    assert (response.cost, response.cache_hit) == (0.003, True)
    assert isinstance(response.error, ProviderRateLimitError)


@pytest.mark.spec("S01")
def test_an_empty_response_says_nothing_it_does_not_know() -> None:
    response = LLMResponse()
    assert response.to_dict() == dict.fromkeys(response.to_dict(), None) | {
        "content": "",
        "model": "",
        "requested_model": "",
        "called_model": "",
        "provider": "",
        "usage": dict(Usage()),
        "timing": {"ttft": None, "latency": None},
        "warnings": [],
        "attempts": [],
    }
    assert response.usage is not LLMResponse().usage


@pytest.mark.spec("U40", "U11")
def test_usage_and_tool_calls_are_real_json_data() -> None:
    response = full()
    usage = json.loads(json.dumps(response.usage))
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (100, 50, 150)
    assert (usage["cache_read_tokens"], usage["reasoning_tokens"], usage["cost"]) == (80, 0, 0.003)
    assert json.loads(json.dumps(response.tool_calls)) == [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    ]
    assert response.tool_calls is not None
    for item in (response.usage, *response.tool_calls):
        assert isinstance(item, dict)
        assert dict(item) == item
        assert item.get("nothing") is None


@pytest.mark.spec("S03")
def test_ok_and_has_tool_calls_tell_how_it_went() -> None:
    assert (LLMResponse().ok, LLMResponse().has_tool_calls) == (True, False)
    assert (full().ok, full().has_tool_calls) == (False, True)
    assert not LLMResponse(tool_calls=[]).has_tool_calls


@pytest.mark.spec("S10")
def test_the_names_of_other_libraries_give_the_same_facts() -> None:
    response = full()
    facts = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "cache_read_tokens": 80,
        "cache_write_tokens": 5,
        "is_error": True,
        "error_message": "slow down",
        "thinking": "hm",
        "completion": "Hello",
    }
    assert {name: getattr(response, name) for name in facts} == facts
    assert (LLMResponse().is_error, LLMResponse().error_message) == (False, None)


@pytest.mark.spec("S02")
def test_completion_content_and_answer_are_all_of_the_text() -> None:
    response = LLMResponse("first second")
    assert response.completion == response.content == response.text == "first second"
    assert response.to_answer_dict()["answer"] == "first second"


@pytest.mark.spec("S01")
def test_parts_are_thinking_text_and_calls_in_this_order() -> None:
    assert full().parts == [
        ThinkingPart(text="hm", signature="sealed", dialect="anthropic_messages"),
        TextPart(text="Hello"),
        ToolUsePart(id="call_1", name="add", arguments={"a": 1}),
    ]
    assert LLMResponse().parts == []
    assert LLMResponse("so", reasoning="hm").parts == [ThinkingPart(text="hm"), TextPart(text="so")]
    assert LLMResponse(refusal="no").parts == [TextPart(text="no")]


@pytest.mark.spec("S03")
@pytest.mark.parametrize(
    ("response", "message"),
    [
        (LLMResponse("Hello"), Message.assistant("Hello")),
        (LLMResponse(""), Message.assistant("")),
        (LLMResponse(refusal="no"), Message.assistant("no")),
        (LLMResponse(tool_calls=[CALL]), Message.assistant(tool_calls=[CALL])),
        (LLMResponse("so", tool_calls=[CALL], reasoning="hm"), Message.assistant("so", tool_calls=[CALL])),
        (
            LLMResponse("so", reasoning="hm", blocks=[SEALED, {"type": "text", "text": "so"}]),
            Message.assistant([ThinkingPart(text="hm", signature="sealed"), TextPart(text="so")]),
        ),
        (
            LLMResponse(tool_calls=[CALL], blocks=[SEALED, {"type": "tool_use", "call": 0}]),
            Message.assistant(
                [
                    ThinkingPart(text="hm", signature="sealed"),
                    ToolUsePart(id=CALL.id, name=CALL.name, arguments=CALL.arguments),
                ],
                tool_calls=[CALL],
            ),
        ),
    ],
)
def test_to_message_is_the_assistants_turn_of_the_next_request(response: LLMResponse, message: Message) -> None:
    assert response.to_message() == message
    assert LLMRequest(model="fast", messages=["hi", response.to_message()]).messages[1].role is Role.ASSISTANT


@pytest.mark.spec("S09")
def test_the_request_rides_along_by_reference_and_is_written_only_when_asked_for() -> None:
    request = LLMRequest(model="fast", messages="hi", temperature=0.5)
    response = LLMResponse("x", request=request)
    assert response.request is request
    assert "request" not in response.to_dict()
    written = json.loads(json.dumps(response.to_dict(include_request=True)))
    assert LLMResponse.from_dict(written).request == request


@pytest.mark.spec("T04")
def test_to_answer_dict_is_the_short_form() -> None:
    assert LLMResponse(
        "Hello",
        usage=Usage(5, 30),
        timing=Timing(0.25, 1.5),
        reasoning="hm",
        tool_calls=[CALL],
        tool_results=[{"content": "3"}],
    ).to_answer_dict() == {
        "answer": "Hello",
        "reasoning": "hm",
        "tool_calls": [{"id": "call_1", "name": "add", "arguments": {"a": 1}}],
        "tool_results": [{"content": "3"}],
        "verbose": {"tokens": 30, "tokens_per_second": 20.0, "latency": 0.25},
    }
    plain = LLMResponse("{}", parsed={"a": 1}, timing=Timing(None, 2.0)).to_answer_dict()
    assert (plain["answer"], plain["verbose"]["latency"]) == ({"a": 1}, 2.0)
    assert LLMResponse().to_answer_dict()["verbose"] == {"tokens": 0, "tokens_per_second": None, "latency": None}


@pytest.mark.parametrize(
    ("parsed", "data"),
    [
        (Verdict(score=3, id=uuid.UUID(int=1)), {"score": 3, "id": "00000000-0000-0000-0000-000000000001"}),
        ([Point(1, ["a"])], [{"x": 1, "tags": ["a"]}]),
        (Plain(), {"name": "plain", "inner": {"x": 1, "tags": ["a"]}}),
        ({"a": [None, 1.5, "x", True]}, {"a": [None, 1.5, "x", True]}),
    ],
)
def test_a_parsed_object_is_written_as_its_fields(parsed: Any, data: Any) -> None:
    response = LLMResponse("x", parsed=parsed)
    assert json.loads(json.dumps(response.to_dict()))["parsed"] == data
    assert LLMResponse.from_dict(response.to_dict()) == response


def test_raw_json_text_is_decoded_when_first_looked_at() -> None:
    response = LLMResponse("x")
    response.raw = b'{"id": [1]}'
    assert pickle.loads(pickle.dumps(response)).raw == {"id": [1]}
    assert response.raw == {"id": [1]}
    assert response.raw is response.raw


# Round trips. Each error that a response can carry, with every fact that its class takes.

FACTS: dict[str, Any] = {
    "attempts": (AttemptRecord("a", "m", "ProviderTimeoutError", "late", None, 0.5),),
    "close_matches": ("fast",),
    "code": "rate_limit",
    "content": "{}",
    "found": None,
    "hint": "wait",
    "host": "example.org",
    "locked": "sha256:1f",
    "model": "m",
    "name": "fats",
    "original_error": ValueError("no"),
    "partial": LLMResponse("Hel", model="m", finish_reason="error"),
    "path": "/a/0",
    "provider": "openai",
    "request_id": "req_1",
    "served": "m-2",
    "response": LLMResponse("{}", error=ConfigurationError("nested")),
    "retry_after_s": 2.5,
    "retryable": False,
    "status": 429,
    "tool_name": "add",
}


def every_error() -> list[LLMRingError]:
    """Each class twice: with every fact, and with those alone that it cannot do without."""
    errors: list[LLMRingError] = []
    for kind in vars(exceptions).values():
        if isinstance(kind, type) and issubclass(kind, LLMRingError) and not kind.__name__.startswith("_"):
            takes = list(inspect.signature(kind).parameters.values())[1:]
            errors.append(kind("it failed", **{fact.name: FACTS[fact.name] for fact in takes}))
            needed = {fact.name: FACTS[fact.name] for fact in takes if fact.default is fact.empty}
            errors.append(kind("it failed", **needed))
    return errors


def test_the_errors_below_are_all_there_are() -> None:
    assert len({type(error) for error in every_error()}) > 25


@pytest.mark.spec("T04", "S06")
@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_an_error_on_a_response_keeps_its_class_and_facts(error: LLMRingError) -> None:
    response = LLMResponse(error=error)
    twin = LLMResponse.from_dict(json.loads(json.dumps(response.to_dict())))
    assert twin == response
    assert type(twin.error) is type(error)
    assert str(twin.error) == str(error)
    facts, twins = error.facts(), twin.error.facts() if twin.error else {}
    assert facts.keys() == twins.keys()
    for name in facts.keys() - {"original_error"}:
        assert twins[name] == facts[name]


def test_what_a_tool_raised_is_kept_in_words() -> None:
    error = ToolExecutionError("add failed", tool_name="add", original_error=KeyError("k"))
    once = LLMResponse.from_dict(LLMResponse(error=error).to_dict())
    twice = LLMResponse.from_dict(once.to_dict())
    for response in (once, twice):
        assert isinstance(response.error, ToolExecutionError)
        assert str(response.error.original_error) == "KeyError: 'k'"


def test_an_error_of_a_class_that_is_not_ours_becomes_the_base_class() -> None:
    class TheirError(LLMRingError):
        pass

    for written in (
        LLMResponse(error=TheirError("odd", hint="h")).to_dict(),
        LLMResponse().to_dict() | {"error": {"type": "dataclass", "message": "odd", "hint": "h", "x": 1}},
    ):
        error = LLMResponse.from_dict(written).error
        assert type(error) is LLMRingError
        assert (error.message, error.hint) == ("odd", "h")


TEXT = st.text(max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(TEXT, JSON, max_size=2), max_size=2)
SECONDS = st.none() | st.floats(0, 1e6)
RESPONSES = st.builds(
    LLMResponse,
    TEXT,
    model=TEXT,
    requested_model=TEXT,
    called_model=TEXT,
    provider=TEXT,
    alias=st.none() | TEXT,
    profile=st.none() | TEXT,
    usage=st.builds(Usage, st.integers(0), st.integers(0), cost=SECONDS, estimated=st.booleans()),
    finish_reason=st.sampled_from([None, "stop", "length", "tool_calls", "content_filter", "cancelled", "error"]),
    raw_finish_reason=st.none() | TEXT,
    tool_calls=st.none() | st.lists(st.builds(ToolCall, TEXT, TEXT, TEXT), max_size=2),
    tool_results=st.none() | OBJECTS,
    parsed=JSON,
    reasoning=st.none() | TEXT,
    blocks=st.none() | OBJECTS,
    refusal=st.none() | TEXT,
    logprobs=st.none() | OBJECTS,
    citations=st.none() | st.lists(st.builds(Citation, TEXT, TEXT, st.integers(), st.integers(), TEXT), max_size=2),
    error=st.none() | st.sampled_from(every_error()),
    id=st.none() | st.integers(),
    response_id=st.none() | TEXT,
    request_id=st.none() | TEXT,
    status_code=st.none() | st.integers(100, 599),
    region=st.none() | TEXT,
    timing=st.builds(Timing, SECONDS, SECONDS),
    warnings=st.lists(TEXT, max_size=2),
    attempts=OBJECTS,
    raw=JSON,
)


@pytest.mark.spec("T04")
@given(RESPONSES)
def test_the_round_trip_loses_nothing(response: LLMResponse) -> None:
    written = response.to_dict()
    twin = LLMResponse.from_dict(json.loads(json.dumps(written)))
    assert twin.to_dict() == written
    assert twin == response
    assert (twin.usage, twin.tool_calls, twin.citations) == (response.usage, response.tool_calls, response.citations)


@given(RESPONSES)
def test_a_response_survives_pickle_and_deepcopy(response: LLMResponse) -> None:
    for twin in (pickle.loads(pickle.dumps(response)), copy.deepcopy(response), copy.copy(response)):
        assert twin == response
        assert type(twin.error) is type(response.error)


@pytest.mark.spec("T04")
def test_the_property_above_covers_every_field() -> None:
    # A field that is added to the response and forgotten in full() or the strategy would slip through unseen.
    empty = LLMResponse().to_dict()
    assert [name for name, value in full().to_dict().items() if value == empty[name]] == []


@pytest.mark.spec("T04")
def test_the_dict_is_the_callers_own() -> None:
    response = full()
    before = response.to_dict()
    mine = response.to_dict()
    mine["tool_calls"][0]["function"]["name"] = "changed"
    mine["attempts"][0]["provider"] = "changed"
    mine["raw"]["choices"].clear()
    mine["warnings"].append("changed")
    mine["usage"]["cost"] = 9
    assert response.to_dict() == before


def test_a_field_that_is_none_of_a_response_is_named() -> None:
    with pytest.raises(ValueError, match="no such field: _raw, colour"):
        LLMResponse.from_dict({"colour": 1, "_raw": b""})


def test_responses_are_equal_by_what_they_say_and_not_hashable() -> None:
    assert full() == full()
    assert full() != LLMResponse("Hello")
    assert full() != "Hello"
    assert Timing(1, 2) == Timing(1, 2) != Timing(2, 2)
    for unhashable in (full(), Timing()):
        with pytest.raises(TypeError, match="unhashable"):
            hash(unhashable)


def test_a_repr_holds_no_content() -> None:
    response = LLMResponse("the launch code is 0000", model="m", provider="p", usage=Usage(3, 4), finish_reason="stop")
    assert repr(response) == "<LLMResponse p:m stop 23 characters, 7 tokens>"
    assert "launch" not in repr(StreamChunk(StreamEventType.TOKEN, "the launch code"))


# Chunks


@pytest.mark.spec("S01")
def test_a_chunk_has_the_fields_of_every_seed() -> None:
    chunk = StreamChunk(StreamEventType.TOKEN, "Hi", timestamp=12.5)
    assert (chunk.type, chunk.delta, chunk.data, chunk.model) == ("token", "Hi", None, "")
    assert (chunk.finish_reason, chunk.usage, chunk.tool_calls, chunk.tool_id) == (None, None, None, None)
    assert (chunk.source, chunk.job, chunk.depth, chunk.timestamp) == ("model", 1, 0, 12.5)
    twin = pickle.loads(pickle.dumps(chunk))
    assert (twin.type, twin.delta, twin.timestamp) == (StreamEventType.TOKEN, "Hi", 12.5)


def test_a_chunk_is_stamped_with_the_time_it_was_made() -> None:
    first, second = StreamChunk(StreamEventType.TOKEN), StreamChunk(StreamEventType.DONE)
    assert 1.7e9 < first.timestamp <= second.timestamp
