"""Usage and citations are JSON data: dicts, with attributes beside their keys."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.schemas import Citation, Usage

COUNTS = st.integers(0, 2**53)
MONEY = st.none() | st.floats(0, 1e6)
USAGES = st.builds(
    Usage,
    COUNTS,
    COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    cost=MONEY,
    input_cost=MONEY,
    output_cost=MONEY,
    estimated=st.booleans(),
)


@pytest.mark.spec("P08", "P11")
def test_every_count_has_its_key_and_its_attribute() -> None:
    usage = Usage(
        100,
        50,
        cache_read_tokens=80,
        cache_write_tokens=10,
        reasoning_tokens=30,
        cost=0.003,
        input_cost=0.001,
        output_cost=0.002,
        estimated=True,
    )
    assert dict(usage) == {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "cache_read_tokens": 80,
        "cache_write_tokens": 10,
        "reasoning_tokens": 30,
        "cost": 0.003,
        "input_cost": 0.001,
        "output_cost": 0.002,
        "estimated": True,
    }
    for key, value in usage.items():
        assert getattr(usage, key) == value
    assert (usage.input_tokens, usage.output_tokens, usage.total_cost) == (100, 50, 0.003)


@pytest.mark.spec("P08")
def test_cached_tokens_are_part_of_the_input_and_counted_once() -> None:
    usage = Usage(100, 10, cache_read_tokens=80)
    assert (usage.input_tokens, usage.total_tokens) == (100, 110)


@pytest.mark.spec("P11")
def test_a_cache_hit_is_a_prompt_read_from_the_cache() -> None:
    assert Usage(100, cache_read_tokens=1).has_cache_hit
    assert not Usage(100, cache_write_tokens=1).has_cache_hit
    assert not Usage().has_cache_hit


@pytest.mark.spec("P11")
def test_the_spellings_of_the_other_documents_are_read() -> None:
    llm_client: dict[str, Any] = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_tokens_cached": 20,
        "input_cost": 0.001,
        "output_cost": 0.002,
        "total_cost": 0.003,
    }
    wanted = Usage(100, 50, cache_read_tokens=20, input_cost=0.001, output_cost=0.002, cost=0.003)
    assert Usage.from_dict(llm_client) == wanted
    lm_deluge = {"input_tokens": 100, "output_tokens": 50, "cache_read_tokens": 20, "cache_write_tokens": 5}
    assert Usage.from_dict(lm_deluge) == Usage(100, 50, cache_read_tokens=20, cache_write_tokens=5)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"colour": 1}, "no such field: colour"),
        ({"input_tokens": 1, "prompt_tokens": 2}, "prompt_tokens is given twice"),
    ],
)
def test_a_usage_that_cannot_be_read_says_why(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Usage.from_dict(data)


@pytest.mark.spec("U40")
@given(USAGES)
def test_usage_is_a_dict_and_json(usage: Usage) -> None:
    assert isinstance(usage, dict)
    assert json.loads(json.dumps(usage)) == dict(usage) == usage.to_dict() == {**usage}
    assert usage.get("cost") == usage["cost"]
    assert usage.get("nothing", 7) == 7


@pytest.mark.spec("P08")
@given(USAGES)
def test_usage_survives_dict_pickle_and_copies(usage: Usage) -> None:
    for twin in (
        Usage.from_dict(usage.to_dict()),
        pickle.loads(pickle.dumps(usage)),
        copy.copy(usage),
        copy.deepcopy(usage),
    ):
        assert type(twin) is Usage
        assert twin == usage


def test_a_key_that_was_added_survives_pickle() -> None:
    usage = Usage(1)
    usage["saved_cost"] = 0.5
    assert pickle.loads(pickle.dumps(usage)) == usage


def test_to_dict_gives_a_dict_of_its_own() -> None:
    usage = Usage(1)
    usage.to_dict()["prompt_tokens"] = 9
    assert usage.prompt_tokens == 1


@pytest.mark.spec("Z13")
def test_a_citation_is_json_with_attributes() -> None:
    citation = Citation("https://example.org", "A title", 3, 9, "quoted")
    assert json.loads(json.dumps(citation)) == {
        "url": "https://example.org",
        "title": "A title",
        "start": 3,
        "end": 9,
        "text": "quoted",
    }
    for key, value in citation.items():
        assert getattr(citation, key) == value
    for twin in (Citation(**citation), pickle.loads(pickle.dumps(citation)), copy.deepcopy(citation)):
        assert type(twin) is Citation
        assert twin == citation
