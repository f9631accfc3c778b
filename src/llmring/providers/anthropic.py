"""What Anthropic's models take, by pattern on their names: data for the rows that reach them, at Anthropic or in a cloud.

Which models reject samplers, know which efforts and take which thinking, tool choice and computer tool:
https://platform.claude.com/docs/en/about-claude/models, …/build-with-claude/effort, …/build-with-claude/thinking,
…/agents-and-tools/tool-use/computer-use-tool, and the model data of litellm 1.109.1 (2026-11-21).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llmring.wire.base import Quirks

_SAMPLERS: Final = frozenset({"temperature", "top_p", "top_k"})
_TOOLSET: Final = "computer_toolset_20260801"

# A model that is not known is taken for one of the newest.
QUIRKS: Final = Quirks(
    temperature_max=1.0,
    json_object=False,
    strict_tools=True,
    logprobs=False,
    efforts=("none", "low", "medium", "high", "xhigh", "max"),
    computer_tool=_TOOLSET,
    file_urls=True,  # https://platform.claude.com/docs/en/build-with-claude/pdf-support (2026-11-21)
)
_NEWER: Final = replace(QUIRKS, rejected=_SAMPLERS)
# Thinking cannot be turned off, and no tool can be forced, where a model always thinks.
_ALWAYS_THINKS: Final = replace(_NEWER, efforts=("low", "medium", "high", "xhigh", "max"))
_4_6: Final = replace(
    QUIRKS,
    efforts=("none", "low", "medium", "high", "max"),
    forced_tools="without_thinking",
    one_sampler=True,
    computer_tool="computer_20251124",
)
_BUDGET: Final = replace(
    QUIRKS,
    thinking_form="budget",
    efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    forced_tools="without_thinking",
    one_sampler=True,
    computer_tool="computer_20250124",
)


# Structured outputs and strict tools came with Opus 4.1 and Sonnet 4.5:
# https://website.claude.com/blog/structured-outputs-on-the-claude-developer-platform (2026-11-21)
_UNHELD: Final = replace(_BUDGET, strict_tools=False, json_schema=False)


def _named(pattern: str) -> str:
    """Names at Anthropic (claude-opus-4-6-20260205), Vertex (claude-opus-4-5@20251101), Bedrock (us.anthropic.claude-opus-4-6-v1)."""
    return rf"(?:[a-z]+\.)*claude-(?:{pattern})(?:[-@:].+)?"


# First match wins, so that sonnet-5-5 stands before sonnet-5.
MODEL_QUIRKS: Final = (
    (_named(r"opus-5-5|(?:fable|mythos)-5-[1-9]"), replace(_ALWAYS_THINKS, forced_tools="never")),
    (_named(r"sonnet-5-5"), replace(_NEWER, forced_tools="never", thinking_off="between_tools")),
    (_named(r"(?:fable|mythos)-5"), _ALWAYS_THINKS),
    (_named(r"mythos-preview"), replace(_ALWAYS_THINKS, computer_tool="computer_20251124")),
    (_named(r"opus-4-7"), replace(_NEWER, forced_tools="without_thinking", computer_tool="computer_20251124")),
    (_named(r"opus-4-8|(?:haiku|sonnet|opus)-5"), _NEWER),
    (_named(r"(?:opus|sonnet)-4-6"), _4_6),
    (_named(r"opus-4-5"), replace(_BUDGET, computer_tool="computer_20251124")),
    (_named(r"opus-4-1|(?:sonnet|haiku)-4-5"), _BUDGET),
    (_named(r"(?:opus|sonnet|haiku)-[1-4]|3-.*"), _UNHELD),
)
