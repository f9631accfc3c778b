"""The anthropic SDK's clients: AsyncAnthropic, and those for Claude on Vertex and on Bedrock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient, Omit
from anthropic.lib.bedrock import AsyncAnthropicBedrockMantle
from anthropic.lib.vertex import AsyncAnthropicVertex

from llmring import env
from llmring.providers.control.base import NO_KEY, SDKClient, authorize, foreign_headers, own_headers
from llmring.providers.control.vertex import VertexPlace

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider


def make_client(provider: BaseLLMProvider) -> SDKClient:
    """The client for where the provider is: its base URL, key and headers; retries and the SDK's own tracing off.

    Nothing that the SDK finds in the environment (profiles, federation, headers) is used: llmring's calls know nothing of it.
    """
    settings: dict[str, Any] = {
        "max_retries": 0,
        "open_telemetry": False,
        "default_headers": dict.fromkeys(foreign_headers(env.ANTHROPIC_CUSTOM_HEADERS), Omit()) | own_headers(provider),
        # A redirect is not followed: a key in a header of its own would travel with it.
        "http_client": DefaultAsyncHttpxClient(follow_redirects=False, event_hooks={"request": [authorize(provider)]}),
    }
    base_url = provider.base_url.removesuffix("/v1")
    if provider.row.quirks.envelope == "vertex":
        place = VertexPlace.read(provider)
        client: Any = AsyncAnthropicVertex(
            region=place.location,
            project_id=place.project,
            access_token=NO_KEY,
            base_url=f"{place.url}/{place.version}",
            **settings,
        )
    elif provider.row.auth == "aws_bedrock_mantle":
        # Whatever authenticates is in the headers, or is put there by the hook.
        client = AsyncAnthropicBedrockMantle(skip_auth=True, base_url=base_url, **settings)
    else:
        client = _plain(provider, base_url, settings)
    return SDKClient(client, client.close)


def _plain(provider: BaseLLMProvider, base_url: str, settings: dict[str, Any]) -> AsyncAnthropic:
    key = provider.api_key()
    headers: dict[str, Any] = settings["default_headers"]
    bearer = next((value for name, value in headers.items() if name.lower() == "authorization"), None)
    if key is not None and bearer == f"Bearer {key.reveal()}":
        return AsyncAnthropic(auth_token=key.reveal(), base_url=base_url, **settings)
    if key is not None and provider.name == "anthropic":
        # The SDK puts a key into a header of its own choice; sent twice, it might be refused.
        settings["default_headers"] = {
            name: value for name, value in headers.items() if name.lower() != "x-api-key" or isinstance(value, Omit)
        }
        return AsyncAnthropic(api_key=key.reveal(), base_url=base_url, **settings)
    return AsyncAnthropic(api_key=NO_KEY, base_url=base_url, **settings)
