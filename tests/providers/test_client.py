"""`.client`: the vendor's SDK, set up like the provider it belongs to and with nothing of another's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import google.genai
import httpx
import httpx2
import ollama
import openai
import pytest
from openai import APIStatusError

from llmring import LLMRing
from llmring.exceptions import ConfigurationError, MissingCredentialError
from llmring.providers.base import BaseLLMProvider
from llmring.providers.declared import Trust, declare
from llmring.secret import Scrubber
from llmring.testing import Answer, Exact, FakeProvider, Fault

Ask = Callable[..., Awaitable[Mapping[str, str]]]


@pytest.fixture
async def ask(fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ask]:
    """Asks once over `.client`, in an environment that is full of OpenAI's own settings; gives the headers that arrived."""
    monkeypatch.setenv("OPENAI_API_KEY", "openais-own-key")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "openais-admin-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-openai")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: openais-gateway\nauthorization: Bearer openais-other")
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


HI: list[Any] = [{"role": "user", "content": "Hi"}]
# The path that each vendor's own base URL ends in, and the shortest good reply of its API (their SDKs' models of it).
VENDORS: dict[str, tuple[type, str, dict[str, Any]]] = {
    "openai": (openai.AsyncOpenAI, "/v1", {"id": "1", "object": "chat.completion", "choices": []}),
    "anthropic": (anthropic.AsyncAnthropic, "/v1", {"id": "1", "type": "message", "role": "assistant", "content": []}),
    "google": (google.genai.Client, "/v1beta", {"candidates": []}),
    "ollama": (ollama.AsyncClient, "/v1", {"model": "m", "message": {"role": "assistant", "content": "Hi"}}),
}
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/m:generateContent",
    "ollama": "/api/chat",
}


async def call(name: str, client: Any) -> Any:
    match name:
        case "openai":
            return await client.chat.completions.create(model="m", messages=HI)
        case "anthropic":
            return await client.messages.create(model="m", max_tokens=5, messages=HI)
        case "google":
            return await client.aio.models.generate_content(model="m", contents="Hi")
        case _:
            return await client.chat(model="m", messages=HI)


@pytest.fixture
async def vendor_ring(fake_provider: FakeProvider) -> AsyncIterator[LLMRing]:
    """A ring whose four vendors are all the fake provider."""
    providers = {
        name: {"base_url": fake_provider.url + path} | ({} if name == "ollama" else {"api_key": f"key-of-{name}"})
        for name, (_, path, _) in VENDORS.items()
    }
    async with LLMRing(providers=providers) as ring:
        yield ring


def exact(status: int, body: dict[str, Any]) -> Exact:
    return Exact(status=status, headers={"content-type": "application/json"}, chunks=[json.dumps(body).encode()])


@pytest.mark.spec("U05", "U47")
@pytest.mark.parametrize("name", VENDORS)
async def test_each_vendors_client_is_the_vendors_own_and_makes_a_call(
    vendor_ring: LLMRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # What the SDKs would find here belongs to others.
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY", "OLLAMA_API_KEY"):
        monkeypatch.setenv(variable, "somebody-elses-key")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Somebody: elses")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    kind, _, reply = VENDORS[name]
    fake_provider.script(exact(200, reply))
    provider = vendor_ring.get_provider(name)
    client = provider.client
    assert isinstance(client, kind)
    assert provider.client is client
    await call(name, client)
    (received,) = fake_provider.received
    assert received.path == PATHS[name]
    sent = str(received.headers)
    assert ("key-of-" in sent) is (name != "ollama")
    assert sent.count("key-of-") <= 1
    assert "elses" not in sent


@pytest.mark.spec("U05", "B12")
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("status", [429, 503])
async def test_no_client_retries(vendor_ring: LLMRing, fake_provider: FakeProvider, name: str, status: int) -> None:
    fake_provider.script(exact(status, {"error": {"message": "busy"}}))
    with pytest.raises(Exception, match=r"busy|503|429"):
        await call(name, vendor_ring.get_provider(name).client)
    assert len(fake_provider.received) == 1


@pytest.mark.spec("U05", "B12")
@pytest.mark.parametrize("name", VENDORS)
async def test_no_client_tries_a_broken_connection_again(
    vendor_ring: LLMRing, fake_provider: FakeProvider, name: str
) -> None:
    fake_provider.script(Fault.close_before_reply())
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError, httpx.HTTPError)):
        await call(name, vendor_ring.get_provider(name).client)
    assert len(fake_provider.received) == 1


@pytest.mark.spec("U05")
@pytest.mark.parametrize("name", VENDORS)
async def test_no_client_follows_a_redirect(vendor_ring: LLMRing, fake_provider: FakeProvider, name: str) -> None:
    fake_provider.script(Exact(status=307, headers={"location": f"{fake_provider.url}/elsewhere"}, chunks=[b""]))
    with contextlib.suppress(Exception):  # some take the empty reply for an answer
        await call(name, vendor_ring.get_provider(name).client)
    assert len(fake_provider.received) == 1


@pytest.mark.spec("U05")
@pytest.mark.parametrize("name", VENDORS)
async def test_the_client_is_closed_with_the_ring(fake_provider: FakeProvider, name: str) -> None:
    _, path, reply = VENDORS[name]
    fake_provider.script(exact(200, reply))
    async with LLMRing(providers={name: {"base_url": fake_provider.url + path, "api_key": "k" * 9}}) as ring:
        client = ring.get_provider(name).client
        await call(name, client)
        assert fake_provider.open_connections == 1
    await fake_provider.wait_disconnected()
    with pytest.raises((RuntimeError, openai.APIConnectionError, anthropic.APIConnectionError)):
        await call(name, client)


@pytest.mark.spec("U05")
@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
async def test_without_a_key_the_client_names_the_variable(name: str) -> None:
    async with LLMRing() as ring:
        with pytest.raises(MissingCredentialError, match=f"{name.upper().replace('GOOGLE', 'GEMINI')}_API_KEY"):
            _ = ring.get_provider(name).client


@pytest.mark.spec("U47")
async def test_what_instruments_the_sdks_sees_calls_of_client_and_none_of_chat(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way instrumentation works: the HTTP clients that the SDKs stand on are patched."""
    seen: list[str] = []
    for library in (httpx, httpx2):
        send: Any = library.AsyncClient.send

        async def spy(self: Any, request: Any, *args: Any, _send: Any = send, **rest: Any) -> Any:
            seen.append(request.url.path)
            return await _send(self, request, *args, **rest)

        monkeypatch.setattr(library.AsyncClient, "send", spy)
    for name, (_, path, reply) in VENDORS.items():
        options = {"base_url": fake_provider.url + path, "api_key": "k" * 9, "dialect": "openai_chat"}
        # The row's own SDK, and a dialect that the fake provider answers.
        async with LLMRing(providers={name: {"base_url": options["base_url"], "api_key": "k" * 9}}) as ring:
            fake_provider.script(exact(200, reply))
            await call(name, ring.get_provider(name).client)
            assert seen == [PATHS[name]]
        seen.clear()
        fake_provider.script(Answer("Hi"))
        async with LLMRing(providers={name: {**options, "base_url": fake_provider.base_url}}) as ring:
            await ring.chat(f"{name}:m", "Hi")
            async for _ in ring.chat_stream(f"{name}:m", "Hi"):
                pass
        assert seen == []
    assert len(fake_provider.received) == 3 * len(VENDORS)
