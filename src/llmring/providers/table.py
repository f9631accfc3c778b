"""The providers that llmring knows, a row each. A row names a dialect; nothing here knows what that dialect looks like."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from llmring import env
from llmring.providers import anthropic, file_rules, google
from llmring.providers.base import ProviderRow, google_base_url, normalize_base_url, ollama_base_url
from llmring.providers.clouds import CLOUD_ROWS
from llmring.providers.compatible import COMPATIBLE_ROWS
from llmring.providers.endpoints import azure_base_url, no_azure_endpoint
from llmring.providers.openai import OPENAI, OPENAI_MODELS, RESPONSES_ONLY
from llmring.wire.base import Quirks
from llmring.wire.table import DIALECTS

_OLLAMA = Quirks(image_urls=False)

_ROWS = (
    ProviderRow(
        "openai",
        "openai_chat",
        "https://api.openai.com/v1",
        key_variables=(env.OPENAI_API_KEY,),
        base_url_variable=env.OPENAI_BASE_URL,
        header_variables={"OpenAI-Organization": env.OPENAI_ORG_ID, "OpenAI-Project": env.OPENAI_PROJECT_ID},
        files=file_rules.OPENAI,
        quirks=OPENAI,
        model_quirks=OPENAI_MODELS,
        responses=True,
        responses_only=RESPONSES_ONLY,
    ),
    # The model is the deployment's name; what is known of models holds where a deployment is called as its model is.
    ProviderRow(
        "azure",
        "openai_chat",
        "",
        key_variables=(env.AZURE_OPENAI_API_KEY, env.AZURE_OPENAI_AD_TOKEN),
        auth="header:api-key",
        key_auth={env.AZURE_OPENAI_AD_TOKEN: "bearer"},
        base_url_variable=env.AZURE_OPENAI_ENDPOINT,
        read_base_url=azure_base_url,
        find_base_url=no_azure_endpoint,
        quirks=OPENAI,
        model_quirks=OPENAI_MODELS,
        responses=True,
        responses_only=RESPONSES_ONLY,
    ),
    # https://platform.claude.com/docs/en/api/overview#authentication (2026-11-21)
    ProviderRow(
        "anthropic",
        "anthropic_messages",
        "https://api.anthropic.com/v1",
        key_variables=(env.ANTHROPIC_API_KEY, env.ANTHROPIC_AUTH_TOKEN),
        auth="header:x-api-key",
        key_auth={env.ANTHROPIC_AUTH_TOKEN: "bearer"},
        base_url_variable=env.ANTHROPIC_BASE_URL,
        files=file_rules.ANTHROPIC,
        quirks=anthropic.QUIRKS,
        model_quirks=anthropic.MODEL_QUIRKS,
    ),
    # https://ai.google.dev/gemini-api/docs/api-key (2026-11-21)
    ProviderRow(
        "google",
        "gemini_generate",
        "https://generativelanguage.googleapis.com/v1beta",
        key_variables=(env.GEMINI_API_KEY, env.GOOGLE_API_KEY),
        auth="header:x-goog-api-key",
        base_url_variable=env.GOOGLE_GEMINI_BASE_URL,
        read_base_url=google_base_url,
        files=file_rules.GOOGLE,
        quirks=google.QUIRKS,
        model_quirks=google.MODEL_QUIRKS,
    ),
    # https://docs.cohere.com/reference/embed (2026-11-21): embeddings and rankings; no chat in this dialect. Cohere's own SDK (7.3.1)
    # reads CO_API_KEY. Only embed-v4 and newer can be asked for a length.
    ProviderRow(
        "cohere",
        "cohere_embed",
        "https://api.cohere.com/v2",
        key_variables=(env.CO_API_KEY, env.COHERE_API_KEY),
        read_base_url=partial(normalize_base_url, version_path="/v2"),
        model_quirks=((r"embed-[a-z-]+-v[23]\.\d", Quirks(embedding_dimensions=False)),),
    ),
    # https://docs.ollama.com/api and https://docs.ollama.com/capabilities/vision (2026-11-21): images by their bytes alone.
    ProviderRow(
        "ollama",
        "ollama_chat",
        "http://127.0.0.1:11434/api",
        base_url_variable=env.OLLAMA_HOST,
        read_base_url=ollama_base_url,
        local=True,
        quirks=_OLLAMA,
        # https://docs.ollama.com/capabilities/thinking (2026-11-21): three levels, and no way to turn it off.
        model_quirks=((r"gpt-oss([:-].+)?", replace(_OLLAMA, efforts=("low", "medium", "high"))),),
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
    # https://lmstudio.ai/docs/developer/openai-compat (2026-11-21)
    ProviderRow(
        "lmstudio",
        "openai_chat",
        "http://localhost:1234/v1",
        placeholder_key="lm-studio",
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

# Those whose dialect is there.
PROVIDERS: Final = {row.name: row for row in (*_ROWS, *COMPATIBLE_ROWS, *CLOUD_ROWS) if row.dialect in DIALECTS}
