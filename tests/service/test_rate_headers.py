"""What servers say of their limits in good replies: the next call waits instead of being refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from llmring import LLMRing
from llmring.resilience.policy import RateLimits, RetryPolicy
from llmring.testing import Answer, FakeClock, FakeProvider
from llmring.wire.rate_headers import find_used_up, read_limits

MakeRing = Callable[..., LLMRing]

DATE = {"date": "Tue, 01 Jan 2030 00:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        # https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers: the example of the page
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            None,
        ),
        # Of 60 none is left, and in a minute all are back: in a second there is one.
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1m0s",
            },
            1.0,
        ),
        # 200 a day: https://community.openai.com/t/x-ratelimit-headers-missing/935514 tells of models without any
        (
            {
                "x-ratelimit-limit-requests": "200",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "24h0m0s",
            },
            432.0,
        ),
        (
            {
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "60",
            },
            0.6,
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),  # of how many: unsaid
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        (
            DATE
            | {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2030-01-01T00:01:00Z",
                "anthropic-ratelimit-output-tokens-limit": "8000",
                "anthropic-ratelimit-output-tokens-remaining": "0",
                "anthropic-ratelimit-output-tokens-reset": "2030-01-01T00:05:00Z",
            },
            3.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2030-01-01T00:01:00Z",
            },
            None,  # without the reply's own date nobody knows how long that is
        ),
        (
            DATE
            | {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2030-01-01T00:01"},
            None,
        ),
        (
            DATE
            | {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2029-12-31T23:59:00Z",
            },
            None,
        ),
    ],
)
def test_headers_say_when_another_request_may_go(headers: dict[str, str], wait_s: float | None) -> None:
    assert find_used_up(headers) == (None if wait_s is None else pytest.approx(wait_s))


def test_headers_say_what_the_server_allows() -> None:
    assert read_limits({}) == (None, None)
    assert read_limits({"x-ratelimit-limit-requests": "60", "x-ratelimit-limit-tokens": "150000"}) == (60, 150_000)
    assert read_limits({"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-tokens-limit": "0"}) == (
        50,
        None,
    )
    assert read_limits({"x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": "-1"}) == (None, None)


def fake(dialect: str, provider: FakeProvider) -> dict[str, Any]:
    return {"one": {"base_url": provider.base_url_of(dialect), "dialect": dialect, "auth": "none"}}


NOTHING_LEFT = {
    "openai_chat": {
        "x-ratelimit-limit-requests": "6",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m",
    },
    "anthropic_messages": DATE
    | {
        "anthropic-ratelimit-requests-limit": "6",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2030-01-01T00:01:00Z",
    },
}


@pytest.mark.spec("B01", "B05")
@pytest.mark.parametrize("dialect", NOTHING_LEFT)
@pytest.mark.parametrize("stream", [False, True])
async def test_where_nothing_is_left_the_next_call_waits_and_says_so(
    dialect: str, stream: bool, make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(providers=fake(dialect, fake_provider), clock=fake_clock, retry=RetryPolicy())
    fake_provider.script(Answer(headers=NOTHING_LEFT[dialect]), Answer())
    if stream:
        async for _ in ring.chat_stream("fast", "Hi"):
            pass
    else:
        await ring.chat("fast", "Hi")
    (health,) = ring.health().targets
    gate = next(gate for gate in health.gates if gate.scope == "quota")
    assert not health.available
    assert (gate.state, gate.retry_in_s) == ("open", pytest.approx(10))
    assert "nothing is left" in gate.reason
    waiting = asyncio.ensure_future(ring.chat("fast", "Hi"))
    await fake_clock.wait_timers()
    fake_clock.advance(9.9)
    await asyncio.sleep(0)
    assert len(fake_provider.received) == 1
    fake_clock.advance(0.1)
    await waiting
    assert len(fake_provider.received) == 2
    assert ring.health().targets[0].available


async def test_a_sibling_is_asked_while_one_has_nothing_left(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(retry=RetryPolicy())
    fake_provider.script(Answer(headers=NOTHING_LEFT["openai_chat"]), model="m1")
    assert (await ring.chat("pool", "Hi")).called_model == "one:m1"
    assert (await ring.chat("pool", "Hi")).called_model == "two:m2"


@pytest.mark.spec("B01", "B02")
async def test_the_server_s_own_limits_hold_where_they_are_lower_until_they_rise(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock, limits={"one": RateLimits(requests_per_minute=60, tokens_per_minute=1_000_000)})
    low = {"x-ratelimit-limit-requests": "6", "x-ratelimit-remaining-requests": "5"}
    high = {"x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999"}
    fake_provider.script(Answer(headers=low), Answer(headers=high), Answer())
    times: list[float] = []
    for _ in range(4):
        running = asyncio.ensure_future(ring.chat("fast", "Hi"))
        expected = len(times) + 1
        while not running.done():
            received = asyncio.ensure_future(fake_provider.wait_received(expected))
            waiting = asyncio.ensure_future(fake_clock.wait_timers())
            await asyncio.wait([received, waiting, running], return_when=asyncio.FIRST_COMPLETED)
            if not received.done() and not running.done() and ring.health().targets[0].waiting:
                assert fake_clock.next_timer is not None
                fake_clock.advance(fake_clock.next_timer - fake_clock.monotonic())
            received.cancel()
            waiting.cancel()
            await asyncio.sleep(0)
        times.append(fake_clock.monotonic())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # The first went while 60 were allowed: one a second. The server said 6: one every ten; then more than 60: one a second again.
    assert gaps == pytest.approx([1.0, 10.1, 1.0], rel=0.02)
