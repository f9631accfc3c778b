"""Prices from the `genai-prices` package's data, as of a day: the package is an extra, imported when read.

It prices a name by patterns, so that a misspelt model has a price too: a price here is no proof that a model exists. Only names
that its data spell out are taken, and none of them adds a model to the registry.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from llmring.exceptions import ConfigurationError
from llmring.registry.parse import FactSource, FactValue
from llmring.registry.sources.base import GENAI_PRICES, Reading, put, put_price

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, PriceVariant

_KINDS: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}
# What a request must be like for a variant's prices, and how the registry calls that tier.
_TIERS: Final = {
    ("processing", "batch"): "batch_",
    ("service_tier", "flex"): "flex_",
    ("service_tier", "priority"): "priority_",
}
# The package's windows of Google's models are rounded (1,000,000 for 1,048,576); only these vendors' are taken.
_WINDOWS_OF: Final = ("openai", "anthropic")


class GenaiPrices:
    """The installed package, whatever its version."""

    key = GENAI_PRICES

    async def read(self, provider: str, today: str) -> Reading | None:
        """Prices that hold on `today`. Raises ConfigurationError where the extra is not installed."""
        try:
            from genai_prices.data import providers
        except ImportError:
            raise ConfigurationError(
                "genai-prices is not installed",
                hint="install the extra `prices`, in a checkout: uv sync --extra prices",
            ) from None
        found = next((known for known in providers if known.id == provider), None)
        if found is None:
            return None
        version = importlib.metadata.version("genai-prices")
        said_by = FactSource(f"genai-prices {version}", f"https://pypi.org/project/genai-prices/{version}/", today)
        models: dict[str, dict[str, FactValue]] = {}
        since: dict[str, str] = {}
        for info in found.models:
            day = date.fromisoformat(today)
            facts, start = _facts(info, provider, day), _find_start(info, day)
            for name in dict.fromkeys([info.id, *_names(info.match)]):
                # The first that spells a name out is the one that the package itself would find.
                if name not in models:
                    models[name] = facts
                    since |= {} if start is None else {name: start}
        return Reading(GENAI_PRICES, said_by, models, names_models=False, since=since)


def _names(match: MatchLogic) -> Iterator[str]:
    """The names that a pattern spells out."""
    from genai_prices.types import ClauseEquals, ClauseOr

    if isinstance(match, ClauseEquals):
        yield match.equals
    elif isinstance(match, ClauseOr):
        for clause in match.or_:
            yield from _names(clause)


def _facts(info: ModelInfo, provider: str, day: date) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    # Noon: the package's days begin at midnight UTC.
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    _put_prices(facts, info.get_prices(moment), provider, "")
    for (condition, value), tier in _TIERS.items():
        # Variants are asked first to last, for each price by itself; so the last one is written first.
        for variant in reversed(info.price_variants or []):
            if variant.when == {condition: value} and _holds(variant, moment):
                _put_prices(facts, variant.prices, provider, tier)
    if provider in _WINDOWS_OF:
        put(facts, "context_window", info.context_window)
    return facts


def _find_start(info: ModelInfo, day: date) -> str | None:
    """The day from which the prices of this day hold; None for those that always did, as far as the package knows."""
    from genai_prices.types import StartDateConstraint

    for conditional in reversed(info.prices if isinstance(info.prices, list) else []):
        constraint = conditional.constraint
        if isinstance(constraint, StartDateConstraint) and constraint.start_date <= day:
            return constraint.start_date.isoformat()
    return None


def _holds(variant: PriceVariant, moment: datetime) -> bool:
    return variant.constraint is None or variant.constraint.active(moment)


def _put_prices(facts: dict[str, FactValue], prices: ModelPrice, provider: str, tier: str) -> None:
    from genai_prices.types import TieredPrices

    for key, kind in _KINDS.items():
        # Anthropic's cache is written for five minutes or for an hour; the others' has one duration.
        if kind == "cache_write" and provider == "anthropic":
            kind = "cache_write_5m"
        price: Any = getattr(prices, key)
        if isinstance(price, TieredPrices):
            put_price(facts, f"price.{tier}{kind}", price.base)
            for step in price.tiers:
                put_price(facts, f"price.{tier}{kind}_above_{step.start}", step.price)
        else:
            put_price(facts, f"price.{tier}{kind}", price)
