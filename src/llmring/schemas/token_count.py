"""How many tokens a request is, before it is sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """tokens: what the model would read. exact: whether its provider counted them, or, for a text alone, its own published tokenizer;
    else they are an estimate. model: `provider:model`. source: who says so."""

    tokens: int
    exact: bool
    model: str
    source: str
