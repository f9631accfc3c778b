"""What we did not write judges the dialect: the anthropic SDK sends what we send, and its types know every key that we write.

Differences stand in the case folder, each with its reason: `outside_the_types` (key → reason), `sdk_reads_otherwise` (reason).
`beta`: the case is one of the SDK's beta types.
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
from anthropic import AsyncAnthropic, transform_schema
from anthropic.lib.bedrock import AsyncAnthropicBedrockMantle
from anthropic.lib.vertex import AsyncAnthropicVertex
from anthropic.types import Message as SDKMessage
from anthropic.types import MessageTokensCount, RawMessageStreamEvent
from anthropic.types.beta import BetaMessage
from anthropic.types.beta.message_create_params import (
    MessageCreateParamsNonStreaming as BetaParams,
)
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import BaseModel, TypeAdapter, ValidationError
from tests.wire.oracle import check_reply, extras, misfits

from llmring.registry.model_info import ModelInfo
from llmring.schemas import Citation, LLMRequest, LLMResponse, ToolCall, Usage
from llmring.schemas.fold import fold
from llmring.wire.anthropic_messages import DIALECT, encode_reply, encode_stream
from llmring.wire.base import Quirks, Target

CASES = sorted(path for path in (Path(__file__).parent / "cases" / "anthropic_messages").iterdir() if path.is_dir())
EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def _meta(case: Path) -> dict[str, Any]:
    return json.loads((case / "case.json").read_bytes())


def _having(name: str, *unless: str) -> pytest.MarkDecorator:
    folders = [case for case in CASES if (case / name).exists() and not {"error", *unless} & _meta(case).keys()]
    assert len(folders) > 10
    return pytest.mark.parametrize("case", folders, ids=[case.name for case in folders])


def _target(case: Path) -> Target:
    quirks = dict(_meta(case).get("quirks", {}))
    for name, value in quirks.items():
        if isinstance(value, list):
            default: Any = getattr(Quirks(), name) or ()
            kind = cast("Callable[[Any], Any]", type(default))
            quirks[name] = kind(value)
    wire = json.loads((case / "wire_request.json").read_bytes())
    return Target("anthropic", wire["model"], ModelInfo("anthropic:x"), Quirks(**quirks))


def _request(case: Path) -> LLMRequest:
    return LLMRequest.model_validate_json((case / "request.json").read_bytes())


# The client ---------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def sdk(recorder: Any) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(
        api_key="sk-test", base_url=recorder.base_url.removesuffix("/v1"), max_retries=0
    ) as client:
        yield client


def _messages(sdk: Any, meta: dict[str, Any]) -> Any:
    return sdk.beta.messages if meta.get("beta") else sdk.messages


async def _ask(messages: Any, recorder: Any, answer: bytes, *, stream: bool = False, **arguments: Any) -> Any:
    """One call through the SDK's own `create` or `stream`: the message that it makes of the answer."""
    recorder.answer = answer
    recorder.content_type = "text/event-stream" if stream else "application/json"
    given: dict[str, Any] = {
        "model": "m",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hi"}],
        **arguments,
    }
    if not stream:
        return await messages.create(**given)
    async with messages.stream(**given) as events:
        return await events.get_final_message()


@pytest.mark.spec("U42", "U28", "D10", "D04", "N15", "F15", "G27", "K06", "U14")
@_having("wire_request.json")
async def test_the_sdk_sends_the_body_that_we_send(case: Path, sdk: AsyncAnthropic, recorder: Any) -> None:
    meta = _meta(case)
    wire = json.loads((case / "wire_request.json").read_bytes())
    encoded = DIALECT.encode(_request(case), _target(case), stream=bool(meta.get("stream")))
    ours = json.loads(orjson.dumps(encoded.body))

    beyond = {name: ours.pop(name) for name in meta.get("outside_the_types", {}) if name in ours}
    streaming: Any = MessageCreateParamsStreaming if meta.get("stream") else MessageCreateParamsNonStreaming
    assert misfits(ours, BetaParams if meta.get("beta") else streaming) == []
    arguments = {**ours, "extra_body": beyond} if beyond else ours
    recorder.answer = b"{}"
    await _messages(sdk, meta).create(**arguments)
    assert recorder.bodies == [wire]
    assert {**ours, **beyond} == wire


def _block(block: Any) -> dict[str, Any]:
    data: dict[str, Any] = block.model_dump(mode="json", exclude_unset=True) if isinstance(block, BaseModel) else block
    return {name: value for name, value in data.items() if value is not None and name != "citations"}


def _theirs(message: Any) -> dict[str, Any]:
    blocks = [_block(block) for block in message.content]
    return {
        "id": message.id,
        "model": message.model,
        "content": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "reasoning": "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        "calls": [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"],
        "kinds": [b["type"] for b in blocks if b["type"] != "text"],
        "seals": [b.get("signature") or b.get("data") for b in blocks if "thinking" in b["type"]],
        "cited": [c.cited_text for block in message.content for c in getattr(block, "citations", None) or ()],
        "stop_reason": message.stop_reason,
    }


def _ours(response: LLMResponse) -> dict[str, Any]:
    kinds: list[str] = []
    for part in response.parts:
        match part.type:
            case "thinking":
                kinds.append("redacted_thinking" if part.redacted else "thinking")
            case "provider":
                kinds.append(part.data["type"])
            case "tool_use":
                kinds.append("tool_use")
            case _:
                pass
    return {
        "id": response.response_id,
        "model": response.model,
        "content": response.content,
        "reasoning": response.reasoning or "",
        "calls": [(call.id, call.name, call.arguments) for call in response.tool_calls or ()],
        "kinds": kinds,
        "seals": [part.signature for part in response.parts if part.type == "thinking"],
        "cited": [citation.text for citation in response.citations or ()],
        "stop_reason": response.raw_finish_reason,
    }


def _check_usage(usage: Any, response: LLMResponse) -> None:
    iterations: list[Any] = getattr(usage, "iterations", None) or []
    counts: list[Any] = [usage, *(item for item in iterations if item.type == "compaction")]
    read = sum(count.cache_read_input_tokens or 0 for count in counts)
    written = sum(count.cache_creation_input_tokens or 0 for count in counts)
    details = usage.output_tokens_details
    assert response.usage == Usage(
        sum(count.input_tokens for count in counts) + read + written,
        sum(count.output_tokens for count in counts),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=details.thinking_tokens if details else 0,
    )


@pytest.mark.spec("U11", "P07", "S04", "S07", "K05", "K08")
@_having("wire_stream.sse", "sdk_reads_otherwise")
async def test_the_sdk_reads_in_a_stream_what_we_read(case: Path, sdk: AsyncAnthropic, recorder: Any) -> None:
    data = (case / "wire_stream.sse").read_bytes()
    message = await _ask(_messages(sdk, _meta(case)), recorder, data, stream=True)
    decoder = DIALECT.decode_stream()
    response = fold([*decoder.feed(data), *decoder.close()])
    assert _theirs(message) == _ours(response)
    _check_usage(message.usage, response)


@pytest.mark.spec("U11", "P07", "S04", "S07", "K05", "K08")
@_having("wire_reply.json", "sdk_reads_otherwise")
async def test_the_sdk_reads_in_a_reply_what_we_read(case: Path, sdk: AsyncAnthropic, recorder: Any) -> None:
    data = (case / "wire_reply.json").read_bytes()
    message = await _ask(_messages(sdk, _meta(case)), recorder, data)
    response = fold(DIALECT.decode(data))
    assert _theirs(message) == _ours(response)
    _check_usage(message.usage, response)


@_having("wire_reply.json")
def test_the_recorded_replies_are_what_the_types_say(case: Path) -> None:
    meta = _meta(case)
    kind: Any = BetaMessage if meta.get("beta") else SDKMessage
    allowed = meta.get("outside_the_types", {})
    found = check_reply(json.loads((case / "wire_reply.json").read_bytes()), kind, allowed)
    assert [misfit for misfit in found if misfit.split(":")[0].rpartition(".")[2] not in allowed] == []


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["a"]},
    {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 3}},
    },
    {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4}},
    },
    {"type": "object", "properties": {"a": {"oneOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"enum": ["x", 1, None]}}},
    {"type": "object", "properties": {"a": {"type": "string", "format": "phone", "default": "1", "title": "T"}}},
]


def _without_words(schema: Any) -> Any:
    if isinstance(schema, dict):
        items = cast("dict[str, Any]", schema).items()
        return {name: _without_words(child) for name, child in items if name != "description"}
    return [_without_words(child) for child in cast("list[Any]", schema)] if isinstance(schema, list) else schema


@pytest.mark.spec("G28")
@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_the_sdk_fits_schemas_as_we_do(schema: dict[str, Any]) -> None:
    request = LLMRequest(model="m", messages="Hi", response_format=schema)
    target = Target("anthropic", "m", ModelInfo("anthropic:m"))
    ours = DIALECT.encode(request, target, stream=False).body["output_config"]["format"]["schema"]
    theirs = transform_schema(copy.deepcopy(schema))
    assert _without_words(ours) == _without_words(theirs)
    assert json.dumps(ours).count('"description"') == json.dumps(theirs).count('"description"')


# Clouds and counts --------------------------------------------------------------------------------------------------

FULL_REQUEST = LLMRequest(
    model="claude",
    messages=[
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image", "url": "https://example.com/a.png"}, "What is this?"]},
    ],
    max_tokens=64,
    tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    tool_choice="auto",
    reasoning_effort="low",
    stop=["END"],
)


def _encode(model: str, *, stream: bool = False, **quirks: Any) -> dict[str, Any]:
    target = Target("vertex_anthropic", model, ModelInfo("vertex_anthropic:x"), Quirks(**quirks))
    encoded = DIALECT.encode(FULL_REQUEST, target, stream=stream)
    return {"path": encoded.path, "body": json.loads(orjson.dumps(encoded.body))}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-opus-4-5@20251101"])
async def test_the_vertex_client_sends_the_path_and_body_that_we_send(model: str, stream: bool, recorder: Any) -> None:
    ours = _encode(model, stream=stream, envelope="vertex")
    client = AsyncAnthropicVertex(
        region="global", project_id="p", access_token="t", base_url=recorder.base_url, max_retries=0
    )
    async with client:
        # The SDK writes its own version unless told another: it is made for 2026-10-21.
        body = {"model": model, **ours["body"]}
        version = {"anthropic_version": body.pop("anthropic_version")}
        if stream:
            recorder.content_type = "text/event-stream"
        create: Any = client.messages.create
        await create(**body, extra_body=version)
    assert recorder.bodies == [ours["body"]]
    assert recorder.paths == [f"/v1/projects/p/locations/global/publishers/anthropic{ours['path']}"]


async def test_the_bedrock_client_sends_the_path_and_body_that_we_send(recorder: Any) -> None:
    ours = _encode("anthropic.claude-opus-4-8")
    base_url = recorder.base_url.removesuffix("/v1") + "/anthropic"
    client = AsyncAnthropicBedrockMantle(api_key="k", aws_region="us-east-1", base_url=base_url, max_retries=0)
    async with client:
        create: Any = client.messages.create
        await create(**ours["body"])
    assert recorder.bodies == [ours["body"]]
    assert recorder.paths == [f"/anthropic/v1{ours['path']}"]


async def test_the_sdk_counts_tokens_as_we_do(sdk: AsyncAnthropic, recorder: Any) -> None:
    codec = DIALECT.token_count
    assert codec is not None
    encoded = codec.encode(FULL_REQUEST, Target("anthropic", "claude-opus-4-8", ModelInfo("anthropic:x")))
    ours = json.loads(orjson.dumps(encoded.body))
    assert misfits(ours, MessageCountTokensParams) == []
    recorder.answer = b'{"input_tokens": 2095}'
    count: MessageTokensCount = await sdk.messages.count_tokens(**ours)
    assert recorder.bodies == [ours]
    assert recorder.paths == [f"/v1{encoded.path}"]
    assert codec.decode(recorder.answer) == count.input_tokens == 2095


# The server side ----------------------------------------------------------------------------------------------------

FULL = LLMResponse(
    "Paris is sunny.",
    model="claude-x",
    response_id="msg_1",
    finish_reason="content_filter",
    refusal="But no more.",
    reasoning="Let me think.",
    tool_calls=[ToolCall("call_1", "get_weather", '{"city": "Paris"}'), ToolCall("call_2", "get_time", "{}")],
    citations=[Citation("https://example.com", "A page", 0, 5, "Paris")],
    usage=Usage(20, 10, cache_read_tokens=8, cache_write_tokens=4, reasoning_tokens=3),
)
ANSWERS = [FULL, LLMResponse(), LLMResponse("x")] + [
    LLMResponse.from_dict(json.loads((case / "response.json").read_bytes()))
    for case in CASES
    # The dialect has no word for an answer of which nobody knows whether it is whole; beta blocks have types of their own.
    if (case / "response.json").exists()
    and case.name not in ("finish_unknown_word", "unknown_events_are_passed_over")
    and not _meta(case).get("beta")
]


def _known(response: LLMResponse) -> dict[str, Any]:
    ours = _ours(response)
    ours["stop_reason"] = encode_reply(response)["stop_reason"]
    return ours


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_replies_that_we_write(
    response: LLMResponse, sdk: AsyncAnthropic, recorder: Any
) -> None:
    reply = json.loads(orjson.dumps(encode_reply(response)))
    assert check_reply(reply, SDKMessage, {}) == []
    message = await _ask(sdk.messages, recorder, orjson.dumps(reply))
    assert _theirs(message) == {**_known(response), "id": response.response_id or ""}


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_streams_that_we_write(
    response: LLMResponse, sdk: AsyncAnthropic, recorder: Any
) -> None:
    frames = encode_stream(response)
    for frame in frames:
        assert _check_event(json.loads(frame.partition(b"data: ")[2])) == []
    message = await _ask(sdk.messages, recorder, b"".join(frames), stream=True)
    assert _theirs(message) == {**_known(response), "id": response.response_id or ""}


def _check_event(event: dict[str, Any]) -> list[str]:
    try:
        return list(extras(EVENTS.validate_python(event)))
    except ValidationError as error:
        return [f"{'.'.join(map(str, step['loc']))}: {step['msg']}" for step in error.errors()]


# The oracle itself --------------------------------------------------------------------------------------------------


def _request_body() -> dict[str, Any]:
    return {
        "model": "m",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x.y"}}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "stop_sequences": ["x"],
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
    ("max_tokens",),
    ("stop_sequences",),
    ("system", 0, "cache_control", "ttl"),
    ("messages", 0, "content", 0, "source", "url"),
    ("messages", 1, "content", 0, "signature"),
    ("messages", 1, "content", 1, "input"),
    ("messages", 2, "content", 0, "tool_use_id"),
    ("tool_choice", "disable_parallel_tool_use"),
    ("output_config", "effort"),
    ("output_config", "format", "schema"),
    ("thinking", "display"),
]
REPLY_MISSPELLINGS: list[tuple[str | int, ...]] = [
    ("content",),
    ("stop_reason",),
    ("stop_sequence",),
    ("stop_details", "explanation"),
    ("content", 0, "signature"),
    ("content", 1, "text"),
    ("content", 1, "citations", 0, "cited_text"),
    ("content", 1, "citations", 0, "encrypted_index"),
    ("content", 3, "input"),
    ("usage", "cache_read_input_tokens"),
    ("usage", "output_tokens_details", "thinking_tokens"),
]
EVENT_MISSPELLINGS: list[tuple[bytes, tuple[str | int, ...]]] = [
    (b"message_start", ("message", "usage", "cache_creation_input_tokens")),
    (b"content_block_start", ("content_block",)),
    (b"content_block_start", ("index",)),
    (b"thinking_delta", ("delta", "thinking")),
    (b"input_json_delta", ("delta", "partial_json")),
    (b"message_delta", ("delta", "stop_reason")),
    (b"message_delta", ("usage", "output_tokens")),
]


@pytest.mark.parametrize("path", REQUEST_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_request_is_caught(path: tuple[str | int, ...]) -> None:
    body = _request_body()
    assert misfits(body, MessageCreateParamsStreaming) == []
    _rename(*path)(body)
    assert misfits(body, MessageCreateParamsStreaming)


@pytest.mark.parametrize("path", REPLY_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_reply_is_caught(path: tuple[str | int, ...]) -> None:
    reply = copy.deepcopy(json.loads(orjson.dumps(encode_reply(FULL))))
    assert check_reply(reply, SDKMessage, {}) == []
    _rename(*path)(reply)
    assert check_reply(reply, SDKMessage, {})


@pytest.mark.parametrize(("kind", "path"), EVENT_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_an_event_is_caught(kind: bytes, path: tuple[str | int, ...]) -> None:
    event = next(json.loads(f.partition(b"data: ")[2]) for f in encode_stream(FULL) if b'"' + kind + b'"' in f)
    assert _check_event(event) == []
    _rename(*path)(event)
    assert _check_event(event)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", "many"),
        ("max_tokens", True),
        ("stop_sequences", 7),
        ("tool_choice", "any"),
        ("messages", [{"role": "owl", "content": "x"}]),
    ],
)
def test_a_value_of_the_wrong_kind_is_caught_too(name: str, value: Any) -> None:
    assert misfits({**_request_body(), name: value}, MessageCreateParamsStreaming)
