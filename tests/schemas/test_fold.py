"""One function makes every response: whatever the order of kinds, and however far the events have come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.schemas import Citation, LLMResponse, Message, ToolCall, Usage
from llmring.schemas.events import (
    CitationFound,
    Event,
    Finished,
    LogprobsDelta,
    ProviderBlock,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallSealed,
    ToolCallStart,
    UsageReported,
)
from llmring.schemas.fold import Fold, fold
from llmring.schemas.messages import ProviderPart, TextPart, ThinkingPart, ToolUsePart

# One lane per kind of content: events keep their order within a lane, and lanes interleave as a provider pleases.
LANES: list[list[Event]] = [
    [TextDelta("Hel"), TextDelta(""), TextDelta("lo")],
    [ReasoningDelta("let "), ReasoningDelta("me see"), ReasoningDelta("")],
    [ToolCallStart(0, "a", "add"), ToolCallDelta(0, '{"x":'), ToolCallDelta(0, "1}"), ToolCallEnd(0)],
    [ToolCallStart(1, "b", "sub"), ToolCallDelta(1, "{"), ToolCallDelta(1, "}"), ToolCallEnd(1)],
    [LogprobsDelta([{"token": "Hel"}]), LogprobsDelta([{"token": "lo"}, {"token": "!"}])],
    [CitationFound(Citation("https://example.org"))],
    [RefusalDelta("I would "), RefusalDelta("rather not")],
    [UsageReported(Usage(1, 1)), UsageReported(Usage(10, 5))],
]
WHOLE: list[Event] = [
    Started("id-1", "model-1"),
    *(event for lane in LANES for event in lane),
    Finished("tool_calls", "tool_use"),
]


@st.composite
def interleavings(draw: st.DrawFn) -> list[Event]:
    lanes = [list(lane) for lane in LANES]
    order = draw(st.permutations([number for number, lane in enumerate(lanes) for _ in lane]))
    return [WHOLE[0], *(lanes[number].pop(0) for number in order), WHOLE[-1]]


@pytest.mark.spec("S01", "U11")
def test_events_fold_into_the_response_they_tell() -> None:
    assert fold(WHOLE) == LLMResponse(
        "Hello",
        model="model-1",
        response_id="id-1",
        usage=Usage(10, 5),
        finish_reason="tool_calls",
        raw_finish_reason="tool_use",
        tool_calls=[ToolCall("a", "add", '{"x":1}'), ToolCall("b", "sub", "{}")],
        reasoning="let me see",
        refusal="I would rather not",
        logprobs=[{"token": "Hel"}, {"token": "lo"}, {"token": "!"}],
        citations=[Citation("https://example.org")],
    )


@given(interleavings())
def test_every_interleaving_gives_the_same_response(events: list[Event]) -> None:
    assert fold(events) == fold(WHOLE)


@given(interleavings(), st.integers(0, len(WHOLE)))
def test_every_prefix_gives_a_response_that_the_whole_extends(events: list[Event], length: int) -> None:
    partial, whole = fold(events[:length]), fold(events)
    assert whole.content.startswith(partial.content)
    assert (whole.reasoning or "").startswith(partial.reasoning or "")
    for index, call in enumerate(partial.tool_calls or ()):
        assert call.raw_arguments in {"", "{", "{}", '{"x":', '{"x":1}'}, index
    if length < len(events):
        assert partial.finish_reason is None
    partial.to_dict()
    partial.to_message()


def test_no_events_give_an_empty_response() -> None:
    response = fold([])
    assert response == LLMResponse()
    assert (response.content, response.tool_calls, response.reasoning, response.finish_reason) == ("", None, None, None)


@pytest.mark.spec("S02")
def test_text_in_several_pieces_is_one_content() -> None:
    response = fold([TextDelta("a"), ReasoningDelta("-"), TextDelta("b"), TextDelta("c")])
    assert (response.content, response.text, response.completion) == ("abc", "abc", "abc")


def test_calls_come_in_the_order_of_their_index_whatever_came_first() -> None:
    response = fold([ToolCallStart(1, "b", "sub"), ToolCallStart(0, "a", "add")])
    assert [call.id for call in response.tool_calls or ()] == ["a", "b"]


def test_a_later_usage_replaces_an_earlier_one_and_none_is_zeros() -> None:
    assert fold([UsageReported(Usage(9, 9)), UsageReported(Usage(1, 2))]).usage == Usage(1, 2)
    assert fold([TextDelta("x")]).usage == Usage()


def test_a_seal_without_words_keeps_the_seal() -> None:
    response = fold([ReasoningEnd("anthropic_messages", "sealed", redacted=True)])
    assert response.reasoning is None
    assert response.parts == [ThinkingPart(text="", signature="sealed", redacted=True, dialect="anthropic_messages")]


@pytest.mark.spec("K06")
def test_blocks_of_thinking_keep_their_seals_and_their_places() -> None:
    search: dict[str, Any] = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    response = fold(
        [
            ReasoningDelta("first "),
            ReasoningDelta("thought"),
            ReasoningEnd("d", "s1", id="rs_1"),
            TextDelta("I "),
            TextDelta("look."),
            ProviderBlock("d", search),
            ReasoningDelta("second"),
            ReasoningEnd("d", "s2"),
            ToolCallStart(0, "a", "add"),
            ToolCallSealed(0, "s3"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            TextDelta("Then."),
            ReasoningDelta("cut"),
        ]
    )
    assert (response.content, response.reasoning) == ("I look.Then.", "first thoughtsecondcut")
    assert response.parts == [
        ThinkingPart(text="first thought", signature="s1", id="rs_1", dialect="d"),
        TextPart(text="I look."),
        ProviderPart(dialect="d", data=search),
        ThinkingPart(text="second", signature="s2", dialect="d"),
        ToolUsePart(id="a", name="add", arguments={}, signature="s3"),
        TextPart(text="Then."),
        ThinkingPart(text="cut"),
    ]
    assert (response.tool_calls or [])[0].signature == "s3"
    again = Message.from_dict(json.loads(json.dumps(response.to_message().to_dict())))
    assert again == response.to_message()


def test_texts_by_the_thousand_keep_their_order_and_their_places() -> None:
    words = [f"{number} " for number in range(30_000)]
    events: list[Event] = [TextDelta(word) for word in words[:20_000]]
    events += [ReasoningDelta(word) for word in words]
    events += [ReasoningEnd("d", "s"), *(TextDelta(word) for word in words[20_000:])]
    response = fold(events)
    assert response.content == response.reasoning == "".join(words)
    assert response.parts == [
        TextPart(text="".join(words[:20_000])),
        ThinkingPart(text="".join(words), signature="s", dialect="d"),
        TextPart(text="".join(words[20_000:])),
    ]


def test_an_answer_without_seals_has_no_blocks() -> None:
    assert fold([ReasoningDelta("hm"), TextDelta("so"), ToolCallStart(0, "a", "add")]).blocks is None


def test_a_response_taken_early_does_not_change_afterwards() -> None:
    folding = Fold()
    for event in WHOLE[:-1]:
        folding.add(event)
    early = folding.response()
    before = early.to_dict()
    folding.add(LogprobsDelta([{"token": "more"}]))
    folding.add(CitationFound(Citation("https://example.org/2")))
    folding.add(TextDelta("more"))
    assert early.to_dict() == before
    assert folding.tool_call(0) == ToolCall("a", "add", '{"x":1}')
