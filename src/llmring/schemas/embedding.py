"""Embeddings: what is asked for, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

import orjson

from llmring.exceptions import ConfigurationError, LLMRingError
from llmring.schemas.provider_options import CohereEmbeddingOptions
from llmring.schemas.retry import RetryPolicy
from llmring.schemas.usage import Usage

EmbeddingInputType: TypeAlias = Literal["query", "document", "similarity", "classification", "clustering"]

_WORDS: Final = {
    "input_type": get_args(EmbeddingInputType),
    "truncate": ("none", "start", "end"),
    "encoding_format": ("float", "base64"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingOptions:
    """How texts are embedded. What is left at None is left to the provider.

    input_type: what the vectors are for; providers that tell queries from documents put them into different places.
    truncate: what happens to a text that is too long: cut at the start, at the end, or refused ("none").
    dimensions (numbers): length of each vector, where the model can be asked for one.
    encoding_format: how vectors travel; "base64" is shorter, and both are decoded to floats.
    extra_params: put into the body as they are.
    provider_options: what one vendor alone has, typed.
    timeout (seconds): for the whole reply.
    retry: how often it is sent, and how long it waits in between; default, the ring's.
    """

    input_type: EmbeddingInputType | None = None
    truncate: Literal["none", "start", "end"] | None = None
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    extra_params: Mapping[str, Any] | None = None
    provider_options: CohereEmbeddingOptions | None = None
    timeout: float | None = None
    retry: RetryPolicy | None = None

    def __post_init__(self) -> None:
        if self.dimensions is not None and (type(self.dimensions) is not int or self.dimensions < 1):
            raise ConfigurationError(f"EmbeddingOptions.dimensions: a whole number above 0, not {self.dimensions!r}")
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise ConfigurationError(f"EmbeddingOptions.timeout: seconds above 0, not {self.timeout!r}")
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value is not None and value not in words:
                raise ConfigurationError(
                    f"EmbeddingOptions.{name}: {str(value)[:40]!r} is no such word", hint=f"it has {', '.join(words)}"
                )


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to embed, as a dialect gets them. inputs: at least one, none of them empty."""

    model: str
    inputs: tuple[str, ...]
    options: EmbeddingOptions = EmbeddingOptions()


@dataclass(slots=True)
class EmbeddingReply:
    """What a dialect reads: a vector for each input, in order. usage: None where the provider reports none."""

    embeddings: list[list[float]]
    model: str = ""
    usage: Usage | None = None
    response_id: str | None = None


@dataclass(slots=True, kw_only=True)
class EmbeddingResponse:
    """Vectors for texts, in the order of the texts.

    model: who made them, by the provider's name; requested_model: what was asked for; provider, alias, profile: how it was
    found. usage: tokens and cost (`usage.cost`, USD, None where the price is unknown). error: for batches. body: the reply's JSON text.
    """

    embeddings: list[list[float]] = field(default_factory=list[list[float]], repr=False)
    model: str = ""
    requested_model: str = ""
    provider: str = ""
    alias: str | None = None
    profile: str | None = None
    usage: Usage = field(default_factory=Usage)
    response_id: str | None = None
    request_id: str | None = None
    warnings: list[str] = field(default_factory=list[str])
    attempts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    body: bytes | None = field(default=None, repr=False)
    error: LLMRingError | None = None

    @property
    def embedding(self) -> list[float]:
        """The first vector. Raises IndexError where there is none."""
        return self.embeddings[0]

    @property
    def raw(self) -> Any:
        """The reply as decoded JSON, decoded at each access; None where there is none."""
        return None if self.body is None else orjson.loads(self.body)

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def cost(self) -> float | None:
        """USD; None where the price is unknown."""
        return self.usage["cost"]
