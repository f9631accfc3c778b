"""The words of llmring: requests, messages and parts, responses, chunks, usage, tool calls. Pure data; no I/O."""

from typing import TYPE_CHECKING

from llmring.lazy import lazy_names

if TYPE_CHECKING:
    from llmring.schemas.embedding import EmbeddingOptions, EmbeddingResponse
    from llmring.schemas.messages import (
        FilePart,
        ImagePart,
        Message,
        MessageInput,
        Part,
        Role,
        TextPart,
        ThinkingPart,
        ToolOutputPart,
        ToolUsePart,
        normalize_messages,
    )
    from llmring.schemas.model_ref import ModelRef
    from llmring.schemas.provider_options import (
        AnthropicOptions,
        CohereEmbeddingOptions,
        GoogleOptions,
        LMStudioOptions,
        OllamaOptions,
        OpenAIOptions,
    )
    from llmring.schemas.request import ComputerUse, LLMRequest, RequestOptions, SamplingParams, Timeouts
    from llmring.schemas.rerank import RerankResponse
    from llmring.schemas.response import LLMResponse, StreamChunk, StreamEventType, Timing
    from llmring.schemas.token_count import TokenCount
    from llmring.schemas.tools import ToolCall
    from llmring.schemas.usage import Citation, Usage

__all__ = [
    "AnthropicOptions",
    "Citation",
    "CohereEmbeddingOptions",
    "ComputerUse",
    "EmbeddingOptions",
    "EmbeddingResponse",
    "FilePart",
    "GoogleOptions",
    "ImagePart",
    "LLMRequest",
    "LLMResponse",
    "LMStudioOptions",
    "Message",
    "MessageInput",
    "ModelRef",
    "OllamaOptions",
    "OpenAIOptions",
    "Part",
    "RequestOptions",
    "RerankResponse",
    "Role",
    "SamplingParams",
    "StreamChunk",
    "StreamEventType",
    "TextPart",
    "ThinkingPart",
    "Timeouts",
    "Timing",
    "TokenCount",
    "ToolCall",
    "ToolOutputPart",
    "ToolUsePart",
    "Usage",
    "normalize_messages",
]

_load = lazy_names(
    __name__,
    {
        "messages": (
            "FilePart",
            "ImagePart",
            "Message",
            "MessageInput",
            "Part",
            "Role",
            "TextPart",
            "ThinkingPart",
            "ToolOutputPart",
            "ToolUsePart",
            "normalize_messages",
        ),
        "model_ref": ("ModelRef",),
        "provider_options": (
            "AnthropicOptions",
            "CohereEmbeddingOptions",
            "GoogleOptions",
            "LMStudioOptions",
            "OllamaOptions",
            "OpenAIOptions",
        ),
        "request": ("ComputerUse", "LLMRequest", "RequestOptions", "SamplingParams", "Timeouts"),
        "response": ("LLMResponse", "StreamChunk", "StreamEventType", "Timing"),
        "tools": ("ToolCall",),
        "usage": ("Citation", "Usage"),
        "embedding": (
            "EmbeddingOptions",
            "EmbeddingResponse",
        ),
        "rerank": ("RerankResponse",),
        "token_count": ("TokenCount",),
    },
)

# Hidden from type checkers: a module with `__getattr__` has every name for them, misspelt ones too.
if not TYPE_CHECKING:
    __getattr__ = _load
