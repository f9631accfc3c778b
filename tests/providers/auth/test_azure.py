"""Azure OpenAI: a key, an Entra token, or a function that gives one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

from llmring import (
    ConfigurationError,
    DeadlineExceededError,
    LLMRequest,
    LLMRing,
    MissingCredentialError,
    ProviderAuthenticationError,
    env,
)
from llmring.providers.base import BaseLLMProvider
from llmring.providers.declared import Trust, declare
from llmring.providers.table import PROVIDERS
from llmring.secret import Scrubber
from llmring.testing import FakeClock, FakeProvider, Fault, Received

CREDENTIALS = ("authorization", "api-key")


def frames_below(caught: pytest.ExceptionInfo[BaseException]) -> str:
    """The error with the local variables of every frame but the test's own, as error reporters send it."""
    return "".join(TracebackException(caught.type, caught.value, caught.tb.tb_next, capture_locals=True).format())


def credentials(received: Received) -> dict[str, str]:
    return {name: value for name, value in received.headers.items() if name in CREDENTIALS}


@pytest.mark.spec("U22")
@pytest.mark.parametrize("way", ["key", "token", "token_provider"])
async def test_what_is_sent_is_what_the_sdks_send(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    async def provide() -> str:
        return "entra-token-0123"

    credential: dict[str, Any] = {
        "key": {"api_key": "azure-key-0123"},
        "token": {"azure_ad_token": "entra-token-0123"},
        "token_provider": {"azure_ad_token_provider": provide},
    }[way]
    azure = AsyncAzureOpenAI(base_url=f"{fake_provider.url}/openai/v1", api_version="v1", max_retries=0, **credential)
    # The one for its credentials, the other, which the v1 API is called with, for its path.
    plain = AsyncOpenAI(api_key="k", base_url=f"{fake_provider.url}/openai/v1", max_retries=0)
    for client in (azure, plain):
        async with client:
            await client.chat.completions.create(model="my-deployment", messages=[{"role": "user", "content": "Hi"}])
    if way == "key":
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-0123")
    if way == "token":
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "entra-token-0123")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", fake_provider.url)
    options = {"token_provider": provide} if way == "token_provider" else {}
    async with LLMRing(providers={"azure": options}) as ring:
        await ring.chat("azure:my-deployment", "Hi")
    azures, theirs, ours = fake_provider.received
    assert credentials(ours) == credentials(azures) != {}
    assert ours.path == theirs.path == "/openai/v1/chat/completions"
    assert ours.query == "", "the v1 API wants no api-version"
    assert ours.body["model"] == theirs.body["model"] == "my-deployment"


@pytest.mark.spec("U22", "U05")
@pytest.mark.parametrize("way", ["key", "token_provider"])
async def test_the_client_sends_the_same_credential(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, way: str
) -> None:
    options = {"api_key": "azure-key-0123"} if way == "key" else {"token_provider": lambda: "entra-token-0123"}
    ring = cloud_ring("azure", options)
    client = ring.get_provider("azure").client
    assert isinstance(client, AsyncOpenAI)
    await client.chat.completions.create(model="d", messages=[{"role": "user", "content": "Hi"}])
    await ring.chat("azure:d", "Hi")
    theirs, ours = fake_provider.received
    assert credentials(theirs) == credentials(ours) != {}


@pytest.mark.spec("U22")
def test_the_key_wins_over_the_token() -> None:
    environ = {"AZURE_OPENAI_API_KEY": "azure-key", "AZURE_OPENAI_AD_TOKEN": "entra-token"}
    headers = BaseLLMProvider(PROVIDERS["azure"], environ=environ, scrubber=Scrubber()).headers()
    assert headers["api-key"] == "azure-key"
    assert "Authorization" not in headers


@pytest.mark.spec("U22")
@pytest.mark.parametrize(
    "endpoint",
    [
        "https://me.openai.azure.com",
        "https://me.openai.azure.com/",
        "https://me.openai.azure.com/openai",
        "https://me.openai.azure.com/openai/v1/",
    ],
)
def test_the_endpoint_names_the_resource(endpoint: str) -> None:
    environ = {"AZURE_OPENAI_ENDPOINT": endpoint}
    provider = BaseLLMProvider(PROVIDERS["azure"], environ=environ, scrubber=Scrubber())
    assert provider.base_url == "https://me.openai.azure.com/openai/v1"


@pytest.mark.spec("U22")
def test_an_endpoint_that_is_not_set_is_named_and_passes_the_provider_over() -> None:
    environ = {"AZURE_OPENAI_API_KEY": "azure-key"}
    provider = BaseLLMProvider(PROVIDERS["azure"], environ=environ, scrubber=Scrubber())
    with pytest.raises(MissingCredentialError, match="AZURE_OPENAI_ENDPOINT is not set"):
        _ = provider.base_url
    assert not provider.has_credential()
    assert "no base URL" in repr(provider)


@pytest.mark.spec("U22")
async def test_the_token_is_asked_for_at_every_call_and_off_the_event_loops_thread(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    threads: list[int] = []

    def provide() -> str:
        threads.append(threading.get_ident())
        return f"entra-token-number-{len(threads)}"

    ring = cloud_ring("azure", {"token_provider": provide})
    for _ in range(2):
        await ring.chat("azure:d", "Hi")
    assert [credentials(received) for received in fake_provider.received] == [
        {"authorization": "Bearer entra-token-number-1"},
        {"authorization": "Bearer entra-token-number-2"},
    ]
    assert threading.get_ident() not in threads


@pytest.mark.spec("U22")
async def test_a_token_that_a_server_quotes_is_hidden(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(401, "no such token: entra-token-0123"))
    with pytest.raises(ProviderAuthenticationError, match=r"no such token: \*\*\*"):
        await cloud_ring("azure", {"token_provider": lambda: "entra-token-0123"}).chat("azure:d", "Hi")


def raises() -> str:
    raise RuntimeError("tenant secret")


@pytest.mark.spec("U22")
@pytest.mark.parametrize(
    ("provide", "says"),
    [
        (raises, "token_provider of provider azure raised RuntimeError"),
        (lambda: None, "gave no token but NoneType"),
        (lambda: " ", "gave no token but str"),
        (lambda: "a\r\nX-Evil: 1", "characters that no header may hold"),
    ],
)
async def test_a_token_provider_that_fails_is_named_and_nothing_is_sent(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, provide: Callable[[], Any], says: str
) -> None:
    with pytest.raises(ProviderAuthenticationError, match=says) as caught:
        await cloud_ring("azure", {"token_provider": provide}).chat("azure:d", "Hi")
    assert "secret" not in str(caught.value)
    assert not fake_provider.received


@pytest.mark.spec("U22", "Z02")
@pytest.mark.parametrize("given", [b"entra-token-0123", ("entra-token-0123", 1795276800)])
async def test_a_token_of_another_type_is_refused_and_no_frame_of_the_error_shows_it(
    cloud_ring: Callable[..., LLMRing], given: Any
) -> None:
    with pytest.raises(ProviderAuthenticationError, match=f"no token but {type(given).__name__}") as caught:
        await cloud_ring("azure", {"token_provider": lambda: given}).chat("azure:d", "Hi")
    frames = frames_below(caught)
    assert "in chat" in frames
    assert "entra-token-0123" not in frames


@pytest.mark.spec("U22", "Z02")
async def test_where_there_is_no_endpoint_no_frame_of_the_error_shows_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-0123456789")
    async with LLMRing() as ring:
        with pytest.raises(MissingCredentialError, match="AZURE_OPENAI_ENDPOINT") as caught:
            await ring.chat("azure:d", "Hi")
    frames = frames_below(caught)
    assert "in chat" in frames
    assert "azure-key-0123456789" not in frames


@pytest.mark.spec("U22", "U42")
async def test_the_deadline_runs_while_a_token_is_waited_for(cloud_ring: Callable[..., LLMRing]) -> None:
    asked = asyncio.Event()

    async def provide() -> str:
        asked.set()
        await asyncio.Event().wait()
        return ""

    clock = FakeClock()
    ring = cloud_ring("azure", {"token_provider": provide}, clock=clock)
    call = asyncio.create_task(ring.chat(LLMRequest(model="azure:d", messages="Hi", deadline=5)))
    await asked.wait()
    clock.advance(6)
    with pytest.raises(DeadlineExceededError):
        await call


@pytest.mark.spec("Z02")
def test_an_endpoint_from_dotenv_gets_no_key_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("AZURE_OPENAI_ENDPOINT=https://evil.example\n")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "the-users-key")
    provider = BaseLLMProvider(PROVIDERS["azure"], environ=env.load(), scrubber=Scrubber())
    with pytest.raises(MissingCredentialError, match="AZURE_OPENAI_ENDPOINT"):
        _ = provider.base_url
    monkeypatch.delenv("AZURE_OPENAI_API_KEY")
    given = BaseLLMProvider(
        PROVIDERS["azure"], environ=env.load(), scrubber=Scrubber(), token_provider=lambda: "the-users-token"
    )
    with pytest.raises(MissingCredentialError, match="AZURE_OPENAI_ENDPOINT"):
        _ = given.base_url


@pytest.mark.spec("A37")
def test_a_key_and_a_token_provider_are_not_both_taken() -> None:
    with pytest.raises(ConfigurationError, match="api_key and token_provider"):
        declare("azure", {"api_key": "k", "token_provider": lambda: "t"}, Trust.CODE)


@pytest.mark.spec("Z02")
@pytest.mark.parametrize("recipe", ["aws_bedrock", "google_adc"])
@pytest.mark.parametrize("trust", list(Trust))
def test_no_declaration_takes_a_clouds_recipe_to_a_host_of_its_own(recipe: str, trust: Trust) -> None:
    with pytest.raises(ConfigurationError, match="auth is"):
        declare("mine", {"base_url": "https://evil.example", "auth": recipe}, trust)


@pytest.mark.spec("Z02")
@pytest.mark.parametrize("name", ["azure", "bedrock", "bedrock_anthropic", "vertex_anthropic"])
def test_a_repository_cannot_redefine_a_cloud_or_be_like_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match="may not redefine"):
        declare(name, {"base_url": "https://evil.example"}, Trust.REPOSITORY)
    with pytest.raises(ConfigurationError, match="like is for code"):
        declare("mine", {"base_url": "https://evil.example", "like": name}, Trust.REPOSITORY)
