"""A request in this dialect, written from `LLMRequest` as a client sends it.

https://platform.claude.com/docs/en/api/messages/create (2026-11-21). `max_tokens` is the one thing that is sent unasked: the API
wants it always. The request is read only; a body may share lists and dicts with it, so a body is not for changing in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.schemas.messages import Role
from llmring.schemas.request import LLMRequest
from llmring.schemas.response_format import read_response_format
from llmring.wire.anthropic_messages.caching import is_marked, limit_marks, mark_prompt
from llmring.wire.anthropic_messages.content import NAME, Turns
from llmring.wire.anthropic_messages.effort import drop_samplers, encode_effort
from llmring.wire.anthropic_messages.schema import fit_schema
from llmring.wire.anthropic_messages.tools import encode_tool_choice, encode_tools
from llmring.wire.base import EncodedRequest, Target, parse_json
from llmring.wire.json_schema import ask_for, schema_instruction

PATH: Final = "/messages"
COUNT_PATH: Final = "/messages/count_tokens"
BETA_HEADER: Final = "anthropic-beta"
# From 2026-10-21 on the API takes no samplers of any model: https://platform.claude.com/docs/en/api/migration-2026-10-21
# (2026-11-21). A caller who wants that version says so in extra_headers.
VERSION_HEADER: Final = "anthropic-version"
VERSION: Final = "2023-06-01"
# https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/partner-models/claude/use-claude (2026-11-21)
VERTEX_VERSION: Final = "vertex-2023-10-16"

# A model's name stands in a path there; the wire imports no urllib.
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._~@-]", re.ASCII)

_SAMPLERS: Final = ("temperature", "top_p", "top_k")
_UNSAYABLE: Final = ("logprobs", "top_logprobs", "seed", "frequency_penalty", "presence_penalty", "background")
# "auto" takes the priority capacity that one has: https://platform.claude.com/docs/en/api/service-tiers (2026-11-21)
_SERVICE_TIERS: Final[Mapping[str, str]] = {"auto": "auto", "priority": "auto", "default": "standard_only"}
# What a count takes of a request: `MessageCountTokensParams` of the anthropic SDK 2.11.0.
_COUNTED: Final = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control")


def encode(
    request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
) -> EncodedRequest:
    """The request as a body for `target`; `under` fills in what it leaves open. Raises ConfigurationError for what the
    dialect cannot say."""
    encoded = _encode_body(request, target, under or {})
    if stream:
        encoded.body["stream"] = True
    if target.quirks.envelope == "vertex":
        model = _UNSAFE.sub(_percent, encoded.body.pop("model"))
        encoded.path = f"/models/{model}:{'streamRawPredict' if stream else 'rawPredict'}"
        encoded.body["anthropic_version"] = VERTEX_VERSION
    return encoded


def _percent(odd: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in odd[0].encode(errors="replace"))


def encode_count(request: LLMRequest, target: Target, under: Mapping[str, Any] | None) -> EncodedRequest:
    """The request to count its tokens. https://platform.claude.com/docs/en/build-with-claude/token-counting (2026-11-21)"""
    encoded = _encode_body(request, target, under or {})
    encoded.path = COUNT_PATH
    encoded.body = {name: encoded.body[name] for name in _COUNTED if name in encoded.body}
    if target.quirks.envelope == "vertex":
        encoded.path = "/models/count-tokens:rawPredict"
        encoded.body["anthropic_version"] = VERTEX_VERSION
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
    betas: list[str] = []
    tools = encode_tools(request, target, betas) if request.tools or request.computer_use else []
    turns = Turns(tools, betas, warnings)
    for message in request.messages:
        turns.add(message)
    if not turns.messages:
        raise ConfigurationError(f"{NAME} needs a message of the user", hint="add one beside the system message")
    body["messages"] = turns.messages
    if tools:
        body["tools"] = tools
    _encode_settings(body, request, target, warnings)
    if request.response_format is not None:
        _encode_format(body, turns.system, request.response_format, target, warnings)
    if turns.system:
        body["system"] = _encode_system(turns.system, request)
    if request.tool_choice is not None or request.parallel_tool_calls is False:
        choice = encode_tool_choice(request, tools, target)
        if choice is not None:
            body["tool_choice"] = choice
    extra = request.extra_params or {}
    thought = 0
    given_max = request.max_tokens or extra.get("max_tokens") or under.get("max_tokens")
    if given_max is not None and not isinstance(given_max, int):
        raise ConfigurationError("extra_params: max_tokens is no number", hint="set LLMRequest.max_tokens")
    if request.reasoning_effort is not None:
        thought = encode_effort(body, request.reasoning_effort, given_max, target, warnings)
    _add_extra_params(body, extra)
    for name, value in under.items():
        body.setdefault(name, value)
    if "max_tokens" not in body:
        wanted = target.quirks.max_tokens_default + thought
        body["max_tokens"] = min(wanted, target.info.max_output or wanted)
    drop_samplers(body, target, warnings)
    for name in target.quirks.rejected:
        if name in body:
            del body[name]
            warnings.append(f"{name} was left out: {target.provider}:{target.model} does not take it")
    if request.prompt_cache is not None:
        mark_prompt(body, request, whole=target.quirks.envelope == "direct")
    if request.prompt_cache is not None or any(map(is_marked, request.messages)):
        limit_marks(body, warnings)
    _encode_headers(encoded, request, betas, is_direct=target.quirks.envelope == "direct")
    return encoded


def _encode_settings(body: dict[str, Any], request: LLMRequest, target: Target, warnings: list[str]) -> None:
    given = request.__dict__  # one dict look-up a field, as in every dialect
    for name in _SAMPLERS:
        value = given[name]
        if value is not None:
            body[name] = value
    if request.temperature is not None and "temperature" not in target.quirks.rejected:
        limit = target.quirks.temperature_max
        if request.temperature > limit:
            name = f"{target.provider}:{target.model}"
            raise ConfigurationError(
                f"temperature {request.temperature:g} is above the limit of {name}, which is {limit:g}"
            )
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.stop:
        body["stop_sequences"] = request.stop
    warnings += [f"{name} was left out: {NAME} has no words for it" for name in _UNSAYABLE if given[name]]
    tier = request.service_tier
    if tier is not None:
        if tier in _SERVICE_TIERS:
            body["service_tier"] = _SERVICE_TIERS[tier]
        else:
            warnings.append(f"service_tier was left out: {NAME} has no word for {tier!r}")
    if request.files:
        raise ConfigurationError(f"files: no registered file has the id {request.files[0]!r}")


def _encode_format(
    body: dict[str, Any], system: list[dict[str, Any]], value: Any, target: Target, warnings: list[str]
) -> None:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs (2026-11-21): a schema is held to; for JSON of no
    fixed shape the API has no word, so it is asked for in the system prompt."""
    wanted = read_response_format(value)
    ask = ask_for(wanted, target)
    if wanted is None or wanted.kind == "text":
        return
    if ask.kind == "json_schema" and wanted.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": fit_schema(wanted.schema)}}
    else:
        system.append({"type": "text", "text": schema_instruction(wanted)})
    if ask.warning is not None:
        warnings.append(ask.warning)


def _encode_system(blocks: list[dict[str, Any]], request: LLMRequest) -> str | list[dict[str, Any]]:
    """One text is written as text, unless a mark or the caller's parts make it a list."""
    if len(blocks) > 1 or "cache_control" in blocks[0]:
        return blocks
    in_parts = any(isinstance(m.content, list) for m in request.messages if m.role is Role.SYSTEM)
    return blocks if in_parts else blocks[0]["text"]


def _add_extra_params(body: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for name, value in extra.items():
        mine: Any = body.get(name, value)
        if name == "output_config" and isinstance(mine, Mapping) and isinstance(value, Mapping):
            # Effort and format stand under one key; what the request says of each still counts once.
            body[name] = _together(name, cast("Mapping[str, Any]", mine), cast("Mapping[str, Any]", value))
        else:
            body |= _together("", {name: body.get(name, value)}, {name: value})


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
    "thinking": "reasoning_effort or thinking",
    "output_config.effort": "reasoning_effort or output_config",
    "output_config.format": "response_format or output_config",
    "stop_sequences": "stop or stop_sequences",
    "system": "the system messages or system",
}


def _encode_headers(encoded: EncodedRequest, request: LLMRequest, betas: list[str], *, is_direct: bool) -> None:
    if is_direct:
        encoded.headers[VERSION_HEADER] = VERSION
    for name, value in (request.extra_headers or {}).items():
        if name.lower() == VERSION_HEADER:
            encoded.headers[VERSION_HEADER] = value
        elif name.lower() == BETA_HEADER:
            betas += [beta for beta in map(str.strip, value.split(",")) if beta and beta not in betas]
        else:
            encoded.headers[name] = value
    if betas:
        encoded.headers[BETA_HEADER] = ",".join(betas)
