"""OpenAI's Responses and token counts, as a server speaks them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import orjson

from llmring.exceptions import ConfigurationError
from llmring.schemas.response import LLMResponse
from llmring.schemas.tools import ToolCall
from llmring.schemas.usage import Citation, Usage
from llmring.testing.dialects.base import Endpoint, ServerDialect
from llmring.wire.openai_responses.failures import encode_failure
from llmring.wire.openai_responses.items import NAME

_WORDS: Final = re.compile(r"\s*\S+|\s+")
_ARGUMENT_PIECE_CHARS: Final = 12
# What a response repeats of its request. A client of ours reads none of it; the vendor's SDK wants it there.
_ECHOES: Final[Mapping[str, Any]] = {
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}


class _OpenAIResponsesServer:
    name = NAME
    base_path = "/v1"
    stream_type = "text/event-stream"
    speaks_chat = True

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        if method != "POST":
            return None  # a background answer's own address wants a script
        if path.endswith("/responses/input_tokens"):
            return "token_count"
        return "chat" if path.endswith("/responses") else None

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        model = body.get("model")
        return model if isinstance(model, str) else None

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is True

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        return " ".join([*_texts(body.get("instructions")), *_texts(body.get("input"))])

    def reply(self, response: LLMResponse) -> bytes:
        return orjson.dumps(encode_reply(response))

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        return encode_stream(response)

    def failure(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(status, message, code=code)

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        # An `error` has no status of its own; the code says it where there is no better word.
        word = code or ("rate_limit_exceeded" if status == 429 else "server_error" if status >= 500 else str(status))
        return _frame({"type": "error", "code": word, "message": message, "param": None, "sequence_number": 0})

    def embedding_inputs(self, body: Mapping[str, Any]) -> list[str] | None:
        return None

    def embedding_reply(
        self, vectors: Sequence[Sequence[float]], tokens: int, model: str, body: Mapping[str, Any]
    ) -> bytes:
        raise NotImplementedError("Responses has no embeddings")

    def token_count_reply(self, tokens: int) -> bytes:
        return orjson.dumps({"object": "response.input_tokens", "input_tokens": tokens})

    def models_reply(self, models: Sequence[str]) -> bytes:
        raise NotImplementedError("OpenAI's listing of models is answered in the words of openai_chat")


def _texts(value: object) -> Iterator[str]:
    """Every text of a prompt: of messages, of tools' results, and of the parts within them."""
    match cast("Any", value):
        case str(text):
            yield text
        case {"text": str(text)}:
            yield text
        case {"content": content} | {"output": content}:
            yield from _texts(content)
        case [*items]:
            for item in items:
                yield from _texts(item)
        case _:
            pass


# Replies ------------------------------------------------------------------------------------------------------------


def encode_reply(response: LLMResponse, *, created: int = 0) -> dict[str, Any]:
    """The reply that a server of this dialect gives for a response. created: seconds since the epoch.

    Left out, because the dialect has no words for them: costs, stop words. Raises ConfigurationError for a response that ended in
    an error.
    """
    status, details = _encode_status(response)
    return {
        "id": response.response_id or "resp_0",
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": details,
        "model": response.model,
        "output": list(_encode_items(response)),
        "usage": _encode_usage(response.usage),
        **_ECHOES,
    }


def _encode_status(response: LLMResponse) -> tuple[str, dict[str, str] | None]:
    match response.finish_reason:
        case "length":
            return "incomplete", {"reason": "max_output_tokens"}
        case "content_filter":
            return "incomplete", {"reason": "content_filter"}
        case "cancelled":
            return "cancelled", None
        case "error":
            raise ConfigurationError(f"{NAME} has no status for 'error'", hint="answer with an error instead")
        case _:
            return "completed", None


def _encode_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def _encode_items(response: LLMResponse) -> Iterator[dict[str, Any]]:
    """The answer as items: in the places that its parts came in, or else thinking, text, tool calls."""
    calls: Sequence[ToolCall] = response.tool_calls or ()
    blocks: list[dict[str, Any]] = response.blocks or []
    if response.blocks is None:
        blocks = [{"type": "thinking", "text": response.reasoning}] if response.reasoning else []
        blocks += [{"type": "text", "text": response.content}] if response.content else []
        blocks += [{"type": "tool_use", "call": place} for place in range(len(calls))]
    if response.refusal or not blocks:
        blocks = [*blocks, {"type": "refusal", "text": response.refusal or ""}]
    sealed = {block["data"].get("call_id") for block in blocks if block["type"] == "provider"}
    at = 0
    logprobs = response.logprobs or []
    for number, block in enumerate(blocks):
        match block:
            case {"type": "text", "text": str(text)}:
                following = blocks[number + 1] if number + 1 < len(blocks) else {}
                yield _message(number, _encode_text(text, at, response.citations or (), logprobs), _phase(following))
                at += len(text)
                logprobs = []
            case {"type": "refusal", "text": str(text)}:
                content = {"type": "refusal", "refusal": text} if text else _encode_text("", 0, (), ())
                yield _message(number, content, None)
            case {"type": "thinking"}:
                yield _encode_thinking(number, block)
            case {"type": "tool_use", "call": int(place)}:
                if calls[place].id not in sealed:
                    yield _encode_call(number, calls[place])
            case {"type": "provider", "dialect": "openai_responses", "data": {**data}} if data.get("type") != "message":
                yield data
            case _:
                pass  # of another dialect, or what a message has said already


def _phase(block: Mapping[str, Any]) -> str | None:
    match block:
        case {"type": "provider", "data": {"type": "message", "phase": str(phase)}}:
            return phase
        case _:
            return None


def _message(number: int, content: dict[str, Any], phase: str | None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": f"msg_{number}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    return message if phase is None else {**message, "phase": phase}


def _encode_text(
    text: str, at: int, citations: Sequence[Citation], logprobs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    cited = [c for c in citations if c.start is None or at <= c.start < at + max(1, len(text))]
    return {
        "type": "output_text",
        "text": text,
        "annotations": [_encode_citation(citation, at) for citation in cited],
        "logprobs": [_encode_token(token) for token in logprobs],
    }


def _encode_citation(citation: Citation, at: int) -> dict[str, Any]:
    location = citation.location or {}
    if citation.url is None and location.get("type") in ("file_citation", "container_file_citation"):
        where = (
            {}
            if citation.start is None
            else {"start_index": citation.start - at, "end_index": (citation.end or 0) - at}
        )
        return {"filename": citation.title or "", **location, **where}
    return {
        "type": "url_citation",
        "url": citation.url or "",
        "title": citation.title or "",
        "start_index": (citation.start or 0) - at,
        "end_index": (citation.end or 0) - at,
    }


def _encode_token(token: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_encode_alternative(token),
        "top_logprobs": [_encode_alternative(other) for other in token.get("top_logprobs") or ()],
    }


def _encode_alternative(token: Mapping[str, Any]) -> dict[str, Any]:
    said = str(token.get("token"))
    return {"token": said, "logprob": token.get("logprob"), "bytes": token.get("bytes") or list(said.encode())}


def _encode_thinking(number: int, block: Mapping[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {"id": block.get("id") or f"rs_{number}", "type": "reasoning"}
    item["summary"] = [{"type": "summary_text", "text": block["text"]}] if block["text"] else []
    if block.get("signature"):
        item["encrypted_content"] = block["signature"]
    return item


def _encode_call(number: int, call: ToolCall) -> dict[str, Any]:
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.raw_arguments,
    }


# Streams ------------------------------------------------------------------------------------------------------------


def encode_stream(response: LLMResponse, *, created: int = 0) -> list[bytes]:
    """The stream that a server of this dialect gives for a response: one server-sent event an item, the terminal event the last.

    Text comes in words, tool arguments in several pieces. Raises ConfigurationError for a response that ended in an error.
    """
    whole = encode_reply(response, created=created)
    begun: dict[str, Any] = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(whole["output"]):
        events += ({**event, "output_index": index} for event in _encode_item(item))
    kind = "response.incomplete" if whole["status"] == "incomplete" else "response.completed"
    events.append({"type": kind, "response": whole})
    return [_frame({**event, "sequence_number": number}) for number, event in enumerate(events)]


def _frame(event: dict[str, Any]) -> bytes:
    return b"event: " + event["type"].encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def _encode_item(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun, pieces = _take_apart(item)
    yield {"type": "response.output_item.added", "item": begun}
    for piece in pieces:
        yield {"item_id": item["id"], **piece}
    yield {"type": "response.output_item.done", "item": item}


def _take_apart(item: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An item as it begins, and what comes of it after that; items of other kinds begin whole."""
    match item["type"]:
        case "message":
            begun: dict[str, Any] = {**item, "status": "in_progress", "content": []}
            return begun, [{"content_index": 0, **piece} for piece in _take_content_apart(item["content"][0])]
        case "reasoning":
            return {**item, "summary": []}, list(_take_summary_apart(item["summary"]))
        case "function_call":
            name = "response.function_call_arguments"
            text: str = item["arguments"]
            pieces = [text[at : at + _ARGUMENT_PIECE_CHARS] for at in range(0, len(text), _ARGUMENT_PIECE_CHARS)]
            deltas: list[dict[str, Any]] = [{"type": f"{name}.delta", "delta": piece} for piece in pieces]
            deltas.append({"type": f"{name}.done", "arguments": text})
            return {**item, "status": "in_progress", "arguments": ""}, deltas
        case _:
            return item, []


def _take_content_apart(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if part["type"] == "refusal":
        yield {"type": "response.content_part.added", "part": {"type": "refusal", "refusal": ""}}
        yield from ({"type": "response.refusal.delta", "delta": word} for word in _WORDS.findall(part["refusal"]))
        yield {"type": "response.refusal.done", "refusal": part["refusal"]}
    else:
        yield {"type": "response.content_part.added", "part": {**part, "text": "", "annotations": [], "logprobs": []}}
        for word in _WORDS.findall(part["text"]):
            yield {"type": "response.output_text.delta", "delta": word, "logprobs": []}
        for place, annotation in enumerate(part["annotations"]):
            yield {
                "type": "response.output_text.annotation.added",
                "annotation": annotation,
                "annotation_index": place,
            }
        yield {"type": "response.output_text.done", "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", "part": part}


def _take_summary_apart(summary: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    name = "response.reasoning_summary"
    for place, part in enumerate(summary):
        pieces: list[dict[str, Any]] = [{"type": f"{name}_part.added", "part": {"type": "summary_text", "text": ""}}]
        pieces += [{"type": f"{name}_text.delta", "delta": word} for word in _WORDS.findall(part["text"])]
        pieces.append({"type": f"{name}_text.done", "text": part["text"]})
        pieces.append({"type": f"{name}_part.done", "part": part})
        yield from ({"summary_index": place, **piece} for piece in pieces)


OPENAI_RESPONSES: ServerDialect = _OpenAIResponsesServer()
