"""The providers that llmring knows, a row each. A row names a dialect; nothing here knows what that dialect looks like.

Anthropic, Google and Ollama are reached through their OpenAI-compatible endpoints.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llmring import env
from llmring.providers.base import ProviderRow, google_base_url, ollama_base_url
from llmring.wire.base import Quirks

_OPENAI = Quirks(max_tokens_field="max_completion_tokens")
# The o-series and GPT-5 before 5.1 answer sampling parameters with a 400 "unsupported_value"; from 5.1 on it depends on the
# effort, so there they are sent. https://developers.openai.com/api/docs/guides/latest-model#gpt-54-parameter-compatibility
# and https://platform.openai.com/docs/guides/reasoning#limitations (2026-11-21)
_OPENAI_REASONING = replace(
    _OPENAI,
    rejected=frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"}),
)

_ANTHROPIC = Quirks(max_tokens_field="max_completion_tokens", temperature_max=1.0)
# `supports_sampling_params: false` in the model data of litellm 1.109.1 (2026-11-21) for the models below.
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})

_ROWS = (
    ProviderRow(
        "openai",
        "openai_chat",
        "https://api.openai.com/v1",
        key_variables=(env.OPENAI_API_KEY,),
        base_url_variable=env.OPENAI_BASE_URL,
        header_variables={"OpenAI-Organization": env.OPENAI_ORG_ID, "OpenAI-Project": env.OPENAI_PROJECT_ID},
        quirks=_OPENAI,
        model_quirks=((r"o[134](-.+)?|gpt-5(-(mini|nano|pro|codex))?(-\d{4}-\d\d-\d\d)?", _OPENAI_REASONING),),
    ),
    # https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk (2026-11-21): temperature above 1 is capped
    # there without a word, so it is refused here.
    ProviderRow(
        "anthropic",
        "openai_chat",
        "https://api.anthropic.com/v1",
        key_variables=(env.ANTHROPIC_API_KEY, env.ANTHROPIC_AUTH_TOKEN),
        base_url_variable=env.ANTHROPIC_BASE_URL,
        quirks=_ANTHROPIC,
        model_quirks=(
            (
                r"claude-(opus-4-[78]|(haiku|sonnet|opus|fable|mythos)-(5|preview))(-.+)?",
                replace(_ANTHROPIC, rejected=_SAMPLING),
            ),
        ),
    ),
    # https://ai.google.dev/gemini-api/docs/openai (2026-11-21)
    ProviderRow(
        "google",
        "openai_chat",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        key_variables=(env.GEMINI_API_KEY, env.GOOGLE_API_KEY),
        base_url_variable=env.GOOGLE_GEMINI_BASE_URL,
        read_base_url=google_base_url,
        model_quirks=((r"gemini-3\.([678]-flash|5-flash-lite)(-.+)?", Quirks(rejected=_SAMPLING)),),
    ),
    # https://docs.ollama.com/api/openai-compatibility (2026-11-21)
    ProviderRow(
        "ollama",
        "openai_chat",
        "http://127.0.0.1:11434/v1",
        base_url_variable=env.OLLAMA_HOST,
        read_base_url=ollama_base_url,
        local=True,
        hint="is Ollama running? start it with: ollama serve",
    ),
    ProviderRow(
        "llamacpp",
        "openai_chat",
        "http://127.0.0.1:8080/v1",
        # llama-server says keep-alive and closes after a stream all the same (b1-7e4c0a9, seen 2026-11-21): the next request on that
        # connection may cross the close. A new connection to one's own machine costs next to nothing.
        headers={"Connection": "close"},
        local=True,
        hint="is llama-server running? start it with: llama-server -m MODEL.gguf",
    ),
    ProviderRow(
        "lmstudio",
        "openai_chat",
        "http://127.0.0.1:1234/v1",
        local=True,
        hint="is LM Studio's server running? start it with: lms server start",
    ),
    ProviderRow(
        "vllm",
        "openai_chat",
        "http://127.0.0.1:8000/v1",
        local=True,
        hint="is vLLM running? start it with: vllm serve MODEL",
    ),
)

PROVIDERS: Final = {row.name: row for row in _ROWS}
