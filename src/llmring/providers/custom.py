"""Providers that somebody else writes: what llmring asks of an object that answers requests by itself.

For a server that speaks a dialect llmring knows, a declaration does: `LLMRing(providers={"mine": {"base_url": …}})`. This is for
everything else: another protocol, a model in the same process, a recorded answer. `llmring.testing.conformance` checks one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Sequence
from typing import Protocol, TypeGuard

from llmring.exceptions import NotSupportedError
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingResponse
from llmring.schemas.request import LLMRequest
from llmring.schemas.response import LLMResponse, StreamChunk


class Provider(Protocol):
    """Answers requests. `request.model` is the model's name alone, without the provider's.

    Errors of llmring's own (`ProviderRateLimitError`, …) are passed on as they are, and decide whether a pool's next model is
    tried; any other exception becomes a ProviderResponseError. Used by one event loop; called many times at once.
    """

    @property
    def name(self) -> str: ...

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        """The whole answer, with a finish_reason. Without usage, tokens are estimated."""
        ...

    def chat_stream(self, request: LLMRequest, /) -> AsyncIterable[StreamChunk]:
        """The answer in pieces. Ends with exactly one DONE chunk, whose `data` is the whole response."""
        ...

    async def embed(
        self, input: str | Sequence[str], options: EmbeddingOptions | None = None, *, model: str | None = None
    ) -> EmbeddingResponse:
        """A vector for each text, in order. Raises NotSupportedError where it makes none."""
        ...

    async def close(self) -> None:
        """Lets go of everything. Idempotent."""
        ...


class CustomProvider(ABC):
    """A base for providers: `chat` and `chat_stream` are yours to write, the rest has a default.

    name: before the colon in `name:model`; where a ring registers it under another name, that one counts there.
    local: runs on the user's machine: 300 s to the first token, no limit on the whole.
    """

    name: str
    local: bool = False

    @abstractmethod
    async def chat(self, request: LLMRequest, /) -> LLMResponse: ...

    @abstractmethod
    def chat_stream(self, request: LLMRequest, /) -> AsyncIterable[StreamChunk]: ...

    async def embed(
        self, input: str | Sequence[str], options: EmbeddingOptions | None = None, *, model: str | None = None
    ) -> EmbeddingResponse:
        raise NotSupportedError(
            f"provider {self.name} makes no embeddings", hint="ask another provider's model for them"
        )

    async def close(self) -> None:
        return None


_METHODS = ("chat", "chat_stream", "embed", "close")


def is_provider(given: object) -> TypeGuard[Provider]:
    """Whether an object has what `Provider` asks for, by name."""
    return all(callable(getattr(given, method, None)) for method in _METHODS) and isinstance(
        getattr(given, "name", None), str
    )
