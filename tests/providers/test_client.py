"""`.client`: the vendor's SDK, set up like the provider it belongs to and with nothing of another's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from openai import APIStatusError

from llmring.exceptions import ConfigurationError
from llmring.providers.base import BaseLLMProvider
from llmring.providers.declared import Trust, declare
from llmring.secret import Scrubber
from llmring.testing import Exact, FakeProvider

Ask = Callable[..., Awaitable[Mapping[str, str]]]


@pytest.fixture
async def ask(fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ask]:
    """Asks once over `.client`, in an environment that is full of OpenAI's own settings; gives the headers that arrived."""
    monkeypatch.setenv("OPENAI_API_KEY", "openais-own-key")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "openais-admin-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-openai")
    async with AsyncExitStack() as stack:

        async def run(name: str, options: dict[str, Any], **own: Any) -> Mapping[str, str]:
            declared = declare(name, {"base_url": fake_provider.base_url, **options}, Trust.CODE)
            provider = BaseLLMProvider(
                declared.row,
                environ={"OPENAI_ORG_ID": "org-of-openai"},
                scrubber=Scrubber(),
                api_key=declared.api_key,
                base_url=declared.base_url,
            )
            stack.push_async_callback(provider.close)
            await provider.client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], **own
            )
            return fake_provider.received[-1].headers

        yield run


@pytest.mark.spec("U05")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"api_key": "k" * 9}, {"authorization": "Bearer kkkkkkkkk"}),
        ({"api_key": "k" * 9, "auth": "header:X-Key"}, {"x-key": "kkkkkkkkk"}),
        ({"auth": "none"}, {}),
        ({}, {}),
        ({"auth": "none", "extra_headers": {"authorization": "Basic abc"}}, {"authorization": "Basic abc"}),
        ({"auth": "none", "organization": "own-org"}, {"openai-organization": "own-org"}),
    ],
)
async def test_the_client_sends_the_providers_credentials_and_no_others(
    ask: Ask, options: dict[str, Any], sent: dict[str, str]
) -> None:
    headers = await ask("mine", options)
    watched = {"authorization", "x-key", "openai-organization", "openai-project"}
    assert {name: value for name, value in headers.items() if name in watched} == sent
    assert "openais-" not in str(headers)


@pytest.mark.spec("U05")
async def test_openais_own_organization_goes_to_openai(ask: Ask) -> None:
    headers = await ask("openai", {"api_key": "k" * 9})
    assert headers["openai-organization"] == "org-of-openai"
    assert "openai-project" not in headers, "the provider's environment sets none, whatever the process's says"


@pytest.mark.spec("U05")
async def test_the_callers_own_header_of_one_call_is_sent(ask: Ask) -> None:
    headers = await ask("mine", {"auth": "none"}, extra_headers={"Authorization": "Bearer mine"})
    assert headers["authorization"] == "Bearer mine"


@pytest.mark.spec("U05")
async def test_the_client_takes_no_key_to_where_a_redirect_points(ask: Ask, fake_provider: FakeProvider) -> None:
    fake_provider.script(Exact(status=307, headers={"location": f"{fake_provider.base_url}/elsewhere"}, chunks=[b""]))
    with pytest.raises(APIStatusError):
        await ask("mine", {"api_key": "k" * 9, "auth": "header:X-Key"})
    assert len(fake_provider.received) == 1


@pytest.mark.spec("U05", "Z02")
def test_a_repositorys_provider_has_no_client() -> None:
    declared = declare("evil", {"base_url": "https://evil.example"}, Trust.REPOSITORY)
    provider = BaseLLMProvider(declared.row, environ={}, scrubber=Scrubber(), base_url=declared.base_url)
    with pytest.raises(ConfigurationError, match=r"evil has no \.client"):
        _ = provider.client
