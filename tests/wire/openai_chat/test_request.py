"""What a request must not say, what it says only once, and what a server makes of a body."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from llmring.exceptions import ConfigurationError, InvalidRequestError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, Message
from llmring.schemas.request import RESERVED_PARAMS
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.openai_chat import DIALECT, decode_request


def _encode(*, quirks: Quirks | None = None, stream: bool = False, **fields: Any) -> EncodedRequest:
    request = LLMRequest.model_validate({"model": "fast", "messages": "hi", **fields})
    return DIALECT.encode(
        request, Target("openai", "gpt-x", ModelInfo("openai:gpt-x"), quirks or Quirks()), stream=stream
    )


def _body(**fields: Any) -> dict[str, Any]:
    return json.loads(orjson.dumps(_encode(**fields).body))


@pytest.mark.spec("U28")
def test_a_bare_request_is_model_and_messages_and_nothing_else() -> None:
    assert _encode().path == "/chat/completions"
    assert _body() == {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]}


# One row a field of LLMRequest: how it is given, and what it puts into the body; None: nothing.
FIELDS: dict[str, tuple[Any, dict[str, Any] | None]] = {
    "temperature": (0.5, {"temperature": 0.5}),
    "max_tokens": (7, {"max_tokens": 7}),
    "response_format": ({"type": "json_object"}, {"response_format": {"type": "json_object"}}),
    "tools": (
        [{"type": "function", "function": {"name": "f"}}],
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
    ),
    "tool_choice": ("auto", {"tool_choice": "auto"}),
    "top_p": (0.1, {"top_p": 0.1}),
    "stop": (["x"], {"stop": ["x"]}),
    "reasoning_effort": ("high", {"reasoning_effort": "high"}),
    "logprobs": (True, {"logprobs": True}),
    "top_logprobs": (2, {"top_logprobs": 2}),
    "seed": (1, {"seed": 1}),
    "top_k": (40, {"top_k": 40}),
    "frequency_penalty": (0.1, {"frequency_penalty": 0.1}),
    "presence_penalty": (0.2, {"presence_penalty": 0.2}),
    "parallel_tool_calls": (False, {"parallel_tool_calls": False}),
    "service_tier": ("flex", {"service_tier": "flex"}),
    "prompt_cache": ("tools_only", None),
    "prompt_cache_ttl": ("1h", None),
    "computer_use": ({}, None),  # who asks for these is asked in another dialect: `dialect_for`
    "use_responses_api": (True, None),
    "background": (True, None),
    "provider_options": ({"vendor": "openai", "store": False}, None),  # `calls.fitting` makes extra_params of them
    "cache_mode": ("off", None),
    "cache_variant": (1, None),
    "timeout": (3.0, None),
    "deadline": (4.0, None),
    "retry": ({"attempts": 1}, None),
    "on_interrupt": ("restart", None),
    "prefer_model": ("last", None),
    "idempotency_key": ("order-7", None),  # in a header, where the provider has one: `calls.idempotency`
    "hide_thinking": (True, None),
    "files": ([], None),
    "metadata": ({"a": 1}, None),
    "extra_params": ({"min_p": 0.1}, {"min_p": 0.1}),
    "extra_headers": ({"X-Run": "7"}, None),
}


@pytest.mark.spec("U42", "D01", "D02", "D09", "Z13", "A10")
def test_every_field_of_a_request_has_its_row_here() -> None:
    # `sampling` only spells other fields: the request reads it into them.
    assert set(FIELDS) == set(LLMRequest.model_fields) - {"model", "messages", "sampling"}


@pytest.mark.spec("U42", "U28", "Z13")
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_puts_into_the_body_what_it_says_and_nothing_else(name: str) -> None:
    value, added = FIELDS[name]
    assert _body(**{name: value}) == {**_body(), **(added or {})}


def test_extra_headers_go_along() -> None:
    assert _encode(extra_headers={"X-Run": "7"}).headers == {"X-Run": "7"}


@pytest.mark.spec("D02")
@pytest.mark.parametrize("spelling", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_is_spelt_as_the_provider_wants(spelling: Any) -> None:
    assert _body(max_tokens=9, quirks=Quirks(max_tokens_field=spelling))[spelling] == 9


@pytest.mark.spec("D01", "D11")
def test_what_a_model_rejects_is_left_out_with_one_warning_each() -> None:
    quirks = Quirks(rejected=frozenset({"temperature", "top_p", "seed"}), temperature_max=1.0)
    encoded = _encode(temperature=1.5, top_p=0.5, quirks=quirks)
    assert encoded.body.keys() == {"model", "messages"}
    assert sorted(encoded.warnings) == [
        "temperature was left out: openai:gpt-x does not take it",
        "top_p was left out: openai:gpt-x does not take it",
    ]


@pytest.mark.spec("U43")
@pytest.mark.parametrize(
    ("value", "limit", "sent"),
    [(0.0, 2.0, True), (1.0, 1.0, True), (1.5, 2.0, True), (2.5, 2.0, False), (1.5, 1.0, False)],
)
def test_a_temperature_above_the_limit_is_refused_and_never_clamped(value: float, limit: float, sent: bool) -> None:
    quirks = Quirks(temperature_max=limit)
    if sent:
        assert _body(temperature=value, quirks=quirks)["temperature"] == value
        return
    with pytest.raises(ConfigurationError, match=rf"temperature {value:g} is above .* {limit:g}"):
        _encode(temperature=value, quirks=quirks)


@pytest.mark.spec("A38")
@pytest.mark.parametrize(
    ("fields", "extra", "wanted"),
    [
        ({"temperature": 0.5}, {"temperature": 0.5}, {"temperature": 0.5}),
        ({"temperature": 0.5}, {"temperature": 0.6}, "temperature"),
        ({}, {"temperature": 0.6}, {"temperature": 0.6}),
        ({"temperature": 0.0}, {"temperature": None}, "temperature"),
        ({"seed": 1}, {"seed": 2}, "seed"),
        ({"stop": ["a"]}, {"stop": ["b"]}, "stop"),
        ({"response_format": "json_object"}, {"response_format": {"type": "text"}}, "response_format"),
        ({"response_format": "json_object"}, {"response_format": {"type": "json_object"}}, {}),
        ({"max_tokens": 5}, {"max_completion_tokens": 6}, "max_completion_tokens"),
        ({"max_tokens": 5}, {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({}, {"max_completion_tokens": 6}, {"max_completion_tokens": 6}),
    ],
)
def test_a_key_given_twice_with_two_values_is_refused_by_name(
    fields: dict[str, Any], extra: dict[str, Any], wanted: dict[str, Any] | str
) -> None:
    if isinstance(wanted, str):
        with pytest.raises(ConfigurationError, match=f"'{wanted}'"):
            _encode(**fields, extra_params=extra)
    else:
        body = _body(**fields, extra_params=extra)
        assert {name: body[name] for name in wanted} == wanted
        assert not {"max_tokens", "max_completion_tokens"} <= body.keys()


@pytest.mark.spec("A10")
@pytest.mark.parametrize("name", sorted(RESERVED_PARAMS))
def test_keys_that_llmring_decides_are_refused_in_extra_params(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        _encode(extra_params={name: "x"})


@pytest.mark.spec("D10")
@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("look_up", {"type": "function", "function": {"name": "look_up"}}),
        ({"type": "function", "function": {"name": "look_up"}},) * 2,
    ],
)
def test_tool_choice_is_a_word_or_a_tool(choice: Any, wanted: Any) -> None:
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    assert _body(tools=tools, tool_choice=choice)["tool_choice"] == wanted


@pytest.mark.spec("D10")
def test_a_tool_choice_that_is_no_tool_names_the_close_one() -> None:
    with pytest.raises(ConfigurationError, match=r"'look_upp'.*did you mean look_up"):
        _encode(tools=[{"type": "function", "function": {"name": "look_up"}}], tool_choice="look_upp")


def test_an_unknown_registered_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match="file_7"):
        _encode(files=["file_7"])


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_an_image_where_the_dialect_has_none_is_refused(role: str) -> None:
    message = {"role": role, "content": [{"type": "image", "url": "https://example.com/x.png"}]}
    with pytest.raises(ConfigurationError, match=f"'image' in a {role} message"):
        _encode(messages=[message])


def test_a_pydantic_model_is_sent_as_its_schema() -> None:
    class City(BaseModel):
        name: str

    sent = _body(response_format=City)["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "City", "schema": City.model_json_schema()}}


def test_user_messages_that_hold_tool_outputs_put_them_first() -> None:
    content = [{"type": "text", "text": "and?"}, {"type": "tool_output", "tool_call_id": "c", "content": "1"}]
    assert _body(messages=[{"role": "user", "content": content}])["messages"] == [
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "user", "content": [{"type": "text", "text": "and?"}]},
    ]


@pytest.mark.spec("U27")
def test_nothing_of_the_request_is_changed_whatever_is_asked() -> None:
    fields: dict[str, Any] = {
        "model": "fast",
        "messages": [Message.system("s"), Message.user("u"), Message.assistant("a")],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "f",
        "stop": ["a"],
        "extra_params": {"logit_bias": {"1": 2}, "stream_options": {"include_obfuscation": False}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    }
    request = LLMRequest.model_validate(fields)
    before, fields_before = copy.deepcopy(request), copy.deepcopy(fields)
    quirks = Quirks(strict_tools=True, rejected=frozenset({"stop", "logit_bias"}), system_role="developer")
    DIALECT.encode(request, Target("p", "m", ModelInfo("p:m"), quirks), stream=True)
    assert request == before
    assert fields == fields_before


# The server side ----------------------------------------------------------------------------------------------------


def test_unknown_keys_of_a_body_become_extra_params_and_null_is_nothing() -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": None,
        "user": "ann",
        "metadata": {"a": "b"},
        "stream": True,
        "stream_options": {"include_usage": True},
        "timeout": 3,
    }
    request = decode_request(body)
    assert request.extra_params == {"user": "ann", "metadata": {"a": "b"}, "timeout": 3}
    assert (request.temperature, request.metadata, request.timeout) == (None, None, None)


def test_a_reply_that_a_client_sends_back_is_read() -> None:
    said: dict[str, Any] = {
        "role": "assistant",
        "content": "hi",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
        "reasoning_content": "hm",
    }
    request = decode_request({"model": "m", "messages": [{"role": "developer", "content": "s"}, said]})
    assert [message.role.value for message in request.messages] == ["system", "assistant"]
    assert request.messages[1].text == "hi"
    refused = decode_request({"model": "m", "messages": [{"role": "assistant", "content": None, "refusal": "no"}]})
    assert refused.messages[0].content == "no"


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"messages": None},
        {"temperature": -1},
        {"messages": [{"role": "user"}]},
        {"messages": [7]},
        {"messages": {"role": "user", "content": "the secret prompt", "mood": "glum"}},
        {"messages": [{"role": "user", "content": [{"type": "smell", "smell": "the secret prompt"}]}]},
        {"messages": [{"role": "assistant", "content": 7, "reasoning": "x"}]},
        {"max_tokens": 1, "max_completion_tokens": 2},
        {"tools": "f"},
    ],
    ids=str,
)
def test_a_body_that_is_no_request_is_refused_as_a_server_would(change: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "the secret prompt"}], **change}
    with pytest.raises(InvalidRequestError) as caught:
        decode_request(body)
    assert caught.value.status == 400
    assert "secret prompt" not in str(caught.value)
