"""How much a model of this dialect is asked to think, and what it then takes beside that.

https://platform.claude.com/docs/en/build-with-claude/thinking and
https://platform.claude.com/docs/en/build-with-claude/effort (2026-11-21). What differs by model stands in `Quirks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from llmring.schemas.request import ReasoningEffort
from llmring.wire.base import Target
from llmring.wire.thinking import nearest_effort

# The words that `output_config.effort` knows, and "none" for no thinking.
_LEVELS: Final[tuple[ReasoningEffort, ...]] = ("none", "low", "medium", "high", "xhigh", "max")

MIN_BUDGET_TOKENS: Final = 1024  # the vendor's floor
# Guesses between the floor and 32,000, past which the vendor sees little gain.
_BUDGETS: Final[Mapping[ReasoningEffort, int]] = {
    "minimal": MIN_BUDGET_TOKENS,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
# What an answer keeps of the cap when thinking is cut down to fit under it. Guess.
_ANSWER_TOKENS: Final = 1024


def encode_effort(
    body: dict[str, Any], asked: ReasoningEffort, max_tokens: int | None, target: Target, warnings: list[str]
) -> int:
    """Writes `thinking` and `output_config.effort`; gives the tokens that thinking takes out of the cap on the answer.

    max_tokens: the cap that the caller set, None where nobody did. Reads `tool_choice` of the body.
    """
    quirks, name = target.quirks, f"{target.provider}:{target.model}"
    if quirks.efforts == ():
        warnings.append(f"reasoning_effort was left out: {name} does not think")
        return 0
    level = asked
    if quirks.thinking_form != "budget" or quirks.efforts is not None:
        level = nearest_effort(asked, quirks.efforts or _LEVELS)
    if level != asked:
        reason = "cannot do without thinking" if asked == "none" else "does not know that level"
        warnings.append(f"reasoning_effort {asked!r} was sent as {level!r}: {name} {reason}")
    if level == "none":
        body["thinking"] = {"type": quirks.thinking_off}
        return 0
    if quirks.forced_tools == "without_thinking" and is_forced(body.get("tool_choice")):
        warnings.append(f"reasoning_effort was left out: {name} does not think when it is made to call a tool")
        return 0
    if quirks.thinking_form == "budget":
        return _encode_budget(body, level, max_tokens or target.info.max_output, warnings)
    # From Opus 4.7 on thoughts come empty unless their summary is asked for.
    body["thinking"] = {"type": "adaptive", "display": "summarized"}
    body["output_config"] = {**body.get("output_config", {}), "effort": level}
    return 0


def _encode_budget(body: dict[str, Any], level: ReasoningEffort, room: int | None, warnings: list[str]) -> int:
    wanted = budget = _BUDGETS[level]
    if room is not None:
        if room <= MIN_BUDGET_TOKENS:
            warnings.append(
                f"reasoning_effort was left out: max_tokens {room} leaves no room for the {MIN_BUDGET_TOKENS} tokens "
                "that thinking takes at least"
            )
            return 0
        budget = max(MIN_BUDGET_TOKENS, min(wanted, room - _ANSWER_TOKENS))
    if budget < wanted:
        warnings.append(f"reasoning_effort {level!r} has {budget} tokens in place of {wanted}: max_tokens is {room}")
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return budget


def is_forced(tool_choice: object) -> bool:
    """Whether the model has to call a tool."""
    return isinstance(tool_choice, dict) and cast("dict[str, Any]", tool_choice).get("type") in ("any", "tool")


def drop_samplers(body: dict[str, Any], target: Target, warnings: list[str]) -> None:
    """Leaves out what the model does not take together: samplers while it thinks, or temperature with top_p.

    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility (2026-11-21): with thinking,
    temperature stays 1, top_k unset, top_p between 0.95 and 1.
    """
    name = f"{target.provider}:{target.model}"
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and cast("dict[str, Any]", thinking).get("type") in ("enabled", "adaptive"):
        if body.get("temperature", 1) != 1:
            warnings.append(f"temperature was left out: {name} takes none while it thinks")
            del body["temperature"]
        if body.get("top_p", 1) < 0.95:
            warnings.append(f"top_p was left out: {name} takes 0.95 to 1 while it thinks")
            del body["top_p"]
        if "top_k" in body:
            warnings.append(f"top_k was left out: {name} takes none while it thinks")
            del body["top_k"]
    if target.quirks.one_sampler and "temperature" in body and "top_p" in body:
        # A 400 "temperature and top_p cannot both be specified for this model", as users report it:
        # https://github.com/browseros-ai/BrowserOS/issues/208 (2026-11-21).
        warnings.append(f"top_p was left out: {name} takes it or temperature, not both")
        del body["top_p"]
