"""Nulls that only strict mode asked for go; those that a schema knows stay."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmring.schemas.optional_keys import accepts_null, drop_added_nulls

INNER = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "null"}}}


@pytest.mark.spec("L07")
@pytest.mark.parametrize(
    ("properties", "required", "answer", "left"),
    [
        ({"a": {"type": "integer"}}, [], {"a": None}, {}),
        ({"a": {"type": "integer"}}, ["a"], {"a": None}, {"a": None}),
        ({"a": {"type": ["integer", "null"]}}, [], {"a": None}, {"a": None}),
        ({"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}, [], {"a": None}, {"a": None}),
        ({"a": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}, [], {"a": None}, {}),
        ({"a": {"enum": [1, None]}}, [], {"a": None}, {"a": None}),
        ({"a": {"enum": [1]}}, [], {"a": None}, {}),
        ({"a": {"const": None}}, [], {"a": None}, {"a": None}),
        ({"a": {}}, [], {"a": None}, {"a": None}),
        ({"a": True}, [], {"a": None}, {"a": None}),
        ({"a": {"$ref": "#/$defs/n"}}, [], {"a": None}, {}),
        ({"a": {"allOf": [{"type": "integer"}]}}, [], {"a": None}, {}),
        ({"a": {"type": "integer"}}, [], {"a": 1, "b": None}, {"a": 1, "b": None}),
        ({"a": INNER}, [], {"a": {"x": None, "y": None}}, {"a": {"y": None}}),
        ({"a": {"type": "array", "items": INNER}}, [], {"a": [{"x": None}, {"x": 1}]}, {"a": [{}, {"x": 1}]}),
        ({"a": {"anyOf": [INNER, {"type": "string"}]}}, [], {"a": {"x": None}}, {"a": {}}),
        ({"a": {"$ref": "#"}}, [], {"a": {"a": None}}, {"a": {}}),
    ],
)
def test_a_null_goes_where_the_schema_would_have_left_the_key_out(
    properties: dict[str, Any], required: list[str], answer: dict[str, Any], left: dict[str, Any]
) -> None:
    schema = {"type": "object", "properties": properties, "required": required, "$defs": {"n": {"type": "integer"}}}
    before = copy.deepcopy(answer)
    assert drop_added_nulls(answer, schema) == left
    assert answer == before


@pytest.mark.spec("L07", "RT19")
def test_schemas_and_answers_without_end_are_looked_at_for_a_while() -> None:
    loop: dict[str, Any] = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    assert accepts_null(loop, loop) is False
    answer: Any = None
    for _ in range(5_000):
        answer = {"a": answer}
    schema = {"properties": {"a": {"$ref": "#"}}}
    assert drop_added_nulls(answer, schema)["a"]
