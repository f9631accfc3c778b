"""What a manifest asks for, as plain data: each alias of each profile with everything that holds for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from llmring.canonical_json import fingerprint
from llmring.lockfile.model import DEFAULT_PROFILE, Policy

FACT_SOURCES: Final = ("provider-api", "registry")
# Beside these, `plugin-NAME`: a source of facts that an installed package gives, docs/plugins.md
PRICE_SOURCES: Final = ("genai-prices", "provider-api", "registry")


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted under one alias in one profile.

    models: the candidates, `provider:model` in order. needs: words of `CAPS`, sorted. min_input, min_output: tokens.
    max_price: USD per million tokens by kind. min_pin: the weakest grade that will do; None: any. parameters: what a request under this
    alias sends where it says nothing itself (temperature, max_tokens, reasoning_effort, system). until, then: the reviewed successor
    pool and the day (YYYY-MM-DD) from which it serves. lossy: by model, the hand-over losses that a person has accepted.
    """

    alias: str
    models: tuple[str, ...]
    needs: tuple[str, ...] = ()
    min_input: int | None = None
    min_output: int | None = None
    max_price: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    min_pin: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    until: str | None = None
    then: tuple[str, ...] = ()
    lossy: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def fingerprint(self) -> str:
        """The hash that a binding keeps as `input`. Accepted losses are no part of it: they change nothing that is locked."""
        asked = {
            "models": self.models,
            "needs": self.needs,
            "min-input": self.min_input,
            "min-output": self.min_output,
            "max-price": {kind: f"{price.normalize():f}" for kind, price in self.max_price.items()},
            "min-pin": self.min_pin,
            "parameters": self.parameters,
            "until": self.until,
            "then": self.then,
        }
        return fingerprint({name: value for name, value in asked.items() if value not in (None, (), {})})


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked, in order of precedence, by the commands that may ask anybody."""

    facts: tuple[str, ...] = FACT_SOURCES
    prices: tuple[str, ...] = ("genai-prices", "registry")
    lifecycle: tuple[str, ...] = FACT_SOURCES


@dataclass(frozen=True, slots=True)
class IgnoredFinding:
    """A finding of `lock audit` that does not count until a day. id: `model.retiring:openai:…`."""

    id: str
    until: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProfileIntent:
    """One profile: its aliases in the manifest's order, and what holds for all of them.

    providers: the only ones that may be selected from; None: any. cooldown_days, retire_horizon_days: for what is newly selected.
    on_drift: what a response of another model than the locked one comes to (`pin.drift`).
    """

    name: str
    aliases: Mapping[str, Intent]
    providers: frozenset[str] | None = None
    cooldown_days: int = 0
    retire_horizon_days: int = 0
    min_pin: str | None = None
    on_drift: Policy = "warn"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest, read: what is wanted, and by whom it may be answered. source: where it came from, for messages."""

    source: str
    profiles: Mapping[str, ProfileIntent]
    sources: Sources = Sources()
    extends: tuple[str, ...] = ()
    ignored: tuple[IgnoredFinding, ...] = ()
    default_profile: str = DEFAULT_PROFILE
