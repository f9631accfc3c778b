"""The server's side of the dialect: what it writes, its own client side reads back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import ConfigurationError
from llmring.schemas import Citation, LLMResponse, ToolCall, Usage
from llmring.schemas.fold import fold
from llmring.wire.openai_chat import DIALECT, encode_reply, encode_stream

CASES = sorted(path for path in (Path(__file__).parents[1] / "cases" / "openai_chat").iterdir() if path.is_dir())
DONE = b"data: [DONE]\n\n"


def _read(*frames: bytes) -> LLMResponse:
    decoder = DIALECT.decode_stream()
    events = [event for frame in frames for event in decoder.feed(frame)]
    return fold(events + decoder.close())


READ = {
    case.name: LLMResponse.from_dict(json.loads((case / "response.json").read_bytes()))
    for case in CASES
    if (case / "response.json").exists()
}
# The dialect has no word for an answer of which nobody knows whether it is whole.
ANSWERS = {name: response for name, response in READ.items() if response.finish_reason != "error"}


def _as_written(response: LLMResponse) -> dict[str, Any]:
    """What of a response the dialect can say."""
    said = response.to_dict()
    said["raw_finish_reason"] = said["finish_reason"]
    known = ("token", "logprob", "bytes", "top_logprobs")
    said["logprobs"] = [
        {**{name: token.get(name) for name in known}, "top_logprobs": [
            {name: top[name] for name in known[:3]} for top in token["top_logprobs"]
        ]}
        for token in response.logprobs or ()
    ] or None  # fmt: skip
    said["blocks"] = None
    if response.reasoning:
        seal = {"signature": None, "id": None, "redacted": False, "dialect": "openai_chat"}
        texts = [{"type": "text", "text": response.content}] if response.content else []
        calls = [{"type": "tool_use", "call": n} for n in range(len(response.tool_calls or ()))]
        said["blocks"] = [{"type": "thinking", "text": response.reasoning, **seal}, *texts, *calls]
    return said


def _texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


RESPONSES = st.builds(
    LLMResponse,
    _texts(),
    model=st.just("m"),
    response_id=st.none() | st.just("r1"),
    finish_reason=st.sampled_from(["stop", "length", "content_filter"]),
    reasoning=st.none() | _texts().filter(bool),
    refusal=st.none() | _texts().filter(bool),
    usage=st.builds(Usage, st.integers(0, 99), st.integers(50, 99), reasoning_tokens=st.integers(0, 49)),
    citations=st.none() | st.just([Citation("https://example.com", "t", 1, 2)]),
)


@pytest.mark.parametrize("response", ANSWERS.values(), ids=ANSWERS)
def test_what_we_write_as_a_server_we_read_as_a_client(response: LLMResponse) -> None:
    wanted = _as_written(response)
    assert fold(DIALECT.decode(orjson.dumps(encode_reply(response)))).to_dict() == wanted
    assert _read(*encode_stream(response)).to_dict() == wanted


@settings(max_examples=100, deadline=None, database=None)
@given(RESPONSES, st.lists(st.tuples(_texts().filter(bool), _texts()), max_size=3))
def test_any_answer_survives_both_ways(response: LLMResponse, calls: list[tuple[str, str]]) -> None:
    if calls:
        response.tool_calls = [ToolCall(f"c{n}", name, text) for n, (name, text) in enumerate(calls)]
        response.finish_reason = "tool_calls"
    wanted = _as_written(response)
    assert fold(DIALECT.decode(orjson.dumps(encode_reply(response)))).to_dict() == wanted
    assert _read(b"".join(encode_stream(response))).to_dict() == wanted


def test_a_stream_comes_in_words_and_pieces_and_ends_with_done() -> None:
    call = ToolCall("c", "f", '{"city": "Paris", "days": 3}')
    frames = encode_stream(LLMResponse("one two  three\n", model="m", tool_calls=[call]), created=5)
    assert frames[-1] == DONE
    assert all(re.fullmatch(rb"data: [^\n]+\n\n", frame) for frame in frames)
    deltas = [json.loads(frame[6:])["choices"] for frame in frames[:-1]]
    words = [choices[0]["delta"].get("content") for choices in deltas if choices]
    assert [word for word in words if word] == ["one", " two", "  three", "\n"]
    assert sum("tool_calls" in choices[0]["delta"] for choices in deltas if choices) >= 3
    assert deltas[-1] == []
    assert all(json.loads(frame[6:])["created"] == 5 for frame in frames[:-1])


def test_counts_are_streamed_only_where_asked_for() -> None:
    response = LLMResponse("x", usage=Usage(1, 2))
    assert b"usage" in b"".join(encode_stream(response))
    assert b"usage" not in b"".join(encode_stream(response, include_usage=False))


@pytest.mark.parametrize("reason", ["error", "cancelled"])
def test_an_answer_that_failed_is_not_written_as_one(reason: Any) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        encode_reply(LLMResponse("x", finish_reason=reason))
    with pytest.raises(ConfigurationError, match=reason):
        encode_stream(LLMResponse("x", finish_reason=reason))
