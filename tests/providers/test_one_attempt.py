"""One attempt is one HTTP request: nothing below llmring's own retries sends anything twice."""

from __future__ import annotations

from typing import Any

import pytest

from llmring import LLMRing, ProviderError, RetryPolicy
from llmring.providers.table import PROVIDERS
from llmring.testing import FakeProvider, Fault

# Those that are called with a key; a token of Google's takes a request of its own, to somebody else.
NAMES = [row.name for row in PROVIDERS.values() if row.auth != "google_adc" and row.dialect != "cohere_embed"]
# One attempt of ours, no wait for a rate limit: what comes beyond that is somebody else's.
ONE = RetryPolicy(attempts=1, max_rate_limit_wait_s=0)
FAILURES = {
    "busy": Fault.status(429, headers={"retry-after": "0"}),
    "overloaded": Fault.status(503, headers={"retry-after": "0"}),
    "broken": Fault.close_before_reply(),
    "garbage": Fault.garbage(),
}


@pytest.mark.spec("B12")
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", NAMES)
async def test_a_call_that_fails_was_one_request(fake_provider: FakeProvider, name: str, failure: str) -> None:
    fake_provider.script(FAILURES[failure])
    options: dict[str, Any] = {"base_url": fake_provider.url, "api_key": "k" * 9}
    async with LLMRing(providers={name: options}, retry=ONE) as ring:
        with pytest.raises(ProviderError):
            await ring.chat(f"{name}:m", "Hi")
    assert len(fake_provider.received) == 1


@pytest.mark.spec("B12")
async def test_so_was_one_that_is_signed(fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "k" * 20)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    fake_provider.script(Fault.status(503))
    async with LLMRing(providers={"bedrock": {"base_url": fake_provider.url}}, retry=ONE) as ring:
        with pytest.raises(ProviderError):
            await ring.chat("bedrock:m", "Hi")
    assert len(fake_provider.received) == 1
