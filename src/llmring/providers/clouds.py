"""Models in somebody's cloud: rows whose base URL and credentials come from the cloud's own settings. docs/cloud-providers.md"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llmring import env
from llmring.providers import anthropic, google
from llmring.providers.base import ProviderRow
from llmring.providers.endpoints import (
    bedrock_anthropic_base_url,
    bedrock_base_url,
    read_bedrock_anthropic_url,
    read_bedrock_url,
    vertex_anthropic_base_url,
    vertex_base_url,
)
from llmring.wire.base import Quirks

CLOUD_ROWS: Final = (
    # Gemini on Vertex AI: https://docs.cloud.google.com/gemini-enterprise-agent-platform/resources/locations (2026-11-21)
    ProviderRow(
        "vertex",
        "gemini_generate",
        "",
        auth="google_adc",
        find_base_url=vertex_base_url,
        quirks=google.VERTEX_QUIRKS,
        model_quirks=google.VERTEX_MODEL_QUIRKS,
    ),
    ProviderRow(
        "vertex_anthropic",
        "anthropic_messages",
        "",
        auth="google_adc",
        find_base_url=vertex_anthropic_base_url,
        # Strict tools need a policy that is off by default, so nobody gets them unasked:
        # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/structured_outputs (2026-11-21)
        quirks=replace(anthropic.QUIRKS, envelope="vertex", strict_tools=False),
        model_quirks=tuple(
            (pattern, replace(quirks, envelope="vertex", strict_tools=False))
            for pattern, quirks in anthropic.MODEL_QUIRKS
        ),
    ),
    # A Bedrock API key is a bearer token: https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html (2026-11-21)
    ProviderRow(
        "bedrock",
        "openai_chat",
        "",
        key_variables=(env.AWS_BEARER_TOKEN_BEDROCK,),
        auth="aws_bedrock",
        read_base_url=read_bedrock_url,
        find_base_url=bedrock_base_url,
        quirks=Quirks(max_tokens_field="max_completion_tokens"),
    ),
    ProviderRow(
        "bedrock_anthropic",
        "anthropic_messages",
        "",
        key_variables=(env.AWS_BEARER_TOKEN_BEDROCK,),
        auth="aws_bedrock_mantle",
        read_base_url=read_bedrock_anthropic_url,
        find_base_url=bedrock_anthropic_base_url,
        quirks=anthropic.QUIRKS,
        model_quirks=anthropic.MODEL_QUIRKS,
    ),
)
