"""JSON schemas as dialects take them, and asking in words where a model cannot be held to JSON. Pure; arguments are never changed.

An encoder asks `ask_for(wanted, target)` how an answer's format is to be asked for: `kind` goes into the body; `instruction`, where
there is one, into the system prompt (`with_instruction` writes it there, for any dialect); `warning` onto the response.
A tool goes through `strict_tool`, a schema for an answer through `strict_answer`. `make_strict`, `inline_refs` and `move_to_description` fit schemas to what an API takes of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

import orjson

from llmring.exceptions import ConfigurationError
from llmring.schemas.messages import Message, Part, Role, TextPart
from llmring.schemas.optional_keys import follow
from llmring.schemas.response_format import FormatKind, ResponseFormat
from llmring.wire.base import Target
from llmring.wire.strict_schema import NotStrictError, in_words, make_strict_or_raise

_log = logging.getLogger("llmring.wire")

# Python's own limit on recursion is 1000 frames; a level of a schema takes up to four. Guess: people write ten.
MAX_SCHEMA_DEPTH: Final = 100
# Refs within refs multiply: a schema of 2 KB can stand for 2**50 nodes.
MAX_INLINED_NODES: Final = 20_000

# Where schemas stand within a schema: under names of the caller's, in a list, or alone.
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTED: Final = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_ALONE: Final = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties"}
)


# How to ask ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """How a format is asked for. kind: by the API's own means; instruction: in words beside it; warning: that words must do."""

    kind: FormatKind
    instruction: str | None = None
    warning: str | None = None


def ask_for(wanted: ResponseFormat | None, target: Target) -> Ask:
    """What of a wanted format goes into the body and what into words, by `quirks.json_object` and `quirks.json_schema`."""
    if wanted is None or wanted.kind == "text":
        return Ask("text")
    quirks = target.quirks
    if quirks.json_schema if wanted.kind == "json_schema" else quirks.json_object:
        return Ask(wanted.kind)
    what = "a JSON schema" if wanted.kind == "json_schema" else "JSON"
    return Ask(
        "json_object" if quirks.json_object else "text",
        schema_instruction(wanted),
        f"response_format: {target.provider}:{target.model} cannot be held to {what}; it is asked in words, and the answer checked",
    )


def schema_instruction(wanted: ResponseFormat) -> str:
    """Words that ask for an answer of the wanted format; "" for text."""
    match wanted.kind:
        case "text":
            return ""
        case "json_object":
            return "Answer with one JSON object and nothing else: no words around it, no code fence."
        case "json_schema":
            schema = orjson.dumps(wanted.schema).decode()
            about = f"\nWhat it is for: {wanted.description}" if wanted.description else ""
            return (
                "Answer with JSON that fits the JSON schema below, and with nothing else: no words around it, no code fence, "
                f"not the schema itself.{about}\nJSON schema: {schema}"
            )


def with_instruction(messages: Sequence[Message], instruction: str) -> list[Message]:
    """The messages with an instruction at the end of the last system message that they begin with, or as one where they begin with
    none."""
    told = list(messages)
    at = next((n for n, message in enumerate(told) if message.role is not Role.SYSTEM), len(told)) - 1
    if at < 0:
        return [Message(role=Role.SYSTEM, content=instruction), *told]
    said: Any = told[at].content
    if isinstance(said, list):
        content: Any = [*cast("list[Part]", said), TextPart(text=instruction)]
    else:
        content = f"{said}\n\n{instruction}" if said else instruction
    told[at] = told[at].model_copy(update={"content": content})
    return told


# Strict mode --------------------------------------------------------------------------------------------------------


def make_strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema as OpenAI's strict mode takes it: objects closed, every key required, what was optional nullable, keywords that
    it does not know in words. None where there is no such form: `why_not_strict` says why."""
    try:
        return orjson.loads(_strict_form(orjson.dumps(schema)))
    except (NotStrictError, TypeError, orjson.JSONDecodeError):  # the last two: no JSON, or deeper than orjson goes
        return None


def why_not_strict(schema: Mapping[str, Any]) -> str | None:
    """What strict mode cannot say of a schema, without any of its words; None where `make_strict` has a form for it."""
    try:
        _strict_form(orjson.dumps(schema))
    except NotStrictError as error:
        return str(error)
    except (TypeError, orjson.JSONDecodeError):
        return "it is no JSON data, or nested too deep"
    return None


def strict_answer(wanted: ResponseFormat, *, by_default: bool) -> tuple[dict[str, Any], bool | None, str | None]:
    """The schema of an answer to send, `strict` to send with it (None: nothing), and a warning where strict could not be had.

    by_default: whether Python types, which have no place to say `strict`, are strict where they can be (`quirks.strict_tools`).
    """
    schema = wanted.schema or {}
    by_default = by_default and wanted.python_type is not None
    if wanted.strict is False or (wanted.strict is None and not by_default):
        return schema, wanted.strict, None
    strict = make_strict(schema)
    if strict is not None:
        return strict, True, None
    why = f"response_format: strict was turned off, because the schema has no strict form: {why_not_strict(schema)}"
    if wanted.strict is None:
        _log.debug("%s", why)
    return schema, False, why if wanted.strict else None


@lru_cache(maxsize=256)
def _strict_form(data: bytes) -> bytes:
    # Remembered, because every call of an agent sends the same tools: bytes in, bytes out, so that there is nothing to share.
    return orjson.dumps(make_strict_or_raise(orjson.loads(data)))


def strict_tool(
    function: Mapping[str, Any],
    *,
    by_default: bool,
    fit: Callable[[Mapping[str, Any]], dict[str, Any] | None] = make_strict,
) -> dict[str, Any]:
    """A function of `tools` (`name`, `description`, `parameters`, `strict`, in Chat's inner object or Responses' flat one) with
    `strict` decided.

    by_default: what counts where the function itself says nothing (`quirks.strict_tools`). fit: the schema as the API's strict
    mode takes it, None where it has no form there; then the tool is sent as it was given, with strict false. A model called so
    gives null for an argument that it would leave out; `calls/answer.py` takes those away.
    """
    said = function.get("strict")
    if said is False or (said is None and not by_default):
        return dict(function)
    given = function.get("parameters")
    parameters = cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else None
    # No parameters at all is a function without arguments.
    fitted = (
        fit(parameters or {"type": "object", "properties": {}}) if given is None or parameters is not None else None
    )
    if fitted is None:
        _log.debug("tool %s is sent without strict: its schema has no strict form", function.get("name"))
        return {**function, "strict": False}
    return {**function, "parameters": fitted, "strict": True}


# Fitting ------------------------------------------------------------------------------------------------------------


def move_to_description(schema: Mapping[str, Any], keywords: Iterable[str]) -> dict[str, Any]:
    """The schema without the keywords, at any depth; what they said stands at the end of the description beside them.

    Raises ConfigurationError for a schema nested too deep.
    """
    return _move(schema, frozenset(keywords), 0)


def _move(schema: Mapping[str, Any], keywords: frozenset[str], depth: int) -> dict[str, Any]:
    kept = {name: value for name, value in schema.items() if name not in keywords}
    moved = {name: value for name, value in schema.items() if name in keywords}
    kept = map_children(kept, lambda child, deeper: _move(child, keywords, deeper), depth)
    if moved:
        kept["description"] = in_words(kept.get("description"), moved)
    return kept


def map_children(
    schema: Mapping[str, Any], change: Callable[[Mapping[str, Any], int], dict[str, Any]], depth: int
) -> dict[str, Any]:
    """A copy of one schema with every schema in it changed; `change` gets the child and its depth.

    Raises ConfigurationError past MAX_SCHEMA_DEPTH.
    """
    if depth > MAX_SCHEMA_DEPTH:
        raise ConfigurationError(f"the schema is nested deeper than {MAX_SCHEMA_DEPTH} levels", hint="make it flatter")

    def changed(child: Any) -> Any:
        return change(cast("Mapping[str, Any]", child), depth + 1) if isinstance(child, Mapping) else child

    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _NAMED and isinstance(value, Mapping):
            made[name] = {key: changed(child) for key, child in cast("Mapping[str, Any]", value).items()}
        elif name in _LISTED and isinstance(value, list):
            made[name] = [changed(child) for child in cast("list[Any]", value)]
        elif name in _ALONE:
            made[name] = changed(value)
        else:
            made[name] = value
    return made


def inline_refs(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what its `$ref`s stand for in their places, and without `$defs`; words beside a `$ref` win.

    Raises ConfigurationError for a schema that refers to itself or to nothing in it, that is nested too deep, or that grows past
    MAX_INLINED_NODES.
    """
    nodes = 0

    def inline(node: Mapping[str, Any], depth: int, open_refs: tuple[str, ...]) -> dict[str, Any]:
        nonlocal nodes
        nodes += 1
        if nodes > MAX_INLINED_NODES:
            raise ConfigurationError(
                f"the schema has more than {MAX_INLINED_NODES} parts once its $refs are written out"
            )
        while "$ref" in node:
            reference = str(node["$ref"])
            if reference in open_refs or reference == "#":
                raise ConfigurationError(
                    f"the schema refers to itself by {reference[:100]!r}, which this provider cannot be asked for",
                    hint="write the levels out, as far as they are needed",
                )
            found = follow(reference, schema)
            if not isinstance(found, Mapping):
                raise ConfigurationError(f"the schema refers to {reference[:100]!r}, which is not in it")
            open_refs = (*open_refs, reference)
            node = {**cast("Mapping[str, Any]", found), **{k: v for k, v in node.items() if k != "$ref"}}
        own = {name: value for name, value in node.items() if name not in ("$defs", "definitions")}
        return map_children(own, lambda child, deeper: inline(child, deeper, open_refs), depth)

    return inline(schema, 0, ())
