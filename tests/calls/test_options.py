"""A ring's defaults under a request's own values."""

from __future__ import annotations

from typing import Any

import pytest

from llmring.calls.options import Defaults
from llmring.exceptions import ConfigurationError
from llmring.schemas.request import ComputerUse, LLMRequest, RequestOptions, SamplingParams, Timeouts
from llmring.schemas.retry import RetryPolicy

TOOL = {"type": "function", "function": {"name": "look"}}

VALUES: dict[str, tuple[Any, Any]] = {
    "temperature": (0.1, 0.0),
    "top_p": (0.9, 0.0),
    "max_tokens": (10, 20),
    "stop": (["a"], []),
    "response_format": ("json_object", "text"),
    "reasoning_effort": ("low", "none"),
    "logprobs": (True, False),
    "top_logprobs": (3, 0),
    "seed": (1, 0),
    "top_k": (40, 1),
    "frequency_penalty": (0.5, 0.0),
    "presence_penalty": (0.5, 0.0),
    "parallel_tool_calls": (True, False),
    "service_tier": ("flex", "default"),
    "tools": ([TOOL], []),
    "prompt_cache": ("automatic", "tools_only"),
    "prompt_cache_ttl": ("1h", "5m"),
    "computer_use": (ComputerUse(), ComputerUse(display_width=800)),
    "use_responses_api": (True, False),
    "background": (True, False),
    "timeout": (5.0, Timeouts(total=1)),
    "deadline": (9.0, 1.0),
    "retry": (RetryPolicy(attempts=1), RetryPolicy(attempts=2)),
    "on_interrupt": ("restart", "raise"),
    "hide_thinking": (True, False),
}


@pytest.mark.spec("U45", "A17", "A27")
@pytest.mark.parametrize("name", VALUES)
def test_a_default_fills_what_the_request_leaves_open_and_yields_to_what_it_says(name: str) -> None:
    default, own = VALUES[name]
    defaults = Defaults(RequestOptions(**{name: default}))
    silent = LLMRequest.model_validate({"model": "m", "messages": "hi"})
    telling = LLMRequest.model_validate({"model": "m", "messages": "hi", name: own})
    assert getattr(defaults.lay_under(silent), name) == default
    assert getattr(defaults.lay_under(telling), name) == own, "a falsy value is a value"
    assert getattr(silent, name) is None, "the request is not changed"


@pytest.mark.spec("U45", "A27")
def test_every_default_of_the_option_object_is_tried_above() -> None:
    assert set(VALUES) | {"extra_params", "extra_headers", "sampling"} == set(RequestOptions.__dataclass_fields__)


@pytest.mark.spec("U45", "D12")
def test_sampling_fills_in_and_direct_settings_win_over_it() -> None:
    sampling = SamplingParams(temperature=0.5, top_p=0.25, max_new_tokens=7, json_mode=True)
    request = Defaults(RequestOptions(sampling=sampling, temperature=0.75)).lay_under(
        LLMRequest.model_validate({"model": "m", "messages": "hi"})
    )
    assert (request.temperature, request.top_p, request.max_tokens) == (0.75, 0.25, 7)
    assert request.response_format == "json_object"


@pytest.mark.spec("U45", "D12")
def test_strict_tools_are_marked_where_the_tool_does_not_say_it_itself() -> None:
    tools = [{"type": "function", "function": {"name": "a"}}, {"function": {"name": "b", "strict": False}}]
    request = LLMRequest(model="m", messages="hi", tools=tools)
    laid = Defaults(RequestOptions(sampling=SamplingParams(strict_tools=True))).lay_under(request)
    assert laid.tools is not None
    assert [tool["function"]["strict"] for tool in laid.tools] == [True, False]
    assert request.tools == tools
    assert "strict" not in tools[0]["function"]


@pytest.mark.spec("D07", "A27")
def test_tools_of_the_ring_are_marked_as_well() -> None:
    options = RequestOptions(tools=[TOOL], sampling=SamplingParams(strict_tools=False))
    laid = Defaults(options).lay_under(LLMRequest(model="m", messages="hi"))
    assert laid.tools == [{"type": "function", "function": {"name": "look", "strict": False}}]
    assert "strict" not in TOOL["function"]


@pytest.mark.spec("A27")
def test_a_screen_is_1024_by_768_unless_it_is_said() -> None:
    screen = ComputerUse()
    assert (screen.display_width, screen.display_height) == (1024, 768)


@pytest.mark.spec("U45", "A09")
def test_headers_merge_key_by_key_whatever_their_case() -> None:
    defaults = Defaults(RequestOptions(extra_headers={"X-A": "1", "X-B": "1"}))
    request = LLMRequest(model="m", messages="hi", extra_headers={"x-a": "2"})
    assert defaults.lay_under(request).extra_headers == {"X-B": "1", "x-a": "2"}
    assert request.extra_headers == {"x-a": "2"}


@pytest.mark.spec("U45")
def test_layers_tell_where_each_value_comes_from() -> None:
    options = RequestOptions(temperature=0.5, seed=1, extra_params={"a": 1, "b": 1}, extra_headers={"X-A": "1"})
    request = LLMRequest.model_validate({"model": "m", "messages": "hi", "seed": 2, "extra_params": {"b": 2}})
    assert Defaults(options).layers(request) == {
        "temperature": (0.5, "instance"),
        "seed": (2, "request"),
        "extra_params.a": (1, "instance"),
        "extra_params.b": (2, "request"),
        "extra_headers.X-A": ("1", "instance"),
    }


@pytest.mark.parametrize("name", ["model", "messages", "stream"])
def test_reserved_params_are_refused_as_defaults_too(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"RequestOptions\.extra_params: .*reserved"):
        RequestOptions(extra_params={name: 1})


@pytest.mark.spec("A09")
@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Cookie"])
def test_credentials_are_no_default_headers(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"RequestOptions\.extra_headers: .*credential"):
        RequestOptions(extra_headers={name: "secret"})


@pytest.mark.spec("U45")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "hot"),
        ("temperature", -1),
        ("top_p", 2),
        ("max_tokens", -5),
        ("stop", 3),
        ("timeout", 0),
        ("deadline", float("nan")),
        ("service_tier", "first class"),
        ("extra_params", "x"),
        ("extra_headers", {"X-A": 5}),
        ("extra_headers", {"Host": "evil.example"}),
        ("sampling", "hot"),
    ],
)
def test_a_default_that_no_request_would_take_is_named_when_it_is_given(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^RequestOptions\.{name}: "):
        RequestOptions(**{name: value})


@pytest.mark.spec("U45", "D12")
def test_sampling_of_the_defaults_is_read_as_a_requests_is() -> None:
    with pytest.raises(ConfigurationError, match=r"RequestOptions\.temperature: "):
        RequestOptions(sampling=SamplingParams(temperature=-1))


@pytest.mark.spec("U45")
def test_a_default_yields_to_the_requests_own_extra_params() -> None:
    defaults = Defaults(RequestOptions(temperature=0.2, max_tokens=5, seed=1))
    request = LLMRequest(model="m", messages="hi", extra_params={"temperature": 0.9, "max_completion_tokens": 9})
    laid = defaults.lay_under(request)
    assert (laid.temperature, laid.max_tokens, laid.seed) == (None, None, 1)


@pytest.mark.spec("U45")
def test_no_request_shares_a_list_with_the_defaults() -> None:
    mine = ["a"]
    defaults = Defaults(RequestOptions(stop=mine))
    mine.append("mine")
    request = LLMRequest(model="m", messages="hi")
    laid = defaults.lay_under(request)
    assert laid.stop is not None
    laid.stop.append("theirs")
    assert defaults.lay_under(request).stop == ["a"]


@pytest.mark.spec("U45")
def test_defaults_that_are_no_options_are_refused() -> None:
    given: Any = {"temperature": 1}
    with pytest.raises(ConfigurationError, match="RequestOptions is wanted, not dict"):
        Defaults(given)
