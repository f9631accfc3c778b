"""Cohere's embeddings, as a server speaks them: `POST /v2/embed`."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from llmring.schemas.response import LLMResponse
from llmring.testing.dialects.base import Endpoint, ServerDialect
from llmring.wire.cohere_embed.failures import encode_failure


class _CohereEmbedServer:
    name = "cohere_embed"
    base_path = "/v2"
    stream_type = "text/event-stream"
    speaks_chat = False

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return (
            "embeddings" if method == "POST" and path.endswith("/embed") and not path.endswith("/api/embed") else None
        )

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        model = body.get("model")
        return model if isinstance(model, str) else None

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool:
        return False

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        return " ".join(self.embedding_inputs(body) or ())

    def reply(self, response: LLMResponse) -> bytes:
        raise NotImplementedError("cohere_embed has no chat")

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        raise NotImplementedError("cohere_embed has no chat")

    def failure(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(message)

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        raise NotImplementedError("cohere_embed has no streams")

    def embedding_inputs(self, body: Mapping[str, Any]) -> list[str] | None:
        match body.get("texts"):
            case [*texts] if all(isinstance(text, str) for text in texts):
                return cast("list[str]", texts)
            case _:
                return None

    def embedding_reply(
        self, vectors: Sequence[Sequence[float]], tokens: int, model: str, body: Mapping[str, Any]
    ) -> bytes:
        form: str = (body.get("embedding_types") or ["float"])[0]
        if form == "base64":
            written: list[Any] = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
        else:
            written = [list(vector) for vector in vectors]
        reply = {
            "id": "fake",
            "embeddings": {form: written},
            "texts": self.embedding_inputs(body),
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
            "response_type": "embeddings_by_type",
        }
        return orjson.dumps(reply)

    def token_count_reply(self, tokens: int) -> bytes:
        raise NotImplementedError("Cohere's embeddings have no call that counts tokens")

    def models_reply(self, models: Sequence[str]) -> bytes:
        raise NotImplementedError("the fake provider lists no models in Cohere's words")


COHERE_EMBED: ServerDialect = _CohereEmbedServer()
