"""RT10: a server that enforces its limits, and a ring that was told them."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from itertools import count

import pytest
from tests.resilience.metered import MINUTE_S, Metered, metered_ring

from llmring import LLMRequest, LLMResponse, ProviderRateLimitError, RateLimits
from llmring.testing import FakeClock

RPM = 600
TPM = 120_000


class Window:
    """What was used in the last 60 s, both ends included: the strictest that a server can be."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._used: deque[tuple[float, float]] = deque()
        self.sum = 0.0
        self.highest = 0.0

    def allows(self, now: float, amount: float) -> bool:
        while self._used and self._used[0][0] < now - MINUTE_S:
            self.sum -= self._used.popleft()[1]
        return self.sum + amount <= self._most

    def add(self, now: float, amount: float) -> None:
        self._used.append((now, amount))
        self.sum += amount
        self.highest = max(self.highest, self.sum)


@pytest.mark.spec("RT10", "B01", "B02")
@pytest.mark.parametrize("bound_by", ["requests", "tokens"])
async def test_a_paced_ring_uses_its_quota_and_is_hardly_ever_refused(
    bound_by: str, scale: float, record_property: Callable[[str, object], None]
) -> None:
    dice = random.Random("RT10")
    clock = FakeClock()
    prompts = 1200 if scale == 1 else 600  # half of them last a minute: less would say nothing of any 60 s
    mean_tokens = 100 if bound_by == "requests" else 400
    sizes = {f"{number}": dice.randint(mean_tokens // 2, mean_tokens * 3 // 2) for number in range(prompts)}
    requests, tokens = Window(RPM), Window(TPM)
    refused = 0
    provider = Metered(clock)
    ended_at: list[float] = []

    def judge(request: LLMRequest) -> Exception | None:
        nonlocal refused
        text = str(request.messages[0].content)
        provider.tokens = sizes[text]
        provider.latency_s = dice.uniform(0.1, 3.0)
        now = clock.monotonic()
        if not requests.allows(now, 1) or not tokens.allows(now, sizes[text]):
            refused += 1
            return ProviderRateLimitError("slow down", status=429, retry_after_s=1.0)
        requests.add(now, 1)
        tokens.add(now, sizes[text])
        return None

    provider.judge_on_arrival = judge
    numbers = count()
    async with metered_ring(clock, provider, limits=RateLimits(RPM, TPM)) as ring:

        async def work() -> None:
            while (number := next(numbers)) < prompts:
                answer = await ring.chat(LLMRequest(model="metered:m", messages=f"{number}", max_tokens=1000))
                assert isinstance(answer, LLMResponse)
                ended_at.append(clock.monotonic())

        began = clock.monotonic()
        workers = asyncio.gather(*(work() for _ in range(64)))
        while not workers.done():
            await clock.advance_async(1)
            assert clock.monotonic() - began < 600
        await workers

    assert len(ended_at) == prompts
    times = provider.times()
    took_s = times[-1] - times[0]
    # What the quota would have allowed in that time, by whichever limit binds.
    used = prompts / RPM if bound_by == "requests" else sum(sizes.values()) / TPM
    share = used * MINUTE_S / took_s
    record_property(
        "paced",
        f"{bound_by}: {prompts} prompts in {took_s:.1f} s, {share:.1%} of the quota, refused {refused}, "
        f"most in any 60 s: {requests.highest:.0f} requests, {tokens.highest:.0f} tokens",
    )
    assert refused <= prompts / 100
    assert share >= 0.95
    assert provider.most_in(MINUTE_S) <= RPM
    assert tokens.highest <= TPM
