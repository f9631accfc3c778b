"""What is known of a model. Every field but the name may be unknown (None); unknown is never read as no, or as 0.

Facts come from a lock's row, from the registry, or from whoever made the object. What has to read the registry's files, or a
vocabulary, to answer lies in other modules, which load when they are first asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from llmring.schemas.usage import Usage

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
Sort = Literal["name", "price", "context", "retires"]
# What prices are of: tokens of a kind, at one of the vendor's tiers. Behind it may stand `_above_N`: in calls of larger prompts.
TOKEN_KINDS: Final = ("input", "output", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h")
PRICE_KINDS: Final = tuple(f"{tier}{kind}" for tier in ("", "batch_", "flex_", "priority_") for kind in TOKEN_KINDS)
PINS: Final = ("content", "snapshot", "pointer", "unknown")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts of one model. `str()` of it is its id, which goes wherever a model is named.

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
    price: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal], hash=False)
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
    sources: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    @property
    def provider(self) -> str:
        """Whom to call: what stands before the colon."""
        return self.id.partition(":")[0]

    @property
    def model_name(self) -> str:
        """The provider's own name for it."""
        return self.id.partition(":")[2]

    @property
    def reasoning_model(self) -> bool | None:
        """Whether it thinks before it answers; None where nobody knows."""
        known = self.can("reasoning")
        return bool(self.reasoning_efforts) if known is None and self.reasoning_efforts is not None else known

    def __str__(self) -> str:
        return self.id

    def can(self, cap: str) -> bool | None:
        """Whether it can do one of `CAPS`; None where nobody knows."""
        if self.caps is not None and cap in self.caps:
            return True
        return False if cap in self.lacks else None

    # What reads more than the fields. Imported when asked: a lock's rows are made of this class, and need none of it.

    def count_tokens(self, text: str) -> int:
        """How many tokens the text is for this model, without a network: exact where its vocabulary is at hand, else an estimate.

        `ring.estimate_tokens` says which it was, and counts whole requests.
        """
        from llmring.registry import estimate_tokens

        return estimate_tokens(text, self.id).tokens

    def parse_usage(self, raw: object) -> Usage:
        """A vendor's own usage object, of any dialect, as `Usage`; with its cost in USD where the prices are known.

        raw: a dict, or an object of a vendor's SDK. Raises ConfigurationError for what holds no counts.
        """
        from llmring.registry import parse_usage

        return parse_usage(raw, self)

    @classmethod
    def get(cls, key: str) -> ModelInfo:
        """What is known of a model, by `provider:model`, or by the model's own name where one provider alone has it.

        Looks among those that were registered, then in the registry that ships with llmring. Raises ModelInfoNotFoundError with
        names that come close, or with the full names where several providers have one of this name.
        """
        from llmring.registry import shared_catalog

        return shared_catalog().get(key)

    @classmethod
    def find(
        cls,
        *,
        provider: str | None = None,
        category: Category | None = None,
        needs: Iterable[str] = (),
        lacks: Iterable[str] = (),
        min_input: int | None = None,
        min_output: int | None = None,
        max_price: Mapping[str, Decimal | str | float] | None = None,
        lifecycle: Lifecycle | Iterable[Lifecycle] | None = None,
        reasoning: bool | None = None,
        allow_unknown: bool = False,
        sort: Sort = "name",
    ) -> list[ModelInfo]:
        """The models that meet every condition; see `Catalog.find`."""
        from llmring.registry import shared_catalog

        return shared_catalog().find(
            provider=provider,
            category=category,
            needs=needs,
            lacks=lacks,
            min_input=min_input,
            min_output=min_output,
            max_price=max_price,
            lifecycle=lifecycle,
            reasoning=reasoning,
            allow_unknown=allow_unknown,
            sort=sort,
        )

    @classmethod
    def register(cls, info: ModelInfo, *, replace: bool = False) -> None:
        """Makes a model known to this process: to `get`, `find` and every ring. Of one that is known already the new one wins,
        and a warning is logged unless `replace` says that it is meant.

        What a ring has resolved before, it goes on with; register first. `ring.register_model` is for one ring alone. Raises
        ConfigurationError for what is no model, and for a fact that is none: a price that is a float, a date that is no date.
        """
        from llmring.registry import shared_catalog

        shared_catalog().register(info, replace=replace)
