"""Embeddings, token counts and rankings through a ring: the same way as chat, in every dialect that has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmring import (
    ConfigurationError,
    EmbeddingOptions,
    LLMRequest,
    LLMRing,
    MalformedResponseError,
    NotSupportedError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ServiceClosedError,
)
from llmring.providers.table import PROVIDERS
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault
from llmring.testing.replies import make_vector
from llmring.wire.table import DIALECTS

MakeRing = Callable[..., LLMRing]

EMBEDDING = [name for name, dialect in DIALECTS.items() if dialect.embeddings is not None]
COUNTING = [name for name, dialect in DIALECTS.items() if dialect.token_count is not None]
SILENT = next(name for name, dialect in DIALECTS.items() if dialect.token_count is None)
every_dialect = pytest.mark.parametrize("dialect", EMBEDDING)


def ring_of(make_ring: MakeRing, fake: FakeProvider, dialect: str, **given: Any) -> LLMRing:
    """A ring whose three providers speak this dialect."""
    row = {"base_url": fake.base_url, "dialect": dialect, "api_key": "k" * 20}
    return make_ring(providers=dict.fromkeys(("one", "two", "three"), row), **given)


@pytest.mark.spec("M01", "M09")
@every_dialect
async def test_a_list_gives_a_vector_for_each_text_in_order_and_a_text_gives_one(
    make_ring: MakeRing, fake_provider: FakeProvider, dialect: str
) -> None:
    ring = ring_of(make_ring, fake_provider, dialect)
    response = await ring.embed("fast", ["one two", "three"])
    assert response.embeddings == [make_vector("one two", 8), make_vector("three", 8)]
    assert response.embedding == response.embeddings[0]
    assert response.ok
    assert all(type(number) is float for vector in response.embeddings for number in vector)
    assert (response.requested_model, response.alias, response.profile, response.provider) == (
        "fast",
        "fast",
        "default",
        "one",
    )
    assert response.model == "m1"
    single = await ring.embed("one:m1", "one two")
    assert single.embeddings == [make_vector("one two", 8)]
    assert (single.alias, single.requested_model) == (None, "one:m1")


@pytest.mark.spec("M01", "M09")
@every_dialect
async def test_usage_is_counted_and_priced_and_estimated_where_nobody_counted(
    make_ring: MakeRing, fake_provider: FakeProvider, dialect: str
) -> None:
    response = await ring_of(make_ring, fake_provider, dialect).embed("fast", ["one two", "three"])
    usage = response.usage
    assert usage.prompt_tokens == (4 if usage.estimated else 3)
    assert usage.completion_tokens == 0
    assert response.cost == pytest.approx(usage.prompt_tokens * 2e-6)
    unpriced = await ring_of(make_ring, fake_provider, dialect).embed("free", "one")
    assert unpriced.cost is None


@pytest.mark.spec("M02")
@every_dialect
async def test_floats_come_back_however_the_vectors_travelled(
    make_ring: MakeRing, fake_provider: FakeProvider, dialect: str
) -> None:
    ring = ring_of(make_ring, fake_provider, dialect)
    plain = await ring.embed("fast", ["one", "two"])
    encoded = await ring.embed("fast", ["one", "two"], encoding_format="base64")
    assert encoded.embeddings == plain.embeddings == [make_vector("one", 8), make_vector("two", 8)]
    if dialect in ("openai_chat", "cohere_embed"):  # the others send numbers alone
        assert [b"base64" in received.raw for received in fake_provider.received] == [False, True]


@pytest.mark.spec("M03")
@every_dialect
async def test_dimensions_are_forwarded(make_ring: MakeRing, fake_provider: FakeProvider, dialect: str) -> None:
    ring = ring_of(make_ring, fake_provider, dialect)
    assert len((await ring.embed("fast", "one", dimensions=4)).embedding) == 4
    over = await ring.embed("fast", "one", EmbeddingOptions(dimensions=2, input_type="query"), dimensions=5)
    assert len(over.embedding) == 5


@pytest.mark.spec("M03")
async def test_dimensions_of_a_model_that_has_one_length_alone_are_an_error_before_any_request(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(providers={"cohere": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})
    with pytest.raises(ConfigurationError, match="one length alone"):
        await ring.embed("cohere:embed-english-v3.0", "one", dimensions=4)
    assert fake_provider.received == []


@pytest.mark.spec("M04")
async def test_a_provider_without_embeddings_is_a_typed_error_that_names_who_has_them(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(providers={"anthropic": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})
    with pytest.raises(NotSupportedError, match="provider anthropic makes no embeddings") as caught:
        await ring.embed("anthropic:any", "one")
    assert "cohere" in (caught.value.hint or "")
    assert fake_provider.received == []


@pytest.mark.spec("M01")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "an empty list"),
        ("", "is empty"),
        (["a", ""], "number 1 is empty"),
        ([1], "is a int"),
        (None, "input is a NoneType"),
        (b"a", "input is a bytes"),
        ({"a": "b"}, "input is a dict"),
    ],
)
async def test_no_text_and_empty_texts_are_refused(make_ring: MakeRing, given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await make_ring().embed("fast", given)


TWINS = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "twins"
models = ["one:m1", "two:m2", "two:m1", "three:m1"]
"""


@pytest.mark.spec("M01", "U19")
async def test_a_pool_falls_over_to_another_provider_of_the_same_model(
    make_ring: MakeRing, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    lock = tmp_path / "twins.lock"
    lock.write_text(TWINS)
    short = {"embeddings": {"float": [[1.0]]}}
    fake_provider.script(
        Fault.status(429, headers={"retry-after": "7"}),
        Exact(headers={"content-type": "application/json"}, chunks=[orjson.dumps(short)]),
        Answer(),
    )
    ring = ring_of(make_ring, fake_provider, "cohere_embed", lockfile_path=lock)
    response = await ring.embed("twins", ["a", "b"])
    assert (response.provider, response.model) == ("three", "m1")
    assert [attempt["error"] for attempt in response.attempts] == ["ProviderRateLimitError", "MalformedResponseError"]
    assert "1 vectors came back for 2 texts" in response.attempts[1]["message"]
    assert response.raw["response_type"] == "embeddings_by_type"
    assert response.request_id == "fake-request-2"

    fake_provider.script(Fault.status(429, headers={"retry-after": "7"}))
    ring = ring_of(make_ring, fake_provider, "cohere_embed", lockfile_path=lock)  # which waits for nobody yet
    with pytest.raises(ProviderRateLimitError) as caught:
        await ring.embed("twins", "a")
    assert (caught.value.provider, caught.value.retry_after_s, len(caught.value.attempts)) == ("one", 7.0, 3)


@pytest.mark.spec("M01")
async def test_vectors_of_another_model_are_not_passed_off_as_the_first_ones(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(503), model="m1")
    with pytest.raises(ProviderResponseError) as caught:
        await ring_of(make_ring, fake_provider, "cohere_embed").embed("pool", "a")
    assert [attempt.model for attempt in caught.value.attempts] == ["m1"]
    assert [received.model for received in fake_provider.received] == ["m1"]


@pytest.mark.spec("M01")
async def test_a_count_that_does_not_match_is_malformed(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    body = orjson.dumps({"embeddings": {"float": [[1.0], [2.0], [3.0]]}})
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[body]))
    with pytest.raises(MalformedResponseError, match="3 vectors came back for 2 texts") as caught:
        await ring_of(make_ring, fake_provider, "cohere_embed").embed("fast", ["a", "b"])
    assert (caught.value.provider, caught.value.model) == ("one", "m1")


@pytest.mark.spec("M02", "M03")
@pytest.mark.parametrize(
    ("embeddings", "options", "said"),
    [
        ({"float": [[1.0], [1.0, 2.0]]}, {}, "differ in length"),
        ({"base64": ["AADAfw==", "AACAPw=="]}, {"encoding_format": "base64"}, "not finite"),
        ({"base64": ["AACAfw==", "AACAPw=="]}, {"encoding_format": "base64"}, "not finite"),
        ({"base64": ["AAA=", "AACAPw=="]}, {"encoding_format": "base64"}, "no base64 of 32-bit floats"),
        ({"float": [[1.0], [2.0]]}, {"dimensions": 4}, "dimensions=4 was asked for"),
    ],
)
async def test_vectors_that_would_spoil_an_index_are_refused(
    make_ring: MakeRing, fake_provider: FakeProvider, embeddings: Any, options: dict[str, Any], said: str
) -> None:
    body = orjson.dumps({"embeddings": embeddings})
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[body]))
    with pytest.raises(MalformedResponseError, match=said):
        await ring_of(make_ring, fake_provider, "cohere_embed").embed("fast", ["a", "b"], **options)


@pytest.mark.spec("M01")
async def test_huge_numbers_whose_sum_overflows_are_numbers_all_the_same(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    body = orjson.dumps({"embeddings": {"float": [[1e308, 1e308]]}})
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[body]))
    response = await ring_of(make_ring, fake_provider, "cohere_embed").embed("fast", "a")
    assert response.embedding == [1e308, 1e308]


@pytest.mark.spec("M08")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dimensions": 1.5}, "dimensions: a whole number"),
        ({"dimensions": 0}, "dimensions: a whole number"),
        ({"timeout": -1}, "timeout: seconds above 0"),
        ({"timeout": float("nan")}, "timeout: seconds above 0"),
        ({"truncate": "middle"}, "truncate: 'middle' is no such word"),
        ({"encoding_format": "int8"}, "it has float, base64"),
        ({"input_type": "search_query"}, "it has query, document"),
    ],
)
def test_an_option_that_means_nothing_is_refused_where_it_is_written(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        EmbeddingOptions(**given)


@pytest.mark.spec("M01", "A24")
async def test_the_timeout_of_the_options_counts(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.hang())
    clock = FakeClock()
    ring = ring_of(make_ring, fake_provider, "cohere_embed", clock=clock)
    asking = asyncio.create_task(ring.embed("fast", "a", EmbeddingOptions(timeout=7)))
    await fake_provider.wait_received()
    clock.advance(6.9)
    await clock.run_until_idle()
    assert not asking.done()
    clock.advance(0.2)
    with pytest.raises(ProviderTimeoutError, match="within 7 s"):
        await asking


async def test_options_that_are_none_and_a_closed_ring_are_refused(make_ring: MakeRing) -> None:
    ring = make_ring()
    options: Any = {"dimensions": 3}
    with pytest.raises(ConfigurationError, match="EmbeddingOptions is wanted, not dict"):
        await ring.embed("fast", "a", options)
    await ring.close()
    with pytest.raises(ServiceClosedError):
        await ring.embed("fast", "a")


# Token counts


@pytest.mark.parametrize("dialect", COUNTING)
async def test_tokens_are_counted_by_the_provider_and_said_to_be_exact(
    make_ring: MakeRing, fake_provider: FakeProvider, dialect: str
) -> None:
    ring = ring_of(make_ring, fake_provider, dialect)
    count = await ring.count_tokens(LLMRequest(model="fast", messages="one two three four"))
    assert (count.tokens, count.exact, count.model) == (4, True, "one:m1")
    assert "one" in count.source
    assert len(fake_provider.received) == 1


async def test_counting_where_nobody_can_names_who_can(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = ring_of(make_ring, fake_provider, SILENT)
    with pytest.raises(NotSupportedError, match="counts no tokens") as caught:
        await ring.count_tokens(LLMRequest(model="fast", messages="one"))
    able = [row.name for row in PROVIDERS.values() if DIALECTS[row.dialect].token_count is not None]
    hint = caught.value.hint or ""
    assert all(name in hint for name in able) if able else "no provider" in hint
    assert fake_provider.received == []


# Rankings


RANKING = {
    "id": "r1",
    "results": [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "meta": {"billed_units": {"search_units": 1}},
}


@pytest.mark.spec("M08")
async def test_documents_come_back_in_order_with_their_scores(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[orjson.dumps(RANKING)]))
    ring = ring_of(make_ring, fake_provider, "cohere_embed")
    response = await ring.rerank("fast", "what?", ["a", "b", "c"], top_n=2)
    assert [(found.index, found.score, found.document) for found in response.results] == [(2, 0.9, "c"), (0, 0.1, "a")]
    assert (response.provider, response.model, response.search_units, response.ok) == ("one", "m1", 1.0, True)
    assert fake_provider.received[0].path == "/v1/rerank"
    assert fake_provider.received[0].body["top_n"] == 2
    with pytest.raises(MalformedResponseError, match="past the 2"):
        await ring.rerank("fast", "what?", ["a", "b"])
    twice = {"results": [{"index": 0, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[orjson.dumps(twice)]))
    with pytest.raises(MalformedResponseError, match="a document twice"):
        await ring.rerank("fast", "what?", ["a", "b"])


@pytest.mark.spec("M08")
async def test_a_provider_that_ranks_nothing_says_who_does(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    with pytest.raises(NotSupportedError, match="ranks no documents") as caught:
        await make_ring().rerank("fast", "what?", ["a"])
    assert "cohere" in (caught.value.hint or "")
    with pytest.raises(ConfigurationError, match="documents: an empty list"):
        await make_ring().rerank("fast", "what?", [])
    several: Any = ["what?", "why?"]
    with pytest.raises(ConfigurationError, match="query is a list, one text is wanted"):
        await make_ring().rerank("fast", several, ["a"])
    for top_n in (0, True):
        with pytest.raises(ConfigurationError, match="top_n: a whole number above 0"):
            await make_ring().rerank("fast", "what?", ["a"], top_n)
    assert fake_provider.received == []
