"""Providers without a ring: five lines, no lockfile, one attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from llmring import (
    AnthropicProvider,
    BaseLLMProvider,
    ConfigurationError,
    GoogleProvider,
    Image,
    LLMRequest,
    LLMRing,
    Message,
    MissingCredentialError,
    NotSupportedError,
    OllamaProvider,
    OpenAIProvider,
    ProviderOptions,
    ProviderRateLimitError,
    RequestOptions,
    ServiceClosedError,
    StreamEventType,
    UnsafeURLError,
)
from llmring.providers.base import ProviderRow
from llmring.secret import Scrubber
from llmring.standalone import StandaloneProvider
from llmring.testing import Answer, FakeProvider, Fault
from llmring.testing.replies import make_vector

KEY = "sk-standalone-0123456789"

Vendor = Callable[..., StandaloneProvider]
VENDORS: tuple[Vendor, ...] = (OpenAIProvider, AnthropicProvider, GoogleProvider, OllamaProvider)
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.__name__)


@pytest.fixture
async def provider(fake_provider: FakeProvider) -> AsyncIterator[StandaloneProvider]:
    options = ProviderOptions(dialect="openai_chat", base_url=fake_provider.base_url, api_key=KEY)
    async with StandaloneProvider("openai", options, model="gpt-5-nano") as provider:
        yield provider


@pytest.mark.spec("A35")
@every_vendor
async def test_five_lines_ask_a_vendor_without_a_lockfile(
    fake_provider: FakeProvider, vendor: Vendor, clean_environment: Path
) -> None:
    (clean_environment / "llmring.lock").write_text("this is no lockfile")
    async with vendor(model="some-model", api_key=KEY, base_url=fake_provider.base_url) as provider:
        response = await provider.chat("Hello, world!")
    assert response.content == "Hello from the fake provider."
    assert response.usage.total_tokens == 7
    assert response.finish_reason == "stop"
    received = fake_provider.received[0]
    assert received.model == "some-model"
    assert KEY in " ".join(received.headers.values()) + received.query
    assert response.called_model == f"{provider.name}:some-model"
    assert (response.alias, response.profile, response.cost) == (None, None, None)


@pytest.mark.spec("A35")
@every_vendor
async def test_a_stream_gives_tokens_and_ends_with_done(fake_provider: FakeProvider, vendor: Vendor) -> None:
    async with vendor("some-model", api_key=KEY, base_url=fake_provider.base_url) as provider:
        chunks = [chunk async for chunk in provider.chat_stream("Write a haiku about coding")]
    assert "".join(chunk.delta for chunk in chunks) == "Hello from the fake provider."
    assert chunks[-1].type is StreamEventType.DONE
    assert chunks[-1].data.usage.total_tokens == 10


@pytest.mark.spec("A35")
async def test_a_request_names_its_own_model_with_or_without_the_provider(
    provider: StandaloneProvider, fake_provider: FakeProvider
) -> None:
    await provider.chat(LLMRequest(model="other", messages="Hi", temperature=0.5))
    await provider.chat(LLMRequest(model="openai:other", messages="Hi"))
    await provider.chat([{"role": "user", "content": "Hi"}])
    assert [received.model for received in fake_provider.received] == ["other", "other", "gpt-5-nano"]
    assert fake_provider.received[0].body["temperature"] == 0.5


@pytest.mark.spec("A35")
async def test_without_any_model_the_error_says_where_to_name_one(fake_provider: FakeProvider) -> None:
    async with OpenAIProvider(api_key=KEY, base_url=fake_provider.base_url) as provider:
        with pytest.raises(ConfigurationError, match=r"no model: provider openai.*model=…"):
            await provider.chat("Hi")
        with pytest.raises(ConfigurationError, match="no model"):
            provider.chat_stream("Hi")
        with pytest.raises(ConfigurationError, match="no model"):
            await provider.embed("Hi")
    assert fake_provider.received == []


@pytest.mark.spec("A35", "A18")
async def test_a_failure_is_typed_and_not_tried_again(
    provider: StandaloneProvider, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(429, f"slow down, {KEY}", headers={"retry-after": "1"}), Answer())
    with pytest.raises(ProviderRateLimitError) as caught:
        await provider.chat("Hi")
    assert len(fake_provider.received) == 1
    assert (caught.value.provider, caught.value.model, caught.value.retry_after_s) == ("openai", "gpt-5-nano", 1.0)
    assert KEY not in str(caught.value)


@pytest.mark.spec("A35")
async def test_a_missing_key_is_told_before_any_request() -> None:
    async with OpenAIProvider("gpt-5-nano") as provider:
        with pytest.raises(MissingCredentialError, match="OPENAI_API_KEY"):
            await provider.chat("Hi")


@pytest.mark.spec("A35")
async def test_the_key_is_read_from_the_environment_at_call_time(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OpenAIProvider("gpt-5-nano", base_url=fake_provider.base_url) as provider:
        for key in ("first-key-0123456789", "second-key-0123456789"):
            monkeypatch.setenv("OPENAI_API_KEY", key)
            await provider.chat("Hi")
    sent = [received.headers["authorization"] for received in fake_provider.received]
    assert sent == ["Bearer first-key-0123456789", "Bearer second-key-0123456789"]


@pytest.mark.spec("A37")
async def test_two_keys_and_an_organization_live_side_by_side(fake_provider: FakeProvider) -> None:
    one = OpenAIProvider("m", api_key="key-one-0123456789", base_url=fake_provider.base_url, organization="org-1")
    two = OpenAIProvider("m", api_key="key-two-0123456789", base_url=fake_provider.base_url)
    async with one, two:
        await one.chat("Hi")
        await two.chat("Hi")
    first, second = (received.headers for received in fake_provider.received)
    assert (first["authorization"], first["openai-organization"]) == ("Bearer key-one-0123456789", "org-1")
    assert second["authorization"] == "Bearer key-two-0123456789"
    assert "openai-organization" not in second


@pytest.mark.spec("A37")
async def test_anthropics_own_defaults_lie_under_a_request(fake_provider: FakeProvider) -> None:
    provider = AnthropicProvider(
        "claude-x", api_key=KEY, base_url=fake_provider.base_url, max_tokens=4096, default_temperature=0.25
    )
    async with provider:
        await provider.chat("Hi")
        await provider.chat(LLMRequest(model="claude-x", messages="Hi", max_tokens=9, temperature=0.5))
    bodies = [received.body for received in fake_provider.received]
    caps = [[value for name, value in body.items() if name.startswith("max_")] for body in bodies]
    assert caps == [[4096], [9]]
    assert [body["temperature"] for body in bodies] == [0.25, 0.5]


@pytest.mark.spec("A35")
async def test_defaults_lie_under_a_request(fake_provider: FakeProvider) -> None:
    defaults = RequestOptions(seed=1, extra_params={"logit_bias": {"1": 2}})
    options = ProviderOptions(base_url=fake_provider.base_url, api_key=KEY, dialect="openai_chat")
    async with StandaloneProvider("openai", options, model="m", defaults=defaults) as provider:
        await provider.chat(LLMRequest(model="m", messages="Hi", seed=2))
    body = fake_provider.received[0].body
    assert (body["seed"], body["logit_bias"]) == (2, {"1": 2})


@pytest.mark.spec("A35", "M04")
async def test_embeddings_come_from_the_providers_own_model_or_the_one_that_is_named(
    fake_provider: FakeProvider,
) -> None:
    options = ProviderOptions(base_url=fake_provider.base_url, api_key=KEY)
    async with StandaloneProvider("cohere", options, model="embed-v4.0") as provider:
        response = await provider.embed(["one", "two"])
        await provider.embed("one", model="other")
        with pytest.raises(NotSupportedError):
            await provider.chat("Hi")
    assert response.embeddings == [make_vector("one", 8), make_vector("two", 8)]
    assert [received.model for received in fake_provider.received] == ["embed-v4.0", "other"]


@pytest.mark.spec("F08", "RT17")
async def test_a_url_that_leads_into_the_own_network_is_not_fetched_for_a_provider_alone(
    fake_provider: FakeProvider,
) -> None:
    async with OllamaProvider("m", base_url=fake_provider.base_url) as provider:
        with pytest.raises(UnsafeURLError):
            await provider.chat([Message.user([Image(f"{fake_provider.url}/cat.png")])])
    assert fake_provider.received == []


@pytest.mark.spec("A35")
async def test_a_closed_provider_says_so_and_can_be_closed_again(fake_provider: FakeProvider) -> None:
    provider = OpenAIProvider("m", api_key=KEY, base_url=fake_provider.base_url)
    await provider.chat("Hi")
    await provider.close()
    await provider.close()
    with pytest.raises(ServiceClosedError, match="OpenAIProvider is closed"):
        await provider.chat("Hi")
    await fake_provider.wait_disconnected()


@pytest.mark.spec("A35", "A18")
async def test_a_rings_provider_is_asked_alone_with_the_rings_defaults(fake_provider: FakeProvider) -> None:
    options = ProviderOptions(base_url=fake_provider.base_url, api_key=KEY)
    async with LLMRing(providers={"mine": options}, defaults=RequestOptions(temperature=0.25)) as ring:
        provider = ring.get_provider("mine")
        response = await provider.chat(LLMRequest(model="m", messages="Hi"))
        assert (response.called_model, response.profile) == ("mine:m", None)
        chunks = [chunk async for chunk in provider.chat_stream(LLMRequest(model="m", messages="Hi"))]
        assert chunks[-1].data.content == response.content
    assert [received.body["temperature"] for received in fake_provider.received] == [0.25, 0.25]
    with pytest.raises(ServiceClosedError):
        await provider.chat(LLMRequest(model="m", messages="Hi"))


async def test_a_provider_that_belongs_to_nobody_says_where_to_get_one() -> None:
    row = ProviderRow("lonely", "openai_chat", "http://127.0.0.1:9/v1")
    with pytest.raises(ConfigurationError, match=r"ring\.get_provider\('lonely'\)"):
        await BaseLLMProvider(row, environ={}, scrubber=Scrubber()).chat("Hi")


@pytest.mark.spec("A37", "A22")
@pytest.mark.parametrize("way", ["constructor", "register_provider"])
async def test_a_standalone_provider_serves_a_ring_under_a_name_of_its_own(
    fake_provider: FakeProvider, way: str
) -> None:
    fake_provider.script(Fault.status(401, f"Incorrect API key provided: {KEY}"), Answer("fine"))
    work: Any = OpenAIProvider(api_key=KEY, base_url=fake_provider.base_url)
    ring = LLMRing(providers={"work": work} if way == "constructor" else None)
    if way == "register_provider":
        ring.register_provider("work", work)
    async with ring:
        with pytest.raises(Exception, match="Incorrect API key") as caught:
            await ring.chat("work:gpt-x", "Hi")
        assert KEY not in str(caught.value)
        ring.restore("work")  # as after its minute of rest
        response = await ring.chat("work:gpt-x", "Hi")
        assert (response.provider, response.content) == ("work", "fine")
        assert ring.get_provider("work") is work
    with pytest.raises(ServiceClosedError):
        await work.chat(LLMRequest(model="m", messages="Hi"))
