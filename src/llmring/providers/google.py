"""What Google's models take, by pattern on their names: data for the rows that reach them, at the Gemini API or on Vertex AI.

Levels: https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides/gemini-3-8-flash (3.8, 3.7, 3.1 Pro),
…/models/gemini/3-5-flash-lite, …/models/gemini/3-1-flash-lite, …/models/gemini/3-flash. Budgets of 2.5:
https://ai.google.dev/gemini-api/docs/thinking. Computer use: https://ai.google.dev/gemini-api/docs/whats-new-gemini-3.6 (2026-11-21)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llmring.wire.base import Quirks

# `supports_sampling_params: false` in the model data of litellm 1.109.1 (2026-11-21).
_SAMPLERS: Final = frozenset({"temperature", "top_p", "top_k"})
# Errors where the samplers above are ignored: …/models/gemini/3-5-flash-lite (2026-11-21).
_PENALTIES: Final = frozenset({"frequency_penalty", "presence_penalty"})

# A model that is not known is taken for one of the newest.
QUIRKS: Final = Quirks(
    efforts=("low", "medium", "high"),
    file_urls=True,
    sealed_calls=True,
    tool_media=True,
    computer_tool="computerUse",
)
_LITE: Final = replace(QUIRKS, efforts=("minimal", "low", "medium", "high"))
_BUDGET: Final = replace(
    QUIRKS,
    thinking_form="budget",
    efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    sealed_calls=False,
    tool_media=False,
    computer_tool=None,
)
_OLDER: Final = replace(_BUDGET, efforts=())

# First match wins.
MODEL_QUIRKS: Final = (
    (r"gemini-3\.5-flash-lite(-.+)?", replace(_LITE, rejected=_SAMPLERS | _PENALTIES)),
    (r"gemini-3\.[678]-flash(-.+)?", replace(QUIRKS, rejected=_SAMPLERS)),
    (r"gemini-3(\.1)?-flash-lite(-.+)?|gemini-3-flash(-.+)?", _LITE),
    (r"gemini-3-pro(-.+)?", replace(QUIRKS, efforts=("low", "high"), computer_tool=None)),
    (r"gemini-3\.1-pro(-.+)?", replace(QUIRKS, computer_tool=None)),
    (r"gemini-2\.5-computer-use(-.+)?", replace(_BUDGET, tool_media=True, computer_tool="computerUse")),
    (
        r"gemini-2\.5-pro(-.+)?",
        replace(
            _BUDGET,
            efforts=("minimal", "low", "medium", "high", "xhigh", "max"),
            thinking_budget=(128, 32768),
        ),
    ),
    (r"gemini-2\.5-flash-lite(-.+)?", replace(_BUDGET, thinking_budget=(512, 24576))),
    (r"gemini-2\.5-.+", _BUDGET),
    (r"gemini-(1|2\.0)[.-].+|gemma-.+|learnlm-.+", _OLDER),
)
VERTEX_QUIRKS: Final = replace(QUIRKS, envelope="vertex")
VERTEX_MODEL_QUIRKS: Final = tuple((pattern, replace(quirks, envelope="vertex")) for pattern, quirks in MODEL_QUIRKS)
