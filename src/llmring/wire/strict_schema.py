"""A JSON schema in the form that OpenAI's strict mode takes, by its documented rules. `wire/json_schema.py` is the door to it.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas (2026-11-21). What narrows a value and is not known there
becomes words; what widens an object (open keys) or combines schemas has no strict form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.exceptions import ConfigurationError
from llmring.schemas.optional_keys import accepts_null, follow

# "Up to 5000 object properties total, with up to 10 levels of nesting"; "the total string length of all property names, definition
# names, enum values, and const values cannot exceed 120,000 characters"; "up to 1000 enum values across all enum properties"; "for a
# single enum property with string values, … 15,000 characters when there are more than 250 enum values".
MAX_PROPERTIES: Final = 5_000
MAX_LEVELS: Final = 10
MAX_NAME_CHARS: Final = 120_000
MAX_ENUM_VALUES: Final = 1_000
MAX_LONG_ENUM: Final = 250
MAX_LONG_ENUM_CHARS: Final = 15_000
# Of lists, alternatives and objects together: what the walk itself can bear.
_MAX_DEPTH: Final = 64

_KEPT: Final = frozenset(
    {
        "type",
        "title",
        "description",
        "enum",
        "const",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    }
)
_IN_WORDS: Final = frozenset(
    {
        "minLength",
        "maxLength",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "default",
        "examples",
    }
)
_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_IMPOSSIBLE: Final = (
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "prefixItems",
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
)
_DEFS: Final = ("$defs", "definitions")
_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


class NotStrictError(Exception):
    """A schema has no strict form; says why in words that quote none of it."""


def make_strict_or_raise(schema: dict[str, Any]) -> dict[str, Any]:
    """The strict form of a schema, as data of its own. Raises NotStrictError."""
    return _Strictness(schema).make_root()


class _Strictness:
    """One schema on its way to its strict form, and what it has used up of the limits."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._properties = self._enum_values = self._name_chars = 0

    def make_root(self) -> dict[str, Any]:
        root = self._root
        if "$ref" in root:
            # Recursive types come so from Pydantic; the root itself must be an object.
            found = follow(root["$ref"], root)
            if not isinstance(found, dict) or found is root:
                raise NotStrictError("its root refers to nothing in it")
            root = {**cast("dict[str, Any]", found), **{name: root[name] for name in _DEFS if name in root}}
        if root.get("type") != "object" or "anyOf" in root or "oneOf" in root:
            raise NotStrictError("its root is no object")
        return self._make(root, 0, 0)

    def _make(self, schema: object, depth: int, level: int) -> dict[str, Any]:
        if not isinstance(schema, dict):
            raise NotStrictError("a part of it takes anything")
        if depth > _MAX_DEPTH:
            raise NotStrictError(f"it is nested deeper than {_MAX_DEPTH} levels")
        node = _merged(cast("dict[str, Any]", schema))
        for keyword in _IMPOSSIBLE:
            if keyword in node:
                raise NotStrictError(f"it uses {keyword}")
        made = {name: value for name, value in node.items() if name in _KEPT}
        moved = {name: value for name, value in node.items() if name in _IN_WORDS and not _is_empty(name, value)}
        if "format" in made and made["format"] not in _FORMATS:
            moved["format"] = made.pop("format")
        self._make_defs(node, made, depth)
        if "$ref" in node:
            made = self._make_ref(node, made)
        elif "anyOf" in node or "oneOf" in node:
            made["anyOf"] = [self._make(branch, depth + 1, level) for branch in _branches(node)]
        else:
            self._make_value(node, made, depth, level)
        if moved:
            made["description"] = in_words(made.get("description"), moved)
        return made

    def _make_defs(self, node: dict[str, Any], made: dict[str, Any], depth: int) -> None:
        for keyword in _DEFS:
            if isinstance(node.get(keyword), dict):
                made[keyword] = {}
                for name, child in cast("dict[str, Any]", node[keyword]).items():
                    self._count_name(name)
                    made[keyword][name] = self._make(child, depth + 1, 0)

    def _make_ref(self, node: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        reference = node["$ref"]
        if follow(reference, self._root) is None:
            raise NotStrictError("it refers to something that is not in it")
        if made.keys() - {"title", "description"}:
            raise NotStrictError("it says more beside a $ref")
        # Nothing may stand beside a $ref, not even a description.
        return {"anyOf": [{"$ref": reference}], **made} if made else {"$ref": reference}

    def _make_value(self, node: dict[str, Any], made: dict[str, Any], depth: int, level: int) -> None:
        values = node["enum"] if isinstance(node.get("enum"), list) else [node["const"]] if "const" in node else None
        if values is not None:
            self._count_enum(values)
        kinds = _kinds(node, values)
        made["type"] = kinds[0] if len(kinds) == 1 else kinds
        if "object" in kinds:
            self._make_object(node, made, depth, level)
        if "array" in kinds:
            if "items" not in node:
                raise NotStrictError("it holds a list of anything")
            made["items"] = self._make(node["items"], depth + 1, level)

    def _make_object(self, node: dict[str, Any], made: dict[str, Any], depth: int, level: int) -> None:
        if level >= MAX_LEVELS:
            raise NotStrictError(f"it has more than {MAX_LEVELS} levels of objects")
        properties = node.get("properties")
        if not isinstance(properties, dict) or node.get("additionalProperties", False) is not False:
            raise NotStrictError("it has an object with open keys")
        named = cast("dict[str, Any]", properties)
        required: list[Any] = node.get("required") or []
        if any(name not in named for name in required):
            raise NotStrictError("it requires a key that it does not describe")
        self._properties += len(named)
        if self._properties > MAX_PROPERTIES:
            raise NotStrictError(f"it has more than {MAX_PROPERTIES} keys")
        made["properties"] = {}
        for name, child in named.items():
            self._count_name(name)
            strict = self._make(child, depth + 1, level + 1)
            optional = name not in required and not accepts_null(child, self._root)
            made["properties"][name] = _nullable(strict) if optional else strict
        made["required"] = list(named)
        made["additionalProperties"] = False

    def _count_name(self, name: str) -> None:
        self._name_chars += len(name)
        if self._name_chars > MAX_NAME_CHARS:
            raise NotStrictError(f"its names have more than {MAX_NAME_CHARS} characters")

    def _count_enum(self, values: list[Any]) -> None:
        texts = [value for value in values if isinstance(value, str)]
        chars = sum(map(len, texts))
        self._enum_values += len(values)
        if self._enum_values > MAX_ENUM_VALUES:
            raise NotStrictError(f"it lists more than {MAX_ENUM_VALUES} values")
        if len(texts) > MAX_LONG_ENUM and chars > MAX_LONG_ENUM_CHARS:
            raise NotStrictError(f"it lists values of more than {MAX_LONG_ENUM_CHARS} characters")
        self._name_chars += chars
        if self._name_chars > MAX_NAME_CHARS:
            raise NotStrictError(f"its names have more than {MAX_NAME_CHARS} characters")


def _merged(node: dict[str, Any]) -> dict[str, Any]:
    """A node whose `allOf` of one schema is taken apart: so older tools write a $ref with words beside it."""
    all_of = node.get("allOf")
    if all_of is None:
        return node
    rest = {name: value for name, value in node.items() if name != "allOf"}
    if not isinstance(all_of, list) or len(cast("list[Any]", all_of)) != 1 or not isinstance(all_of[0], dict):
        raise NotStrictError("it uses allOf")
    only = cast("dict[str, Any]", all_of[0])
    if rest.keys() - {"title", "description", "default", "examples", *_DEFS} or "allOf" in only:
        raise NotStrictError("it uses allOf")
    return {**only, **rest}


def _branches(node: dict[str, Any]) -> list[Any]:
    if "anyOf" in node and "oneOf" in node:
        raise NotStrictError("it uses anyOf and oneOf together")
    branches = node.get("anyOf", node.get("oneOf"))
    if not isinstance(branches, list) or not branches:
        raise NotStrictError("it has alternatives that are none")
    if node.keys() & {"type", "properties", "items", "required", "enum", "const"}:
        raise NotStrictError("it says more beside anyOf")
    return cast("list[Any]", branches)


def _kinds(node: dict[str, Any], values: list[Any] | None) -> list[Any]:
    kind = node.get("type")
    if isinstance(kind, str):
        return [kind]
    if isinstance(kind, list) and kind:
        return list(cast("list[Any]", kind))
    if kind is None and values:
        kinds = dict.fromkeys(_TYPES.get(type(cast("object", value)), "") for value in values)
        if "" not in kinds:
            return list(kinds)
    raise NotStrictError("a part of it takes anything")


def _nullable(strict: dict[str, Any]) -> dict[str, Any]:
    """A strict schema that takes null as well."""
    kind = strict.get("type")
    if "anyOf" in strict:
        return {**strict, "anyOf": [*strict["anyOf"], {"type": "null"}]}
    if "const" in strict or kind is None or "object" in kind or "array" in kind:
        words = {name: strict[name] for name in ("description",) if name in strict}
        bare = {name: value for name, value in strict.items() if name not in words}
        return {"anyOf": [bare, {"type": "null"}], **words}
    made = {**strict, "type": [*([kind] if isinstance(kind, str) else kind), "null"]}
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    return made


def _is_empty(name: str, value: object) -> bool:
    """Whether a keyword says nothing: null is what an optional value is without it, and what it is left as."""
    return (name == "default" and value is None) or (name == "uniqueItems" and value is False)


def in_words(description: object, moved: Mapping[str, Any]) -> str:
    """A description, and after it keywords with their values."""
    try:
        words = "{" + ", ".join(f"{name}: {orjson.dumps(value).decode()}" for name, value in moved.items()) + "}"
    except TypeError as error:  # orjson names the type, never the value
        raise ConfigurationError(f"a schema holds something that JSON cannot: {error}") from None
    return f"{description}\n\n{words}" if description else words
