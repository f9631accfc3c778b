"""Tools of this dialect: the caller's functions, the vendor's own tools, the choice among them, and the beta headers they need."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.schemas.request import LLMRequest
from llmring.wire.anthropic_messages.schema import count_hard_parts, fit_strict
from llmring.wire.base import Target
from llmring.wire.json_schema import strict_tool

# Beta headers by type of tool, from `AnthropicBetaParam` and the tool types of the anthropic SDK 2.11.0 (2026-11-21). A tool that is
# not named here is generally available. https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-reference
BETAS: Final[Mapping[str, str]] = {
    "computer_20241022": "computer-use-2024-10-22",
    "bash_20241022": "computer-use-2024-10-22",
    "text_editor_20241022": "computer-use-2024-10-22",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "code_execution_20250522": "code-execution-2025-05-22",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "mcp_toolset": "mcp-client-2025-11-20",
}
FILES_BETA: Final = "files-api-2025-04-14"  # https://platform.claude.com/docs/en/build-with-claude/files (2026-11-21)

# What the members of a toolset are called: calls of them carry the toolset's name, and so do their results. Keys of the SDK's
# `ComputerToolsetConfigsParam` and `BrowserToolsetConfigsParam`.
_POINTER: Final = (
    "double_click hold_key key left_click left_click_drag left_mouse_down left_mouse_up middle_click mouse_move right_click "
    "screenshot scroll triple_click type wait zoom"
)
_TOOLSETS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "computer_toolset_20260801": ("computer", frozenset(f"{_POINTER} cursor_position".split())),
    "browser_toolset_20260801": (
        "browser",
        frozenset(
            f"{_POINTER} close_tab file_upload find form_input get_page_text hover javascript_exec list_tabs navigate new_tab "
            "read_console read_network read_page scroll_to switch_tab".split()
        ),
    ),
}
# Of the strict tools of a request together; more is answered with a 400. Told in https://github.com/camel-ai/camel/pull/4171 and
# https://github.com/genkit-ai/genkit/issues/5230 (2026-11-21).
_MAX_STRICT: Final = 20
_MAX_OPTIONAL: Final = 24
_MAX_UNIONS: Final = 16

_log = logging.getLogger("llmring.wire")

_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}


def encode_tools(request: LLMRequest, target: Target, betas: list[str]) -> list[dict[str, Any]]:
    """The `tools` of a body; what is no function of the caller's is passed on as it is."""
    given, strict = request.tools or (), target.quirks.strict_tools
    tools = [_encode_tool(tool, strict=strict) for tool in given]
    if strict and not _can_be_strict(tools):
        _log.debug("the tools are sent without strict: together they are more than the API takes so")
        tools = [_encode_tool(tool, strict=False) for tool in given]
    if request.computer_use is not None:
        tools.append(_encode_computer(request, target))
    for tool in tools:
        beta = BETAS.get(str(tool.get("type")))
        if beta is not None and beta not in betas:
            betas.append(beta)
    return tools


def _can_be_strict(tools: Sequence[Mapping[str, Any]]) -> bool:
    schemas = [tool["input_schema"] for tool in tools if tool.get("strict")]
    parts = [count_hard_parts(schema) for schema in schemas]
    return (
        len(schemas) <= _MAX_STRICT
        and sum(optional for optional, _ in parts) <= _MAX_OPTIONAL
        and sum(unions for _, unions in parts) <= _MAX_UNIONS
    )


def _encode_tool(tool: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    function = tool.get("function")
    if isinstance(function, Mapping):
        rest = {name: value for name, value in tool.items() if name not in ("type", "function")}
        return _encode_function(cast("Mapping[str, Any]", function), rest, strict=strict)
    if tool.get("type") == "function":  # the flat form of Responses
        return _encode_function({name: value for name, value in tool.items() if name != "type"}, {}, strict=strict)
    return tool


def _encode_function(given: Mapping[str, Any], rest: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    function = strict_tool(given, by_default=strict, fit=fit_strict)
    written: dict[str, Any] = {"name": function.get("name")}
    if function.get("description") is not None:
        written["description"] = function["description"]
    given_schema: Any = function.get("parameters") or {}
    if not isinstance(given_schema, Mapping):
        raise ConfigurationError(
            f"tools: the parameters of {function.get('name')!r} are no object", hint="give a JSON schema"
        )
    schema = dict(cast("Mapping[str, Any]", given_schema))
    if "type" not in schema:
        empty: dict[str, Any] = {} if schema else {"properties": {}}
        schema = {"type": "object", **empty, **schema}
    written["input_schema"] = schema
    if function.get("strict") is not None:
        written["strict"] = function["strict"]
    return {**written, **rest}


def _encode_computer(request: LLMRequest, target: Target) -> dict[str, Any]:
    kind, screen = target.quirks.computer_tool, request.computer_use
    if kind is None or screen is None:
        raise ConfigurationError(
            f"computer_use: {target.provider}:{target.model} is not known to work a computer",
            hint="use a model that does, or give its tool in tools",
        )
    if kind in _TOOLSETS:
        return {"type": kind}  # it learns the size of the screen from screenshots
    return {
        "type": kind,
        "name": "computer",
        "display_width_px": screen.display_width,
        "display_height_px": screen.display_height,
    }


def toolset_of(name: str, tools: Sequence[Mapping[str, Any]]) -> str | None:
    """The toolset that a called tool belongs to; None for a tool of its own."""
    if any(tool.get("name") == name for tool in tools):
        return None
    for tool in tools:
        family, members = _TOOLSETS.get(str(tool.get("type")), ("", frozenset[str]()))
        if name in members:
            return family
    return None


def encode_tool_choice(
    request: LLMRequest, tools: Sequence[Mapping[str, Any]], target: Target
) -> dict[str, Any] | None:
    """The `tool_choice` of a body, None for none: the API refuses one without tools."""
    choice = request.tool_choice
    written: dict[str, Any] | None
    if isinstance(choice, str):
        written = {"type": _CHOICES[choice]} if choice in _CHOICES else _named(choice, tools)
    elif choice is not None:
        written = _read_choice(choice)
    else:
        written = {"type": "auto"} if request.parallel_tool_calls is False else None
    if written is None or (not tools and written["type"] in ("auto", "none")):
        return None
    if not tools:
        raise ConfigurationError("tool_choice: there is no tool to choose", hint="give tools, or leave tool_choice out")
    if written["type"] in ("any", "tool") and target.quirks.forced_tools == "never":
        raise ConfigurationError(
            f"tool_choice: {target.provider}:{target.model} cannot be made to call a tool",
            hint="use tool_choice 'auto', or response_format for an answer of a fixed shape",
        )
    if request.parallel_tool_calls is False and written["type"] != "none":
        written["disable_parallel_tool_use"] = True
    return written


def _read_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    match choice:
        case {"type": "function", "function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
            return {"type": "tool", "name": name}
        case {"type": str()}:
            return dict(choice)
        case _:
            raise ConfigurationError(
                "tool_choice: an object needs a type", hint="name a tool, or say auto, none or required"
            )


def _named(choice: str, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = [str(tool["name"]) for tool in tools if "name" in tool]
    if choice not in names:
        close = difflib.get_close_matches(choice, [*_CHOICES, *names], n=1)
        raise ConfigurationError(
            f"tool_choice: {choice!r} is none of auto, none, required, and no tool of this request",
            hint=f"did you mean {close[0]}?" if close else f"tools: {', '.join(names) or 'none'}",
        )
    return {"type": "tool", "name": choice}


def decode_tool(tool: object) -> object:
    """A tool as a client of this dialect gives it, as ours: the client's own become functions."""
    if not isinstance(tool, Mapping):
        return tool
    given = dict(cast("Mapping[str, Any]", tool))
    if given.get("type") not in (None, "custom") or "input_schema" not in given:
        return given
    given.pop("type", None)
    names = {"name": "name", "description": "description", "input_schema": "parameters", "strict": "strict"}
    function = {ours: given.pop(theirs) for theirs, ours in names.items() if theirs in given}
    return {"type": "function", "function": function, **given}


def decode_tool_choice(value: object) -> tuple[object, bool | None]:
    """Our `tool_choice` and `parallel_tool_calls` of a client's `tool_choice`."""
    if not isinstance(value, Mapping):
        return value, None
    given = cast("Mapping[str, Any]", value)
    parallel = False if given.get("disable_parallel_tool_use") is True else None
    match given.get("type"):
        case "tool":
            return given.get("name"), parallel
        case "any":
            return "required", parallel
        case kind:
            return kind, parallel
