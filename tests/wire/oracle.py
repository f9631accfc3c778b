"""What we did not write judges the dialects: walkers over the vendors' own types, stricter than their SDKs are.

The SDKs are lenient (models keep unknown keys, TypedDicts check nothing): here an unknown key, a missing one or a value of the
wrong type, at any depth, is found.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, cast, get_args, get_origin

import typing_extensions
from pydantic import BaseModel, ValidationError


def misfits(value: Any, annotation: Any, path: str = "") -> list[str]:
    """Where a value does not fit an annotation built of TypedDicts, unions, literals, lists and dicts."""
    while hasattr(annotation, "__value__"):
        annotation = annotation.__value__
    origin = get_origin(annotation)
    if annotation is Any or annotation is object:
        return []
    if origin in (typing.Required, typing_extensions.Required, typing.Annotated):
        return misfits(value, get_args(annotation)[0], path)
    if origin in (Union, types.UnionType):
        tries = [misfits(value, option, path) for option in get_args(annotation)]
        return min(tries, key=lambda found: (len(found), -max(map(len, found), default=0)))
    if origin is Literal:
        return [] if value in get_args(annotation) else [f"{path}: {value!r} is none of {get_args(annotation)}"]
    if typing_extensions.is_typeddict(annotation):
        return _typed_dict_misfits(value, annotation, path)
    if origin in (list, collections.abc.Iterable, collections.abc.Sequence) or "Sequence" in str(origin or annotation):
        if not isinstance(value, list):
            return [f"{path}: no list"]
        item = (get_args(annotation) or (Any,))[0]
        return [m for n, child in enumerate(cast("list[Any]", value)) for m in misfits(child, item, f"{path}[{n}]")]
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            return [f"{path}: no object"]
        item = get_args(annotation)[1]
        return [m for k, child in cast("dict[str, Any]", value).items() for m in misfits(child, item, f"{path}.{k}")]
    wanted: Any = (int, float) if annotation is float else origin or annotation
    fits = isinstance(value, wanted) and not (isinstance(value, bool) and annotation is not bool)
    return [] if fits else [f"{path}: {value!r} is no {annotation}"]


def _typed_dict_misfits(value: Any, annotation: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    given = cast("dict[str, Any]", value)
    hints = typing_extensions.get_type_hints(annotation, include_extras=True)
    found = [f"{path}.{name}: no such key" for name in given if name not in hints]
    found += [f"{path}.{name}: missing" for name in annotation.__required_keys__ if name not in given]
    return found + [m for name in given if name in hints for m in misfits(given[name], hints[name], f"{path}.{name}")]


def extras(model: BaseModel, path: str = "") -> Iterator[str]:
    """Every key, at any depth, that the SDK's models keep without knowing it."""
    for name in model.model_extra or {}:
        yield f"{path}.{name}"
    for name in type(model).model_fields:
        value = getattr(model, name, None)
        for n, item in enumerate(cast("list[Any]", value) if isinstance(value, list) else [value]):
            if isinstance(item, BaseModel):
                yield from extras(item, f"{path}.{name}[{n}]")


def check_reply(data: Any, kind: type[BaseModel], allowed: Mapping[str, str]) -> list[str]:
    try:
        model = kind.model_validate(data)
    except ValidationError as error:
        return [f"{'.'.join(map(str, step['loc']))}: {step['msg']}" for step in error.errors()]
    return [path for path in extras(model) if path.rpartition(".")[2] not in allowed]
