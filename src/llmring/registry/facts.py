"""A model's facts as JSON data, and what its lifecycle means on a given day. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

from llmring.registry.model_info import CAPS, ModelInfo

# As long before its end a model is worth a warning: `retire-horizon` of the lockfile's policy.
RETIRE_HORIZON_DAYS: Final = 60

_PLAIN: Final = ("category", "max_input", "max_output", "context_window", "dimensions")
_LATER: Final = ("pin", "points_to", "lifecycle", "deprecated", "retires", "retires_kind", "successor")


def describe_model(info: ModelInfo) -> dict[str, Any]:
    """Every fact by name, None where it is unknown: prices as decimal texts, each capability as true, false or None."""
    told: dict[str, Any] = {"model": info.id}
    told |= {name: getattr(info, name) for name in _PLAIN}
    told["caps"] = {cap: info.can(cap) for cap in CAPS}
    told["reasoning_efforts"] = None if info.reasoning_efforts is None else list(info.reasoning_efforts)
    told["price"] = {kind: str(amount) for kind, amount in sorted(info.price.items())}
    told |= {name: getattr(info, name) for name in ("price_source", "price_as_of", "facts_source", *_LATER)}
    return told


def list_facts(info: ModelInfo) -> dict[str, Any]:
    """What is known, by the names that `ModelInfo.sources` uses: `max_input`, `caps.tools`, `price.input`."""
    found: dict[str, Any] = {name: getattr(info, name) for name in (*_PLAIN, *_LATER)}
    found["reasoning_efforts"] = None if info.reasoning_efforts is None else list(info.reasoning_efforts)
    found |= {f"caps.{cap}": info.can(cap) for cap in CAPS}
    found |= {f"price.{kind}": str(amount) for kind, amount in sorted(info.price.items())}
    return {name: value for name, value in found.items() if value is not None}


def name_source(info: ModelInfo, who: str) -> ModelInfo:
    """The same facts, those that name no source of their own ascribed to `who`."""
    sources: dict[str, str] = {}
    for name in list_facts(info):
        is_price = name.startswith("price.")
        said, date = (info.price_source, info.price_as_of) if is_price else (info.facts_source, None)
        sources[name] = info.sources.get(name) or ", ".join(
            filter(None, (f"{who}{f' ({said})' if said else ''}", date))
        )
    return replace(info, sources=sources)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a model stands on a day.

    state: "retired" calls are refused or soon will be; "retiring" within the horizon; "deprecated" its vendor advises against it;
    "fine" none of these. text: one sentence, None for "fine". days: until it is retired, where a date is known.
    """

    state: Literal["retired", "retiring", "deprecated", "fine"]
    text: str | None = None
    days: int | None = None


def find_standing(info: ModelInfo, now: float, horizon_days: int = RETIRE_HORIZON_DAYS) -> Standing:
    """now: seconds since the epoch; days are those of UTC."""
    today = datetime.fromtimestamp(now, UTC).date()
    days = None if info.retires is None else (date.fromisoformat(info.retires) - today).days
    instead = f"; its vendor names {info.successor} in its place" if info.successor else ""
    earliest = info.retires_kind == "earliest"
    if info.lifecycle == "retired" or (days is not None and days <= 0 and not earliest):
        return Standing("retired", f"retired{_since(info.retires, days)}{instead}", days)
    if days is not None and days <= 0:
        return Standing("retiring", f"may be retired at any time, since {info.retires}{instead}", days)
    if days is not None and days <= horizon_days:
        when = "at the earliest " if earliest else ""
        return Standing(
            "retiring", f"retires {when}in {days} {'day' if days == 1 else 'days'}, {info.retires}{instead}", days
        )
    if info.lifecycle == "deprecated" or (info.deprecated is not None and date.fromisoformat(info.deprecated) <= today):
        until = "" if info.retires is None else f", retires {'no earlier than ' if earliest else ''}{info.retires}"
        since = f" since {info.deprecated}" if info.deprecated else ""
        return Standing("deprecated", f"deprecated{since}{until}{instead}", days)
    return Standing("fine", None, days)


def _since(retires: str | None, days: int | None) -> str:
    return f" since {retires}" if retires is not None and days is not None and days <= 0 else ""
