"""Whether a request fits its model, before it is sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextCheck:
    """fits: None where no limit of the model is known. model: `provider:model`. tokens: of the prompt; exact: whether they are
    counted, not estimated. limit: the most that the prompt may have beside an answer of max_tokens, None where it is unknown.
    max_tokens: the cap on the answer, None where neither the request nor the ring's defaults have one. reason: all that in words.
    """

    model: str
    fits: bool | None
    tokens: int
    exact: bool
    limit: int | None
    max_tokens: int | None
    reason: str
