"""What the dialect cannot say is an error before anything is sent; what it has no words for is said to be left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.exceptions import ConfigurationError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, Message
from llmring.schemas.messages import FilePart, ImagePart, Part
from llmring.schemas.request import ComputerUse
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.ollama_chat import DIALECT

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}


def encode(quirks: Quirks | None = None, under: dict[str, Any] | None = None, **given: Any) -> EncodedRequest:
    fields: dict[str, Any] = {"model": "m", "messages": "hi", **given}
    request = LLMRequest(**fields)
    target = Target("ollama", "m", ModelInfo("ollama:m"), quirks or Quirks())
    return DIALECT.encode(request, target, stream=False, under=under)


@pytest.mark.parametrize("choice", ["required", "f", {"type": "function", "function": {"name": "f"}}])
def test_a_model_cannot_be_made_to_call_a_tool(choice: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be made to call"):
        encode(tools=[TOOL], tool_choice=choice)


def test_tools_of_other_vendors_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="web_search"):
        encode(tools=[{"type": "web_search"}])


def test_a_screen_and_registered_files_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="computer_use"):
        encode(computer_use=ComputerUse())
    with pytest.raises(ConfigurationError, match="file-1"):
        encode(files=["file-1"])


@pytest.mark.spec("F15")
@pytest.mark.parametrize(
    "part",
    [
        ImagePart(url="https://example.com/a.png"),
        ImagePart(file_id="file-1"),
        FilePart(data=b"%PDF-1.7", media_type="application/pdf"),
    ],
    ids=["image by URL", "image by id", "PDF"],
)
def test_only_images_by_their_bytes_can_be_said(part: Part) -> None:
    with pytest.raises(ConfigurationError, match=f"type '{part.type}'.*"):
        encode(messages=[Message(role="user", content=[part])])


def test_an_image_of_the_assistant_cannot_be_said() -> None:
    image = ImagePart(data=b"x", media_type="image/png")
    with pytest.raises(ConfigurationError, match="assistant"):
        encode(messages=["hi", Message(role="assistant", content=[image])])


@pytest.mark.spec("U50")
def test_options_are_sorted_from_what_stands_at_the_top() -> None:
    body = encode(temperature=0.5, extra_params={"num_ctx": 9, "keep_alive": 0, "mirostat": 1, "brand_new": 1}).body
    assert body["options"] == {"temperature": 0.5, "num_ctx": 9, "mirostat": 1}
    assert (body["keep_alive"], body["brand_new"]) == (0, 1)


@pytest.mark.spec("U50")
@pytest.mark.parametrize("extra", [{"num_predict": 6}, {"options": {"num_predict": 6}}])
def test_one_setting_with_two_values_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"num_predict.*set max_tokens once"):
        encode(max_tokens=5, extra_params=extra)
    assert encode(max_tokens=6, extra_params=extra).body["options"] == {"num_predict": 6}


def test_a_rings_own_params_count_where_the_request_says_nothing() -> None:
    under = {"num_ctx": 9, "temperature": 0.1, "options": {"seed": 1, "top_k": 2}, "keep_alive": "1m", "format": "json"}
    body = encode(under=under, temperature=0.5, seed=7, response_format={"type": "object"}).body
    assert body["options"] == {"temperature": 0.5, "seed": 7, "top_k": 2, "num_ctx": 9}
    assert body["keep_alive"] == "1m"
    assert body["format"] == {"type": "object"}


def test_a_request_is_not_changed_and_nothing_of_it_ends_up_in_two_places() -> None:
    extra = {"options": {"num_gpu": 1}}
    encode(extra_params=extra, temperature=0.1, under={"options": {"seed": 1}})
    assert extra == {"options": {"num_gpu": 1}}


def test_headers_go_along() -> None:
    assert encode(extra_headers={"X-Trace": "1"}).headers == {"X-Trace": "1"}


def test_a_result_says_the_name_that_its_message_gives() -> None:
    messages = ["hi", Message(role="tool", content="1", tool_call_id="nobody", name="known")]
    assert encode(messages=messages).body["messages"][1] == {"role": "tool", "content": "1", "tool_name": "known"}
    unnamed = ["hi", Message(role="tool", content="1", tool_call_id="nobody")]
    assert encode(messages=unnamed).body["messages"][1] == {"role": "tool", "content": "1"}


@pytest.mark.spec("F12")
def test_images_of_results_follow_the_last_result_and_stand_before_the_next_turn() -> None:
    image = {"type": "image", "data": b"x", "media_type": "image/png"}
    results = [
        {"type": "tool_output", "tool_call_id": "a", "content": [{"type": "text", "text": "See."}, image]},
        {"type": "tool_output", "tool_call_id": "b", "content": "2"},
    ]
    call = {"id": "a", "name": "draw", "arguments": "{}"}
    messages: list[Any] = [
        "hi",
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", content=results),
        "ok",
    ]
    written = encode(messages=messages).body["messages"]
    assert [message["role"] for message in written] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert written[2] == {"role": "tool", "content": "See.", "tool_name": "draw"}
    assert written[4] == {"role": "user", "content": "The images that draw gave:", "images": ["eA=="]}


def test_the_body_is_json() -> None:
    body = encode(response_format={"type": "object", "properties": {"a": {"type": "string"}}}).body
    assert json.loads(json.dumps(body))["format"]["properties"] == {"a": {"type": "string"}}
