"""The ollama package's client, for Ollama's own dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ollama import AsyncClient

from llmring.providers.control.base import NO_KEY, SDKClient, authorize, own_headers

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider


def make_client(provider: BaseLLMProvider) -> SDKClient:
    """An ollama.AsyncClient with the provider's host and headers. The package makes one attempt; there are no retries to turn off.

    OLLAMA_API_KEY, which it would send to any host, is left out.
    """
    headers = own_headers(provider)
    if not any(name.lower() == "authorization" for name in headers):
        headers["Authorization"] = f"Bearer {NO_KEY}"
    host = provider.base_url.removesuffix("/v1").removesuffix("/api")
    client = AsyncClient(
        host=host, headers=headers, follow_redirects=False, event_hooks={"request": [authorize(provider)]}
    )
    return SDKClient(client, client.close)
