"""llmring: pin models the way you pin packages.

The floors, from the top; each may look down, never up:
    doors   cli, testing
    work    service_extended, service, conversations, files
    call    calls, resilience
    reach   resolver, lockfile, registry, providers, transport
    wire    wire
    ground  schemas, exceptions, secret, clock, env

Names load when they are first used, so `import llmring` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmring.lazy import lazy_names

if TYPE_CHECKING:
    from llmring.calls.stream import ChatStream
    from llmring.conversations import ConversationManager
    from llmring.exceptions import (
        AliasNotFoundError,
        AttemptRecord,
        CircuitBreakerError,
        ConfigurationError,
        ContextLengthError,
        DeadlineExceededError,
        InvalidRequestError,
        LLMRingError,
        LockfileError,
        LockfileVersionError,
        MalformedResponseError,
        MissingCredentialError,
        ModelNotFoundError,
        ProfileNotFoundError,
        ProviderAuthenticationError,
        ProviderConnectionError,
        ProviderError,
        ProviderNotFoundError,
        ProviderRateLimitError,
        ProviderResponseError,
        ProviderTimeoutError,
        QuotaExhaustedError,
        ResponseTimeoutError,
        ResponseTooLargeError,
        SchemaConversionError,
        SchemaValidationError,
        ServiceClosedError,
        StreamInterruptedError,
        ToolExecutionError,
        UnsafeURLError,
    )
    from llmring.files import (
        analyze_image,
        compare_images,
        create_base64_image_content,
        create_data_url,
        create_image_content,
        create_multi_image_content,
        encode_file_to_base64,
        extract_text_from_image,
        get_file_mime_type,
        validate_image_file,
    )
    from llmring.providers.base import BaseLLMProvider
    from llmring.providers.declared import ProviderOptions
    from llmring.schemas import (
        Citation,
        FilePart,
        ImagePart,
        LLMRequest,
        LLMResponse,
        Message,
        MessageInput,
        ModelInfo,
        ModelRef,
        Part,
        RequestOptions,
        Role,
        SamplingParams,
        StreamChunk,
        StreamEventType,
        TextPart,
        ThinkingPart,
        Timeouts,
        Timing,
        ToolCall,
        ToolOutputPart,
        ToolUsePart,
        Usage,
        normalize_messages,
    )
    from llmring.service import LLMRing
    from llmring.service_extended import LLMRingExtended

__version__ = "0.1.0"

__all__ = [
    "AliasNotFoundError",
    "AttemptRecord",
    "BaseLLMProvider",
    "ChatStream",
    "CircuitBreakerError",
    "Citation",
    "ConfigurationError",
    "ContextLengthError",
    "ConversationManager",
    "DeadlineExceededError",
    "FilePart",
    "ImagePart",
    "InvalidRequestError",
    "LLMRequest",
    "LLMResponse",
    "LLMRing",
    "LLMRingError",
    "LLMRingExtended",
    "LockfileError",
    "LockfileVersionError",
    "MalformedResponseError",
    "Message",
    "MessageInput",
    "MissingCredentialError",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelRef",
    "Part",
    "ProfileNotFoundError",
    "ProviderAuthenticationError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderNotFoundError",
    "ProviderOptions",
    "ProviderRateLimitError",
    "ProviderResponseError",
    "ProviderTimeoutError",
    "QuotaExhaustedError",
    "RequestOptions",
    "ResponseTimeoutError",
    "ResponseTooLargeError",
    "Role",
    "SamplingParams",
    "SchemaConversionError",
    "SchemaValidationError",
    "ServiceClosedError",
    "StreamChunk",
    "StreamEventType",
    "StreamInterruptedError",
    "TextPart",
    "ThinkingPart",
    "Timeouts",
    "Timing",
    "ToolCall",
    "ToolExecutionError",
    "ToolOutputPart",
    "ToolUsePart",
    "UnsafeURLError",
    "Usage",
    "__version__",
    "analyze_image",
    "compare_images",
    "create_base64_image_content",
    "create_data_url",
    "create_image_content",
    "create_multi_image_content",
    "encode_file_to_base64",
    "extract_text_from_image",
    "get_file_mime_type",
    "normalize_messages",
    "validate_image_file",
]

# Where each name lives. The import block above says the same to type checkers; a test holds the two together.
_load = lazy_names(
    __name__,
    {
        "calls.stream": ("ChatStream",),
        "conversations": ("ConversationManager",),
        "exceptions": (
            "AliasNotFoundError",
            "AttemptRecord",
            "CircuitBreakerError",
            "ConfigurationError",
            "ContextLengthError",
            "DeadlineExceededError",
            "InvalidRequestError",
            "LLMRingError",
            "LockfileError",
            "LockfileVersionError",
            "MalformedResponseError",
            "MissingCredentialError",
            "ModelNotFoundError",
            "ProfileNotFoundError",
            "ProviderAuthenticationError",
            "ProviderConnectionError",
            "ProviderError",
            "ProviderNotFoundError",
            "ProviderRateLimitError",
            "ProviderResponseError",
            "ProviderTimeoutError",
            "QuotaExhaustedError",
            "ResponseTimeoutError",
            "ResponseTooLargeError",
            "SchemaConversionError",
            "SchemaValidationError",
            "ServiceClosedError",
            "StreamInterruptedError",
            "ToolExecutionError",
            "UnsafeURLError",
        ),
        "files": (
            "analyze_image",
            "compare_images",
            "create_base64_image_content",
            "create_data_url",
            "create_image_content",
            "create_multi_image_content",
            "encode_file_to_base64",
            "extract_text_from_image",
            "get_file_mime_type",
            "validate_image_file",
        ),
        "providers.base": ("BaseLLMProvider",),
        "providers.declared": ("ProviderOptions",),
        "schemas.messages": (
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
        "schemas.model_info": ("ModelInfo",),
        "schemas.model_ref": ("ModelRef",),
        "schemas.request": ("LLMRequest", "RequestOptions", "SamplingParams", "Timeouts"),
        "schemas.response": ("Citation", "LLMResponse", "StreamChunk", "StreamEventType", "Timing", "Usage"),
        "schemas.tools": ("ToolCall",),
        "service": ("LLMRing",),
        "service_extended": ("LLMRingExtended",),
    },
)

# Hidden from type checkers: a module with `__getattr__` has every name for them, misspelt ones too.
if not TYPE_CHECKING:
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
