"""Every accepted form of `response_format`, what is refused before any I/O, and the check of an answer."""

from __future__ import annotations

import copy
import dataclasses
import gc
import socket
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, field_validator
from typing_extensions import TypedDict

from llmring.exceptions import ConfigurationError, SchemaConversionError, SchemaValidationError
from llmring.schemas.response_format import ResponseFormat, read_response_format

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "years": {"type": "array", "items": {"type": "integer"}}},
    "required": ["city"],
    "additionalProperties": False,
}


REFERRING: dict[str, Any] = {"$ref": "#/$defs/a", "$defs": {"a": {}}}


class City(BaseModel):
    city: str
    years: list[int] = []

    @field_validator("city")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "Atlantis":
            raise ValueError(f"{value} is under water")
        return value


@dataclasses.dataclass
class CityData:
    city: str


class CityDict(TypedDict):
    city: str


def _read(value: Any) -> ResponseFormat:
    found = read_response_format(value)
    assert found is not None
    return found


def _failure(wanted: ResponseFormat, text: str) -> SchemaValidationError:
    with pytest.raises(SchemaValidationError) as caught:
        wanted.parse(text)
    return caught.value


def test_nothing_asked_is_nothing() -> None:
    assert read_response_format(None) is None


def test_what_was_read_is_read_as_itself() -> None:
    wanted = _read(SCHEMA)
    assert read_response_format(wanted) is wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("text", ResponseFormat("text")),
        ({"type": "text"}, ResponseFormat("text")),
        ("json_object", ResponseFormat("json_object")),
        ({"type": "json_object"}, ResponseFormat("json_object")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True, "description": "d"}},
            ResponseFormat("json_schema", "n", SCHEMA, True, description="d"),
        ),
        (
            {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": False},
            ResponseFormat("json_schema", "n", SCHEMA, False),
        ),
        ({"type": "json_schema", "schema": SCHEMA}, ResponseFormat("json_schema", "response", SCHEMA)),
        (SCHEMA, ResponseFormat("json_schema", "response", SCHEMA)),
        (
            {"title": "My City!", "enum": [1]},
            ResponseFormat("json_schema", "My_City", {"title": "My City!", "enum": [1]}),
        ),
        (REFERRING, ResponseFormat("json_schema", "response", REFERRING)),
    ],
    ids=range(10),
)
def test_every_form_is_read(value: Any, wanted: ResponseFormat) -> None:
    before = copy.deepcopy(value)
    assert read_response_format(value) == wanted
    assert value == before


@pytest.mark.parametrize(
    ("kind", "instance"),
    [(City, City(city="Rome")), (CityData, CityData("Rome")), (CityDict, {"city": "Rome"})],
    ids=["pydantic", "dataclass", "TypedDict"],
)
def test_a_python_type_is_sent_as_its_schema_and_gives_instances(kind: type[Any], instance: Any) -> None:
    wanted = _read(kind)
    assert (wanted.kind, wanted.name, wanted.strict, wanted.python_type) == ("json_schema", kind.__name__, None, kind)
    assert wanted.schema is not None
    assert wanted.schema["properties"]["city"]["type"] == "string"
    assert wanted.parse('{"city": "Rome"}') == instance


@pytest.mark.parametrize(
    "value",
    [
        "json",
        7,
        [],
        {},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "n"}},
        {"type": "json_schema", "json_schema": {"schema": "x"}},
        {"type": "json_schema", "json_schema": {"schema": {}, "name": "no spaces"}},
        {"type": "json_schema", "json_schema": {"schema": {}, "name": "x" * 65}},
        {"type": "json_schema", "json_schema": {"schema": {}, "strict": "yes"}},
        {"type": "json_schema", "json_schema": {"schema": {}, "description": 7}},
        {"type": "json_schema", "json_schema": {"schema": {}, "schemas": {}}},
        {"type": "json_object", "schema": SCHEMA},
        {"mood": "glum"},
        City(city="Rome"),
        int,
        list[int],
    ],
    ids=range(17),
)
def test_anything_else_is_refused_before_any_io(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="response_format"):
        read_response_format(value)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nonsense"}, "broken at #/type"),
        ({"properties": {"a": {"minimum": "x"}}}, "broken at #/properties/a/minimum"),
        ({"properties": {"a": {"enum": {1, 2}}}}, "no JSON data"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "'#/\\$defs/b', which is not in it"),
        ({"items": {"$ref": "https://example.com/schema.json"}}, "which is not in it"),
        ({"items": {"$ref": "other.json#/a"}}, "which is not in it"),
    ],
)
def test_a_broken_schema_is_refused_when_it_is_read(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_response_format({"type": "object", **schema} if "type" not in schema else schema)


def test_a_type_without_a_schema_says_so() -> None:
    class Odd(BaseModel, arbitrary_types_allowed=True):
        handle: socket.socket

    with pytest.raises(SchemaConversionError, match="Odd"):
        read_response_format(Odd)


def test_ref_is_a_key_like_any_other_where_data_stands() -> None:
    schema = {"properties": {"$ref": {"const": {"$ref": "https://example.com"}}}}
    assert _read(schema).parse('{"$ref": {"$ref": "https://example.com"}}')


def test_references_inside_the_schema_are_followed() -> None:
    tree = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["id"]}},
        "$ref": "#/$defs/node",
    }
    wanted = _read(tree)
    assert wanted.parse('{"id": 1, "next": {"id": 2}}') == {"id": 1, "next": {"id": 2}}
    assert _failure(wanted, '{"id": 1, "next": {}}').path == "/next"


def test_a_reference_out_of_the_schema_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    # With an $id, a reference is only resolved while an answer is checked.
    wanted = _read({"$id": "https://example.com/a", "items": {"$ref": "https://example.com/b"}, "type": "array"})
    assert "refers to something" in _failure(wanted, "[1]").message


def test_what_the_caller_does_with_the_schema_afterwards_changes_nothing() -> None:
    schema = copy.deepcopy(SCHEMA)
    wanted = _read(schema)
    schema["required"].append("years")
    assert wanted.parse('{"city": "Rome"}') == {"city": "Rome"}


@pytest.mark.parametrize(
    ("value", "text", "path"),
    [
        (SCHEMA, "{}", ""),
        (SCHEMA, '{"city": 7}', "/city"),
        (SCHEMA, '{"city": "Rome", "years": [1, "two"]}', "/years/1"),
        (SCHEMA, '{"city": "Rome", "secret": 1}', ""),
        (SCHEMA, "secret", ""),
        (SCHEMA, "", ""),
        (SCHEMA, '{"city": "secret"', ""),
        ({"properties": {"a/b~": {"type": "null"}}}, '{"a/b~": "secret"}', "/a~1b~0"),
        ("json_object", "[1]", ""),
        ("json_object", "secret", ""),
        (City, "{}", "/city"),
        (City, '{"city": "Rome", "years": [1, "secret"]}', "/years/1"),
        (City, '{"city": "Atlantis"}', "/city"),
        (City, "secret", ""),
        (CityData, '{"city": 7}', "/city"),
        (CityDict, "[]", ""),
    ],
    ids=range(16),
)
def test_an_answer_that_does_not_fit_carries_text_and_place_and_quotes_neither(
    value: Any, text: str, path: str
) -> None:
    error = _failure(_read(value), text)
    assert (error.content, error.path) == (text, path)
    for words in ("secret", "Atlantis", "Rome", "two"):
        assert words not in str(error)


@pytest.mark.parametrize("failure", [KeyError, ZeroDivisionError, RecursionError])
def test_whatever_a_validator_raises_is_a_typed_failure_that_carries_the_answer(failure: type[Exception]) -> None:
    class Picky(BaseModel):
        city: str

        @field_validator("city")
        @classmethod
        def _known(cls, value: str) -> str:
            raise failure(value)

    text = '{"city": "secret"}'
    error = _failure(_read(Picky), text)
    assert error.content == text
    assert isinstance(error.__cause__, failure)
    assert f"Picky raised {failure.__name__}" in str(error)
    assert "secret" not in str(error)


def test_whatever_a_type_raises_for_its_schema_is_a_typed_failure() -> None:
    class Odd(BaseModel):
        @classmethod
        def __get_pydantic_json_schema__(cls, *_: Any) -> Any:
            raise KeyError("secret")

    with pytest.raises(SchemaConversionError, match="Odd has no JSON schema: making it raised KeyError"):
        read_response_format(Odd)


@pytest.mark.parametrize("kind", [City, CityData, CityDict], ids=["pydantic", "dataclass", "TypedDict"])
def test_the_schema_of_a_type_is_made_once_and_nobody_changes_anothers(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _read(kind)
    monkeypatch.setattr(TypeAdapter, "json_schema", None)
    second = _read(kind)
    assert first == second
    assert first.schema is not None
    first.schema.clear()
    assert _read(kind) == second


def test_a_type_that_was_asked_for_is_not_kept_alive() -> None:
    def ask(n: int) -> list[weakref.ref[Any]]:
        class Model(BaseModel):
            n: int

        data: Any = dataclasses.make_dataclass("Data", [("n", int)])
        for kind in (Model, data):
            _read(kind).parse(f'{{"n": {n}}}')
        return [weakref.ref(Model), weakref.ref(data)]

    gone = [ref for n in range(3) for ref in ask(n)]
    gc.collect()
    assert [ref() for ref in gone] == [None] * 6


def test_text_is_never_read_as_json() -> None:
    assert _read("text").parse('{"a": 1}') == '{"a": 1}'
    assert _read("json_object").parse(' {"a": 1}\n') == {"a": 1}


def test_an_answer_nested_deep_is_a_typed_failure() -> None:
    tree = {"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}
    for depth in (1000, 5000):
        deep = "[" * depth + "]" * depth
        for value in (tree, "json_object", City):
            assert _failure(_read(value), deep).content == deep


@settings(max_examples=100, deadline=None, database=None)
@given(st.text(max_size=60))
def test_any_text_gives_an_answer_or_a_typed_failure(text: str) -> None:
    for wanted in (_read(SCHEMA), _read("json_object"), _read(CityData)):
        try:
            wanted.parse(text)
        except SchemaValidationError:
            pass
