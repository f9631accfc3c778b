"""What only some vendors and models take: tiers, logprobs, a vendor's own options, and how hard a model's name asks it to think."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmring import (
    AnthropicOptions,
    CohereEmbeddingOptions,
    ConfigurationError,
    EmbeddingOptions,
    GoogleOptions,
    LLMRequest,
    LLMRing,
    NotSupportedError,
    OllamaOptions,
    OpenAIOptions,
    RequestOptions,
    SamplingParams,
)
from llmring.testing import Answer, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]

LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "both"
models = ["openai:gpt-x", "anthropic:claude-opus-5"]

[[profiles.default.bindings]]
alias = "thorough"
models = ["openai:gpt-x-high"]

[[profiles.default.bindings]]
alias = "vectors"
models = ["cohere:embed-v4.0", "google:embed-v4.0"]

[[locked]]
id = "openai:gpt-x"
[[locked]]
id = "openai:gpt-y-high"
[[locked]]
id = "openai:gpt-y"
[[locked]]
id = "openai:qwen"
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "llmring.lock"
    path.write_text(LOCK)
    return path


@pytest.fixture
def ring(make_ring: MakeRing, fake_provider: FakeProvider) -> LLMRing:
    names = ("openai", "anthropic", "google", "ollama", "cohere", "again")
    given: dict[str, Any] = {name: {"base_url": fake_provider.base_url, "api_key": "k" * 20} for name in names}
    given["ollama"]["dialect"] = "ollama_chat"
    given["google"]["dialect"] = "gemini_generate"
    given["again"]["like"] = "openai"
    return make_ring(providers=given)


async def body_of(ring: LLMRing, fake_provider: FakeProvider, model: str, **fields: Any) -> dict[str, Any]:
    await ring.chat(LLMRequest(model=model, messages="Hi", **fields))
    return fake_provider.received[-1].body


# Service tiers ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("A13")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tier", ["auto", "default", "flex", "priority"])
async def test_a_tier_goes_into_the_body_of_every_form_of_call(
    ring: LLMRing, fake_provider: FakeProvider, tier: Any, stream: bool
) -> None:
    request = LLMRequest(model="openai:gpt-5", messages="Hi", service_tier=tier)
    if stream:
        response = [chunk async for chunk in ring.chat_stream(request)][-1].data
    else:
        response = await ring.chat(request)
    assert fake_provider.received[0].body["service_tier"] == tier
    assert response.warnings == []


@pytest.mark.spec("A13")
@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("gpt-4o", "flex", "default"),
        ("gpt-4o", "priority", "priority"),
        ("gpt-5-nano", "priority", "default"),
        ("gpt-5-nano", "flex", "flex"),
        ("o1", "flex", "default"),
        ("gpt-x", "flex", "flex"),
    ],
)
async def test_a_tier_that_a_model_does_not_have_is_downgraded_with_one_warning(
    ring: LLMRing, fake_provider: FakeProvider, caplog: pytest.LogCaptureFixture, model: str, asked: Any, sent: str
) -> None:
    with caplog.at_level(logging.WARNING, "llmring"):
        request = LLMRequest(model=f"openai:{model}", messages="Hi", service_tier=asked)
        await ring.chat(request)
        response = await ring.chat(request)
    assert fake_provider.received[-1].body["service_tier"] == sent
    told = ["service_tier" in warning for warning in response.warnings]
    assert told == ([] if asked == sent else [True])
    assert sum("service_tier" in record.message for record in caplog.records) == len(told)


# Logprobs -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("D06")
async def test_logprobs_come_back_as_a_list(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Hi", logprobs=[{"token": "Hi", "logprob": -0.5, "top_logprobs": []}]))
    response = await ring.chat(LLMRequest(model="openai:gpt-4o", messages="Hi", logprobs=True, top_logprobs=20))
    assert fake_provider.received[0].body["top_logprobs"] == 20
    assert response.logprobs is not None
    assert [(item["token"], item["logprob"]) for item in response.logprobs] == [("Hi", -0.5)]


@pytest.mark.spec("D06")
@pytest.mark.parametrize("value", [-1, 21])
def test_there_are_0_to_20_alternatives(value: int) -> None:
    with pytest.raises(ValidationError):
        LLMRequest(model="m", messages="Hi", top_logprobs=value)
    with pytest.raises(ConfigurationError, match="top_logprobs"):
        RequestOptions(top_logprobs=value)


@pytest.mark.spec("D06")
@pytest.mark.parametrize(
    "asked", [{"logprobs": True}, {"top_logprobs": 1}, {"sampling": SamplingParams(logprobs=True)}]
)
@pytest.mark.parametrize("model", ["both", "anthropic:claude-opus-5", "openai:o3"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_pool_with_a_model_that_gives_none_is_an_error_before_anything_is_sent(
    ring: LLMRing, fake_provider: FakeProvider, model: str, asked: dict[str, Any], stream: bool
) -> None:
    request = LLMRequest(model=model, messages="Hi", **asked)
    with pytest.raises(NotSupportedError, match=r"logprobs: (anthropic|openai):\S+ gives none"):
        if stream:
            async with ring.chat_stream(request):
                pass
        else:
            await ring.chat(request)
    assert fake_provider.received == []


@pytest.mark.spec("D06")
async def test_a_provider_that_is_asked_alone_says_so_too(ring: LLMRing, fake_provider: FakeProvider) -> None:
    provider = ring.get_provider("anthropic")
    request = LLMRequest(model="claude-opus-5", messages="Hi", logprobs=True)
    with pytest.raises(NotSupportedError, match="logprobs: anthropic:claude-opus-5 gives none"):
        await provider.chat(request)
    with pytest.raises(NotSupportedError):
        provider.chat_stream(request)
    assert fake_provider.received == []


@pytest.mark.spec("D06")
async def test_no_logprobs_are_no_error_anywhere(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Hi"))
    response = await ring.chat(LLMRequest(model="both", messages="Hi", logprobs=False))
    assert response.logprobs is None


# A suffix that says how hard to think ---------------------------------------------------------------------------------


@pytest.mark.spec("D05")
@pytest.mark.parametrize(
    ("model", "sent", "effort"),
    [
        ("openai:gpt-x-high", "gpt-x", "high"),
        ("openai:gpt-x-minimal", "gpt-x", "minimal"),
        ("openai:gpt-x-none", "gpt-x", "none"),
        ("openai:gpt-x", "gpt-x", None),
        ("openai:gpt-y-high", "gpt-y-high", None),
        ("openai:gpt-y-low", "gpt-y", "low"),
        ("openai:gpt-z-high", "gpt-z-high", None),
        ("openai:qwen-max", "qwen-max", None),
        ("openai:gpt-5.1-codex-max", "gpt-5.1-codex-max", None),
        ("openai:gpt-x-mini", "gpt-x-mini", None),
        ("openai:gpt-5.1-high", "gpt-5.1", "high"),
        ("thorough", "gpt-x", "high"),
    ],
)
@pytest.mark.parametrize("own", [None, "low"])
async def test_a_suffix_is_an_effort_where_the_name_without_it_is_known(
    ring: LLMRing, fake_provider: FakeProvider, model: str, sent: str, effort: str | None, own: Any
) -> None:
    fields = {"use_responses_api": True} if "codex" in model else {}
    body = await body_of(ring, fake_provider, model, reasoning_effort=own, **fields)
    found = body["reasoning"]["effort"] if "reasoning" in body else body.get("reasoning_effort")
    assert (body["model"], found) == (sent, own or effort)


# What each level becomes, where something other than the level itself is sent; None: left out.
EFFORTS: dict[str, dict[str, Any]] = {
    "openai:gpt-5": {"none": "minimal", "minimal": "minimal", "high": "high", "xhigh": "high", "max": "high"},
    "openai:gpt-5.1": {"none": "none", "minimal": "low", "high": "high", "max": "high"},
    "openai:gpt-4o": {"none": None, "minimal": None, "high": None, "max": None},
    "anthropic:claude-opus-5": {"none": "disabled", "minimal": "low", "high": "high", "xhigh": "xhigh", "max": "max"},
    "anthropic:claude-fable-5": {"none": "low", "high": "high"},
    "google:gemini-2.5-flash": {"none": 0, "minimal": 1024, "high": 24576},
    "google:gemini-2.5-pro": {"none": 128, "high": 24576},
    "google:gemini-3-pro-preview": {"none": "LOW", "minimal": "LOW", "high": "HIGH", "max": "HIGH"},
    "ollama:qwen3": {"none": False, "high": True},
}
# Those that are sent as something else than was asked for, so that the response says so.
TOLD = {
    ("openai:gpt-5", "none"),
    ("openai:gpt-5", "xhigh"),
    ("openai:gpt-5", "max"),
    ("openai:gpt-5.1", "minimal"),
    ("openai:gpt-5.1", "max"),
    ("openai:gpt-4o", "minimal"),
    ("openai:gpt-4o", "high"),
    ("openai:gpt-4o", "max"),
    ("anthropic:claude-opus-5", "minimal"),
    ("anthropic:claude-fable-5", "none"),
    ("google:gemini-2.5-pro", "none"),
    ("google:gemini-3-pro-preview", "none"),
    ("google:gemini-3-pro-preview", "minimal"),
    ("google:gemini-3-pro-preview", "max"),
    ("ollama:qwen3", "high"),
}


def effort_in(body: dict[str, Any]) -> Any:
    match body:
        case {"reasoning_effort": level} | {"output_config": {"effort": level}} | {"think": level}:
            return level
        case {"thinking": {"type": "disabled"}}:
            return "disabled"
        case {"generationConfig": {"thinkingConfig": {"thinkingBudget": level}}}:
            return level
        case {"generationConfig": {"thinkingConfig": {"thinkingLevel": level}}}:
            return level
        case _:
            return None


@pytest.mark.spec("D04")
@pytest.mark.parametrize(("model", "asked"), [(model, asked) for model, levels in EFFORTS.items() for asked in levels])
async def test_every_effort_is_said_in_the_vendors_words_or_the_nearest_with_a_warning(
    ring: LLMRing, fake_provider: FakeProvider, model: str, asked: Any
) -> None:
    response = await ring.chat(LLMRequest(model=model, messages="Hi", reasoning_effort=asked))
    assert effort_in(fake_provider.received[0].body) == EFFORTS[model][asked]
    assert any("reasoning_effort" in warning for warning in response.warnings) is ((model, asked) in TOLD)


# A vendor's own options -----------------------------------------------------------------------------------------------


@pytest.mark.spec("A28")
@pytest.mark.parametrize(
    ("model", "options", "added"),
    [
        (
            "openai:gpt-x",
            OpenAIOptions(store=False, verbosity="low", prompt_cache_key="k", metadata={"run": "7"}, logit_bias={"5": -100}),
            {"store": False, "verbosity": "low", "prompt_cache_key": "k", "metadata": {"run": "7"}, "logit_bias": {"5": -100}},
        ),
        ("again:gpt-x", OpenAIOptions(safety_identifier="u1"), {"safety_identifier": "u1"}),
        (
            "anthropic:claude-opus-5",
            AnthropicOptions(container="c_1", inference_geo="eu", user_id="u1"),
            {"container": "c_1", "inference_geo": "eu", "metadata": {"user_id": "u1"}},
        ),
        (
            "google:gemini-x",
            GoogleOptions(cached_content="cachedContents/1", safety_settings=[{"category": "a", "threshold": "b"}]),
            {"cachedContent": "cachedContents/1", "safetySettings": [{"category": "a", "threshold": "b"}]},
        ),
        ("google:gemini-x", GoogleOptions(media_resolution="MEDIA_RESOLUTION_LOW"), {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}}),
        ("ollama:llama", OllamaOptions(num_ctx=8192, keep_alive="5m"), {"options": {"num_ctx": 8192}, "keep_alive": "5m"}),
    ],
    ids=["OpenAI", "another OpenAI", "Anthropic", "Google", "Google's config", "Ollama"],
)  # fmt: skip
async def test_a_vendors_options_stand_in_the_body_under_the_vendors_names(
    ring: LLMRing, fake_provider: FakeProvider, model: str, options: Any, added: dict[str, Any]
) -> None:
    bare = await body_of(ring, fake_provider, model)
    assert await body_of(ring, fake_provider, model, provider_options=options) == {**bare, **added}


@pytest.mark.spec("A28")
async def test_in_responses_they_stand_where_responses_has_them(ring: LLMRing, fake_provider: FakeProvider) -> None:
    options = OpenAIOptions(verbosity="low", previous_response_id="r_1", reasoning_summary="auto")
    body = await body_of(ring, fake_provider, "openai:gpt-5", use_responses_api=True, reasoning_effort="low", provider_options=options)  # fmt: skip
    assert body["text"]["verbosity"] == "low"
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["previous_response_id"] == "r_1"


@pytest.mark.spec("A28")
async def test_beta_names_join_those_that_are_sent_anyway(ring: LLMRing, fake_provider: FakeProvider) -> None:
    options = AnthropicOptions(betas=["a-1", "b-2"])
    request = {"provider_options": options, "extra_headers": {"Anthropic-Beta": "c-3"}}
    await body_of(ring, fake_provider, "anthropic:claude-opus-5", **request)
    assert fake_provider.received[0].headers["anthropic-beta"].replace(" ", "") == "a-1,b-2,c-3"


@pytest.mark.spec("A28")
@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("openai:gpt-x", AnthropicOptions(speed="fast"), "AnthropicOptions is for anthropic"),
        ("anthropic:claude-opus-5", OpenAIOptions(store=False), "OpenAIOptions is for azure, openai"),
        ("openai:gpt-x", OpenAIOptions(previous_response_id="r"), "previous_response_id: openai_chat has no words"),
    ],
)
async def test_options_of_another_vendor_are_refused_before_anything_is_sent(
    ring: LLMRing, fake_provider: FakeProvider, model: str, options: Any, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await body_of(ring, fake_provider, model, provider_options=options)
    assert fake_provider.received == []


@pytest.mark.spec("A28")
async def test_a_fallback_of_another_vendor_goes_without_them_and_says_so(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(503), model="gpt-x")
    request = LLMRequest(model="both", messages="Hi", provider_options=OpenAIOptions(store=False))
    response = await ring.chat(request)
    assert [received.body.get("store") for received in fake_provider.received] == [False, None]
    assert response.provider == "anthropic"
    assert [warning.split(":")[0] for warning in response.warnings] == ["provider_options was left out"]


@pytest.mark.spec("A28", "A38")
async def test_options_and_params_that_contradict_each_other_are_an_error(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    options = OpenAIOptions(store=False, metadata={"a": "1"})
    body = await body_of(
        ring, fake_provider, "openai:gpt-x", provider_options=options, extra_params={"store": False, "metadata": {"b": "2"}}
    )  # fmt: skip
    assert (body["store"], body["metadata"]) == (False, {"a": "1", "b": "2"})
    with pytest.raises(ConfigurationError, match="'store' is also said by OpenAIOptions"):
        await body_of(ring, fake_provider, "openai:gpt-x", provider_options=options, extra_params={"store": True})


@pytest.mark.spec("A28")
def test_a_request_with_options_survives_json_and_a_misspelt_one_is_refused() -> None:
    request = LLMRequest(model="m", messages="Hi", provider_options=OllamaOptions(num_ctx=5))
    assert LLMRequest.model_validate_json(request.model_dump_json()) == request
    with pytest.raises(ValidationError, match="num_ctxt"):
        LLMRequest.model_validate(
            {"model": "m", "messages": "Hi", "provider_options": {"vendor": "ollama", "num_ctxt": 5}}
        )


@pytest.mark.spec("A28")
async def test_coheres_options_reach_its_embeddings_alone(ring: LLMRing, fake_provider: FakeProvider) -> None:
    own = CohereEmbeddingOptions(max_tokens=100, priority=9)
    options = EmbeddingOptions(input_type="query", provider_options=own)
    await ring.embed("vectors", "Hi", options)
    assert {name: fake_provider.received[0].body[name] for name in ("max_tokens", "priority")} == {
        "max_tokens": 100,
        "priority": 9,
    }
    with pytest.raises(ConfigurationError, match="CohereEmbeddingOptions is for cohere"):
        await ring.embed("google:gemini-embedding-001", "Hi", options)
    fake_provider.script(Fault.status(503), Answer(), model="embed-v4.0")
    fell_over = await ring.embed("vectors", "Hi", EmbeddingOptions(provider_options=own, input_type="query"))
    assert fell_over.provider == "google"
    assert "max_tokens" not in fake_provider.received[-1].body
    assert any("CohereEmbeddingOptions is not for google" in warning for warning in fell_over.warnings)


# A ring's own options -------------------------------------------------------------------------------------------------


@pytest.mark.spec("A27")
def test_a_ring_tells_its_defaults(make_ring: MakeRing) -> None:
    options = RequestOptions(temperature=0.5, tools=[{"type": "web_search"}], prompt_cache="automatic")
    assert make_ring(defaults=options).request_options() == options
    assert make_ring().request_options() == RequestOptions()


@pytest.mark.spec("A23")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("own", "sent"), [(None, ["END"]), (["STOP"], ["STOP"]), ("X", ["X"]), ([], None)])
async def test_stop_sequences_of_a_ring_go_into_every_request_unless_it_has_its_own(
    make_ring: MakeRing, fake_provider: FakeProvider, own: Any, sent: list[str] | None, stream: bool
) -> None:
    ring = make_ring(defaults=RequestOptions(stop=["END"]))
    request = LLMRequest(model="one:m1", messages="Hi", stop=own)
    if stream:
        async for _ in ring.chat_stream(request):
            pass
    else:
        await ring.chat(request)
    assert (fake_provider.received[0].body.get("stop") or None) == sent


@pytest.mark.spec("A23")
@pytest.mark.parametrize(("model", "sent"), [("gpt-5-mini", None), ("o3", None), ("o3-mini", ["END"]), ("o1", ["END"])])
async def test_a_model_that_refuses_stop_sequences_is_asked_without_and_the_response_says_so(
    ring: LLMRing, fake_provider: FakeProvider, model: str, sent: list[str] | None
) -> None:
    response = await ring.chat(LLMRequest(model=f"openai:{model}", messages="Hi", stop=["END"]))
    assert fake_provider.received[0].body.get("stop") == sent
    assert [warning.split()[0] for warning in response.warnings] == ([] if sent else ["stop"])
