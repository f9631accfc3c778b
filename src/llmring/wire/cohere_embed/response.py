"""Vectors and rankings out of Cohere's replies."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any, cast

from llmring.exceptions import MalformedResponseError
from llmring.schemas.embedding import EmbeddingReply
from llmring.schemas.rerank import RankedDocument, RerankReply
from llmring.schemas.usage import Usage
from llmring.wire.base import parse_json


def decode_embedding(body: bytes) -> EmbeddingReply:
    """Raises MalformedResponseError, ResponseTooLargeError."""
    reply = parse_json(body, "embeddings")
    match reply:
        case {"embeddings": {"float": [*vectors]}}:
            found = [_read_floats(vector) for vector in cast("list[object]", vectors)]
        case {"embeddings": {"base64": [*vectors]}}:
            found = [_read_base64(vector) for vector in cast("list[object]", vectors)]
        case _:
            raise MalformedResponseError("embeddings: the reply holds neither embeddings.float nor embeddings.base64")
    tokens = _billed(reply, "input_tokens")
    usage = None if tokens is None else Usage(int(tokens))
    return EmbeddingReply(found, usage=usage, response_id=_read_id(reply))


def decode_rerank(body: bytes) -> RerankReply:
    """Raises MalformedResponseError, ResponseTooLargeError."""
    reply = parse_json(body, "ranking")
    match reply:
        case {"results": [*items]}:
            results = [_read_result(item) for item in cast("list[object]", items)]
        case _:
            raise MalformedResponseError("ranking: the reply holds no results")
    results.sort(key=lambda found: -found.score)
    return RerankReply(results, search_units=_billed(reply, "search_units"), response_id=_read_id(reply))


def _read_result(item: object) -> RankedDocument:
    match item:
        case {"index": int(index), "relevance_score": float() | int() as score}:
            return RankedDocument(index, float(score))
        case _:
            raise MalformedResponseError("ranking: a result has no index and relevance_score")


def _read_floats(vector: object) -> list[float]:
    if not isinstance(vector, list):
        raise MalformedResponseError("embeddings: a vector is no list")
    numbers = cast("list[Any]", vector)
    if not all(type(number) in (float, int) for number in numbers):
        raise MalformedResponseError("embeddings: a vector holds something that is no number")
    return [float(number) for number in numbers]


def _read_base64(vector: object) -> list[float]:
    if not isinstance(vector, str):
        raise MalformedResponseError("embeddings: a vector is no base64 text")
    try:
        data = base64.b64decode(vector, validate=True)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    except (binascii.Error, ValueError, struct.error):
        raise MalformedResponseError("embeddings: a vector is no base64 of 32-bit floats") from None


def _billed(reply: object, unit: str) -> float | None:
    found: object = reply
    for name in ("meta", "billed_units", unit):
        found = cast("dict[str, object]", found).get(name) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or found < 0:
        return None
    return float(found)


def _read_id(reply: object) -> str | None:
    match reply:
        case {"id": str(id)}:
            return id
        case _:
            return None
