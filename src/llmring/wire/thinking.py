"""How much a model is asked to think: levels that it does not know become the nearest that it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from llmring.schemas.request import ReasoningEffort

EFFORTS: Final[tuple[ReasoningEffort, ...]] = get_args(ReasoningEffort)


def nearest_effort(asked: ReasoningEffort, known: Sequence[ReasoningEffort]) -> ReasoningEffort:
    """The level of `known` (not empty) that is nearest to the one asked for; of two as near, the lower one: it costs less.

    "none" means no thinking at all, so it is nobody's neighbour unless nothing else is known: who asks for it where it is not
    known gets the lowest level, and who asks for some thinking never gets none.
    """
    if asked in known:
        return asked
    thinking: list[ReasoningEffort] = [effort for effort in known if effort != "none"] or list(known)
    at = EFFORTS.index(asked)
    return min(thinking, key=lambda effort: (abs(EFFORTS.index(effort) - at), EFFORTS.index(effort)))
