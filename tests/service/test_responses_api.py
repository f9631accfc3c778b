"""OpenAI's Responses in place of Chat Completions: how it is chosen, and what cannot be had without it."""

from collections.abc import Callable
from typing import Any

import pytest

from llmring import ConfigurationError, LLMRequest, LLMRing, RequestOptions
from llmring.testing import Answer, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
KEY = "sk-openai-0123456789abcdef"


@pytest.fixture
def ask_openai(make_ring: MakeRing, fake_provider: FakeProvider) -> Callable[..., LLMRing]:
    """A ring whose providers openai and azure are the fake one."""

    def make(provider: str = "openai", options: dict[str, Any] | None = None, **given: Any) -> LLMRing:
        settings = {"base_url": fake_provider.base_url, "api_key": KEY, **(options or {})}
        return make_ring(providers={provider: settings}, **given)

    return make


def request(model: str = "openai:gpt-5.4", **fields: Any) -> LLMRequest:
    return LLMRequest(model=model, messages="Hi", **fields)


@pytest.mark.spec("A11")
async def test_chat_completions_are_asked_unless_somebody_says_otherwise(
    ask_openai: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = ask_openai()
    for said in (None, False):
        await ring.chat(request(use_responses_api=said))
    assert [one.path for one in fake_provider.received] == ["/v1/chat/completions"] * 2


@pytest.mark.spec("A11")
@pytest.mark.parametrize("where", ["request", "ring", "provider"])
@pytest.mark.parametrize("provider", ["openai", "azure"])
async def test_responses_is_asked_where_the_request_the_ring_or_the_provider_says_so(
    where: str, provider: str, ask_openai: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer("Hello.", reasoning="Hm."))
    options = {"dialect": "openai_responses"} if where == "provider" else {}
    defaults = {"defaults": RequestOptions(use_responses_api=True)} if where == "ring" else {}
    ring = ask_openai(provider, options, **defaults)
    asked = request(f"{provider}:gpt-5.4", use_responses_api=True if where == "request" else None)

    response = await ring.chat(asked)
    async with ring.chat_stream(asked) as chunks:
        streamed = "".join([chunk.delta async for chunk in chunks])

    assert {one.path.removeprefix("/openai") for one in fake_provider.received} == {"/v1/responses"}
    assert (response.content, response.reasoning, streamed) == ("Hello.", "Hm.", "Hello.")
    assert response.provider == provider


@pytest.mark.spec("A11")
@pytest.mark.parametrize(
    "model",
    [
        "gpt-5-codex",
        "gpt-5.1-codex-max",
        "gpt-5.3-codex",
        "codex-mini-latest",
        "gpt-5.5-pro",
        "o3-pro-2025-06-10",
        "o4-mini-deep-research",
        "computer-use-preview",
        "computer-use-preview-2025-03-11",
    ],
)
async def test_a_model_of_responses_alone_is_refused_before_any_io_and_the_toggle_is_named(
    model: str, ask_openai: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = ask_openai()
    with pytest.raises(ConfigurationError, match="Responses API") as caught:
        await ring.chat(request(f"openai:{model}"))
    with pytest.raises(ConfigurationError):
        async for _ in ring.chat_stream(request(f"openai:{model}")):
            pass
    assert "use_responses_api=True" in (caught.value.hint or "")
    assert fake_provider.received == []

    await ring.chat(request(f"openai:{model}", use_responses_api=True))
    assert fake_provider.received[0].path == "/v1/responses"


@pytest.mark.spec("A11")
async def test_a_provider_without_responses_is_refused_before_any_io(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring()
    with pytest.raises(ConfigurationError, match="Responses API") as caught:
        await ring.chat(request("one:m1", use_responses_api=True))
    assert "openai_responses" in (caught.value.hint or "")
    assert fake_provider.received == []


@pytest.mark.spec("A11")
async def test_working_a_computer_needs_responses(ask_openai: MakeRing, fake_provider: FakeProvider) -> None:
    ring = ask_openai()
    with pytest.raises(ConfigurationError, match="computer_use") as caught:
        await ring.chat(request(computer_use={}))
    assert "use_responses_api=True" in (caught.value.hint or "")
    assert fake_provider.received == []

    await ring.chat(request(computer_use={}, use_responses_api=True))
    assert fake_provider.received[0].body["tools"] == [{"type": "computer"}]


async def test_a_codex_model_on_another_server_is_asked_as_any_other(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    await make_ring().chat(request("one:gpt-5-codex"))
    assert fake_provider.received[0].path == "/v1/chat/completions"


@pytest.mark.spec("D04")
async def test_the_efforts_of_the_model_count(ask_openai: MakeRing, fake_provider: FakeProvider) -> None:
    response = await ask_openai().chat(request("openai:gpt-5.1", reasoning_effort="xhigh", use_responses_api=True))
    body = fake_provider.received[0].body
    assert body["reasoning"] == {"effort": "high"}
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["store"] is False
    assert [warning.split()[0] for warning in response.warnings] == ["reasoning_effort"]


@pytest.mark.spec("S08")
async def test_errors_of_responses_are_read_in_its_own_words(ask_openai: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.status(400, "Too long.", code="context_length_exceeded"))
    with pytest.raises(Exception, match=r"Too long\.") as caught:
        await ask_openai().chat(request(use_responses_api=True))
    assert type(caught.value).__name__ == "ContextLengthError"


async def test_openai_counts_tokens_over_responses_and_embeds_beside_it(
    ask_openai: MakeRing, fake_provider: FakeProvider
) -> None:
    for options in ({}, {"dialect": "openai_responses"}):
        ring = ask_openai(options=options)
        count = await ring.count_tokens(request())
        assert (count.tokens, count.exact, count.source) == (1, True, "provider openai")
    assert {one.path for one in fake_provider.received} == {"/v1/responses/input_tokens"}


async def test_an_answer_of_responses_goes_into_the_next_request_with_its_thinking(
    ask_openai: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = ask_openai(options={"dialect": "openai_responses"})
    call = {"id": "call_1", "name": "now", "arguments": "{}"}
    fake_provider.script(Answer("", reasoning="Hm.", tool_calls=[call]), Answer("Noon."))
    first = await ring.chat(request())
    # The fake provider seals nothing, and nothing is stored: so its thinking stays behind, and is not refused.
    messages = ["Hi", first.to_message(), {"role": "tool", "tool_call_id": "call_1", "content": "12:00"}]
    second = await ring.chat(LLMRequest(model="openai:gpt-5.4", messages=messages))
    assert second.content == "Noon."
    kinds = [item.get("type") for item in fake_provider.received[1].body["input"]]
    assert kinds == [None, "function_call", "function_call_output"]
    assert [warning.split()[0] for warning in second.warnings] == ["thinking"]
