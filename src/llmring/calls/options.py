"""Defaults of a ring laid under a request: the request's own value always wins, key by key for params and headers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from llmring.exceptions import ConfigurationError
from llmring.schemas.request import LLMRequest, RequestOptions, mark_strict

# What a request asks for, beside its prompt, what no provider sees, and what is merged key by key.
_ASKED = set(LLMRequest.model_fields) - {"model", "messages", "metadata", "sampling", "extra_params", "extra_headers"}
# Fields of RequestOptions that stand on LLMRequest under the same name.
_SHARED = tuple(
    field.name
    for field in dataclasses.fields(RequestOptions)
    if field.name not in {"extra_params", "extra_headers", "sampling"}
)

# A field's names in a body, where they are not its own.
_SPELLINGS = {"max_tokens": ("max_tokens", "max_completion_tokens")}


class Defaults:
    """A ring's `RequestOptions`, read once, so that laying them under a request costs one pass.

    Raises ConfigurationError for what is no `RequestOptions`.
    """

    __slots__ = ("_headers", "_strict_tools", "_values", "extra_params", "options")

    def __init__(self, options: RequestOptions) -> None:
        if not isinstance(options, RequestOptions):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise ConfigurationError(
                f"defaults: a RequestOptions is wanted, not {type(options).__name__}", hint="RequestOptions(…)"
            )
        self.options = options
        # What is set directly wins over `sampling`.
        values = options.sampling.request_fields() if options.sampling is not None else {}
        for name in _SHARED:
            value = getattr(options, name)
            if value is not None:
                values[name] = value
        self._values = values
        self._strict_tools = options.sampling.strict_tools if options.sampling is not None else None
        self._headers = dict(options.extra_headers or {})
        # Kept apart from the request's own extra_params: there a key that contradicts a typed field is a mistake, here it yields.
        self.extra_params: Mapping[str, Any] | None = dict(options.extra_params) if options.extra_params else None

    def lay_under(self, request: LLMRequest) -> LLMRequest:
        """The request with defaults where it says nothing. Neither the request nor a default can be changed through it."""
        said = request.extra_params or {}
        update = {
            name: _own(value)
            for name, value in self._values.items()
            if getattr(request, name) is None and not any(key in said for key in _SPELLINGS.get(name, (name,)))
        }
        tools = update.get("tools", request.tools)
        if self._strict_tools is not None and tools:
            update["tools"] = mark_strict(tools, self._strict_tools)
        if self._headers:
            update["extra_headers"] = _merge_headers(self._headers, request.extra_headers or {})
        return request.model_copy(update=update) if update else request

    def layers(self, request: LLMRequest) -> dict[str, tuple[Any, str]]:
        """What a request with these defaults asks for: value, as JSON data, and the layer it comes from, by field."""
        own = request_layer(request)
        found = {f"extra_params.{name}": (value, "instance") for name, value in (self.extra_params or {}).items()}
        for name, (value, layer) in request_layer(self.lay_under(request)).items():
            found[name] = (value, layer if name in own else "instance")
        return dict(sorted(found.items()))


def lay_under(options: RequestOptions, request: LLMRequest, said: Mapping[str, Any] | None) -> LLMRequest:
    """A provider's own defaults under a request that holds the ring's. said: keys of the body that the ring sets."""
    if said:
        spoken = {field for field, names in _SPELLINGS.items() if not said.keys().isdisjoint(names)} | said.keys()
        taken = {name: None for name in _SHARED if name in spoken}
        options = dataclasses.replace(options, **taken)
    return Defaults(options).lay_under(request)


def provider_layer(
    options: RequestOptions, request: LLMRequest, said: Mapping[str, Any] | None
) -> dict[str, tuple[Any, str]]:
    """What a provider's own defaults add to a request that holds the ring's. said: as for `lay_under`."""
    own = request_layer(request)
    laid = request_layer(lay_under(options, request, said))
    return {name: (value, "provider") for name, (value, _) in sorted(laid.items()) if name not in own}


def request_layer(request: LLMRequest) -> dict[str, tuple[Any, str]]:
    """What the request itself asks for, as JSON data, by field."""
    asked = request.model_dump(mode="json", include=_ASKED)
    found: dict[str, tuple[Any, str]] = {name: (value, "request") for name, value in asked.items() if value is not None}
    found |= {f"extra_params.{name}": (value, "request") for name, value in (request.extra_params or {}).items()}
    return found | {
        f"extra_headers.{name}": (value, "request") for name, value in (request.extra_headers or {}).items()
    }


def _own(value: Any) -> Any:
    return list(cast("list[Any]", value)) if isinstance(value, list) else value


def _merge_headers(under: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    replaced = {name.lower() for name in over}
    return {name: value for name, value in under.items() if name.lower() not in replaced} | dict(over)
