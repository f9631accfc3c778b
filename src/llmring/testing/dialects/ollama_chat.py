"""Ollama's chat, embeddings and list of local models, as a server speaks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from llmring.schemas.response import LLMResponse
from llmring.testing.dialects.base import Endpoint, ServerDialect
from llmring.wire.ollama_chat.failures import encode_failure
from llmring.wire.ollama_chat.response import encode_reply
from llmring.wire.ollama_chat.stream import encode_stream


class _OllamaChatServer:
    name = "ollama_chat"
    base_path = "/api"
    stream_type = "application/x-ndjson"
    speaks_chat = True

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        if method == "GET":
            return "models" if path.endswith("/api/tags") else None
        if path.endswith("/api/chat"):
            return "chat"
        return "embeddings" if path.endswith("/api/embed") else None

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        model = body.get("model")
        return model if isinstance(model, str) else None

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is not False  # on unless it is turned off

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        messages = body.get("messages")
        if not isinstance(messages, list):
            return ""
        texts: list[str] = []
        for message in cast("list[Any]", messages):
            match message:
                case {"content": str(text)}:
                    texts.append(text)
                case _:
                    pass
        return " ".join(texts)

    def reply(self, response: LLMResponse) -> bytes:
        return orjson.dumps(encode_reply(response))

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        return encode_stream(response)

    def failure(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(message)

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(message) + b"\n"

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
        reply = {"model": model, "embeddings": [list(vector) for vector in vectors]}
        return orjson.dumps({**reply, "total_duration": 1, "load_duration": 1, "prompt_eval_count": tokens})

    def token_count_reply(self, tokens: int) -> bytes:
        raise NotImplementedError("Ollama has no call that counts tokens")

    def models_reply(self, models: Sequence[str]) -> bytes:
        details = {"parent_model": "", "format": "gguf", "family": "fake", "families": ["fake"]}
        details |= {"parameter_size": "1B", "quantization_level": "Q4_K_M"}
        listed = [
            {
                "name": model,
                "model": model,
                "modified_at": "2026-11-21T00:00:00Z",
                "size": 1,
                "digest": "0" * 64,
                "details": details,
            }
            for model in models
        ]
        return orjson.dumps({"models": listed})


OLLAMA_CHAT: ServerDialect = _OllamaChatServer()
