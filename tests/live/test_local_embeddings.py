"""Embeddings of a real model behind a real server: llama-server with `--embeddings --pooling mean`."""

import math
from collections.abc import AsyncIterator, Iterator

import pytest

from llmring import LLMRing, ProviderOptions, StandaloneProvider
from llmring.testing.conformance import check_provider
from llmring.testing.local_model import LocalModel

pytestmark = pytest.mark.model

MODEL = "llamacpp:smollm2-135m-instruct"


@pytest.fixture(scope="module")
def embedding_model() -> Iterator[LocalModel]:
    with LocalModel(embeddings=True) as model:
        yield model


@pytest.fixture
async def ring(embedding_model: LocalModel) -> AsyncIterator[LLMRing]:
    async with LLMRing(providers={"llamacpp": {"base_url": embedding_model.base_url}}, dotenv=False) as ring:
        yield ring


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


@pytest.mark.spec("M01", "M09")
async def test_texts_become_vectors_that_repeat_and_tell_texts_apart(ring: LLMRing) -> None:
    texts = ["The cat sat on the mat.", "The cat sat on the mat.", "Interest rates rose again."]
    response = await ring.embed(MODEL, texts)
    first, same, other = response.embeddings
    assert len(first) == len(same) == len(other) == 576  # n_embd of SmolLM2-135M
    assert cosine(first, same) > 0.999
    assert cosine(first, other) < cosine(first, same)
    assert response.usage.prompt_tokens > 10
    assert not response.usage.estimated
    assert (response.provider, response.requested_model, response.cost) == ("llamacpp", MODEL, None)


@pytest.mark.spec("M02")
async def test_base64_gives_the_same_floats(ring: LLMRing) -> None:
    plain = await ring.embed(MODEL, "The cat sat on the mat.")
    encoded = await ring.embed(MODEL, "The cat sat on the mat.", encoding_format="base64")
    assert cosine(plain.embedding, encoded.embedding) > 0.999


@pytest.mark.spec("A22", "A35")
async def test_the_real_server_passes_the_conformance_suite(
    local_model: LocalModel, embedding_model: LocalModel
) -> None:
    chat = StandaloneProvider("llamacpp", ProviderOptions(base_url=local_model.base_url))
    # A server that embeds does not chat, so each is asked for its own half; what llama-server cannot do has another error.
    with pytest.raises(AssertionError, match=r"1 of \d+ checks failed:\n  embeddings_are_vectors_or_not_supported"):
        await check_provider(chat, model=MODEL.partition(":")[2], options={"max_tokens": 8})
    embeddings = StandaloneProvider("llamacpp", ProviderOptions(base_url=embedding_model.base_url))
    async with embeddings:
        response = await embeddings.embed(["One", "Two"], model=MODEL.partition(":")[2])
    assert len(response.embeddings) == 2
