"""The dialect of Google's generateContent, spoken by the Gemini API and by Vertex AI: what a client needs (`DIALECT`).

The server's side lives in `llmring.testing.dialects`. https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.exceptions import ProviderError
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest
from llmring.wire.base import Dialect, EmbeddingCodec, EncodedRequest, StreamDecoder, Target, TokenCountCodec
from llmring.wire.gemini_generate.contents import NAME
from llmring.wire.gemini_generate.embeddings import GeminiEmbeddings
from llmring.wire.gemini_generate.failures import classify
from llmring.wire.gemini_generate.request import decode_count, encode, encode_count
from llmring.wire.gemini_generate.response import decode
from llmring.wire.gemini_generate.stream import GenerateStreamDecoder

__all__ = ["DIALECT"]


class _TokenCount:
    def encode(self, request: LLMRequest, target: Target, *, under: Mapping[str, Any] | None = None) -> EncodedRequest:
        return encode_count(request, target, under)

    def decode(self, body: bytes) -> int:
        return decode_count(body)


class _GeminiGenerate:
    name = NAME
    stream_type = "text/event-stream"
    embeddings: EmbeddingCodec | None = GeminiEmbeddings()
    token_count: TokenCountCodec | None = _TokenCount()

    def encode(
        self, request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest:
        return encode(request, target, stream=stream, under=under)

    def decode(self, body: bytes) -> list[Event]:
        return decode(body)

    def decode_stream(self) -> StreamDecoder:
        return GenerateStreamDecoder()

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(status, headers, body)


DIALECT: Dialect = _GeminiGenerate()
