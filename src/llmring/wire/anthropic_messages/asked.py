"""A request as a server of this dialect gets it, read into `LLMRequest`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pydantic import ValidationError

from llmring.exceptions import InvalidRequestError
from llmring.schemas.messages import FOREIGN
from llmring.schemas.request import LLMRequest
from llmring.wire.anthropic_messages.caching import MARK
from llmring.wire.anthropic_messages.content import NAME
from llmring.wire.anthropic_messages.tools import decode_tool, decode_tool_choice

_SAME: Final = ("model", "max_tokens", "temperature", "top_p", "top_k")
_TIERS: Final[Mapping[str, str]] = {"auto": "auto", "standard_only": "default"}
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")


def decode_request(body: Mapping[str, Any]) -> LLMRequest:
    """What a client of this dialect sent, as our request; keys that we have no field for go into `extra_params`.

    `stream` is for the server to look at in the body itself. Raises InvalidRequestError (status 400) for a body that is no
    request; the message names the field and quotes no content.
    """
    given: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    messages: list[Any] = []
    for name, value in body.items():
        if value is None or name == "stream":
            continue
        match name:
            case "system":
                messages = [*_decode_system(value), *messages]
            case "messages":
                if not isinstance(value, list):
                    raise _invalid("messages: no list")
                messages += [turn for message in cast("list[Any]", value) for turn in _decode_message(message)]
            case "stop_sequences":
                given["stop"] = value
            case "tools" if isinstance(value, list):
                given["tools"] = [decode_tool(tool) for tool in cast("list[Any]", value)]
            case "tool_choice":
                given["tool_choice"], given["parallel_tool_calls"] = decode_tool_choice(value)
            case "service_tier" if value in _TIERS:
                given["service_tier"] = _TIERS[value]
            case "cache_control":
                _decode_cache(value, given, extra)
            case "thinking" | "output_config":
                pass
            case _:
                (given if name in _SAME else extra)[name] = value
    _decode_output(body, given, extra)
    given["messages"] = messages
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


def _decode_cache(value: object, given: dict[str, Any], extra: dict[str, Any]) -> None:
    match cast("Any", value):
        case {"type": "ephemeral", **rest} if not rest.keys() - {"ttl"}:
            given["prompt_cache"] = "automatic"
            given["prompt_cache_ttl"] = rest.get("ttl")
        case _:
            extra[MARK] = value


def _decode_output(body: Mapping[str, Any], given: dict[str, Any], extra: dict[str, Any]) -> None:
    """`thinking` and `output_config` as effort and format, as far as these say the same."""
    thinking, output = body.get("thinking"), body.get("output_config")
    rest = dict(cast("Mapping[str, Any]", output)) if isinstance(output, Mapping) else {}
    match rest.get("format"):
        case {"type": "json_schema", "schema": {**schema}}:
            given["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
            del rest["format"]
        case _:
            pass
    effort = rest.get("effort")
    if thinking == {"type": "adaptive", "display": "summarized"} and effort in _EFFORTS:
        given["reasoning_effort"] = rest.pop("effort")
    elif thinking == {"type": "disabled"} and effort is None:
        given["reasoning_effort"] = "none"
    elif thinking is not None:
        extra["thinking"] = thinking
    if rest:
        extra["output_config"] = rest


# Messages -----------------------------------------------------------------------------------------------------------


def _decode_system(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, str):
        yield {"role": "system", "content": value}
        return
    for blocks, mark in _split_at_marks(_blocks(value, "system")):
        yield _message("system", [_decode_part(block) for block in blocks], mark)


def _blocks(value: object, where: str) -> list[dict[str, Any]]:
    if isinstance(value, list) and all(isinstance(block, dict) for block in cast("list[object]", value)):
        return cast("list[dict[str, Any]]", value)
    raise _invalid(f"{where}: neither text nor a list of blocks")


def _split_at_marks(blocks: list[dict[str, Any]]) -> Iterator[tuple[list[dict[str, Any]], object]]:
    """Runs of blocks, each up to a mark, and that mark: a message of ours holds one, at its end."""
    run: list[dict[str, Any]] = []
    for block in blocks:
        run.append(block)
        if block.get(MARK):
            yield run, block[MARK]
            run = []
    if run:
        yield run, None


def _message(role: str, content: Any, mark: object, **more: Any) -> dict[str, Any]:
    message = {"role": role, "content": content, **more}
    if mark is not None:
        message["metadata"] = {MARK: mark}
    return message


def _decode_message(message: object) -> Iterator[object]:
    match cast("Any", message):
        case {"role": "user" | "assistant" | "system" as role, "content": str(content)}:
            yield {"role": role, "content": content}
        case {"role": "user", "content": content}:
            yield from _decode_user(_blocks(content, "messages.content"))
        case {"role": "assistant", "content": content}:
            for blocks, mark in _split_at_marks(_blocks(content, "messages.content")):
                yield _decode_assistant(blocks, mark)
        case {"role": "system", "content": content}:
            yield from _decode_system(content)
        case _:
            yield message


def _decode_user(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    for block in blocks:
        if block.get("type") == "tool_result":
            yield _decode_result(block)
        else:
            said.append(block)
    for run, mark in _split_at_marks(said):
        yield _message("user", [_decode_part(block) for block in run], mark)


def _decode_result(block: dict[str, Any]) -> dict[str, Any]:
    content = block.get("content", "")
    id = block.get("tool_use_id")
    if not isinstance(content, str):
        content = [_decode_part(item) for item in _blocks(content, "messages.content.content")]
    if block.get("is_error"):
        part = {"type": "tool_output", "tool_call_id": id, "content": content, "is_error": True}
        return _message("tool", [part], block.get(MARK))
    return _message("tool", content, block.get(MARK), tool_call_id=id)


def _decode_part(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image", "source": {**source}}:
            return {"type": "image", **_decode_source(source)}
        case {"type": "document", "source": {**source}}:
            part: dict[str, Any] = {"type": "file", **_decode_source(source)}
            if block.get("title") is not None:
                part["filename"] = block["title"]
            match block.get("citations"):
                case {"enabled": bool(enabled)}:
                    part["citations"] = enabled
                case _:
                    pass
            return part
        case _:
            # What we have no part for is a block all the same: the client meant it for this dialect.
            return {"type": "provider", "dialect": NAME, "data": block}


def _decode_source(source: Mapping[str, Any]) -> dict[str, Any]:
    match source:
        case {"type": "url", "url": url}:
            return {"url": url}
        case {"type": "file", "file_id": file_id}:
            return {"file_id": file_id}
        case {"type": "base64", "data": data, "media_type": media_type}:
            return {"data": data, "media_type": media_type}
        case {"type": "text", "data": str(text), "media_type": media_type}:
            return {"data": text.encode(), "media_type": media_type}
        case _:
            raise _invalid("messages.content.source: none of url, file, base64 and text")


def _decode_assistant(blocks: list[dict[str, Any]], mark: object) -> dict[str, Any]:
    parts = [_decode_item({name: value for name, value in block.items() if name != MARK}) for block in blocks]
    kinds = [part["type"] for part in parts]
    if kinds == sorted(kinds) and set(kinds) <= {"text", "tool_use"} and kinds.count("text") < 2:
        # Text, then calls: what most messages are, in the form that most callers write.
        said = parts[0]["text"] if kinds[:1] == ["text"] else None
        calls = [{name: part[name] for name in ("id", "name", "arguments")} for part in parts if "id" in part]
        return _message("assistant", said, mark, **({"tool_calls": calls} if calls else {}))
    return _message("assistant", parts, mark)


def _decode_item(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)}:
            return {"type": "thinking", "text": text, "signature": signature, "dialect": NAME}
        case {"type": "redacted_thinking", "data": str(data)}:
            return {"type": "thinking", "text": "", "signature": data, "redacted": True, "dialect": NAME}
        case {"type": "tool_use", "id": str(id), "name": str(name), "input": {**arguments}}:
            return {"type": "tool_use", "id": id, "name": name, "arguments": arguments}
        case _:
            return {"type": "provider", "dialect": NAME, "data": block}
