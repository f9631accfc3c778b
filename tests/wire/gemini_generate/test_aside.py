"""What is not chat, and errors of every kind: embeddings, token counts, and bodies that no vendor wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    MalformedResponseError,
    ProviderError,
    ProviderResponseError,
)
from llmring.registry.model_info import ModelInfo
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingRequest
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.gemini_generate import DIALECT

EMBEDDINGS, COUNTS = DIALECT.embeddings, DIALECT.token_count
assert EMBEDDINGS is not None
assert COUNTS is not None


def encode(quirks: Quirks | None = None, **options: Any) -> EncodedRequest:
    assert EMBEDDINGS is not None
    request = EmbeddingRequest("gemini-embedding-001", ("one", "two"), EmbeddingOptions(**options))
    return EMBEDDINGS.encode(request, Target("google", request.model, ModelInfo("google:m"), quirks or Quirks()))


def decode(reply: Any) -> Any:
    assert EMBEDDINGS is not None
    return EMBEDDINGS.decode(json.dumps(reply).encode())


@pytest.mark.spec("M01")
def test_every_text_is_a_request_of_its_own() -> None:
    encoded = encode()
    assert encoded.path == "/models/gemini-embedding-001:batchEmbedContents"
    assert encoded.body == {
        "requests": [
            {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}} for text in ("one", "two")
        ]
    }


@pytest.mark.spec("M03")
def test_what_the_dialect_cannot_say_of_embeddings_is_refused_or_told() -> None:
    with pytest.raises(ConfigurationError, match="at their end alone"):
        encode(truncate="start")
    with pytest.raises(ConfigurationError, match="one length alone"):
        encode(Quirks(embedding_dimensions=False), dimensions=3)
    with pytest.raises(ConfigurationError, match="own to set"):
        encode(extra_params={"requests": []})
    assert encode(truncate="end").warnings
    assert encode(extra_params={"x": 1}).body["x"] == 1
    assert not encode(Quirks(envelope="vertex"), truncate="none").warnings
    assert encode(Quirks(envelope="vertex"), truncate="none").body["parameters"] == {"autoTruncate": False}


@pytest.mark.spec("M01")
def test_vectors_are_read_with_and_without_counts() -> None:
    vectors = [{"values": [1, 0.5]}, {"values": [-1.0, 0.0]}]
    reply = decode({"embeddings": vectors})
    assert (reply.embeddings, reply.usage) == ([[1.0, 0.5], [-1.0, 0.0]], None)
    assert decode({"embeddings": vectors, "usageMetadata": {"promptTokenCount": 4}}).usage.prompt_tokens == 4
    predicted = decode({"predictions": [{"embeddings": {"values": [1.0], "statistics": {"token_count": 2.0}}}]})
    assert (predicted.embeddings, predicted.usage.prompt_tokens) == ([[1.0]], 2)


NO_VECTORS: list[Any] = [
    7,
    {},
    {"embeddings": 7},
    {"embeddings": [7]},
    {"embeddings": [{"values": ["x"]}]},
    {"predictions": [{}]},
]


@pytest.mark.parametrize("reply", NO_VECTORS)
def test_what_holds_no_vectors_is_malformed(reply: Any) -> None:
    with pytest.raises(MalformedResponseError):
        decode(reply)


def test_an_error_in_place_of_vectors_is_classified() -> None:
    with pytest.raises(ProviderResponseError, match="broken"):
        decode({"error": {"code": 500, "message": "broken", "status": "INTERNAL"}})


@pytest.mark.parametrize("reply", [7, {}, {"totalTokens": "7"}, {"totalTokens": -1}])
def test_what_holds_no_count_is_malformed(reply: Any) -> None:
    assert COUNTS is not None
    with pytest.raises(MalformedResponseError):
        COUNTS.decode(json.dumps(reply).encode())


@pytest.mark.spec("S08")
@pytest.mark.parametrize("status", [300, 400, 401, 402, 403, 404, 408, 418, 429, 499, 500, 503, 529])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"[[]]",
        b'{"error": null}',
        b'{"error": "words"}',
        b'{"error": {"message": 7, "status": [], "details": {}}}',
        b'{"error": {"details": [7, {"@type": 7}, {"@type": "x.QuotaFailure", "violations": [7, {"quotaId": 7}]}]}}',
        b'{"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "soon"}, {"@type": "x.ErrorInfo", "reason": 7}]}}',
        b"[" * 3000,
    ],
)
def test_no_error_body_breaks_the_classification(status: int, body: bytes) -> None:
    error = DIALECT.classify(status, {}, body)
    assert isinstance(error, ProviderError)
    assert error.status == status
    assert error.message
    decoder = DIALECT.decode_stream()
    with pytest.raises(LLMRingError):
        decoder.feed(b"data: " + body + b"\n\n")
        decoder.close()


def test_a_redirect_is_told_as_what_it_is() -> None:
    assert "redirects are not followed" in (DIALECT.classify(302, {}, b"").hint or "")
