"""Embeddings: what is asked, and what comes back. The request is compared with the SDK's in test_oracle_ollama_chat.py."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmring.exceptions import ConfigurationError, MalformedResponseError, ProviderError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import EmbeddingOptions
from llmring.schemas.embedding import EmbeddingRequest
from llmring.wire.base import EmbeddingCodec, EncodedRequest, Target
from llmring.wire.ollama_chat import DIALECT


def codec() -> EmbeddingCodec:
    assert DIALECT.embeddings is not None
    return DIALECT.embeddings


def encode(**options: Any) -> EncodedRequest:
    request = EmbeddingRequest("m", ("a",), EmbeddingOptions(**options))
    return codec().encode(request, Target("ollama", "m", ModelInfo("ollama:m")))


@pytest.mark.spec("M02", "M03")
def test_options_are_said_in_the_dialects_words() -> None:
    encoded = encode(
        truncate="end", dimensions=8, encoding_format="base64", extra_params={"num_ctx": 9, "options": {"x": 1}}
    )
    assert encoded.path == "/embed"
    assert encoded.body == {
        "model": "m",
        "input": ["a"],
        "truncate": True,
        "dimensions": 8,
        "options": {"num_ctx": 9, "x": 1},
    }
    assert encoded.warnings == []


def test_what_it_has_no_words_for_is_refused_or_said() -> None:
    with pytest.raises(ConfigurationError, match="at its end alone"):
        encode(truncate="start")
    assert encode(input_type="query").warnings == ["input_type was left out: ollama_chat has no words for it"]


def test_a_documented_reply_is_read() -> None:
    # EmbedResponse of https://docs.ollama.com/openapi.yaml (2026-11-21); numbers made up.
    reply = codec().decode(
        orjson.dumps(
            {
                "model": "embeddinggemma",
                "embeddings": [[0.5, -1], [0.25, 2.0]],
                "total_duration": 14,
                "load_duration": 1,
                "prompt_eval_count": 8,
            }
        )
    )
    assert reply.embeddings == [[0.5, -1.0], [0.25, 2.0]]
    assert (reply.model, reply.usage and reply.usage.prompt_tokens) == ("embeddinggemma", 8)


@pytest.mark.parametrize(
    "body", [{}, [], {"embeddings": {}}, {"embeddings": [3]}, {"embeddings": [["x"]]}, {"embeddings": [[True]]}]
)
def test_what_is_no_reply_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedResponseError):
        codec().decode(orjson.dumps(body))


def test_an_error_in_a_good_replys_place_is_told() -> None:
    with pytest.raises(ProviderError, match="no"):
        codec().decode(b'{"error": "no"}')
