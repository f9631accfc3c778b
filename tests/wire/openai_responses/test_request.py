"""Writing requests in this dialect, where a case folder cannot say it: what is refused, and what lies under a request."""

from typing import Any

import pytest
from pydantic import BaseModel

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, Message
from llmring.schemas.messages import ImagePart, ProviderPart, TextPart
from llmring.schemas.tools import ToolCall
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.openai_responses import DIALECT

PNG = b"\x89PNG\r\n\x1a\n"
TOOLS = [{"type": "function", "function": {"name": "get_weather"}}, {"type": "web_search"}]


def target(**quirks: Any) -> Target:
    return Target("openai", "m", ModelInfo("openai:m"), Quirks(**quirks))


def encode(
    messages: Any = "Hi",
    *,
    under: dict[str, Any] | None = None,
    quirks: dict[str, Any] | None = None,
    stream: bool = False,
    **fields: Any,
) -> EncodedRequest:
    request = LLMRequest(model="m", messages=messages, **fields)
    return DIALECT.encode(request, target(**(quirks or {})), stream=stream, under=under)


class Answer(BaseModel):
    n: int
    why: str | None = None


@pytest.mark.spec("L03", "U12")
def test_a_python_class_is_asked_for_by_its_schema() -> None:
    form = encode(response_format=Answer).body["text"]["format"]
    assert (form["type"], form["name"]) == ("json_schema", "Answer")
    assert set(form["schema"]["properties"]) == {"n", "why"}


@pytest.mark.spec("L04", "D03")
@pytest.mark.parametrize("wanted", ["json_object", Answer])
def test_a_model_that_cannot_be_held_to_a_format_is_asked_in_words(wanted: Any) -> None:
    encoded = encode(
        [Message.system("Be brief."), Message.user("Hi")],
        response_format=wanted,
        quirks={"json_object": False, "json_schema": False},
    )
    system, user = encoded.body["input"]
    assert encoded.body["text"] == {"format": {"type": "text"}}
    assert system["content"].startswith("Be brief.")
    assert "JSON" in system["content"]
    assert user == {"role": "user", "content": "Hi"}
    assert len(encoded.warnings) == 1


def test_nothing_is_stored_unless_somebody_says_so() -> None:
    assert encode().body["store"] is False
    assert encode(extra_params={"store": True}).body["store"] is True
    assert encode(under={"store": True}).body["store"] is True
    assert encode(under={"store": True}, extra_params={"store": False}).body["store"] is False


def test_who_says_what_to_include_is_not_given_more() -> None:
    body = encode(reasoning_effort="low", extra_params={"include": []}).body
    assert body["include"] == []
    assert encode(reasoning_effort="low").body["include"] == ["reasoning.encrypted_content"]


def test_what_lies_under_a_request_fills_in_what_it_leaves_open() -> None:
    under = {
        "max_tokens": 5,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low"},
        "user": "u",
    }
    body = encode(under=under, reasoning_effort="high", response_format="json_object", max_tokens=9).body
    assert body["max_output_tokens"] == 9
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["text"] == {"verbosity": "low", "format": {"type": "json_object"}}
    assert body["user"] == "u"
    assert encode(under=under).body["max_output_tokens"] == 5


@pytest.mark.parametrize(
    ("fields", "extra", "named"),
    [
        ({"max_tokens": 5}, {"max_completion_tokens": 6}, "max_output_tokens"),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"response_format": "json_object"}, {"text": {"format": {"type": "text"}}}, "text.format"),
        ({"temperature": 0.5}, {"temperature": 0.6}, "temperature"),
        ({}, {"input": "else"}, "input"),
    ],
)
def test_a_setting_with_two_values_is_refused(fields: dict[str, Any], extra: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        encode(**fields, extra_params=extra)


def test_a_tool_choice_that_names_nothing_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="get_wether") as caught:
        encode(tools=TOOLS, tool_choice="get_wether")
    assert "get_weather" in (caught.value.hint or "")
    assert encode(tools=TOOLS, tool_choice="web_search").body["tool_choice"] == {"type": "web_search"}


def test_a_temperature_above_the_limit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="above the limit"):
        encode(temperature=2.5)


def test_a_background_answer_is_not_streamed() -> None:
    with pytest.raises(ConfigurationError, match="not streamed"):
        encode(background=True, stream=True)


def test_unregistered_files_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="files"):
        encode(files=["f1"])


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_an_image_where_the_dialect_has_no_place_for_one_is_refused(role: Any) -> None:
    message = Message(role=role, content=[TextPart(text="See"), ImagePart(data=PNG)])
    with pytest.raises(ConfigurationError, match="image"):
        encode([message, Message.user("Hi")])


# Working a computer ---------------------------------------------------------------------------------------------------

CALL: dict[str, Any] = {
    "id": "cu_1",
    "type": "computer_call",
    "call_id": "call_c",
    "actions": [],
    "pending_safety_checks": [],
}
SCREEN: dict[str, Any] = {"computer_use": {"display_width": 640}, "quirks": {"computer_tool": "computer"}}


def computer_turn(result: Any) -> list[Message]:
    part = ProviderPart(dialect="openai_responses", data=CALL)
    return [
        Message.user("Go."),
        Message(role="assistant", content=[part]),
        Message(role="tool", tool_call_id="call_c", content=result),
    ]


def test_a_model_that_is_not_known_to_work_a_computer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="computer_use"):
        encode(computer_use={})


@pytest.mark.parametrize("result", ["done", [TextPart(text="done")], [ImagePart(data=PNG), ImagePart(data=PNG)]])
def test_a_computer_call_is_answered_with_one_picture(result: Any) -> None:
    with pytest.raises(ConfigurationError, match="one image"):
        encode(computer_turn(result), **SCREEN)


def test_a_computer_call_that_comes_back_without_its_item_is_refused() -> None:
    call = ToolCall("call_c", "computer", {"actions": []})
    with pytest.raises(ConfigurationError, match="call_c") as caught:
        encode([Message.user("Go."), Message.assistant(None, [call])], **SCREEN)
    assert "to_message" in (caught.value.hint or "")


def test_a_tool_of_the_callers_own_may_be_called_computer() -> None:
    call = ToolCall("call_1", "computer", {"x": 1})
    tools = [{"type": "function", "function": {"name": "computer"}}]
    items = encode(
        [Message.user("Go."), Message.assistant(None, [call]), Message.tool_result("call_1", "ok")], tools=tools
    ).body["input"]
    assert [item.get("type") for item in items] == [None, "function_call", "function_call_output"]


# Counting -------------------------------------------------------------------------------------------------------------


def test_a_count_asks_only_for_what_is_counted() -> None:
    codec = DIALECT.token_count
    assert codec is not None
    request = LLMRequest(model="m", messages="Hi", max_tokens=5, temperature=0.1, logprobs=True)
    encoded = codec.encode(request, target(), under={"truncation": "auto", "user": "u"})
    assert encoded.path == "/responses/input_tokens"
    assert encoded.body == {"model": "m", "input": [{"role": "user", "content": "Hi"}], "truncation": "auto"}


@pytest.mark.parametrize("data", [b"{}", b"[]", b'{"input_tokens": -1}', b'{"input_tokens": "7"}', b"x"])
def test_a_count_that_is_none_is_malformed(data: bytes) -> None:
    codec = DIALECT.token_count
    assert codec is not None
    with pytest.raises(MalformedResponseError):
        codec.decode(data)
