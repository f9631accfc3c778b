"""A request in this dialect: written from `LLMRequest` as a client sends it, and read into one as a server gets it.

Nothing unasked is sent: None is left out, everything else goes as it is, white space and empty values included. The
request is read only; a body may share lists and dicts with it, so a body is not for changing in place either.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import ValidationError

from llmring.exceptions import ConfigurationError, InvalidRequestError
from llmring.schemas.messages import FOREIGN, Message, Role
from llmring.schemas.request import LLMRequest, ReasoningEffort
from llmring.schemas.response_format import ResponseFormat, read_response_format
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.openai_chat.messages import DETAILS, NAME, Turns
from llmring.wire.thinking import nearest_effort

PATH: Final = "/chat/completions"

# Fields that the dialect spells as we do. https://platform.openai.com/docs/api-reference/chat/create; top_k is the
# common extension (vLLM, llama.cpp, OpenRouter).
_SAME: Final = (
    "temperature",
    "top_p",
    "stop",
    "tools",
    "logprobs",
    "top_logprobs",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "parallel_tool_calls",
    "service_tier",
)
_MAX_TOKENS: Final = ("max_tokens", "max_completion_tokens")
_TOOL_CHOICES: Final = frozenset({"auto", "none", "required"})


def encode(
    request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
) -> EncodedRequest:
    """The request as a body for `target`; `under` fills in what it leaves open. Raises ConfigurationError for what the
    dialect cannot say."""
    quirks = target.quirks
    encoded = EncodedRequest(PATH, {"model": target.model})
    body, warnings = encoded.body, encoded.warnings
    asked = request.messages
    if request.response_format is not None:
        asked = _ask_for_format(request, target, encoded)
    turns = Turns(target, warnings)
    messages = turns.messages
    for message in asked:
        content = message.content
        if message.role is Role.USER and content.__class__ is str and message.name is None and not turns.has_media:
            messages.append({"role": "user", "content": content})
        else:
            turns.add(message)
    body["messages"] = turns.end()

    given = request.__dict__  # one dict look-up a field: attributes would cost half of the whole encoding
    for name in _SAME:
        value = given[name]
        if value is not None:
            body[name] = value
    if request.seed is not None:
        body[quirks.seed_field] = request.seed
    if request.reasoning_effort is not None:
        _encode_effort(body, request.reasoning_effort, target, warnings)
    if request.max_tokens is not None:
        body[quirks.max_tokens_field] = request.max_tokens
    if request.temperature is not None:
        _check_temperature(request.temperature, target)
    if request.tools is not None:
        body["tools"] = [_encode_tool(tool, quirks.strict_tools) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _encode_tool_choice(request)
    if request.files:
        raise ConfigurationError(f"files: no registered file has the id {request.files[0]!r}")
    if request.prompt_cache not in (None, "automatic"):  # what is automatic needs no words
        warnings.append("prompt_cache was left out: openai_chat has no words for it")
    if request.extra_params:
        _add_extra_params(body, request, quirks)
    if under:
        _lay_under(body, under)
    for name, value in quirks.unasked:
        body.setdefault(name, value)
    if stream:
        body["stream"] = True
        if quirks.stream_usage:
            asked_options: Any = body.get("stream_options") or {}
            if not isinstance(asked_options, Mapping):
                raise ConfigurationError("extra_params: stream_options is no object")
            body["stream_options"] = {"include_usage": True, **asked_options}
    for name in quirks.rejected:
        if name in body:
            del body[name]
            warnings.append(f"{name} was left out: {target.provider}:{target.model} does not take it")
    if request.extra_headers:
        encoded.headers.update(request.extra_headers)
    return encoded


def _check_temperature(temperature: float, target: Target) -> None:
    limit = target.quirks.temperature_max
    if temperature > limit and "temperature" not in target.quirks.rejected:
        raise ConfigurationError(
            f"temperature {temperature:g} is above the limit of {target.provider}:{target.model}, which is {limit:g}"
        )


def _encode_effort(body: dict[str, Any], effort: ReasoningEffort, target: Target, warnings: list[str]) -> None:
    quirks, name = target.quirks, f"{target.provider}:{target.model}"
    efforts = quirks.efforts
    if efforts == () or (efforts == ("none",) and effort != "none"):
        if effort != "none":  # who asks for no thinking gets none
            why = "does not think" if efforts == () else "can only be told not to think"
            warnings.append(f"reasoning_effort was left out: {name} {why}")
        return
    if efforts is not None and effort not in efforts:
        level = nearest_effort(effort, efforts)
        why = "cannot do without thinking" if effort == "none" else "does not know that level"
        warnings.append(f"reasoning_effort {effort!r} was sent as {level!r}: {name} {why}")
        effort = level
    if effort != "none" or quirks.effort_none == "level":
        body["reasoning_effort"] = effort
    elif quirks.effort_none == "thinking":
        body["thinking"] = {"type": "disabled"}
    else:
        body["reasoning"] = {"enabled": False}


def _encode_tool_choice(request: LLMRequest) -> str | dict[str, Any]:
    choice = request.tool_choice
    if not isinstance(choice, str):
        return choice or {}
    if choice in _TOOL_CHOICES:
        return choice
    names = [str(tool.get("function", tool).get("name")) for tool in request.tools or ()]
    if choice not in names:
        close = difflib.get_close_matches(choice, [*_TOOL_CHOICES, *names], n=1)
        raise ConfigurationError(
            f"tool_choice: {choice!r} is none of auto, none, required, and no tool of this request",
            hint=f"did you mean {close[0]}?" if close else f"tools: {', '.join(names) or 'none'}",
        )
    return {"type": "function", "function": {"name": choice}}


def _ask_for_format(request: LLMRequest, target: Target, encoded: EncodedRequest) -> list[Message]:
    """Writes `response_format`; gives the messages, with words that ask for the format where the model cannot be held to it."""
    from llmring.wire.json_schema import ask_for, with_instruction

    wanted = read_response_format(request.response_format)
    ask = ask_for(wanted, target)
    if wanted is not None and ask.kind == "json_schema":
        schema, warning = _encode_schema(wanted, target.quirks)
        encoded.body["response_format"] = {"type": "json_schema", "json_schema": schema}
    else:
        warning = ask.warning
        if ask.instruction is None or ask.kind != "text":
            encoded.body["response_format"] = {"type": ask.kind}
    if warning is not None:
        encoded.warnings.append(warning)
    return request.messages if ask.instruction is None else with_instruction(request.messages, ask.instruction)


def _encode_schema(wanted: ResponseFormat, quirks: Quirks) -> tuple[dict[str, Any], str | None]:
    from llmring.wire.json_schema import strict_answer

    schema, strict, warning = strict_answer(wanted, by_default=quirks.strict_tools)
    written: dict[str, Any] = {"name": wanted.name, "schema": schema}
    if wanted.description is not None:
        written["description"] = wanted.description
    if strict is not None:
        written["strict"] = strict
    return written, warning


def _encode_tool(tool: dict[str, Any], by_default: bool) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool  # a tool of the provider's own
    own = cast("Mapping[str, Any]", function)
    if not by_default and not own.get("strict"):
        return tool
    from llmring.wire.json_schema import strict_tool

    return {**tool, "function": strict_tool(own, by_default=by_default)}


def _add_extra_params(body: dict[str, Any], request: LLMRequest, quirks: Quirks) -> None:
    for name, value in (request.extra_params or {}).items():
        key = name
        if name in _MAX_TOKENS and request.max_tokens is not None:
            key = quirks.max_tokens_field  # two spellings of one field; servers refuse both at once
        if key in body and body[key] != value:
            raise ConfigurationError(
                f"extra_params: {name!r} is also a field of the request, with another value",
                hint=f"set {'max_tokens' if name in _MAX_TOKENS else name} once",
            )
        body[key] = value


def _lay_under(body: dict[str, Any], under: Mapping[str, Any]) -> None:
    for name, value in under.items():
        # Two spellings of one field, and servers refuse both at once: whichever stands there already counts.
        if name not in _MAX_TOKENS or body.keys().isdisjoint(_MAX_TOKENS):
            body.setdefault(name, value)


# The server side ----------------------------------------------------------------------------------------------------

_READ_AS_THEY_ARE: Final = frozenset({*_SAME, "reasoning_effort", "response_format", "seed"})
# What clients send back when they put a reply's message into the next request, and what says nothing new there.
_ECHOES: Final = ("annotations", "audio", "refusal", "function_call", "reasoning_content", "reasoning", DETAILS)


def decode_request(body: Mapping[str, Any]) -> LLMRequest:
    """What a client of this dialect sent, as our request; keys that we have no field for go into `extra_params`.

    `stream` and `stream_options.include_usage` are for the server to look at in the body itself. Raises
    InvalidRequestError (status 400) for a body that is no request; the message names the field and quotes no content.
    """
    given: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name == "stream":
            continue
        if name == "messages":
            given[name] = _decode_messages(value)
        elif name == "model" or name in _READ_AS_THEY_ARE:
            given[name] = value
        elif name == "tool_choice":
            given[name] = _decode_tool_choice(value)
        elif name in _MAX_TOKENS:
            if given.setdefault("max_tokens", value) != value:
                raise _invalid("max_tokens and max_completion_tokens are one setting and were given two values")
        elif name == "stream_options" and isinstance(value, Mapping):
            options = {
                key: option for key, option in cast("Mapping[str, Any]", value).items() if key != "include_usage"
            }
            if options:
                extra[name] = options
        else:
            extra[name] = value
    if extra:
        given["extra_params"] = extra
    try:
        return LLMRequest.model_validate(given, context=FOREIGN)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _invalid(f"{where or 'body'}: {first['msg']}") from None


def _invalid(message: str) -> InvalidRequestError:
    return InvalidRequestError(message, status=400)


def _decode_tool_choice(value: object) -> object:
    match value:
        case {"type": "function", "function": {"name": str(name)}} if name not in _TOOL_CHOICES:
            return name
        case _:
            return value


def _decode_messages(messages: object) -> object:
    if not isinstance(messages, list):
        return messages
    return [_decode_message(message) for message in cast("list[object]", messages)]


def _decode_message(message: object) -> object:
    if not isinstance(message, Mapping):
        return message
    given = {name: value for name, value in cast("Mapping[str, Any]", message).items() if value is not None}
    if given.get("role") == "developer":
        given["role"] = "system"
    if given.get("role") != "assistant":
        return given
    echoes = {name: given.pop(name, None) for name in _ECHOES}
    function_call = echoes["function_call"]
    if isinstance(function_call, Mapping) and "tool_calls" not in given:
        given["tool_calls"] = [{"id": "call_0", "function": function_call}]
    if not given.get("content") and echoes["refusal"] is not None:
        given["content"] = echoes["refusal"]
    reasoning, details = echoes["reasoning_content"] or echoes["reasoning"], echoes[DETAILS]
    thought: list[dict[str, Any]] = [{"type": "thinking", "text": reasoning}] if isinstance(reasoning, str) else []
    if isinstance(details, list):
        thought.append({"type": "provider", "dialect": NAME, "data": {DETAILS: details}})
    content = given.get("content")
    if isinstance(content, list):
        content = [_read_chunk(part) for part in cast("list[object]", content)]
    if (thought and (content is None or isinstance(content, str))) or isinstance(content, list):
        said = [content] if isinstance(content, str) else cast("list[object]", content or [])
        given["content"] = [*thought, *said]
    return given


def _read_chunk(part: object) -> object:
    """Thinking as Mistral writes it: see `messages.py`."""
    match part:
        case {"type": "thinking", "thinking": [{"type": "text", "text": str(text)}]}:
            signature = cast("Mapping[str, Any]", part).get("signature")
            return {"type": "thinking", "text": text, "signature": signature, "dialect": NAME}
        case _:
            return part
