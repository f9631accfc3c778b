"""What we did not write judges the dialect: the openai SDK sends what we send, and its types know every key that we
write.

Differences stand in the case folder, each with its reason: `outside_the_types` (key → reason), `sdk_reads_otherwise`
(reason).
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
from openai.types import CreateEmbeddingResponse, EmbeddingCreateParams
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from tests.wire.oracle import check_reply, misfits

from llmring.registry.model_info import ModelInfo
from llmring.schemas import Citation, LLMRequest, LLMResponse, ToolCall, Usage
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingRequest
from llmring.schemas.fold import fold
from llmring.testing.dialects import OPENAI_CHAT
from llmring.wire.base import Quirks, Target
from llmring.wire.openai_chat import DIALECT, encode_reply, encode_stream

CASES = sorted(path for path in (Path(__file__).parent / "cases" / "openai_chat").iterdir() if path.is_dir())

# Extensions of the dialect that our server side writes and OpenAI's types do not know.
EXTENSIONS = {
    "extra_content": "Google's seal on a call: https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-21)",
    "reasoning_content": "the common extension for thinking aloud: DeepSeek, vLLM, llama.cpp",
    "annotations": "in a delta: OpenAI streams it, its types leave it out; https://github.com/simonw/llm/issues/837",
}


def _meta(case: Path) -> dict[str, Any]:
    return json.loads((case / "case.json").read_bytes())


def _having(name: str, *unless: str) -> pytest.MarkDecorator:
    folders = [case for case in CASES if (case / name).exists() and not {"error", *unless} & _meta(case).keys()]
    assert len(folders) > 10
    return pytest.mark.parametrize("case", folders, ids=[case.name for case in folders])


# The client ---------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def sdk(recorder: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="sk-test", base_url=recorder.base_url, max_retries=0) as client:
        yield client


async def _ask(sdk: AsyncOpenAI, recorder: Any, answer: bytes, *, stream: bool, **arguments: Any) -> list[Any]:
    """One call through the SDK's own `create`: the completion, or the chunks, as its models."""
    recorder.answer = answer
    recorder.content_type = "text/event-stream" if stream else "application/json"
    given: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **arguments}
    if not stream:
        return [await sdk.chat.completions.create(**given)]
    given["stream"] = True
    create: Any = sdk.chat.completions.create
    return [chunk async for chunk in await create(**given)]


@pytest.mark.spec("U42", "U28", "D10")
@_having("wire_request.json", "not_openais")
async def test_the_sdk_sends_the_body_that_we_send(case: Path, sdk: AsyncOpenAI, recorder: Any) -> None:
    meta = _meta(case)
    wire = json.loads((case / "wire_request.json").read_bytes())
    quirks: dict[str, Any] = dict(meta.get("quirks", {}))
    for name, value in quirks.items():
        if isinstance(value, list):
            listed = cast("list[Any]", value)
            quirks[name] = frozenset(listed) if name == "rejected" else tuple(listed)
    request = LLMRequest.model_validate_json((case / "request.json").read_bytes())
    target = Target("openai", wire["model"], ModelInfo("openai:x"), Quirks(**quirks))
    ours = json.loads(orjson.dumps(DIALECT.encode(request, target, stream=bool(meta.get("stream"))).body))

    beyond = {name: ours.pop(name) for name in meta.get("outside_the_types", {}) if name in ours}
    kind: Any = CompletionCreateParamsStreaming if meta.get("stream") else CompletionCreateParamsNonStreaming
    assert misfits(ours, kind) == []
    arguments = {name: value for name, value in ours.items() if name != "stream"}
    answer = (b"data: [DONE]\n\n", b"{}")[not meta.get("stream")]
    await _ask(sdk, recorder, answer, stream=bool(meta.get("stream")), **arguments)
    assert recorder.bodies == [{name: value for name, value in wire.items() if name not in beyond}]
    assert {**recorder.bodies[0], **beyond} == {**ours, **beyond}


def _join(chunks: list[ChatCompletionChunk]) -> dict[str, Any]:
    """What a user of the SDK makes of a stream: the parts that its documentation says to join."""
    joined: dict[str, Any] = {"content": "", "refusal": "", "calls": {}, "finish_reason": None, "usage": None}
    for chunk in chunks:
        joined["usage"] = chunk.usage or joined["usage"]
        for choice in chunk.choices:
            joined["finish_reason"] = choice.finish_reason or joined["finish_reason"]
            joined["content"] += choice.delta.content or ""
            joined["refusal"] += choice.delta.refusal or ""
            for piece in choice.delta.tool_calls or ():
                call = joined["calls"].setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] = piece.id or call["id"]
                if piece.function is not None:
                    call["name"] = piece.function.name or call["name"]
                    call["arguments"] += piece.function.arguments or ""
    joined["calls"] = [joined["calls"][index] for index in sorted(joined["calls"])]
    return joined


def _ours(response: LLMResponse) -> dict[str, Any]:
    calls = response.tool_calls or ()
    return {
        "content": response.content,
        "refusal": response.refusal or "",
        "calls": [{"id": call.id, "name": call.name, "arguments": call.raw_arguments} for call in calls],
        "finish_reason": response.raw_finish_reason,
    }


@pytest.mark.spec("U11", "P07", "S04", "S07")
@_having("wire_stream.sse", "sdk_reads_otherwise")
async def test_the_sdk_reads_in_a_stream_what_we_read(case: Path, sdk: AsyncOpenAI, recorder: Any) -> None:
    data = (case / "wire_stream.sse").read_bytes()
    theirs = _join(await _ask(sdk, recorder, data, stream=True))
    decoder = DIALECT.decode_stream()
    response = fold([*decoder.feed(data), *decoder.close()])
    assert {name: theirs[name] for name in _ours(response)} == _ours(response)
    if theirs["usage"] is not None:
        usage = theirs["usage"]
        assert (response.input_tokens, response.output_tokens) == (usage.prompt_tokens, usage.completion_tokens)


@pytest.mark.spec("U11", "P07", "S04", "S07")
@_having("wire_reply.json", "sdk_reads_otherwise")
async def test_the_sdk_reads_in_a_reply_what_we_read(case: Path, sdk: AsyncOpenAI, recorder: Any) -> None:
    data = (case / "wire_reply.json").read_bytes()
    completion: ChatCompletion = (await _ask(sdk, recorder, data, stream=False))[0]
    message, response = completion.choices[0].message, fold(DIALECT.decode(data))
    calls = [call.to_dict() for call in message.tool_calls or ()]
    assert (message.content or "", message.refusal) == (response.content, response.refusal)
    assert calls == (response.tool_calls or [])
    assert completion.choices[0].finish_reason == response.raw_finish_reason
    usage = completion.usage
    assert usage is not None
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    assert response.usage == Usage(
        usage.prompt_tokens,
        usage.completion_tokens,
        cache_read_tokens=(read.cached_tokens if read else 0) or 0,
        cache_write_tokens=(read.cache_write_tokens if read else 0) or 0,
        reasoning_tokens=(written.reasoning_tokens if written else 0) or 0,
    )


@_having("wire_reply.json")
def test_the_recorded_replies_are_what_the_types_say(case: Path) -> None:
    # Not ours: llama.cpp adds keys of its own. What is named in the folder, and these two, are the only ones.
    allowed = {**_meta(case).get("outside_the_types", {}), "timings": "llama.cpp", "id": "llama.cpp's token id"}
    found = check_reply(json.loads((case / "wire_reply.json").read_bytes()), ChatCompletion, allowed)
    assert [misfit for misfit in found if misfit.split(":")[0].rpartition(".")[2] not in allowed] == []


# Embeddings ---------------------------------------------------------------------------------------------------------


@pytest.mark.spec("M01", "M02", "M03")
@pytest.mark.parametrize("form", ["float", "base64"])
async def test_the_sdk_sends_the_embedding_request_that_we_send(form: Any, sdk: AsyncOpenAI, recorder: Any) -> None:
    codec = DIALECT.embeddings
    assert codec is not None
    recorder.answer, recorder.content_type = OPENAI_CHAT.embedding_reply([[0.5, 0.25]], 3, "m", {}), "application/json"
    await sdk.embeddings.create(model="m", input=["a"], dimensions=2, encoding_format=form)
    request = EmbeddingRequest("m", ("a",), EmbeddingOptions(dimensions=2, encoding_format=form))
    encoded = codec.encode(request, Target("openai", "m", ModelInfo("openai:m")))
    assert recorder.bodies == [encoded.body]
    assert recorder.paths == ["/v1" + encoded.path]
    assert misfits(encoded.body, EmbeddingCreateParams) == []


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_the_sdk_reads_in_an_embedding_reply_what_we_read(form: Any, sdk: AsyncOpenAI, recorder: Any) -> None:
    codec = DIALECT.embeddings
    assert codec is not None
    data = OPENAI_CHAT.embedding_reply([[0.5, 0.25], [1.0, -2.0]], 3, "m", {"encoding_format": form})
    recorder.answer, recorder.content_type = data, "application/json"
    theirs = await sdk.embeddings.create(
        model="m", input=["a", "b"], **({} if form == "base64" else {"encoding_format": form})
    )
    ours = codec.decode(data)
    assert [item.embedding for item in theirs.data] == ours.embeddings == [[0.5, 0.25], [1.0, -2.0]]
    assert theirs.usage.prompt_tokens == (ours.usage and ours.usage.prompt_tokens) == 3
    if form == "float":
        assert check_reply(json.loads(data), CreateEmbeddingResponse, {}) == []


@pytest.mark.parametrize("path", [("data",), ("data", 0, "embedding"), ("usage", "prompt_tokens")], ids=str)
def test_a_misspelling_planted_in_an_embedding_reply_is_caught(path: tuple[str | int, ...]) -> None:
    reply = json.loads(OPENAI_CHAT.embedding_reply([[0.5]], 3, "m", {}))
    assert check_reply(reply, CreateEmbeddingResponse, {}) == []
    _rename(*path)(reply)
    assert check_reply(reply, CreateEmbeddingResponse, {})


@pytest.mark.parametrize("name", ["encoding_format", "dimensions", "input"])
def test_a_misspelling_planted_in_an_embedding_request_is_caught(name: str) -> None:
    body: dict[str, Any] = {"model": "m", "input": ["a"], "dimensions": 2, "encoding_format": "float"}
    assert misfits(body, EmbeddingCreateParams) == []
    _rename(name)(body)
    assert misfits(body, EmbeddingCreateParams)


# The server side ----------------------------------------------------------------------------------------------------

FULL = LLMResponse(
    "Paris is sunny.",
    model="gpt-x",
    response_id="chatcmpl-1",
    finish_reason="tool_calls",
    refusal="But no more.",
    reasoning="Let me think.",
    tool_calls=[ToolCall("call_1", "get_weather", '{"city": "Paris"}'), ToolCall("call_2", "get_time", "{}")],
    citations=[Citation("https://example.com", "A page", 0, 5)],
    usage=Usage(20, 10, cache_read_tokens=8, cache_write_tokens=4, reasoning_tokens=3),
    logprobs=[
        {"token": "P", "logprob": -0.5, "bytes": [80], "id": 7, "top_logprobs": [{"token": "P", "logprob": -0.5}]}
    ],
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
    assert check_reply(reply, ChatCompletion, {k: EXTENSIONS[k] for k in ("reasoning_content", "extra_content")}) == []
    completion: ChatCompletion = (await _ask(sdk, recorder, orjson.dumps(reply), stream=False))[0]
    assert (completion.choices[0].message.content or "") == response.content
    assert len(completion.choices[0].message.tool_calls or ()) == len(response.tool_calls or ())


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_streams_that_we_write(
    response: LLMResponse, sdk: AsyncOpenAI, recorder: Any
) -> None:
    frames = encode_stream(response, created=1)
    for frame in frames[:-1]:
        assert check_reply(json.loads(frame[6:]), ChatCompletionChunk, EXTENSIONS) == []
    theirs = _join(await _ask(sdk, recorder, b"".join(frames), stream=True))
    ours = {**_ours(response), "finish_reason": response.finish_reason or "stop"}
    assert {name: theirs[name] for name in ours} == ours


# The oracle itself --------------------------------------------------------------------------------------------------


def _request_body() -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.y", "detail": "low"}}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 5,
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
    ("max_completion_tokens",),
    ("tool_choice", "function", "name"),
    ("messages", 0, "content"),
    ("messages", 0, "content", 0, "image_url", "detail"),
    ("messages", 1, "tool_calls", 0, "function", "arguments"),
    ("messages", 2, "tool_call_id"),
    ("tools", 0, "function", "parameters"),
    ("response_format", "json_schema", "schema"),
    ("response_format", "json_schema"),
    ("stream_options", "include_usage"),
]
REPLY_MISSPELLINGS: list[tuple[str | int, ...]] = [
    ("choices",),
    ("created",),
    ("choices", 0, "finish_reason"),
    ("choices", 0, "message", "refusal"),
    ("choices", 0, "message", "tool_calls"),
    ("choices", 0, "message", "tool_calls", 0, "function", "arguments"),
    ("choices", 0, "message", "annotations", 0, "url_citation", "start_index"),
    ("choices", 0, "logprobs", "content"),
    ("choices", 0, "logprobs", "content", 0, "top_logprobs", 0, "bytes"),
    ("usage", "prompt_tokens_details"),
    ("usage", "prompt_tokens_details", "cached_tokens"),
    ("usage", "completion_tokens_details", "reasoning_tokens"),
]
CHUNK_MISSPELLINGS: list[tuple[str | int, ...]] = [
    ("choices", 0, "delta"),
    ("choices", 0, "delta", "tool_calls", 0, "index"),
    ("choices", 0, "delta", "tool_calls", 0, "function", "name"),
    ("object",),
]


@pytest.mark.parametrize("path", REQUEST_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_request_is_caught(path: tuple[str | int, ...]) -> None:
    body = _request_body()
    assert misfits(body, CompletionCreateParamsStreaming) == []
    _rename(*path)(body)
    assert misfits(body, CompletionCreateParamsStreaming)


@pytest.mark.parametrize("path", REPLY_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_reply_is_caught(path: tuple[str | int, ...]) -> None:
    reply = copy.deepcopy(json.loads(orjson.dumps(encode_reply(FULL))))
    _rename(*path)(reply)
    assert check_reply(reply, ChatCompletion, EXTENSIONS)


@pytest.mark.parametrize("path", CHUNK_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_chunk_is_caught(path: tuple[str | int, ...]) -> None:
    chunk = next(json.loads(frame[6:]) for frame in encode_stream(FULL) if b'"name"' in frame)
    _rename(*path)(chunk)
    assert check_reply(chunk, ChatCompletionChunk, EXTENSIONS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "hot"),
        ("temperature", True),
        ("stop", 7),
        ("tool_choice", "any"),
        ("messages", [{"role": "owl"}]),
    ],
)
def test_a_value_of_the_wrong_kind_is_caught_too(name: str, value: Any) -> None:
    assert misfits({**_request_body(), name: value}, CompletionCreateParamsStreaming)
