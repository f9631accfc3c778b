"""What a caller asks for: fields, their bounds, and errors that name the way out."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import json
import pickle
import sys
import textwrap
import types
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import llmring
from llmring.exceptions import ConfigurationError
from llmring.schemas import (
    ImagePart,
    LLMRequest,
    Message,
    RequestOptions,
    Role,
    SamplingParams,
    TextPart,
    Timeouts,
    ToolCall,
)

SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "default": None}}}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def ask(**fields: Any) -> LLMRequest:
    return LLMRequest.model_validate({"model": "fast", "messages": "hi", **fields})


@pytest.mark.spec("U10")
def test_the_seeds_request_is_a_request() -> None:
    request = LLMRequest(
        model="fast",
        messages=[Message(role=Role.USER, content="hi")],
        temperature=0.7,
        max_tokens=1000,
        response_format={"type": "json_object"},
        tools=[TOOL],
        tool_choice="auto",
        extra_params={},
        files=["file-1"],
    )
    assert (request.temperature, request.max_tokens, request.tool_choice) == (0.7, 1000, "auto")
    assert (request.response_format, request.tools, request.files) == ({"type": "json_object"}, [TOOL], ["file-1"])


@pytest.mark.spec("U10", "A36", "E02")
@pytest.mark.parametrize(
    "prompt",
    ["Hello", {"role": "user", "content": "Hello"}, ["Hello"], [{"role": "user", "content": "Hello"}], ("Hello",)],
)
def test_a_prompt_may_be_text_or_dicts(prompt: Any) -> None:
    assert LLMRequest(model="fast", messages=prompt).messages == [Message.user("Hello")]


@pytest.mark.spec("U42")
def test_every_optional_field_is_unset_by_default() -> None:
    optional = {
        name: field.default for name, field in LLMRequest.model_fields.items() if name not in {"model", "messages"}
    }
    assert set(optional.values()) == {None}
    # A snapshot: a field that comes or goes is a change of the public interface.
    assert sorted(optional) == [
        "background",
        "cache_mode",
        "cache_variant",
        "computer_use",
        "deadline",
        "extra_headers",
        "extra_params",
        "files",
        "frequency_penalty",
        "hide_thinking",
        "idempotency_key",
        "logprobs",
        "max_tokens",
        "metadata",
        "on_interrupt",
        "parallel_tool_calls",
        "prefer_model",
        "presence_penalty",
        "prompt_cache",
        "prompt_cache_ttl",
        "provider_options",
        "reasoning_effort",
        "response_format",
        "retry",
        "sampling",
        "seed",
        "service_tier",
        "stop",
        "temperature",
        "timeout",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "use_responses_api",
    ]


@pytest.mark.spec("U42", "Z13")
@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("top_p", [0, 0.5, 1], [-0.1, 1.1, float("nan")]),
        ("max_tokens", [1, 100_000], [0, -1, 1.5]),
        ("top_logprobs", [0, 20], [-1, 21]),
        ("reasoning_effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"], ["hard", 3]),
        ("service_tier", ["auto", "default", "flex", "priority"], ["first class"]),
        ("prompt_cache", ["automatic", "system_and_tools", "tools_only", "last_user_message"], ["always"]),
        ("cache_mode", ["use", "refresh", "read_only", "off"], ["on"]),
        ("cache_variant", [0, 7], ["x"]),
        ("deadline", [0.1, 60], [0, -1, float("inf"), float("nan")]),
        ("timeout", [0.1, 60, Timeouts(total=None)], [0, -1, float("inf"), float("nan")]),
        ("logprobs", [True, False], ["perhaps"]),
        ("hide_thinking", [True, False], ["perhaps"]),
        ("on_interrupt", ["raise", "restart"], ["again", True]),
        (
            "idempotency_key",
            ["a", "order 7", "~" * 255],
            ["", "a" * 256, "a\nb", "a\n", " a", "a ", "\u00e4", "a\x7f", "a\0", 7],
        ),
        ("parallel_tool_calls", [True, False], ["perhaps"]),
        ("seed", [0, 42, -1], ["x", 1.5]),
        ("top_k", [1, 40], [0, -1]),
        ("frequency_penalty", [-2.0, 2.0], ["x"]),
        ("presence_penalty", [-2.0, 2.0], ["x"]),
        ("metadata", [{}, {"user": {"id": 1}}], ["x"]),
        ("stop", [[], ["a", "b"]], [3, [3]]),
        ("files", [[], ["file-1"]], ["file-1"]),
        ("model", ["fast", "openai:gpt-5.6-luna"], ["", None]),
    ],
)
def test_each_field_takes_what_it_says_and_nothing_else(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert getattr(ask(**{name: value}), name) == value
    for value in bad:
        with pytest.raises(ValidationError, match=name):
            ask(**{name: value})


@pytest.mark.spec("U43")
@pytest.mark.parametrize("temperature", [-1, -0.01, float("nan"), float("inf"), float("-inf")])
def test_a_temperature_below_zero_or_not_finite_is_refused(temperature: float) -> None:
    with pytest.raises(ValidationError, match="temperature must be a finite number, 0 or above"):
        LLMRequest(model="fast", messages="hi", temperature=temperature)


@pytest.mark.spec("U43")
@pytest.mark.parametrize("temperature", [0, 1.0, 1.5, 2.5])
def test_any_finite_temperature_from_zero_up_is_left_to_the_dialect_and_never_clamped(temperature: float) -> None:
    assert LLMRequest(model="fast", messages="hi", temperature=temperature).temperature == temperature


@pytest.mark.spec("U44")
@pytest.mark.parametrize("value", [True, False])
def test_a_stream_flag_is_refused_with_a_pointer_to_chat_stream(value: bool) -> None:
    with pytest.raises(ValidationError, match=r"chat_stream\(request\)"):
        ask(stream=value)
    with pytest.raises(ValidationError, match="chat_stream"):
        ask(extra_params={"stream": value})


@pytest.mark.spec("U10")
@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("tool", "tools"),
        ("responseformat", "response_format"),
    ],
)
def test_an_unknown_field_names_the_close_one(typo: str, meant: str) -> None:
    with pytest.raises(ValidationError, match=rf"{typo}: no such field; did you mean {meant}\?"):
        ask(**{typo: 1})


@pytest.mark.spec("U10")
def test_an_unknown_field_that_resembles_none_points_to_extra_params() -> None:
    with pytest.raises(ValidationError, match="goes into extra_params") as caught:
        ask(xyzzy=1)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ([], "at least 1 item"),
        (None, "text, a message, a dict"),
        (3, "not int"),
        ([3], "not int"),
        (b"hi", "not bytes"),
    ],
)
def test_a_prompt_that_is_none_is_a_validation_error(prompt: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LLMRequest(model="fast", messages=prompt)


def test_an_error_in_a_message_says_which_one() -> None:
    with pytest.raises(ValidationError) as caught:
        ask(messages=["hi", {"role": "user", "content": "x"}, {"role": "nobody", "content": "x"}])
    assert caught.value.errors()[0]["loc"] == ("messages", 2, "role")


def test_no_validation_error_quotes_the_prompt() -> None:
    said = "the launch code is 0000"
    for fields in (
        {"messages": [{"role": "nobody", "content": said}]},
        {"messages": said, "temperature": "hot"},
        {"messages": said, "unknown": said},
        {"messages": said, "max_tokens": said},
        {"messages": said, "extra_params": {"messages": said}},
        {"messages": [object(), said]},
        {"messages": said, "tools": [said]},
        {"messages": said, "sampling": said},
    ):
        with pytest.raises(ValidationError) as caught:
            ask(**fields)
        assert "launch" not in str(caught.value)
        assert "launch" not in repr(caught.value)


@pytest.mark.spec("G06")
@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ({"type": "function"}, "number 1 is a function without a name"),
        ({"type": "function", "function": {}}, "number 1 is a function without a name"),
        ({"type": "function", "function": {"name": ""}}, "number 1 is a function without a name"),
        ({"type": "function", "function": {"name": 7}}, "number 1 is a function without a name"),
        ({"type": "function", "function": "f"}, "number 1 is a function without a name"),
        ({"type": "tool", "function": {"name": "f"}}, "number 1 is none"),
        ({"type": 7, "name": "f"}, "number 1 is none"),
        ({}, "number 1 is none"),
    ],
)
def test_a_tool_that_is_no_function_and_no_providers_tool_is_refused(tool: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ask(tools=[TOOL, tool])


@pytest.mark.spec("G06")
def test_functions_pass_in_both_shapes_and_beside_a_providers_own_tools() -> None:
    tools: list[dict[str, Any]] = [
        TOOL,
        {"type": "function", "name": "flat"},
        {"type": "web_search_20250305"},
        {"googleSearch": {}},
    ]
    assert ask(tools=tools).tools == tools


@pytest.mark.parametrize("name", ["model", "messages", "stream"])
def test_extra_params_may_not_contradict_the_request(name: str) -> None:
    with pytest.raises(ValidationError, match=f"'{name}' is reserved"):
        ask(extra_params={name: "x"})
    with pytest.raises(ConfigurationError, match=f"'{name}' is reserved"):
        RequestOptions(extra_params={name: "x"})


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "API-KEY", "Cookie", "Proxy-Authorization"])
def test_a_header_with_a_credential_belongs_to_a_provider_and_not_to_a_request(name: str) -> None:
    with pytest.raises(ValidationError, match="fallback would send it to another provider") as caught:
        ask(extra_headers={name: "sk-secret-value"})
    assert "sk-secret-value" not in str(caught.value)


@pytest.mark.parametrize(
    "header", [{"a\nb": "c"}, {"a": "b\r\nc: d"}, {"": "x"}, {"a b": "c"}, {"a:": "b"}, {"a": "\0"}]
)
def test_a_header_that_would_break_the_request_apart_is_refused(header: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="no header may hold"):
        ask(extra_headers=header)
    assert ask(extra_headers={"X-Team": "blue"}).extra_headers == {"X-Team": "blue"}


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "Connection", "Upgrade", "TE", "Trailer", "Expect", "HOST"]
)
def test_a_header_that_frames_the_request_is_the_transports(name: str) -> None:
    with pytest.raises(ValidationError, match="for the transport to set"):
        ask(extra_headers={name: "5"})


def test_a_header_that_is_no_text_is_a_typed_error() -> None:
    with pytest.raises(ValidationError, match="extra_headers"):
        ask(extra_headers={"X-A": 5})


def test_one_stop_text_is_a_list_of_one() -> None:
    assert ask(stop="END").stop == ["END"]


@pytest.mark.spec("U27")
def test_what_the_caller_passed_stays_as_it_is() -> None:
    fields: dict[str, Any] = {
        "model": "fast",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}], "metadata": {"a": [1]}}],
        "tools": [copy.deepcopy(TOOL)],
        "sampling": SamplingParams(temperature=0.5, strict_tools=True),
        "response_format": copy.deepcopy(SCHEMA),
        "extra_params": {"a": {"b": []}},
        "stop": ["x"],
        "metadata": {"user": {"id": 1}},
    }
    before = copy.deepcopy(fields)
    request = LLMRequest.model_validate(fields)
    assert request.messages is not fields["messages"]
    assert fields == before


@pytest.mark.spec("U27")
def test_the_callers_own_list_of_messages_is_copied() -> None:
    mine = [Message.user("hi")]
    request = LLMRequest(model="fast", messages=mine)
    mine.append(Message.user("more"))
    assert len(request.messages) == 1


def full_request() -> LLMRequest:
    return LLMRequest(
        model="openai:gpt-5.6-luna",
        messages=[
            Message.system("be brief"),
            Message.user([TextPart(text="look"), ImagePart(data=b"\xff\xd8\xff")]),
            Message.assistant(tool_calls=[ToolCall("1", "add", {"a": None})]),
            Message.tool_result("1", "3"),
        ],
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"default": None}}}],
        response_format=SCHEMA,
        timeout=Timeouts(total=None),
        sampling=SamplingParams(top_p=0.5, json_mode=True),
        metadata={"a": None},
        extra_params={"b": [None]},
    )


@pytest.mark.spec("U10")
def test_a_request_survives_json_and_pickle() -> None:
    request = full_request()
    assert LLMRequest.model_validate(json.loads(json.dumps(request.model_dump(mode="json")))) == request
    assert LLMRequest.model_validate_json(request.model_dump_json()) == request
    assert pickle.loads(pickle.dumps(request)) == request
    assert copy.deepcopy(request) == request


class Verdict(BaseModel):
    score: int


@pytest.mark.spec("U10")
def test_a_python_type_as_response_format_is_written_as_its_schema() -> None:
    request = ask(response_format=Verdict)
    written = json.loads(request.model_dump_json())["response_format"]
    assert written["type"] == "json_schema"
    assert written["json_schema"]["name"] == "Verdict"
    assert written["json_schema"]["schema"]["properties"] == {"score": {"title": "Score", "type": "integer"}}
    assert LLMRequest.model_validate(request.model_dump(mode="json")).response_format == written
    assert request.model_dump()["response_format"] is Verdict
    assert ask(response_format="text").model_dump(mode="json")["response_format"] == "text"


@pytest.mark.spec("U42")
def test_a_request_has_a_json_schema_that_needs_model_and_messages_alone() -> None:
    for schema in (LLMRequest.model_json_schema(), LLMRequest.model_json_schema(mode="serialization")):
        assert set(schema["required"]) == {"model", "messages"}
        assert schema["additionalProperties"] is False


# SamplingParams


@pytest.mark.spec("D12")
def test_sampling_params_have_the_eight_fields_of_the_seed_all_unset() -> None:
    assert llmring.SamplingParams is SamplingParams
    assert dataclasses.asdict(SamplingParams()) == dict.fromkeys(
        (
            "temperature",
            "top_p",
            "max_tokens",
            "json_mode",
            "reasoning_effort",
            "logprobs",
            "top_logprobs",
            "strict_tools",
        )
    )


@pytest.mark.spec("D12")
def test_sampling_params_take_the_seeds_max_new_tokens_and_cannot_be_changed() -> None:
    params = SamplingParams(max_new_tokens=512)
    assert params.max_tokens == 512
    assert SamplingParams(max_tokens=512, max_new_tokens=512) == params
    with pytest.raises(ValueError, match="one setting"):
        SamplingParams(max_tokens=1, max_new_tokens=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.max_tokens = 1  # pyright: ignore[reportAttributeAccessIssue]
    assert dataclasses.replace(params, temperature=0.0, max_new_tokens=None).max_tokens == 512


@pytest.mark.spec("D12")
def test_a_request_takes_sampling_params_and_its_own_fields_win() -> None:
    params = SamplingParams(
        temperature=0.9, top_p=0.5, max_tokens=7, json_mode=True, reasoning_effort="low", logprobs=True, top_logprobs=2
    )
    request = ask(sampling=params, temperature=0.0, top_p=None)
    assert request.sampling is params
    assert (request.temperature, request.top_p, request.max_tokens) == (0.0, 0.5, 7)
    assert (request.response_format, request.reasoning_effort) == ("json_object", "low")
    assert (request.logprobs, request.top_logprobs) == (True, 2)
    assert ask(sampling={"max_new_tokens": 9}).max_tokens == 9


@pytest.mark.spec("D12")
def test_strict_tools_reaches_the_tools_that_do_not_say_it_themselves() -> None:
    mine = [TOOL, {"type": "function", "function": {"name": "g", "strict": False}}, {"type": "web_search"}]
    before = copy.deepcopy(mine)
    tools = ask(sampling=SamplingParams(strict_tools=True), tools=mine).tools or []
    assert [tool.get("function", {}).get("strict") for tool in tools] == [True, False, None]
    assert mine == before
    assert ask(sampling=SamplingParams(), tools=mine).tools == before


@pytest.mark.spec("D12")
@pytest.mark.parametrize("sampling", [{"colour": "red"}, "hot", 3, {"temperature": -1}, {"top_p": 2}])
def test_sampling_that_cannot_be_is_a_validation_error(sampling: Any) -> None:
    with pytest.raises(ValidationError):
        ask(sampling=sampling)


@pytest.mark.spec("D12", "D08")
def test_to_vllm_gives_vllms_own_params(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = types.ModuleType("vllm")
    monkeypatch.setattr(stub, "SamplingParams", types.SimpleNamespace, raising=False)
    monkeypatch.setitem(sys.modules, "vllm", stub)
    assert vars(SamplingParams().to_vllm()) == {}
    full = SamplingParams(temperature=0.0, top_p=0.9, max_new_tokens=5, logprobs=True, top_logprobs=3)
    assert vars(full.to_vllm()) == {"temperature": 0.0, "top_p": 0.9, "max_tokens": 5, "logprobs": 3}
    assert vars(SamplingParams(logprobs=False, top_logprobs=3).to_vllm()) == {}


@pytest.mark.spec("D12", "D08")
def test_to_vllm_without_vllm_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ImportError, match="vllm"):
        SamplingParams().to_vllm()


# Timeouts


def test_timeouts_default_to_the_documented_clocks() -> None:
    assert dataclasses.asdict(Timeouts()) == {"connect": 5.0, "first_token": 60.0, "idle": 30.0, "total": 600.0}


@pytest.mark.parametrize("name", ["connect", "first_token", "idle", "total"])
@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_clock_needs_seconds_above_zero_or_none(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=rf"Timeouts\.{name}: seconds above 0"):
        Timeouts(**{name: seconds})
    assert getattr(Timeouts(**{name: None}), name) is None


# What type checkers are told


@pytest.mark.spec("E29", "A36")
@pytest.mark.parametrize("model", [LLMRequest, Message])
def test_the_signature_for_type_checkers_names_every_field(model: type[BaseModel]) -> None:
    source = ast.parse(textwrap.dedent(inspect.getsource(model)))
    init = next(node for node in ast.walk(source) if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    assert [argument.arg for argument in init.args.kwonlyargs] == list(model.model_fields)
