"""What a provider of somebody else's raises may quote the prompt or a key: the caller is told, and no gate, no log, no listener."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from typing import Any

import pytest

from llmring import (
    CustomProvider,
    LLMRequest,
    LLMResponse,
    LLMRing,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    RetryPolicy,
    StreamChunk,
)
from llmring.exceptions import ProviderUnreachableError, QuotaExhaustedError, ResponseTooLargeError
from llmring.resilience.breaker import Transition
from llmring.resilience.policy import BreakerPolicy
from llmring.testing import FakeClock

WORDS = "prompt-canary sk-canary-0123456789"
CODE = "code-canary"


class DisguisedError(ProviderConnectionError):
    """Says that it is none of them."""

    @property
    def is_foreign(self) -> bool:
        return False

    @is_foreign.setter
    def is_foreign(self, value: bool) -> None: ...


def odd_status() -> ProviderError:
    error = ProviderConnectionError(WORDS)
    vars(error)["status"] = WORDS
    return error


ERRORS: dict[str, Callable[[], ProviderError]] = {
    "connection": lambda: ProviderConnectionError(WORDS),
    "unreachable": lambda: ProviderUnreachableError(WORDS),
    "timeout": lambda: ProviderTimeoutError(WORDS),
    "too large": lambda: ResponseTooLargeError(WORDS),
    "code": lambda: ProviderResponseError(WORDS, status=500, code=CODE),
    "pause": lambda: ProviderRateLimitError(WORDS, status=429, code=CODE, retry_after_s=600.0),
    "key": lambda: ProviderAuthenticationError(WORDS, status=401, code=CODE),
    "spent": lambda: QuotaExhaustedError(WORDS, code=CODE),
    "status": odd_status,
    "disguised": lambda: DisguisedError(WORDS),
    "disguised, with a code": lambda: DisguisedError(WORDS, code=CODE),
}


class Talkative(CustomProvider):
    name = "talkative"

    def __init__(self, make: Callable[[], ProviderError], *, late: bool) -> None:
        self._make = make
        self._late = late

    async def chat(self, request: LLMRequest, /) -> LLMResponse:
        raise self._make()

    async def chat_stream(self, request: LLMRequest, /) -> AsyncIterable[StreamChunk]:
        if self._late:
            yield StreamChunk.token("Well, ")
        raise self._make()

    async def embed(self, input: Any, options: Any = None, *, model: str | None = None) -> Any:
        raise self._make()


@pytest.mark.spec("Z03", "RT18")
@pytest.mark.parametrize("way", ["chat", "stream", "stream after its first content", "embed"])
@pytest.mark.parametrize("kind", ERRORS)
async def test_what_a_custom_provider_says_is_in_no_reason_and_no_log(
    kind: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Transition] = []
    provider = Talkative(ERRORS[kind], late=way == "stream after its first content")
    breaker = BreakerPolicy(consecutive_failures=1)
    retry = RetryPolicy(attempts=1, max_rate_limit_wait_s=0)
    with caplog.at_level(logging.DEBUG, "llmring"):
        async with LLMRing(
            providers={"talkative": provider},
            breaker=breaker,
            retry=retry,
            on_transition=told.append,
            clock=FakeClock(),
            dotenv=False,
        ) as ring:
            with pytest.raises(ProviderError) as caught:
                async with asyncio.timeout(5):
                    if way == "chat":
                        await ring.chat("talkative:m", "Hi")
                    elif way == "embed":
                        await ring.embed("talkative:m", "Hi")
                    else:
                        async for _ in ring.chat_stream("talkative:m", "Hi"):
                            pass
            health = ring.health()
            with suppress(ProviderError):
                await ring.chat("talkative:m", "Hi")
            shown = f"{told!r} {health!r} {health.to_dict()} {ring.health().to_dict()} {caplog.text}"
    assert told, "a gate is shut, and says why"
    assert all(transition.reason for transition in told)
    for words in (*WORDS.split(), CODE):
        assert words not in shown
    assert "canary" in caught.value.message, "the caller is told"
    assert "is_foreign" not in caught.value.facts()
