"""Tools of this dialect: the caller's functions, the vendor's own tools, and the choice among them.

https://ai.google.dev/gemini-api/docs/function-calling (2026-11-21)
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.schemas.request import LLMRequest, mark_strict
from llmring.wire.base import Target

_CHOICES: Final[Mapping[str, str]] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def encode_tools(request: LLMRequest, target: Target) -> tuple[list[dict[str, Any]], bool]:
    """The `tools` of a body, and whether a function's arguments are to be held to its schema. What is no function of the
    caller's is passed on as it is."""
    given: Sequence[dict[str, Any]] = request.tools or ()
    if target.quirks.strict_tools:
        given = mark_strict(given, True)
    functions: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    is_strict = False
    for tool in given:
        function = _function_of(tool)
        if function is None:
            tools.append(tool)
        else:
            functions.append(_declare(function))
            is_strict = is_strict or function.get("strict") is True
    if request.computer_use is not None:
        tools.append(_encode_computer(request, target))
    if functions:
        tools.append({"functionDeclarations": functions})
    return tools, is_strict


def _function_of(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    function = tool.get("function")
    if isinstance(function, Mapping):
        return cast("Mapping[str, Any]", function)
    return tool if tool.get("type") == "function" else None  # the flat form of Responses


def _declare(function: Mapping[str, Any]) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": function.get("name")}
    if function.get("description") is not None:
        declaration["description"] = function["description"]
    schema = function.get("parameters")
    if schema:  # a function without parameters has no schema here
        declaration["parametersJsonSchema"] = schema
    return declaration


def _encode_computer(request: LLMRequest, target: Target) -> dict[str, Any]:
    """https://ai.google.dev/gemini-api/docs/computer-use (2026-11-21). Coordinates come as parts of 1000: no size is told."""
    screen = request.computer_use
    if target.quirks.computer_tool is None or screen is None:
        raise ConfigurationError(
            f"computer_use: {target.provider}:{target.model} is not known to work a computer",
            hint="use a model that does, or give its tool in tools",
        )
    kind = "BROWSER" if screen.environment == "browser" else "DESKTOP"
    return {"computerUse": {"environment": f"ENVIRONMENT_{kind}"}}


def encode_tool_config(
    request: LLMRequest, tools: Sequence[Mapping[str, Any]], *, is_strict: bool
) -> dict[str, Any] | None:
    """The `toolConfig` of a body; None where there is nothing to say."""
    choice = request.tool_choice
    if choice is None:
        config: dict[str, Any] = {"mode": "AUTO"}
        if not is_strict:
            return None
    elif isinstance(choice, str):
        config = {"mode": _CHOICES[choice]} if choice in _CHOICES else _named(choice, tools)
    else:
        match choice:
            case {"functionCallingConfig": _}:
                return choice
            case {"type": "function", "function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
                config = _named(name, tools)
            case _:
                raise ConfigurationError(
                    "tool_choice: an object names a function, or holds a functionCallingConfig",
                    hint="name a tool, or say auto, none or required",
                )
    if not tools:
        if config["mode"] == "ANY":
            raise ConfigurationError(
                "tool_choice: there is no tool to choose", hint="give tools, or leave tool_choice out"
            )
        return None
    if is_strict and config["mode"] == "AUTO":
        # Arguments that follow their schema, without a call being forced: `FunctionCallingConfigMode` of google-genai 3.4.0.
        config["mode"] = "VALIDATED"
    return {"functionCallingConfig": config}


def _named(choice: str, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = [str(function.get("name")) for tool in tools for function in tool.get("functionDeclarations") or ()]
    if choice not in names:
        close = difflib.get_close_matches(choice, [*_CHOICES, *names], n=1)
        raise ConfigurationError(
            f"tool_choice: {choice!r} is none of auto, none, required, and no tool of this request",
            hint=f"did you mean {close[0]}?" if close else f"tools: {', '.join(names) or 'none'}",
        )
    return {"mode": "ANY", "allowedFunctionNames": [choice]}
