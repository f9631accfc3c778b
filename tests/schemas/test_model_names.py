"""`provider:model` names, and what is known of a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import ConfigurationError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import ModelRef
from llmring.schemas.model_ref import parse_model_ref


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("openai:gpt-5.6-luna", "openai", "gpt-5.6-luna"),
        ("ollama:llama3.2:3b", "ollama", "llama3.2:3b"),
        ("openrouter:meta/llama-4:free", "openrouter", "meta/llama-4:free"),
        ("my_own-1:x", "my_own-1", "x"),
    ],
)
def test_a_name_splits_at_its_first_colon(text: str, provider: str, model: str) -> None:
    assert parse_model_ref(text) == ModelRef(provider, model)
    assert str(ModelRef(provider, model)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        ":",
        "openai:",
        ":gpt",
        "OpenAI:gpt",
        "1x:gpt",
        "a b:gpt",
        "openai:g p",
        "openai:g\n",
        "é:x",
        "a" * 33 + ":x",
    ],
)
def test_what_is_no_name_is_a_configuration_error_that_shows_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write provider:model, such as"):
        parse_model_ref(text)


def test_an_endless_name_is_refused_without_being_repeated_in_full() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_model_ref("openai:" + "x" * 100_000)
    assert len(str(caught.value)) < 300


@given(st.from_regex(r"\A[a-z][a-z0-9_-]{0,31}\Z"), st.from_regex(r"\A[!-~]{1,256}\Z"))
def test_every_name_reads_back_as_itself(provider: str, model: str) -> None:
    ref = ModelRef(provider, model)
    assert parse_model_ref(str(ref)) == ref


def test_what_nobody_said_of_a_model_is_unknown_and_not_zero() -> None:
    info = ModelInfo("openai:x")
    assert (info.caps, info.max_input, info.max_output, info.context_window) == (None, None, None, None)
    assert info.price == {}
