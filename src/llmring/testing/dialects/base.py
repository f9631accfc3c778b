"""What the fake provider needs of a dialect: the server's side of it, and which of its endpoints a path is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from llmring.schemas.response import LLMResponse

Endpoint: TypeAlias = Literal["chat", "embeddings", "token_count", "models"]


class ServerDialect(Protocol):
    """A dialect as a server speaks it. `path` is a request's path without its query, `body` its parsed JSON object."""

    name: str
    base_path: str
    """What a base URL of it ends in, as its vendor has it."""
    stream_type: str
    """The content type of a stream."""
    speaks_chat: bool
    """Whether it has chat at all; some have embeddings alone."""

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        """What is asked for at this path; None where this dialect has nothing there."""
        ...

    def model(self, path: str, body: Mapping[str, Any]) -> str | None: ...

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool: ...

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        """All text that the model is given to read."""
        ...

    def reply(self, response: LLMResponse) -> bytes: ...

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        """The stream for a response, one event an item; each but the last holds one JSON object. The last one ends it."""
        ...

    def failure(self, status: int, message: str, code: str | None) -> bytes: ...

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        """An error as it stands inside a stream whose head said 200."""
        ...

    def embedding_inputs(self, body: Mapping[str, Any]) -> list[str] | None:
        """The texts to embed; None where the body names none."""
        ...

    def embedding_reply(
        self, vectors: Sequence[Sequence[float]], tokens: int, model: str, body: Mapping[str, Any]
    ) -> bytes:
        """Raises NotImplementedError in a dialect without embeddings: `endpoint` never leads here."""
        ...

    def token_count_reply(self, tokens: int) -> bytes:
        """Raises NotImplementedError in a dialect that cannot count."""
        ...

    def models_reply(self, models: Sequence[str]) -> bytes: ...
