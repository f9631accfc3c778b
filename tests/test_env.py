"""One page holds every environment variable: constants equal their names, and no source reads another."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

from llmring import env

PACKAGE = Path(inspect.getfile(env)).parent
VARIABLES = {name: value for name, value in vars(env).items() if name.isupper()}


def test_every_constant_is_its_own_name() -> None:
    assert VARIABLES
    assert {name: name for name in VARIABLES} == VARIABLES


def test_every_constant_has_a_line_that_explains_it() -> None:
    lines = inspect.getsource(env).splitlines()
    for name in VARIABLES:
        line = next(line for line in lines if line.startswith(f"{name}: Final"))
        assert re.search(r"  # .{10,}", line), name


def test_every_variable_of_ours_in_the_sources_is_on_the_page() -> None:
    named: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        named |= set(re.findall(r"\bLLMRING_[A-Z_]*[A-Z]\b", path.read_text()))
    assert named - {"LLMRING_TEST"} <= set(VARIABLES)
    assert "LLMRING_LOCKFILE_PATH" in named


def test_no_source_reads_a_variable_past_the_page() -> None:
    readers = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if re.search(r"\bos\.getenv\b|\benviron(\[|\.get\()|\bfrom os import .*(environ|getenv)", path.read_text())
    ]
    assert readers == []


@pytest.mark.spec("A20")
def test_dotenv_fills_in_what_the_environment_does_not_set(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean_environment / ".env").write_text("OPENAI_API_KEY=from-the-file\nLLMRING_PROFILE=file\nEMPTY\n")
    monkeypatch.setenv("LLMRING_PROFILE", "environment")
    before = dict(os.environ)
    loaded = env.load()
    assert (env.get("OPENAI_API_KEY", loaded), env.get("LLMRING_PROFILE", loaded)) == ("from-the-file", "environment")
    assert env.get("EMPTY", loaded) is None
    assert env.get("OPENAI_API_KEY", env.load(dotenv=False)) is None
    monkeypatch.setenv("LLMRING_NO_DOTENV", "1")
    assert env.get("OPENAI_API_KEY", env.load()) is None
    monkeypatch.delenv("LLMRING_NO_DOTENV")
    assert dict(os.environ) == before


@pytest.mark.spec("A20")
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "Http_Proxy", "all_proxy", "NO_PROXY", "SSL_CERT_FILE"])
def test_dotenv_says_nothing_of_proxies_and_certificates(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    (clean_environment / ".env").write_text(f"{name}=http://evil.example\n")
    assert env.get(name, env.load()) is None
    assert name in caplog.text
    monkeypatch.setenv(name, "http://mine.example")
    assert env.get(name, env.load()) == "http://mine.example"


@pytest.mark.spec("A20")
def test_where_a_variable_comes_from_is_known(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean_environment / ".env").write_text("OPENAI_API_KEY=a\nOPENAI_ORG_ID=b\nLLMRING_PROFILE=c\n")
    monkeypatch.setenv("OPENAI_ORG_ID", "mine")
    monkeypatch.setenv("LLMRING_PROFILE", "")
    loaded = env.load()
    names = ("OPENAI_API_KEY", "OPENAI_ORG_ID", "LLMRING_PROFILE", "OPENAI_BASE_URL")
    assert [env.is_from_dotenv(name, loaded) for name in names] == [True, False, False, False]
    assert not env.is_from_dotenv("OPENAI_API_KEY", env.load(dotenv=False))


@pytest.mark.parametrize(
    ("value", "read"), [(None, None), ("", None), ("  \t", None), ("x", "x"), ("  x y \n", "x y"), ("0", "0")]
)
def test_get_gives_the_value_without_blanks_and_none_for_nothing(
    value: str | None, read: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {} if value is None else {env.LLMRING_PROFILE: value}
    assert env.get(env.LLMRING_PROFILE, environ) == read
    monkeypatch.delenv(env.LLMRING_PROFILE, raising=False)
    if value is not None:
        monkeypatch.setenv(env.LLMRING_PROFILE, value)
    assert env.get(env.LLMRING_PROFILE) == read


@pytest.mark.parametrize("value", ["1", "true", "TRUE", "Yes", "on", " true "])
def test_a_yes_is_a_yes(value: str) -> None:
    assert env.is_set(env.LLMRING_LOCKED, {env.LLMRING_LOCKED: value})


@pytest.mark.parametrize("value", [None, "", "0", "false", "no", "off", "2", "maybe"])
def test_anything_else_is_a_no(value: str | None) -> None:
    assert not env.is_set(env.LLMRING_LOCKED, {} if value is None else {env.LLMRING_LOCKED: value})


@pytest.mark.spec("S06")
@pytest.mark.parametrize("dotenv", [False, True])
def test_the_environment_shows_no_value_where_an_error_reporter_prints_it(
    monkeypatch: pytest.MonkeyPatch, dotenv: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-process")
    Path(".env").write_text("CO_API_KEY=key-of-dotenv\n")
    environ = env.load(dotenv)
    assert env.get("OPENAI_API_KEY", environ) == "sk-of-the-process"
    assert env.get("CO_API_KEY", environ) == ("key-of-dotenv" if dotenv else None)
    assert "variables" in repr(environ)
    assert "sk-of" not in f"{environ}{environ!r}"
    assert "key-of" not in f"{environ}{environ!r}"
