"""A request in this dialect, written from `LLMRequest` as a client sends it.

https://ai.google.dev/api/generate-content (2026-11-21). Nothing unasked is sent. The request is read only; a body may share lists
and dicts with it, so a body is not for changing in place either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.schemas.request import LLMRequest
from llmring.schemas.response_format import read_response_format
from llmring.wire.base import EncodedRequest, Target, parse_json
from llmring.wire.gemini_generate.contents import NAME, Turns
from llmring.wire.gemini_generate.effort import encode_effort
from llmring.wire.gemini_generate.schema import fit_schema
from llmring.wire.gemini_generate.tools import encode_tool_config, encode_tools

# Fields of a request by what the generation config calls them.
_SETTINGS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
# `stop_sequences` of https://ai.google.dev/api/generate-content#generationconfig (2026-11-21)
MAX_STOPS: Final = 5
# https://ai.google.dev/gemini-api/docs/caching (2026-11-21): a prefix is cached by itself, or as a resource of its own
# (`extra_params={"cachedContent": name}`).
_UNSAYABLE: Final = ("prompt_cache", "background")
# `ServiceTier` of google-genai 3.4.0. "auto" is what the API does unasked.
_SERVICE_TIERS: Final[Mapping[str, str]] = {"default": "standard", "flex": "flex", "priority": "priority"}
# The API takes both spellings; two of one field would contradict each other.
_CAMEL: Final[Mapping[str, str]] = {
    "generation_config": "generationConfig",
    "system_instruction": "systemInstruction",
    "tool_config": "toolConfig",
    "service_tier": "serviceTier",
}
# What a count takes of a request on Vertex: `CountTokensConfig` of google-genai 3.4.0.
_COUNTED: Final = ("contents", "systemInstruction", "tools", "generationConfig")
# A model's name stands in a path, and whoever asks may have written it; the wire imports no urllib.
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._~@-]")
_COLLECTIONS: Final = ("models", "tunedModels")


def model_path(model: str) -> str:
    """`models/NAME`, the name made safe for a path. `models/` and `tunedModels/` may stand before it already."""
    collection, _, name = model.partition("/")
    if not name or collection not in _COLLECTIONS:
        collection, name = "models", model
    safe = _UNSAFE.sub(lambda odd: b"%%%02X" % odd[0][0], name.encode(errors="replace"))
    return f"{collection}/{safe.decode()}"


def encode(
    request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
) -> EncodedRequest:
    """The request as a body for `target`; `under` fills in what it leaves open. Raises ConfigurationError for what the
    dialect cannot say."""
    encoded = _encode_body(request, target, under or {})
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    encoded.path = f"/{model_path(target.model)}:{method}"
    if request.extra_headers:
        encoded.headers.update(request.extra_headers)
    return encoded


def encode_count(request: LLMRequest, target: Target, under: Mapping[str, Any] | None) -> EncodedRequest:
    """The request to count its tokens, system message and tools included. https://ai.google.dev/api/tokens (2026-11-21)"""
    encoded = _encode_body(request, target, under or {})
    name = model_path(target.model)
    encoded.path = f"/{name}:countTokens"
    if target.quirks.envelope == "vertex":
        encoded.body = {key: encoded.body[key] for key in _COUNTED if key in encoded.body}
    else:
        encoded.body = {"generateContentRequest": {"model": name, **encoded.body}}
    return encoded


def decode_count(body: bytes) -> int:
    """Raises MalformedResponseError where the reply holds no count."""
    match parse_json(body, "token count"):
        case {"totalTokens": int(count)} if count >= 0:
            return count
        case _:
            raise MalformedResponseError("token count: the reply holds no totalTokens")


def _encode_body(request: LLMRequest, target: Target, under: Mapping[str, Any]) -> EncodedRequest:
    encoded = EncodedRequest("", {})
    body, warnings = encoded.body, encoded.warnings
    turns = Turns(target.quirks, warnings)
    for message in request.messages:
        turns.add(message)
    turns.finish()
    if not turns.contents:
        raise ConfigurationError(f"{NAME} needs a message of the user", hint="add one beside the system message")
    body["contents"] = turns.contents
    config = _encode_settings(request, target, warnings)
    if request.response_format is not None:
        _encode_format(config, turns.system, request.response_format, target, warnings)
    if turns.system:
        body["systemInstruction"] = {"parts": turns.system}
    _encode_tools(body, request, target)
    if request.reasoning_effort is not None:
        encode_effort(config, request.reasoning_effort, target, warnings)
    if config:
        body["generationConfig"] = config
    tier = request.service_tier
    if tier in _SERVICE_TIERS:
        body["serviceTier"] = _SERVICE_TIERS[tier]
    for name, value in (request.extra_params or {}).items():
        _add_extra(body, _CAMEL.get(name, name), value)
    for name, value in under.items():
        key = _CAMEL.get(name, name)
        mine = body.setdefault(key, value)
        if key == "generationConfig" and isinstance(mine, dict) and isinstance(value, Mapping):
            body[key] = {**cast("Mapping[str, Any]", value), **cast("dict[str, Any]", mine)}
    _drop_rejected(body, target, warnings)
    return encoded


def _encode_settings(request: LLMRequest, target: Target, warnings: list[str]) -> dict[str, Any]:
    given = request.__dict__  # one dict look-up a field, as in every dialect
    config: dict[str, Any] = {}
    for name, key in _SETTINGS.items():
        value = given[name]
        if value is not None and value != []:
            config[key] = value
    if request.top_logprobs is not None and request.logprobs is None:
        config["responseLogprobs"] = True  # without it the API refuses `logprobs`
    limit = target.quirks.temperature_max
    if request.temperature is not None and request.temperature > limit and "temperature" not in target.quirks.rejected:
        raise ConfigurationError(
            f"temperature {request.temperature:g} is above the limit of {target.provider}:{target.model}, which is {limit:g}"
        )
    if len(request.stop or ()) > MAX_STOPS:
        raise ConfigurationError(
            f"stop: {NAME} takes {MAX_STOPS} texts at most, not {len(request.stop or ())}",
            hint="leave some out, or cut the answer yourself",
        )
    if request.files:
        raise ConfigurationError(f"files: no registered file has the id {request.files[0]!r}")
    warnings += [f"{name} was left out: {NAME} has no words for it" for name in _UNSAYABLE if given[name]]
    if request.parallel_tool_calls is False:
        warnings.append(f"parallel_tool_calls was left out: {NAME} has no words for it")
    return config


def _encode_format(
    config: dict[str, Any], system: list[dict[str, Any]], value: Any, target: Target, warnings: list[str]
) -> None:
    from llmring.wire.json_schema import ask_for

    wanted = read_response_format(value)
    ask = ask_for(wanted, target)
    if ask.instruction:
        system.append({"text": ask.instruction})
    if ask.warning:
        warnings.append(ask.warning)
    if ask.kind != "text":
        config["responseMimeType"] = "application/json"
    if ask.kind == "json_schema" and wanted is not None and wanted.schema is not None:
        config["responseJsonSchema"] = fit_schema(wanted.schema)


def _encode_tools(body: dict[str, Any], request: LLMRequest, target: Target) -> None:
    if not request.tools and not request.computer_use and request.tool_choice is None:
        return
    tools, is_strict = encode_tools(request, target)
    if tools:
        body["tools"] = tools
    chosen = encode_tool_config(request, tools, is_strict=is_strict)
    if chosen is not None:
        body["toolConfig"] = chosen


def _add_extra(into: dict[str, Any], name: str, value: Any, path: str = "") -> None:
    """Settings stand together under a few keys, objects within objects: what the request says of each still counts once."""
    path = f"{path}.{name}" if path else name
    mine = into.get(name, value)
    if isinstance(mine, dict) and isinstance(value, Mapping):
        into[name] = together = dict(cast("dict[str, Any]", mine))
        for key, item in cast("Mapping[str, Any]", value).items():
            _add_extra(together, key, item, path)
    elif mine != value:
        raise ConfigurationError(
            f"extra_params: {path!r} is also said by a field of the request, with another value", hint="set it once"
        )
    else:
        into[name] = value


def _drop_rejected(body: dict[str, Any], target: Target, warnings: list[str]) -> None:
    config = body.get("generationConfig")
    if not target.quirks.rejected or not isinstance(config, dict):
        return
    settings = dict(cast("dict[str, Any]", config))
    for name, key in _SETTINGS.items():
        if name in target.quirks.rejected and key in settings:
            del settings[key]
            warnings.append(f"{name} was left out: {target.provider}:{target.model} does not take it")
    if settings:
        body["generationConfig"] = settings
    else:
        del body["generationConfig"]
