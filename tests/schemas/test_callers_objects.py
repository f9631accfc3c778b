"""What the caller passed stays the caller's: dicts of replies that are put back into a conversation are read, not trimmed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmring.schemas import LLMRequest, Message, normalize_messages

REPLY: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "refusal": None,
    "annotations": [],
    "audio": None,
    "function_call": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": [1]}'}}],
}
REFUSED: dict[str, Any] = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
PICTURE: dict[str, Any] = {
    "role": "user",
    "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
    ],
}


@pytest.mark.spec("E21", "U27")
def test_replies_and_pictures_of_the_callers_list_are_left_as_they_are() -> None:
    history = [REPLY, REFUSED, PICTURE]
    before = copy.deepcopy(history)
    request = LLMRequest(model="fast", messages=history)
    assert history == before
    assert normalize_messages(history) == request.messages
    assert history == before
    assert [Message.from_dict(message) for message in history] == request.messages
    assert Message.model_validate(REPLY).tool_calls == request.messages[0].tool_calls
    assert history == before


@pytest.mark.spec("E21")
def test_what_is_done_to_the_request_afterwards_does_not_reach_the_callers_dicts() -> None:
    history = copy.deepcopy([REPLY, PICTURE])
    before = copy.deepcopy(history)
    request = LLMRequest(model="fast", messages=history)
    calls = request.messages[0].tool_calls
    assert calls is not None
    calls[0]["function"]["name"] = "changed"
    request.messages.clear()
    assert history == before
