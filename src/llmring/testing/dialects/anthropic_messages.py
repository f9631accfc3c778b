"""Anthropic's Messages and token counts, as a server speaks them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import orjson

from llmring.schemas.response import LLMResponse
from llmring.testing.dialects.base import Endpoint, ServerDialect
from llmring.wire.anthropic_messages.failures import encode_failure
from llmring.wire.anthropic_messages.response import encode_reply
from llmring.wire.anthropic_messages.stream import encode_stream


class _AnthropicMessagesServer:
    name = "anthropic_messages"
    base_path = "/v1"
    stream_type = "text/event-stream"
    speaks_chat = True

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        if method != "POST":
            return None  # a bare `/models` is OpenAI's
        if path.endswith(("/messages", ":rawPredict", ":streamRawPredict")):
            return "token_count" if path.endswith("/count-tokens:rawPredict") else "chat"
        return "token_count" if path.endswith("/messages/count_tokens") else None

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        model = body.get("model")
        if isinstance(model, str):
            return model
        # On Vertex it stands in the path.
        name, action, _ = path.rpartition("/")[2].partition(":")
        return name if action else None

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is True

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        return " ".join([*_texts(body.get("system")), *_texts(body.get("messages"))])

    def reply(self, response: LLMResponse) -> bytes:
        return orjson.dumps(encode_reply(response))

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        return encode_stream(response)

    def failure(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(status, message, code=code)

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        return b"event: error\ndata: " + encode_failure(status, message, code=code) + b"\n\n"

    def embedding_inputs(self, body: Mapping[str, Any]) -> list[str] | None:
        return None

    def embedding_reply(
        self, vectors: Sequence[Sequence[float]], tokens: int, model: str, body: Mapping[str, Any]
    ) -> bytes:
        raise NotImplementedError("Messages has no embeddings")

    def token_count_reply(self, tokens: int) -> bytes:
        return orjson.dumps({"input_tokens": tokens})

    def models_reply(self, models: Sequence[str]) -> bytes:
        data = [
            {"type": "model", "id": model, "display_name": model, "created_at": "2026-11-21T00:00:00Z"}
            for model in models
        ]
        ends = {"first_id": models[0], "last_id": models[-1]} if models else {"first_id": None, "last_id": None}
        return orjson.dumps({"data": data, "has_more": False, **ends})


def _texts(value: object) -> Iterator[str]:
    """Every text of a system prompt, of messages, or of a block and the blocks within it."""
    match cast("Any", value):
        case str(text):
            yield text
        case {"text": str(text)} | {"thinking": str(text)}:
            yield text
        case {"content": content}:
            yield from _texts(content)
        case [*items]:
            for item in items:
                yield from _texts(item)
        case _:
            pass


ANTHROPIC_MESSAGES: ServerDialect = _AnthropicMessagesServer()
