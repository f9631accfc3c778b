"""What we did not write judges the dialect: the google-genai SDK sends what we send, and its types, which forbid what they do not
know, parse every body and every reply that we write.

Three differences, everywhere, none of which says anything else to the API: the SDK writes base64 with - and _ where we pass it on as
it came, some names in snake case, and an empty generationConfig where there is nothing to say. What differs in one case stands in
its folder: `sdk_differs`, `only_at_the_gemini_api`, `outside_the_types` (each with its reason).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
import pytest_asyncio
from google.genai import Client, types
from pydantic import BaseModel, ValidationError

from llmring.registry.model_info import ModelInfo
from llmring.schemas import Citation, LLMRequest, LLMResponse, ToolCall, Usage
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingRequest
from llmring.schemas.fold import fold
from llmring.testing.dialects.gemini_generate import GEMINI_GENERATE, encode_reply, encode_stream
from llmring.wire.base import Quirks, Target
from llmring.wire.gemini_generate import DIALECT

CASES = sorted(path for path in (Path(__file__).parent / "cases" / "gemini_generate").iterdir() if path.is_dir())
MODEL = "gemini-2.5-flash"
# The parts of a body that are models of their own.
KINDS: dict[str, type[BaseModel]] = {
    "systemInstruction": types.Content,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
}
LISTED: dict[str, type[BaseModel]] = {
    "contents": types.Content,
    "tools": types.Tool,
    "safetySettings": types.SafetySetting,
}


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
            kind = cast("Callable[[Any], Any]", type(getattr(Quirks(), name) or ()))
            quirks[name] = kind(value)
    return Target("google", _meta(case)["model"], ModelInfo("google:x"), Quirks(**quirks))


def _request(case: Path) -> LLMRequest:
    return LLMRequest.model_validate_json((case / "request.json").read_bytes())


# Under these names stand names of the caller's.
DATA = ("args", "response", "parametersJsonSchema", "responseJsonSchema")


def _alike(value: Any) -> Any:
    """The value with all base64, and all names of the API's, spelt alike."""
    if isinstance(value, list):
        return [_alike(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    spelt: dict[str, Any] = {}
    for given, item in cast("dict[str, Any]", value).items():
        name = re.sub(r"_([a-z])", lambda match: match[1].upper(), given)
        if name in ("data", "thoughtSignature") and isinstance(item, str):
            spelt[name] = item.replace("-", "+").replace("_", "/")
        elif not (name == "generationConfig" and item == {}):
            spelt[name] = item if name in DATA else _alike(item)
    return spelt


def body_misfits(body: dict[str, Any]) -> list[str]:
    """Where a body is not what the SDK's models know, at any depth."""
    found: list[str] = []
    for name, value in body.items():
        try:
            if name in KINDS:
                KINDS[name].model_validate(value)
            elif name in LISTED:
                for item in value:
                    LISTED[name].model_validate(item)
            elif name not in ("cachedContent", "serviceTier"):
                found.append(f"{name}: no such key")
        except ValidationError as error:
            found += [f"{name}.{'.'.join(map(str, step['loc']))}: {step['msg']}" for step in error.errors()]
    return found


def reply_misfits(reply: dict[str, Any]) -> list[str]:
    try:
        types.GenerateContentResponse.model_validate(reply)
    except ValidationError as error:
        return [f"{'.'.join(map(str, step['loc']))}: {step['msg']}" for step in error.errors()]
    return []


# The client ---------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def sdk(recorder: Any) -> AsyncIterator[Client]:
    async with httpx.AsyncClient() as http:
        options = types.HttpOptions(
            base_url=recorder.base_url.removesuffix("/v1"), api_version="v1beta", httpx_async_client=http
        )
        client = Client(vertexai=False, api_key="test", http_options=options)
        yield client
        await client.aio.aclose()
        client.close()


@pytest_asyncio.fixture
async def vertex(recorder: Any) -> AsyncIterator[Client]:
    async with httpx.AsyncClient() as http:
        options = types.HttpOptions(
            base_url=recorder.base_url.removesuffix("/v1"), api_version="v1", httpx_async_client=http
        )
        client = Client(vertexai=True, api_key="test", http_options=options)
        yield client
        await client.aio.aclose()
        client.close()


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    """A body as arguments of `generate_content`."""
    config = {name: value for name, value in body.items() if name not in ("contents", "generationConfig")}
    config |= body.get("generationConfig", {})
    config["automaticFunctionCalling"] = {"disable": True}
    contents = [types.Content.model_validate(content) for content in body["contents"]]
    return {"contents": contents, "config": types.GenerateContentConfig.model_validate(config)}


@pytest.mark.spec("U42", "U15", "E10", "F15", "D04", "D06", "U12", "L03", "G27", "K06")
@_having("wire_request.json", "sdk_differs")
async def test_the_sdk_sends_the_body_that_we_send(case: Path, sdk: Client, recorder: Any) -> None:
    wire = json.loads((case / "wire_request.json").read_bytes())
    encoded = DIALECT.encode(_request(case), _target(case), stream=False)
    ours = json.loads(orjson.dumps(encoded.body))
    assert body_misfits(ours) == []
    await sdk.aio.models.generate_content(model=_meta(case)["model"], **_arguments(ours))
    assert _alike(recorder.bodies[0]) == _alike(wire) == _alike(ours)
    if "%" not in encoded.path:
        assert recorder.paths[0] == f"/v1beta{encoded.path}"


@pytest.mark.spec("U42", "U15")
@_having("wire_request.json", "sdk_differs", "only_at_the_gemini_api")
async def test_the_sdk_sends_it_to_vertex_too(case: Path, vertex: Client, recorder: Any) -> None:
    ours = json.loads(orjson.dumps(DIALECT.encode(_request(case), _target(case), stream=False).body))
    await vertex.aio.models.generate_content(model=_meta(case)["model"].rpartition("/")[2], **_arguments(ours))
    assert _alike(recorder.bodies[0]) == _alike(ours)


async def test_the_sdk_asks_for_a_stream_where_we_do(sdk: Client, recorder: Any) -> None:
    encoded = DIALECT.encode(
        LLMRequest(model=MODEL, messages="hi"), Target("google", MODEL, ModelInfo("google:x")), stream=True
    )
    recorder.content_type = "text/event-stream"
    recorder.answer = b"".join(encode_stream(LLMResponse("Hello there.")))
    arguments = _arguments(encoded.body)
    pieces = [
        chunk.text or "" async for chunk in await sdk.aio.models.generate_content_stream(model=MODEL, **arguments)
    ]
    assert "".join(pieces) == "Hello there."
    assert recorder.paths == [f"/v1beta{encoded.path}"]
    assert [_alike(body) for body in recorder.bodies] == [encoded.body]


def _without_roles(body: Any) -> Any:
    """Of a text to embed the SDK says that the user said it; the API does not ask."""
    for item in body["requests"]:
        item["content"].pop("role")
    return body


@pytest.mark.spec("M02", "M03")
async def test_the_sdk_asks_for_embeddings_as_we_do(sdk: Client, vertex: Client, recorder: Any) -> None:
    options = EmbeddingOptions(input_type="query", dimensions=4)
    request = EmbeddingRequest("gemini-embedding-001", ("one two", "three"), options)
    target = Target("google", request.model, ModelInfo("google:x"))
    assert DIALECT.embeddings is not None
    encoded = DIALECT.embeddings.encode(request, target)
    recorder.answer = GEMINI_GENERATE.embedding_reply([[0.5, 1.0], [0.25, -1.0]], 3, "", encoded.body)
    config: Any = {"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 4}
    reply = await sdk.aio.models.embed_content(model=request.model, contents=["one two", "three"], config=config)
    assert _without_roles(recorder.bodies[0]) == encoded.body
    assert recorder.paths[0] == f"/v1beta{encoded.path}"
    assert [item.values for item in reply.embeddings or ()] == DIALECT.embeddings.decode(recorder.answer).embeddings

    options = EmbeddingOptions(input_type="query", dimensions=4, truncate="end")
    request = EmbeddingRequest("text-embedding-005", ("one two", "three"), options)
    encoded = DIALECT.embeddings.encode(
        request, Target("vertex", request.model, ModelInfo("vertex:x"), Quirks(envelope="vertex"))
    )
    recorder.answer = GEMINI_GENERATE.embedding_reply([[0.5, 1.0], [0.25, -1.0]], 3, "", encoded.body)
    reply = await vertex.aio.models.embed_content(
        model=request.model, contents=["one two", "three"], config=config | {"auto_truncate": True}
    )
    assert recorder.bodies[1] == encoded.body
    assert recorder.paths[1].endswith(encoded.path)
    ours = DIALECT.embeddings.decode(recorder.answer)
    assert [item.values for item in reply.embeddings or ()] == ours.embeddings
    assert ours.usage == Usage(3, 0)


async def test_the_sdk_counts_tokens_as_we_do(sdk: Client, vertex: Client, recorder: Any) -> None:
    request = LLMRequest(
        model=MODEL,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        tools=[{"googleSearch": {}}],
        temperature=0.5,
    )
    assert DIALECT.token_count is not None
    recorder.answer = GEMINI_GENERATE.token_count_reply(7)
    encoded = DIALECT.token_count.encode(
        request, Target("vertex", MODEL, ModelInfo("vertex:x"), Quirks(envelope="vertex"))
    )
    system = types.Content.model_validate(encoded.body["systemInstruction"])
    search: Any = {"google_search": {}}
    config: Any = {
        "system_instruction": system,
        "tools": [search],
        "generation_config": {"temperature": 0.5},
    }
    contents: Any = [types.Content.model_validate(content) for content in encoded.body["contents"]]
    reply = await vertex.aio.models.count_tokens(model=MODEL, contents=contents, config=config)
    assert _alike(recorder.bodies[0]) == encoded.body
    assert recorder.paths[0].endswith(encoded.path)
    assert reply.total_tokens == DIALECT.token_count.decode(recorder.answer) == 7

    # At the Gemini API the SDK counts messages alone. Ours counts the whole request: https://ai.google.dev/api/tokens (2026-11-21)
    encoded = DIALECT.token_count.encode(request, Target("google", MODEL, ModelInfo("google:x")))
    await sdk.aio.models.count_tokens(model=MODEL, contents=contents)
    inner = encoded.body["generateContentRequest"]
    assert recorder.bodies[1] == {"contents": inner["contents"]}
    assert recorder.paths[1] == f"/v1beta{encoded.path}"
    assert inner.pop("model") == f"models/{MODEL}"
    assert body_misfits(inner) == []


def _join(responses: list[types.GenerateContentResponse]) -> dict[str, Any]:
    """What a user of the SDK makes of a reply or a stream: the parts that its documentation says to join."""
    joined: dict[str, Any] = {"content": "", "reasoning": "", "calls": [], "finish": None, "usage": None}
    for response in responses:
        joined["usage"] = response.usage_metadata or joined["usage"]
        for candidate in (response.candidates or [])[:1]:
            joined["finish"] = candidate.finish_reason or joined["finish"]
            for part in (candidate.content and candidate.content.parts) or ():
                if part.text is not None:
                    joined["reasoning" if part.thought else "content"] += part.text
                if part.function_call is not None:
                    joined["calls"].append((part.function_call.name, part.function_call.args or {}))
    return joined


def _check_same(theirs: dict[str, Any], ours: LLMResponse) -> None:
    assert theirs["content"] == ours.content
    assert theirs["reasoning"] == (ours.reasoning or "")
    assert theirs["calls"] == [(call.name, call.arguments) for call in ours.tool_calls or ()]
    assert theirs["finish"] is not None
    assert theirs["finish"].value == ours.raw_finish_reason
    usage: types.GenerateContentResponseUsageMetadata = theirs["usage"]
    thoughts = usage.thoughts_token_count or 0
    read = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    assert ours.usage == Usage(
        read,
        (usage.candidates_token_count or 0) + thoughts,
        cache_read_tokens=usage.cached_content_token_count or 0,
        reasoning_tokens=thoughts,
    )


@pytest.mark.spec("U11", "P07", "S04", "S07", "K05", "K08", "U15")
@_having("wire_stream.sse", "sdk_differs")
async def test_the_sdk_reads_in_a_stream_what_we_read(case: Path, sdk: Client, recorder: Any) -> None:
    recorder.answer = data = (case / "wire_stream.sse").read_bytes()
    recorder.content_type = "text/event-stream"
    chunks = await sdk.aio.models.generate_content_stream(model=MODEL, contents="hi")
    theirs = _join([chunk async for chunk in chunks])
    decoder = DIALECT.decode_stream()
    _check_same(theirs, fold([*decoder.feed(data), *decoder.close()]))


@pytest.mark.spec("U11", "P07", "S04", "S07", "K05", "K08", "U15")
@_having("wire_reply.json", "sdk_differs")
async def test_the_sdk_reads_in_a_reply_what_we_read(case: Path, sdk: Client, recorder: Any) -> None:
    recorder.answer = data = (case / "wire_reply.json").read_bytes()
    reply = await sdk.aio.models.generate_content(model=MODEL, contents="hi")
    ours = fold(DIALECT.decode(data))
    if reply.prompt_feedback is not None:
        assert reply.prompt_feedback.block_reason is not None
        assert reply.prompt_feedback.block_reason.value == ours.raw_finish_reason
        return
    _check_same(_join([reply]), ours)


@_having("wire_reply.json", "outside_the_types")
def test_the_replies_are_what_the_types_say(case: Path) -> None:
    assert reply_misfits(json.loads((case / "wire_reply.json").read_bytes())) == []


# The server side ----------------------------------------------------------------------------------------------------

FULL = LLMResponse(
    "Paris is sunny — today.",
    model="gemini-x",
    response_id="r-1",
    finish_reason="tool_calls",
    reasoning="Let me think.",
    tool_calls=[
        ToolCall("c1", "get_weather", '{"city": "Paris"}', signature="c2VhbA=="),
        ToolCall("c2", "get_time", "{}"),
    ],
    citations=[Citation("https://example.com", "A page", 0, 5), Citation("https://example.com/b", "B page", 9, 23)],
    usage=Usage(20, 10, cache_read_tokens=8, reasoning_tokens=3),
    logprobs=[{"token": "P", "logprob": -0.5, "bytes": [80], "top_logprobs": [{"token": "P", "logprob": -0.5}]}],
)
ANSWERS = [FULL, LLMResponse(), LLMResponse("x")] + [
    response
    for case in CASES
    if (case / "response.json").exists()
    for response in [LLMResponse.from_dict(json.loads((case / "response.json").read_bytes()))]
    if response.finish_reason != "error"  # the dialect has many words for it, and none of them is the one
]


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_replies_that_we_write(
    response: LLMResponse, sdk: Client, recorder: Any
) -> None:
    recorder.answer = orjson.dumps(encode_reply(response))
    assert reply_misfits(json.loads(recorder.answer)) == []
    theirs = _join([await sdk.aio.models.generate_content(model=MODEL, contents="hi")])
    assert (theirs["content"], theirs["reasoning"]) == (response.content, response.reasoning or "")
    assert len(theirs["calls"]) == len(response.tool_calls or ())


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
async def test_the_sdk_knows_every_key_of_the_streams_that_we_write(
    response: LLMResponse, sdk: Client, recorder: Any
) -> None:
    frames = encode_stream(response)
    for frame in frames:
        assert reply_misfits(json.loads(frame[6:])) == []
    recorder.answer = b"".join(frames)
    recorder.content_type = "text/event-stream"
    chunks = await sdk.aio.models.generate_content_stream(model=MODEL, contents="hi")
    theirs = _join([chunk async for chunk in chunks])
    assert (theirs["content"], theirs["reasoning"]) == (response.content, response.reasoning or "")
    assert len(theirs["calls"]) == len(response.tool_calls or ())


@pytest.mark.parametrize("response", ANSWERS, ids=range(len(ANSWERS)))
def test_what_we_write_as_a_server_we_read_as_a_client(response: LLMResponse) -> None:
    plain = fold(DIALECT.decode(orjson.dumps(encode_reply(response))))
    decoder = DIALECT.decode_stream()
    streamed = fold([*decoder.feed(b"".join(encode_stream(response))), *decoder.close()])
    assert streamed == plain
    assert (plain.content, plain.reasoning) == (response.content, response.reasoning)
    assert [(call.name, call.arguments, call.signature) for call in plain.tool_calls or ()] == [
        (call.name, call.arguments, call.signature) for call in response.tool_calls or ()
    ]
    assert plain.finish_reason == (response.finish_reason or "stop")
    assert [citation.url for citation in plain.citations or ()] == [c.url for c in response.citations or ()]


# The oracle itself --------------------------------------------------------------------------------------------------


def _request_body() -> dict[str, Any]:
    return {
        "contents": [
            {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "AAAA"}],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]},
        ],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 5, "thinkingConfig": {"thinkingLevel": "LOW"}},
        "serviceTier": "flex",
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
    ("serviceTier",),
    ("contents", 0, "parts"),
    ("contents", 0, "parts", 0, "inlineData", "mimeType"),
    ("contents", 1, "parts", 0, "thoughtSignature"),
    ("contents", 1, "parts", 0, "functionCall", "args"),
    ("contents", 2, "parts", 0, "functionResponse", "response"),
    ("systemInstruction", "parts", 0, "text"),
    ("tools", 0, "functionDeclarations", 0, "parametersJsonSchema"),
    ("toolConfig", "functionCallingConfig", "allowedFunctionNames"),
    ("generationConfig", "maxOutputTokens"),
    ("generationConfig", "thinkingConfig", "thinkingLevel"),
]
REPLY_MISSPELLINGS: list[tuple[str | int, ...]] = [
    ("candidates",),
    ("modelVersion",),
    ("candidates", 0, "finishReason"),
    ("candidates", 0, "content", "parts", 0, "thought"),
    ("candidates", 0, "content", "parts", 2, "functionCall"),
    ("candidates", 0, "content", "parts", 2, "thoughtSignature"),
    ("candidates", 0, "logprobsResult", "chosenCandidates", 0, "logProbability"),
    ("candidates", 0, "groundingMetadata", "groundingChunks", 0, "web", "uri"),
    ("candidates", 0, "groundingMetadata", "groundingSupports", 0, "segment", "endIndex"),
    ("usageMetadata", "thoughtsTokenCount"),
]


@pytest.mark.parametrize("path", REQUEST_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_request_is_caught(path: tuple[str | int, ...]) -> None:
    body = _request_body()
    assert body_misfits(body) == []
    _rename(*path)(body)
    assert body_misfits(body)


@pytest.mark.parametrize("path", REPLY_MISSPELLINGS, ids=str)
def test_a_misspelling_planted_in_a_reply_is_caught(path: tuple[str | int, ...]) -> None:
    reply = copy.deepcopy(json.loads(orjson.dumps(encode_reply(FULL))))
    assert reply_misfits(reply) == []
    _rename(*path)(reply)
    assert reply_misfits(reply)
