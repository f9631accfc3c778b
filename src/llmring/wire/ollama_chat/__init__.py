"""The dialect of Ollama's own API, which knows what its OpenAI-compatible endpoint does not: model options, thinking on and off,
images by bytes, how long a model stays loaded. https://docs.ollama.com/api (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.exceptions import ProviderError
from llmring.schemas.embedding import EmbeddingReply, EmbeddingRequest
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest
from llmring.wire.base import Dialect, EmbeddingCodec, EncodedRequest, StreamDecoder, Target, TokenCountCodec
from llmring.wire.ollama_chat.embeddings import decode_embedding, encode_embedding
from llmring.wire.ollama_chat.failures import classify
from llmring.wire.ollama_chat.request import encode
from llmring.wire.ollama_chat.response import decode
from llmring.wire.ollama_chat.stream import ChatStreamDecoder

__all__ = ["DIALECT"]


class _Embeddings:
    def encode(self, request: EmbeddingRequest, target: Target) -> EncodedRequest:
        return encode_embedding(request, target)

    def decode(self, body: bytes) -> EmbeddingReply:
        return decode_embedding(body)


class _OllamaChat:
    name = "ollama_chat"
    stream_type = "application/x-ndjson"
    embeddings: EmbeddingCodec | None = _Embeddings()
    token_count: TokenCountCodec | None = None  # no such call: https://docs.ollama.com/api (2026-11-21)

    def encode(
        self, request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest:
        return encode(request, target, stream=stream, under=under)

    def decode(self, body: bytes) -> list[Event]:
        return decode(body)

    def decode_stream(self) -> StreamDecoder:
        return ChatStreamDecoder()

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(status, headers, body)


DIALECT: Dialect = _OllamaChat()
