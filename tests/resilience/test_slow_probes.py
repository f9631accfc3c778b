"""RT05: never wedged past the lease, also where every reply takes longer than that."""

from __future__ import annotations

import asyncio

import pytest
from tests.resilience.metered import Metered, metered_ring

from llmring import LLMResponse, ProviderResponseError, RetryPolicy
from llmring.resilience.breaker import BreakerState, Scope
from llmring.testing import FakeClock


@pytest.mark.spec("RT05", "U18")
async def test_a_model_whose_replies_take_longer_than_a_lease_is_back_with_the_first_of_them() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=90)
    async with metered_ring(clock, provider, retry=RetryPolicy(attempts=1)) as ring:
        provider.judge_on_arrival = lambda request: ProviderResponseError("down", status=500)
        for _ in range(5):
            await asyncio.gather(ring.chat("metered:m", "Hi"), return_exceptions=True)
        assert not ring.health().targets[0].available
        provider.judge_on_arrival = lambda request: None
        running: list[asyncio.Task[LLMResponse]] = []
        for _ in range(12):  # somebody asks every ten seconds
            running.append(asyncio.create_task(ring.chat("metered:m", "Hi")))
            await clock.advance_async(10)
        (gate,) = (gate for gate in ring.health().targets[0].gates if gate.scope is Scope.MODEL)
        assert gate.state is BreakerState.CLOSED
        await clock.advance_async(100)
        await asyncio.gather(*running, return_exceptions=True)
