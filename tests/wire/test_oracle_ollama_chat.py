"""What we did not write judges the dialect: the ollama SDK sends what we send, and its types know every key that we write and read.

Differences stand in the case folder, each with its reason: `outside_the_types` (key → reason), `sdk_reads_otherwise` (reason).
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import pytest_asyncio
from ollama import AsyncClient, ChatResponse, EmbedResponse, ListResponse, Options
from pydantic import BaseModel, ValidationError

from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, LLMResponse, ToolCall, Usage
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingRequest
from llmring.schemas.fold import fold
from llmring.testing.dialects import OLLAMA_CHAT
from llmring.wire.base import Quirks, Target
from llmring.wire.ollama_chat import DIALECT
from llmring.wire.ollama_chat.request import OPTIONS
from llmring.wire.ollama_chat.response import encode_reply
from llmring.wire.ollama_chat.stream import encode_stream

CASES = sorted(path for path in (Path(__file__).parent / "cases" / "ollama_chat").iterdir() if path.is_dir())
# Newer than the SDK 0.6: https://docs.ollama.com/modelfile#valid-parameters-and-values (2026-11-21)
NEWER_OPTIONS = {"min_p", "draft_num_predict"}
# Newer than the SDK 0.6: https://github.com/ollama/ollama/pull/17943 (2026-11-21)
NEWER_COUNT = {"prompt_eval_cached_count": "what was read from the cache"}


def _meta(case: Path) -> dict[str, Any]:
    return json.loads((case / "case.json").read_bytes())


def _having(name: str, *unless: str) -> pytest.MarkDecorator:
    folders = [case for case in CASES if (case / name).exists() and not {"error", *unless} & _meta(case).keys()]
    assert len(folders) > 5
    return pytest.mark.parametrize("case", folders, ids=[case.name for case in folders])


# The client ---------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def sdk(recorder: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncClient]:
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
    client = AsyncClient(host=recorder.base_url.removesuffix("/v1"))
    yield client
    await client.close()


async def _send(sdk: Any, recorder: Any, body: Mapping[str, Any]) -> Any:
    """What the SDK sends where it is given what a body says."""
    recorder.answer = orjson.dumps({"model": "m", "message": {"role": "assistant", "content": "x"}, "done": True})
    recorder.content_type = "application/json"
    if body.get("stream"):
        recorder.answer += b"\n"
        recorder.content_type = "application/x-ndjson"
        async for _ in await sdk.chat(**body):
            pass
    else:
        await sdk.chat(**body)
    sent = recorder.bodies[-1]
    if "tools" not in body:
        assert sent.pop("tools") == []  # the SDK says that there are none; we say nothing
    return sent


def _encode(case: Path) -> dict[str, Any]:
    meta = _meta(case)
    wire = json.loads((case / "wire_request.json").read_bytes())
    quirks: dict[str, Any] = dict(meta.get("quirks", {}))
    for name, value in quirks.items():
        if isinstance(value, list):
            listed = cast("list[Any]", value)
            quirks[name] = frozenset(listed) if name == "rejected" else tuple(listed)
    request = LLMRequest.model_validate_json((case / "request.json").read_bytes())
    target = Target("ollama", wire["model"], ModelInfo("ollama:x"), Quirks(**quirks))
    return json.loads(orjson.dumps(DIALECT.encode(request, target, stream=bool(meta.get("stream"))).body))


@pytest.mark.spec("U16", "U50", "F15")
@_having("wire_request.json")
async def test_the_sdk_sends_the_body_that_we_send(case: Path, sdk: Any, recorder: Any) -> None:
    ours = _encode(case)
    beyond = {name: ours.pop(name) for name in _meta(case).get("outside_the_types", {}) if name in ours}
    wire = json.loads((case / "wire_request.json").read_bytes())
    sent = await _send(sdk, recorder, ours)
    assert recorder.paths == ["/api/chat"]
    assert sent == ours
    assert {**sent, **beyond} == wire


def test_every_option_of_the_sdk_goes_under_options() -> None:
    assert set(Options.model_fields) | NEWER_OPTIONS == OPTIONS


async def test_the_sdk_sends_the_embedding_request_that_we_send(sdk: Any, recorder: Any) -> None:
    options = EmbeddingOptions(truncate="none", dimensions=4, extra_params={"num_ctx": 64, "keep_alive": "1m"})
    target = Target("ollama", "m", ModelInfo("ollama:m"))
    assert DIALECT.embeddings is not None
    encoded = DIALECT.embeddings.encode(EmbeddingRequest("m", ("a", "b"), options), target)
    recorder.answer = orjson.dumps({"model": "m", "embeddings": [[0.5], [0.25]]})
    await sdk.embed(
        "m", ["a", "b"], truncate=False, dimensions=4, options=cast("Any", {"num_ctx": 64}), keep_alive="1m"
    )
    assert recorder.bodies == [encoded.body]
    assert recorder.paths == ["/api/embed"]


# What is read -------------------------------------------------------------------------------------------------------


def strangers(data: Any, kind: type[BaseModel], allowed: Mapping[str, str]) -> list[str]:
    """Where data does not fit a model of the SDK: wrong types and missing fields, and every key, at any depth, that the SDK drops."""
    try:
        model = kind.model_validate(data)
    except ValidationError as error:
        return [f"{'.'.join(map(str, step['loc']))}: {step['msg']}" for step in error.errors()]
    return [path for path in _dropped(data, model, "") if path.rpartition(".")[2] not in allowed]


def _dropped(data: Any, model: Any, path: str) -> Iterator[str]:
    if isinstance(model, BaseModel):
        for name, value in data.items():
            if name in type(model).model_fields:
                yield from _dropped(value, getattr(model, name), f"{path}.{name}")
            else:
                yield f"{path}.{name}"
    elif isinstance(model, list):
        for n, (value, item) in enumerate(zip(data, cast("list[Any]", model), strict=True)):
            yield from _dropped(value, item, f"{path}[{n}]")


def _ours(response: LLMResponse) -> dict[str, Any]:
    return {
        "content": response.content,
        "thinking": response.reasoning or "",
        "calls": [(call.name, call.arguments) for call in response.tool_calls or ()],
        "done_reason": response.raw_finish_reason,
        "counts": (response.input_tokens, response.output_tokens),
    }


def _theirs(parts: list[ChatResponse]) -> dict[str, Any]:
    last = parts[-1]
    return {
        "content": "".join(part.message.content or "" for part in parts),
        "thinking": "".join(part.message.thinking or "" for part in parts),
        "calls": [(c.function.name, c.function.arguments) for part in parts for c in part.message.tool_calls or ()],
        "done_reason": last.done_reason,
        "counts": (last.prompt_eval_count or 0, last.eval_count or 0),
    }


@pytest.mark.spec("U16", "P07", "S07")
@_having("wire_stream.ndjson", "sdk_reads_otherwise")
async def test_the_sdk_reads_in_a_stream_what_we_read(case: Path, sdk: Any, recorder: Any) -> None:
    data = (case / "wire_stream.ndjson").read_bytes()
    recorder.answer, recorder.content_type = data, "application/x-ndjson"
    parts = [part async for part in await sdk.chat("m", [{"role": "user", "content": "hi"}], stream=True)]
    decoder = DIALECT.decode_stream()
    assert _theirs(parts) == _ours(fold([*decoder.feed(data), *decoder.close()]))
    for line in data.splitlines():
        assert strangers(json.loads(line), ChatResponse, _meta(case).get("outside_the_types", {})) == []


@pytest.mark.spec("U16", "P07")
@_having("wire_reply.json")
async def test_the_sdk_reads_in_a_reply_what_we_read(case: Path, sdk: Any, recorder: Any) -> None:
    data = (case / "wire_reply.json").read_bytes()
    recorder.answer = data
    reply = await sdk.chat("m", [{"role": "user", "content": "hi"}])
    assert _theirs([reply]) == _ours(fold(DIALECT.decode(data)))
    assert strangers(json.loads(data), ChatResponse, _meta(case).get("outside_the_types", {})) == []


# The server's side ----------------------------------------------------------------------------------------------------

FULL = LLMResponse(
    "Paris is sunny.",
    model="gemma4",
    finish_reason="tool_calls",
    reasoning="Let me think.",
    tool_calls=[ToolCall("call_1", "get_weather", '{"city": "Paris"}'), ToolCall("call_2", "get_time", "{}")],
    usage=Usage(20, 10, cache_read_tokens=8),
    logprobs=[{"token": "P", "logprob": -0.5, "bytes": [80], "top_logprobs": [{"token": "P", "logprob": -0.5}]}],
)
ANSWERS = [FULL, LLMResponse(), LLMResponse("x", finish_reason="length")]


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_replies_that_our_fake_server_writes(
    response: LLMResponse, sdk: Any, recorder: Any
) -> None:
    recorder.answer = OLLAMA_CHAT.reply(response)
    assert strangers(json.loads(recorder.answer), ChatResponse, NEWER_COUNT) == []
    reply = await sdk.chat("m", [{"role": "user", "content": "hi"}])
    wanted = {**_ours(response), "done_reason": "length" if response.finish_reason == "length" else "stop"}
    assert _theirs([reply]) == wanted


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_streams_that_our_fake_server_writes(
    response: LLMResponse, sdk: Any, recorder: Any
) -> None:
    lines = OLLAMA_CHAT.events(response, {})
    for line in lines:
        assert strangers(json.loads(line), ChatResponse, NEWER_COUNT) == []
    recorder.answer, recorder.content_type = b"".join(lines), "application/x-ndjson"
    parts = [part async for part in await sdk.chat("m", [{"role": "user", "content": "hi"}], stream=True)]
    wanted = {**_ours(response), "done_reason": "length" if response.finish_reason == "length" else "stop"}
    assert _theirs(parts) == wanted


def test_the_sdk_knows_every_key_of_the_vectors_and_listings_that_our_fake_server_writes() -> None:
    vectors = json.loads(OLLAMA_CHAT.embedding_reply([[0.5, 0.25]], 3, "m", {}))
    assert strangers(vectors, EmbedResponse, {}) == []
    models = json.loads(OLLAMA_CHAT.models_reply(["a", "b"]))
    # `name` is documented and unknown to the SDK 0.6: https://docs.ollama.com/api/tags (2026-11-21)
    assert strangers(models, ListResponse, {"name": "the old word for model"}) == []


# The oracle itself --------------------------------------------------------------------------------------------------


def _request_body() -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi", "images": ["aGk="]},
            {"role": "assistant", "thinking": "t", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_name": "f", "content": "1"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "description": "d",
                    "parameters": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
                },
            }
        ],
        "options": {"num_predict": 5},
        "format": "json",
        "think": "low",
        "keep_alive": "1m",
        "logprobs": True,
        "top_logprobs": 2,
        "stream": False,
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
    ("think",),
    ("format",),
    ("top_logprobs",),
    ("options", "num_predict"),
    ("messages", 0, "images"),
    ("messages", 1, "thinking"),
    ("messages", 1, "tool_calls", 0, "function", "arguments"),
    ("messages", 2, "tool_name"),
    ("tools", 0, "function", "parameters"),
    ("tools", 0, "function", "parameters", "properties"),
    ("tools", 0, "function", "description"),
]
REPLY_MISSPELLINGS: list[tuple[str | int, ...]] = [
    ("message",),
    ("done",),
    ("done_reason",),
    ("eval_count",),
    ("message", "content"),
    ("message", "thinking"),
    ("message", "tool_calls"),
    ("message", "tool_calls", 0, "function", "name"),
    ("message", "tool_calls", 0, "function", "arguments"),
    ("logprobs", 0, "logprob"),
    ("logprobs", 0, "top_logprobs", 0, "token"),
]


async def _differs(sdk: Any, recorder: Any, body: dict[str, Any]) -> bool:
    try:
        sent = await _send(sdk, recorder, body)
    except (TypeError, ValidationError):
        return True
    return sent != body or not set(body.get("options", {})) <= OPTIONS


@pytest.mark.parametrize("path", REQUEST_MISSPELLINGS, ids=str)
async def test_a_misspelling_planted_in_a_request_is_caught(
    path: tuple[str | int, ...], sdk: Any, recorder: Any
) -> None:
    body = _request_body()
    assert not await _differs(sdk, recorder, body)
    _rename(*path)(body)
    assert await _differs(sdk, recorder, body)


@pytest.mark.parametrize("path", REPLY_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_reply_is_caught(path: tuple[str | int, ...]) -> None:
    reply = copy.deepcopy(json.loads(orjson.dumps(encode_reply(FULL))))
    assert strangers(reply, ChatResponse, NEWER_COUNT) == []
    _rename(*path)(reply)
    assert strangers(reply, ChatResponse, NEWER_COUNT)


def test_a_misspelling_planted_in_a_line_of_a_stream_is_caught() -> None:
    line = next(json.loads(line) for line in encode_stream(FULL) if b'"tool_calls"' in line)
    assert strangers(line, ChatResponse, {}) == []
    _rename("message", "tool_calls", 0, "function", "name")(line)
    assert strangers(line, ChatResponse, {})
