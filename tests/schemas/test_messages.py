"""Messages and parts: every accepted form reads into the same message, and nothing the caller passed is changed."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from collections.abc import Sequence
from typing import Any, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import llmring.schemas as schemas
from llmring.schemas import (
    FilePart,
    ImagePart,
    Message,
    MessageInput,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolOutputPart,
    ToolUsePart,
    normalize_messages,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
JPEG = b"\xff\xd8\xff\xe0" + bytes(8)
PDF = b"%PDF-1.7\n"
PNG_BASE64 = base64.b64encode(PNG).decode()
OPENAI_CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


class Talk:
    """Anything with get_messages() counts as a conversation."""

    def __init__(self, *messages: Message) -> None:
        self.messages = messages

    def get_messages(self) -> Sequence[Message]:
        return self.messages


# Constructors


@pytest.mark.spec("E01")
@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (Message.user("hi"), {"role": "user", "content": "hi"}),
        (Message.system("be brief"), {"role": "system", "content": "be brief"}),
        (Message.assistant("yes"), {"role": "assistant", "content": "yes"}),
        (Message.ai("yes"), {"role": "assistant", "content": "yes"}),
        (
            Message.assistant(tool_calls=[ToolCall("call_1", "add", '{"a":1}')]),
            {"role": "assistant", "tool_calls": [OPENAI_CALL]},
        ),
        (
            Message.tool_result("call_1", "3", "add"),
            {"role": "tool", "content": "3", "tool_call_id": "call_1", "name": "add"},
        ),
        (
            Message.user([TextPart(text="look"), ImagePart(url="https://example.org/a.png")]),
            {
                "role": "user",
                "content": [{"type": "text", "text": "look"}, {"type": "image", "url": "https://example.org/a.png"}],
            },
        ),
    ],
)
def test_constructors_give_the_message_they_name(message: Message, wanted: dict[str, Any]) -> None:
    assert message.to_dict() == wanted


@pytest.mark.spec("E23")
def test_roles_are_a_closed_enum() -> None:
    assert [role.value for role in Role] == ["system", "user", "assistant", "tool"]
    assert Message(role=Role("user"), content="x").role is Role.USER
    assert Message.from_dict({"role": "tool", "content": "x", "tool_call_id": "1"}).role is Role.TOOL


@pytest.mark.spec("E23")
@pytest.mark.parametrize("role", ["USER", "developer", "", None, 3])
def test_an_unknown_role_is_an_error_that_lists_the_known_ones(role: object) -> None:
    with pytest.raises(ValidationError, match="'system', 'user', 'assistant' or 'tool'"):
        Message.from_dict({"role": role, "content": "x"})


# The normalizer


FORMS: list[tuple[str, Any]] = [
    ("text", "hi"),
    ("message", Message.user("hi")),
    ("dict", {"role": "user", "content": "hi"}),
    ("conversation", Talk(Message.user("hi"))),
    ("list of text", ["hi"]),
    ("list of messages", [Message.user("hi")]),
    ("tuple of dicts", ({"role": "user", "content": "hi"},)),
    ("list of conversations", [Talk(Message.user("hi"))]),
    ("generator", None),
]


@pytest.mark.spec("E02", "E29", "A36")
@pytest.mark.parametrize(("name", "form"), FORMS, ids=[name for name, _ in FORMS])
def test_every_form_of_a_prompt_gives_equal_messages(name: str, form: Any) -> None:
    given_form = (item for item in ["hi"]) if name == "generator" else form
    assert normalize_messages(given_form) == [Message.user("hi")]


@pytest.mark.spec("E02")
def test_forms_mix_in_one_list_and_keep_their_order() -> None:
    talk = Talk(Message.user("2"), Message.assistant("3"))
    mixed = [Message.system("1"), talk, {"role": "user", "content": "4"}, "5"]
    assert [message.text for message in normalize_messages(mixed)] == ["1", "2", "3", "4", "5"]


def test_an_empty_list_gives_an_empty_list() -> None:
    assert normalize_messages([]) == []


@pytest.mark.spec("E02")
@pytest.mark.parametrize("bad", [3, None, b"hi", [3], [None], [["hi"]], [b"hi"], object()])
def test_what_is_no_prompt_is_a_type_error_that_names_the_forms(bad: Any) -> None:
    with pytest.raises(TypeError, match="text, a message, a dict, a conversation or a list of these"):
        normalize_messages(bad)


@pytest.mark.spec("E29")
def test_the_normalizer_and_its_argument_type_are_exported_and_typed() -> None:
    form: MessageInput = ["hi", {"role": "user", "content": "x"}, Message.user("y"), Talk()]
    assert_type(normalize_messages(form), list[Message])
    assert {"normalize_messages", "MessageInput"} <= set(schemas.__all__)


@pytest.mark.spec("E21", "U27")
def test_the_callers_list_and_everything_in_it_stay_as_they_are() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}", "detail": "low"}}
    prompt: list[Any] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, image, "and?"], "metadata": {"a": [{"b": []}]}},
        {"role": "assistant", "content": None, "tool_calls": [copy.deepcopy(OPENAI_CALL)], "refusal": None},
        {"role": "tool", "content": "3", "tool_call_id": "call_1"},
        Message.user([TextPart(text="so"), ImagePart(data=PNG)]),
        "go on",
    ]
    before = copy.deepcopy(prompt)
    messages = normalize_messages(prompt)
    messages[0].content = "be long"
    messages.append(Message.user("more"))
    assert prompt == before


@pytest.mark.spec("E21")
def test_a_plain_list_of_dicts_grows_over_several_turns() -> None:
    history: list[dict[str, Any]] = [{"role": "user", "content": "1"}]
    for turn in range(3):
        reply = Message.assistant(f"answer {turn}")
        assert normalize_messages(history)[-1].role is Role.USER
        history += [reply.to_dict(), {"role": "user", "content": "next"}]
    assert [message.role.value for message in normalize_messages(history)] == ["user", *["assistant", "user"] * 3]


# Parts


@pytest.mark.parametrize("url", ["https://example.org/a.png", "HTTP://example.org/a.png"])
def test_an_image_by_url_is_kept_as_a_url(url: str) -> None:
    part = ImagePart(url=url)
    assert (part.url, part.data) == (url, None)


@pytest.mark.spec("F07")
@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (b"GIF87a..", "image/gif"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM......", "image/bmp"),
    ],
)
def test_the_media_type_is_what_the_bytes_say(data: bytes, media_type: str) -> None:
    assert ImagePart(data=data).media_type == media_type
    assert ImagePart.model_validate({"data": base64.b64encode(data).decode()}).media_type == media_type


def test_bytes_that_are_no_image_need_a_named_type() -> None:
    with pytest.raises(ValidationError, match="name the media_type"):
        ImagePart(data=b"RIFF....WAVE")
    assert ImagePart(data=b"<svg/>", media_type="image/svg+xml").media_type == "image/svg+xml"


@pytest.mark.spec("F07")
@pytest.mark.parametrize("scheme", ["data:", "DATA:"])
def test_a_data_url_is_read_into_bytes_and_keeps_its_type(scheme: str) -> None:
    part = ImagePart(url=f"{scheme}image/x-odd;base64,{PNG_BASE64}")
    assert (part.url, part.data, part.media_type) == (None, PNG, "image/x-odd")


def test_a_data_url_without_a_type_is_sniffed() -> None:
    assert ImagePart(url=f"data:;base64,{PNG_BASE64}").media_type == "image/png"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "give a url, data or a file_id"),
        ({"url": "https://example.org/a", "data": PNG}, "only one of them"),
        ({"url": "file:///etc/passwd"}, "https://, http:// or data:"),
        ({"url": "data:image/png,plain"}, "base64"),
        ({"url": "data:image/png;base64,@@@"}, "base64 is broken"),
        ({"url": f"data:text/html;base64,{PNG_BASE64}"}, "must start with image/"),
        ({"data": "@@@"}, "not base64"),
        ({"data": PNG, "detail": "extreme"}, "'auto', 'low' or 'high'"),
        ({"data": PNG, "colour": "red"}, "Extra inputs"),
    ],
)
def test_an_image_that_cannot_be_one_says_why(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ImagePart.model_validate(fields)


def test_a_file_is_bytes_or_an_id() -> None:
    assert FilePart(data=PDF).media_type == "application/pdf"
    assert FilePart(data=b"a,b", media_type="text/csv", filename="t.csv").media_type == "text/csv"
    assert FilePart(file_id="file-1").data is None
    for fields, words in [
        ({}, "give a url, data or a file_id"),
        ({"file_id": "f", "data": PDF}, "only one of them"),
        ({"data": b"?"}, "name the media_type"),
    ]:
        with pytest.raises(ValidationError, match=words):
            FilePart.model_validate(fields)


@pytest.mark.spec("E28", "E02")
@pytest.mark.parametrize(
    ("openai", "ours"),
    [
        ({"type": "text", "text": "hi"}, TextPart(text="hi")),
        ("hi", TextPart(text="hi")),
        (
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "high"}},
            ImagePart(url="https://example.org/a.png", detail="high"),
        ),
        ({"type": "image_url", "image_url": f"data:image/png;base64,{PNG_BASE64}"}, ImagePart(data=PNG)),
        (
            {
                "type": "file",
                "file": {"file_data": f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}", "filename": "a"},
            },
            FilePart(data=PDF, filename="a"),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, FilePart(file_id="file-1")),
        ({"type": "refusal", "refusal": "no"}, TextPart(text="no")),
    ],
)
def test_openais_parts_read_as_ours(openai: Any, ours: Part) -> None:
    assert Message.from_dict({"role": "user", "content": [openai]}).content == [ours]
    if not isinstance(openai, str):
        assert Message.from_dict({"role": "user", "content": openai}).content == [ours]


@pytest.mark.spec("E28")
def test_a_whole_reply_message_of_openai_reads_as_a_message() -> None:
    reply = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": [OPENAI_CALL],
    }
    before = copy.deepcopy(reply)
    message = Message.from_dict(reply)
    assert message.to_dict() == {"role": "assistant", "tool_calls": [OPENAI_CALL]}
    assert reply == before
    assert Message.from_dict({"role": "assistant", "content": None, "refusal": "I will not"}).text == "I will not"


@pytest.mark.spec("E28")
def test_an_answer_with_sources_is_not_read_as_one_without() -> None:
    with pytest.raises(ValidationError, match="annotations"):
        Message.from_dict({"role": "assistant", "content": "x", "annotations": [{"type": "url_citation"}]})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"role": "user"}, "content may be None"),
        ({"role": "user", "content": []}, "content may be None or"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "content may be None"),
        ({"role": "tool", "content": "3"}, "needs tool_call_id"),
        ({"role": "user", "content": 3}, "content"),
        ({"role": "user", "content": [3]}, "content"),
        ({"role": "user", "content": [{"type": "hologram"}]}, "'text', 'image', 'file'"),
        ({"role": "user", "content": "x", "colour": "red"}, "colour"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "a tool call needs id"),
        ({"role": "assistant", "tool_calls": [{"id": "1", "name": "f", "arguments": {"a": {1}}}]}, "written as JSON"),
    ],
)
def test_a_message_that_cannot_be_one_says_why(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Message.from_dict(fields)


def test_a_tool_message_may_carry_its_ids_in_parts() -> None:
    message = Message(role=Role.TOOL, content=[ToolOutputPart(tool_call_id="1", content="3", is_error=True)])
    assert Message.from_dict(message.to_dict()) == message


def test_text_joins_what_is_text() -> None:
    parts: list[Part] = [ThinkingPart(text="hm"), TextPart(text="a"), ImagePart(data=PNG), TextPart(text="b")]
    assert Message.user(parts).text == "ab"
    assert Message.assistant(tool_calls=[ToolCall("1", "f")]).text == ""


def test_parts_read_as_dicts_and_are_json_by_one_call() -> None:
    part = ImagePart(data=PNG, detail="low")
    assert (part["type"], part["detail"], part["media_type"]) == ("image", "low", "image/png")
    with pytest.raises(KeyError, match="colour"):
        part["colour"]
    with pytest.raises(KeyError, match="model_fields"):
        part["model_fields"]
    assert json.loads(json.dumps(part.model_dump(mode="json")))["data"] == PNG_BASE64


@pytest.mark.spec("U27")
def test_no_error_of_a_message_quotes_what_was_said() -> None:
    said = "the launch code is 0000"
    for bad in (
        {"role": "nobody", "content": said},
        {"role": "user", "content": {said: said}},
        {"role": "user", "content": [{"type": "text", "text": [said]}]},
        {"role": "user", "content": said, "name": [said]},
        {"role": "user", "content": [{"type": "image", "data": said}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "name": "f", "arguments": [said]}]},
    ):
        with pytest.raises(ValidationError) as caught:
            Message.from_dict(bad)
        assert "launch" not in str(caught.value)
        assert "launch" not in repr(caught.value)
    assert PNG_BASE64 not in repr(ImagePart(data=PNG))


# Round trips

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
json_objects = st.dictionaries(st.text(), json_values, max_size=3)
tool_calls = st.builds(ToolCall, st.text(), st.text(), st.text() | json_objects)
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, text=st.text()),
    st.builds(ImagePart, data=st.binary().map(lambda tail: PNG + tail), detail=st.sampled_from([None, "low", "auto"])),
    st.builds(ImagePart, url=st.text().map(lambda tail: "https://" + tail)),
    st.builds(FilePart, data=st.binary(), media_type=st.text(min_size=1), filename=st.none() | st.text()),
    st.builds(FilePart, file_id=st.text()),
    st.builds(ThinkingPart, text=st.text(), signature=st.none() | st.text()),
    st.builds(ToolUsePart, id=st.text(), name=st.text(), arguments=json_objects),
    st.builds(ToolOutputPart, tool_call_id=st.text(), content=st.text(), is_error=st.booleans()),
)
messages = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=st.text() | st.lists(parts, min_size=1, max_size=3),
    tool_calls=st.none() | st.lists(tool_calls, max_size=2),
    tool_call_id=st.text(),
    name=st.none() | st.text(),
    metadata=st.none() | json_objects,
)


@pytest.mark.spec("E28")
@given(messages)
def test_a_message_survives_the_round_trip_through_json(message: Message) -> None:
    written = message.to_dict()
    assert Message.from_dict(json.loads(json.dumps(written))) == message
    assert Message.from_dict(message.model_dump()) == message


@given(messages)
def test_a_message_survives_pickle_and_copies_stand_alone(message: Message) -> None:
    assert pickle.loads(pickle.dumps(message)) == message
    copied = copy.deepcopy(message)
    assert copied == message
    copied.metadata = {"changed": True}
    assert message.metadata != {"changed": True}


def test_infinity_in_metadata_stays_infinity() -> None:
    message = Message(role=Role.USER, content="x", metadata={"far": float("inf")})
    assert Message.from_dict(message.to_dict()) == message


def test_messages_have_a_json_schema() -> None:
    calls = Message.model_json_schema(mode="serialization")["properties"]["tool_calls"]
    assert calls["anyOf"][0]["items"]["required"] == ["id", "type", "function"]
