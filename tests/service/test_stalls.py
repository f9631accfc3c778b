"""RT03: a server that stops talking is left within its limit, or another one answers by then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from llmring import LLMRequest, LLMRing, StreamInterruptedError, Timeouts
from llmring.exceptions import ProviderTimeoutError
from llmring.schemas.retry import RetryPolicy
from llmring.testing import Answer, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
SLACK_S = 0.5
WORDS = Answer("one two three four five six")


@pytest.mark.spec("RT03")
async def test_stalls_are_aborted_or_failed_over_within_the_limit(
    make_ring: MakeRing, fake_provider: FakeProvider, scale: float, record_property: Callable[[str, object], None]
) -> None:
    """On the machine's own clock, all at once. A stall lasts until the test is over, which is longer than any limit."""
    ring = make_ring(retry=RetryPolicy(attempts=1))
    idle_s, first_s = 2 * scale, 3 * scale
    timeouts = Timeouts(idle=idle_s, first_token=first_s)
    late, broken = Fault.hang(), Fault.stall(4, WORDS)

    async def run(step: Fault, models: str, limit_s: float) -> tuple[str, float]:
        """What came of it, and how far over the limit it was, in seconds."""
        began = time.monotonic()
        request = LLMRequest(model=models, messages="Hi", timeout=timeouts, on_interrupt="restart")
        text = ""
        try:
            async for chunk in ring.chat_stream(request):
                if chunk.delta and step is broken:
                    began = time.monotonic() if not text else began  # the clock that counts begins with the content
                text += chunk.delta
            outcome = "failed over"
        except (ProviderTimeoutError, StreamInterruptedError) as error:
            outcome = f"aborted: {type(error).__name__}"
        return outcome, time.monotonic() - began - limit_s

    overs: dict[str, list[float]] = {}
    for step, limit_s in ((late, first_s), (broken, idle_s)):
        for models in ("fast", "pool"):
            fake_provider.script(step, model="m1")
            fake_provider.script(WORDS, model="m2")
            ring.restore("one")
            found = await asyncio.gather(*(run(step, models, limit_s) for _ in range(round(25 * scale) or 1)))
            kind = ProviderTimeoutError if step is late else StreamInterruptedError
            wanted = f"aborted: {kind.__name__}" if models == "fast" else "failed over"
            assert [outcome for outcome, _ in found] == [wanted] * len(found)
            overs[f"{'first token' if step is late else 'mid-stream'} {wanted}"] = [over for _, over in found]
    for what, found in overs.items():
        assert max(found) <= SLACK_S, what
        assert min(found) > -0.05, f"{what}: before its time"
        record_property(what, f"{len(found)}, ≤ limit + {max(0.0, *found, 0.0):.3f} s")
    assert all(target.in_flight == 0 for target in ring.health().targets)
