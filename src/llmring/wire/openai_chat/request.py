"""A request in this dialect: written from `LLMRequest` as a client sends it, and read into one as a server gets it.

Nothing unasked is sent: None is left out, everything else goes as it is, white space and empty values included. The
request is read only; a body may share lists and dicts with it, so a body is not for changing in place either.
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from pydantic import ValidationError

from llmring.exceptions import ConfigurationError, InvalidRequestError
from llmring.schemas.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolOutputPart,
    ToolUsePart,
)
from llmring.schemas.request import LLMRequest, mark_strict
from llmring.schemas.response_format import ResponseFormat, read_response_format
from llmring.schemas.tools import ToolCall
from llmring.wire.base import EncodedRequest, Quirks, Target

PATH: Final = "/chat/completions"

# Fields that the dialect spells as we do. https://platform.openai.com/docs/api-reference/chat/create; top_k is the
# common extension (vLLM, llama.cpp, OpenRouter).
_SAME: Final = (
    "temperature",
    "top_p",
    "stop",
    "tools",
    "reasoning_effort",
    "logprobs",
    "top_logprobs",
    "seed",
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
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        content = message.content
        role = message.role
        if role is Role.USER and content.__class__ is str and message.name is None:
            messages.append({"role": "user", "content": content})
        else:
            _encode_message(message, quirks.system_role, messages, warnings)
    body["messages"] = messages

    given = request.__dict__  # one dict look-up a field: attributes would cost half of the whole encoding
    for name in _SAME:
        value = given[name]
        if value is not None:
            body[name] = value
    if request.max_tokens is not None:
        body[quirks.max_tokens_field] = request.max_tokens
    if request.temperature is not None:
        _check_temperature(request.temperature, target)
    if request.tools is not None and quirks.strict_tools:
        body["tools"] = mark_strict(request.tools, True)
    if request.tool_choice is not None:
        body["tool_choice"] = _encode_tool_choice(request)
    if request.response_format is not None:
        body["response_format"] = encode_response_format(request.response_format)
    if request.files:
        raise ConfigurationError(f"files: no registered file has the id {request.files[0]!r}")
    if request.prompt_cache is not None:
        warnings.append("prompt_cache was left out: openai_chat has no words for it")
    if request.extra_params:
        _add_extra_params(body, request, quirks)
    if under:
        _lay_under(body, under)
    if stream:
        body["stream"] = True
        if quirks.stream_usage:
            body["stream_options"] = {"include_usage": True, **(body.get("stream_options") or {})}
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


def encode_response_format(value: Any) -> dict[str, Any]:
    """The `response_format` of a body. A schema is sent as it was given, `strict` only where the caller said so."""
    wanted = read_response_format(value)
    if wanted is None or wanted.kind != "json_schema":
        return {"type": "text" if wanted is None else wanted.kind}
    return {"type": "json_schema", "json_schema": _encode_schema(wanted)}


def _encode_schema(wanted: ResponseFormat) -> dict[str, Any]:
    schema: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema}
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return schema


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


# Messages -----------------------------------------------------------------------------------------------------------


def _encode_message(message: Message, system_role: str, messages: list[dict[str, Any]], warnings: list[str]) -> None:
    role = message.role
    match role:
        case Role.SYSTEM:
            _put(messages, system_role, message, _text_content(message))
        case Role.USER:
            parts = message.content
            if isinstance(parts, list):
                # Results follow the calls that they answer; what else the user says comes after them.
                _put_outputs(messages, parts)
                parts = [part for part in parts if not isinstance(part, ToolOutputPart)]
                if message.content and not parts:
                    return
                parts = [_encode_part(part, role) for part in parts]
            _put(messages, "user", message, parts)
        case Role.ASSISTANT:
            _put_assistant(messages, message, warnings)
        case Role.TOOL:
            _put_tool_results(messages, message)


def _put(messages: list[dict[str, Any]], role: str, message: Message, content: object) -> dict[str, Any]:
    written: dict[str, Any] = {"role": role, "content": content}
    if message.name is not None:
        written["name"] = message.name
    messages.append(written)
    return written


def _text_content(message: Message) -> str | list[dict[str, Any]] | None:
    content = message.content
    return content if not isinstance(content, list) else [_encode_part(part, message.role) for part in content]


def _encode_part(part: Part, role: Role) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart() if role is Role.USER:
            image: dict[str, Any] = {"url": part.url or _data_url(part)}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case FilePart() if role is Role.USER:
            if part.file_id is not None:
                return {"type": "file", "file": {"file_id": part.file_id}}
            file = {"file_data": _data_url(part)}
            if part.filename is not None:
                file["filename"] = part.filename
            return {"type": "file", "file": file}
        case _:
            raise ConfigurationError(f"openai_chat cannot say a part of type {part.type!r} in a {role.value} message")


def _data_url(part: ImagePart | FilePart) -> str:
    return f"data:{part.media_type};base64,{base64.b64encode(part.data or b'').decode()}"


def _put_assistant(messages: list[dict[str, Any]], message: Message, warnings: list[str]) -> None:
    content: Any = message.content
    calls: list[ToolCall] = list(message.tool_calls or ())
    if isinstance(content, list):
        parts = cast("list[Part]", content)
        known = {call.id for call in calls}
        calls += [
            ToolCall(part.id, part.name, part.arguments)
            for part in parts
            if isinstance(part, ToolUsePart) and part.id not in known
        ]
        if any(isinstance(part, ThinkingPart) for part in parts):
            warnings.append("thinking was left out of an assistant message: openai_chat has no words for it")
        said = [part for part in parts if not isinstance(part, (ToolUsePart, ThinkingPart))]
        if len(said) <= 1 and all(isinstance(part, TextPart) for part in said):
            # One text is written as text: many servers take no parts from the assistant.
            content = cast("TextPart", said[0]).text if said else (None if calls else "")
        else:
            content = [_encode_part(part, Role.ASSISTANT) for part in said]
    written = _put(messages, "assistant", message, content)
    if calls:
        written["tool_calls"] = calls


def _put_tool_results(messages: list[dict[str, Any]], message: Message) -> None:
    # `name` is not sent: a tool message of this dialect has none, its call has.
    content: Any = message.content
    if isinstance(content, list):
        parts = cast("list[Part]", content)
        _put_outputs(messages, parts)
        rest = [part for part in parts if not isinstance(part, ToolOutputPart)]
        if parts and not rest:
            return
        if message.tool_call_id is None:
            raise ConfigurationError("a tool message with parts besides its tool outputs needs tool_call_id")
        content = [_encode_part(part, Role.TOOL) for part in rest]
    messages.append({"role": "tool", "tool_call_id": message.tool_call_id, "content": content})


def _put_outputs(messages: list[dict[str, Any]], parts: Iterable[Part]) -> None:
    messages += [
        {"role": "tool", "tool_call_id": part.tool_call_id, "content": part.content}
        for part in parts
        if isinstance(part, ToolOutputPart)
    ]


# The server side ----------------------------------------------------------------------------------------------------

_READ_AS_THEY_ARE: Final = frozenset({*_SAME, "response_format"})
# What clients send back when they put a reply's message into the next request, and what says nothing new there.
_ECHOES: Final = ("annotations", "audio", "refusal", "function_call", "reasoning_content", "reasoning")


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
        return LLMRequest.model_validate(given)
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
    reasoning = echoes["reasoning_content"] or echoes["reasoning"]
    if isinstance(reasoning, str):
        content = given.get("content")
        if isinstance(content, (str, list)) or content is None:
            said = cast("list[Any]", [content] if isinstance(content, str) else content or [])
            given["content"] = [{"type": "thinking", "text": reasoning}, *said]
    return given
