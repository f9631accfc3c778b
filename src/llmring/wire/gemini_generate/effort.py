"""How much a model of this dialect is asked to think: by level from Gemini 3 on, by a budget of tokens before.

https://ai.google.dev/gemini-api/docs/thinking (2026-11-21). What differs by model stands in `Quirks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmring.schemas.request import ReasoningEffort
from llmring.wire.base import Target
from llmring.wire.thinking import EFFORTS, nearest_effort

# Where nobody said what the model knows: the levels that are older than the newest of the dialect.
_LEVELS: Final[tuple[ReasoningEffort, ...]] = ("minimal", "low", "medium", "high")
# The vendor's own reading of low, medium and high: https://ai.google.dev/gemini-api/docs/openai (2026-11-21). Above that, what
# the model allows.
_BUDGETS: Final[Mapping[ReasoningEffort, int]] = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def encode_effort(config: dict[str, Any], asked: ReasoningEffort, target: Target, warnings: list[str]) -> None:
    """Writes `thinkingConfig` into a generation config."""
    quirks, name = target.quirks, f"{target.provider}:{target.model}"
    if quirks.efforts == ():
        warnings.append(f"reasoning_effort was left out: {name} does not think")
        return
    by_budget = quirks.thinking_form == "budget"
    level = nearest_effort(asked, quirks.efforts or (EFFORTS if by_budget else _LEVELS))
    if level != asked:
        reason = "cannot do without thinking" if asked == "none" else "does not know that level"
        warnings.append(f"reasoning_effort {asked!r} was sent as {level!r}: {name} {reason}")
    thinking: dict[str, Any] = {}
    if asked != "none":
        thinking["includeThoughts"] = True
    if by_budget:
        least, most = quirks.thinking_budget
        # Who asked for none, where there is always some, gets the least.
        wanted = _BUDGETS.get(level, most) if asked != "none" else least
        thinking["thinkingBudget"] = 0 if level == "none" else max(least, min(wanted, most))
    else:
        thinking["thinkingLevel"] = level.upper()
    config["thinkingConfig"] = thinking
