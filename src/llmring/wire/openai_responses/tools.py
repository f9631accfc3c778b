"""Tools of this dialect: the caller's functions in its flat form, the provider's own tools as they are, and the choice among them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.schemas.request import LLMRequest
from llmring.wire.base import Target

_CHOICES: Final = ("auto", "none", "required")
_PREVIEW: Final = "computer_use_preview"


def encode_tools(request: LLMRequest, target: Target) -> list[dict[str, Any]]:
    """The `tools` of a body; what is no function of the caller's is passed on as it is."""
    tools = [_encode_tool(tool, target.quirks.strict_tools) for tool in request.tools or ()]
    if request.computer_use is not None:
        tools.append(_encode_computer(request, target))
    return tools


def _encode_tool(tool: dict[str, Any], by_default: bool) -> dict[str, Any]:
    function = tool.get("function")
    if isinstance(function, Mapping):  # the form of Chat Completions
        rest = {name: value for name, value in tool.items() if name not in ("type", "function")}
        return _encode_function(cast("Mapping[str, Any]", function), by_default) | rest
    return _encode_function(tool, by_default) if tool.get("type") == "function" else tool


def _encode_function(function: Mapping[str, Any], by_default: bool) -> dict[str, Any]:
    """`strict` is always said: here, unlike in Chat Completions, silence means that it is wanted.
    https://developers.openai.com/api/docs/guides/migrate-to-responses (2026-11-21)"""
    if function.get("strict") is not None or by_default:
        from llmring.wire.json_schema import strict_tool

        function = strict_tool(function, by_default=by_default)
    written = {"type": "function", **function, "strict": bool(function.get("strict"))}
    if written.get("parameters") is None:
        written["parameters"] = {"type": "object", "properties": {}}
    return written


def _encode_computer(request: LLMRequest, target: Target) -> dict[str, Any]:
    """https://developers.openai.com/api/docs/guides/tools-computer-use (2026-11-21)"""
    kind, screen = target.quirks.computer_tool, request.computer_use
    if kind is None or screen is None:
        raise ConfigurationError(
            f"computer_use: {target.provider}:{target.model} is not known to work a computer",
            hint="use a model that does, or give its tool in tools",
        )
    if kind != _PREVIEW:
        return {"type": kind}  # it learns the size of the screen from screenshots
    return {
        "type": kind,
        "display_width": screen.display_width,
        "display_height": screen.display_height,
        "environment": screen.environment,
    }


def needs_truncation(tools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the preview of the computer tool is among them, which wants `truncation: auto`:
    https://platform.openai.com/docs/guides/tools-computer-use (2026-11-21)"""
    return any(tool.get("type") == _PREVIEW for tool in tools)


def custom_tools(tools: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The names of tools whose input is free text."""
    return frozenset(str(tool.get("name")) for tool in tools if tool.get("type") == "custom")


def encode_tool_choice(choice: str | Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> str | dict[str, Any]:
    """The `tool_choice` of a body. Raises ConfigurationError for the name of a tool that is not there."""
    if not isinstance(choice, str):
        match choice:
            case {"type": "function", "function": {"name": str(name)}}:
                return {"type": "function", "name": name}
            case _:
                return dict(choice)
    if choice in _CHOICES:
        return choice
    for tool in tools:
        kind = str(tool.get("type"))
        if tool.get("name") == choice and kind in ("function", "custom"):
            return {"type": kind, "name": choice}
        if kind == choice:
            return {"type": kind}  # one of the provider's own, which have no other name
    names = [str(tool.get("name") or tool.get("type")) for tool in tools]
    close = difflib.get_close_matches(choice, [*_CHOICES, *names], n=1)
    raise ConfigurationError(
        f"tool_choice: {choice!r} is none of auto, none, required, and no tool of this request",
        hint=f"did you mean {close[0]}?" if close else f"tools: {', '.join(names) or 'none'}",
    )
