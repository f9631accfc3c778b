"""What a call cost and which sources it names: dicts that are JSON data, with attributes beside their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Spellings that the seeds' users know, read by `Usage.from_dict`.
_USAGE_SPELLINGS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_cached": "cache_read_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_creation_tokens": "cache_write_tokens",
    "output_tokens_reasoning": "reasoning_tokens",
    "total_cost": "cost",
}


class Usage(dict[str, Any]):
    """Tokens and money of one call: a dict that is JSON data, with attributes beside its keys.

    prompt_tokens (`.input_tokens`): everything the model read, cached tokens included. completion_tokens
    (`.output_tokens`): everything it wrote, reasoning included. total_tokens: the two together.
    cache_read_tokens, cache_write_tokens: parts of the prompt. reasoning_tokens: part of the completion.
    cost (`.total_cost`), input_cost, output_cost: USD as float; None where a price is unknown.
    estimated: True where the provider reported nothing and the counts are ours.
    """

    __slots__ = ()

    def __init__(
        self,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        *,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
        cost: float | None = None,
        input_cost: float | None = None,
        output_cost: float | None = None,
        estimated: bool = False,
    ) -> None:
        # Key by key: made once per call, and dict's own constructor takes half as long again.
        self["prompt_tokens"] = prompt_tokens
        self["completion_tokens"] = completion_tokens
        self["total_tokens"] = prompt_tokens + completion_tokens
        self["cache_read_tokens"] = cache_read_tokens
        self["cache_write_tokens"] = cache_write_tokens
        self["reasoning_tokens"] = reasoning_tokens
        self["cost"] = cost
        self["input_cost"] = input_cost
        self["output_cost"] = output_cost
        self["estimated"] = estimated

    @property
    def input_tokens(self) -> int:
        return self["prompt_tokens"]

    @property
    def output_tokens(self) -> int:
        return self["completion_tokens"]

    @property
    def prompt_tokens(self) -> int:
        return self["prompt_tokens"]

    @property
    def completion_tokens(self) -> int:
        return self["completion_tokens"]

    @property
    def total_tokens(self) -> int:
        return self["total_tokens"]

    @property
    def cache_read_tokens(self) -> int:
        return self["cache_read_tokens"]

    @property
    def cache_write_tokens(self) -> int:
        return self["cache_write_tokens"]

    @property
    def reasoning_tokens(self) -> int:
        return self["reasoning_tokens"]

    @property
    def has_cache_hit(self) -> bool:
        """Whether the provider read part of the prompt from its cache."""
        return self["cache_read_tokens"] > 0

    @property
    def cost(self) -> float | None:
        return self["cost"]

    @property
    def total_cost(self) -> float | None:
        return self["cost"]

    @property
    def input_cost(self) -> float | None:
        return self["input_cost"]

    @property
    def output_cost(self) -> float | None:
        return self["output_cost"]

    @property
    def estimated(self) -> bool:
        return self["estimated"]

    def to_dict(self) -> dict[str, Any]:
        return dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Usage:
        """Reads our keys and the seeds' other spellings (input_tokens, input_tokens_cached, total_cost, …).

        Raises ValueError for a key that is none of these, or two spellings that disagree.
        """
        given: dict[str, Any] = {}
        for spelling, value in data.items():
            name = _USAGE_SPELLINGS.get(spelling, spelling)
            if name not in _USAGE_KEYS:
                raise ValueError(f"Usage: no such field: {spelling}")
            if given.setdefault(name, value) != value:
                raise ValueError(f"Usage: {name} is given twice, with two values")
        given.pop("total_tokens", None)  # always the sum
        return cls(**given)


_USAGE_KEYS = frozenset(Usage())


class Citation(dict[str, Any]):
    """A source that an answer names: `url`, `title`, `start` and `end` (characters of `content`), `text` (quoted), `location`
    (where in the source, in the provider's own words: a dict of document, page, characters); JSON data."""

    __slots__ = ()

    def __init__(
        self,
        url: str | None = None,
        title: str | None = None,
        start: int | None = None,
        end: int | None = None,
        text: str | None = None,
        location: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(url=url, title=title, start=start, end=end, text=text)
        if location is not None:
            self["location"] = dict(location)

    @property
    def location(self) -> dict[str, Any] | None:
        return self.get("location")

    @property
    def url(self) -> str | None:
        return self["url"]

    @property
    def title(self) -> str | None:
        return self["title"]

    @property
    def start(self) -> int | None:
        return self["start"]

    @property
    def end(self) -> int | None:
        return self["end"]

    @property
    def text(self) -> str | None:
        return self["text"]
