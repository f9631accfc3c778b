"""Tool calls as models make them. JSON data first: a `ToolCall` is a dict in OpenAI's shape, with attributes beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class ToolCall(dict[str, Any]):
    """One call of a tool: `{"id", "type": "function", "function": {"name", "arguments": "<JSON text>"}}`.

    `.id`, `.name`; `.arguments`, parsed (empty where the text is no JSON object); `.raw_arguments`, the text as the model
    wrote it; `.parse_error`, why it could not be read, else None. Broken arguments never lose the call. `.signature`: Google's
    seal on the call, which Gemini wants back with it; it stands where Google's OpenAI endpoint puts it, under `extra_content`.
    https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-21)
    """

    __slots__ = ()

    def __init__(
        self, id: str, name: str, arguments: str | Mapping[str, Any] = "{}", *, signature: str | None = None
    ) -> None:
        text = arguments if isinstance(arguments, str) else json.dumps(dict(arguments), ensure_ascii=False)
        super().__init__(id=id, type="function", function={"name": name, "arguments": text})
        if signature is not None:
            self["extra_content"] = {"google": {"thought_signature": signature}}

    @property
    def signature(self) -> str | None:
        match self.get("extra_content"):
            case {"google": {"thought_signature": str(signature)}}:
                return signature
            case _:
                return None

    @property
    def id(self) -> str:
        return self["id"]

    @property
    def name(self) -> str:
        return self["function"]["name"]

    @property
    def raw_arguments(self) -> str:
        return self["function"]["arguments"]

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, parsed anew at each access: changing the result changes nothing here."""
        return self._parse()[0]

    @property
    def parse_error(self) -> str | None:
        return self._parse()[1]

    def parse_arguments(self) -> dict[str, Any]:
        """The arguments, parsed. Raises ValueError where they are no JSON object."""
        arguments, error = self._parse()
        if error is not None:
            raise ValueError(error)
        return arguments

    def _parse(self) -> tuple[dict[str, Any], str | None]:
        text = self.raw_arguments
        if not text.strip():
            return {}, None  # a call without arguments: several servers stream no text at all for it
        try:
            value: object = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return {}, f"the arguments of {self.name} are no JSON: {error}"
        if not isinstance(value, dict):
            return {}, f"the arguments of {self.name} are JSON, but no object"
        return cast("dict[str, Any]", value), None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolCall:
        """Reads OpenAI's shape and the flat one (`id`, `name`, `arguments`). Raises ValueError for anything else."""
        match data:
            case {"id": str(id), "function": {"name": str(name), "arguments": arguments}}:
                pass
            case {"id": str(id), "name": str(name), "arguments": arguments}:
                pass
            case _:
                raise ValueError("a tool call needs id and function.name, function.arguments (or id, name, arguments)")
        if not isinstance(arguments, (str, Mapping)):
            raise ValueError(f"the arguments of {name} must be JSON text or an object")
        try:
            call = cls(id, name, cast("str | Mapping[str, Any]", arguments))
        except TypeError as error:
            raise ValueError(f"the arguments of {name} cannot be written as JSON: {error}") from None
        match data:
            case {"extra_content": {"google": {"thought_signature": str(signature)}}} | {"signature": str(signature)}:
                call["extra_content"] = {"google": {"thought_signature": signature}}
            case _:
                pass
        return call

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls, serialization=core_schema.plain_serializer_function_ser_schema(dict))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string"}
        function = {
            "type": "object",
            "properties": {"name": text, "arguments": text},
            "required": ["name", "arguments"],
        }
        properties = {"id": text, "type": {"const": "function"}, "function": function}
        return {"type": "object", "properties": properties, "required": ["id", "type", "function"]}
