"""What two say of one model, laid over each other: a lock's row, what a program registered, the registry. Pure."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

from llmring.registry.model_info import ModelInfo


def lay_over(upper: ModelInfo | None, lower: ModelInfo | None) -> ModelInfo | None:
    """What both know of one model: fact by fact what `upper` says, else what `lower` says.

    Each capability is a fact. All prices are one: those of two dates, or two sources, do not go together. So is the date of
    retirement with its kind.
    """
    if upper is None or lower is None:
        return upper or lower
    values: dict[str, Any] = {name: getattr(upper, name) for name in _PLAIN if getattr(upper, name) is not None}
    told = [*values]
    if upper.price:
        values |= {"price": upper.price, "price_source": upper.price_source, "price_as_of": upper.price_as_of}
        told += [f"price.{kind}" for kind in upper.price]
    if upper.retires is not None:
        same = upper.retires_kind is None and upper.retires == lower.retires
        values["retires_kind"] = lower.retires_kind if same else upper.retires_kind
        if not same:
            told.append("retires_kind")
    upper_caps, lower_caps = upper.caps or frozenset(), lower.caps or frozenset()
    if upper.caps is not None or upper.lacks:
        values["caps"] = upper_caps | (lower_caps - upper.lacks)
        values["lacks"] = upper.lacks | (lower.lacks - upper_caps)
        told += [f"caps.{cap}" for cap in upper_caps | upper.lacks]
    if upper.facts_source is not None:
        values["facts_source"] = upper.facts_source
    sources = {
        name: who
        for name, who in lower.sources.items()
        if name not in told and not (upper.price and name.startswith("price."))
    }
    sources |= {name: upper.sources[name] for name in told if name in upper.sources}
    return replace(lower, **values, sources=sources)


# Facts that stand alone: one field, None where it is not known.
_PLAIN: Final = tuple(
    field.name
    for field in fields(ModelInfo)
    if field.name
    not in {
        "id",
        "caps",
        "lacks",
        "price",
        "price_source",
        "price_as_of",
        "facts_source",
        "retires_kind",
        "sources",
    }
)
