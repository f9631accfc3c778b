"""What a manifest's constraints say of one model: satisfied, failed, or nobody knows. Pure; used by `lock`, `check` and `upgrade`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from llmring.lockfile.finding import Finding
from llmring.lockfile.intent import Intent, ProfileIntent
from llmring.registry.model_info import PINS, ModelInfo

_TIER: Final = re.compile(r"([a-z_0-9]+?)_above_(\d{1,9})", re.ASCII)


def check_constraints(profile: ProfileIntent, intent: Intent, info: ModelInfo) -> list[Finding]:
    """What is wrong with this model under this alias, by these facts of it; [] where everything that is asked is known to hold.

    constraint.failed, pin.too-weak: it does not hold. constraint.unknown, price.unknown: nobody said.
    """
    return list(_check(profile, intent, info))


def is_strong_enough(pin: str | None, least: str | None) -> bool:
    """Whether a pin grade is at least the other; None is the weakest."""
    return least is None or _strength(pin) >= _strength(least)


def _strength(pin: str | None) -> int:
    return -PINS.index(pin if pin in PINS else "unknown")


def _check(profile: ProfileIntent, intent: Intent, info: ModelInfo) -> Iterator[Finding]:
    subject = f"{profile.name}/{intent.alias}"

    def found(id: str, message: str, hint: str | None = None, **facts: Any) -> Finding:
        source = info.price_source if "price" in facts else info.facts_source
        return Finding(id, subject, f"{info.id}: {message}", hint=hint, source=source, facts={"model": info.id} | facts)

    if profile.providers is not None and info.provider not in profile.providers:
        allowed = ", ".join(sorted(profile.providers)) or "none"
        yield found("constraint.failed", f"provider {info.provider} is not allowed ({allowed})", provider=info.provider)
    if not is_strong_enough(info.pin, intent.min_pin):
        grade = info.pin or "unknown"
        yield found(
            "pin.too-weak",
            f"its name is pinned as {grade!r}, and min-pin asks for {intent.min_pin!r}",
            _pin_hint(info),
            pin=grade,
            min_pin=intent.min_pin,
        )
    for cap in intent.needs:
        can = info.can(cap)
        if can is None:
            yield found("constraint.unknown", f"nobody says whether it can do {cap}", need=cap)
        elif not can:
            yield found("constraint.failed", f"it cannot do {cap}", need=cap)
    for key, least, most in (
        ("min-input", intent.min_input, _input_limit(info, intent.min_input)),
        ("min-output", intent.min_output, info.max_output),
    ):
        if least is None:
            continue
        if most is None:
            yield found("constraint.unknown", f"nobody says whether it has {key} {least}", limit=key)
        elif most < least:
            yield found("constraint.failed", f"{key} is {least}, it has {most}", limit=key, has=most)
    for kind, most_usd in sorted(intent.max_price.items()):
        price = _price(info, kind, intent.min_input)
        if price is None:
            yield found("price.unknown", f"its price of {kind} is not known, and max-price asks for it", price=kind)
        elif price > most_usd:
            yield found(
                "constraint.failed",
                f"{kind} costs {price:f} USD per million tokens, max-price is {most_usd:f}",
                price=kind,
                usd_per_million=f"{price:f}",
            )


def _pin_hint(info: ModelInfo) -> str | None:
    if info.provider == "ollama":
        return "with the model pulled and Ollama running, lock it again: its digest is then the pin"
    return None if info.points_to is None else f"name {info.provider}:{info.points_to}, which it means at present"


def _input_limit(info: ModelInfo, least: int | None) -> int | None:
    """Prompt tokens that it is known to take. A window holds prompt and answer, so it can only say no."""
    if info.max_input is not None or least is None:
        return info.max_input
    window = info.context_window
    return window if window is not None and window < least else None


def _price(info: ModelInfo, kind: str, input_tokens: int | None) -> Decimal | None:
    """The price of a kind; the highest of its tiers that a prompt of so many tokens may meet. 0 is unknown."""
    base = info.price.get(kind)
    if not base:
        return None
    tiers = [
        price
        for name, price in info.price.items()
        if (tier := _TIER.fullmatch(name)) and tier[1] == kind and int(tier[2]) < (input_tokens or 0)
    ]
    return max([base, *tiers])
