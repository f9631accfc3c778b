"""OpenAI's Chat Completions, embeddings and model listing, as a server speaks them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from llmring.schemas.response import LLMResponse
from llmring.testing.dialects.base import Endpoint, ServerDialect
from llmring.wire.openai_chat.failures import encode_failure
from llmring.wire.openai_chat.response import encode_reply
from llmring.wire.openai_chat.stream import encode_stream


class _OpenAIChatServer:
    name = "openai_chat"
    base_path = "/v1"
    stream_type = "text/event-stream"
    speaks_chat = True

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        if method == "GET":
            return "models" if path.endswith("/models") else None
        if path.endswith("/chat/completions"):
            return "chat"
        return "embeddings" if path.endswith("/embeddings") else None

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        model = body.get("model")
        return model if isinstance(model, str) else None

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is True

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        messages = body.get("messages")
        if not isinstance(messages, list):
            return ""
        texts: list[str] = []
        for message in cast("list[Any]", messages):
            match message:
                case {"content": str(text)}:
                    texts.append(text)
                case {"content": [*parts]}:
                    texts += [part["text"] for part in parts if isinstance(part, dict) and "text" in part]
                case _:
                    pass
        return " ".join(texts)

    def reply(self, response: LLMResponse) -> bytes:
        return orjson.dumps(encode_reply(response))

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        match body:
            case {"stream_options": {"include_usage": True}}:
                return encode_stream(response, include_usage=True)
            case _:
                return encode_stream(response, include_usage=False)

    def failure(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(status, message, code=code)

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        return b"data: " + encode_failure(status, message, code=code) + b"\n\n"

    def embedding_inputs(self, body: Mapping[str, Any]) -> list[str] | None:
        match body.get("input"):
            case str(text):
                return [text]
            case [*texts] if all(isinstance(text, str) for text in texts):
                return cast("list[str]", texts)
            case _:
                return None

    def embedding_reply(
        self, vectors: Sequence[Sequence[float]], tokens: int, model: str, body: Mapping[str, Any]
    ) -> bytes:
        def written(vector: Sequence[float]) -> object:
            if body.get("encoding_format") == "base64":
                return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            return list(vector)

        data = [{"object": "embedding", "index": n, "embedding": written(v)} for n, v in enumerate(vectors)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})

    def token_count_reply(self, tokens: int) -> bytes:
        raise NotImplementedError("Chat Completions has no call that counts tokens")

    def models_reply(self, models: Sequence[str]) -> bytes:
        data = [{"id": model, "object": "model", "created": 0, "owned_by": "fake"} for model in models]
        return orjson.dumps({"object": "list", "data": data})


OPENAI_CHAT: ServerDialect = _OpenAIChatServer()
