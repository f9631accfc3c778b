"""JSON schemas as `responseJsonSchema` of this dialect takes them: what it knows stays, the rest becomes words.

https://ai.google.dev/api/generate-content#GenerationConfig and https://ai.google.dev/gemini-api/docs/structured-output
(2026-11-21). The order of properties is that of the schema, which is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

UNSUPPORTED: Final = frozenset(
    {
        "minLength",
        "maxLength",
        "pattern",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedItems",
        "unevaluatedProperties",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "default",
        "examples",
    }
)


def fit_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as the API takes it. The argument is not changed. Raises ConfigurationError where it is nested too deep."""
    from llmring.wire.json_schema import move_to_description

    return _fit(move_to_description(_unwrap(schema, 0), UNSUPPORTED), 0)


def _unwrap(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """`allOf` around one schema, as generators of schemas write it to put words beside a reference, is that schema."""
    from llmring.wire.json_schema import map_children

    match schema.get("allOf"):
        case [{**only}]:
            rest = {name: value for name, value in schema.items() if name != "allOf"}
            schema = {**cast("dict[str, Any]", only), **rest}
        case _:
            pass
    return map_children(schema, _unwrap, depth)


def _fit(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    from llmring.wire.json_schema import map_children

    # Beside a reference nothing may stand but what begins with $.
    fitted = {name: value for name, value in schema.items() if "$ref" not in schema or name.startswith("$")}
    if "const" in fitted:
        value = fitted.pop("const")
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            fitted["enum"] = [value]
    return map_children(fitted, _fit, depth)
