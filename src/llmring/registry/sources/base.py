"""The seam between the registry and those who know facts: a `Source` is asked for a provider, and answers with a `Reading`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol

from llmring.registry.parse import FactSource, FactValue, kind_of, read_value

GENAI_PRICES: Final = "genai-prices"
LITELLM: Final = "litellm"
LISTING: Final = "listing"
# The keys, in registry files, of what `llmring registry refresh` reads. Any other key is a page that a person has read.
REFRESHABLE: Final = (LISTING, GENAI_PRICES, LITELLM)
PLUGGED: Final = "plugin-"  # before the name of a plug-in that is a source


@dataclass(frozen=True, slots=True)
class Identity:
    """What a listing says of which model a name is: for locks, and no fact of the registry's.

    digest: `sha256:…` of its content. remote: it is only passed on to another host, so that the digest is of a stub. created: it was
    made on that machine, and others will not have it. released: the day (YYYY-MM-DD) that its vendor gives it.
    """

    digest: str | None = None
    remote: bool = False
    created: bool = False
    released: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source says of one provider's models.

    key: of the source in registry files. said_by: what it is. models: facts by the vendor's own name and by fact
    (`price.input`); only facts that the source states, never one that follows from its silence.
    names_models: whether a model that it gives a category exists for that reason alone. dated: whether the source changes
    under one name, so that its date is the day it was read; else a version that was read before keeps its date.
    identities: by the vendor's name, where the source knows more of it than facts. since: by that name, the day (YYYY-MM-DD) from which
    its prices hold, where the source tells it.
    """

    key: str
    said_by: FactSource
    models: Mapping[str, Mapping[str, FactValue]]
    names_models: bool
    dated: bool = False
    identities: Mapping[str, Identity] = field(default_factory=dict[str, Identity])
    since: Mapping[str, str] = field(default_factory=dict[str, str])


class Source(Protocol):
    """Somebody who knows facts of models."""

    @property
    def key(self) -> str:
        """One of REFRESHABLE."""
        ...

    async def read(self, provider: str, today: str) -> Reading | None:
        """What it says of this provider's models; None where it has nothing to do with the provider.

        today: YYYY-MM-DD. Raises LLMRingError where it cannot be read.
        """
        ...


def put(facts: dict[str, FactValue], name: str, value: object) -> None:
    """Takes the value where it is one that the registry may hold; what a source says otherwise is left out."""
    kind = kind_of(name)
    fact = None if kind is None else read_value(kind, name, value)
    if fact is not None:
        facts[name] = fact


def put_price(facts: dict[str, FactValue], name: str, price: object) -> None:
    """Takes a price of USD per million tokens. One of 0 is left out: it says as often unknown as free."""
    if isinstance(price, Decimal) and price.is_finite() and price > 0:
        text = format(price, "f")
        put(facts, name, text.rstrip("0").rstrip(".") if "." in text else text)
