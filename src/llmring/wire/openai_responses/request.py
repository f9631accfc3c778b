"""A request in this dialect, written from `LLMRequest` as a client sends it.

https://developers.openai.com/api/reference/resources/responses/methods/create, and `ResponseCreateParams` of the openai SDK 3.52
(2026-11-21). `store: false` is the one thing that is sent unasked: the provider would keep every prompt and answer for 30 days. What
a model thought then comes sealed, and goes back so. The request is read only; a body may share lists and dicts with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.schemas.messages import Message
from llmring.schemas.request import LLMRequest, ReasoningEffort
from llmring.schemas.response_format import ResponseFormat, read_response_format
from llmring.wire.base import EncodedRequest, Target, parse_json
from llmring.wire.openai_responses.content import Turns
from llmring.wire.openai_responses.items import NAME
from llmring.wire.openai_responses.tools import encode_tool_choice, encode_tools, needs_truncation
from llmring.wire.thinking import nearest_effort

PATH: Final = "/responses"
COUNT_PATH: Final = "/responses/input_tokens"
SEALED_THINKING: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"

# Fields that the dialect spells as we do.
_SAME: Final = ("temperature", "top_p", "top_logprobs", "parallel_tool_calls", "service_tier")
_UNSAYABLE: Final = ("stop", "seed", "top_k", "frequency_penalty", "presence_penalty", "prompt_cache_ttl")
_MAX_TOKENS: Final = ("max_output_tokens", "max_completion_tokens", "max_tokens")
# Under these keys stand several settings, of which the request may say one and extra_params another.
_GROUPS: Final = ("reasoning", "text")
# What a count takes of a request: `InputTokenCountParams` of the openai SDK 3.52 (2026-11-21).
_COUNTED: Final = (
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
)


def encode(
    request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
) -> EncodedRequest:
    """The request as a body for `target`; `under` fills in what it leaves open. Raises ConfigurationError for what the
    dialect cannot say."""
    if stream and request.background:
        raise ConfigurationError(
            "background: an answer that is made in the background is not streamed",
            hint="call chat() in place of chat_stream()",
        )
    encoded = _encode_body(request, target, under or {})
    if stream:
        encoded.body["stream"] = True
    return encoded


def encode_count(request: LLMRequest, target: Target, under: Mapping[str, Any] | None) -> EncodedRequest:
    """The request to count its tokens. https://developers.openai.com/api/docs/guides/token-counting (2026-11-21)"""
    encoded = _encode_body(request, target, under or {})
    encoded.path = COUNT_PATH
    encoded.body = {name: encoded.body[name] for name in _COUNTED if name in encoded.body}
    return encoded


def decode_count(body: bytes) -> int:
    """Raises MalformedResponseError where the reply holds no count."""
    match parse_json(body, "token count"):
        case {"input_tokens": int(count)} if count >= 0:
            return count
        case _:
            raise MalformedResponseError("token count: the reply holds no input_tokens")


def _encode_body(request: LLMRequest, target: Target, under: Mapping[str, Any]) -> EncodedRequest:
    encoded = EncodedRequest(PATH, {"model": target.model})
    body, warnings = encoded.body, encoded.warnings
    extra = request.extra_params or {}
    is_stored = extra.get("store", under.get("store", bool(request.background))) is True
    tools = encode_tools(request, target) if request.tools or request.computer_use else []
    turns = Turns(tools, warnings, system_role=target.quirks.system_role, is_stored=is_stored)
    for message in _ask_for_format(body, request, target, warnings):
        turns.add(message)
    body["input"] = turns.input
    if tools:
        body["tools"] = tools
        if needs_truncation(tools):
            body["truncation"] = "auto"
    if request.tool_choice is not None:
        body["tool_choice"] = encode_tool_choice(request.tool_choice, tools)
    _encode_settings(body, request, target, warnings)
    _add_extra_params(body, extra)
    _lay_under(body, under)
    if not isinstance(body.get("include", []), list):
        raise ConfigurationError("extra_params: include is no list")
    _reject(body, target, warnings)
    _add_unasked(body, request, target, is_stored=is_stored)
    if request.extra_headers:
        encoded.headers.update(request.extra_headers)
    return encoded


def _encode_settings(body: dict[str, Any], request: LLMRequest, target: Target, warnings: list[str]) -> None:
    given = request.__dict__
    for name in _SAME:
        value = given[name]
        if value is not None:
            body[name] = value
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    limit = target.quirks.temperature_max
    if request.temperature is not None and request.temperature > limit and "temperature" not in target.quirks.rejected:
        raise ConfigurationError(
            f"temperature {request.temperature:g} is above the limit of {target.provider}:{target.model}, "
            f"which is {limit:g}"
        )
    if request.reasoning_effort is not None:
        _encode_effort(body, request.reasoning_effort, target, warnings)
    if request.logprobs:
        body["include"] = [LOGPROBS]
    if request.background:
        body["background"] = True
    warnings += [f"{name} was left out: {NAME} has no words for it" for name in _UNSAYABLE if given[name]]
    if request.prompt_cache not in (None, "automatic"):  # prompts are cached by themselves
        warnings.append(
            f"prompt_cache was left out: {NAME} caches by itself, and has no words for {request.prompt_cache!r}"
        )
    if request.files:
        raise ConfigurationError(f"files: no registered file has the id {request.files[0]!r}")


def _encode_effort(body: dict[str, Any], asked: ReasoningEffort, target: Target, warnings: list[str]) -> None:
    efforts, name = target.quirks.efforts, f"{target.provider}:{target.model}"
    if efforts == ():
        if asked != "none":
            warnings.append(f"reasoning_effort was left out: {name} does not think")
        return
    level = asked if efforts is None else nearest_effort(asked, efforts)
    if level != asked:
        reason = "cannot do without thinking" if asked == "none" else "does not know that level"
        warnings.append(f"reasoning_effort {asked!r} was sent as {level!r}: {name} {reason}")
    body["reasoning"] = {"effort": level}


def _ask_for_format(
    body: dict[str, Any], request: LLMRequest, target: Target, warnings: list[str]
) -> Sequence[Message]:
    """Writes `text.format`; gives the messages, with words that ask for the format where the model cannot be held to it."""
    if request.response_format is None:
        return request.messages
    from llmring.wire.json_schema import ask_for, with_instruction

    wanted = read_response_format(request.response_format)
    ask = ask_for(wanted, target)
    if wanted is not None and ask.kind == "json_schema":
        body["text"] = {"format": _encode_schema(wanted)}
    else:
        body["text"] = {"format": {"type": ask.kind}}
    if ask.warning is not None:
        warnings.append(ask.warning)
    return request.messages if ask.instruction is None else with_instruction(request.messages, ask.instruction)


def _encode_schema(wanted: ResponseFormat) -> dict[str, Any]:
    schema = wanted.schema or {}
    if wanted.strict:
        from llmring.wire.json_schema import make_strict

        schema = make_strict(schema) or schema
    written: dict[str, Any] = {"type": "json_schema", "name": wanted.name, "schema": schema}
    if wanted.description is not None:
        written["description"] = wanted.description
    if wanted.strict is not None:
        written["strict"] = wanted.strict
    return written


# What comes from elsewhere -------------------------------------------------------------------------------------------


def _add_extra_params(body: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for name, value in extra.items():
        key = "max_output_tokens" if name in _MAX_TOKENS else name
        mine: Any = body.get(key)
        if key in _GROUPS and isinstance(mine, Mapping) and isinstance(value, Mapping):
            body[key] = _together(key, cast("Mapping[str, Any]", mine), cast("Mapping[str, Any]", value))
        elif key == "include" and isinstance(mine, list) and isinstance(value, list):
            body[key] = [*mine, *(item for item in cast("list[Any]", value) if item not in mine)]
        else:
            body[key] = _together("", {key: body.get(key, value)}, {key: value})[key]


def _together(where: str, mine: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        path = f"{where}.{name}" if where else name
        if mine.get(name, value) != value:
            raise ConfigurationError(
                f"extra_params: {path!r} is also said by a field of the request, with another value",
                hint=f"set {_FIELDS.get(path, path)} once",
            )
    return {**mine, **given}


_FIELDS: Final[Mapping[str, str]] = {
    "max_output_tokens": "max_tokens or max_output_tokens",
    "reasoning.effort": "reasoning_effort or reasoning",
    "text.format": "response_format or text",
    "input": "the messages or input",
}


def _lay_under(body: dict[str, Any], under: Mapping[str, Any]) -> None:
    for name, value in under.items():
        key = "max_output_tokens" if name in _MAX_TOKENS else name
        mine: Any = body.get(key)
        if key in _GROUPS and isinstance(mine, Mapping) and isinstance(value, Mapping):
            body[key] = {**value, **mine}
        else:
            body.setdefault(key, value)


def _reject(body: dict[str, Any], target: Target, warnings: list[str]) -> None:
    """Leaves out what the model refuses."""
    for name in target.quirks.rejected:
        if name == "logprobs" and LOGPROBS in body.get("include", ()):
            body["include"] = [item for item in body["include"] if item != LOGPROBS]
            if not body["include"]:
                del body["include"]
        elif name in body:
            del body[name]
        else:
            continue
        warnings.append(f"{name} was left out: {target.provider}:{target.model} does not take it")


def _add_unasked(body: dict[str, Any], request: LLMRequest, target: Target, *, is_stored: bool) -> None:
    """Nothing is stored unless somebody says so, or the answer is made in the background, where it is asked for again by its id. What
    a model thinks then comes sealed; models that do not think refuse to be asked for it ("Encrypted content is not supported with
    this model.", https://github.com/ShishirPatil/gorilla/issues/1148, 2026-11-21)."""
    body.setdefault("store", is_stored)
    thinks = bool(target.quirks.efforts) or request.reasoning_effort not in (None, "none")
    if thinks and target.quirks.efforts != () and not is_stored and "include" not in (request.extra_params or {}):
        body["include"] = [*body.get("include", ()), SEALED_THINKING]
