"""What is known of a model. Every field but the name may be unknown (None); unknown is never read as no, or as 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts of one model.

    id: `provider:model`. caps: what it can do, None where nobody said. max_input: prompt tokens it accepts;
    max_output: answer tokens; context_window: both together. price: USD per million tokens by kind
    (input, output, cache_read, cache_write_5m, …). price_source, facts_source: who says so.
    """

    id: str
    caps: frozenset[str] | None = None
    max_input: int | None = None
    max_output: int | None = None
    context_window: int | None = None
    price: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    price_source: str | None = None
    price_as_of: str | None = None
    facts_source: str | None = None
    pin: str | None = None
    retires: str | None = None
