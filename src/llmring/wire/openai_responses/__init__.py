"""The dialect of OpenAI's Responses, spoken by OpenAI, Azure, xAI, vLLM, llama.cpp and others.

https://developers.openai.com/api/reference/resources/responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.exceptions import ProviderError
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest
from llmring.wire.base import (
    BackgroundCodec,
    BackgroundJob,
    Dialect,
    EmbeddingCodec,
    EncodedRequest,
    StreamDecoder,
    Target,
    TokenCountCodec,
)
from llmring.wire.openai_responses.background import encode_cancel, encode_poll, read_job
from llmring.wire.openai_responses.failures import classify
from llmring.wire.openai_responses.request import decode_count, encode, encode_count
from llmring.wire.openai_responses.response import decode
from llmring.wire.openai_responses.stream import ResponsesStreamDecoder

__all__ = ["DIALECT"]


class _TokenCount:
    def encode(self, request: LLMRequest, target: Target, *, under: Mapping[str, Any] | None = None) -> EncodedRequest:
        return encode_count(request, target, under)

    def decode(self, body: bytes) -> int:
        return decode_count(body)


class _Background:
    def read(self, body: bytes) -> BackgroundJob:
        return read_job(body)

    def encode_poll(self, id: str) -> EncodedRequest:
        return encode_poll(id)

    def encode_cancel(self, id: str) -> EncodedRequest:
        return encode_cancel(id)


class _OpenAIResponses:
    name = "openai_responses"
    stream_type = "text/event-stream"
    embeddings: EmbeddingCodec | None = None  # an endpoint of its own, which `openai_chat` has words for
    token_count: TokenCountCodec | None = _TokenCount()
    background: BackgroundCodec = _Background()

    def encode(
        self, request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest:
        return encode(request, target, stream=stream, under=under)

    def decode(self, body: bytes) -> list[Event]:
        return decode(body)

    def decode_stream(self) -> StreamDecoder:
        return ResponsesStreamDecoder()

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(status, headers, body)


DIALECT: Dialect = _OpenAIResponses()
