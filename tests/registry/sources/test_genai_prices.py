"""Prices of the installed genai-prices, as of a day."""

from __future__ import annotations

import sys

import pytest

from llmring.exceptions import ConfigurationError
from llmring.registry.sources.genai_prices import GenaiPrices


async def test_prices_are_those_of_the_day_and_names_those_that_are_spelt_out() -> None:
    reading = await GenaiPrices().read("openai", "2026-11-21")
    assert reading is not None
    assert reading.names_models is False
    assert "gpt-5" in reading.models
    assert "gpt-5-misspelt" not in reading.models
    before = await GenaiPrices().read("openai", "2026-07-29")
    assert before is not None
    # OpenAI cut this model's prices on 2026-07-30: genai-prices 0.2.3.
    assert before.models["gpt-5.6-luna"]["price.input"] == "1"
    assert reading.models["gpt-5.6-luna"]["price.input"] == "0.2"
    assert reading.models["gpt-5.6-luna"]["price.input_above_272000"] == "0.4"
    assert reading.since["gpt-5.6-luna"] == "2026-07-30"
    assert "gpt-5.6-luna" not in before.since


async def test_anthropics_cache_is_written_for_five_minutes_or_an_hour() -> None:
    reading = await GenaiPrices().read("anthropic", "2026-11-21")
    assert reading is not None
    price = reading.models["claude-sonnet-5-5"]
    assert (price["price.cache_write_5m"], price["price.cache_write_1h"]) == ("2.5", "4")
    assert "price.cache_write" not in price


async def test_a_vendor_that_it_does_not_price_gives_nothing() -> None:
    assert await GenaiPrices().read("ollama", "2026-11-21") is None


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    with pytest.raises(ConfigurationError, match="genai-prices is not installed"):
        await GenaiPrices().read("openai", "2026-11-21")
