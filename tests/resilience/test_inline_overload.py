"""Errors inside a 200 have no status: what says that it has too much to do is an overload all the same, in every dialect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmring import LLMRequest, LLMRing
from llmring.calls.source import interruption
from llmring.exceptions import (
    InvalidRequestError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
    ResponseTooLargeError,
)
from llmring.resilience.board import Board
from llmring.resilience.outcome import Outcome, judge
from llmring.resilience.policy import BreakerPolicy
from llmring.resilience.target import Target
from llmring.schemas.retry import RetryPolicy
from llmring.testing import FakeClock, FakeProvider, Fault
from llmring.wire.anthropic_messages import failures as anthropic
from llmring.wire.gemini_generate import failures as gemini
from llmring.wire.openai_chat import failures as chat
from llmring.wire.openai_responses import failures as responses

Classify = Callable[[object], ProviderError]

OVERLOADS: list[tuple[Classify, object]] = [
    (anthropic.classify_inline, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
    (gemini.classify_inline, {"error": {"status": "UNAVAILABLE", "message": "x"}}),
    (gemini.classify_inline, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}),
    (chat.classify_inline, {"code": "server_is_overloaded", "message": "x"}),
    (chat.classify_inline, {"code": None, "type": "overloaded_error", "message": "x"}),
    (chat.classify_inline, {"code": "other", "type": "service_unavailable_error", "message": "x"}),
    (chat.classify_inline, {"code": 503, "message": "x"}),
    (responses.classify_inline, {"code": "slow_down", "message": "x"}),
    (responses.classify_inline, {"type": "service_unavailable_error", "code": "server_is_overloaded", "message": "x"}),
]
OTHERS: list[tuple[Classify, object]] = [
    (anthropic.classify_inline, {"type": "error", "error": {"type": "api_error", "message": "overloaded_error"}}),
    (gemini.classify_inline, {"error": {"status": "INTERNAL", "message": "UNAVAILABLE"}}),
    (chat.classify_inline, {"type": "server_error", "message": "slow_down"}),
    (responses.classify_inline, {"code": "server_error", "message": "slow_down"}),
]


@pytest.mark.parametrize(("classify", "error"), OVERLOADS)
def test_an_overload_inside_a_200_counts_as_one(classify: Classify, error: object) -> None:
    found = classify(error)
    assert type(found) is ProviderResponseError
    for told in (found, interruption(found)):  # before the first content, and after it
        assert (judge(told).outcome, judge(told).backoff_s) == (Outcome.OVERLOADED, 1.0)
        assert "overloaded" not in told.facts()


@pytest.mark.parametrize(("classify", "error"), OTHERS)
def test_words_of_a_message_make_no_overload(classify: Classify, error: object) -> None:
    found = classify(error)
    for told in (found, interruption(found)):
        assert judge(told).outcome is Outcome.FAILURE


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize(
    ("dialect", "status", "code"),
    [
        ("anthropic_messages", 529, None),
        ("gemini_generate", 503, None),
        ("openai_chat", 503, None),
        ("openai_responses", 503, "server_is_overloaded"),
    ],
)
async def test_fewer_calls_go_at_once_after_it(
    dialect: str, status: int, code: str | None, stream: bool, fake_provider: FakeProvider
) -> None:
    one = {"base_url": fake_provider.base_url_of(dialect), "auth": "none", "dialect": dialect}
    fake_provider.script(Fault.error_in_stream(0, "Overloaded", status=status, code=code))
    async with LLMRing(providers={"one": one}, retry=RetryPolicy(attempts=1), dotenv=False) as ring:
        request = LLMRequest(model="one:m1", messages="Hi")
        with pytest.raises(ProviderResponseError):
            if stream:
                async for _ in ring.chat_stream(request):
                    pass
            else:
                await ring.chat(request)
        (target,) = ring.health().targets
        assert target.concurrency_limit == 1


# A server's own word that it took too long is none of our clocks -------------------------------------------------------

SAID = "a part of the prompt"
TIMEOUTS: list[tuple[Classify, object]] = [
    (anthropic.classify_inline, {"type": "error", "error": {"type": "timeout_error", "message": SAID}}),
    (gemini.classify_inline, {"error": {"status": "DEADLINE_EXCEEDED", "message": SAID}}),
]


@pytest.mark.parametrize(("classify", "error"), TIMEOUTS)
def test_a_servers_timeout_inside_a_200_is_no_slow_stream_and_is_not_quoted(classify: Classify, error: object) -> None:
    found = classify(error)
    assert type(found) is ProviderTimeoutError
    assert not judge(found).slow
    target = _target()
    target.leave(target.admit(0.0), found, 0.0)
    assert target.model.reason
    assert SAID not in target.model.reason


def _target() -> Target:
    target = Board(FakeClock(), breaker=BreakerPolicy(consecutive_failures=1)).find("one", None, "m1")
    target.quota.in_flight += 1
    return target


@pytest.mark.parametrize(
    "cause", [ResponseTooLargeError("no end"), InvalidRequestError("policy"), ProviderResponseError("x")]
)
def test_what_will_not_get_better_is_not_begun_anew_at_the_same_target(cause: ProviderError) -> None:
    broken = interruption(cause)
    assert broken.retryable is cause.retryable
    assert (judge(broken).backoff_s is None) is not cause.retryable
