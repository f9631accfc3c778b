"""Embeddings in this dialect: https://platform.openai.com/docs/api-reference/embeddings (2026-11-21)"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any, Final, cast

from llmring.exceptions import MalformedResponseError
from llmring.schemas.embedding import EmbeddingReply, EmbeddingRequest
from llmring.schemas.usage import Usage
from llmring.wire.base import EncodedRequest, Target, parse_json
from llmring.wire.openai_chat.failures import classify_inline

PATH: Final = "/embeddings"


def encode_embedding(request: EmbeddingRequest, target: Target) -> EncodedRequest:
    """What the dialect has no words for is left out with a warning; a text that is too long is refused by the provider."""
    options = request.options
    encoded = EncodedRequest(PATH, {"model": target.model, "input": list(request.inputs)})
    body, warnings = encoded.body, encoded.warnings
    if options.dimensions is not None:
        body[target.quirks.dimensions_field] = options.dimensions
    if options.encoding_format is not None:
        body["encoding_format"] = options.encoding_format
    if options.input_type is not None:
        warnings.append("input_type was left out: openai_chat has no words for it")
    if options.truncate not in (None, "none"):
        warnings.append(
            "truncate was left out: openai_chat has no words for it, and a text that is too long is refused"
        )
    body.update(options.extra_params or {})
    return encoded


def decode_embedding(body: bytes) -> EmbeddingReply:
    """Vectors in the order of the texts. Raises MalformedResponseError, ResponseTooLargeError, and the typed error for an `error`
    that came with status 200."""
    reply = parse_json(body, "embeddings")
    fields = cast("dict[str, Any]", reply) if isinstance(reply, dict) else {}
    if fields.get("error"):
        raise classify_inline(fields["error"])
    data = fields.get("data")
    if not isinstance(data, list):
        raise MalformedResponseError("embeddings: the reply holds none")
    items = cast("list[object]", data)
    found: dict[int, list[float]] = {}
    for place, item in enumerate(items):
        given = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        index = given.get("index", place)
        if type(index) is not int or index in found or not 0 <= index < len(items):
            raise MalformedResponseError("embeddings: the vectors' indexes are no list of places")
        found[index] = _read_vector(given.get("embedding"))
    model, id = fields.get("model"), fields.get("id")
    return EmbeddingReply(
        [found[index] for index in range(len(items))],
        model=model if isinstance(model, str) else "",
        usage=_read_usage(fields.get("usage")),
        response_id=id if isinstance(id, str) else None,
    )


def _read_usage(usage: object) -> Usage | None:
    count: Any = cast("dict[str, Any]", usage).get("prompt_tokens") if isinstance(usage, dict) else None
    return Usage(count) if type(count) is int and count >= 0 else None


def _read_vector(vector: object) -> list[float]:
    """A list of numbers, or base64 of 32-bit floats, whichever the server chose to send."""
    if isinstance(vector, str):
        try:
            data = base64.b64decode(vector, validate=True)
            return list(struct.unpack(f"<{len(data) // 4}f", data))
        except (binascii.Error, ValueError, struct.error):
            raise MalformedResponseError("embeddings: a vector is no base64 of 32-bit floats") from None
    if not isinstance(vector, list):
        raise MalformedResponseError("embeddings: a vector is neither a list nor base64")
    numbers = cast("list[Any]", vector)
    if not all(type(number) in (float, int) for number in numbers):
        raise MalformedResponseError("embeddings: a vector holds something that is no number")
    return [float(number) for number in numbers]
