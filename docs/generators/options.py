"""docs/reference/options/: a page per option object, with an example that runs and a table of its fields.

Types and defaults are those of the class, meanings and units those of its docstring (`name (unit): meaning`, see source.py).
A field without a meaning, a number without a unit, and an option object without a page are errors.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel

from . import DOCS
from .api import group_of
from .source import FieldNote, docstring, first_sentence, load, public_homes, read_field_notes

# What an application fills in, in the order of the list, with the name of its page. Its example is in docs/examples/options/.
OPTIONS: Final = {
    "LLMRequest": "llm-request",
    "RequestOptions": "request-options",
    "SamplingParams": "sampling-params",
    "Timeouts": "timeouts",
    "RetryPolicy": "retry-policy",
    "BreakerPolicy": "breaker-policy",
    "RateLimits": "rate-limits",
    "ComputerUse": "computer-use",
    "OpenAIOptions": "openai-options",
    "AnthropicOptions": "anthropic-options",
    "GoogleOptions": "google-options",
    "OllamaOptions": "ollama-options",
    "LMStudioOptions": "lm-studio-options",
    "EmbeddingOptions": "embedding-options",
    "CohereEmbeddingOptions": "cohere-embedding-options",
    "ProviderOptions": "provider-options",
    "FileUploadStrategy": "file-upload-strategy",
}
# Pages of the API on which what comes back, or what a conversation is made of, stands; and what comes back elsewhere.
NO_OPTION_PAGES: Final = frozenset({"messages", "responses", "models", "errors"})
NO_OPTIONS: Final = frozenset({"UploadedFile", "Health", "Transition"})
# Fields of these mean what they mean on another.
SAME_AS: Final = {"RequestOptions": "LLMRequest"}

_INDEX: Final = """\
# Option groups

What may be set, by the object that holds it. A field at its default is not sent, unless its page says what is. Each page has an
example that runs, and every field with its type, default and unit.

| object | what it is for |
|---|---|
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A row of the table."""

    name: str
    type: str
    default: str
    note: FieldNote


def pages() -> dict[str, str]:
    """The pages by their path from the top of the repository."""
    homes = public_homes()
    for name, module in homes.items():
        listed = name in OPTIONS or name in NO_OPTIONS or group_of(name, module) in NO_OPTION_PAGES
        if not listed and _is_data(load(name, module)):
            raise SystemExit(
                f"docs/generators/options.py: is {name} an option object? List it in OPTIONS or in NO_OPTIONS"
            )
    made = {f"docs/reference/options/{page}.md": _page(name, homes[name]) for name, page in OPTIONS.items()}
    rows = [
        f"| [`{name}`]({page}.md) | {first_sentence(_prose(name, homes[name]))} |" for name, page in OPTIONS.items()
    ]
    return {"docs/reference/options/index.md": _INDEX + "\n".join([*rows, ""]), **made}


def _is_data(value: object) -> bool:
    return isinstance(value, type) and (dataclasses.is_dataclass(value) or issubclass(value, BaseModel))


def _page(name: str, module: str) -> str:
    rows = [
        f"| `{field.name}` | {field.type} | {field.default} | {field.note.unit} | {_cell(field.note.meaning)} |"
        for field in fields_of(cast("type", load(name, module)))
    ]
    table = ["| field | type | default | unit | meaning |", "|---|---|---|---|---|", *rows]
    example = (DOCS / "examples" / "options" / f"{OPTIONS[name].replace('-', '_')}.py").read_text()
    block = ["<!-- test: fake -->", "```python", example.rstrip(), "```"]
    link = f"[Signature and methods](../api/{group_of(name, module)}.md#llmring.{name})."
    return "\n".join([f"# {name}", "", _prose(name, module), "", link, "", *block, "", "## Fields", "", *table, ""])


def _prose(name: str, module: str) -> str:
    return read_field_notes(docstring(name, module), _parameters(cast("type", load(name, module))))[0]


def fields_of(cls: type) -> list[Field]:
    """The fields in their order. Raises SystemExit naming one that its docstring does not explain."""
    where = f"{cls.__module__}.{cls.__name__}"
    hints = typing.get_type_hints(cls, include_extras=False)
    parameters = _parameters(cls)
    notes = _notes(cls)
    found: list[Field] = []
    for field, default in parameters.items():
        note, kind = notes.get(field), hints[field]
        kind = getattr(kind, "type", kind)  # an InitVar's
        if note is None:
            raise SystemExit(f"{where}.{field}: its docstring does not say what it means: `{field}: …`")
        if not note.unit and _is_number(kind):
            raise SystemExit(f"{where}.{field}: a number without a unit or range: `{field} (unit): …`")
        found.append(Field(field, render_type(kind), _render_default(default), note))
    return found


def _notes(cls: type) -> Mapping[str, FieldNote]:
    known = _parameters(cls)
    notes: dict[str, FieldNote] = {}
    other = SAME_AS.get(cls.__name__)
    if other is not None:
        notes |= _notes(cast("type", load(other, public_homes()[other])))
    for base in reversed(cls.__mro__):
        if base not in (object, BaseModel):
            notes |= read_field_notes(inspect.getdoc(base) or "", known)[1]
    return notes


_REQUIRED: Final = object()


def _parameters(cls: type[Any]) -> dict[str, object]:
    """Every field with its default."""
    if issubclass(cls, BaseModel):
        return {
            name: _REQUIRED if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
            for name, info in cls.model_fields.items()
        }
    assert dataclasses.is_dataclass(cls)
    made = {field.name: field.default_factory for field in dataclasses.fields(cls)}
    defaults: dict[str, object] = {}
    for name, parameter in inspect.signature(cast("Callable[..., object]", cls)).parameters.items():
        factory = made.get(name, dataclasses.MISSING)
        if factory is not dataclasses.MISSING:
            defaults[name] = cast("Callable[[], object]", factory)()
        else:
            defaults[name] = _REQUIRED if parameter.default is inspect.Parameter.empty else parameter.default
    return defaults


def _render_default(value: object) -> str:
    if value is _REQUIRED:
        return "needed"
    return f"`{value!r}`"


def render_type(kind: Any) -> str:
    """A type in words: `text or list of text`. None goes unsaid: it is the default of what may be it."""
    if kind is type(None):
        return ""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return render_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(text for text in map(render_type, arguments) if text))
    if origin is Literal:
        return ", ".join(f"`{word!r}`" for word in arguments)
    name = getattr(origin or kind, "__name__", str(kind))
    shown = f"[`{name}`]({OPTIONS[name]}.md)" if name in OPTIONS else _PLAIN.get(name, f"`{name}`")
    inner = [render_type(argument) for argument in arguments if argument is not ...]
    if not inner or shown == "function":
        return shown
    return f"{shown} of {' to '.join(inner)}"


_PLAIN: Final = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "yes or no",
    "Any": "anything",
    "list": "list",
    "Sequence": "list",
    "tuple": "list",
    "dict": "dict",
    "Mapping": "dict",
    "Callable": "function",
}


def _is_number(kind: Any) -> bool:
    if kind in (int, float):
        return True
    return typing.get_origin(kind) in (typing.Union, types.UnionType, Annotated) and any(
        _is_number(argument) for argument in typing.get_args(kind)
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
