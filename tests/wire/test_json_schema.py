"""Schemas in the forms that APIs take, tools in strict mode, and asking in words."""

from __future__ import annotations

import copy
import enum
import json
import logging
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, HttpUrl, RootModel
from tests.wire.openai_strict import refusals

from llmring.exceptions import ConfigurationError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import Message, Role, TextPart
from llmring.schemas.response_format import ResponseFormat, read_response_format
from llmring.wire.base import Quirks, Target
from llmring.wire.json_schema import (
    MAX_INLINED_NODES,
    ask_for,
    inline_refs,
    make_strict,
    move_to_description,
    schema_instruction,
    strict_answer,
    strict_tool,
    why_not_strict,
    with_instruction,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(9, ge=0, description="how many")


class Dog(BaseModel):
    kind: Literal["dog"]
    breed: str | None = None


class Owner(BaseModel):
    """Who has pets."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    colour: Colour = Colour.RED
    page: HttpUrl | None = None
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []
    best: Cat | None = Field(None, description="the favourite")
    friend: Owner | None = None


class Tree(RootModel[dict[str, "Tree"]]):
    pass


OPTIONAL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Where"},
        "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        "days": {"type": ["integer", "null"], "minimum": 1},
        "hours": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        "mode": {"const": "fast"},
    },
    "required": ["city"],
}


@pytest.mark.spec("L07", "G28")
def test_what_was_optional_is_required_and_may_be_null() -> None:
    before = copy.deepcopy(OPTIONAL)
    assert make_strict(OPTIONAL) == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "unit": {
                "type": ["string", "null"],
                "enum": ["C", "F", None],
                "description": '{default: "C"}',
            },
            "days": {"type": ["integer", "null"], "minimum": 1},
            "hours": {
                "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}],
                "description": "{uniqueItems: true}",
            },
            "mode": {"anyOf": [{"const": "fast", "type": "string"}, {"type": "null"}]},
        },
        "required": ["city", "unit", "days", "hours", "mode"],
        "additionalProperties": False,
    }
    assert before == OPTIONAL


@pytest.mark.spec("L07", "G28")
@pytest.mark.parametrize(
    "schema",
    [
        OPTIONAL,
        Owner.model_json_schema(),
        Cat.model_json_schema(),
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/$defs/b"}], "default": None}}, "$defs": {"b": {"enum": [1, 2]}}},
        {"type": "object", "properties": {"a": {"$ref": "#", "description": "again"}}},
        {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "null"}}}}},
    ],
    ids=["optional", "model", "small model", "empty", "allOf", "recursive", "nested"],
)  # fmt: skip
def test_a_strict_schema_is_taken_by_the_documented_rules(schema: dict[str, Any]) -> None:
    assert refusals(schema) or schema["properties"] == {}
    strict = make_strict(schema)
    assert strict is not None, why_not_strict(schema)
    assert refusals(strict) == []
    assert make_strict(strict) == strict, "a strict schema stays as it is"


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def _with(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string"}}, **keywords}


@pytest.mark.spec("L07", "D07")
@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "array", "items": {"type": "string"}}, "root is no object"),
        ({"type": "object"}, "open keys"),
        (_with(additionalProperties=True), "open keys"),
        (_with(additionalProperties={"type": "string"}), "open keys"),
        (_with(patternProperties={"^x": {"type": "string"}}), "patternProperties"),
        (Tree.model_json_schema(), "open keys"),
        (_with(required=["b"]), "does not describe"),
        (_with(**{"if": {}}), "uses if"),
        (_with(anyOf=[{"type": "object"}]), "root is no object"),
        (_with(allOf=[{"type": "object"}, {"type": "object"}]), "allOf"),
        ({"type": "object", "properties": {"a": {}}}, "takes anything"),
        ({"type": "object", "properties": {"a": True}}, "takes anything"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "list of anything"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}}, "not in it"),
        ({"type": "object", "properties": {"a": {"$ref": "#", "type": "object"}}}, "beside a \\$ref"),
        ({"$ref": "#"}, "root refers to nothing"),
        (_nested(11), "10 levels"),
        (_nested(500), "nested too deep"),
        ({"type": "object", "properties": {f"k{n}": {"type": "null"} for n in range(5_001)}}, "5000 keys"),
        ({"type": "object", "properties": {"a" * 120_001: {"type": "null"}}}, "120000 characters"),
        ({"type": "object", "properties": {"a": {"enum": list(range(1_001))}}}, "1000 values"),
        ({"type": "object", "properties": {"a": {"enum": [f"{n:0>60}" for n in range(251)]}}}, "15000 characters"),
        ({"type": "object", "properties": {"a": {"type": "string", "const": {1}}}}, "no JSON"),
    ],
)
def test_a_schema_without_a_strict_form_says_why(schema: dict[str, Any], words: str) -> None:
    why = why_not_strict(schema)
    assert make_strict(schema) is None
    assert why is not None
    assert words.replace("\\", "") in why


_keywords = st.sampled_from(["type", "properties", "items", "anyOf", "oneOf", "allOf", "$ref", "$defs", "enum", "required", "const"])  # fmt: skip
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["object", "array", "string", "null", "#", "#/$defs/a"]),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(_keywords | st.just("a"), child, max_size=4),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.spec("L07", "RT19")
@settings(max_examples=300)
@given(schema=st.dictionaries(_keywords, _json, max_size=5))
def test_any_json_gives_a_strict_schema_or_none(schema: dict[str, Any]) -> None:
    before = copy.deepcopy(schema)
    strict = make_strict({"type": "object", "properties": {"a": schema}})
    assert strict is None or isinstance(strict, dict)
    try:
        inline_refs(move_to_description(schema, {"enum"}))
    except ConfigurationError:
        pass
    assert schema == before


# Words --------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("G28")
def test_keywords_become_words_at_any_depth_and_names_of_keys_stay() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 1, "maximum": 9, "description": "The least."},
            "list": {"type": "array", "items": {"anyOf": [{"type": "string", "pattern": 'a"b'}]}, "maxItems": 3},
        },
        "default": {"minimum": 4},
    }
    before = copy.deepcopy(schema)
    assert move_to_description(schema, ["minimum", "maximum", "maxItems", "pattern"]) == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "description": "The least.\n\n{minimum: 1, maximum: 9}"},
            "list": {
                "type": "array",
                "items": {"anyOf": [{"type": "string", "description": '{pattern: "a\\"b"}'}]},
                "description": "{maxItems: 3}",
            },
        },
        "default": {"minimum": 4},
    }
    assert schema == before


@pytest.mark.spec("U12")
def test_refs_are_written_out_and_their_words_win() -> None:
    schema = {
        "$defs": {"city": {"type": "object", "properties": {"name": {"$ref": "#/$defs/name"}}}, "name": {"type": "string"}},
        "type": "object",
        "properties": {"home": {"$ref": "#/$defs/city", "description": "Where"}, "work": {"$ref": "#/$defs/city"}},
    }  # fmt: skip
    city = {"type": "object", "properties": {"name": {"type": "string"}}}
    assert inline_refs(schema) == {
        "type": "object",
        "properties": {"home": {**city, "description": "Where"}, "work": city},
    }


@pytest.mark.spec("U12")
@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (Owner.model_json_schema(), "refers to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "refers to itself"),
        ({"items": {"$ref": "#"}}, "refers to itself"),
        ({"items": {"$ref": "#/nowhere"}}, "not in it"),
        (_nested(400), "deeper than"),
        (
            {
                "$defs": {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}},
                "$ref": "#/$defs/d0",
            },
            f"more than {MAX_INLINED_NODES}",
        ),
    ],
)
def test_refs_that_cannot_be_written_out_are_an_error_in_bounded_time(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        inline_refs(schema)


@pytest.mark.spec("L09")
def test_a_schema_too_deep_to_walk_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="nested deeper"):
        move_to_description(_nested(400), {"minimum"})


# Tools --------------------------------------------------------------------------------------------------------------

TOOL: dict[str, Any] = {"name": "weather", "description": "d", "parameters": OPTIONAL}
OPEN: dict[str, Any] = {"name": "put", "parameters": {"type": "object", "additionalProperties": True}}


@pytest.mark.spec("D07", "G28", "G06")
def test_a_tool_is_strict_by_default_and_not_where_it_says_so() -> None:
    before = copy.deepcopy(TOOL)
    strict = strict_tool(TOOL, by_default=True)
    assert strict == {**TOOL, "parameters": make_strict(OPTIONAL), "strict": True}
    assert strict_tool(TOOL, by_default=False) == TOOL
    assert strict_tool({**TOOL, "strict": False}, by_default=True) == {**TOOL, "strict": False}
    assert strict_tool({**TOOL, "strict": True}, by_default=False) == strict
    assert before == TOOL


@pytest.mark.spec("D07")
@pytest.mark.parametrize("said", [None, True])
def test_a_tool_without_a_strict_form_is_sent_as_it_is_and_logged(
    caplog: pytest.LogCaptureFixture, said: bool | None
) -> None:
    given = OPEN if said is None else {**OPEN, "strict": said}
    with caplog.at_level(logging.DEBUG, "llmring"):
        assert strict_tool(given, by_default=True) == {**OPEN, "strict": False}
    assert [(record.levelno, "put" in record.message) for record in caplog.records] == [(logging.DEBUG, True)]


@pytest.mark.spec("D07")
def test_a_tool_without_parameters_takes_none() -> None:
    strict = strict_tool({"name": "now"}, by_default=True)
    assert strict["parameters"] == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


# How to ask ---------------------------------------------------------------------------------------------------------


def _target(**quirks: Any) -> Target:
    return Target("p", "m", ModelInfo("p:m"), Quirks(**quirks))


def _read(value: Any) -> ResponseFormat:
    found = read_response_format(value)
    assert found is not None
    return found


@pytest.mark.spec("D03", "L09")
@pytest.mark.parametrize(
    ("wanted", "quirks", "kind", "in_words"),
    [
        (None, {}, "text", False),
        ("text", {"json_object": False}, "text", False),
        ("json_object", {}, "json_object", False),
        ("json_object", {"json_schema": False}, "json_object", False),
        ("json_object", {"json_object": False}, "text", True),
        (OPTIONAL, {}, "json_schema", False),
        (OPTIONAL, {"json_object": False}, "json_schema", False),
        (OPTIONAL, {"json_schema": False}, "json_object", True),
        (OPTIONAL, {"json_schema": False, "json_object": False}, "text", True),
    ],
)
def test_what_a_model_cannot_be_held_to_is_asked_in_words(
    wanted: Any, quirks: dict[str, Any], kind: str, in_words: bool
) -> None:
    ask = ask_for(read_response_format(wanted), _target(**quirks))
    assert ask.kind == kind
    assert (ask.instruction is not None, ask.warning is not None) == (in_words, in_words)


@pytest.mark.spec("L09")
def test_the_words_hold_the_schema_and_what_it_is_for() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": OPTIONAL, "description": "For the map."}}
    words = schema_instruction(_read(form))
    assert json.loads(words.split("JSON schema: ")[1]) == OPTIONAL
    assert "For the map." in words
    assert schema_instruction(_read("text")) == ""
    assert "JSON object" in schema_instruction(_read("json_object"))


@pytest.mark.spec("D03", "L09")
def test_words_stand_at_the_end_of_the_system_message() -> None:
    user, system = Message.user("Hi"), Message.system("Be kind.")
    assert [message.text for message in with_instruction([user], "X")] == ["X", "Hi"]
    assert [message.text for message in with_instruction([system, user], "X")] == ["Be kind.\n\nX", "Hi"]
    parts = Message(role=Role.SYSTEM, content=[TextPart(text="a")])
    assert with_instruction([parts, user], "X")[0].content == [TextPart(text="a"), TextPart(text="X")]
    assert (system.text, parts.content) == ("Be kind.", [TextPart(text="a")])


@pytest.mark.spec("L07", "U13")
def test_an_answers_schema_is_strict_where_it_is_asked_for_or_by_default_for_types() -> None:
    def form(strict: bool | None, schema: dict[str, Any] = OPTIONAL) -> ResponseFormat:
        said = {} if strict is None else {"strict": strict}
        return _read({"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **said}})

    assert strict_answer(form(True), by_default=False) == (make_strict(OPTIONAL), True, None)
    assert strict_answer(form(None), by_default=True) == (OPTIONAL, None, None)
    assert strict_answer(form(False), by_default=True) == (OPTIONAL, False, None)
    assert strict_answer(_read(Cat), by_default=True) == (make_strict(Cat.model_json_schema()), True, None)
    assert strict_answer(_read(Cat), by_default=False) == (Cat.model_json_schema(), None, None)
    free = {"type": "object", "additionalProperties": True}
    schema, strict, warning = strict_answer(form(True, free), by_default=False)
    assert (schema, strict) == (free, False)
    assert warning is not None
    assert "open keys" in warning
    assert strict_answer(_read(Tree), by_default=True) == (Tree.model_json_schema(), False, None)
