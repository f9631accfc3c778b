"""What is known of a model. Every field but the name may be unknown (None); unknown is never read as no, or as 0.

Facts come from a lock's row, from the registry, or from whoever made the object. Nothing here reads a file or asks a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

Category = Literal["chat", "embedding"]
Lifecycle = Literal["active", "preview", "deprecated", "retired"]
PinGrade = Literal["content", "snapshot", "pointer", "unknown"]

# What a model may be able to do: the closed vocabulary of registry, lock rows and a manifest's `needs`.
CAPS: Final = (
    "audio",  # audio in
    "computer_use",
    "json_schema",  # enforced, not merely asked for
    "pdf",
    "prompt_cache",
    "reasoning",
    "tool_choice",  # can be made to call a tool
    "tools",
    "video",
    "vision",
    "web_search",  # the provider's own
)
PINS: Final = ("content", "snapshot", "pointer", "unknown")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts of one model.

    id: `provider:model`. category: what it is called for. caps: what it can do, None where nobody said; lacks: what it is known
    not to do; `can` asks both.
    max_input: prompt tokens it accepts; max_output: answer tokens; context_window: both together. dimensions: of its vectors.
    reasoning_efforts: the levels it takes, least first; () for none.
    price: USD per million tokens by kind (input, output, cache_read, cache_write_5m, batch_input, input_above_200000, …).
    pin: how firmly the name holds, see the lockfile. points_to: the model that this pointer meant when it was looked up.
    lifecycle, deprecated, retires: where it stands, and since or until when (YYYY-MM-DD); retires_kind: whether that date is the
    earliest possible or firm. successor: what its vendor names in its place.
    price_source, facts_source: who says so; sources: the same for each fact, "who, date".
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
    category: Category | None = None
    lacks: frozenset[str] = frozenset()
    reasoning_efforts: tuple[str, ...] | None = None
    dimensions: int | None = None
    lifecycle: Lifecycle | None = None
    deprecated: str | None = None
    retires_kind: Literal["earliest", "firm"] | None = None
    successor: str | None = None
    points_to: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def provider(self) -> str:
        """Whom to call: what stands before the colon."""
        return self.id.partition(":")[0]

    @property
    def model_name(self) -> str:
        """The provider's own name for it."""
        return self.id.partition(":")[2]

    def can(self, cap: str) -> bool | None:
        """Whether it can do one of `CAPS`; None where nobody knows."""
        if self.caps is not None and cap in self.caps:
            return True
        return False if cap in self.lacks else None
