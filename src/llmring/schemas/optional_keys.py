"""Keys that a schema lets out and strict mode does not: there they are asked for as "value or null", and here such nulls go again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

# Past it nothing is looked at: a schema may refer to itself, and an answer be as deep as it likes.
_MAX_DEPTH: Final = 64


def accepts_null(schema: object, root: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether null fits a schema, as far as its own words say; what says nothing at all takes null as well."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return schema is True
    node = cast("Mapping[str, Any]", schema)
    if "$ref" in node:
        return accepts_null(follow(node["$ref"], root), root, depth + 1)
    if "const" in node:
        return node["const"] is None
    enum = node.get("enum")
    if isinstance(enum, list) and None not in enum:
        return False
    kind = node.get("type")
    if kind is not None:
        return kind == "null" or (isinstance(kind, list) and "null" in kind)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(node.get(keyword), list):
            return any(accepts_null(branch, root, depth + 1) for branch in cast("list[Any]", node[keyword]))
    if isinstance(node.get("allOf"), list):
        return all(accepts_null(branch, root, depth + 1) for branch in cast("list[Any]", node["allOf"]))
    return True


def follow(reference: object, root: Mapping[str, Any]) -> object:
    """What a `$ref` within the schema stands for; None where it leads nowhere."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    found: Any = root
    for step in reference.split("/")[1:]:
        if not isinstance(found, dict):
            return None
        found = cast("dict[str, Any]", found).get(step.replace("~1", "/").replace("~0", "~"))
    return found


def drop_added_nulls(value: Any, schema: Mapping[str, Any]) -> Any:
    """The answer without the keys that are null only because strict mode cannot leave them out: those that the schema does not
    require, and whose values it does not let be null. Nothing is changed in place."""
    return _drop(value, [schema], schema, 0)


def _drop(value: Any, schemas: list[object], root: Mapping[str, Any], depth: int) -> Any:
    if depth > _MAX_DEPTH or not isinstance(value, (dict, list)):
        return value
    nodes = _alternatives(schemas, root)
    if isinstance(value, list):
        items = [node["items"] for node in nodes if "items" in node]
        listed = cast("list[Any]", value)
        return [_drop(item, items, root, depth + 1) for item in listed] if items else listed
    kept: dict[str, Any] = {}
    for name, item in cast("dict[str, Any]", value).items():
        # The alternatives that know this key; one that could mean the null keeps it.
        known = [node for node in nodes if name in _properties(node)]
        own: list[object] = [_properties(node)[name] for node in known]
        if item is None and known and not any(_wants(node, name, root) for node in known):
            continue
        kept[name] = _drop(item, own, root, depth + 1) if own else item
    return kept


def _properties(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found = node.get("properties")
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _wants(node: Mapping[str, Any], name: str, root: Mapping[str, Any]) -> bool:
    required = node.get("required")
    return (isinstance(required, list) and name in required) or accepts_null(_properties(node)[name], root)


def _alternatives(schemas: list[object], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas, and those that they are made of, each once."""
    found: dict[int, Mapping[str, Any]] = {}
    level = list(schemas)
    while level:
        schema = level.pop()
        if not isinstance(schema, Mapping):
            continue
        node = cast("Mapping[str, Any]", schema)
        if id(node) in found:
            continue
        found[id(node)] = node
        if "$ref" in node:
            level.append(follow(node["$ref"], root))
        for keyword in ("anyOf", "oneOf", "allOf"):
            if isinstance(node.get(keyword), list):
                level += cast("list[object]", node[keyword])
    return list(found.values())
