"""The openai SDK's client for a provider that speaks OpenAI's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit

if TYPE_CHECKING:
    import httpx2

    from llmring.providers.base import BaseLLMProvider

# The SDK insists on a key. Where the provider's goes into another header, or there is none, this one stands in and is taken out.
_NO_KEY = "none"


def make_client(provider: BaseLLMProvider) -> AsyncOpenAI:
    """An AsyncOpenAI with the provider's key, base URL and headers; retries off, as llmring owns them.

    What the SDK finds in the environment for api.openai.com (organization, project, admin key) goes to no other provider.
    """
    key = provider.api_key() if provider.row.auth == "bearer" else None
    headers: dict[str, Any] = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
    headers |= {
        name: value for name, value in provider.headers().items() if name.lower() not in {"content-type", "user-agent"}
    }
    if not any(name.lower() == "authorization" for name in headers):
        headers["Authorization"] = f"Bearer {_NO_KEY}"
    return AsyncOpenAI(
        api_key=key.reveal() if key is not None else _NO_KEY,
        admin_api_key=None if provider.name == "openai" else _NO_KEY,
        base_url=provider.base_url,
        max_retries=0,
        default_headers=headers,
        # A redirect is not followed: a key in a header of its own would travel with it.
        http_client=DefaultAsyncHttpxClient(follow_redirects=False, event_hooks={"request": [_drop_placeholder]}),
    )


async def _drop_placeholder(request: httpx2.Request) -> None:
    if request.headers.get("Authorization") == f"Bearer {_NO_KEY}":
        del request.headers["Authorization"]
