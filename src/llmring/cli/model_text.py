"""A model's facts, as `explain`, `list` and `info` show them to people. What is not known is called unknown, never no or 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

UNKNOWN: Final = "unknown"
_MAIN_KINDS: Final = ("input", "output", "cache_read")


def show_price(facts: Mapping[str, Any]) -> str:
    """The main prices on one line, with who says so."""
    price: Mapping[str, str] = facts["price"]
    shown = [f"{kind} {price[kind]}" for kind in _MAIN_KINDS if kind in price]
    if not shown:
        return UNKNOWN
    said = [text for text in (facts["price_source"], facts["price_as_of"]) if text]
    more = len(price) - len(shown)
    others = f" and {more} more" if more else ""
    return f"{', '.join(shown)}{others} (USD per million tokens{'; ' + ', '.join(said) if said else ''})"


def show_limits(facts: Mapping[str, Any]) -> str:
    """How many tokens go in and out."""
    names = {"max_input": "input", "max_output": "output", "context_window": "both together"}
    shown = [f"{what} {facts[name]:,}" for name, what in names.items() if facts[name] is not None]
    return f"{', '.join(shown)} tokens" if shown else UNKNOWN


def show_caps(facts: Mapping[str, Any], answer: bool | None) -> str:
    """The capabilities of which this is known."""
    return ", ".join(cap for cap, known in facts["caps"].items() if known is answer)


def show_value(value: Any) -> str:
    """One fact: numbers as people write them, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) or "none" if isinstance(value, (list, tuple)) else str(value)  # pyright: ignore[reportUnknownArgumentType]
