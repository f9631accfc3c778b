"""The google-genai SDK's client, for the Gemini API and for Gemini on Vertex AI. What is async hangs below its `.aio`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
from google.genai import Client
from google.genai.types import HttpOptions, HttpRetryOptions

from llmring.providers.control.base import NO_KEY, SDKClient, authorize, own_headers
from llmring.providers.control.vertex import VertexPlace

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider

_VERSIONED = re.compile(r"(.+)/(v\d+[a-z0-9]*)(?:/openai)?", re.ASCII)
# The SDK's own default is none at all. Uploads and long answers fit; llmring's own calls have finer clocks.
_TIMEOUT_S = 600.0


def make_client(provider: BaseLLMProvider) -> SDKClient:
    """A google.genai.Client with the provider's key, base URL and headers; retries off. Async calls: `client.aio`.

    On Vertex AI, google-auth signs in by itself, with the same credentials as llmring's calls.
    """
    key = provider.api_key()
    # The SDK puts the key into a header by itself.
    headers = {
        name: value for name, value in own_headers(provider).items() if key is None or key.reveal() not in str(value)
    }
    # HTTP clients of ours: the SDK's follow redirects, and a key in a header of its own would travel with them.
    hooks: dict[str, list[Any]] = {"request": [authorize(provider)]} if provider.signer is None else {}
    http = httpx.AsyncClient(follow_redirects=False, timeout=_TIMEOUT_S, event_hooks=hooks)
    blocking = httpx.Client(follow_redirects=False, timeout=_TIMEOUT_S)
    options = HttpOptions(
        headers=headers,
        httpx_client=blocking,
        httpx_async_client=http,
        # Without this the SDK retries a broken connection after up to ten seconds.
        retry_options=HttpRetryOptions(attempts=1),
    )
    if provider.row.auth == "google_adc":
        place = VertexPlace.read(provider)
        options.base_url, options.api_version = place.url, place.version
        client = Client(vertexai=True, project=place.project, location=place.location, http_options=options)
    else:
        found = _VERSIONED.fullmatch(provider.base_url)
        options.base_url, options.api_version = found.groups() if found else (provider.base_url, "")
        client = Client(vertexai=False, api_key=NO_KEY if key is None else key.reveal(), http_options=options)

    async def close() -> None:
        await client.aio.aclose()
        client.close()
        # The SDK leaves open what it was given.
        await http.aclose()
        blocking.close()  # noqa: ASYNC212 - its idle sockets, nothing that waits

    return SDKClient(client, close)
