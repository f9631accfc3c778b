"""Tool calls are JSON data in OpenAI's shape, and broken arguments never lose a call."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.schemas import ToolCall


@pytest.mark.spec("U40", "U11")
def test_a_call_is_a_dict_in_openais_shape_with_attributes_beside_it() -> None:
    call = ToolCall("call_1", "add", '{"a": 1}')
    shape = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    assert isinstance(call, dict)
    assert dict(call) == shape
    assert json.loads(json.dumps([call])) == [shape]
    assert (call["function"]["name"], call.get("type"), call.get("nothing")) == ("add", "function", None)
    assert {**call}.keys() == {"id", "type", "function"}
    assert (call.id, call.name, call.arguments, call.raw_arguments) == ("call_1", "add", {"a": 1}, '{"a": 1}')
    assert call.parse_error is None


def test_arguments_may_be_given_as_an_object() -> None:
    call = ToolCall("1", "add", {"name": "Zoë", "n": [1, None]})
    assert call.raw_arguments == '{"name": "Zoë", "n": [1, null]}'
    assert call.arguments == {"name": "Zoë", "n": [1, None]}


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_text_at_all_is_a_call_without_arguments(text: str) -> None:
    call = ToolCall("1", "now", text)
    assert (call.arguments, call.parse_error, call.raw_arguments) == ({}, None, text)
    assert call.parse_arguments() == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [('{"a": 1', "no JSON"), ("nonsense", "no JSON"), ("[1]", "no object"), ("3", "no object"), ("\ud800", "no JSON")],
)
def test_broken_arguments_keep_the_text_and_say_what_is_wrong(text: str, why: str) -> None:
    call = ToolCall("1", "add", text)
    assert (call.arguments, call.raw_arguments) == ({}, text)
    assert call.parse_error is not None
    assert "add" in call.parse_error
    assert why in call.parse_error
    with pytest.raises(ValueError, match=why):
        call.parse_arguments()


def test_the_error_for_broken_arguments_does_not_quote_them() -> None:
    with pytest.raises(ValueError, match="add") as caught:
        ToolCall("1", "add", "the launch code is 0000").parse_arguments()
    assert "launch" not in str(caught.value)


def test_changing_parsed_arguments_changes_nothing_in_the_call() -> None:
    call = ToolCall("1", "add", '{"a": []}')
    call.arguments["a"].append(1)
    assert call.arguments == {"a": []}


@pytest.mark.parametrize(
    "data",
    [
        {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": "1", "type": "function", "index": 0, "function": {"name": "add", "arguments": {"a": 1}}},
        {"id": "1", "name": "add", "arguments": '{"a":1}'},
        {"id": "1", "name": "add", "arguments": {"a": 1}},
    ],
)
def test_both_shapes_read_as_the_same_call(data: dict[str, Any]) -> None:
    before = copy.deepcopy(data)
    call = ToolCall.from_dict(data)
    assert (call.id, call.name, call.arguments) == ("1", "add", {"a": 1})
    assert data == before


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"id": "1"},
        {"id": 1, "name": "add", "arguments": "{}"},
        {"id": "1", "function": {"name": "add"}},
        {"id": "1", "name": "add", "arguments": [1]},
        {"id": "1", "name": "add", "arguments": {"a": object()}},
    ],
)
def test_what_is_no_call_is_a_value_error(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tool call needs|arguments of add"):
        ToolCall.from_dict(data)


@given(st.text(), st.text(), st.text())
def test_a_call_survives_dict_json_pickle_and_copies(id: str, name: str, arguments: str) -> None:
    call = ToolCall(id, name, arguments)
    for twin in (
        ToolCall.from_dict(call),
        ToolCall.from_dict(json.loads(json.dumps(call))),
        pickle.loads(pickle.dumps(call)),
        copy.copy(call),
        copy.deepcopy(call),
    ):
        assert type(twin) is ToolCall
        assert twin == call
