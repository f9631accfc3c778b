"""What we did not write judges the dialect: the openai SDK sends what we send, its models read what we read, and its types know
every key that our server side writes.

Differences stand in the case folder, each with its reason: `outside_the_types` (key → reason), `sdk_reads_otherwise` (reason).
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.input_token_count_params import InputTokenCountParams
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import BaseModel, RootModel
from tests.wire.oracle import check_reply, misfits

from llmring.registry.model_info import ModelInfo
from llmring.schemas import Citation, LLMRequest, LLMResponse, ToolCall, Usage
from llmring.schemas.fold import fold
from llmring.testing.dialects.openai_responses import OPENAI_RESPONSES, encode_reply, encode_stream
from llmring.wire.base import Quirks, Target
from llmring.wire.openai_responses import DIALECT

CASES = sorted(path for path in (Path(__file__).parent / "cases" / "openai_responses").iterdir() if path.is_dir())

# What OpenAI's servers send and its types do not know, or know otherwise.
RECORDED = {
    "store": "the SDK knows it of requests alone",
    "obfuscation": "padding against guessing by size",
}


class AnyEvent(RootModel[ResponseStreamEvent]):
    """The union of all events as a model, so that a key that it does not know is found."""


def _meta(case: Path) -> dict[str, Any]:
    return json.loads((case / "case.json").read_bytes())


def _having(name: str, *unless: str) -> pytest.MarkDecorator:
    folders = [case for case in CASES if (case / name).exists() and not {"error", *unless} & _meta(case).keys()]
    assert len(folders) > 10
    return pytest.mark.parametrize("case", folders, ids=[case.name for case in folders])


def _not_made_up(case: Path) -> bool:
    return not _meta(case)["source"].startswith("made up")


# The client ---------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def sdk(recorder: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="sk-test", base_url=recorder.base_url, max_retries=0) as client:
        yield client


async def _ask(sdk: AsyncOpenAI, recorder: Any, answer: bytes, *, stream: bool, **arguments: Any) -> list[Any]:
    """One call through the SDK's own `create`: the response, or the events, as its models."""
    recorder.answer = answer
    recorder.content_type = "text/event-stream" if stream else "application/json"
    create: Any = sdk.responses.create
    if not stream:
        return [await create(**arguments)]
    return [event async for event in await create(**arguments, stream=True)]


def _encode(case: Path) -> dict[str, Any]:
    meta = _meta(case)
    quirks: dict[str, Any] = dict(meta.get("quirks", {}))
    for name, kind in (("rejected", frozenset[str]), ("efforts", tuple[str, ...])):
        if name in quirks:
            quirks[name] = kind(quirks[name])
    request = LLMRequest.model_validate_json((case / "request.json").read_bytes())
    target = Target("openai", request.model, ModelInfo("openai:x"), Quirks(**quirks))
    return json.loads(orjson.dumps(DIALECT.encode(request, target, stream=bool(meta.get("stream"))).body))


@pytest.mark.spec("U42", "U28", "A11", "G27", "F15", "L03", "L04")
@_having("wire_request.json")
async def test_the_sdk_sends_the_body_that_we_send(case: Path, sdk: AsyncOpenAI, recorder: Any) -> None:
    stream = bool(_meta(case).get("stream"))
    wire = json.loads((case / "wire_request.json").read_bytes())
    ours = _encode(case)

    kind: Any = ResponseCreateParamsStreaming if stream else ResponseCreateParamsNonStreaming
    assert misfits(ours, kind) == []
    arguments = {name: value for name, value in ours.items() if name != "stream"}
    await _ask(sdk, recorder, (b"{}", b"data: [DONE]\n\n")[stream], stream=stream, **arguments)
    assert recorder.bodies == [wire]
    assert recorder.bodies[0] == ours


async def test_the_sdk_counts_tokens_with_the_body_that_we_send(sdk: AsyncOpenAI, recorder: Any) -> None:
    request = LLMRequest(
        model="m",
        messages="Hi",
        tools=[{"type": "function", "function": {"name": "f"}}],
        tool_choice="auto",
        reasoning_effort="low",
        response_format="json_object",
        max_tokens=5,
        temperature=0.5,
    )
    codec = DIALECT.token_count
    assert codec is not None
    encoded = codec.encode(request, Target("openai", "m", ModelInfo("openai:m")))
    assert encoded.path == "/responses/input_tokens"
    ours: Any = json.loads(orjson.dumps(encoded.body))
    assert misfits(ours, InputTokenCountParams) == []
    assert {"max_output_tokens", "temperature", "store"}.isdisjoint(ours)

    recorder.answer = OPENAI_RESPONSES.token_count_reply(7)
    count = await sdk.responses.input_tokens.count(**ours)
    assert recorder.bodies == [ours]
    assert check_reply(json.loads(recorder.answer), InputTokenCountResponse, {}) == []
    assert count.input_tokens == codec.decode(recorder.answer) == 7


def _theirs(response: Response) -> dict[str, Any]:
    """What a user of the SDK reads in its model of a response."""
    calls = [item for item in response.output if item.type == "function_call"]
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    return {
        "id": response.id,
        "model": response.model,
        "content": response.output_text,
        "refusal": "".join(part.refusal for part in parts if part.type == "refusal"),
        "calls": [(call.call_id, call.name, call.arguments) for call in calls],
    }


def _ours(response: LLMResponse) -> dict[str, Any]:
    calls = [call for call in response.tool_calls or () if call.name not in ("computer", "sql")]
    return {
        "id": response.response_id,
        "model": response.model,
        "content": response.content,
        "refusal": response.refusal or "",
        "calls": [(call.id, call.name, call.raw_arguments) for call in calls],
    }


def _check_usage(response: LLMResponse, theirs: Response) -> None:
    usage = theirs.usage
    assert usage is not None
    assert response.usage == Usage(
        usage.input_tokens,
        usage.output_tokens,
        cache_read_tokens=usage.input_tokens_details.cached_tokens,
        cache_write_tokens=usage.input_tokens_details.cache_write_tokens,
        reasoning_tokens=usage.output_tokens_details.reasoning_tokens,
    )


@pytest.mark.spec("U11", "P07", "S04", "S07", "K08")
@_having("wire_stream.sse", "sdk_reads_otherwise")
async def test_the_sdk_reads_in_a_stream_what_we_read(case: Path, sdk: AsyncOpenAI, recorder: Any) -> None:
    data = (case / "wire_stream.sse").read_bytes()
    if not data.endswith(b"\n\n"):
        data += b"\n\n"  # the SDK passes over an event without its blank line
    events = await _ask(sdk, recorder, data, stream=True, model="m", input="hi")
    theirs: Response = events[-1].response
    decoder = DIALECT.decode_stream()
    response = fold([*decoder.feed(data), *decoder.close()])
    assert _theirs(theirs) == _ours(response)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == (response.content if deltas else "")
    _check_usage(response, theirs)


@pytest.mark.spec("U11", "P07", "S04", "S07", "K08")
@_having("wire_reply.json", "sdk_reads_otherwise")
async def test_the_sdk_reads_in_a_reply_what_we_read(case: Path, sdk: AsyncOpenAI, recorder: Any) -> None:
    if case.name == "finish_without_a_status":
        pytest.skip("no reply of the vendor's: its SDK reads no such thing")
    data = (case / "wire_reply.json").read_bytes()
    theirs: Response = (await _ask(sdk, recorder, data, stream=False, model="m", input="hi"))[0]
    response = fold(DIALECT.decode(data))
    assert _theirs(theirs) == _ours(response)
    _check_usage(response, theirs)


@_having("wire_reply.json", "sdk_reads_otherwise")
def test_the_replies_of_the_cases_are_what_the_types_say(case: Path) -> None:
    if _not_made_up(case):
        assert check_reply(json.loads((case / "wire_reply.json").read_bytes()), Response, RECORDED) == []


@_having("wire_stream.sse", "sdk_reads_otherwise")
def test_the_streams_of_the_cases_are_what_the_types_say(case: Path) -> None:
    if _not_made_up(case):
        for event in (case / "wire_stream.sse").read_bytes().split(b"\n\n")[:-1]:
            assert _check_event(event + b"\n\n", RECORDED) == []


def _check_event(frame: bytes, allowed: dict[str, str]) -> list[str]:
    name, _, data = frame[:-2].partition(b"\ndata: ")
    event = json.loads(data)
    assert name == b"event: " + event["type"].encode()
    found = check_reply(event, cast("type[BaseModel]", AnyEvent), {})
    # A piece's log probabilities have bytes on the wire, and none in the types.
    return [misfit for misfit in found if misfit.rpartition(".")[2] not in allowed]


# The server side ----------------------------------------------------------------------------------------------------

FULL = LLMResponse(
    "Paris is sunny.",
    model="gpt-x",
    response_id="resp_1",
    finish_reason="tool_calls",
    refusal="But no more.",
    reasoning="Let me think.",
    tool_calls=[ToolCall("call_1", "get_weather", '{"city": "Paris"}'), ToolCall("call_2", "get_time", "{}")],
    citations=[
        Citation("https://example.com", "A page", 0, 5),
        Citation(None, "a.txt", location={"type": "file_citation", "file_id": "f", "index": 1}),
    ],
    usage=Usage(20, 10, cache_read_tokens=8, cache_write_tokens=4, reasoning_tokens=3),
    logprobs=[{"token": "P", "logprob": -0.5, "top_logprobs": [{"token": "P", "logprob": -0.5}]}],
)
ANSWERS = [FULL, LLMResponse(), LLMResponse("x")] + [
    LLMResponse.from_dict(json.loads((case / "response.json").read_bytes()))
    for case in CASES
    # The dialect has no word for an answer of which nobody knows whether it is whole.
    if (case / "response.json").exists() and case.name != "finish_unknown_word"
]


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_replies_that_we_write(
    response: LLMResponse, sdk: AsyncOpenAI, recorder: Any
) -> None:
    reply = json.loads(orjson.dumps(encode_reply(response, created=1)))
    assert check_reply(reply, Response, {}) == []
    theirs: Response = (await _ask(sdk, recorder, orjson.dumps(reply), stream=False, model="m", input="hi"))[0]
    assert theirs.output_text == response.content


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_streams_that_we_write(
    response: LLMResponse, sdk: AsyncOpenAI, recorder: Any
) -> None:
    frames = encode_stream(response, created=1)
    for frame in frames:
        assert _check_event(frame, {}) == []
    events = await _ask(sdk, recorder, b"".join(frames), stream=True, model="m", input="hi")
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == response.content
    assert events[-1].response.output_text == response.content


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
def test_what_we_write_as_a_server_we_read_as_a_client_whole_and_streamed_alike(response: LLMResponse) -> None:
    whole = fold(DIALECT.decode(orjson.dumps(encode_reply(response))))
    decoder = DIALECT.decode_stream()
    streamed = fold([event for frame in encode_stream(response) for event in decoder.feed(frame)])
    assert decoder.finished
    assert streamed == whole
    assert (whole.content, whole.refusal) == (response.content, response.refusal)
    assert whole.reasoning == response.reasoning
    assert whole.usage == response.usage
    assert [(c.id, c.arguments) for c in whole.tool_calls or ()] == [
        (c.id, c.arguments) for c in response.tool_calls or ()
    ]


# The oracle itself --------------------------------------------------------------------------------------------------


def _request_body() -> dict[str, Any]:
    return {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://x.y", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 5,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "stream": True,
    }


def _rename(*path: str | int) -> Callable[[dict[str, Any]], None]:
    """Misspells the last step: the same value under the name with its last letter doubled."""

    def change(data: dict[str, Any]) -> None:
        holder: Any = data
        for step in path[:-1]:
            holder = holder[step]
        holder[f"{path[-1]}{str(path[-1])[-1]}"] = holder.pop(path[-1])

    return change


REQUEST_MISSPELLINGS: list[tuple[str | int, ...]] = [
    ("max_output_tokens",),
    ("store",),
    ("reasoning", "effort"),
    ("text", "format"),
    ("text", "format", "schema"),
    ("tool_choice", "name"),
    ("tools", 0, "strict"),
    ("tools", 0, "parameters"),
    ("input", 0, "content", 0, "image_url"),
    ("input", 0, "content", 0, "detail"),
    ("input", 1, "encrypted_content"),
    ("input", 2, "arguments"),
    ("input", 3, "call_id"),
]
REPLY_MISSPELLINGS: list[tuple[str | int, ...]] = [
    ("output",),
    ("created_at",),
    ("status",),
    ("incomplete_details",),
    ("output", 0, "summary", 0, "text"),
    ("output", 1, "content", 0, "annotations"),
    ("output", 1, "content", 0, "annotations", 0, "start_index"),
    ("output", 1, "content", 0, "logprobs", 0, "top_logprobs", 0, "bytes"),
    ("output", 2, "call_id"),
    ("usage", "input_tokens_details", "cached_tokens"),
    ("usage", "output_tokens_details", "reasoning_tokens"),
]
EVENT_MISSPELLINGS: list[tuple[str, str]] = [
    ("response.output_item.added", "output_index"),
    ("response.output_text.delta", "delta"),
    ("response.output_text.delta", "content_index"),
    ("response.function_call_arguments.delta", "item_id"),
    ("response.reasoning_summary_text.delta", "summary_index"),
    ("response.output_text.annotation.added", "annotation_index"),
]


@pytest.mark.parametrize("path", REQUEST_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_request_is_caught(path: tuple[str | int, ...]) -> None:
    body = _request_body()
    assert misfits(body, ResponseCreateParamsStreaming) == []
    _rename(*path)(body)
    assert misfits(body, ResponseCreateParamsStreaming)


@pytest.mark.parametrize("path", REPLY_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_reply_is_caught(path: tuple[str | int, ...]) -> None:
    reply = copy.deepcopy(json.loads(orjson.dumps(encode_reply(FULL))))
    _rename(*path)(reply)
    assert check_reply(reply, Response, {})


@pytest.mark.parametrize(("kind", "name"), EVENT_MISSPELLINGS)
def test_a_misspelling_planted_in_an_event_is_caught(kind: str, name: str) -> None:
    frame = next(frame for frame in encode_stream(FULL) if frame.startswith(f"event: {kind}\n".encode()))
    assert _check_event(frame, {}) == []
    assert _check_event(frame.replace(f'"{name}"'.encode(), f'"{name}{name[-1]}"'.encode(), 1), {})


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", "hot"), ("temperature", True), ("store", 7), ("tool_choice", "any"), ("input", [{"role": "owl"}])],
)
def test_a_value_of_the_wrong_kind_is_caught_too(name: str, value: Any) -> None:
    assert misfits({**_request_body(), name: value}, ResponseCreateParamsStreaming)
