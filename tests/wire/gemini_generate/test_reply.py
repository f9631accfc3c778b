"""Replies and streams of this dialect: ends that come in several ways, and what is no answer at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.exceptions import (
    LLMRingError,
    MalformedResponseError,
    ProviderResponseError,
    ResponseTooLargeError,
    StreamInterruptedError,
)
from llmring.schemas.events import Event, Finished, UsageReported
from llmring.schemas.fold import fold
from llmring.schemas.response import LLMResponse
from llmring.wire.base import MAX_LINE_BYTES
from llmring.wire.gemini_generate import DIALECT


def piece(text: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0}
    if text is not None:
        candidate["content"] = {"role": "model", "parts": [{"text": text}]}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], **more}


def sse(*responses: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(response).encode() + b"\r\n\r\n" for response in responses)


def read(data: bytes) -> LLMResponse:
    decoder = DIALECT.decode_stream()
    return fold([*decoder.feed(data), *decoder.close()])


def test_a_finish_reason_with_every_response_ends_nothing_before_the_bytes_do() -> None:
    decoder = DIALECT.decode_stream()
    seen: list[Event] = []
    for response in (piece("Hel", "STOP"), piece("lo", "STOP"), piece("!", "MAX_TOKENS")):
        seen += decoder.feed(sse(response))
        assert not decoder.finished
    assert not any(isinstance(event, Finished) for event in seen)
    seen += decoder.close()
    assert decoder.finished
    assert decoder.close() == []
    response = fold(seen)
    assert (response.content, response.finish_reason) == ("Hello!", "length")


def test_counts_and_sources_that_come_after_the_finish_reason_are_read() -> None:
    grounding = {"groundingChunks": [{"web": {"uri": "https://h/a", "title": "A"}}]}
    late = {"candidates": [{"groundingMetadata": grounding, "index": 0}], "usageMetadata": {"promptTokenCount": 3}}
    response = read(
        sse(piece("Yes.", "STOP"), late, {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}})
    )
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (3, 2)
    assert [citation.url for citation in response.citations or ()] == ["https://h/a"]


@pytest.mark.spec("X01", "S04")
@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b"", ""),
        (sse(piece("Half")), "Half"),
        (sse(piece("Half")) + b"data: " + json.dumps(piece(" an answer", "STOP")).encode()[:-9], "Half"),
        (sse({"usageMetadata": {"promptTokenCount": 3}}), ""),
    ],
)
def test_a_stream_without_a_finish_reason_was_interrupted(data: bytes, content: str) -> None:
    decoder = DIALECT.decode_stream()
    seen = decoder.feed(data)
    with pytest.raises(StreamInterruptedError):
        decoder.close()
    assert fold(seen).content == content
    assert fold(seen).finish_reason is None


def test_a_stream_that_is_cut_has_counts_that_are_nearly_right() -> None:
    decoder = DIALECT.decode_stream()
    seen: list[Event] = []
    for n in range(40):
        seen += decoder.feed(sse(piece(" word", usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": n})))
    assert sum(isinstance(event, UsageReported) for event in seen) < 5
    assert fold(seen).usage.prompt_tokens == 9
    assert 39 - fold(seen).usage.completion_tokens < 16


def test_a_stream_that_is_answered_as_one_list_is_read_the_same() -> None:
    responses = [piece("Hel", responseId="r", modelVersion="m"), piece("lo", "STOP")]
    assert fold(DIALECT.decode(json.dumps(responses).encode())) == read(sse(*responses))
    with pytest.raises(StreamInterruptedError):
        DIALECT.decode(json.dumps(responses[:1]).encode())


def test_a_reply_without_a_finish_reason_came_to_its_end() -> None:
    response = fold(DIALECT.decode(json.dumps(piece("Yes.")).encode()))
    assert (response.content, response.finish_reason, response.raw_finish_reason) == ("Yes.", "stop", None)


@pytest.mark.spec("S11")
def test_an_answer_without_parts_is_empty_text_and_no_error() -> None:
    contents: list[Any] = [{}, {"role": "model"}, {"parts": []}, {"parts": [{}]}, {"parts": [{"text": ""}]}, None]
    for content in contents:
        reply = {"candidates": [{"content": content, "finishReason": "MAX_TOKENS"}]}
        response = fold(DIALECT.decode(json.dumps(reply).encode()))
        assert (response.content, response.finish_reason, response.tool_calls) == ("", "length", None)


NO_REPLIES: list[Any] = [
    {},
    [],
    "text",
    7,
    [7],
    {"candidates": []},
    {"candidates": {}},
    {"candidates": {"0": 1}},
    {"candidates": [7]},
    {"candidates": [{"content": 7}]},
    {"candidates": [{"content": {"parts": 7}}]},
    {"candidates": [{"content": {"parts": ["x"]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": 7}]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": "x"}}]}}]},
    {"promptFeedback": {}},
    {"promptFeedback": {"safetyRatings": []}},
]


@pytest.mark.parametrize("reply", NO_REPLIES)
def test_what_is_no_reply_is_malformed_in_a_reply_and_in_a_stream(reply: Any) -> None:
    with pytest.raises(MalformedResponseError):
        DIALECT.decode(json.dumps(reply).encode())
    with pytest.raises(ProviderResponseError):
        read(sse(reply))


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, [7], {"a": 1}, True, -1])
def test_odd_values_beside_an_answer_are_passed_over(odd: Any) -> None:
    candidate = {
        "content": {"parts": [{"text": "Yes.", "thoughtSignature": odd if isinstance(odd, str) else 7}]},
        "finishReason": "STOP",
        "logprobsResult": odd,
        "groundingMetadata": {"groundingChunks": odd, "groundingSupports": odd},
        "citationMetadata": {"citations": odd},
    }
    reply = {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": odd},
        "responseId": odd,
        "modelVersion": odd,
    }
    try:
        assert fold(DIALECT.decode(json.dumps(reply).encode())).content == "Yes."
    except LLMRingError:
        pytest.fail("an odd value beside an answer broke it")


def test_logprobs_whose_lists_do_not_match_are_read_as_far_as_they_go() -> None:
    result = {"chosenCandidates": [{"token": "a"}, {"logProbability": -1}, {"token": "b", "logProbability": -2.0}]}
    reply = {"candidates": [{"content": {"parts": [{"text": "ab"}]}, "finishReason": "STOP", "logprobsResult": result}]}
    tokens = fold(DIALECT.decode(json.dumps(reply).encode())).logprobs or []
    assert [(token["token"], token["logprob"], token["top_logprobs"]) for token in tokens] == [
        ("a", 0.0, []),
        ("b", -2.0, []),
    ]


def test_places_that_do_not_lead_to_what_is_said_there_are_left_out() -> None:
    def support(**segment: Any) -> dict[str, Any]:
        return {"segment": segment, "groundingChunkIndices": [0, 9, -1, "x"]}

    grounding = {
        "groundingChunks": [{"web": {"uri": "https://h/a"}}],
        "groundingSupports": [
            support(endIndex=2, text="né"),
            support(endIndex=99),
            support(startIndex=5, endIndex=2),
            support(endIndex=2, text="no"),
        ],
    }
    response = read(sse(piece("né.", "STOP"), {"candidates": [{"groundingMetadata": grounding}]}))
    places = [(citation["start"], citation["end"]) for citation in response.citations or ()]
    assert places == [(None, None)] * 3 + [(None, None)]
    grounding["groundingSupports"] = [support(endIndex=3, text="né")]
    response = read(sse(piece("né.", "STOP"), {"candidates": [{"groundingMetadata": grounding}]}))
    assert [(citation["start"], citation["end"]) for citation in response.citations or ()] == [(0, 2)]


def test_an_event_that_is_too_long_is_refused() -> None:
    decoder = DIALECT.decode_stream()
    with pytest.raises(ResponseTooLargeError):
        decoder.feed(b"data: " + b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(ResponseTooLargeError):
        decoder.close()


def test_events_before_an_error_in_the_same_bytes_are_given_out() -> None:
    decoder = DIALECT.decode_stream()
    seen = decoder.feed(sse(piece("Half"), {"error": {"code": 500, "status": "INTERNAL", "message": "broken"}}))
    assert fold(seen).content == "Half"
    assert decoder.finished
    for again in (lambda: decoder.feed(b""), decoder.close):
        with pytest.raises(ProviderResponseError, match="broken"):
            again()
