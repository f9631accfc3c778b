"""Where a ring takes its settings from: arguments, environment, .env, config file, manifest, lockfile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, ProviderOptions, RequestOptions, SamplingParams
from llmring.exceptions import (
    ConfigurationError,
    LockfileError,
    MissingCredentialError,
    ProviderAuthenticationError,
    ProviderNotFoundError,
    UnsafeURLError,
)
from llmring.providers.base import BaseLLMProvider
from llmring.testing import Answer, FakeProvider, Fault


@pytest.mark.spec("U35")
@pytest.mark.parametrize(
    ("variable", "provider"),
    [("OPENAI_API_KEY", "openai"), ("ANTHROPIC_API_KEY", "anthropic"), ("GEMINI_API_KEY", "google"), (None, "ollama")],
)
@pytest.mark.parametrize("alias", ["fast", "balanced", "vision"])
async def test_in_an_empty_directory_any_one_key_is_enough(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, provider: str, alias: str
) -> None:
    if variable is not None:
        monkeypatch.setenv(variable, "k" * 20)
    async with LLMRing() as ring:
        assert ring.resolve_alias(alias).partition(":")[0] == provider


@pytest.mark.spec("U35")
@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        ("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
        (None, "OLLAMA_HOST"),
    ],
)
async def test_the_bundled_aliases_really_answer_with_one_key(
    monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider, key: str | None, url: str
) -> None:
    monkeypatch.setenv(url, fake_provider.base_url)
    if key is not None:
        monkeypatch.setenv(key, "k" * 20)
    async with LLMRing() as ring:
        for alias in ("fast", "balanced", "vision"):
            response = await ring.chat(alias, "Hi")
            assert response.content
    assert len(fake_provider.received) == 3


@pytest.mark.spec("A07", "U36")
async def test_a_missing_key_is_told_at_first_use_and_names_the_variable() -> None:
    async with LLMRing() as ring:
        assert ring.resolve_alias("fast")
        with pytest.raises(MissingCredentialError, match="OPENAI_API_KEY"):
            await ring.chat("openai:gpt-x", "Hi")


@pytest.mark.spec("A20")
async def test_dotenv_fills_in_and_never_overrides(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider
) -> None:
    (clean_environment / ".env").write_text(
        f"OPENAI_API_KEY=from-the-dotenv-file\nOPENAI_BASE_URL={fake_provider.base_url}\n"
    )
    async with LLMRing() as ring:
        await ring.chat("openai:m", "Hi")
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", fake_provider.base_url)
    async with LLMRing() as ring:
        await ring.chat("openai:m", "Hi")
    sent = [received.headers["authorization"] for received in fake_provider.received]
    assert sent == ["Bearer from-the-dotenv-file", "Bearer from-the-environment"]


@pytest.mark.spec("A20")
@pytest.mark.parametrize("how", ["argument", "environment"])
async def test_dotenv_can_be_left_alone(clean_environment: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    (clean_environment / ".env").write_text("OPENAI_API_KEY=from-the-dotenv-file\n")
    if how == "environment":
        monkeypatch.setenv("LLMRING_NO_DOTENV", "1")
    async with LLMRing(dotenv=how != "argument") as ring:
        assert not ring.get_provider("openai").has_credential()


@pytest.mark.spec("U10")
@pytest.mark.parametrize("given", [{"model": "fast", "messages": "Hi"}, None, 3])
async def test_what_is_no_request_is_told_how_to_become_one(ring: LLMRing, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"LLMRequest\.model_validate"):
        await ring.chat(given)
    with pytest.raises(ConfigurationError, match=r"LLMRequest\.model_validate"):
        ring.chat_stream(given)
    with pytest.raises(ConfigurationError, match=r"LLMRequest\.model_validate"):
        ring.explain(given)


@pytest.mark.parametrize("key", ["sk-é-0123456789", ""])
async def test_a_key_that_cannot_be_sent_moves_a_pool_on(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, key: str
) -> None:
    ring = make_ring(providers={"one": {"base_url": fake_provider.base_url, "api_key": key}})
    response = await ring.chat("pool", "Hi")
    assert response.called_model == "two:m2"
    assert len(fake_provider.received) == 1


async def test_a_servers_echo_of_a_providers_own_headers_is_scrubbed(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    token = "gateway-credential-0123456789"
    options = {"base_url": fake_provider.base_url, "auth": "none", "extra_headers": {"X-Gateway-Token": token}}
    ring = make_ring(providers={"one": options})
    fake_provider.script(Fault.status(401, f"invalid token {token}"))
    with pytest.raises(ProviderAuthenticationError, match="invalid token") as caught:
        await ring.chat("fast", "Hi")
    assert fake_provider.received[0].headers["x-gateway-token"] == token
    assert token not in str(caught.value)
    assert token not in repr(ring.get_provider("one").row)


@pytest.mark.spec("A20")
def test_importing_reads_no_dotenv_and_no_lock(clean_environment: Path) -> None:
    (clean_environment / ".env").write_text("OPENAI_API_KEY=x\n")
    (clean_environment / "llmring.lock").write_text("not a lock")
    script = (
        "import sys, os\n"
        "seen = []\n"
        "here = os.getcwd()\n"
        "sys.addaudithook(lambda name, args: seen.append(str(args[0])) if name == 'open' else None)\n"
        "from llmring import LLMRing, LLMRequest, Message\n"
        "print([s for s in seen if s.startswith(here) or not os.path.isabs(s)])\n"
    )
    run = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.spec("A08")
@pytest.mark.parametrize("spelling", ["{root}", "{root}/", "{root}/v1", "{root}/v1/"])
async def test_four_spellings_of_a_base_url_reach_one_path(
    monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider, spelling: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    monkeypatch.setenv("OPENAI_BASE_URL", spelling.format(root=fake_provider.base_url.removesuffix("/v1")))
    async with LLMRing() as ring:
        await ring.chat("openai:m", "Hi")
    assert fake_provider.received[0].path == "/v1/chat/completions"


@pytest.mark.spec("A09")
async def test_a_providers_headers_go_to_that_provider_alone(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    mine = {"User-Agent": "mine", "X-Only-One": "1", "x-api-key": "for-one-only"}
    options = ProviderOptions(base_url=fake_provider.base_url, api_key="k" * 20, extra_headers=mine)
    ring = make_ring(providers={"one": options}, defaults=RequestOptions(extra_headers={"X-Ring": "r"}))
    fake_provider.script(Fault.status(500), model="m1")
    await ring.chat(LLMRequest(model="pool", messages="Hi", extra_headers={"X-Request": "q"}))
    first, second = (received.headers for received in fake_provider.received)
    assert (first["user-agent"], first["x-only-one"], first["x-api-key"]) == ("mine", "1", "for-one-only")
    assert "x-only-one" not in second
    assert "x-api-key" not in second
    for headers in (first, second):
        assert (headers["x-ring"], headers["x-request"]) == ("r", "q")
    assert first["authorization"] != second["authorization"]


@pytest.mark.spec("A10", "A38")
async def test_params_merge_key_by_key_and_the_typed_field_wins(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    ring = make_ring(defaults=RequestOptions(extra_params={"a": 1, "b": 1, "temperature": 0.1}))
    request = LLMRequest(model="fast", messages="Hi", temperature=0.9, extra_params={"b": 2, "c": 2})
    await ring.chat(request)
    body = fake_provider.received[0].body
    assert (body["a"], body["b"], body["c"], body["temperature"]) == (1, 2, 2, 0.9)
    with pytest.raises(ConfigurationError, match="temperature"):
        await ring.chat(LLMRequest(model="fast", messages="Hi", temperature=0.9, extra_params={"temperature": 0.8}))
    same = LLMRequest(model="fast", messages="Hi", temperature=0.9, extra_params={"temperature": 0.9})
    await ring.chat(same)


@pytest.mark.spec("A10")
@pytest.mark.parametrize("name", ["model", "messages", "stream"])
def test_reserved_params_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        LLMRequest(model="fast", messages="Hi", extra_params={name: 1})


@pytest.mark.spec("U45", "D09", "D12")
async def test_defaults_reach_the_wire_and_explain_names_the_layer(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    options = RequestOptions(stop=["END"], seed=3, sampling=SamplingParams(temperature=0.25, json_mode=True))
    ring = make_ring(defaults=options)
    fake_provider.script(Answer("{}"))
    request = LLMRequest(model="fast", messages="Hi", seed=4)
    await ring.chat(request)
    await ring.chat(LLMRequest(model="fast", messages="Hi", stop=[]))
    first, second = (received.body for received in fake_provider.received)
    assert (first["stop"], first["seed"], first["temperature"]) == (["END"], 4, 0.25)
    assert first["response_format"] == {"type": "json_object"}
    assert second["stop"] == []
    explained = ring.explain(request)
    assert explained["options"]["seed"] == {"value": 4, "layer": "request"}
    assert explained["options"]["stop"] == {"value": ["END"], "layer": "instance"}
    (candidate,) = explained["candidates"]
    assert (candidate["model"], candidate["credential"]) == ("one:m1", True)
    assert explained["resolves_to"] == "one:m1"


@pytest.mark.spec("U37")
async def test_the_origin_is_a_name_and_never_reaches_a_provider(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    ring = make_ring(origin="my-app.v2")
    assert ring.origin == "my-app.v2"
    assert make_ring().origin == "llmring"
    await ring.chat("fast", "Hi")
    assert b"my-app" not in fake_provider.received[0].raw
    assert "my-app" not in str(fake_provider.received[0].headers)
    for bad in ("", "a b", "x" * 65, "a\nb", "../x"):
        with pytest.raises(ConfigurationError, match="origin"):
            LLMRing(origin=bad)


@pytest.mark.spec("U38")
async def test_the_registry_url_is_kept_and_never_read(
    make_ring: Callable[..., LLMRing], monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider
) -> None:
    dead = "https://registry.invalid/facts"
    ring = make_ring(registry_url=dead)
    await ring.chat("fast", "Hi")
    assert ring.registry_url == dead
    monkeypatch.setenv("LLMRING_REGISTRY_URL", "https://from.environment.invalid")
    assert make_ring().registry_url == "https://from.environment.invalid"
    assert make_ring(registry_url="./facts").registry_url == "./facts"
    for bad in ("http://plain.example", "ftp://x"):
        with pytest.raises(ConfigurationError, match="registry_url"):
            make_ring(registry_url=bad)


@pytest.mark.spec("U02")
async def test_a_lockfile_that_is_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LockfileError, match="absent"):
        LLMRing(lockfile_path=tmp_path / "absent.lock")
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(tmp_path / "absent-too.lock"))
    with pytest.raises(LockfileError, match="LLMRING_LOCKFILE_PATH"):
        LLMRing()


@pytest.mark.spec("U05")
async def test_the_vendors_client_is_made_lazily_and_configured_alike(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, keys: dict[str, str]
) -> None:
    from openai import AsyncOpenAI

    ring = make_ring()
    provider = ring.get_provider("one")
    assert isinstance(provider, BaseLLMProvider)
    client = provider.client
    assert isinstance(client, AsyncOpenAI)
    assert provider.client is client
    assert client.max_retries == 0
    reply = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert reply.choices[0].message.content
    assert fake_provider.received[0].headers["authorization"] == f"Bearer {keys['one']}"
    with pytest.raises(ProviderNotFoundError, match="openai"):
        ring.get_provider("opnai")


@pytest.mark.spec("Z02")
async def test_a_provider_declared_in_the_users_config_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[providers.acme]\nbase_url = "{fake_provider.base_url}"\nkey_variable = "ACME_KEY"\nauth = "header:x-acme"\n'
    )
    monkeypatch.setenv("LLMRING_CONFIG", str(config))
    monkeypatch.setenv("ACME_KEY", "acme-key-0123456789")
    async with LLMRing() as ring:
        await ring.chat("acme:large", "Hi")
    headers = fake_provider.received[0].headers
    assert headers["x-acme"] == "acme-key-0123456789"
    assert "authorization" not in headers


@pytest.mark.spec("Z02")
async def test_a_repositorys_provider_reaches_no_private_host(
    clean_environment: Path, fake_provider: FakeProvider
) -> None:
    (clean_environment / "llmring.toml").write_text(
        f'schema = "1"\n[providers.acme]\nbase_url = "{fake_provider.base_url}"\n'
    )
    async with LLMRing() as ring:
        with pytest.raises(UnsafeURLError):
            await ring.chat("acme:large", "Hi")
    assert fake_provider.connections_opened == 0


@pytest.mark.spec("Z02")
async def test_a_repository_cannot_redirect_a_known_providers_key(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    for table in (
        '[providers.openai]\nbase_url = "https://evil.example"\n',
        '[providers.evil]\nbase_url = "https://evil.example"\nkey_variable = "OPENAI_API_KEY"\n',
        '[providers.groq]\nbase_url = "https://evil.example"\nkey_variable = "GROQ_API_KEY"\n',
    ):
        (clean_environment / "llmring.toml").write_text(f'schema = "1"\n{table}')
        with pytest.raises(ConfigurationError, match="manifest"):
            LLMRing()


@pytest.mark.spec("U24", "U46")
async def test_alias_questions_are_answered_without_a_call(ring: LLMRing, fake_provider: FakeProvider) -> None:
    assert ring.has_alias("fast")
    assert not ring.has_alias("slow")
    assert ring.list_aliases("dev") == {"fast": ["two:m2"]}
    ring.require_aliases("fast", "pool")
    with pytest.raises(ConfigurationError, match=r"fst.*poool"):
        ring.require_aliases("fast", "fst", "poool")
    ring.resolve_alias("fast")
    ring.resolve_alias("fast")
    stats = ring.alias_cache_stats()
    assert (stats.hits, stats.misses, stats.maxsize) == (1, 1, 1000)
    ring.clear_alias_cache()
    assert ring.alias_cache_stats().size == 0
    assert fake_provider.connections_opened == 0
