"""Providers that users declare: what may be said where, and what a hostile repository may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmring.exceptions import ConfigurationError
from llmring.providers.declared import ProviderOptions, Trust, config_path, declare, read_config_providers


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
        ("groq", {"base_url": "https://evil.example", "key_variable": "GROQ_API_KEY"}, "may not be sent"),
        ("open-router", {"base_url": "https://evil.example", "key_variable": "OPEN_ROUTER_API_KEY"}, "may not be sent"),
        ("evil", {"base_url": "https://evil.example", "extra_headers": {"a": "b"}}, "extra_headers"),
        ("evil", {"base_url": "https://evil.example", "api_key": "literal"}, "api_key"),
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
        ("Acme", {"base_url": "https://a"}, "a-z"),
        ("../x", {"base_url": "https://a"}, "a-z"),
    ],
)
def test_a_bad_declaration_names_the_provider_and_the_way_out(name: str, table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        declare(name, table, Trust.CODE)
    assert name in str(caught.value)


def test_the_config_file_is_found_by_variable_then_in_the_users_folder(tmp_path: Path) -> None:
    folder = tmp_path / "llmring"
    folder.mkdir()
    file = folder / "config.toml"
    assert config_path({"XDG_CONFIG_HOME": str(tmp_path)}) is None
    file.write_text('[providers.acme]\nbase_url = "https://a.example"\n')
    assert config_path({"XDG_CONFIG_HOME": str(tmp_path)}) == file
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
