"""Embeddings in this dialect: https://docs.ollama.com/api/embed (2026-11-21)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.schemas.embedding import EmbeddingReply, EmbeddingRequest
from llmring.schemas.usage import Usage
from llmring.wire.base import EncodedRequest, Target, parse_json
from llmring.wire.ollama_chat.failures import classify_inline
from llmring.wire.ollama_chat.request import OPTIONS

PATH: Final = "/embed"


def encode_embedding(request: EmbeddingRequest, target: Target) -> EncodedRequest:
    """Vectors travel as numbers, whatever `encoding_format` says: they are floats in the end either way. Raises ConfigurationError
    for a text that is to be cut at its start: Ollama cuts at the end (or refuses, with truncate="none")."""
    options = request.options
    encoded = EncodedRequest(PATH, {"model": target.model, "input": list(request.inputs)})
    body = encoded.body
    if options.truncate is not None:
        if options.truncate == "start":
            raise ConfigurationError(
                "truncate: ollama_chat cuts a text that is too long at its end alone", hint='truncate="end" or "none"'
            )
        body["truncate"] = options.truncate == "end"
    if options.dimensions is not None:
        body["dimensions"] = options.dimensions
    if options.input_type is not None:
        encoded.warnings.append("input_type was left out: ollama_chat has no words for it")
    for name, value in (options.extra_params or {}).items():
        if name == "options" and isinstance(value, Mapping):
            body.setdefault("options", {}).update(cast("Mapping[str, Any]", value))
        elif name in OPTIONS:
            body.setdefault("options", {})[name] = value
        else:
            body[name] = value
    return encoded


def decode_embedding(body: bytes) -> EmbeddingReply:
    """Raises MalformedResponseError, ResponseTooLargeError, and the typed error for an `error` that came with status 200."""
    reply = parse_json(body, "embeddings")
    match reply:
        case {"embeddings": [*vectors]}:
            found = [_read_vector(vector) for vector in cast("list[object]", vectors)]
        case {"error": _}:
            raise classify_inline(cast("dict[str, Any]", reply))
        case _:
            raise MalformedResponseError("embeddings: the reply holds none")
    fields = cast("dict[str, Any]", reply)
    model, count = fields.get("model"), fields.get("prompt_eval_count")
    return EmbeddingReply(
        found,
        model=model if isinstance(model, str) else "",
        usage=Usage(count) if type(count) is int and count >= 0 else None,
    )


def _read_vector(vector: object) -> list[float]:
    if not isinstance(vector, list):
        raise MalformedResponseError("embeddings: a vector is no list")
    numbers = cast("list[Any]", vector)
    if not all(type(number) in (float, int) for number in numbers):
        raise MalformedResponseError("embeddings: a vector holds something that is no number")
    return [float(number) for number in numbers]
