"""Bedrock: a Bedrock API key, or requests signed with AWS keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from llmring import ConfigurationError, LLMRing, MissingCredentialError, ProviderAuthenticationError
from llmring.providers.auth.aws import AWSSigner
from llmring.providers.base import BaseLLMProvider
from llmring.providers.table import PROVIDERS
from llmring.secret import Scrubber
from llmring.testing import FakeProvider, Fault, Received
from llmring.transport.base import HTTPRequest

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr/+secret-key", "AWS_REGION": "eu-west-1"}


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def botocores(received: Received, host: str, service: str, token: str | None) -> str:
    """The signature that botocore puts on the request that arrived, of the headers that were signed."""
    signed = received.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    made_by_botocore = {"host", "x-amz-date", "x-amz-security-token"}
    headers = {name: received.headers[name] for name in signed if name not in made_by_botocore}
    when = datetime.strptime(received.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    request = AWSRequest(method=received.method, url=host + received.path, headers=headers, data=received.raw)
    with patch("botocore.auth.get_current_datetime", return_value=when):
        signer: Any = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalr/+secret-key", token), service, "eu-west-1")
        signer.add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.spec("U22")
@pytest.mark.parametrize(("name", "service"), [("bedrock", "bedrock"), ("bedrock_anthropic", "bedrock-mantle")])
@pytest.mark.parametrize("token", [None, "session-token/+=="])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_arrives_is_signed_as_botocore_signs_it(
    cloud_ring: Callable[..., LLMRing],
    fake_provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    service: str,
    token: str | None,
    stream: bool,
) -> None:
    set_all(monkeypatch, KEYS | ({"AWS_SESSION_TOKEN": token} if token else {}))
    ring = cloud_ring(name)
    if stream:
        async for _ in ring.chat_stream(f"{name}:some.model-v1:0", "Hi"):
            pass
    else:
        await ring.chat(f"{name}:some.model-v1:0", "Hi")
    (received,) = fake_provider.received
    assert received.headers.get("x-amz-security-token") == token
    assert received.headers["authorization"] == botocores(received, fake_provider.url, service, token)
    assert {"content-type", "host", "x-amz-date"} <= set(
        received.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    )


@pytest.mark.spec("U22", "U05")
async def test_the_openai_client_of_bedrock_is_signed_too(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, KEYS)
    client = cloud_ring("bedrock").get_provider("bedrock").client
    await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    (received,) = fake_provider.received
    assert received.headers["authorization"] == botocores(received, fake_provider.url, "bedrock", None)


@pytest.mark.spec("U22", "U05")
async def test_so_is_anthropics_client_of_bedrock(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, KEYS)
    client = cloud_ring("bedrock_anthropic").get_provider("bedrock_anthropic").client
    assert type(client).__name__ == "AsyncAnthropicBedrockMantle"
    await client.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    (received,) = fake_provider.received
    assert received.path == "/anthropic/v1/messages"
    assert received.headers["authorization"] == botocores(received, fake_provider.url, "bedrock-mantle", None)


@pytest.mark.spec("U22")
@pytest.mark.parametrize("name", ["bedrock", "bedrock_anthropic"])
async def test_a_bedrock_api_key_is_a_bearer_token_and_wins_over_aws_keys(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    set_all(monkeypatch, {**KEYS, "AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key-0123"})
    ring = cloud_ring(name)
    await ring.chat(f"{name}:m", "Hi")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
    await ring.chat(f"{name}:m", "Hi")
    first, second = fake_provider.received
    assert first.headers["authorization"] == "Bearer bedrock-api-key-0123"
    assert "x-amz-date" not in first.headers
    assert second.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


@pytest.mark.spec("U22")
@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
async def test_a_missing_key_is_named_before_anything_is_sent(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    set_all(monkeypatch, {name: value for name, value in KEYS.items() if name != missing})
    ring = cloud_ring("bedrock")
    assert not ring.get_provider("bedrock").has_credential()
    with pytest.raises(MissingCredentialError, match=f"{missing} is not set.*AWS_BEARER_TOKEN_BEDROCK"):
        await ring.chat("bedrock:m", "Hi")
    assert not fake_provider.received


@pytest.mark.spec("U22")
async def test_an_empty_key_in_code_is_a_missing_key_and_no_aws_account_stands_in(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, KEYS)
    with pytest.raises(MissingCredentialError, match="api_key given is empty"):
        await cloud_ring("bedrock", {"api_key": " "}).chat("bedrock:m", "Hi")
    assert not fake_provider.received


@pytest.mark.spec("U22")
async def test_keys_that_are_rotated_count_from_the_next_request_on(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, KEYS)
    ring = cloud_ring("bedrock")
    await ring.chat("bedrock:m", "Hi")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDROTATED")
    await ring.chat("bedrock:m", "Hi")
    assert "Credential=AKIDROTATED/" in fake_provider.received[1].headers["authorization"]


@pytest.mark.spec("U22")
async def test_what_a_server_quotes_of_the_credentials_is_hidden(
    cloud_ring: Callable[..., LLMRing], fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, {**KEYS, "AWS_SESSION_TOKEN": "session-token-0123"})
    fake_provider.script(Fault.status(403, "bad: session-token-0123 AKIDEXAMPLE wJalr/+secret-key"))
    with pytest.raises(ProviderAuthenticationError, match=r"bad: \*\*\* \*\*\* \*\*\*") as caught:
        await cloud_ring("bedrock").chat("bedrock:m", "Hi")
    assert "0123" not in str(caught.value)


@pytest.mark.spec("U22")
@pytest.mark.parametrize(
    ("variable", "value"),
    # A byte that is no UTF-8 comes out of the environment as half a surrogate pair, which cannot be encoded again.
    [("AWS_SESSION_TOKEN", "token\r\nX-Evil: 1"), ("AWS_SECRET_ACCESS_KEY", "Evil\udcff")],
)
async def test_credentials_that_no_header_can_hold_are_refused_without_being_shown(
    cloud_ring: Callable[..., LLMRing],
    fake_provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    set_all(monkeypatch, {**KEYS, variable: value})
    with pytest.raises(ProviderAuthenticationError, match="bedrock hold characters") as caught:
        await cloud_ring("bedrock").chat("bedrock:m", "Hi")
    assert "Evil" not in str(caught.value)
    assert not fake_provider.received


@pytest.mark.spec("U22")
async def test_the_region_of_a_bedrock_host_is_the_one_signed_for() -> None:
    signer = AWSSigner("bedrock", "bedrock", KEYS, Scrubber())
    request = HTTPRequest("POST", "https://bedrock-runtime.ap-south-1.amazonaws.com/openai/v1/x", {}, b"{}")
    await signer.sign(request)
    assert "/ap-south-1/bedrock/aws4_request" in request.headers["Authorization"]


def make(name: str, environ: dict[str, str]) -> BaseLLMProvider:
    return BaseLLMProvider(PROVIDERS[name], environ=environ, scrubber=Scrubber())


@pytest.mark.spec("U22")
@pytest.mark.parametrize(
    ("name", "environ", "url"),
    [
        ("bedrock", {"AWS_REGION": "us-east-1"}, "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1"),
        ("bedrock", {"AWS_DEFAULT_REGION": "us-west-2"}, "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1"),
        ("bedrock", {"AWS_REGION": "cn-north-1"}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/openai/v1"),
        ("bedrock_anthropic", {"AWS_REGION": "eu-west-1"}, "https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1"),
    ],
)
def test_the_base_url_is_made_of_the_region(name: str, environ: dict[str, str], url: str) -> None:
    assert make(name, environ).base_url == url


@pytest.mark.spec("U22")
def test_a_region_that_is_not_set_is_named_and_passes_the_provider_over() -> None:
    provider = make("bedrock", {"AWS_BEARER_TOKEN_BEDROCK": "k" * 9})
    with pytest.raises(MissingCredentialError, match="AWS_REGION is not set"):
        _ = provider.base_url
    assert not provider.has_credential()


@pytest.mark.spec("U22", "Z02")
@pytest.mark.parametrize("region", ["evil.example/", "us-east-1.evil.example#", "us-east-1@evil", "US", "a b"])
def test_a_region_cannot_lead_to_another_host(region: str) -> None:
    with pytest.raises(ConfigurationError, match=r"AWS_REGION is .*no AWS region"):
        _ = make("bedrock", {"AWS_REGION": region}).base_url
