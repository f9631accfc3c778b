"""Structured answers in every dialect, by whatever means it has, against servers that hold to the vendors' rules."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from tests.wire.openai_strict import refusals

from llmring import LLMRequest, LLMRing, SamplingParams, SchemaValidationError
from llmring.providers.openai import OPENAI
from llmring.testing import Answer, FakeProvider, Fault
from llmring.testing.fake_provider import Received

MakeRing = Callable[..., LLMRing]

DIALECTS = ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "ollama_chat"]
# Where each dialect asks for a format.
SENT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "openai_chat": lambda body: body["response_format"],
    "openai_responses": lambda body: body["text"]["format"],
    "anthropic_messages": lambda body: body.get("output_config") or body["system"],
    "gemini_generate": lambda body: [
        body["generationConfig"].get("responseJsonSchema"),
        body["generationConfig"]["responseMimeType"],
    ],
    "ollama_chat": lambda body: body["format"],
}
BOOK: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "year": {"type": "integer", "minimum": 0}},
    "required": ["title"],
}
TEXT = '{"title": "Emma", "year": 1815}'


class Shelf(BaseModel):
    label: str
    kind: Literal["wood", "steel"] = "wood"
    books: list[str] = Field(default_factory=lambda: ["none"])
    note: str | None = "empty"


def ring_of(make_ring: MakeRing, fake_provider: FakeProvider, **options: Any) -> LLMRing:
    given = {"base_url": fake_provider.base_url, "api_key": "k" * 20, **options}
    return make_ring(providers={"theirs": given})


@pytest.mark.spec("U12", "L03", "L04")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "wanted",
    [
        BOOK,
        {"type": "json_schema", "json_schema": {"name": "book", "schema": BOOK}},
        {"type": "json_schema", "json_schema": {"name": "book", "schema": BOOK, "strict": True}},
        {"type": "json_object"},
        "json_object",
    ],
    ids=["bare schema", "wrapper", "strict wrapper", "json_object", "json_object by name"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect_gives_a_parsed_answer(
    make_ring: MakeRing, fake_provider: FakeProvider, dialect: str, wanted: Any, stream: bool
) -> None:
    fake_provider.script(Answer(TEXT))
    ring = ring_of(make_ring, fake_provider, dialect=dialect)
    request = LLMRequest(model="theirs:m", messages="Which book?", response_format=wanted)
    if stream:
        chunks = [chunk async for chunk in ring.chat_stream(request)]
        response = chunks[-1].data
    else:
        response = await ring.chat(request)
    assert response.parsed == {"title": "Emma", "year": 1815}
    sent = json.dumps(SENT[dialect](fake_provider.received[0].body))
    assert sent != "null"
    assert ("title" in sent) is (isinstance(wanted, dict) and wanted != {"type": "json_object"})


@pytest.mark.spec("U12", "L04")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_text_is_text_in_every_dialect(make_ring: MakeRing, fake_provider: FakeProvider, dialect: str) -> None:
    fake_provider.script(Answer(TEXT))
    ring = ring_of(make_ring, fake_provider, dialect=dialect)
    response = await ring.chat(LLMRequest(model="theirs:m", messages="Which book?", response_format="text"))
    assert (response.content, response.parsed) == (TEXT, None)


@pytest.mark.spec("U12", "L05")
@pytest.mark.parametrize("answer", ["I do not know.", '{"title": 7}', '{"title": "Em'])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_that_does_not_fit_is_a_typed_failure_that_keeps_the_text(
    make_ring: MakeRing, fake_provider: FakeProvider, dialect: str, answer: str
) -> None:
    fake_provider.script(Answer(answer))
    ring = ring_of(make_ring, fake_provider, dialect=dialect)
    with pytest.raises(SchemaValidationError) as caught:
        await ring.chat(LLMRequest(model="theirs:m", messages="Which book?", response_format=BOOK))
    assert caught.value.content == answer
    assert caught.value.response is not None
    assert caught.value.response.content == answer


# OpenAI's strict mode -----------------------------------------------------------------------------------------------


def as_openai(answer: str) -> Callable[[Received], Answer | Fault]:
    """A server that refuses what OpenAI documents that it refuses."""

    def reply(received: Received) -> Answer | Fault:
        body = received.body
        schemas = [tool["function"] for tool in body.get("tools", ()) if tool["function"].get("strict")]
        given = [function["parameters"] for function in schemas]
        wanted = body.get("response_format", {}).get("json_schema", {})
        if wanted.get("strict"):
            given.append(wanted["schema"])
        why = [reason for schema in given for reason in refusals(schema)]
        return Fault.status(400, f"Invalid schema: {why[0]}") if why else Answer(answer)

    return reply


def openai_ring(make_ring: MakeRing, fake_provider: FakeProvider) -> LLMRing:
    return make_ring(providers={"openai": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})


@pytest.mark.spec("L07", "U13")
async def test_optional_keys_are_sent_as_strict_mode_wants_them_and_come_back_as_defaults(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(as_openai('{"label": "A", "kind": null, "books": null, "note": null}'))
    ring = openai_ring(make_ring, fake_provider)
    response = await ring.chat(LLMRequest(model="openai:gpt-x", messages="Which?", response_format=Shelf))
    assert response.parsed == Shelf(label="A", kind="wood", books=["none"], note=None)
    assert response.warnings == []
    sent = fake_provider.received[0].body["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["required"] == ["label", "kind", "books", "note"]


@pytest.mark.spec("L07", "U13")
async def test_a_dict_schema_is_restored_too(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(as_openai('{"title": "Emma", "year": null}'))
    wanted = {"type": "json_schema", "json_schema": {"name": "book", "schema": BOOK, "strict": True}}
    ring = openai_ring(make_ring, fake_provider)
    response = await ring.chat(LLMRequest(model="openai:gpt-x", messages="Which?", response_format=wanted))
    assert response.parsed == {"title": "Emma"}
    assert json.loads(response.content) == {"title": "Emma", "year": None}, "the text stays as it came"


@pytest.mark.spec("L07", "U13")
async def test_a_schema_without_a_strict_form_is_sent_without_and_the_response_says_so(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(as_openai('{"a": 1}'))
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    wanted = {"type": "json_schema", "json_schema": {"name": "counts", "schema": schema, "strict": True}}
    ring = openai_ring(make_ring, fake_provider)
    response = await ring.chat(LLMRequest(model="openai:gpt-x", messages="Count", response_format=wanted))
    assert response.parsed == {"a": 1}
    assert fake_provider.received[0].body["response_format"]["json_schema"] == {
        "name": "counts",
        "schema": schema,
        "strict": False,
    }
    assert ["strict was turned off" in warning for warning in response.warnings] == [True]


@pytest.mark.spec("L07")
async def test_a_null_that_breaks_the_schema_is_a_failure_where_strict_is_off(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer('{"title": "Emma", "year": null}'))
    wanted = {"type": "json_schema", "json_schema": {"name": "book", "schema": BOOK, "strict": False}}
    with pytest.raises(SchemaValidationError) as caught:
        await ring.chat(LLMRequest(model="fast", messages="Which?", response_format=wanted))
    assert caught.value.path == "/year"


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}}, "required": ["city"]}  # fmt: skip
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "store", "parameters": {"type": "object", "additionalProperties": True}}},
    {"type": "function", "function": {"name": "plain", "parameters": WEATHER, "strict": False}},
    {"type": "function", "function": {"name": "now"}},
]


@pytest.mark.spec("D07", "G28", "G06")
@pytest.mark.parametrize(
    ("provider", "options", "strict"),
    [
        ("openai", {}, {"weather": True, "store": False, "plain": False, "now": True}),
        ("anthropic", {}, {"weather": True, "store": False, "plain": False, "now": True}),
        ("theirs", {}, {"weather": None, "store": None, "plain": False, "now": None}),
        ("theirs", {"sampling": {"strict_tools": True}}, {"weather": True, "store": False, "plain": False, "now": True}),
        ("openai", {"sampling": {"strict_tools": False}}, dict.fromkeys(["weather", "store", "plain", "now"], False)),
    ],
    ids=["OpenAI", "Anthropic", "another server", "asked for", "turned off"],
)  # fmt: skip
async def test_tools_are_strict_where_the_vendor_has_it_and_the_schema_allows_it(
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    provider: str,
    options: dict[str, Any],
    strict: dict[str, bool | None],
) -> None:
    fake_provider.script(as_openai("ok") if provider != "anthropic" else Answer("ok"))
    given = {"base_url": fake_provider.base_url, "api_key": "k" * 20}
    ring = make_ring(providers={provider: given})
    before = json.dumps(TOOLS)
    request = {"model": f"{provider}:m", "messages": "Hi", "tools": TOOLS, **options}
    response = await ring.chat(LLMRequest.model_validate(request))
    sent = [tool.get("function", tool) for tool in fake_provider.received[0].body["tools"]]
    assert {tool["name"]: tool.get("strict") for tool in sent} == strict
    assert json.dumps(TOOLS) == before
    assert response.warnings == []


@pytest.mark.spec("D07")
@pytest.mark.parametrize(
    ("count", "schema", "strict"),
    [
        (20, {"type": "object", "properties": {}}, True),
        (21, {"type": "object", "properties": {}}, False),
        (1, {"type": "object", "properties": {f"k{n}": {"type": "string"} for n in range(24)}}, True),
        (1, {"type": "object", "properties": {f"k{n}": {"type": "string"} for n in range(25)}}, False),
        (1, {"type": "object", "properties": {"a": {"$ref": "#"}}}, False),
        (1, {"type": "object", "properties": {"a": {"patternProperties": {}}}}, False),
    ],
)
async def test_tools_that_are_too_many_for_anthropics_strict_mode_are_sent_without(
    make_ring: MakeRing, fake_provider: FakeProvider, count: int, schema: dict[str, Any], strict: bool
) -> None:
    ring = make_ring(providers={"anthropic": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})
    tools = [{"type": "function", "function": {"name": f"t{n}", "parameters": schema}} for n in range(count)]
    await ring.chat(LLMRequest(model="anthropic:claude-opus-5", messages="Hi", tools=tools))
    sent = fake_provider.received[0].body["tools"]
    assert {bool(tool.get("strict")) for tool in sent} == {strict}
    assert [tool["name"] for tool in sent] == [f"t{n}" for n in range(count)]


@pytest.mark.spec("L07", "D07")
@pytest.mark.parametrize("stream", [False, True])
async def test_arguments_that_are_null_only_for_strict_modes_sake_are_left_to_the_tools_defaults(
    make_ring: MakeRing, fake_provider: FakeProvider, stream: bool
) -> None:
    parameters = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "default": "celsius"},
            "day": {"type": ["string", "null"]},
        },
        "required": ["city"],
    }
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    call = {"id": "c1", "name": "weather", "arguments": '{"city": "Zürich", "unit": null, "day": null}'}
    fake_provider.script(Answer("", tool_calls=[call]))
    async with openai_ring(make_ring, fake_provider) as ring:
        request = LLMRequest(model="openai:gpt-5-nano", messages="hi", tools=[tool])
        if not stream:
            made = (await ring.chat(request)).tool_calls
        else:
            chunks = [chunk async for chunk in ring.chat_stream(request)]
            made = chunks[-1].tool_calls
            assert [chunk.data for chunk in chunks if chunk.type == "tool_call_end"] == made
    sent = fake_provider.received[0].body["tools"][0]["function"]
    assert sent["parameters"]["required"] == ["city", "unit", "day"]
    assert made is not None
    assert made[0].arguments == {"city": "Zürich", "day": None}
    assert made[0].raw_arguments == '{"city": "Zürich", "day": null}'


@pytest.mark.spec("D07")
def test_openai_is_strict_by_default() -> None:
    assert OPENAI.strict_tools


# Asked in words -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("D03", "L09")
async def test_a_model_without_json_mode_is_asked_in_words_and_that_is_logged_once(
    make_ring: MakeRing, fake_provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    fake_provider.script(Answer('```json\n{"a": 1}\n```'))
    ring = make_ring(providers={"anthropic": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})
    with caplog.at_level(logging.WARNING, "llmring"):
        responses = [
            await ring.chat(
                LLMRequest(model="anthropic:claude-opus-5", messages="Hi", sampling=SamplingParams(json_mode=True))
            )
            for _ in range(2)
        ]
    body = fake_provider.received[0].body
    assert "JSON object" in json.dumps(body["system"])
    assert [response.parsed for response in responses] == [{"a": 1}, {"a": 1}]
    assert all(any("cannot be held to JSON" in warning for warning in response.warnings) for response in responses)
    assert sum("cannot be held to JSON" in record.message for record in caplog.records) == 1


@pytest.mark.spec("L09", "U12")
async def test_a_model_without_schemas_gets_the_schema_in_words(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer(f"Here you are: {TEXT}"))
    ring = make_ring(providers={"anthropic": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})
    request = LLMRequest(model="anthropic:claude-sonnet-4-20250514", messages="Which?", response_format=BOOK)
    response = await ring.chat(request)
    body = fake_provider.received[0].body
    assert "output_config" not in body
    assert json.dumps(json.dumps(BOOK["required"], separators=(",", ":")))[1:-1] in json.dumps(body["system"])
    assert response.parsed == {"title": "Emma", "year": 1815}
    assert len(response.warnings) == 2, "that it was asked in words, and that the answer had more in it than JSON"


@pytest.mark.spec("D03")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_json_mode_reaches_every_dialect(make_ring: MakeRing, fake_provider: FakeProvider, dialect: str) -> None:
    fake_provider.script(Answer('{"a": 1}'))
    ring = ring_of(make_ring, fake_provider, dialect=dialect)
    response = await ring.chat(LLMRequest(model="theirs:m", messages="Hi", sampling=SamplingParams(json_mode=True)))
    assert response.parsed == {"a": 1}


@pytest.mark.spec("L10", "L05")
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_was_repaired_is_flagged(ring: LLMRing, fake_provider: FakeProvider, stream: bool) -> None:
    fake_provider.script(Answer('Sure: {"title": "Emma",}'))
    request = LLMRequest(model="fast", messages="Which?", response_format=BOOK)
    if stream:
        response = [chunk async for chunk in ring.chat_stream(request)][-1].data
    else:
        response = await ring.chat(request)
    assert response.parsed == {"title": "Emma"}
    assert response.content == 'Sure: {"title": "Emma",}'
    assert ["no JSON as it stood" in warning for warning in response.warnings] == [True]


@pytest.mark.spec("L10", "L05")
async def test_what_is_repaired_is_checked_like_any_answer(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer('Sure: {"title": 7}'))
    with pytest.raises(SchemaValidationError) as caught:
        await ring.chat(LLMRequest(model="fast", messages="Which?", response_format=BOOK))
    assert (caught.value.path, caught.value.content) == ("/title", 'Sure: {"title": 7}')
