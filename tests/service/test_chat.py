"""`chat`: what goes out, what comes back, and that nothing else is touched."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message, RequestOptions, ServiceClosedError, ToolCall
from llmring.exceptions import ConfigurationError
from llmring.testing import Answer, Exact, FakeProvider


@pytest.mark.spec("U03", "S01", "S02", "S03")
async def test_an_alias_is_answered_by_the_model_it_stands_for(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Hello!", model="m1-2026"))
    response = await ring.chat(LLMRequest(model="fast", messages=[Message(role="user", content="Hi")]))
    assert response.content == response.text == response.completion == "Hello!"
    assert (response.requested_model, response.called_model, response.model) == ("fast", "one:m1", "m1-2026")
    assert (response.provider, response.alias, response.profile) == ("one", "fast", "default")
    assert (response.finish_reason, response.status_code, response.ok) == ("stop", 200, True)
    assert response.to_message() == Message(role="assistant", content="Hello!", model="one:m1")
    assert response.raw["choices"][0]["message"]["content"] == "Hello!"
    assert response.request is not None
    assert response.request.model == "fast"
    received = fake_provider.received[0]
    assert (received.path, received.model) == ("/v1/chat/completions", "m1")


@pytest.mark.spec("U03")
async def test_provider_and_model_are_called_as_named(ring: LLMRing, fake_provider: FakeProvider) -> None:
    response = await ring.chat(LLMRequest(model="two:any:model", messages="Hi"))
    assert fake_provider.received[0].model == "any:model"
    assert (response.alias, response.called_model) == (None, "two:any:model")


@pytest.mark.spec("A36")
async def test_plain_text_is_a_user_message(ring: LLMRing, fake_provider: FakeProvider) -> None:
    await ring.chat("fast", "Hello")
    await ring.chat(LLMRequest(model="fast", messages="Hello"))
    await ring.chat("fast", [{"role": "user", "content": "Hello"}])
    async for _ in ring.chat_stream("fast", "Hello"):
        pass
    assert [r.body["messages"] for r in fake_provider.received] == [[{"role": "user", "content": "Hello"}]] * 4


@pytest.mark.spec("U09", "U32")
async def test_the_profile_is_the_second_argument_as_in_the_seed(ring: LLMRing, fake_provider: FakeProvider) -> None:
    request = LLMRequest(model="fast", messages="Hi")
    assert (await ring.chat(request, "dev")).called_model == "two:m2"
    assert (await ring.chat(request, profile="dev")).called_model == "two:m2"
    assert (await ring.chat("fast", "Hi", "dev")).called_model == "two:m2"
    assert (await ring.chat(request)).called_model == "one:m1"
    with pytest.raises(ConfigurationError, match="twice"):
        await ring.chat(request, "Hi", "dev")  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="no messages"):
        await ring.chat("fast")  # type: ignore[call-overload]


@pytest.mark.spec("U28")
async def test_what_is_not_asked_is_not_sent(ring: LLMRing, fake_provider: FakeProvider) -> None:
    await ring.chat(LLMRequest(model="fast", messages=" white space \n"))
    assert fake_provider.received[0].body == {
        "model": "m1",
        "messages": [{"role": "user", "content": " white space \n"}],
    }
    await ring.chat(LLMRequest(model="fast", messages="Hi", temperature=0.0, top_p=0.0, stop=[]))
    body = fake_provider.received[1].body
    assert (body["temperature"], body["top_p"], body["stop"]) == (0.0, 0.0, [])


@pytest.mark.spec("A25")
async def test_no_token_cap_is_invented(ring: LLMRing, fake_provider: FakeProvider) -> None:
    await ring.chat("fast", "Hi")
    assert not [name for name in fake_provider.received[0].body if "max" in name]
    await ring.chat(LLMRequest(model="fast", messages="Hi", max_tokens=9))
    assert fake_provider.received[1].body["max_tokens"] == 9


@pytest.mark.spec("U27", "E21")
async def test_nothing_of_the_callers_is_changed(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    ring = make_ring(defaults=RequestOptions(temperature=0.5, extra_params={"a": 1}, extra_headers={"X-A": "1"}))
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [dict(ToolCall("c1", "look", {"at": "it"}))]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
    ]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    before = copy.deepcopy((messages, tools))
    request = LLMRequest(model="pool", messages=messages, tools=tools, extra_params={"b": 2})
    request_before = request.model_copy(deep=True)
    fake_provider.script(Exact(status=500), model="m1")
    await ring.chat(request)
    async for _ in ring.chat_stream(request):
        pass
    assert (messages, tools) == before
    assert request == request_before


@pytest.mark.spec("U32")
async def test_concurrent_calls_with_different_profiles_do_not_meet(ring: LLMRing) -> None:
    async def ask(number: int) -> tuple[str, str, str]:
        profile = ("default", "dev")[number % 2]
        response = await ring.chat(LLMRequest(model="fast", messages=f"call {number}"), profile)
        return profile, response.called_model, response.profile or ""

    for profile, model, said in await asyncio.gather(*(ask(number) for number in range(200))):
        assert (model, said) == ({"default": "one:m1", "dev": "two:m2"}[profile], profile)


@pytest.mark.spec("U40", "S10", "P08", "P11")
async def test_usage_and_tool_calls_are_json_data(ring: LLMRing, fake_provider: FakeProvider) -> None:
    wire = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reply = {
        "id": "r",
        "object": "chat.completion",
        "created": 1,
        "model": "m1",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": wire,
    }
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[json.dumps(reply).encode()]))
    response = await ring.chat("fast", "Hi")
    assert json.loads(json.dumps(response.tool_calls)) == [call]
    usage = json.loads(json.dumps(response.usage))
    assert usage == dict(response.usage)
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (100, 20, 120)
    assert (usage["cache_read_tokens"], usage["reasoning_tokens"]) == (60, 5)
    assert usage["cost"] == pytest.approx((40 * 2 + 60 * 0.2 + 20 * 10) / 1e6)
    assert response.tool_calls is not None
    assert response.tool_calls[0].arguments == {"x": 1}
    assert response.tool_calls[0].get("type") == "function"
    assert response.usage.has_cache_hit
    assert response.finish_reason == "tool_calls"
    assert response.content == ""


@pytest.mark.spec("U39")
async def test_the_cost_is_a_dict_of_floats(ring: LLMRing, fake_provider: FakeProvider) -> None:
    response = await ring.chat("fast", "Hi there")
    cost = ring.calculate_cost(response)
    assert cost["total_cost"] * 1.5 == pytest.approx(response.cost * 1.5)  # type: ignore[operator]
    assert cost["reason"] is None
    expected = (response.input_tokens * 2 + response.output_tokens * 10) / 1e6
    assert cost["input_cost"] + cost["output_cost"] == pytest.approx(expected)
    assert set(cost) == {
        "input_cost",
        "output_cost",
        "cache_read_cost",
        "cache_write_cost",
        "reasoning_cost",
        "total_cost",
        "reason",
    }


@pytest.mark.spec("U07", "U39")
async def test_an_unknown_price_is_none_with_a_reason_and_never_zero(ring: LLMRing) -> None:
    response = await ring.chat("free", "Hi")
    cost = ring.calculate_cost(response)
    assert cost["total_cost"] is None
    assert response.cost is None
    assert "one:unpriced" in cost["reason"]
    assert ring.calculate_cost(LLMResponse("made by hand"))["total_cost"] is None


async def test_a_provider_that_reports_no_usage_is_estimated_and_says_so(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    reply = {"id": "r", "model": "m1", "choices": [{"message": {"content": "12345678"}, "finish_reason": "stop"}]}
    fake_provider.script(Exact(headers={"content-type": "application/json"}, chunks=[json.dumps(reply).encode()]))
    usage = (await ring.chat("fast", "1234")).usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (1, 2, True)


@pytest.mark.spec("A19", "U01")
async def test_close_is_idempotent_and_use_after_it_is_a_typed_error(make_ring: Callable[..., LLMRing]) -> None:
    ring = make_ring()
    async with ring as entered:
        assert entered is ring
        await ring.chat("fast", "Hi")
    await ring.close()
    with pytest.raises(ServiceClosedError):
        await ring.chat("fast", "Hi")
    with pytest.raises(ServiceClosedError):
        ring.chat_stream("fast", "Hi")


@pytest.mark.spec("A19", "U01")
async def test_closing_releases_every_socket(make_ring: Callable[..., LLMRing], fake_provider: FakeProvider) -> None:
    ring = make_ring()
    await asyncio.gather(*(ring.chat("fast", "Hi") for _ in range(20)))
    assert fake_provider.open_connections > 0
    await ring.close()
    await fake_provider.wait_disconnected()
    assert fake_provider.open_connections == 0


@pytest.mark.spec("T04", "S01", "S09")
async def test_a_response_survives_the_way_through_json(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("", tool_calls=[{"id": "c", "name": "f", "arguments": "{}"}], reasoning="hm"))
    response = await ring.chat("fast", "Hi")
    data = json.loads(json.dumps(response.to_dict()))
    assert "request" not in data
    assert LLMResponse.from_dict(data) == response
    whole = json.loads(json.dumps(response.to_dict(include_request=True)))
    assert LLMResponse.from_dict(whole).request == response.request


@pytest.mark.spec("S07")
async def test_a_refusal_is_told_apart_from_an_answer(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("", refusal="I cannot help with that."))
    response = await ring.chat(LLMRequest(model="fast", messages="Hi", response_format="json_object"))
    assert response.refusal == "I cannot help with that."
    assert (response.content, response.parsed) == ("", None)


@pytest.mark.spec("D01", "D11")
async def test_what_a_model_forbids_is_left_out_with_one_warning(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    ring = make_ring(providers={"openai": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})
    request = LLMRequest(model="openai:o3-mini", messages="Hi", temperature=0.5, max_tokens=5)
    responses = [await ring.chat(request) for _ in range(3)]
    for response in responses:
        assert len(response.warnings) == 1
        assert "temperature" in response.warnings[0]
    assert fake_provider.received[0].body == {
        "model": "o3-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_completion_tokens": 5,
    }
    assert [record.message for record in caplog.records] == responses[0].warnings
