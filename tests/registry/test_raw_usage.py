"""What vendors report of a call's tokens, read as one `Usage` whoever reported it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from anthropic.types import Usage as AnthropicUsage
from google.genai.types import GenerateContentResponseUsageMetadata
from ollama import ChatResponse
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from llmring import ConfigurationError, ModelInfo, Usage

PRICE = {"input": Decimal(2), "output": Decimal(10), "cache_read": Decimal("0.2"), "cache_write": Decimal(4)}
CHAT = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
RESPONSES = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}
ANTHROPIC = {
    "input_tokens": 60,
    "cache_read_input_tokens": 40,
    "cache_creation_input_tokens": 0,
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 5},
}
GEMINI = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "candidatesTokenCount": 15,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 120,
}
OLLAMA = {"prompt_eval_count": 100, "prompt_eval_cached_count": 40, "eval_count": 20}


def counts(usage: Usage) -> tuple[int, int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.cache_read_tokens, usage.reasoning_tokens


@pytest.mark.spec("P13")
@pytest.mark.parametrize(
    ("raw", "reasoning"),
    [
        (CHAT, 5),
        (CompletionUsage.model_validate(CHAT), 5),
        (RESPONSES, 5),
        (ResponseUsage.model_validate(RESPONSES), 5),
        (ANTHROPIC, 5),
        (AnthropicUsage.model_validate(ANTHROPIC), 5),
        (GEMINI, 5),
        (GenerateContentResponseUsageMetadata.model_validate(GEMINI), 5),
        (GenerateContentResponseUsageMetadata.model_validate(GEMINI).model_dump(), 5),
        (OLLAMA, 0),
        (Usage(100, 20, cache_read_tokens=40, reasoning_tokens=5), 5),
    ],
    ids=lambda raw: type(raw).__name__,
)
def test_every_dialects_usage_is_read_and_priced(raw: object, reasoning: int) -> None:
    usage = ModelInfo("vendor:model", price=PRICE).parse_usage(raw)
    assert counts(usage) == (100, 20, 40, reasoning)
    # 60 fresh at 2, 40 cached at 0.2, 20 written at 10, a million of each.
    assert usage.cost == pytest.approx((60 * 2 + 40 * 0.2 + 20 * 10) / 1e6)
    assert (usage.input_cost, usage.output_cost) == (pytest.approx(120 / 1e6), pytest.approx(200 / 1e6))


@pytest.mark.spec("P13")
def test_a_whole_reply_of_ollama_is_a_usage_object() -> None:
    reply = ChatResponse.model_validate(
        {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "prompt_eval_count": 3, "eval_count": 2}
    )
    assert counts(ModelInfo("ollama:m").parse_usage(reply)) == (3, 2, 0, 0)


@pytest.mark.spec("P13")
@pytest.mark.parametrize(
    ("model", "raw", "found"),
    [
        # Spelt alike by two vendors; only Anthropic's leave out what the cache had.
        ("anthropic:m", {"input_tokens": 10, "output_tokens": 3}, (10, 3, 0, 0)),
        ("proxy:m", {"input_tokens": 10, "output_tokens": 3, "cache_read_input_tokens": 90}, (100, 3, 90, 0)),
        (
            "proxy:m",
            {"input_tokens": 10, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 2}},
            (10, 3, 0, 2),
        ),
        (
            "proxy:m",
            {"input_tokens": 10, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 2}},
            (10, 3, 0, 2),
        ),
        ("anthropic:m", {**RESPONSES}, (100, 20, 40, 5)),
        # OpenAI's embeddings count no answer.
        ("openai:e", {"prompt_tokens": 8, "total_tokens": 8}, (8, 0, 0, 0)),
    ],
)
def test_usage_that_two_dialects_spell_alike_is_told_by_what_only_one_has(
    model: str, raw: dict[str, Any], found: tuple[int, int, int, int]
) -> None:
    assert counts(ModelInfo(model).parse_usage(raw)) == found


@pytest.mark.spec("P13")
def test_without_prices_usage_has_no_cost_and_the_callers_object_stays_as_it_is() -> None:
    raw = Usage(1, 2, cost=5.0)
    usage = ModelInfo("vendor:model").parse_usage(CHAT)
    assert (usage.cost, usage.input_cost, usage.output_cost) == (None, None, None)
    priced = ModelInfo("vendor:model", price=PRICE).parse_usage(raw)
    assert (priced.cost, raw.cost) == (pytest.approx(22 / 1e6), 5.0)


class Broken:
    def model_dump(self, **_: object) -> object:
        raise RuntimeError("secret-token")


class Odd:
    def model_dump(self, **_: object) -> object:
        return 3


@pytest.mark.spec("P13")
@pytest.mark.parametrize(
    "raw",
    [None, 3, "usage", {}, {"secret-token": 1}, [1], Broken(), Odd()],
    ids=lambda raw: type(raw).__name__ if type(raw).__module__ == __name__ else repr(raw),
)
def test_what_is_no_usage_is_a_typed_error_that_quotes_nothing(raw: object) -> None:
    with pytest.raises(ConfigurationError, match=r"no usage object of any dialect .*response\.usage") as caught:
        ModelInfo("vendor:model").parse_usage(raw)
    assert "secret-token" not in str(caught.value)


@pytest.mark.spec("P13")
def test_a_text_has_a_number_of_tokens_without_a_network() -> None:
    assert ModelInfo("anthropic:claude").count_tokens("x" * 400) == 100
    assert ModelInfo("openai:gpt-4o").count_tokens("a b c d") == 4  # by bytes it would be 2
    assert ModelInfo("openai:gpt-4o").count_tokens("") == 0
