"""Ollama as somebody meets it who set nothing up."""

from __future__ import annotations

import base64

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ModelNotFoundError, ProviderConnectionError
from llmring.schemas.messages import ImagePart, TextPart
from llmring.testing import Answer, FakeProvider, Fault

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")


@pytest.mark.spec("U50")
def test_it_is_where_ollama_serves_and_reads_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.setenv("OLLAMA_API_KEY", "somebody-elses-key")
    provider = LLMRing(dotenv=False).get_provider("ollama")
    assert provider.base_url == "http://127.0.0.1:11434/api"
    assert provider.has_credential()
    assert "somebody" not in str(dict(provider.headers()))


@pytest.mark.spec("U50", "U16")
async def test_it_speaks_its_own_api_where_ollama_host_says(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", fake_provider.url.removeprefix("http://"))
    fake_provider.script(Answer("Hello", reasoning="Hm."))
    async with LLMRing(dotenv=False) as ring:
        request = LLMRequest(
            model="ollama:qwen3", messages="Hi", max_tokens=9, reasoning_effort="none", extra_params={"num_ctx": 64}
        )
        plain = await ring.chat(request)
        async with ring.chat_stream(request) as stream:
            streamed = [chunk.delta async for chunk in stream]
        vectors = await ring.embed("ollama:nomic-embed-text", ["a", "b"], dimensions=4)
    first, second, third = fake_provider.received
    assert (first.path, third.path) == ("/api/chat", "/api/embed")
    assert first.body == {
        "model": "qwen3",
        "messages": [{"role": "user", "content": "Hi"}],
        "think": False,
        "options": {"num_predict": 9, "num_ctx": 64},
        "stream": False,
    }
    assert second.body == first.body | {"stream": True}
    assert "authorization" not in first.headers
    assert (plain.content, plain.reasoning, "".join(streamed)) == ("Hello", "Hm.", "Hello")
    assert [len(vector) for vector in vectors.embeddings] == [4, 4]


@pytest.mark.spec("U50", "U41")
async def test_a_server_that_is_not_there_says_how_to_start_it() -> None:
    async with LLMRing(providers={"ollama": {"base_url": "http://127.0.0.1:9"}}, dotenv=False) as ring:
        with pytest.raises(ProviderConnectionError, match="ollama serve"):
            await ring.chat("ollama:llama3.2", "Hi")


@pytest.mark.spec("U50")
async def test_a_model_that_is_not_there_says_how_to_get_it(fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.status(404, 'model "llama3.2:1b" not found, try pulling it first'))
    async with LLMRing(providers={"ollama": {"base_url": fake_provider.url}}, dotenv=False) as ring:
        with pytest.raises(ModelNotFoundError, match=r"ollama pull llama3\.2:1b"):
            await ring.chat("ollama:llama3.2:1b", "Hi")


@pytest.mark.spec("D04", "U16")
async def test_a_model_with_levels_gets_the_level_and_others_on_or_off(fake_provider: FakeProvider) -> None:
    async with LLMRing(providers={"ollama": {"base_url": fake_provider.url}}, dotenv=False) as ring:
        level = await ring.chat(LLMRequest(model="ollama:gpt-oss:20b", messages="Hi", reasoning_effort="minimal"))
        switch = await ring.chat(LLMRequest(model="ollama:qwen3", messages="Hi", reasoning_effort="high"))
    assert [received.body["think"] for received in fake_provider.received] == ["low", True]
    assert level.warnings == [
        "reasoning_effort 'minimal' was sent as 'low': ollama:gpt-oss:20b does not know that level"
    ]
    assert len(switch.warnings) == 1


@pytest.mark.spec("F15", "U16")
async def test_an_image_goes_along_as_base64(fake_provider: FakeProvider) -> None:
    message = Message.user([TextPart(text="What is it?"), ImagePart(data=PNG)])
    async with LLMRing(
        providers={"mine": {"base_url": fake_provider.url, "dialect": "ollama_chat"}}, dotenv=False
    ) as ring:
        await ring.chat(LLMRequest(model="mine:llava", messages=[message]))
    (received,) = fake_provider.received
    assert received.path == "/api/chat"
    sent = received.body["messages"][0]
    assert sent == {"role": "user", "content": "What is it?", "images": [base64.b64encode(PNG).decode()]}
