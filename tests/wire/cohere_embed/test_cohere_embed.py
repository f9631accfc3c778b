"""Cohere's embeddings and rankings. Bodies and replies are what Cohere's own SDK (7.3.1) sent to and read from a recorder, on
2026-11-21; error messages are those of https://docs.cohere.com/reference/errors (2026-11-21).
"""

from __future__ import annotations

import base64
import json
import random
import struct
from typing import Any

import pytest

from llmring.exceptions import (
    ConfigurationError,
    ContextLengthError,
    InvalidRequestError,
    LLMRingError,
    MalformedResponseError,
    NotSupportedError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRateLimitError,
)
from llmring.registry.model_info import ModelInfo
from llmring.schemas import EmbeddingOptions, LLMRequest
from llmring.schemas.embedding import EmbeddingRequest
from llmring.schemas.rerank import RerankRequest
from llmring.wire.base import EmbeddingCodec, RerankCodec, Reranks, Target
from llmring.wire.table import get_dialect

DIALECT = get_dialect("cohere_embed")


def target(model: str = "embed-v4.0") -> Target:
    return Target("cohere", model, ModelInfo(f"cohere:{model}"))


def codec() -> EmbeddingCodec:
    assert DIALECT.embeddings is not None
    return DIALECT.embeddings


def ranking() -> RerankCodec:
    assert isinstance(DIALECT, Reranks)
    return DIALECT.rerank


def encode(*texts: str, **options: Any) -> tuple[str, dict[str, Any], list[str]]:
    encoded = codec().encode(EmbeddingRequest("embed-v4.0", texts, EmbeddingOptions(**options)), target())
    return encoded.path, encoded.body, encoded.warnings


@pytest.mark.spec("M08", "M03")
def test_every_option_is_said_as_the_vendors_client_says_it() -> None:
    path, body, warnings = encode("hello", "goodbye", input_type="document", truncate="end", dimensions=256)
    assert path == "/embed"
    assert warnings == []
    assert body == {
        "texts": ["hello", "goodbye"],
        "model": "embed-v4.0",
        "input_type": "search_document",
        "output_dimension": 256,
        "embedding_types": ["float"],
        "truncate": "END",
    }


@pytest.mark.spec("M08", "M02")
def test_a_query_in_base64_is_said_as_the_vendors_client_says_it() -> None:
    _, body, _ = encode("hello", input_type="query", encoding_format="base64")
    wanted = {
        "texts": ["hello"],
        "model": "embed-v4.0",
        "input_type": "search_query",
        "embedding_types": ["base64"],
    }
    assert body == wanted


@pytest.mark.spec("M08")
def test_cohere_insists_on_an_input_type_so_one_is_sent_with_a_warning() -> None:
    _, body, (warning,) = encode("hello")
    assert body["input_type"] == "search_document"
    assert "EmbeddingOptions.input_type" in warning


@pytest.mark.spec("M08")
@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [(["a"], {"input_type": "similarity"}, "similarity"), (["a"] * 97, {}, "96 at a time")],
)
def test_what_cohere_would_refuse_is_refused_before_it_is_sent(
    texts: list[str], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        encode(*texts, **options)


REPLY = {
    "id": "5807ee2e-0cda-445a-9ec8-864c60a06606",
    "embeddings": {"float": [[0.016296387, -0.008354187], [0.5, 1]]},
    "texts": ["hello", "goodbye"],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}},
    "response_type": "embeddings_by_type",
}


@pytest.mark.spec("M01", "M08")
def test_vectors_tokens_and_the_id_are_read() -> None:
    reply = codec().decode(json.dumps(REPLY).encode())
    assert reply.embeddings == [[0.016296387, -0.008354187], [0.5, 1.0]]
    assert reply.response_id == REPLY["id"]
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2, 0)


@pytest.mark.spec("M02")
def test_base64_gives_the_same_floats() -> None:
    vectors = [[0.5, -0.25, 3.0], [1.0, 0.0, -1.0]]
    written = [base64.b64encode(struct.pack("<3f", *vector)).decode() for vector in vectors]
    reply = codec().decode(json.dumps({"embeddings": {"base64": written}}).encode())
    assert reply.embeddings == vectors
    assert reply.usage is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"embeddings": []}',
        b'{"embeddings": {"float": [["a"]]}}',
        b'{"embeddings": {"float": [true]}}',
        b'{"embeddings": {"base64": ["!"]}}',
        b'{"embeddings": {"base64": ["AAA="]}}',
        b'{"embeddings": {"int8": [[1]]}}',
    ],
)
def test_a_reply_without_vectors_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        codec().decode(body)


@pytest.mark.spec("M08")
def test_a_ranking_is_asked_for_as_the_vendors_client_does_and_read_best_first() -> None:
    encoded = ranking().encode(RerankRequest("q", ("a", "b"), 1), target("rerank-v4.0-pro"))
    assert encoded.path == "/rerank"
    assert encoded.body == {"model": "rerank-v4.0-pro", "query": "q", "documents": ["a", "b"], "top_n": 1}
    results = [{"index": 1, "relevance_score": 0.25}, {"index": 0, "relevance_score": 0.75}]
    body = {"id": "r", "results": results, "meta": {"billed_units": {"search_units": 1}}}
    reply = ranking().decode(json.dumps(body).encode())
    assert [(found.index, found.score) for found in reply.results] == [(0, 0.75), (1, 0.25)]
    assert (reply.search_units, reply.response_id) == (1.0, "r")


@pytest.mark.parametrize("body", [b"{}", b'{"results": [{}]}', b'{"results": [{"index": "0", "relevance_score": 1}]}'])
def test_a_ranking_without_results_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        ranking().decode(body)


@pytest.mark.spec("M08")
@pytest.mark.parametrize("stream", [False, True])
def test_chat_is_not_supported_and_the_hint_names_where_it_is(stream: bool) -> None:
    with pytest.raises(NotSupportedError, match="compatibility/v1"):
        DIALECT.encode(LLMRequest(model="m", messages="hi"), target(), stream=stream)
    with pytest.raises(ProviderError):
        DIALECT.decode_stream()
    with pytest.raises(ProviderError):
        DIALECT.decode(b"{}")


TOO_LONG = "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."


@pytest.mark.spec("S08")
@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid request: valid input_type must be provided with the provided model", InvalidRequestError),
        (400, TOO_LONG, ContextLengthError),
        (401, "invalid api token", ProviderAuthenticationError),
        (429, "You are using a Trial key, which is limited to 40 API calls / minute.", ProviderRateLimitError),
    ],
)
def test_errors_are_typed_by_status_and_keep_what_was_said(
    status: int, message: str, kind: type[ProviderError]
) -> None:
    error = DIALECT.classify(status, {"retry-after": "3"}, json.dumps({"message": message}).encode())
    assert type(error) is kind
    assert (error.message, error.status) == (message, status)


def test_whatever_the_bytes_there_is_a_result_or_a_typed_error() -> None:
    draw = random.Random(8)
    whole = json.dumps(REPLY).encode()
    for _ in range(300):
        data = bytearray(whole[: draw.randrange(len(whole) + 1)])
        for _ in range(draw.randrange(4)):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
        for decode in (codec().decode, ranking().decode):
            try:
                decode(bytes(data))
            except LLMRingError:
                pass
        assert isinstance(DIALECT.classify(500, {}, bytes(data)), ProviderError)
