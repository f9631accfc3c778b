"""The openai SDK's client for a provider that speaks one of OpenAI's dialects, OpenAI's own or in a cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit

from llmring import env
from llmring.providers.control.base import NO_KEY, SDKClient, authorize, foreign_headers, own_headers

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider


def make_client(provider: BaseLLMProvider) -> SDKClient:
    """An AsyncOpenAI with the provider's key, base URL and headers; retries off, as llmring owns them.

    What the SDK finds in the environment for api.openai.com (organization, project, admin key, headers) goes to no other provider.
    """
    omitted = ("OpenAI-Organization", "OpenAI-Project", *foreign_headers(env.OPENAI_CUSTOM_HEADERS))
    # An authorization among them gives way to the one below by itself; left out a second time, the SDK stumbles over it.
    foreign = {name: Omit() for name in omitted if name.lower() != "authorization"}
    headers: dict[str, Any] = foreign | own_headers(provider)
    bearer = next((value for name, value in headers.items() if name.lower() == "authorization"), None)
    key = provider.api_key()
    if bearer is None:
        headers["Authorization"] = f"Bearer {NO_KEY}"
    client = AsyncOpenAI(
        api_key=key.reveal() if key is not None and bearer == f"Bearer {key.reveal()}" else NO_KEY,
        admin_api_key=None if provider.name == "openai" else NO_KEY,
        base_url=provider.base_url,
        max_retries=0,
        default_headers=headers,
        # A redirect is not followed: a key in a header of its own would travel with it.
        http_client=DefaultAsyncHttpxClient(follow_redirects=False, event_hooks={"request": [authorize(provider)]}),
    )
    return SDKClient(client, client.close)
