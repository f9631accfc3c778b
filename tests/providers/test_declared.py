"""Providers that users declare: what may be said where, and what a hostile repository may not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, RequestOptions
from llmring.exceptions import ConfigurationError
from llmring.providers.declared import ProviderOptions, Trust, config_path, declare, read_config_providers
from llmring.providers.table import PROVIDERS
from llmring.testing import FakeProvider


@pytest.mark.spec("Z02")
@pytest.mark.parametrize("trust", list(Trust))
def test_a_new_provider_needs_a_base_url_alone(trust: Trust) -> None:
    declared = declare("acme", {"base_url": "https://llm.acme.example"}, trust)
    assert declared.base_url == "https://llm.acme.example/v1"
    assert declared.row.dialect == "openai_chat"
    assert declared.row.untrusted is (trust is Trust.REPOSITORY)


@pytest.mark.spec("Z02")
def test_every_setting_arrives() -> None:
    options = ProviderOptions(
        base_url="http://10.0.0.1",
        api_key="k",
        auth="header:x-api-key",
        extra_headers={"X-Team": "a"},
        organization="org",
        local=True,
        max_tokens_field="max_completion_tokens",
        key_variable="ACME_KEY",
    )
    declared = declare("acme", options, Trust.CODE)
    row = declared.row
    assert (row.auth, row.local, row.quirks.max_tokens_field) == ("header:x-api-key", True, "max_completion_tokens")
    assert row.headers == {"X-Team": "a", "OpenAI-Organization": "org"}
    assert row.key_variables == ("ACME_KEY",)
    assert declared.api_key is not None
    assert declared.api_key.reveal() == "k"
    assert "'k'" not in repr(options)


@pytest.mark.spec("Z02")
@pytest.mark.parametrize(
    ("name", "table", "says"),
    [
        ("openai", {"base_url": "https://evil.example"}, "may not redefine"),
        ("evil", {"base_url": "https://evil.example", "key_variable": "OPENAI_API_KEY"}, "may not be sent"),
        ("evil", {"base_url": "https://evil.example", "key_variable": "AWS_SECRET_ACCESS_KEY"}, "LLMRING_EVIL_API_KEY"),
        ("gemini", {"base_url": "https://evil.example", "key_variable": "GEMINI_API_KEY"}, "LLMRING_GEMINI_API_KEY"),
        ("perplexity", {"base_url": "https://evil.example", "key_variable": "PERPLEXITY_API_KEY"}, "may not be sent"),
        ("open-router", {"base_url": "https://evil.example", "key_variable": "OPEN_ROUTER_API_KEY"}, "may not be sent"),
        ("evil", {"base_url": "https://evil.example", "extra_headers": {"a": "b"}}, "extra_headers"),
        ("evil", {"base_url": "https://evil.example", "api_key": "literal"}, "api_key"),
        ("evil", {"base_url": "https://evil.example", "like": "openai"}, "like is for code"),
    ],
)
def test_a_repository_cannot_point_a_key_at_another_host(name: str, table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        declare(name, table, Trust.REPOSITORY)


@pytest.mark.spec("Z02")
def test_a_repositorys_provider_may_have_a_key_variable_of_its_own() -> None:
    table = {"base_url": "https://a.example", "key_variable": "LLMRING_ACME_EU_API_KEY"}
    assert declare("acme-eu", table, Trust.REPOSITORY).row.key_variables == ("LLMRING_ACME_EU_API_KEY",)


@pytest.mark.spec("Z02")
@pytest.mark.parametrize("trust", [Trust.USER, Trust.CODE])
def test_the_user_may_point_a_known_provider_elsewhere(trust: Trust) -> None:
    declared = declare("openai", {"base_url": "http://127.0.0.1:9"}, trust)
    assert declared.base_url == "http://127.0.0.1:9/v1"
    assert declared.row.key_variables == ("OPENAI_API_KEY",)


@pytest.mark.parametrize(
    ("name", "table", "says"),
    [
        ("acme", {}, "no base_url"),
        ("acme", {"base_url": "https://a", "bse_url": "x"}, "base_url"),
        ("acme", {"base_url": 5}, "wrong type"),
        ("acme", {"base_url": "https://a", "auth": "basic"}, "bearer"),
        ("acme", {"base_url": "https://a", "dialect": "klingon"}, "openai_chat"),
        ("acme", {"base_url": "https://a", "key_variable": "A B"}, "no name of a variable"),
        ("acme", {"base_url": "https://a", "extra_headers": {"a": "b\r\nc: d"}}, "characters"),
        ("acme", {"base_url": "https://a", "extra_headers": {"Content-Length": "5"}}, "transport"),
        ("acme", {"base_url": "https://a", "extra_headers": {"X-A": 5}}, "no text but int"),
        ("acme", {"base_url": "https://a", "max_tokens_field": "n"}, "max_completion_tokens"),
        ("acme", {"base_url": "https://a", "max_tokens": "5"}, "max_tokens has the wrong type: str"),
        ("acme", {"base_url": "https://a", "max_tokens": True}, "max_tokens has the wrong type: bool"),
        ("acme", {"base_url": "https://a", "max_tokens": 0}, "max_tokens"),
        ("acme", {"base_url": "https://a", "default_temperature": -1.0}, "default_temperature"),
        ("acme", {"base_url": "https://a", "token_provider": "a token"}, "token_provider has the wrong type: str"),
        ("acme", {"like": "opnai"}, "did you mean openai"),
        ("openai", {"like": "anthropic"}, "another of a known provider"),
        ("Acme", {"base_url": "https://a"}, "a-z"),
        ("../x", {"base_url": "https://a"}, "a-z"),
    ],
)
def test_a_bad_declaration_names_the_provider_and_the_way_out(name: str, table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        declare(name, table, Trust.CODE)
    assert name in str(caught.value)


def test_the_config_file_is_found_by_variable_then_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "llmring"
    folder.mkdir()
    file = folder / "config.toml"
    assert config_path({"XDG_CONFIG_HOME": str(tmp_path)}) is None
    file.write_text('[providers.acme]\nbase_url = "https://a.example"\n')
    assert config_path({"XDG_CONFIG_HOME": str(tmp_path)}) == file
    # A relative folder would be one of whatever repository this is.
    monkeypatch.chdir(tmp_path)
    assert config_path({"XDG_CONFIG_HOME": "."}) is None
    assert config_path({"LLMRING_CONFIG": str(file)}) == file
    assert read_config_providers(file) == {"acme": {"base_url": "https://a.example"}}
    with pytest.raises(ConfigurationError, match="LLMRING_CONFIG"):
        config_path({"LLMRING_CONFIG": str(tmp_path / "absent")})


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "[", "provider = 1", "providers = 1", "[providers]\na = 1"])
def test_a_broken_config_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"config\.toml"):
        read_config_providers(file)


@pytest.mark.spec("A37")
async def test_two_keys_of_one_vendor_have_a_name_each(fake_provider: FakeProvider) -> None:
    base_url = fake_provider.base_url
    providers = {
        "anthropic": {"base_url": base_url, "api_key": "key-of-team-a", "max_tokens": 100, "default_temperature": 0.25},
        "anthropic_b": {"like": "anthropic", "base_url": base_url, "api_key": "key-of-team-b"},
        "openai": {"base_url": base_url, "api_key": "key-of-openai", "organization": "org-1"},
    }
    async with LLMRing(providers=providers) as ring:
        for model in ("anthropic:claude-opus-4-5", "anthropic_b:claude-opus-4-5", "openai:m"):
            await ring.chat(model, "Hi")
        first, second, third = fake_provider.received
        assert (first.headers["x-api-key"], second.headers["x-api-key"]) == ("key-of-team-a", "key-of-team-b")
        assert first.path == second.path == "/v1/messages"
        assert (first.body["max_tokens"], first.body["temperature"]) == (100, 0.25)
        assert second.body["max_tokens"] == 4096, "Anthropic's API wants one always"
        assert "temperature" not in second.body
        assert third.headers["openai-organization"] == "org-1"
        assert "max_tokens" not in third.body
        await ring.chat(LLMRequest(model="anthropic:claude-opus-4-5", messages="Hi", max_tokens=7, temperature=0.5))
        asked = fake_provider.received[3].body
        assert (asked["max_tokens"], asked["temperature"]) == (7, 0.5), "the request wins"


@pytest.mark.spec("A37")
@pytest.mark.parametrize("said", [{"max_tokens": 9}, {"extra_params": {"max_tokens": 9}}])
async def test_the_rings_defaults_win_over_the_providers(fake_provider: FakeProvider, said: dict[str, Any]) -> None:
    options = {"base_url": fake_provider.base_url, "api_key": "k" * 9, "max_tokens": 100, "default_temperature": 0.25}
    async with LLMRing(providers={"anthropic": options}, defaults=RequestOptions(**said)) as ring:
        await ring.chat("anthropic:claude-opus-4-5", "Hi")
    body = fake_provider.received[0].body
    assert (body["max_tokens"], body["temperature"]) == (9, 0.25)


@pytest.mark.spec("A37")
def test_what_is_like_a_known_provider_has_its_row_under_another_name() -> None:
    row = declare("team_b", ProviderOptions(like="anthropic"), Trust.CODE).row
    assert row == dataclasses.replace(PROVIDERS["anthropic"], name="team_b", like="anthropic")


@pytest.mark.spec("A37")
def test_auth_that_is_given_holds_for_every_key() -> None:
    row = declare("anthropic", {"auth": "bearer"}, Trust.CODE).row
    assert (row.auth, row.key_auth) == ("bearer", {})


# As vendors' keys look, and made up.
KEYS_GIVEN = {
    "groq": "gsk_0123456789abcdefGHIJ",
    "openai": "sk-proj-0123456789abcdef",
    "xai": "xai-0123456789abcdef",
    "google": "AIzaSyA0123456789_abcdefghij",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "a stretch": "hf_aBcDeFgHiJkLmNoPqRsT12",
    "no prefix": "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4",
    "long": "A" * 65,
}


@pytest.mark.spec("Z03")
@pytest.mark.parametrize("kind", KEYS_GIVEN)
@pytest.mark.parametrize("setting", ["key_variable", "keys", "keys with a weight"])
@pytest.mark.parametrize("trust", list(Trust), ids=lambda trust: trust.name)
def test_a_key_in_the_place_of_a_variable_is_refused_and_never_told(kind: str, setting: str, trust: Trust) -> None:
    key = KEYS_GIVEN[kind]
    given: dict[str, Any] = {
        "key_variable": {"key_variable": key},
        "keys": {"keys": ["ACME_API_KEY", key]},
        "keys with a weight": {"keys": [{"variable": key, "weight": 2}]},
    }[setting]
    with pytest.raises(ConfigurationError, match="variable") as caught:
        declare("acme", {"base_url": "https://acme.example", **given}, trust)
    assert key not in f"{caught.value!r} {caught.value} {caught.value.facts()}"
    assert ("key_variable" if setting == "key_variable" else "keys[") in caught.value.message
    assert caught.value.hint is not None
    assert "set a variable to it" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["KEY_A", "acme_key_2", "hf_token", "MYCOMPANYPRODUCTION2KEY", "OpenAIKeyForTheResearchTeam", "_K", "A" * 64],
)
def test_names_of_variables_do_not_pass_for_keys(name: str) -> None:
    declared = declare("acme", {"base_url": "https://acme.example", "key_variable": name}, Trust.CODE)
    assert declared.row.key_variables == (name,)


@pytest.mark.parametrize("given", [{"auth": "Bearer KEY"}, {"keys": [{"variable": "KEY_A", "weight": "KEY"}]}])
def test_what_may_hold_a_key_is_not_told_where_it_is_refused(given: dict[str, Any]) -> None:
    key = KEYS_GIVEN["openai"]
    filled = json.loads(json.dumps(given).replace('KEY"', f'{key}"'))
    with pytest.raises(ConfigurationError, match=r"auth|weight") as caught:
        declare("acme", {"base_url": "https://acme.example", **filled}, Trust.CODE)
    assert key not in str(caught.value)
