"""Base URLs, keys and headers of a provider."""

from __future__ import annotations

from traceback import TracebackException
from typing import Any

import pytest

from llmring.exceptions import ConfigurationError, MissingCredentialError, ProviderAuthenticationError
from llmring.providers.base import BaseLLMProvider, normalize_base_url, ollama_base_url
from llmring.providers.declared import Trust, declare
from llmring.providers.table import PROVIDERS
from llmring.registry.model_info import ModelInfo
from llmring.secret import Scrubber, Secret


def make(name: str, environ: dict[str, str] | None = None, **given: str) -> BaseLLMProvider:
    key = given.get("api_key")
    return BaseLLMProvider(
        PROVIDERS[name],
        environ=environ or {},
        scrubber=Scrubber(),
        api_key=Secret(key) if key else None,
        base_url=given.get("base_url"),
    )


@pytest.mark.spec("A08")
@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_four_spellings_of_a_base_url_are_one(url: str) -> None:
    assert normalize_base_url(url) == "http://h:1/v1"


@pytest.mark.spec("A08")
@pytest.mark.parametrize(
    "url",
    [
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "https://api.groq.com/openai/v1",
        "https://open.bigmodel.cn/api/paas/v4",
    ],
)
def test_a_version_in_the_path_is_kept(url: str) -> None:
    assert normalize_base_url(url + "/") == url


@pytest.mark.parametrize(
    "url", ["h:1", "ftp://h", "http://", "https://user:secret@h", "https://h?key=secret", "http://h:99999", "http://["]
)
def test_what_is_no_base_url_is_refused_without_quoting_a_secret(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalize_base_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.spec("U33")
@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("box", "http://box:11434/api"),
        ("box:1", "http://box:1/api"),
        ("http://box", "http://box:11434/api"),
        ("https://box", "https://box/api"),
        ("0.0.0.0", "http://127.0.0.1:11434/api"),
        ("[::1]:9", "http://[::1]:9/api"),
        ("http://box:1/api/", "http://box:1/api"),
        ("http://box:1/v1", "http://box:1/api"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert ollama_base_url(host) == url
    assert make("ollama", {"OLLAMA_HOST": host}).base_url == url


@pytest.mark.spec("U33")
@pytest.mark.parametrize("host", ["localhost:abc", "::1", "http://[::1", "host:99999", "ftp://host", "http://u:p@host"])
def test_an_ollama_host_that_is_none_is_named_and_does_not_break_repr(host: str) -> None:
    provider = make("ollama", {"OLLAMA_HOST": host})
    with pytest.raises(ConfigurationError, match="OLLAMA_HOST"):
        _ = provider.base_url
    assert "ollama" in repr(provider)


BEARER = ("Authorization", "Bearer ")
VARIABLES = [
    ("openai", "OPENAI_API_KEY", BEARER),
    ("anthropic", "ANTHROPIC_API_KEY", ("x-api-key", "")),
    ("anthropic", "ANTHROPIC_AUTH_TOKEN", BEARER),
    ("google", "GEMINI_API_KEY", ("x-goog-api-key", "")),
    ("google", "GOOGLE_API_KEY", ("x-goog-api-key", "")),
]


@pytest.mark.spec("A07", "U33")
@pytest.mark.parametrize(("name", "variable", "header"), VARIABLES)
def test_the_key_comes_from_the_providers_own_variable(name: str, variable: str, header: tuple[str, str]) -> None:
    provider = make(name, {variable: "key-of-the-environment"})
    assert provider.has_credential()
    keys = {name: value for name, value in provider.headers().items() if "key-of" in value}
    assert keys == {header[0]: f"{header[1]}key-of-the-environment"}


@pytest.mark.spec("A07")
def test_an_explicit_key_wins_over_the_environment() -> None:
    provider = make("openai", {"OPENAI_API_KEY": "from-environment"}, api_key="from-argument")
    assert provider.headers()["Authorization"] == "Bearer from-argument"


@pytest.mark.spec("A07")
@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": "  "}])
def test_a_missing_key_names_the_variable_at_first_use(environ: dict[str, str]) -> None:
    provider = make("openai", environ)
    assert not provider.has_credential()
    with pytest.raises(MissingCredentialError, match="OPENAI_API_KEY"):
        provider.headers()


@pytest.mark.spec("A07")
def test_a_key_that_is_rotated_is_read_at_the_next_call() -> None:
    environ = {"OPENAI_API_KEY": "old-key"}
    provider = make("openai", environ)
    assert provider.headers()["Authorization"] == "Bearer old-key"
    environ["OPENAI_API_KEY"] = "new-key"
    assert provider.headers()["Authorization"] == "Bearer new-key"


@pytest.mark.parametrize("key", ["secret\nX-Evil: 1", "secret-é", "secret\x7f", "secret“"])
def test_a_key_that_no_header_can_hold_is_refused_and_no_frame_shows_it(key: str) -> None:
    provider = make("openai", api_key=key)
    with pytest.raises(ProviderAuthenticationError, match="openai") as caught:
        provider.headers()
    # Not this test's own frame, which holds the key.
    shown = TracebackException(
        type(caught.value),
        caught.value,
        caught.tb.tb_next,
        capture_locals=True,
    )
    text = "".join(shown.format())
    assert "in headers" in text
    assert "secret" not in text


@pytest.mark.spec("A07")
@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_key_is_a_missing_key_and_no_other_is_sent_in_its_place(blank: str) -> None:
    provider = BaseLLMProvider(
        PROVIDERS["openai"],
        environ={"OPENAI_API_KEY": "somebody-elses"},
        scrubber=Scrubber(),
        api_key=Secret(blank),
    )
    assert not provider.has_credential()
    with pytest.raises(MissingCredentialError, match=r"empty.*OPENAI_API_KEY"):
        provider.headers()
    declared = declare("mine", {"base_url": "https://a.example", "api_key": blank}, Trust.CODE)
    own = BaseLLMProvider(declared.row, environ={}, scrubber=Scrubber(), api_key=declared.api_key)
    assert not own.has_credential()
    with pytest.raises(MissingCredentialError, match="empty for provider mine"):
        own.headers()


def test_a_header_variable_is_read_when_the_provider_is_made() -> None:
    environ = {"OPENAI_API_KEY": "k" * 9, "OPENAI_ORG_ID": "org-1"}
    provider = make("openai", environ)
    environ["OPENAI_ORG_ID"] = "org-2"
    assert provider.headers()["OpenAI-Organization"] == "org-1"
    assert make("openai", environ).headers()["OpenAI-Organization"] == "org-2"
    assert "OpenAI-Organization" not in make("openai", {"OPENAI_API_KEY": "k" * 9}).headers()


def test_the_headers_that_are_handed_out_cannot_be_changed() -> None:
    headers: Any = make("openai", api_key="k" * 9).headers()
    with pytest.raises(TypeError):
        headers["Authorization"] = "Bearer evil"


def test_credentials_in_a_providers_own_headers_are_hidden_and_scrubbed() -> None:
    headers = {"X-Gateway-Token": "gateway-credential-0123", "Authorization": "Bearer token-0123456789"}
    declared = declare("gw", {"base_url": "https://a.example", "auth": "none", "extra_headers": headers}, Trust.CODE)
    scrubber = Scrubber()
    BaseLLMProvider(declared.row, environ={}, scrubber=scrubber)
    said = "invalid: gateway-credential-0123; also token-0123456789, and Bearer token-0123456789"
    assert scrubber.scrub_text(said) == "invalid: ***; also ***, and ***"
    assert "0123" not in repr(declared)


@pytest.mark.spec("A08", "U33")
def test_organization_and_project_go_to_openai_alone() -> None:
    environ = {
        "OPENAI_API_KEY": "k" * 9,
        "ANTHROPIC_API_KEY": "k" * 9,
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "p",
    }
    headers = make("openai", environ).headers()
    assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org-1", "p")
    assert not any(name.startswith("OpenAI") for name in make("anthropic", environ).headers())


@pytest.mark.spec("U33")
@pytest.mark.parametrize(
    ("name", "variable"),
    [("openai", "OPENAI_BASE_URL"), ("anthropic", "ANTHROPIC_BASE_URL"), ("google", "GOOGLE_GEMINI_BASE_URL")],
)
def test_base_url_variables_are_the_vendors_own(name: str, variable: str) -> None:
    path = "/v1beta" if name == "google" else "/v1"
    assert make(name, {variable: "http://127.0.0.1:9/"}).base_url == "http://127.0.0.1:9" + path
    assert make(name, {variable: "http://a"}, base_url="http://b").base_url == "http://b" + path


def test_keyless_providers_have_a_credential_and_send_none() -> None:
    provider = make("ollama")
    assert provider.has_credential()
    assert "Authorization" not in provider.headers()


@pytest.mark.spec("D11", "U13")
@pytest.mark.parametrize(
    ("model", "rejects"),
    [
        ("o1", True),
        ("o3-mini", True),
        ("gpt-5", True),
        ("gpt-5-nano", True),
        ("gpt-5-mini-2025-08-07", True),
        ("gpt-5-chat-latest", False),
        ("gpt-5.1", False),
        ("gpt-4.1-mini", False),
        ("omni", False),
    ],
)
def test_models_that_refuse_sampling_parameters_are_known(model: str, rejects: bool) -> None:
    quirks = make("openai").target(model, ModelInfo(f"openai:{model}")).quirks
    assert ("temperature" in quirks.rejected) is rejects
    assert quirks.max_tokens_field == "max_completion_tokens"


@pytest.mark.spec("D11")
@pytest.mark.parametrize(
    ("provider", "model", "rejects"),
    [
        ("anthropic", "claude-haiku-5-5", True),
        ("anthropic", "claude-opus-4-7-20260416", True),
        ("anthropic", "claude-mythos-preview", True),
        ("anthropic", "claude-sonnet-4-6", False),
        ("anthropic", "claude-opus-4-5", False),
        ("google", "gemini-3.5-flash-lite", True),
        ("google", "gemini-3.8-flash", True),
        ("google", "gemini-3.5-flash", False),
        ("google", "gemini-2.5-pro", False),
    ],
)
def test_so_are_those_of_other_vendors(provider: str, model: str, rejects: bool) -> None:
    quirks = make(provider).target(model, ModelInfo(f"{provider}:{model}")).quirks
    assert ("temperature" in quirks.rejected) is rejects


def test_no_key_shows_in_a_providers_repr() -> None:
    provider = make("openai", api_key="sk-very-secret")
    provider.headers()
    assert "secret" not in repr(provider)
