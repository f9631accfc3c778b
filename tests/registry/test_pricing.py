"""Tokens into money: exact amounts, unknown prices, absurd counts."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.registry.model_info import ModelInfo
from llmring.registry.pricing import price_usage
from llmring.schemas.response import Usage

PRICES = {"input": "2", "output": "10", "cache_read": "0.2", "cache_write_5m": "2.5"}


def model(prices: Mapping[str, str]) -> ModelInfo:
    return ModelInfo("vendor:model", price={kind: Decimal(text) for kind, text in prices.items()})


@pytest.mark.spec("U39")
def test_a_call_with_every_kind_of_token_is_priced_to_the_last_digit() -> None:
    usage = Usage(1000, 200, cache_read_tokens=300, cache_write_tokens=100, reasoning_tokens=50)
    cost = price_usage(usage, model(PRICES))
    assert cost.input_cost == Decimal("0.0012")  # 600 uncached
    assert cost.cache_read_cost == Decimal("0.00006")
    assert cost.cache_write_cost == Decimal("0.00025")
    assert cost.output_cost == Decimal("0.002")
    assert cost.reasoning_cost == Decimal("0.0005")  # its share of the output, not on top of it
    assert cost.total_cost == Decimal("0.00351")
    assert cost.to_dict() == {
        "input_cost": 0.0012,
        "output_cost": 0.002,
        "cache_read_cost": 0.00006,
        "cache_write_cost": 0.00025,
        "reasoning_cost": 0.0005,
        "total_cost": 0.00351,
        "reason": None,
    }


@pytest.mark.spec("U39")
def test_a_known_total_is_a_float_to_calculate_with() -> None:
    total = price_usage(Usage(1_000_000, 0), model(PRICES)).to_dict()["total_cost"]
    assert isinstance(total, float)
    assert total * 1.5 == 3.0


@pytest.mark.spec("U39")
def test_a_model_without_prices_has_unknown_costs_and_a_reason() -> None:
    cost = price_usage(Usage(10, 20, reasoning_tokens=5), ModelInfo("ollama:gemma")).to_dict()
    assert (cost["input_cost"], cost["output_cost"], cost["reasoning_cost"], cost["total_cost"]) == (None,) * 4
    assert cost["reason"] == "no price is known for ollama:gemma"


@pytest.mark.spec("U39")
@pytest.mark.parametrize(
    ("missing", "usage", "field"),
    [
        ("input", Usage(10, 20), "input_cost"),
        ("output", Usage(10, 20), "output_cost"),
        ("cache_read", Usage(10, 20, cache_read_tokens=1), "cache_read_cost"),
        ("cache_write_5m", Usage(10, 20, cache_write_tokens=1), "cache_write_cost"),
    ],
)
def test_one_missing_price_makes_the_total_unknown_and_leaves_the_rest(missing: str, usage: Usage, field: str) -> None:
    cost = price_usage(usage, model({kind: text for kind, text in PRICES.items() if kind != missing})).to_dict()
    assert cost[field] is None
    assert cost["total_cost"] is None
    assert str(cost["reason"]).startswith(f"no price is known for {missing.removesuffix('_5m')} tokens of vendor:model")
    others = {"input_cost", "output_cost", "cache_read_cost", "cache_write_cost"} - {field}
    assert all(isinstance(cost[name], float) for name in others)


def test_no_tokens_cost_nothing_whatever_the_price() -> None:
    cost = price_usage(Usage(0, 0), ModelInfo("vendor:partly", price={"output": Decimal(1)}))
    assert (cost.total_cost, cost.reason) == (0, None)
    only_known = price_usage(Usage(0, 1_000_000), model({"output": "10"}))
    assert (only_known.total_cost, only_known.reason) == (10, None)


def test_a_cache_that_is_written_for_nothing_costs_nothing() -> None:
    cost = price_usage(
        Usage(100, 1, cache_write_tokens=50), model({**PRICES, "cache_write_5m": "0", "cache_write": "9"})
    )
    assert (cost.cache_write_cost, cost.reason) == (0, None)


def test_a_cache_write_falls_back_to_the_price_without_a_lifetime() -> None:
    usage = Usage(1_000_000, 0, cache_write_tokens=1_000_000)
    assert price_usage(usage, model({"input": "1", "cache_write": "3"})).total_cost == 3
    assert price_usage(usage, model({"input": "1", "cache_write": "3", "cache_write_5m": "4"})).total_cost == 4


TIERS = PRICES | {
    "input_above_500000": "8",  # the order in the lock says nothing
    "input_above_200000": "4",
    "output_above_200000": "20",
    "cache_read_above_200000": "0.4",
}


@pytest.mark.parametrize(
    ("prompt", "cached", "input_price", "output_price", "read_price"),
    [
        (200_000, 0, "2", "10", "0.2"),
        (200_001, 0, "4", "20", "0.4"),
        (200_001, 200_000, "4", "20", "0.4"),
        (500_001, 10, "8", "20", "0.4"),
    ],
)
def test_a_long_prompt_is_charged_at_its_own_prices_throughout(
    prompt: int, cached: int, input_price: str, output_price: str, read_price: str
) -> None:
    cost = price_usage(Usage(prompt, 1000, cache_read_tokens=cached), model(TIERS))
    assert cost.input_cost == Decimal(input_price) * (prompt - cached) / 1_000_000
    assert cost.output_cost == Decimal(output_price) / 1000
    assert cost.cache_read_cost == Decimal(read_price) * cached / 1_000_000


def test_a_price_above_a_threshold_that_is_no_number_is_left_alone() -> None:
    assert price_usage(Usage(1_000_000, 0), model(PRICES | {"input_above_all": "99"})).total_cost == 2


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        # Cached tokens beyond the prompt are charged as reported; there is no uncached rest, and never less than nothing.
        (Usage(100, 0, cache_read_tokens=1_000_000), "0.2"),
        (Usage(-5, -5), "0"),
        (Usage(1_000_000, 0, cache_read_tokens=-7, cache_write_tokens=-7), "2"),
    ],
)
def test_counts_that_contradict_each_other_never_cost_less_than_nothing(usage: Usage, total: str) -> None:
    assert price_usage(usage, model(PRICES)).total_cost == Decimal(total)


def test_reasoning_is_at_most_the_whole_answer() -> None:
    cost = price_usage(Usage(0, 100, reasoning_tokens=1000), model(PRICES))
    assert cost.reasoning_cost == cost.output_cost
    assert price_usage(Usage(0, 100, reasoning_tokens=-1), model(PRICES)).reasoning_cost == 0


_price = st.decimals(min_value="0.000000000001", max_value="999999999", places=12).map(str)
_tokens = st.integers(0, 10**12)


@given(_price, _price, _price, _tokens, _tokens, _tokens)
def test_amounts_are_exact_whatever_the_callers_decimal_context(
    input_price: str, read_price: str, output_price: str, uncached: int, read: int, completion: int
) -> None:
    info = model({"input": input_price, "cache_read": read_price, "output": output_price})
    with decimal.localcontext(prec=3):
        total = price_usage(Usage(uncached + read, completion, cache_read_tokens=read), info).total_cost
    exact = Fraction(input_price) * uncached + Fraction(read_price) * read + Fraction(output_price) * completion
    assert total is not None
    assert Fraction(total) == exact / 1_000_000
