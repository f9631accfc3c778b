"""What OpenAI's strict mode refuses, from its documentation and written apart from what makes schemas strict.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas (2026-11-21): the root is an object and no anyOf; every
object closes its keys and requires them all; no allOf, not, if, then, else, dependentRequired, dependentSchemas; 5,000 keys, 10 levels.
What the API answers to others: "'default' is not permitted", "$ref cannot have keywords", "schema must have a 'type' key".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

KNOWN = {
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def refusals(schema: Any) -> list[str]:
    """Why a schema is refused; empty where it is taken."""
    root = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
    if root.get("type") != "object" or "anyOf" in root:
        return ["the root must be an object, and no anyOf"]
    found = list(_walk(root, "#", 0))
    return found + (["too many keys"] if _count_keys(root) > 5_000 else [])


def _walk(schema: Any, where: str, level: int) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"{where}: no schema"
        return
    node = cast("dict[str, Any]", schema)
    yield from (f"{where}: {name!r} is not permitted" for name in node.keys() - KNOWN)
    if "$ref" in node:
        if len(node) > 1:
            yield f"{where}: $ref cannot have keywords"
        return
    if "anyOf" not in node and "type" not in node:
        yield f"{where}: schema must have a 'type' key"
    if node.get("format", "date") not in FORMATS:
        yield f"{where}: format is not permitted"
    kinds = node["type"] if isinstance(node.get("type"), list) else [node.get("type")]
    if "object" in kinds:
        yield from _check_object(node, where, level)
    if "array" in kinds and "items" not in node:
        yield f"{where}: array schema missing items"
    for name in ("$defs", "definitions"):
        for key, child in node.get(name, {}).items():
            yield from _walk(child, f"{where}/{name}/{key}", 0)
    for key, child in node.get("properties", {}).items():
        yield from _walk(child, f"{where}/{key}", level + 1)
    for number, child in enumerate(node.get("anyOf", [])):
        yield from _walk(child, f"{where}/anyOf/{number}", level)
    if "items" in node:
        yield from _walk(node["items"], f"{where}/items", level)


def _check_object(node: dict[str, Any], where: str, level: int) -> Iterator[str]:
    if node.get("additionalProperties") is not False:
        yield f"{where}: 'additionalProperties' is required to be supplied and to be false"
    if sorted(node.get("required", ())) != sorted(node.get("properties", {})):
        yield f"{where}: 'required' is required to be supplied and to be an array including every key in properties"
    if level >= 10:
        yield f"{where}: levels of nesting exceed the limit of 10"


def _count_keys(schema: Any) -> int:
    if isinstance(schema, list):
        return sum(map(_count_keys, cast("list[Any]", schema)))
    if not isinstance(schema, dict):
        return 0
    node = cast("dict[str, Any]", schema)
    return len(node.get("properties", {})) + sum(map(_count_keys, node.values()))
