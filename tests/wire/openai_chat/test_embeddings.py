"""Embeddings in OpenAI's words: what is asked, and what comes back. The SDK's own request is in test_oracle_openai_chat.py."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest

from llmring.exceptions import MalformedResponseError, ProviderRateLimitError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import EmbeddingOptions
from llmring.schemas.embedding import EmbeddingRequest
from llmring.wire.base import EmbeddingCodec, EncodedRequest, Quirks, Target
from llmring.wire.openai_chat import DIALECT


def codec() -> EmbeddingCodec:
    assert DIALECT.embeddings is not None
    return DIALECT.embeddings


def encode(quirks: Quirks | None = None, **options: Any) -> EncodedRequest:
    request = EmbeddingRequest("m", ("a", "b"), EmbeddingOptions(**options))
    return codec().encode(request, Target("openai", "m", ModelInfo("openai:m"), quirks or Quirks()))


def test_nothing_unasked_is_sent() -> None:
    assert encode().body == {"model": "m", "input": ["a", "b"]}
    assert encode().path == "/embeddings"


@pytest.mark.spec("M03")
def test_a_length_is_asked_for_as_the_provider_spells_it() -> None:
    assert encode(dimensions=8).body["dimensions"] == 8
    # EmbeddingRequest of mistralai 3.7.0 (2026-11-21)
    assert encode(Quirks(dimensions_field="output_dimension"), dimensions=8).body["output_dimension"] == 8


def test_what_the_dialect_has_no_words_for_is_said_to_be_left_out() -> None:
    encoded = encode(input_type="query", truncate="end", extra_params={"user": "u"})
    assert encoded.body == {"model": "m", "input": ["a", "b"], "user": "u"}
    assert [warning.split()[0] for warning in encoded.warnings] == ["input_type", "truncate"]
    assert encode(truncate="none").warnings == []


@pytest.mark.spec("M01", "M02")
def test_vectors_are_read_as_numbers_and_as_base64_in_the_order_of_the_texts() -> None:
    # The reply of https://platform.openai.com/docs/api-reference/embeddings/create (2026-11-21); numbers made up.
    def item(index: int, vector: Any) -> dict[str, Any]:
        return {"object": "embedding", "index": index, "embedding": vector}

    packed = base64.b64encode(struct.pack("<2f", 0.5, -0.25)).decode()
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    body = {
        "object": "list",
        "data": [item(1, packed), item(0, [1, 0.5])],
        "model": "text-embedding-3-small",
        "usage": usage,
    }
    reply = codec().decode(orjson.dumps(body))
    assert reply.embeddings == [[1.0, 0.5], [0.5, -0.25]]
    assert (reply.model, reply.usage and reply.usage.prompt_tokens) == ("text-embedding-3-small", 8)
    assert codec().decode(orjson.dumps({"data": [item(0, [1.0])]})).usage is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [3],
        [{"embedding": ["x"]}],
        [{"embedding": [True]}],
        [{"embedding": "no base64!"}],
        [{"embedding": "AAA="}],
        [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [2]}],
        [{"index": 5, "embedding": [1]}],
        [{"index": True, "embedding": [1]}],
    ],
    ids=str,
)
def test_what_is_no_reply_is_malformed(data: Any) -> None:
    with pytest.raises(MalformedResponseError):
        codec().decode(orjson.dumps({"data": data}))


def test_an_error_in_a_good_replys_place_is_told() -> None:
    with pytest.raises(ProviderRateLimitError):
        codec().decode(b'{"error": {"message": "slow", "code": "rate_limit_exceeded"}}')
