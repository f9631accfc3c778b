"""What OpenAI's models differ in, by name. Data for `table.py`; Azure's deployments are often called as their models are.

Which models think, and at which efforts: https://developers.openai.com/api/docs/guides/reasoning, the docstring of `ReasoningEffort` in
the openai SDK 3.52, and the model data of litellm 1.109.1 (2026-11-21).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llmring.schemas.request import ReasoningEffort, ServiceTier
from llmring.wire.base import Quirks

# "Unrecognized request argument supplied: top_k": https://github.com/xlinx/sd-webui-decadetw-auto-prompt-llm/issues/29 (2026-11-21); no
# type of the openai SDK 3.52 has it.
OPENAI: Final = Quirks(max_tokens_field="max_completion_tokens", strict_tools=True, rejected=frozenset({"top_k"}))

# Served over Responses alone: `ResponsesModel` of the openai SDK 3.52 without its `ChatModel`, and `supported_endpoints` in the model
# data of litellm 1.109.1 (2026-11-21). "This model is only supported in v1/responses and not in v1/chat/completions."
RESPONSES_ONLY: Final = (
    r"codex-mini-latest"
    r"|gpt-\d[\d.]*-codex(-.+)?"
    r"|(o\d|gpt-\d[\d.]*)-pro(-\d{4}-\d\d-\d\d)?"
    r"|o\d(-mini)?-deep-research(-.+)?"
    r"|computer-use-preview(-.+)?"
    r"|gpt-daybreak-(blue|red)-latest"
)

# Which models have flex and priority: openai-language-model-capabilities.ts of @ai-sdk/openai 3.0.37,
# https://app.unpkg.com/@ai-sdk/openai@3.0.37/files/src/openai-language-model-capabilities.ts (2026-11-21). Not said of newer ones.
_STANDARD: Final[tuple[ServiceTier, ...]] = ("auto", "default")
_FLEX: Final[tuple[ServiceTier, ...]] = (*_STANDARD, "flex")
_PRIORITY: Final[tuple[ServiceTier, ...]] = (*_STANDARD, "priority")
_ALL: Final[tuple[ServiceTier, ...]] = (*_FLEX, "priority")

_DATE: Final = r"(-\d{4}-\d\d-\d\d)?"
# The o-series and GPT-5 before 5.1 answer sampling parameters with a 400 "unsupported_value"; from 5.1 on it depends on the
# effort, so there they are sent. https://developers.openai.com/api/docs/guides/latest-model#gpt-54-parameter-compatibility
# and https://platform.openai.com/docs/guides/reasoning#limitations (2026-11-21)
_UNSAMPLED: Final = replace(
    OPENAI,
    rejected=OPENAI.rejected
    | {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"},
)
# GPT-5 before 5.1, o3 and o4-mini refuse `stop` too; o1 and o3-mini take it. Chat's `stop` in the openai SDK 3.52,
# https://github.com/huggingface/smolagents/pull/1662 and https://community.openai.com/t/1113029 (2026-11-21)
_UNSTOPPED: Final = replace(_UNSAMPLED, rejected=_UNSAMPLED.rejected | {"stop"})
_TO_HIGH: Final[tuple[ReasoningEffort, ...]] = ("low", "medium", "high")
_TO_XHIGH: Final[tuple[ReasoningEffort, ...]] = (*_TO_HIGH, "xhigh")
_TO_MAX: Final[tuple[ReasoningEffort, ...]] = (*_TO_XHIGH, "max")
# The tool that works a screen: https://developers.openai.com/api/docs/guides/tools-computer-use (2026-11-21)
_SEES: Final = replace(OPENAI, computer_tool="computer")

OPENAI_MODELS: Final = (
    (r"o\d(-mini)?-deep-research(-.+)?", _UNSAMPLED),
    (r"o1(-.+)?", replace(_UNSAMPLED, efforts=_TO_HIGH, service_tiers=_STANDARD)),
    (rf"o3-mini{_DATE}", replace(_UNSAMPLED, efforts=_TO_HIGH, service_tiers=_ALL)),
    (rf"o[34](-.+)?|gpt-5-codex{_DATE}", replace(_UNSTOPPED, efforts=_TO_HIGH, service_tiers=_ALL)),
    (rf"gpt-5-pro{_DATE}", replace(_UNSTOPPED, efforts=("high",))),
    (rf"gpt-5-nano{_DATE}", replace(_UNSTOPPED, efforts=("minimal", *_TO_HIGH), service_tiers=_FLEX)),
    (rf"gpt-5(-mini)?{_DATE}", replace(_UNSTOPPED, efforts=("minimal", *_TO_HIGH), service_tiers=_ALL)),
    (r"gpt-5\.1-codex-max", replace(OPENAI, efforts=_TO_XHIGH)),
    (r"gpt-5\.1-codex(-mini)?", replace(OPENAI, efforts=_TO_HIGH)),
    (r"gpt-5\.\d-codex(-.+)?", replace(OPENAI, efforts=_TO_XHIGH)),
    (rf"gpt-5\.\d-pro{_DATE}", replace(OPENAI, efforts=("medium", "high", "xhigh"))),
    (rf"gpt-5\.1{_DATE}", replace(OPENAI, efforts=("none", *_TO_HIGH))),
    (rf"gpt-5\.2{_DATE}|gpt-5\.4-nano{_DATE}", replace(OPENAI, efforts=("none", *_TO_XHIGH))),
    (rf"gpt-5\.(4(-mini)?|5|6(-(sol|terra|luna))?){_DATE}", replace(_SEES, efforts=("none", *_TO_XHIGH))),
    (rf"gpt-(6-(sol|luna)|6\.1-terra){_DATE}", replace(_SEES, efforts=("none", *_TO_MAX))),
    (rf"gpt-(6-astra(-law)?|6\.1-sol){_DATE}", replace(_SEES, efforts=_TO_MAX)),
    (r"computer-use-preview(-.+)?", replace(OPENAI, computer_tool="computer_use_preview")),
    (r"gpt-4.*", replace(OPENAI, efforts=(), service_tiers=_PRIORITY)),
    (r"gpt-3\.5.*", replace(OPENAI, efforts=(), service_tiers=_STANDARD)),
    (r"ft:(gpt-3\.5|gpt-4).*|chatgpt-4o.*", replace(OPENAI, efforts=())),
)
