"""The openai SDK's client for a provider that speaks OpenAI's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openai import AsyncOpenAI

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider


def make_client(provider: BaseLLMProvider) -> AsyncOpenAI:
    """An AsyncOpenAI with the provider's key, base URL and headers; retries off, as llmring owns them."""
    key = provider.api_key()
    # The SDK wants some key even where the server wants none.
    return AsyncOpenAI(
        api_key=key.reveal() if key is not None else "none",
        base_url=provider.base_url,
        max_retries=0,
        default_headers={
            name: value
            for name, value in provider.headers().items()
            if name.lower() not in {"authorization", "content-type", "user-agent"}
        },
    )
