"""The vendors that speak OpenAI's dialect: each row goes where its vendor says, with its key, and in its vendor's words."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing
from llmring.exceptions import MissingCredentialError
from llmring.providers.compatible import COMPATIBLE_ROWS
from llmring.providers.table import PROVIDERS
from llmring.testing import Answer, FakeProvider

# Base URL and key variable as each vendor's own client (openrouter 1.3.84, groq 1.7.0, mistralai 3.7.0, together 3.1.1, fireworks-ai
# 1.2.30, cerebras-cloud-sdk 1.91.0) or page has them (https://api-docs.deepseek.com, https://docs.x.ai, https://build.nvidia.com),
# 2026-11-21.
DOCUMENTED = {
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": ("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "together": ("https://api.together.ai/v1", "TOGETHER_API_KEY"),
    "fireworks": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "xai": ("https://api.x.ai/v1", "XAI_API_KEY"),
    "nvidia": ("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
}
LOCAL = {"llamacpp": 8080, "vllm": 8000, "lmstudio": 1234}


def test_every_row_is_in_the_table_and_documented_here() -> None:
    assert {row.name for row in COMPATIBLE_ROWS} == set(DOCUMENTED)
    assert set(DOCUMENTED) | set(LOCAL) <= set(PROVIDERS)


@pytest.mark.spec("U21")
@pytest.mark.parametrize("name", DOCUMENTED)
async def test_a_request_goes_to_the_documented_path_with_the_documented_header(
    name: str, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url, variable = DOCUMENTED[name]
    assert PROVIDERS[name].base_url == base_url
    monkeypatch.setenv(variable, f"key-of-{name}")
    host = base_url.split("/")[2]
    moved = fake_provider.url + base_url.partition(host)[2]
    async with LLMRing(providers={name: {"base_url": fake_provider.url}}, dotenv=False) as ring:
        assert ring.get_provider(name).base_url == moved
        answer = await ring.chat(LLMRequest(model=f"{name}:some-model", messages="Hi", max_tokens=9))
    (received,) = fake_provider.received
    assert received.path == base_url.partition(host)[2] + "/chat/completions"
    assert received.headers["authorization"] == f"Bearer key-of-{name}"
    cap = PROVIDERS[name].quirks.max_tokens_field
    assert received.body == {"model": "some-model", "messages": [{"role": "user", "content": "Hi"}], cap: 9}
    assert answer.content


@pytest.mark.spec("U21")
@pytest.mark.parametrize("name", DOCUMENTED)
async def test_without_its_key_a_vendor_is_not_called(
    name: str, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = DOCUMENTED[name][1]
    monkeypatch.delenv(variable, raising=False)
    async with LLMRing(providers={name: {"base_url": fake_provider.url}}, dotenv=False) as ring:
        with pytest.raises(MissingCredentialError, match=variable):
            await ring.chat(f"{name}:some-model", "Hi")
    assert fake_provider.received == []


# What is asked of a model of a vendor, and what the body says of it beside model and messages.
WORDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "openrouter:anthropic/claude-opus-5",
        {"max_tokens": 9, "reasoning_effort": "xhigh"},
        {"max_completion_tokens": 9, "reasoning_effort": "xhigh"},
    ),
    ("groq:llama-3.3-70b-versatile", {"top_k": 5, "max_tokens": 9}, {"max_completion_tokens": 9}),
    ("groq:qwen/qwen3-32b", {"reasoning_effort": "none"}, {"reasoning_effort": "none", "reasoning_format": "parsed"}),
    ("groq:qwen/qwen3-32b", {"extra_params": {"reasoning_format": "hidden"}}, {"reasoning_format": "hidden"}),
    ("groq:openai/gpt-oss-20b", {"reasoning_effort": "max"}, {"reasoning_effort": "high"}),
    ("mistral:mistral-small-latest", {"seed": 7, "service_tier": "flex"}, {"random_seed": 7}),
    ("deepseek:deepseek-chat", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    ("deepseek:deepseek-chat", {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}),
    ("together:Qwen/Qwen3.5-9B", {"reasoning_effort": "none"}, {"reasoning": {"enabled": False}}),
    ("fireworks:accounts/fireworks/models/gpt-oss-120b", {"reasoning_effort": "none"}, {"reasoning_effort": "low"}),
    ("xai:grok-4.3", {"reasoning_effort": "none", "stop": ["x"]}, {"reasoning_effort": "none"}),
    ("xai:grok-4.20-reasoning", {"reasoning_effort": "high", "presence_penalty": 0.5}, {}),
    ("xai:grok-4.20-non-reasoning", {"reasoning_effort": "none", "presence_penalty": 0.5}, {"presence_penalty": 0.5}),
    ("nvidia:nvidia/nemotron-3", {"max_tokens": 9}, {"max_tokens": 9}),
    (
        "cerebras:gpt-oss-120b",
        {"top_k": 5, "max_tokens": 9, "reasoning_effort": "max"},
        {"max_completion_tokens": 9, "reasoning_effort": "high"},
    ),
]


@pytest.mark.spec("U21", "D04", "D02")
@pytest.mark.parametrize(("model", "asked", "wanted"), WORDS, ids=[f"{model} {[*asked]}" for model, asked, _ in WORDS])
async def test_a_vendor_is_asked_in_its_own_words(
    model: str, asked: dict[str, Any], wanted: dict[str, Any], fake_provider: FakeProvider
) -> None:
    name = model.partition(":")[0]
    row = {"base_url": fake_provider.url, "api_key": f"key-of-{name}"}
    async with LLMRing(providers={name: row}, dotenv=False) as ring:
        await ring.chat(LLMRequest(model=model, messages="Hi", **asked))
    (received,) = fake_provider.received
    assert {k: v for k, v in received.body.items() if k not in ("model", "messages")} == wanted


@pytest.mark.spec("U21")
@pytest.mark.parametrize("name", ["deepseek", "fireworks", "mistral", "openrouter"])
async def test_thinking_goes_back_to_the_vendors_that_want_it(name: str, fake_provider: FakeProvider) -> None:
    fake_provider.script(
        Answer("", reasoning="Ask.", tool_calls=[{"id": "c", "name": "f", "arguments": "{}"}]), Answer("Done.")
    )
    row = {"base_url": fake_provider.url, "api_key": f"key-of-{name}"}
    async with LLMRing(providers={name: row}, dotenv=False) as ring:
        first = await ring.chat(LLMRequest(model=f"{name}:m", messages="Hi"))
        result = {"role": "tool", "tool_call_id": "c", "content": "1"}
        second = await ring.chat(LLMRequest(model=f"{name}:m", messages=["Hi", first.to_message(), result]))
    sent = fake_provider.received[1].body["messages"][1]
    assert sent.pop("tool_calls")[0]["id"] == "c"
    assert second.warnings == []
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "Ask."}]}
    forms: dict[str, dict[str, Any]] = {
        "mistral": {"content": [chunk]},
        "openrouter": {"content": None, "reasoning": "Ask."},
    }
    assert sent == {"role": "assistant", **forms.get(name, {"content": None, "reasoning_content": "Ask."})}


@pytest.mark.spec("U21")
async def test_any_other_server_needs_a_base_url_alone(fake_provider: FakeProvider) -> None:
    async with LLMRing(providers={"mine": {"base_url": fake_provider.url}}, dotenv=False) as ring:
        await ring.chat("mine:some-model", "Hi")
    (received,) = fake_provider.received
    assert received.path == "/v1/chat/completions"
    assert "authorization" not in received.headers


async def test_googles_seals_go_back_where_google_is_asked_in_openais_words() -> None:
    url = "https://generativelanguage.googleapis.com/v1beta/openai"
    async with LLMRing(providers={"mine": {"base_url": url}, "other": {"base_url": "https://example.com"}}) as ring:
        assert ring.get_provider("mine").row.quirks.extra_content
        assert not ring.get_provider("other").row.quirks.extra_content


@pytest.mark.spec("U21")
@pytest.mark.parametrize("name", LOCAL)
def test_local_servers_need_no_key(name: str) -> None:
    row = PROVIDERS[name]
    assert row.local
    assert row.base_url.endswith(f":{LOCAL[name]}/v1")
    assert LLMRing(dotenv=False).get_provider(name).has_credential()


@pytest.mark.spec("U54")
async def test_lm_studio_works_with_nothing_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 1234))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                pytest.skip("somebody listens on LM Studio's port")
            raise
    async with FakeProvider(port=1234) as fake, LLMRing(dotenv=False) as ring:
        answer = await ring.chat("lmstudio:qwen2.5-coder-7b", "Hi")
    (received,) = fake.received
    assert answer.content
    assert (received.path, received.model) == ("/v1/chat/completions", "qwen2.5-coder-7b")
    assert received.headers["authorization"] == "Bearer lm-studio"
    assert PROVIDERS["lmstudio"].base_url == "http://localhost:1234/v1"


@pytest.mark.spec("U54")
async def test_a_key_for_lm_studio_takes_the_placeholders_place(fake_provider: FakeProvider) -> None:
    row = {"base_url": fake_provider.url, "api_key": "a-real-token"}
    async with LLMRing(providers={"lmstudio": row}, dotenv=False) as ring:
        await ring.chat("lmstudio:m", "Hi")
    assert fake_provider.received[0].headers["authorization"] == "Bearer a-real-token"
