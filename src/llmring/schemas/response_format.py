"""What kind of answer a request wants: text, a JSON object, or JSON that fits a schema; and the check that it does.

A schema is checked when it is read, before any I/O. `$ref`s are followed inside the schema only; nothing is ever
fetched.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast
from weakref import WeakKeyDictionary

import orjson

from llmring.exceptions import ConfigurationError, SchemaConversionError, SchemaValidationError
from llmring.schemas.lenient_json import try_load_json
from llmring.schemas.optional_keys import drop_added_nulls

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

FormatKind: TypeAlias = Literal["text", "json_object", "json_schema"]

# https://platform.openai.com/docs/api-reference/chat/create#chat_create-response_format: letters, digits, _ and -, at
# most 64.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]+", re.ASCII)
_DEFAULT_NAME = "response"
# Any one of these makes a dict a JSON schema.
_SCHEMA_KEYWORDS = frozenset(
    {"$defs", "$ref", "$schema", "allOf", "anyOf", "const", "enum", "items", "oneOf", "properties", "required", "type"}
)
# Under these keywords stands data, in which "$ref" is a key like any other.
_DATA_KEYWORDS = frozenset({"const", "default", "enum", "examples"})
_ACCEPTED = (
    'accepted: "text", "json_object", a JSON schema, {"type": "json_schema", …}, '
    "a Pydantic model, a dataclass, a TypedDict"
)


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What kind of answer is wanted.

    name, description, schema, strict: of a json_schema; strict is None where nobody said. python_type: what `parse`
    makes.
    """

    kind: FormatKind
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    python_type: Any = None
    description: str | None = None
    _validator: Validator | None = field(default=None, repr=False, compare=False)

    def parse(self, text: str) -> Any:
        """The answer: an instance of the Python type, JSON data, or (kind "text") the text itself.

        Raises SchemaValidationError, which carries the text and the place, and whose message quotes neither.
        """
        if self.kind == "text":
            return text
        try:
            if self.python_type is not None:
                return self._parse_python(text, self.python_type)
            value: Any = orjson.loads(text)
            if self._validator is not None:
                self._check(value, text, self._validator)
            elif value.__class__ is not dict:
                raise SchemaValidationError("the answer is JSON, but no object", content=text)
        except orjson.JSONDecodeError:
            raise SchemaValidationError("the answer is no JSON", content=text) from None
        except RecursionError:
            raise SchemaValidationError("the answer is nested too deep to be checked", content=text) from None
        return value

    def read(self, text: str) -> tuple[Any, bool]:
        """The answer as `parse` gives it, and whether the text had to be repaired for it.

        Strict first. Where that fails, nulls go that only strict mode's "every key is required" put there, and the one JSON value in
        the text counts (see `try_load_json`). Raises SchemaValidationError, which carries the text as it came.
        """
        try:
            return self.parse(text), False
        except SchemaValidationError as error:
            loaded = try_load_json(text)
            if loaded is None:
                raise
            failure = error
        values = [loaded.value] if loaded.repaired else []
        if self.strict is not False and self.schema is not None:
            values.append(drop_added_nulls(loaded.value, self.schema))
        for value in values:
            try:
                return self.parse(orjson.dumps(value).decode()), loaded.repaired
            except SchemaValidationError as error:
                failure = error
        failure.content = text
        raise failure

    @staticmethod
    def _check(value: Any, text: str, validator: Validator) -> None:
        from referencing.exceptions import Unresolvable

        try:
            error = next(validator.iter_errors(value), None)
        except Unresolvable:
            raise SchemaValidationError("the schema refers to something that is not in it", content=text) from None
        if error is not None:
            # The place in the schema is the caller's own; the place in the answer may hold the model's words.
            keyword = _pointer(error.absolute_schema_path)
            raise SchemaValidationError(
                f"the answer does not fit the schema at #{keyword}",
                content=text,
                path=_pointer(error.absolute_path),
                hint="the error's content and path say what and where",
            ) from None

    @staticmethod
    def _parse_python(text: str, python_type: Any) -> Any:
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(python_type).validate_json(text)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            if first["type"] == "json_invalid":
                raise SchemaValidationError("the answer is no JSON", content=text) from None
            raise SchemaValidationError(
                f"the answer does not fit the type: {first['type']}",
                content=text,
                path=_pointer(first["loc"]),
                hint="the error's content and path say what and where",
            ) from None
        except Exception as error:  # the type's own validators, which raise what they like
            raise SchemaValidationError(
                f"a validator of {python_type.__name__} raised {type(error).__name__}",
                content=text,
                hint="validators refuse a value with ValueError or AssertionError; see the error's cause",
            ) from error


def _pointer(steps: Iterable[object]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def read_response_format(value: Any) -> ResponseFormat | None:
    """Any accepted form; None where none was asked for.

    Raises ConfigurationError for what is none of them and for a broken schema, SchemaConversionError for a Python type
    that has no JSON schema.
    """
    if value is None or isinstance(value, ResponseFormat):
        return value
    match value:
        case "text" | {"type": "text"}:
            _check_alone(value, "text")
            return ResponseFormat("text")
        case "json_object" | {"type": "json_object"}:
            _check_alone(value, "json_object")
            return ResponseFormat("json_object")
        case dict():
            return _read_dict(cast("dict[str, Any]", value))
        case _:
            return _read_python_type(value)


def _read_dict(given: dict[str, Any]) -> ResponseFormat:
    if given.get("type") == "json_schema":
        inner = given.get("json_schema")
        if isinstance(inner, dict):
            return _read_schema_form(cast("dict[str, Any]", inner))
        return _read_schema_form({name: value for name, value in given.items() if name != "type"})
    if not _SCHEMA_KEYWORDS & given.keys():
        raise ConfigurationError("response_format: a dict that is no JSON schema", hint=_ACCEPTED)
    return _read_schema(given, _name_from(given.get("title")), None, None)


def _check_alone(value: object, kind: str) -> None:
    if isinstance(value, dict) and len(cast("dict[str, Any]", value)) > 1:
        others = ", ".join(sorted(str(name) for name in cast("dict[str, Any]", value) if name != "type"))
        raise ConfigurationError(f"response_format: {kind} takes nothing more, but was given {others}", hint=_ACCEPTED)


def _read_schema_form(form: Mapping[str, Any]) -> ResponseFormat:
    schema, name, strict, description = (form.get(key) for key in ("schema", "name", "strict", "description"))
    unknown = sorted(set(form) - {"schema", "name", "strict", "description"})
    if unknown:
        raise ConfigurationError(f"response_format: json_schema has no {', '.join(unknown)}", hint=_ACCEPTED)
    if not isinstance(schema, dict):
        raise ConfigurationError("response_format: json_schema needs a schema, which is a dict", hint=_ACCEPTED)
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigurationError("response_format: name takes letters, digits, _ and -, at most 64")
    if strict is not None and not isinstance(strict, bool):
        raise ConfigurationError("response_format: strict is true, false or absent")
    if description is not None and not isinstance(description, str):
        raise ConfigurationError("response_format: description is text")
    given = cast("dict[str, Any]", schema)
    return _read_schema(given, name or _name_from(given.get("title")), strict, description)


def _name_from(title: object) -> str:
    return (_NOT_IN_NAME.sub("_", title).strip("_")[:64] if isinstance(title, str) else "") or _DEFAULT_NAME


def _read_schema(schema: dict[str, Any], name: str, strict: bool | None, description: str | None) -> ResponseFormat:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    try:
        data = orjson.dumps(schema)
    except TypeError as error:
        raise ConfigurationError(f"response_format: the schema is no JSON data: {error}") from None
    _check_schema(data)
    # A copy: what the caller does with the dict afterwards changes nothing.
    own: dict[str, Any] = orjson.loads(data)
    registry: Registry[Any] = Registry()
    validator = Draft202012Validator(own, registry=registry)
    return ResponseFormat("json_schema", name, own, strict, description=description, _validator=validator)


@lru_cache(maxsize=256)
def _check_schema(data: bytes) -> None:
    """Raises ConfigurationError for a schema that is broken or refers to something that is not in it.

    Remembered, because it costs 1.6 ms and is asked for with every call: bytes in, nothing out, so that there is
    nothing to share.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry

    try:
        schema: dict[str, Any] = orjson.loads(data)
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = _pointer(error.absolute_path)
        raise ConfigurationError(f"response_format: the schema is broken at #{where}: {error.message[:200]}") from None
    except (RecursionError, orjson.JSONDecodeError):  # orjson writes deeper than it reads
        raise ConfigurationError("response_format: the schema is nested too deep") from None
    registry: Registry[Any] = Registry()
    _check_references(schema, registry)


def _check_references(schema: dict[str, Any], registry: Any) -> None:
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = DRAFT202012.create_resource(schema)
    resolver = registry.resolver_with_root(resource)
    named = any("$id" in node for node in _nodes(schema))
    for node in _nodes(schema):
        for keyword in ("$ref", "$dynamicRef"):
            reference = node.get(keyword)
            # With `$id`s a reference is relative to its place; that is for the validator to follow.
            if not isinstance(reference, str) or named:
                continue
            try:
                resolver.lookup(reference)
            except Unresolvable:
                raise ConfigurationError(
                    f"response_format: the schema refers to {reference[:200]!r}, which is not in it",
                    hint="put it under $defs; nothing is fetched",
                ) from None


def _nodes(schema: object) -> Iterator[dict[str, Any]]:
    """Every object of a schema that may be a schema itself."""
    level = [schema]
    while level:
        item = level.pop()
        if isinstance(item, dict):
            node = cast("dict[str, Any]", item)
            yield node
            level += [value for name, value in node.items() if name not in _DATA_KEYWORDS]
        elif isinstance(item, list):
            level += cast("list[object]", item)


# The JSON schema of a Python type, which costs 0.3 ms and is asked for twice with every call. Kept as bytes: they do
# not refer to the type, which can go when its owner is done with it; and who changes a schema changes a copy.
_SCHEMAS: WeakKeyDictionary[type[Any], bytes] = WeakKeyDictionary()


def _read_python_type(value: Any) -> ResponseFormat:
    from pydantic import BaseModel
    from typing_extensions import is_typeddict

    given = cast("type[Any] | None", value if isinstance(value, type) else None)
    if given is None or not (issubclass(given, BaseModel) or dataclasses.is_dataclass(given) or is_typeddict(given)):
        what = repr(value[:80]) if isinstance(value, str) else f"a {cast('Any', type(value)).__name__}"
        hint = "pass the class, not an instance" if isinstance(value, BaseModel) else _ACCEPTED
        raise ConfigurationError(f"response_format: {what} is no response format", hint=hint)
    data = _SCHEMAS.get(given)
    if data is None:
        data = _SCHEMAS[given] = _make_schema(given)
    return ResponseFormat("json_schema", _name_from(given.__name__), orjson.loads(data), python_type=given)


def _make_schema(given: type[Any]) -> bytes:
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticInvalidForJsonSchema

    name = given.__name__
    try:
        return orjson.dumps(TypeAdapter(given).json_schema())
    except (PydanticUserError, PydanticInvalidForJsonSchema) as error:
        raise SchemaConversionError(f"response_format: {name} has no JSON schema: {error.message[:300]}") from None
    except Exception as error:  # the type's own hooks, which raise what they like
        raise SchemaConversionError(
            f"response_format: {name} has no JSON schema: making it raised {type(error).__name__}"
        ) from error
