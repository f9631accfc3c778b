"""Embeddings of this dialect: `batchEmbedContents` at the Gemini API, `predict` on Vertex.

https://ai.google.dev/api/embeddings and https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
(2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.schemas.embedding import EmbeddingInputType, EmbeddingReply, EmbeddingRequest
from llmring.schemas.response import Usage
from llmring.wire.base import EncodedRequest, Target, parse_json
from llmring.wire.gemini_generate.contents import NAME
from llmring.wire.gemini_generate.failures import classify_inline
from llmring.wire.gemini_generate.request import model_path

_TASKS: Final[Mapping[EmbeddingInputType, str]] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "similarity": "SEMANTIC_SIMILARITY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


class GeminiEmbeddings:
    """Vectors travel as numbers alone: `encoding_format` has nothing to choose."""

    def encode(self, request: EmbeddingRequest, target: Target) -> EncodedRequest:
        """Raises ConfigurationError for what the dialect cannot say."""
        options = request.options
        if options.truncate == "start":
            raise ConfigurationError(f"truncate: {NAME} cuts texts at their end alone", hint="use 'end' or 'none'")
        if options.dimensions is not None and target.quirks.embedding_dimensions is False:
            raise ConfigurationError(
                f"dimensions: {target.provider}:{target.model} makes vectors of one length alone", hint="leave it out"
            )
        name = model_path(target.model)
        encoded = _encode_predict(request, name) if target.quirks.envelope == "vertex" else _encode_batch(request, name)
        for key, value in (options.extra_params or {}).items():
            if encoded.body.setdefault(key, value) != value:
                raise ConfigurationError(f"extra_params: {key!r} is llmring's own to set", hint="leave it out")
        return encoded

    def decode(self, body: bytes) -> EmbeddingReply:
        """Raises MalformedResponseError, ResponseTooLargeError, or a classified error that stands in a good reply's place."""
        reply = parse_json(body, "embeddings")
        if not isinstance(reply, dict):
            raise MalformedResponseError("embeddings: JSON, but no object")
        given = cast("dict[str, Any]", reply)
        if given.get("error"):
            raise classify_inline(given)
        if "predictions" in given:
            return _decode_predictions(given["predictions"])
        if not isinstance(given.get("embeddings"), list):
            raise MalformedResponseError("embeddings: the reply holds none")
        vectors = [_values(item) for item in cast("list[object]", given["embeddings"])]
        usage: Any = given.get("usageMetadata")
        match usage:
            case {"promptTokenCount": int(count)} | {"totalTokenCount": int(count)}:
                return EmbeddingReply(vectors, usage=Usage(count, 0))
            case _:
                return EmbeddingReply(vectors)


def _encode_batch(request: EmbeddingRequest, name: str) -> EncodedRequest:
    options = request.options
    shared: dict[str, Any] = {"model": name}
    if options.input_type is not None:
        shared["taskType"] = _TASKS[options.input_type]
    if options.dimensions is not None:
        shared["outputDimensionality"] = options.dimensions
    requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in request.inputs]
    encoded = EncodedRequest(f"/{name}:batchEmbedContents", {"requests": requests})
    if options.truncate is not None:
        encoded.warnings.append(f"truncate was left out: {NAME} has no words for it outside Vertex")
    return encoded


def _encode_predict(request: EmbeddingRequest, name: str) -> EncodedRequest:
    """gemini-embedding-001 takes one text a request there; the vendor refuses more."""
    options = request.options
    task = {} if options.input_type is None else {"task_type": _TASKS[options.input_type]}
    parameters: dict[str, Any] = {}
    if options.dimensions is not None:
        parameters["outputDimensionality"] = options.dimensions
    if options.truncate is not None:
        parameters["autoTruncate"] = options.truncate == "end"
    body: dict[str, Any] = {"instances": [{"content": text, **task} for text in request.inputs]}
    if parameters:
        body["parameters"] = parameters
    return EncodedRequest(f"/{name}:predict", body)


def _decode_predictions(predictions: object) -> EmbeddingReply:
    vectors: list[list[float]] = []
    tokens = 0
    for item in cast("list[object]", predictions) if isinstance(predictions, list) else ():
        embedding = cast("dict[str, Any]", item).get("embeddings") if isinstance(item, dict) else None
        vectors.append(_values(embedding))
        match embedding:
            case {"statistics": {"token_count": int() | float() as count}}:
                tokens += int(count)
            case _:
                pass
    return EmbeddingReply(vectors, usage=Usage(tokens, 0) if tokens else None)


def _values(item: object) -> list[float]:
    values = cast("dict[str, Any]", item).get("values") if isinstance(item, dict) else None
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in cast("list[Any]", values)):
        raise MalformedResponseError("embeddings: a vector is no list of numbers")
    return [float(value) for value in cast("list[float]", values)]
