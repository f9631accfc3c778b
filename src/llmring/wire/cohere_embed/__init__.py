"""The dialect of Cohere's embeddings and ranking. It has no words for chat: Cohere's chat is spoken in OpenAI's dialect, at an
endpoint of its own. https://docs.cohere.com/reference/embed and https://docs.cohere.com/reference/rerank (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from llmring.exceptions import MalformedResponseError, NotSupportedError, ProviderError
from llmring.schemas.embedding import EmbeddingReply, EmbeddingRequest
from llmring.schemas.request import LLMRequest
from llmring.schemas.rerank import RerankReply, RerankRequest
from llmring.wire.base import (
    Dialect,
    EmbeddingCodec,
    EncodedRequest,
    RerankCodec,
    StreamDecoder,
    Target,
    TokenCountCodec,
)
from llmring.wire.cohere_embed.failures import classify
from llmring.wire.cohere_embed.request import encode_embedding, encode_rerank
from llmring.wire.cohere_embed.response import decode_embedding, decode_rerank


class _Embeddings:
    def encode(self, request: EmbeddingRequest, target: Target) -> EncodedRequest:
        return encode_embedding(request, target)

    def decode(self, body: bytes) -> EmbeddingReply:
        return decode_embedding(body)


class _Rerank:
    def encode(self, request: RerankRequest, target: Target) -> EncodedRequest:
        return encode_rerank(request, target)

    def decode(self, body: bytes) -> RerankReply:
        return decode_rerank(body)


class _CohereEmbed:
    name = "cohere_embed"
    stream_type = "text/event-stream"
    embeddings: EmbeddingCodec | None = _Embeddings()
    token_count: TokenCountCodec | None = None
    rerank: RerankCodec = _Rerank()

    def encode(
        self, request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest:
        raise NotSupportedError(
            f"{target.provider}:{target.model} is asked for embeddings and rankings only",
            hint="Cohere's chat models speak OpenAI's dialect: declare a provider with "
            "base_url='https://api.cohere.ai/compatibility/v1' and key_variable='CO_API_KEY'",
        )

    def decode(self, body: bytes) -> NoReturn:
        raise MalformedResponseError("the dialect cohere_embed has no chat")

    def decode_stream(self) -> StreamDecoder:
        raise MalformedResponseError("the dialect cohere_embed has no chat")

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(status, headers, body)


DIALECT: Dialect = _CohereEmbed()
