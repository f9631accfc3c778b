"""A fallback gets the original request as far as it can take it: valid in its vendor's own words, with everything that was left out or
said otherwise listed on the response, and the caller's request as it was.
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import ollama
import pytest
import pytest_asyncio
from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming as AnthropicParams
from google.genai import types as google_types
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as ChatParams
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming as ResponsesParams
from pydantic import BaseModel, ValidationError
from tests.wire.oracle import misfits

from llmring import (
    ConfigurationError,
    FileUploadStrategy,
    LLMRequest,
    LLMResponse,
    LLMRing,
    ProviderResponseError,
    RetryPolicy,
)
from llmring.clock import SystemClock
from llmring.schemas.messages import FilePart, ImagePart, Message, ProviderPart, TextPart, ThinkingPart, ToolOutputPart
from llmring.schemas.tools import ToolCall
from llmring.testing import Answer, Exact, FakeProvider, Fault, Received
from llmring.transport.guard import Guard
from llmring.transport.http import HTTPTransport
from llmring.wire.handover import HANDOVER

# A provider for each dialect: its vendor, with the vendor's own differences from it.
SPEAKERS = {
    "openai_chat": "openai",
    "openai_responses": "responses",
    "anthropic_messages": "anthropic",
    "gemini_generate": "google",
    "ollama_chat": "ollama",
}
PAIRS = list(itertools.permutations(SPEAKERS, 2))
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)
# As Kimi's are; a vendor that is strict about ids refuses it.
CALL_ID = "functions.look:0"
LOOK: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
    },
}
SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "found",
        "schema": {
            "type": "object",
            "properties": {"what": {"type": "string"}},
            "required": ["what"],
            "additionalProperties": False,
        },
    },
}
# A value for each, which nothing else in a body has.
PARAMETERS: dict[str, Any] = {
    "temperature": 0.37,
    "top_p": 0.83,
    "max_tokens": 7770,
    "stop": ["STOP-HERE"],
    "seed": 424242,
    "top_k": 17,
    "frequency_penalty": 0.41,
    "presence_penalty": 0.43,
    "parallel_tool_calls": False,
    "service_tier": "priority",
    "prompt_cache": "system_and_tools",
}


def conversation(dialect: str) -> list[Message]:
    """One that a model of this dialect has been in: it thought, and sealed that, searched, and called a tool."""
    search = ProviderPart(dialect=dialect, data={"type": "search", "what": "SECRET-BLOCK"})
    return [
        Message(role="system", content="THE-SYSTEM"),
        Message(role="user", content=[TextPart(text="Look."), ImagePart(data=PNG, media_type="image/png")]),
        Message(
            role="assistant",
            content=[
                ThinkingPart(text="SECRET-THOUGHT", signature="U0VBTA==", id="rs_1", dialect=dialect),
                *([search] if HANDOVER[dialect].leaves_blocks else []),
                TextPart(text="I look."),
            ],
            tool_calls=[ToolCall(CALL_ID, "look", {"at": "it"})],
        ),
        Message(
            role="tool",
            content=[
                ToolOutputPart(
                    tool_call_id=CALL_ID,
                    content=[TextPart(text="THE-ANSWER"), ImagePart(data=PNG, media_type="image/png")],
                )
            ],
        ),
        Message(role="user", content="And?"),
    ]


# What we did not write judges -----------------------------------------------------------------------------------------


def chat_faults(body: dict[str, Any]) -> list[str]:
    calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    return misfits(body, ChatParams) + ([] if calls == results else [f"{calls} are answered by {results}"])


def responses_faults(body: dict[str, Any]) -> list[str]:
    items = body["input"]
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    results = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    # "Expected an ID that contains letters, numbers, underscores, or dashes"; at most 64 of them.
    bad = [id for id in calls if not re.fullmatch(r"[\w-]{1,64}", id)]
    return misfits(body, ResponsesParams) + bad + ([] if calls == results else [f"{calls} are answered by {results}"])


def anthropic_faults(body: dict[str, Any]) -> list[str]:
    # The API's version that we name takes them; the SDK is written for a later one:
    # https://platform.claude.com/docs/en/api/migration-2026-10-21 (2026-11-21)
    older = ("temperature", "top_p", "top_k")
    found = misfits({name: value for name, value in body.items() if name not in older}, AnthropicParams)
    waiting: list[str] = []
    for message in body["messages"]:
        blocks: list[Any] = [] if isinstance(message["content"], str) else message["content"]
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if results != waiting:
            found.append(f"{waiting} are answered by {results}")
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        # https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (2026-11-21)
        found += [id for id in waiting if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", id)]
    roles = [message["role"] for message in body["messages"]]
    return found + ([] if roles[0] == "user" else ["the first turn is not the user's"])


def gemini_faults(body: dict[str, Any]) -> list[str]:
    kinds: dict[str, type[BaseModel]] = {
        "systemInstruction": google_types.Content,
        "toolConfig": google_types.ToolConfig,
        "generationConfig": google_types.GenerationConfig,
    }
    listed: dict[str, type[BaseModel]] = {"contents": google_types.Content, "tools": google_types.Tool}
    found: list[str] = []
    for name, value in body.items():
        kind = kinds.get(name) or listed.get(name)
        if kind is None:
            found += [] if name in ("cachedContent", "serviceTier", "safetySettings") else [f"{name}: no such key"]
            continue
        for item in value if name in listed else [value]:
            try:
                kind.model_validate(item)
            except ValidationError as error:
                found += [f"{name}: {step['loc']}: {step['msg']}" for step in error.errors()]
    parts = [part for content in body["contents"] for part in content["parts"]]
    calls = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
    results = [part["functionResponse"]["name"] for part in parts if "functionResponse" in part]
    return found + ([] if calls == results else [f"{calls} are answered by {results}"])


def ollama_faults(body: dict[str, Any]) -> list[str]:
    chat: Any = vars(ollama.AsyncClient)["chat"]
    known = set(inspect.signature(chat).parameters)
    found = [f"{name}: no such key" for name in body.keys() - known]
    kinds: list[tuple[type[BaseModel], list[dict[str, Any]]]] = [
        (ollama.Message, body["messages"]),
        (ollama.Tool, body.get("tools", [])),
        (ollama.Options, [body.get("options", {})]),
    ]
    for kind, items in kinds:
        for item in items:
            try:
                # The SDK wraps what stands there bare.
                wrapped = {"images": [{"value": image} for image in item["images"]]} if "images" in item else {}
                read = kind.model_validate(item | wrapped).model_dump(exclude_none=True)
            except ValidationError as error:
                found += [f"{step['loc']}: {step['msg']}" for step in error.errors()]
            else:
                found += [f"{name}: no such key" for name in item.keys() - read.keys()]
    calls = [call["function"]["name"] for message in body["messages"] for call in message.get("tool_calls", ())]
    results = [message["tool_name"] for message in body["messages"] if message["role"] == "tool"]
    return found + ([] if calls == results else [f"{calls} are answered by {results}"])


FAULTS: Mapping[str, Callable[[dict[str, Any]], list[str]]] = {
    "openai_chat": chat_faults,
    "openai_responses": responses_faults,
    "anthropic_messages": anthropic_faults,
    "gemini_generate": gemini_faults,
    "ollama_chat": ollama_faults,
}


def faults(received: Received) -> list[str]:
    body = {name: value for name, value in received.body.items() if name != "stream"}
    if received.dialect == "ollama_chat":
        body["stream"] = False
    if received.stream:
        body.pop("stream_options", None)
    return FAULTS[received.dialect](body)


# The calls ------------------------------------------------------------------------------------------------------------

LOCK = 'version = "1.1"\n[profiles.default]\nname = "default"\n'


@pytest.fixture
def keys(fake_provider: FakeProvider) -> dict[str, Any]:
    """What LLMRing(providers=…) takes."""
    providers: dict[str, dict[str, Any]] = {
        name: {"base_url": fake_provider.base_url_of(dialect), "api_key": "k" * 20}
        for dialect, name in SPEAKERS.items()
    }
    providers["responses"] |= {"like": "openai", "dialect": "openai_responses"}
    return providers


@pytest_asyncio.fixture
async def ring(keys: dict[str, Any], tmp_path: Any) -> AsyncIterator[LLMRing]:
    """Its pools are named by the dialects of their models: `openai_chat-ollama_chat`."""
    pools = [*PAIRS, *itertools.permutations(SPEAKERS, 3)]
    (tmp_path / "t.lock").write_text(
        LOCK
        + "".join(
            f'[[profiles.default.bindings]]\nalias = "{"-".join(pool)}"\n'
            f"models = {json.dumps([f'{SPEAKERS[dialect]}:{dialect}' for dialect in pool])}\n"
            for pool in pools
        )
    )
    async with LLMRing(lockfile_path=tmp_path / "t.lock", providers=keys) as ring:
        yield ring


async def ask(ring: LLMRing, request: LLMRequest, *, stream: bool) -> LLMResponse:
    if not stream:
        return await ring.chat(request)
    calls = ring.chat_stream(request)
    async for _ in calls:
        pass
    assert calls.response is not None
    return calls.response


@pytest.mark.spec("X04", "U31", "U27")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_a_conversation_goes_on_with_the_next_model(
    ring: LLMRing, fake_provider: FakeProvider, source: str, target: str, stream: bool
) -> None:
    request = LLMRequest(
        model=f"{source}-{target}",
        messages=conversation(source),
        tools=[LOOK],
        tool_choice="auto",
        response_format=SCHEMA,
        **PARAMETERS,
    )
    before = request.model_dump_json()
    fake_provider.script(Answer('{"what": "it"}'))
    fake_provider.script(Fault.status(503), model=source)
    response = await ask(ring, request, stream=stream)
    assert response.called_model == f"{SPEAKERS[target]}:{target}"
    first, second = fake_provider.received
    assert (first.dialect, second.dialect) == (source, target)
    assert faults(second) == []
    assert request.model_dump_json() == before

    # What the first model sealed is nobody else's; all else arrives, or is told.
    sent, told = second.raw.decode(), "\n".join(response.warnings)
    for secret in ("SECRET-THOUGHT", "U0VBTA==", "SECRET-BLOCK"):
        assert secret not in sent
    assert "left out" in told
    takes = HANDOVER[target]
    assert ("ids of tool calls were written anew" in told) is (takes.call_ids == "converted")
    # Gemini's newer models take them, and one that is not known is taken for new.
    moves = takes.tool_media == "converted" and target != "gemini_generate"
    assert ("images in the result of a tool" in told) is moves
    for word in ("THE-SYSTEM", "I look.", "THE-ANSWER", "And?", '"look"', '"what"'):
        assert word in sent
    missing = {name for name, value in PARAMETERS.items() if not arrives(name, value, second.body)}
    untold = {name for name in missing if name not in told}
    assert untold == set()
    twice = second.raw.count(b"iVBORw0KGgo") == 2  # both images
    assert twice


def arrives(name: str, value: Any, body: dict[str, Any]) -> bool:
    """Whether a parameter is said in a body, in whatever words."""
    text = json.dumps(body)
    match name:
        case "parallel_tool_calls":
            return '"parallel_tool_calls": false' in text or '"disable_parallel_tool_use": true' in text
        case "service_tier":
            return any(word in text for word in ('"service_tier"', '"serviceTier"'))
        case "prompt_cache":
            return "cache_control" in text
        case _:
            return json.dumps(value) in text


@pytest.mark.spec("X04")
async def test_an_image_that_a_fallback_cannot_fetch_is_fetched_for_it_and_that_is_told(
    fake_provider: FakeProvider, keys: dict[str, Any], tmp_path: Any
) -> None:
    (tmp_path / "t.lock").write_text(
        f'{LOCK}[[profiles.default.bindings]]\nalias = "both"\nmodels = ["openai:openai_chat", "ollama:ollama_chat"]\n'
    )
    fake_provider.script(lambda received: Exact(chunks=[PNG]) if received.method == "GET" else Answer("A dot."))
    fake_provider.script(Fault.status(503), model="openai_chat")
    image = ImagePart(url=f"{fake_provider.url}/dot.png")
    request = LLMRequest(model="both", messages=[Message(role="user", content=[TextPart(text="What?"), image])])
    before = request.model_dump_json()
    transport = HTTPTransport(clock=SystemClock(), guard=Guard(allow_private=True, allow_http=True), environ={})
    async with LLMRing(providers=keys, lockfile_path=tmp_path / "t.lock", transport=transport) as ring:
        response = await ring.chat(request)
    await transport.close()
    assert (response.content, request.model_dump_json()) == ("A dot.", before)
    assert response.warnings == ["what stands at a URL was fetched and sent along: ollama:ollama_chat does not fetch"]
    assert faults(fake_provider.received[-1]) == []


# What cannot be carried ---------------------------------------------------------------------------------------------------

PDF = FilePart(data=b"%PDF-1.7\na page\n", media_type="application/pdf", filename="a.pdf")


def with_pdf(pool: str, **fields: Any) -> LLMRequest:
    return LLMRequest(model=pool, messages=[Message(role="user", content=[TextPart(text="Read."), PDF])], **fields)


@pytest.mark.spec("X04", "U27")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_cannot_be_told_is_passed_over_where_a_later_one_can(
    ring: LLMRing, fake_provider: FakeProvider, stream: bool
) -> None:
    fake_provider.script(Fault.status(503), model="openai_chat")
    response = await ask(ring, with_pdf("openai_chat-ollama_chat-gemini_generate"), stream=stream)
    assert [(attempt["model"], attempt["error"]) for attempt in response.attempts] == [
        ("openai_chat", "ProviderResponseError"),
        ("ollama_chat", "ConfigurationError"),
    ]
    assert [received.dialect for received in fake_provider.received] == ["openai_chat", "gemini_generate"]
    assert faults(fake_provider.received[-1]) == []
    assert b"application/pdf" in fake_provider.received[-1].raw


@pytest.mark.spec("U27")
async def test_where_no_later_model_can_be_told_the_first_ones_failure_is_raised(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(503), model="openai_chat")
    # One attempt: where nobody else can be asked, the first is asked again.
    request = with_pdf("openai_chat-ollama_chat", retry=RetryPolicy(attempts=1))
    with pytest.raises(ProviderResponseError) as caught:
        await ring.chat(request)
    assert [attempt.error for attempt in caught.value.attempts] == ["ProviderResponseError", "ConfigurationError"]
    assert len(fake_provider.received) == 1


@pytest.mark.spec("U27", "U43")
@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_first_model_cannot_be_told_is_the_callers_mistake_and_nothing_is_sent(
    ring: LLMRing, fake_provider: FakeProvider, stream: bool
) -> None:
    with pytest.raises(ConfigurationError, match="ollama_chat cannot say"):
        await ask(ring, with_pdf("ollama_chat-openai_chat"), stream=stream)
    assert fake_provider.received == []
    assert fake_provider.connections_opened == 0


@pytest.mark.spec("U43")
async def test_nothing_is_uploaded_for_a_request_that_cannot_be_said(
    fake_provider: FakeProvider, keys: dict[str, Any]
) -> None:
    async with LLMRing(providers=keys, upload_strategy=FileUploadStrategy()) as ring:
        with pytest.raises(ConfigurationError, match="temperature"):
            await ring.chat(with_pdf("openai:gpt-x", temperature=2.5))
        assert fake_provider.connections_opened == 0
        await ring.chat(with_pdf("openai:gpt-x", temperature=1.5))
    assert [received.path.rpartition("/")[2] for received in fake_provider.received] == ["files", "completions"]


@pytest.mark.spec("U43")
async def test_nothing_is_fetched_for_a_request_that_cannot_be_said(keys: dict[str, Any]) -> None:
    image = ImagePart(url="http://127.0.0.1:9/never.png")
    request = LLMRequest(
        model="ollama:m", messages=[Message(role="user", content=[image])], tools=[LOOK], tool_choice="required"
    )
    async with LLMRing(providers=keys) as ring:
        with pytest.raises(ConfigurationError, match="tool_choice"):
            await ring.chat(request)


# Attempts at the same model -----------------------------------------------------------------------------------------------


@pytest.mark.spec("B10", "B12")
@pytest.mark.parametrize("headers", [None, {"Idempotency-Key": "order-7"}])
@pytest.mark.parametrize("dialect", SPEAKERS)
async def test_every_attempt_sends_the_same(
    fake_provider: FakeProvider, keys: dict[str, Any], dialect: str, headers: dict[str, str] | None
) -> None:
    # None of the vendors documents a key that makes a call happen once, and their SDKs send none (openai 3.52, anthropic 2.11:
    # `_idempotency_header = None`), so none is sent unasked (tests/service/test_idempotency.py); a caller's own header is the same each time.
    fake_provider.script(Fault.status(500), Fault.reset(), Answer("At last."))
    request = LLMRequest(
        model=f"{SPEAKERS[dialect]}:m",
        messages=conversation(dialect),
        tools=[LOOK],
        extra_headers=headers,
        retry=RetryPolicy(attempts=3, backoff_s=0.0),
    )
    async with LLMRing(providers=keys) as ring:
        assert (await ring.chat(request)).content == "At last."
    bodies = {received.raw for received in fake_provider.received}
    assert (len(fake_provider.received), len(bodies)) == (3, 1)
    sent = {received.headers.get("idempotency-key") for received in fake_provider.received}
    assert sent == {None if headers is None else "order-7"}
