"""Vertex AI: a token of Google's Application Default Credentials, fetched from a token endpoint on loopback."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

import google.genai
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from llmring import (
    ConfigurationError,
    DeadlineExceededError,
    LLMRequest,
    LLMRing,
    MissingCredentialError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ServiceClosedError,
    env,
)
from llmring.providers.base import BaseLLMProvider
from llmring.providers.clouds import CLOUD_ROWS
from llmring.providers.table import PROVIDERS
from llmring.secret import Scrubber
from llmring.testing import Exact, FakeClock, FakeProvider, Fault

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PREFIX = "/v1/projects/my-project/locations/europe-west4/publishers/google"
MODEL = "vertex_anthropic:claude-opus-4-6"


def token(name: str, expires_in: int = 3600) -> Exact:
    body = {"access_token": name, "expires_in": expires_in, "token_type": "Bearer"}
    return Exact(headers={"content-type": "application/json"}, chunks=[json.dumps(body).encode()])


@pytest.fixture
async def tokens() -> AsyncIterator[FakeProvider]:
    """Whoever gives out tokens."""
    async with FakeProvider() as server:
        server.script(token("google-token-1"))
        yield server


@pytest.fixture(autouse=True)
def account(tokens: FakeProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A service account's file, found as Google's libraries find it."""
    pem = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    info = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "key-1",
        "private_key": pem.decode(),
        "client_email": "robot@my-project.iam.gserviceaccount.com",
        "token_uri": f"{tokens.url}/token",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    return path


@pytest.fixture
def ring(cloud_ring: Callable[..., LLMRing]) -> LLMRing:
    return cloud_ring("vertex_anthropic")


def bearers(fake: FakeProvider) -> list[str]:
    return [received.headers["authorization"] for received in fake.received]


@pytest.mark.spec("U22")
async def test_fifty_calls_at_once_fetch_one_token(
    ring: LLMRing, fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    await asyncio.gather(*(ring.chat(MODEL, "Hi") for _ in range(50)))
    assert bearers(fake_provider) == ["Bearer google-token-1"] * 50
    assert len(tokens.received) == 1
    await ring.chat(MODEL, "Hi")
    assert len(tokens.received) == 1


@pytest.mark.spec("U22")
async def test_the_assertion_is_signed_by_the_account_and_the_project_that_pays_is_named(
    ring: LLMRing, fake_provider: FakeProvider, tokens: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "paying-project")  # google-auth's own
    await ring.chat(MODEL, "Hi")
    form = parse_qs(tokens.received[0].raw.decode())
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    decode = cast("Callable[..., dict[str, Any]]", jwt.decode)  # pyright: ignore[reportUnknownMemberType]
    claims = decode(form["assertion"][0], certs=public, audience="https://oauth2.googleapis.com/token")
    assert claims["iss"] == "robot@my-project.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert fake_provider.received[0].headers["x-goog-user-project"] == "paying-project"


@pytest.mark.spec("U22")
async def test_a_token_that_soon_ends_is_renewed_behind_the_calls_that_still_use_it(
    ring: LLMRing, fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    may_come = asyncio.Event()
    late = token("google-token-2")
    tokens.script(token("google-token-1", expires_in=200), Exact(headers=late.headers, chunks=[may_come, *late.chunks]))
    for _ in range(3):
        await ring.chat(MODEL, "Hi")
    assert bearers(fake_provider) == ["Bearer google-token-1"] * 3, "nobody waits while the old one is good"
    await tokens.wait_received(2)
    may_come.set()
    # The thread that fetches it hands it over in its own time; each call asks, none waits.
    while bearers(fake_provider)[-1] != "Bearer google-token-2":
        await ring.chat(MODEL, "Hi")
    assert len(tokens.received) == 2


@pytest.mark.spec("U22")
async def test_a_token_that_has_ended_is_never_sent(
    ring: LLMRing, fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    tokens.script(token("google-token-1", expires_in=0), token("google-token-2"))
    await ring.chat(MODEL, "Hi")
    await ring.chat(MODEL, "Hi")
    assert bearers(fake_provider) == ["Bearer google-token-1", "Bearer google-token-2"]


@pytest.mark.spec("U22")
async def test_the_event_loop_runs_while_a_token_is_fetched_and_the_deadline_with_it(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    may_come = asyncio.Event()
    late = token("google-token-1")
    tokens.script(Exact(headers=late.headers, chunks=[may_come, *late.chunks]))
    clock = FakeClock()
    ring = cloud_ring("vertex_anthropic", clock=clock)
    hurried = asyncio.create_task(ring.chat(LLMRequest(model=MODEL, messages="Hi", deadline=5)))
    patient = asyncio.create_task(ring.chat(MODEL, "Hi"))
    await tokens.wait_received(1)
    await clock.wait_timers(2)
    clock.advance(6)
    with pytest.raises(DeadlineExceededError):
        await hurried
    may_come.set()
    assert (await patient).content
    assert len(tokens.received) == 1, "the one who left takes nothing away from the one who stayed"
    assert len(fake_provider.received) == 1


@pytest.mark.spec("U22")
async def test_a_refusal_is_typed_says_why_and_is_not_kept(
    ring: LLMRing, fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    refusal = {"error": "invalid_grant", "error_description": "account not found"}
    tokens.script(
        Exact(status=400, headers={"content-type": "application/json"}, chunks=[json.dumps(refusal).encode()]),
        token("google-token-1"),
    )
    failures = await asyncio.gather(*(ring.chat(MODEL, "Hi") for _ in range(3)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {ProviderAuthenticationError}
    assert "no token from Google for provider vertex_anthropic: invalid_grant: account not found" in str(failures[0])
    assert len({id(failure) for failure in failures}) == 3, "each has an error of its own"
    assert not fake_provider.received
    ring.restore("vertex_anthropic")  # as after its minute of rest
    await ring.chat(MODEL, "Hi")
    assert bearers(fake_provider) == ["Bearer google-token-1"]


@pytest.mark.spec("U22")
async def test_a_token_endpoint_that_is_not_there_is_a_connection_error(
    ring: LLMRing, fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    await tokens.close()
    with pytest.raises(ProviderConnectionError, match="no token from Google"):
        await ring.chat(MODEL, "Hi")
    assert not fake_provider.received


@pytest.mark.spec("U22")
@pytest.mark.parametrize(
    ("text", "says"), [(None, "GOOGLE_APPLICATION_CREDENTIALS"), ("{", "GOOGLE_APPLICATION_CREDENTIALS")]
)
async def test_a_credentials_file_that_is_none_is_named(
    ring: LLMRing, fake_provider: FakeProvider, account: Path, text: str | None, says: str
) -> None:
    account.unlink() if text is None else account.write_text(text)
    with pytest.raises(ProviderAuthenticationError, match=says):
        await ring.chat(MODEL, "Hi")
    assert not fake_provider.received


@pytest.mark.spec("U22")
async def test_no_credentials_at_all_are_missing_credentials_and_the_way_out_is_told(
    ring: LLMRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # google-auth's own: there is no metadata server here to wait for
    with pytest.raises(MissingCredentialError, match="gcloud auth application-default login"):
        await ring.chat(MODEL, "Hi")
    assert not fake_provider.received


@pytest.mark.spec("U22")
async def test_a_token_that_a_server_quotes_is_hidden(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.status(403, "google-token-1 may not do that"))
    with pytest.raises(ProviderAuthenticationError, match=r"\*\*\* may not do that"):
        await ring.chat(MODEL, "Hi")


@pytest.mark.spec("U22")
async def test_other_credentials_count_from_the_next_call_on(
    ring: LLMRing,
    fake_provider: FakeProvider,
    tokens: FakeProvider,
    account: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens.script(token("google-token-1"), token("google-token-2"))
    await ring.chat(MODEL, "Hi")
    other = account.with_name("other.json")
    other.write_bytes(account.read_bytes())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(other))
    await ring.chat(MODEL, "Hi")
    assert bearers(fake_provider) == ["Bearer google-token-1", "Bearer google-token-2"]


@pytest.mark.spec("U22")
async def test_credentials_that_are_exchanged_while_a_token_is_fetched_do_not_outlive_it(
    ring: LLMRing,
    fake_provider: FakeProvider,
    tokens: FakeProvider,
    account: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_come = asyncio.Event()
    late = token("google-token-1")
    tokens.script(Exact(headers=late.headers, chunks=[may_come, *late.chunks]), token("google-token-2"))
    first = asyncio.create_task(ring.chat(MODEL, "Hi"))
    await tokens.wait_received(1)
    other = account.with_name("other.json")
    other.write_bytes(account.read_bytes())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(other))
    second = asyncio.create_task(ring.chat(MODEL, "Hi"))
    await asyncio.sleep(0)
    may_come.set()
    await asyncio.gather(first, second)
    await ring.chat(MODEL, "Hi")
    assert bearers(fake_provider)[-1] == "Bearer google-token-2"


@pytest.mark.spec("U22")
async def test_a_ring_that_is_closed_while_a_token_is_waited_for_says_so(
    ring: LLMRing, fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    may_come = asyncio.Event()
    late = token("google-token-1")
    tokens.script(Exact(headers=late.headers, chunks=[may_come, *late.chunks]))
    calls = [asyncio.create_task(ring.chat(MODEL, "Hi")) for _ in range(2)]
    await tokens.wait_received(1)
    await ring.close()
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(failure) for failure in failures} == {ServiceClosedError}
    assert not fake_provider.received
    may_come.set()


@pytest.mark.spec("U22", "U05")
async def test_anthropics_client_of_vertex_is_signed_with_the_same_token(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    await ring.chat(MODEL, "Hi")
    client = ring.get_provider("vertex_anthropic").client
    assert type(client).__name__ == "AsyncAnthropicVertex"
    await client.messages.create(model="claude-opus-4-6", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    ours, theirs = fake_provider.received
    assert theirs.headers["authorization"] == ours.headers["authorization"] == "Bearer google-token-1"
    assert theirs.path == ours.path


@pytest.mark.spec("U22", "U05")
async def test_googles_client_of_vertex_signs_in_with_the_same_account(
    fake_provider: FakeProvider, tokens: FakeProvider
) -> None:
    row = next(row for row in CLOUD_ROWS if row.name == "vertex")
    # Under a dialect that is sure to be there: the SDK does not ask which one llmring speaks.
    row = dataclasses.replace(row, dialect="openai_chat", sdk="google")
    base_url = fake_provider.url + PREFIX
    provider = BaseLLMProvider(row, environ=os.environ, scrubber=Scrubber(), base_url=base_url)
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[b'{"candidates": []}']))
    client = provider.client
    assert isinstance(client, google.genai.Client)
    await client.aio.models.generate_content(model="gemini-3.8-flash", contents="Hi")
    await provider.close()
    (received,) = fake_provider.received
    assert received.path == f"{PREFIX}/models/gemini-3.8-flash:generateContent"
    assert received.headers["authorization"] == "Bearer google-token-1"
    await fake_provider.wait_disconnected()


def make(name: str, environ: dict[str, str]) -> BaseLLMProvider:
    return BaseLLMProvider(PROVIDERS[name], environ=environ, scrubber=Scrubber())


@pytest.mark.spec("U22")
@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_the_base_url_is_made_of_project_and_location(location: str | None, host: str) -> None:
    environ = {"GOOGLE_CLOUD_PROJECT": "my-project"} | ({"GOOGLE_CLOUD_LOCATION": location} if location else {})
    base_url = make("vertex_anthropic", environ).base_url
    where = location or "global"
    assert base_url == f"https://{host}/v1/projects/my-project/locations/{where}/publishers/anthropic"


@pytest.mark.spec("U22")
def test_a_project_that_is_not_set_is_named_and_passes_the_provider_over() -> None:
    provider = make("vertex_anthropic", {})
    with pytest.raises(MissingCredentialError, match="GOOGLE_CLOUD_PROJECT is not set"):
        _ = provider.base_url
    assert not provider.has_credential()


@pytest.mark.spec("U22", "Z02")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GOOGLE_CLOUD_LOCATION", "evil.example/"),
        ("GOOGLE_CLOUD_LOCATION", "us-central1.evil"),
        ("GOOGLE_CLOUD_PROJECT", "../../evil"),
        ("GOOGLE_CLOUD_PROJECT", "p?x="),
    ],
)
def test_no_value_can_lead_to_another_host_or_path(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        _ = make("vertex_anthropic", {"GOOGLE_CLOUD_PROJECT": "my-project", variable: value}).base_url


@pytest.mark.spec("Z02")
def test_a_credentials_file_is_not_taken_from_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    Path(".env").write_text("GOOGLE_APPLICATION_CREDENTIALS=evil.json\nGOOGLE_CLOUD_LOCATION=eu\n")
    environ = env.load()
    assert env.get("GOOGLE_APPLICATION_CREDENTIALS", environ) is None
    assert env.get("GOOGLE_CLOUD_LOCATION", environ) == "eu"
