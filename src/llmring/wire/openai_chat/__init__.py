"""The dialect of OpenAI's Chat Completions, spoken by OpenAI, Groq, DeepSeek, OpenRouter, vLLM, llama.cpp and many
more.

Both directions: what a client needs (`DIALECT`), and what a server needs (`decode_request`, `encode_reply`,
`encode_stream`, `encode_failure`). https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.exceptions import ProviderError
from llmring.schemas.embedding import EmbeddingReply, EmbeddingRequest
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest
from llmring.wire.base import Dialect, EmbeddingCodec, EncodedRequest, StreamDecoder, Target, TokenCountCodec
from llmring.wire.openai_chat.embeddings import decode_embedding, encode_embedding
from llmring.wire.openai_chat.failures import classify, encode_failure
from llmring.wire.openai_chat.request import decode_request, encode
from llmring.wire.openai_chat.response import decode, encode_reply
from llmring.wire.openai_chat.stream import ChatStreamDecoder, encode_stream

__all__ = ["DIALECT", "decode_request", "encode_failure", "encode_reply", "encode_stream"]


class _Embeddings:
    def encode(self, request: EmbeddingRequest, target: Target) -> EncodedRequest:
        return encode_embedding(request, target)

    def decode(self, body: bytes) -> EmbeddingReply:
        return decode_embedding(body)


class _OpenAIChat:
    name = "openai_chat"
    stream_type = "text/event-stream"
    embeddings: EmbeddingCodec | None = _Embeddings()
    token_count: TokenCountCodec | None = None  # Chat Completions has no such call; Responses has

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


DIALECT: Dialect = _OpenAIChat()
