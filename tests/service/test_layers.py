"""What lies under a request: a ring's params in every spelling of the dialect, and what `explain` says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from llmring import LLMRequest, LLMRing, RequestOptions, SamplingParams, Timeouts
from llmring.testing import FakeClock, FakeProvider

MakeRing = Callable[..., LLMRing]


def ring_under(make_ring: MakeRing, fake_provider: FakeProvider, **params: Any) -> LLMRing:
    """A ring whose provider openai is the fake one, with these extra_params as its defaults."""
    providers = {"openai": {"base_url": fake_provider.base_url, "api_key": "k" * 20}}
    return make_ring(providers=providers, defaults=RequestOptions(extra_params=params))


@pytest.mark.spec("A10", "A38")
@pytest.mark.parametrize("default", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("own", ["typed", "max_tokens", "max_completion_tokens"])
async def test_a_cap_of_the_ring_yields_to_the_requests_own_in_whichever_spelling(
    make_ring: MakeRing, fake_provider: FakeProvider, default: str, own: str
) -> None:
    ring = ring_under(make_ring, fake_provider, **{default: 5})
    said = {"max_tokens": 10} if own == "typed" else {"extra_params": {own: 10}}
    await ring.chat(LLMRequest.model_validate({"model": "openai:gpt-x", "messages": "Hi", **said}))
    body = fake_provider.received[0].body
    assert [value for name, value in body.items() if "tokens" in name] == [10]


@pytest.mark.spec("A10")
async def test_a_param_of_the_ring_is_sent_where_the_request_says_nothing(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = ring_under(make_ring, fake_provider, max_tokens=5, logit_bias={"1": 2})
    await ring.chat("openai:gpt-x", "Hi")
    body = fake_provider.received[0].body
    assert (body["max_tokens"], body["logit_bias"]) == (5, {"1": 2})


@pytest.mark.spec("D11", "A38")
@pytest.mark.parametrize("asked", [None, 0.1])
async def test_a_param_of_the_ring_that_the_model_refuses_is_left_out_with_a_warning(
    make_ring: MakeRing, fake_provider: FakeProvider, asked: float | None
) -> None:
    ring = ring_under(make_ring, fake_provider, temperature=0.9)
    response = await ring.chat(LLMRequest(model="openai:o3", messages="Hi", temperature=asked))
    assert "temperature" not in fake_provider.received[0].body
    assert [warning.split()[0] for warning in response.warnings] == ["temperature"]


@pytest.mark.spec("A38")
async def test_stream_options_of_the_ring_go_along_with_what_llmring_asks_for(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = ring_under(make_ring, fake_provider, stream_options={"include_obfuscation": False})
    async for _ in ring.chat_stream("openai:gpt-x", "Hi"):
        pass
    options = fake_provider.received[0].body["stream_options"]
    assert options == {"include_usage": True, "include_obfuscation": False}


class Verdict(BaseModel):
    score: int


@pytest.mark.spec("U45")
async def test_what_explain_says_is_json_data_whatever_was_asked_for(make_ring: MakeRing) -> None:
    ring = make_ring(defaults=RequestOptions(timeout=Timeouts(total=9), response_format=Verdict))
    explained = ring.explain("fast")
    assert json.loads(json.dumps(explained)) == explained
    options = explained["options"]
    assert (options["timeout"]["value"]["total"], options["timeout"]["layer"]) == (9, "instance")
    assert options["response_format"]["value"]["json_schema"]["name"] == "Verdict"


@pytest.mark.spec("U45")
async def test_explain_shows_every_option_of_the_request_and_no_prompt(make_ring: MakeRing) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"default": None}}}]
    ring = make_ring(defaults=RequestOptions(sampling=SamplingParams(strict_tools=True)))
    request = LLMRequest(
        model="fast",
        messages="the launch code is 0000",
        top_k=3,
        frequency_penalty=0.5,
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=tools,
        metadata={"user": "me"},
    )
    options = ring.explain(request)["options"]
    assert {name: entry["layer"] for name, entry in options.items()} == dict.fromkeys(
        ("frequency_penalty", "parallel_tool_calls", "tool_choice", "tools", "top_k"), "request"
    )
    assert options["tools"]["value"][0]["function"] == {"strict": True, "name": "f", "parameters": {"default": None}}
    assert "launch" not in json.dumps(options)


@pytest.mark.spec("A09")
@pytest.mark.parametrize(("default", "own"), [("x-team", "X-TEAM"), ("X-Team", "x-team")])
async def test_a_header_of_the_request_takes_the_place_of_the_rings_whatever_their_case(
    make_ring: MakeRing, fake_provider: FakeProvider, default: str, own: str
) -> None:
    ring = make_ring(defaults=RequestOptions(extra_headers={default: "ring"}))
    request = LLMRequest(model="fast", messages="Hi", extra_headers={own: "request"})
    assert ring.explain(request)["options"] == {f"extra_headers.{own}": {"value": "request", "layer": "request"}}
    await ring.chat(request)
    assert fake_provider.received[0].headers["x-team"] == "request"


@pytest.mark.spec("U46")
async def test_the_alias_cache_is_as_large_and_as_lasting_as_the_ring_was_told(make_ring: MakeRing) -> None:
    clock = FakeClock()
    ring = make_ring(alias_cache_size=1, alias_cache_ttl=5, clock=clock)
    ring.resolve_alias("fast")
    ring.resolve_alias("pool")
    stats = ring.alias_cache_stats()
    assert (stats.size, stats.maxsize, stats.evictions) == (1, 1, 1)
    clock.advance(5)
    assert ring.alias_cache_stats().size == 0

    off = make_ring(alias_cache_size=0)
    off.resolve_alias("fast")
    off.resolve_alias("fast")
    assert off.alias_cache_stats().hits == 0


@pytest.mark.spec("U05", "A08", "U33")
async def test_the_vendors_client_goes_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider
) -> None:
    for name, value in {
        "OPENAI_API_KEY": "key-of-the-environment",
        "OPENAI_BASE_URL": fake_provider.base_url,
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "project-1",
    }.items():
        monkeypatch.setenv(name, value)
    async with LLMRing() as ring:
        client = ring.get_provider("openai").client
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    headers = fake_provider.received[0].headers
    assert headers["authorization"] == "Bearer key-of-the-environment"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "project-1")
