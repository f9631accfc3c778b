"""What cases in JSON cannot say of a request: refusals, headers, envelopes, schemas, and the tokens that are counted."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest

from llmring.exceptions import ConfigurationError, InvalidRequestError, MalformedResponseError
from llmring.providers.anthropic import MODEL_QUIRKS, QUIRKS
from llmring.providers.base import BaseLLMProvider
from llmring.providers.table import PROVIDERS
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, Message
from llmring.schemas.messages import FilePart, ImagePart, ProviderPart
from llmring.secret import Scrubber
from llmring.wire.anthropic_messages import DIALECT, decode_request
from llmring.wire.base import EncodedRequest, Quirks, Target

FUNCTION: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}


def _target(**quirks: Any) -> Target:
    return Target("anthropic", "claude-opus-4-8", ModelInfo("anthropic:claude-opus-4-8"), Quirks(**quirks))


def _encode(target: Target | None = None, *, stream: bool = False, **fields: Any) -> EncodedRequest:
    given: dict[str, Any] = {"model": "claude", "messages": "Hi", "max_tokens": 64, **fields}
    request = LLMRequest(**given)
    return DIALECT.encode(request, target or _target(), stream=stream)


def _of(model: str, **fields: Any) -> EncodedRequest:
    """A request to one of Anthropic's models, with what its row knows of it."""
    provider = BaseLLMProvider(PROVIDERS["anthropic"], environ={}, scrubber=Scrubber())
    return _encode(provider.target(model, ModelInfo(f"anthropic:{model}")), **fields)


# The cap ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_output", "sent"), [(None, 4096), (8192, 4096), (1000, 1000)])
def test_the_cap_that_is_always_sent_is_no_higher_than_the_models_own(max_output: int | None, sent: int) -> None:
    target = Target("anthropic", "m", ModelInfo("anthropic:m", max_output=max_output))
    assert _encode(target, max_tokens=None).body["max_tokens"] == sent


def test_a_cap_in_extra_params_or_laid_under_is_the_cap() -> None:
    assert _encode(max_tokens=None, extra_params={"max_tokens": 7}).body["max_tokens"] == 7
    request = LLMRequest(model="m", messages="Hi")
    assert DIALECT.encode(request, _target(), stream=False, under={"max_tokens": 9}).body["max_tokens"] == 9
    request = LLMRequest(model="m", messages="Hi", max_tokens=5)
    assert DIALECT.encode(request, _target(), stream=False, under={"max_tokens": 9}).body["max_tokens"] == 5


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": 1.5}, "temperature 1.5"),
        ({"messages": [{"role": "system", "content": "alone"}]}, "message of the user"),
        ({"tool_choice": "required"}, "no tool to choose"),
        ({"tool_choice": "get", "tools": [FUNCTION]}, "'get' is none of auto"),
        ({"tool_choice": {"no": "type"}, "tools": [FUNCTION]}, "needs a type"),
        ({"files": ["f1"]}, "'f1'"),
        ({"computer_use": {}}, "not known to work a computer"),
        ({"stop": ["a"], "extra_params": {"stop_sequences": ["b"]}}, "stop or stop_sequences"),
        (
            {"reasoning_effort": "low", "extra_params": {"thinking": {"type": "disabled"}}},
            "reasoning_effort or thinking",
        ),
        (
            {"reasoning_effort": "low", "extra_params": {"output_config": {"effort": "high"}}},
            "reasoning_effort or output",
        ),
        ({"messages": [Message.user([ImagePart(data=b"BM..")])]}, "image/bmp"),
        ({"messages": [Message.user([FilePart(data=b"PK", media_type="application/zip")])]}, "application/zip"),
        (
            {"messages": [{"role": "system", "content": [{"type": "image", "url": "https://a.b/c"}]}]},
            "in a system message",
        ),
        ({"messages": [{"role": "user", "content": "x", "metadata": {"cache_control": "yes"}}]}, "cache_control"),
    ],
    ids=str,
)
def test_what_the_dialect_cannot_say_is_refused_before_any_io(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _encode(_target(temperature_max=1.0), **fields)
    assert words in str(caught.value)


@pytest.mark.spec("D04")
@pytest.mark.parametrize("choice", ["required", "f"])
def test_a_model_that_cannot_be_made_to_call_a_tool_is_not_asked_to(choice: str) -> None:
    with pytest.raises(ConfigurationError, match="claude-opus-5-5 cannot be made to call a tool"):
        _of("claude-opus-5-5", tools=[FUNCTION], tool_choice=choice)
    assert _of("claude-opus-5-5", tools=[FUNCTION], tool_choice="auto").body["tool_choice"] == {"type": "auto"}


def test_a_tool_choice_that_means_nothing_without_tools_is_not_sent() -> None:
    for choice in ("auto", "none"):
        assert "tool_choice" not in _encode(tool_choice=choice, parallel_tool_calls=False).body


# What models take ---------------------------------------------------------------------------------------------------

ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.spec("D04")
@pytest.mark.parametrize(
    ("model", "effort", "thinking", "level", "warned"),
    [
        ("claude-haiku-4-5", "medium", {"type": "enabled", "budget_tokens": 8192}, None, False),
        ("claude-3-7-sonnet-20250219", "low", {"type": "enabled", "budget_tokens": 2048}, None, False),
        ("claude-opus-4-5-20251101", "none", {"type": "disabled"}, None, False),
        ("claude-opus-4-6-20260205", "max", ADAPTIVE, "max", False),
        ("claude-sonnet-4-6", "xhigh", ADAPTIVE, "high", True),
        ("claude-opus-4-7", "xhigh", ADAPTIVE, "xhigh", False),
        ("claude-opus-4-8", "minimal", ADAPTIVE, "low", True),
        ("claude-sonnet-5", "none", {"type": "disabled"}, None, False),
        ("claude-haiku-5-5", "none", {"type": "disabled"}, None, False),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None, False),
        ("claude-opus-5-5", "none", ADAPTIVE, "low", True),
        ("claude-fable-5", "none", ADAPTIVE, "low", True),
        ("claude-mythos-5-2", "high", ADAPTIVE, "high", False),
        ("claude-of-next-year", "high", ADAPTIVE, "high", False),
    ],
)
def test_each_model_is_asked_to_think_in_its_own_way(
    model: str, effort: str, thinking: dict[str, Any], level: str | None, warned: bool
) -> None:
    encoded = _of(model, reasoning_effort=effort, max_tokens=32000)
    assert encoded.body["thinking"] == thinking
    assert encoded.body.get("output_config", {}).get("effort") == level
    assert [warning.split()[0] for warning in encoded.warnings] == ["reasoning_effort"] * warned


@pytest.mark.spec("D04")
def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    encoded = _encode(_target(efforts=()), reasoning_effort="high")
    assert "thinking" not in encoded.body
    assert encoded.warnings == ["reasoning_effort was left out: anthropic:claude-opus-4-8 does not think"]


def test_names_of_models_in_clouds_are_known_too() -> None:
    for name in ("claude-opus-4-6@20260205", "us.anthropic.claude-opus-4-6-v1", "anthropic.claude-opus-4-6"):
        assert _of(name, reasoning_effort="xhigh").body["output_config"] == {"effort": "high"}


@pytest.mark.spec("G27")
@pytest.mark.parametrize(
    ("model", "tool", "beta"),
    [
        ("claude-sonnet-4-5", "computer_20250124", "computer-use-2025-01-24"),
        ("claude-opus-4-5", "computer_20251124", "computer-use-2025-11-24"),
        ("claude-opus-4-7", "computer_20251124", "computer-use-2025-11-24"),
        ("claude-opus-4-8", "computer_toolset_20260801", None),
        ("claude-haiku-5-5", "computer_toolset_20260801", None),
    ],
)
def test_a_screen_comes_with_the_tool_of_the_models_generation(model: str, tool: str, beta: str | None) -> None:
    encoded = _of(model, computer_use={})
    assert [given["type"] for given in encoded.body["tools"]] == [tool]
    assert encoded.headers.get("anthropic-beta") == beta


def test_every_pattern_of_models_is_met_by_some_name() -> None:
    assert len({pattern for pattern, _ in MODEL_QUIRKS}) == len(MODEL_QUIRKS)
    assert all(quirks.temperature_max == 1.0 and not quirks.json_object for _, quirks in MODEL_QUIRKS)
    assert not QUIRKS.rejected


# Headers and envelopes ----------------------------------------------------------------------------------------------


def test_beta_headers_of_tools_files_and_the_caller_stand_in_one_line_each_once() -> None:
    encoded = _encode(
        messages=[Message.user([ImagePart(file_id="f"), FilePart(file_id="g")])],
        tools=[{"type": "mcp_toolset", "mcp_server_name": "x"}, {"type": "bash_20241022", "name": "bash"}],
        extra_headers={"Anthropic-Beta": "files-api-2025-04-14,mine", "Anthropic-Version": "2026-10-21"},
    )
    assert encoded.headers == {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "mcp-client-2025-11-20,computer-use-2024-10-22,files-api-2025-04-14,mine",
    }


def test_vertex_has_the_model_in_the_path_and_the_version_in_the_body() -> None:
    encoded = _encode(_target(envelope="vertex"), stream=True, prompt_cache="automatic")
    assert encoded.path == "/models/claude-opus-4-8:streamRawPredict"
    assert encoded.headers == {}
    assert encoded.body["anthropic_version"] == "vertex-2023-10-16"
    assert encoded.body["stream"] is True
    assert "model" not in encoded.body
    # The mark that Anthropic's own API would set by itself.
    assert encoded.body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}


def test_a_models_name_cannot_lead_to_another_path() -> None:
    target = Target("vertex_anthropic", "../x?ü", ModelInfo("vertex_anthropic:x"), Quirks(envelope="vertex"))
    assert _encode(target).path == "/models/..%2Fx%3F%C3%BC:rawPredict"


@pytest.mark.parametrize("model", ["claude-opus-4-8"])
def test_tokens_are_counted_without_what_only_an_answer_needs(model: str) -> None:
    codec = DIALECT.token_count
    assert codec is not None
    request = LLMRequest(model=model, messages="Hi", max_tokens=9, stop=["x"], temperature=0.5, service_tier="auto")
    encoded = codec.encode(request, _target())
    assert encoded.path == "/messages/count_tokens"
    assert encoded.body == {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    vertex = codec.encode(request, _target(envelope="vertex"))
    assert vertex.path == "/models/count-tokens:rawPredict"
    assert vertex.body == {**encoded.body, "anthropic_version": "vertex-2023-10-16"}


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"input_tokens": -1}', b'{"input_tokens": "7"}', b"nope"])
def test_a_count_that_is_none_is_malformed(body: bytes) -> None:
    codec = DIALECT.token_count
    assert codec is not None
    with pytest.raises(MalformedResponseError):
        codec.decode(body)


def test_it_has_no_embeddings() -> None:
    assert DIALECT.embeddings is None


# Schemas ------------------------------------------------------------------------------------------------------------

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 18, "description": "In years."},
        "born": {"type": "string", "format": "date"},
        "color": {"type": "string", "format": "color"},
        "few": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 1},
        "many": {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 5},
        "either": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/point"}]},
        "minimum": {"type": "boolean"},
    },
    "required": ["age"],
    "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number", "multipleOf": 2}}}},
}


@pytest.mark.spec("G28")
@pytest.mark.parametrize("where", ["response_format", "tools"])
def test_constraints_that_the_api_does_not_know_become_words(where: str) -> None:
    before = copy.deepcopy(SCHEMA)
    if where == "tools":
        function = {"name": "f", "parameters": SCHEMA, "strict": True}
        sent = _encode(tools=[{"type": "function", "function": function}]).body["tools"][0]["input_schema"]
    else:
        sent = _encode(response_format=SCHEMA).body["output_config"]["format"]["schema"]
    properties = sent["properties"]
    assert sent["additionalProperties"] is False
    assert sent["required"] == ["age"]
    assert "minimum" not in properties["age"]
    assert properties["age"]["description"].startswith("In years.")
    assert "18" in properties["age"]["description"]
    assert properties["born"] == {"type": "string", "format": "date"}
    assert "format" not in properties["color"]
    assert "color" in properties["color"]["description"]
    assert properties["few"]["minItems"] == 1
    assert properties["few"]["items"]["additionalProperties"] is False
    assert "minItems" not in properties["many"]
    assert "5" in properties["many"]["description"]
    assert "maxLength" not in properties["many"]["items"]
    assert properties["either"] == {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/point"}]}
    assert properties["minimum"] == {"type": "boolean"}, "a property of that name is no constraint"
    assert sent["$defs"]["point"]["additionalProperties"] is False
    assert "multipleOf" not in sent["$defs"]["point"]["properties"]["x"]
    assert before == SCHEMA


@pytest.mark.spec("G28")
def test_the_schema_of_a_tool_that_is_not_strict_is_sent_as_it_is() -> None:
    function = {"name": "f", "parameters": SCHEMA}
    sent = _encode(tools=[{"type": "function", "function": function}]).body["tools"][0]
    assert sent == {"name": "f", "input_schema": SCHEMA}


def test_json_of_no_fixed_shape_is_asked_for_in_words() -> None:
    encoded = _encode(messages=[Message.system("Be brief."), Message.user("Hi")], response_format="json_object")
    assert "output_config" not in encoded.body
    assert encoded.body["system"][0] == {"type": "text", "text": "Be brief."}
    assert "JSON" in encoded.body["system"][1]["text"]
    assert "JSON" in _encode(response_format="json_object").body["system"]
    assert "output_config" not in _encode(_target(json_schema=False), response_format=SCHEMA).body
    assert "system" not in _encode(response_format="text").body


# Tools --------------------------------------------------------------------------------------------------------------


def test_tools_are_taken_in_the_form_of_any_dialect() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {}}}
    native: dict[str, Any] = {"name": "n", "input_schema": schema, "cache_control": {"type": "ephemeral"}}
    flat: dict[str, Any] = {"type": "function", "name": "g", "parameters": {"properties": {"a": {}}}, "strict": False}
    bare = {"type": "function", "function": {"name": "h"}}
    assert _encode(tools=[native, flat, bare]).body["tools"] == [
        native,
        {"name": "g", "input_schema": schema, "strict": False},
        {"name": "h", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_strict_tools_are_the_providers_habit_where_the_row_says_so() -> None:
    assert _encode(_target(strict_tools=True), tools=[FUNCTION]).body["tools"][0]["strict"] is True


def test_blocks_of_the_vendors_own_go_where_they_stand() -> None:
    block: dict[str, Any] = {
        "type": "search_result",
        "source": "s",
        "title": "t",
        "content": [{"type": "text", "text": "x"}],
    }
    sent = _encode(messages=[Message.user([ProviderPart(dialect="anthropic_messages", data=block)])]).body
    assert sent["messages"][0]["content"] == [block]
    assert json.loads(orjson.dumps(decode_request(sent).messages[0].to_dict()))["content"][0]["data"] == block


# The server side ----------------------------------------------------------------------------------------------------


NO_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({}, "model"),
    ({"model": "m"}, "messages"),
    ({"model": "m", "messages": 7}, "messages: no list"),
    ({"model": "m", "messages": [7]}, "messages"),
    ({"model": "m", "messages": [{"role": "owl", "content": "x"}]}, "messages"),
    ({"model": "m", "messages": [{"role": "user", "content": [7]}]}, "list of blocks"),
    ({"model": "m", "messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "source"),
    ({"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0}, "max_tokens"),
    ({"model": "m", "messages": [{"role": "user", "content": "x"}], "system": 7}, "system"),
]


@pytest.mark.parametrize(("body", "words"), NO_REQUESTS, ids=str)
def test_a_body_that_is_no_request_is_refused_and_not_quoted(body: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode_request(body)
    assert caught.value.status == 400
    assert words in str(caught.value)


def test_what_we_have_no_field_for_is_kept_beside() -> None:
    body = {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
        "metadata": {"user_id": "u"},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "low"},
        "stream": True,
    }
    request = decode_request(body)
    assert request.extra_params == {name: body[name] for name in ("metadata", "thinking", "output_config")}
    assert request.reasoning_effort is None


def test_marks_within_a_clients_turn_stay_where_they_are() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    blocks = [{"type": "text", "text": "a", **mark}, {"type": "text", "text": "b"}]
    body = {"model": "claude-opus-4-8", "max_tokens": 5, "messages": [{"role": "user", "content": blocks}]}
    request = decode_request(body)
    assert [message.text for message in request.messages] == ["a", "b"]
    assert DIALECT.encode(request, _target(), stream=False).body == body
