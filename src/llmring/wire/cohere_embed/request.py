"""Texts to embed and documents to rank, in Cohere's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmring.exceptions import ConfigurationError
from llmring.schemas.embedding import EmbeddingInputType, EmbeddingRequest
from llmring.schemas.rerank import RerankRequest
from llmring.wire.base import EncodedRequest, Target

# https://docs.cohere.com/reference/embed (2026-11-21)
_MAX_TEXTS: Final = 96
_INPUT_TYPES: Final[Mapping[EmbeddingInputType, str]] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
_TRUNCATE: Final = {"none": "NONE", "start": "START", "end": "END"}


def encode_embedding(request: EmbeddingRequest, target: Target) -> EncodedRequest:
    """Raises ConfigurationError for more texts than fit in one request, and an input_type that Cohere does not have."""
    options = request.options
    if len(request.inputs) > _MAX_TEXTS:
        raise ConfigurationError(
            f"{len(request.inputs)} texts for {target.provider}:{target.model}, which takes {_MAX_TEXTS} at once",
            hint=f"embed them {_MAX_TEXTS} at a time",
        )
    warnings: list[str] = []
    wanted = options.input_type
    if wanted is None:
        # Cohere insists on one. What is looked through outnumbers what it is looked for with.
        wanted = "document"
        warnings.append(
            "input_type was sent as search_document: Cohere insists on one, and EmbeddingOptions.input_type says nothing"
        )
    if wanted not in _INPUT_TYPES:
        raise ConfigurationError(f"input_type {wanted!r} is none of Cohere's", hint=f"it has {', '.join(_INPUT_TYPES)}")
    body: dict[str, Any] = {
        "model": target.model,
        "texts": list(request.inputs),
        "input_type": _INPUT_TYPES[wanted],
        "embedding_types": [options.encoding_format or "float"],
    }
    if options.truncate is not None:
        body["truncate"] = _TRUNCATE[options.truncate]
    if options.dimensions is not None:
        body["output_dimension"] = options.dimensions
    return EncodedRequest("/embed", body | dict(options.extra_params or {}), warnings=warnings)


def encode_rerank(request: RerankRequest, target: Target) -> EncodedRequest:
    body: dict[str, Any] = {"model": target.model, "query": request.query, "documents": list(request.documents)}
    if request.top_n is not None:
        body["top_n"] = request.top_n
    return EncodedRequest("/rerank", body)
