"""Messages that servers of this dialect take in different forms, by their quirks."""

from __future__ import annotations

from typing import Any

import pytest

from llmring.exceptions import ConfigurationError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, Message
from llmring.schemas.messages import FilePart, ImagePart, TextPart, ThinkingPart, ToolOutputPart
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.openai_chat import DIALECT

IMAGE = ImagePart(data=b"x", media_type="image/png")
WRITTEN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}
PDF = FilePart(url="https://example.com/a.pdf", media_type="application/pdf", filename="a.pdf")


def encode(*messages: Any, quirks: Quirks | None = None) -> EncodedRequest:
    request = LLMRequest(model="m", messages=["hi", *messages])
    return DIALECT.encode(request, Target("p", "m", ModelInfo("p:m"), quirks or Quirks()), stream=False)


def written(*messages: Any, quirks: Quirks | None = None) -> list[dict[str, Any]]:
    return encode(*messages, quirks=quirks).body["messages"][1:]


def called(*names: str) -> Message:
    calls = [{"id": f"id-{name}", "name": name, "arguments": "{}"} for name in names]
    return Message(role="assistant", tool_calls=calls)


@pytest.mark.spec("F12")
def test_what_a_tool_showed_follows_all_results_of_its_turn() -> None:
    results = [ToolOutputPart(tool_call_id="id-a", content=[TextPart(text="See."), IMAGE])]
    results.append(ToolOutputPart(tool_call_id="id-b", content=[IMAGE]))
    messages = written(called("a", "b"), Message(role="tool", content=results))
    assert messages[1:] == [
        {"role": "tool", "tool_call_id": "id-a", "content": "See."},
        {"role": "tool", "tool_call_id": "id-b", "content": "The result is in the next message."},
        {"role": "user", "content": [{"type": "text", "text": "This is what a gave:"}, WRITTEN]},
        {"role": "user", "content": [{"type": "text", "text": "This is what b gave:"}, WRITTEN]},
    ]
    assert encode(called("a", "b"), Message(role="tool", content=results)).warnings == []


@pytest.mark.spec("F12")
def test_a_tool_message_of_parts_may_hold_an_image_too() -> None:
    messages = written(
        called("a"), Message(role="tool", tool_call_id="id-a", content=[TextPart(text="See."), IMAGE]), "ok"
    )
    assert [message["role"] for message in messages] == ["assistant", "tool", "user", "user"]
    assert messages[1]["content"] == "See."
    assert messages[2]["content"][1] == WRITTEN
    assert messages[3]["content"] == "ok"


@pytest.mark.spec("F12")
def test_results_in_a_message_of_the_user_come_first_and_what_they_showed_before_the_words() -> None:
    parts = [TextPart(text="And?"), ToolOutputPart(tool_call_id="id-a", content=[IMAGE])]
    messages = written(called("a"), Message(role="user", content=parts))
    assert [message["role"] for message in messages] == ["assistant", "tool", "user", "user"]
    assert messages[-1]["content"] == [{"type": "text", "text": "And?"}]


@pytest.mark.spec("F12")
def test_a_server_that_takes_images_from_tools_gets_them_there() -> None:
    result = Message(role="tool", content=[ToolOutputPart(tool_call_id="id-a", content=[TextPart(text="See."), IMAGE])])
    (_, tool) = written(called("a"), result, quirks=Quirks(tool_media=True))
    assert tool["content"] == [{"type": "text", "text": "See."}, WRITTEN]


def test_an_empty_result_stays_one() -> None:
    assert (
        written(called("a"), Message(role="tool", content=[ToolOutputPart(tool_call_id="id-a", content=[])]))[1][
            "content"
        ]
        == ""
    )


def test_a_document_by_url_goes_where_the_server_fetches_it_and_nowhere_else() -> None:
    message = Message(role="user", content=[PDF])
    (sent,) = written(message, quirks=Quirks(file_urls=True))
    assert sent["content"] == [
        {"type": "file", "file": {"file_data": "https://example.com/a.pdf", "filename": "a.pdf"}}
    ]
    with pytest.raises(ConfigurationError, match="by its URL"):
        encode(message)


@pytest.mark.parametrize(
    ("dialect", "signature", "back", "warned"),
    [
        ("openai_chat", None, None, False),
        (None, None, None, True),
        ("anthropic_messages", "sealed", None, True),
        ("anthropic_messages", "sealed", "reasoning_content", True),
        ("openai_chat", None, "reasoning_content", False),
        (None, None, "reasoning_content", False),
    ],
)
def test_thinking_is_missed_only_where_it_was_somebody_elses(
    dialect: str | None, signature: str | None, back: Any, warned: bool
) -> None:
    thinking = ThinkingPart(text="Hm.", dialect=dialect, signature=signature)
    encoded = encode(
        Message(role="assistant", content=[thinking, TextPart(text="Yes.")]), quirks=Quirks(thinking_back=back)
    )
    sent = encoded.body["messages"][1]
    assert sent["content"] == "Yes."
    assert ("reasoning_content" in sent) is (back is not None and dialect != "anthropic_messages")
    assert bool(encoded.warnings) is warned


def test_a_seal_on_thinking_goes_back_to_mistral() -> None:
    thinking = ThinkingPart(text="Hm.", dialect="openai_chat", signature="sealed")
    (sent,) = written(Message(role="assistant", content=[thinking]), quirks=Quirks(thinking_back="content"))
    assert sent["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "signature": "sealed"}
    ]
