"""JSON schemas as structured outputs of this dialect take them: what they know stays, the rest becomes words.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations (2026-11-21); the keywords are those
that `transform_schema` of the anthropic SDK 2.11.0 takes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.wire.json_schema import inline_refs, map_children, move_to_description

UNSUPPORTED: Final = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "maxItems",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "prefixItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "default",
        "examples",
    }
)
_UNSAYABLE: Final = frozenset(
    {"not", "if", "then", "else", "patternProperties", "dependentRequired", "dependentSchemas", "prefixItems"}
)
_FORMATS: Final = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


def fit_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as the API takes it: objects closed, `oneOf` as `anyOf`, constraints that it does not know as words in the
    description. The argument is not changed. Raises ConfigurationError for a schema nested too deep."""
    return _fit(move_to_description(schema, UNSUPPORTED), 0)


def fit_strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same for strict tools, None for what strict mode has no form for: open keys, a schema that refers to itself, and keywords
    that combine schemas otherwise. https://platform.claude.com/docs/en/agents-and-tools/tool-use/strict-tool-use (2026-11-21)"""
    schema = {"type": "object", **schema}
    try:
        inline_refs(schema)
        return fit_schema(schema) if _is_closed(schema, 0) else None
    except ConfigurationError:
        return None


def _is_closed(schema: Mapping[str, Any], depth: int) -> bool:
    closed = schema.get("additionalProperties", False) is False and _UNSAYABLE.isdisjoint(schema)

    def look(child: Mapping[str, Any], deeper: int) -> dict[str, Any]:
        nonlocal closed
        closed = closed and _is_closed(child, deeper)
        return {}

    if closed:
        map_children(schema, look, depth)
    return closed


def count_hard_parts(schema: Mapping[str, Any]) -> tuple[int, int]:
    """How many keys a schema lets out, and how many have alternatives: what the API counts against its limits."""
    optional = unions = 0

    def look(node: Mapping[str, Any], depth: int) -> dict[str, Any]:
        nonlocal optional, unions
        properties = node.get("properties")
        if isinstance(properties, Mapping):
            given = node.get("required")
            required = cast("list[Any]", given) if isinstance(given, list) else []
            optional += sum(1 for name in cast("Mapping[str, Any]", properties) if name not in required)
        unions += "anyOf" in node or isinstance(node.get("type"), list)
        return map_children(node, look, depth)

    look(schema, 0)
    return optional, unions


def _fit(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    fitted = map_children(_move_values(schema), _fit, depth)
    if "oneOf" in fitted and "anyOf" not in fitted:
        fitted["anyOf"] = fitted.pop("oneOf")
    kind = fitted.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in fitted:
        fitted["additionalProperties"] = False
    return fitted


def _move_values(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keywords of which the API knows some values become words where theirs is another."""
    odd = frozenset(
        name
        for name, known in (("minItems", (0, 1)), ("format", _FORMATS))
        if name in schema and schema[name] not in known
    )
    if not odd:
        return schema
    # These keywords alone: what they stand beside has been gone through already.
    told = move_to_description({name: schema[name] for name in (*odd, "description") if name in schema}, odd)
    return {name: value for name, value in schema.items() if name not in odd} | told
