"""Google's generateContent, embeddings, token counts and model listing, as a server speaks them."""

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

_ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "countTokens": "token_count",
    "batchEmbedContents": "embeddings",
    "predict": "embeddings",
}
_WORDS: Final = re.compile(r"\s*\S+|\s+")
_FINISH_WORDS: Final[Mapping[str | None, str]] = {
    None: "STOP",
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto (2026-11-21)
_STATUS_WORDS: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _GeminiGenerateServer:
    name = "gemini_generate"
    base_path = "/v1beta"
    stream_type = "text/event-stream"
    speaks_chat = True

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        if method == "GET":
            return "models" if path == "/v1beta/models" else None  # a bare `/models` is OpenAI's
        return _ENDPOINTS.get(path.rpartition("/")[2].rpartition(":")[2]) if ":" in path else None

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        return path.rpartition("/")[2].rpartition(":")[0] or None

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool:
        return path.endswith(":streamGenerateContent")

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        asked = body.get("generateContentRequest", body)
        if not isinstance(asked, Mapping):
            return ""
        given = cast("Mapping[str, Any]", asked)
        return " ".join([*_texts(given.get("systemInstruction")), *_texts(given.get("contents"))])

    def reply(self, response: LLMResponse) -> bytes:
        return orjson.dumps(encode_reply(response))

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        return encode_stream(response)

    def failure(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(status, message, code=code)

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        return b"data: " + encode_failure(status, message, code=code) + b"\r\n\r\n"

    def embedding_inputs(self, body: Mapping[str, Any]) -> list[str] | None:
        match body:
            case {"requests": [*asked]}:
                return ["".join(_texts(cast("Any", one).get("content"))) for one in asked if isinstance(one, Mapping)]
            case {"instances": [*asked]}:
                return [str(cast("Any", one).get("content")) for one in asked if isinstance(one, Mapping)]
            case _:
                return None

    def embedding_reply(
        self, vectors: Sequence[Sequence[float]], tokens: int, model: str, body: Mapping[str, Any]
    ) -> bytes:
        written = [{"values": list(vector)} for vector in vectors]
        if "instances" in body:
            counts = [len(text.split()) for text in self.embedding_inputs(body) or ()]
            predictions = [
                {"embeddings": {**vector, "statistics": {"truncated": False, "token_count": count}}}
                for vector, count in zip(written, counts, strict=True)
            ]
            return orjson.dumps({"predictions": predictions})
        return orjson.dumps({"embeddings": written, "usageMetadata": {"promptTokenCount": tokens}})

    def token_count_reply(self, tokens: int) -> bytes:
        return orjson.dumps({"totalTokens": tokens})

    def models_reply(self, models: Sequence[str]) -> bytes:
        methods = ["generateContent", "countTokens", "embedContent"]
        listed = [
            {"name": f"models/{model}", "displayName": model, "supportedGenerationMethods": methods} for model in models
        ]
        return orjson.dumps({"models": listed})


def _texts(value: object) -> Iterator[str]:
    """Every text of contents, of a content, or of a part."""
    match cast("Any", value):
        case {"text": str(text)}:
            yield text
        case {"functionResponse": {"response": {"output": str(text)} | {"error": str(text)}}}:
            yield text
        case {"parts": parts}:
            yield from _texts(parts)
        case [*items]:
            for item in items:
                yield from _texts(item)
        case _:
            pass


# Replies ------------------------------------------------------------------------------------------------------------


def encode_reply(response: LLMResponse) -> dict[str, Any]:
    """The reply that a server of this dialect gives for a response. Raises ConfigurationError for one that ended in an error."""
    parts = [_part_of(block, _calls_of(response)) for block in _blocks_of(response)]
    return _frame(response, parts, is_last=True)


def encode_stream(response: LLMResponse) -> list[bytes]:
    """The stream for a response: one server-sent event an item, the finish reason in the last one. Text comes in words, calls whole."""
    parts = [piece for block in _blocks_of(response) for piece in _split(_part_of(block, _calls_of(response)))]
    frames = [_frame(response, [part], is_last=False) for part in parts]
    frames.append(_frame(response, [{"text": ""}], is_last=True))
    return [b"data: " + orjson.dumps(frame) + b"\r\n\r\n" for frame in frames]


def encode_failure(status: int, message: str, *, code: str | None = None) -> bytes:
    """The body of an error reply, as a server of this dialect writes it."""
    word = code or _STATUS_WORDS.get(status) or ("INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return orjson.dumps({"error": {"code": status, "message": message, "status": word}})


def _frame(response: LLMResponse, parts: list[dict[str, Any]], *, is_last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if is_last:
        if response.finish_reason not in _FINISH_WORDS:
            raise ConfigurationError(
                f"gemini_generate has no finish reason for {response.finish_reason!r}",
                hint="answer with an error instead",
            )
        candidate["finishReason"] = _FINISH_WORDS[response.finish_reason]
        if response.logprobs:
            candidate["logprobsResult"] = _logprobs(response.logprobs)
        if response.citations:
            candidate["groundingMetadata"] = _grounding(response)
    candidate["index"] = 0
    frame: dict[str, Any] = {"candidates": [candidate], "usageMetadata": _usage(response.usage)}
    frame["modelVersion"] = response.model
    if response.response_id:
        frame["responseId"] = response.response_id
    return frame


def _blocks_of(response: LLMResponse) -> list[dict[str, Any]]:
    if response.blocks is not None:
        return response.blocks
    blocks: list[dict[str, Any]] = []
    if response.reasoning:
        blocks.append({"type": "thinking", "text": response.reasoning})
    said = response.content or response.refusal  # there is no refusal beside the text
    if said:
        blocks.append({"type": "text", "text": said})
    return blocks + [{"type": "tool_use", "call": n} for n in range(len(_calls_of(response)))]


def _calls_of(response: LLMResponse) -> list[ToolCall]:
    return response.tool_calls or []


def _part_of(block: Mapping[str, Any], calls: Sequence[ToolCall]) -> dict[str, Any]:
    match block["type"]:
        case "thinking":
            part: dict[str, Any] = {"text": block["text"]}
            if block["text"] or block.get("redacted"):
                part["thought"] = True
            if block.get("signature"):
                part["thoughtSignature"] = block["signature"]
            return part
        case "tool_use":
            index: int = block["call"]
            call = calls[index]
            part = {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
            if call.signature:
                part["thoughtSignature"] = call.signature
            return part
        case "provider":
            return dict(block["data"])
        case _:
            return {"text": block["text"]}


def _split(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A text word by word; its seal comes with the last one."""
    words = _WORDS.findall(part["text"]) if "text" in part else []
    for word in words[:-1]:
        yield {name: value for name, value in part.items() if name != "thoughtSignature"} | {"text": word}
    yield {**part, "text": words[-1]} if words else part


def _usage(usage: Usage) -> dict[str, Any]:
    counts = {
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": usage.completion_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "cachedContentTokenCount": usage.cache_read_tokens,
    }
    return {name: count for name, count in counts.items() if count}


def _logprobs(tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    top = [{"candidates": [_token(other) for other in token.get("top_logprobs") or ()]} for token in tokens]
    return {"chosenCandidates": [_token(token) for token in tokens], "topCandidates": top}


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": token["token"], "logProbability": token["logprob"]}


def _grounding(response: LLMResponse) -> dict[str, Any]:
    citations: Sequence[Citation] = response.citations or ()
    chunks = [{"web": {"uri": citation.url, "title": citation.title}} for citation in citations]
    supports: list[dict[str, Any]] = []
    for index, citation in enumerate(citations):
        if citation["start"] is not None and citation["end"] is not None:
            said = response.content[citation["start"] : citation["end"]]
            before = len(response.content[: citation["start"]].encode())
            segment = {"startIndex": before, "endIndex": before + len(said.encode()), "text": said}
            supports.append({"segment": segment, "groundingChunkIndices": [index]})
    return {"groundingChunks": chunks, "groundingSupports": supports}


GEMINI_GENERATE: ServerDialect = _GeminiGenerateServer()
