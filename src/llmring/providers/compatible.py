"""Vendors that speak OpenAI's dialect, a row each, and where each of them differs.

What is said here of fields is in the vendor's own client on PyPI, whose version stands beside it, or on the page named.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from llmring import env
from llmring.providers.base import ProviderRow, normalize_base_url
from llmring.wire.base import Quirks

# openrouter 1.3.84 (2026-11-21): ChatRequest, ChatContentFileFile (a document's URL in the place of its data), ChatStreamOptions
# (usage comes unasked). https://openrouter.ai/docs/use-cases/reasoning-tokens (2026-11-21): reasoning_details go back as they came.
_OPENROUTER = Quirks(
    max_tokens_field="max_completion_tokens",
    stream_usage=False,
    file_urls=True,
    thinking_back="reasoning_details",
    service_tiers=("auto", "default", "flex", "priority"),
)

# https://console.groq.com/docs/openai (2026-11-21): logprobs are answered with a 400. groq 1.7.0: no top_k; max_tokens is deprecated.
# https://console.groq.com/docs/structured-outputs (2026-11-21): a schema binds the gpt-oss models; the others are asked in words.
_GROQ = Quirks(
    max_tokens_field="max_completion_tokens",
    rejected=frozenset({"logprobs", "top_logprobs", "top_k"}),
    logprobs=False,
    json_schema=False,
)
# https://console.groq.com/docs/reasoning (2026-11-21): Qwen's thinking can be turned off, and stands within the text unless asked apart.
_GROQ_MODELS = (
    (r"openai/gpt-oss-.+", replace(_GROQ, json_schema=True, efforts=("low", "medium", "high"))),
    (r"qwen/qwen3-.+", replace(_GROQ, efforts=("none",), unasked=(("reasoning_format", "parsed"),))),
)

# mistralai 3.7.0 (2026-11-21): ChatCompletionRequest, ThinkChunk, EmbeddingRequest. It has no stream_options: usage comes unasked.
# https://docs.mistral.ai/inference/quickstarts/analyze-an-image (2026-11-21): an image is a plain string.
_MISTRAL = Quirks(
    stream_usage=False,
    rejected=frozenset({"service_tier"}),
    image_strings=True,
    thinking_back="content",
    seed_field="random_seed",
    dimensions_field="output_dimension",
)

# https://api-docs.deepseek.com/guides/thinking_mode (2026-11-21): the levels, the switch, and that a turn with tool calls is refused
# without its reasoning_content. https://api-docs.deepseek.com/guides/json_mode (2026-11-21): JSON, but no schema.
_DEEPSEEK = Quirks(
    json_schema=False,
    efforts=("none", "low", "high", "max"),
    effort_none="thinking",
    thinking_back="reasoning_content",
)

# together 3.1.1 (2026-11-21): reasoning_effort of three levels, `reasoning: {enabled}` to turn it off; logprobs are a number there and
# come back as lists of another form.
_TOGETHER = Quirks(
    efforts=("none", "low", "medium", "high"),
    effort_none="reasoning",
    rejected=frozenset({"logprobs", "top_logprobs"}),
    logprobs=False,
)

# fireworks-ai 1.2.30 (2026-11-21): reasoning_history decides what becomes of the thinking that goes back. Levels are the models' own;
# those of gpt-oss are three, and do not turn it off.
_FIREWORKS = Quirks(thinking_back="reasoning_content")
_FIREWORKS_MODELS = ((r".*gpt-oss-.+", replace(_FIREWORKS, efforts=("low", "medium", "high"))),)

# max_tokens is deprecated; reasoning models refuse the penalties and stop: xAI's reference as copied at
# https://www.withone.ai/knowledge/x-ai/conn_mod_def%3A%3AGJ8XVadI5tM%3A%3ADPfbppXEQcykqfDIUoeNgw (2026-11-21), whose list has no top_k.
# Levels of grok-4.3, and models that refuse any: https://github.com/vercel/ai/releases/tag/@ai-sdk%2Fxai@4.0.8 (2026-11-21).
_XAI = Quirks(max_tokens_field="max_completion_tokens", rejected=frozenset({"top_k"}))
_XAI_REASONING = replace(
    _XAI, rejected=frozenset({"top_k", "presence_penalty", "frequency_penalty", "stop"}), efforts=()
)
_XAI_MODELS = (
    (r"grok-4\.3(-.+)?", replace(_XAI_REASONING, efforts=("none", "low", "medium", "high"))),
    (r"grok-.+-non-reasoning(-.+)?", replace(_XAI, efforts=())),
    (r"grok-4.*-reasoning(-.+)?", _XAI_REASONING),
)

# cerebras-cloud-sdk 1.91.0 (2026-11-21): no top_k; max_tokens is deprecated; four levels.
_CEREBRAS = Quirks(
    max_tokens_field="max_completion_tokens",
    rejected=frozenset({"top_k"}),
    efforts=("none", "low", "medium", "high"),
)


COMPATIBLE_ROWS: Final = (
    ProviderRow(
        "openrouter",
        "openai_chat",
        "https://openrouter.ai/api/v1",
        key_variables=(env.OPENROUTER_API_KEY,),
        read_base_url=partial(normalize_base_url, version_path="/api/v1"),
        quirks=_OPENROUTER,
    ),
    ProviderRow(
        "groq",
        "openai_chat",
        "https://api.groq.com/openai/v1",
        key_variables=(env.GROQ_API_KEY,),
        read_base_url=partial(normalize_base_url, version_path="/openai/v1"),
        quirks=_GROQ,
        model_quirks=_GROQ_MODELS,
    ),
    ProviderRow(
        "mistral",
        "openai_chat",
        "https://api.mistral.ai/v1",
        key_variables=(env.MISTRAL_API_KEY,),
        quirks=_MISTRAL,
    ),
    # https://api-docs.deepseek.com (2026-11-21): no version stands in the path.
    ProviderRow(
        "deepseek",
        "openai_chat",
        "https://api.deepseek.com",
        key_variables=(env.DEEPSEEK_API_KEY,),
        read_base_url=partial(normalize_base_url, version_path=""),
        quirks=_DEEPSEEK,
    ),
    # https://docs.together.ai/docs/inference/openai-compatibility (2026-11-21)
    ProviderRow(
        "together",
        "openai_chat",
        "https://api.together.ai/v1",
        key_variables=(env.TOGETHER_API_KEY,),
        quirks=_TOGETHER,
    ),
    ProviderRow(
        "fireworks",
        "openai_chat",
        "https://api.fireworks.ai/inference/v1",
        key_variables=(env.FIREWORKS_API_KEY,),
        read_base_url=partial(normalize_base_url, version_path="/inference/v1"),
        quirks=_FIREWORKS,
        model_quirks=_FIREWORKS_MODELS,
    ),
    ProviderRow(
        "xai",
        "openai_chat",
        "https://api.x.ai/v1",
        key_variables=(env.XAI_API_KEY,),
        quirks=_XAI,
        model_quirks=_XAI_MODELS,
    ),
    # https://docs.nvidia.com/nim/large-language-models/2.0.0/reference/api-reference.html and https://build.nvidia.com (2026-11-21)
    ProviderRow(
        "nvidia",
        "openai_chat",
        "https://integrate.api.nvidia.com/v1",
        key_variables=(env.NVIDIA_API_KEY,),
    ),
    # https://inference-docs.cerebras.ai/resources/openai (2026-11-21)
    ProviderRow(
        "cerebras",
        "openai_chat",
        "https://api.cerebras.ai/v1",
        key_variables=(env.CEREBRAS_API_KEY,),
        quirks=_CEREBRAS,
    ),
)
