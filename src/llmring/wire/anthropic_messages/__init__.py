"""The dialect of Anthropic's Messages, spoken by Anthropic, its models on Vertex and Bedrock, llama.cpp and others.

Both directions: what a client needs (`DIALECT`), and what a server needs (`decode_request`, `encode_reply`,
`encode_stream`, `encode_failure`). https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.exceptions import ProviderError
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest
from llmring.wire.anthropic_messages.asked import decode_request
from llmring.wire.anthropic_messages.failures import classify, encode_failure
from llmring.wire.anthropic_messages.request import decode_count, encode, encode_count
from llmring.wire.anthropic_messages.response import decode, encode_reply
from llmring.wire.anthropic_messages.stream import MessagesStreamDecoder, encode_stream
from llmring.wire.base import Dialect, EmbeddingCodec, EncodedRequest, StreamDecoder, Target, TokenCountCodec

__all__ = ["DIALECT", "decode_request", "encode_failure", "encode_reply", "encode_stream"]


class _TokenCount:
    def encode(self, request: LLMRequest, target: Target, *, under: Mapping[str, Any] | None = None) -> EncodedRequest:
        return encode_count(request, target, under)

    def decode(self, body: bytes) -> int:
        return decode_count(body)


class _AnthropicMessages:
    name = "anthropic_messages"
    stream_type = "text/event-stream"
    embeddings: EmbeddingCodec | None = (
        None  # https://platform.claude.com/docs/en/build-with-claude/embeddings: there are none
    )
    token_count: TokenCountCodec | None = _TokenCount()

    def encode(
        self, request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest:
        return encode(request, target, stream=stream, under=under)

    def decode(self, body: bytes) -> list[Event]:
        return decode(body)

    def decode_stream(self) -> StreamDecoder:
        return MessagesStreamDecoder()

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(status, headers, body)


DIALECT: Dialect = _AnthropicMessages()
