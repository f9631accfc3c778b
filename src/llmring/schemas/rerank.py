"""Reranking: documents in the order in which they answer a question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from llmring.exceptions import ConfigurationError, LLMRingError
from llmring.schemas.usage import Usage


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """What a dialect gets. documents: at least one, none of them empty. top_n: how many to give back; None = all."""

    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    extra_params: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.top_n is not None and (type(self.top_n) is not int or self.top_n < 1):
            raise ConfigurationError(f"top_n: a whole number above 0, not {self.top_n!r}")


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """index: its place in the documents that were given. score: how well it answers, 0 to 1; comparable within one query only."""

    index: int
    score: float
    document: str = field(default="", repr=False)


@dataclass(slots=True)
class RerankReply:
    """What a dialect reads. search_units: what the provider bills; None where it does not say."""

    results: list[RankedDocument]
    search_units: float | None = None
    response_id: str | None = None


@dataclass(slots=True, kw_only=True)
class RerankResponse:
    """Documents, the best first. provider, model, alias, profile: who ranked them and how it was found. search_units: what the
    provider bills. usage: tokens, zero where it bills none."""

    results: list[RankedDocument] = field(default_factory=list[RankedDocument])
    model: str = ""
    requested_model: str = ""
    provider: str = ""
    alias: str | None = None
    profile: str | None = None
    search_units: float | None = None
    usage: Usage = field(default_factory=Usage)
    response_id: str | None = None
    request_id: str | None = None
    warnings: list[str] = field(default_factory=list[str])
    attempts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    body: bytes | None = field(default=None, repr=False)
    error: LLMRingError | None = None

    @property
    def raw(self) -> Any:
        """The reply as decoded JSON, decoded at each access; None where there is none."""
        return None if self.body is None else orjson.loads(self.body)

    @property
    def ok(self) -> bool:
        return self.error is None
