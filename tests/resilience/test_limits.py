"""Rate limits as an application meets them: a ring whose provider answers by the fake clock, and counts what it is sent."""

from __future__ import annotations

import asyncio
import bisect
import gc
import weakref
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.resilience.metered import MINUTE_S, Metered, metered_ring, run_all

from llmring import (
    LM_DELUGE,
    CircuitBreakerError,
    ConfigurationError,
    DeadlineExceededError,
    EmbeddingResponse,
    LLMRequest,
    LLMResponse,
    LLMRing,
    ProviderRateLimitError,
    ProviderResponseError,
    RateLimits,
    RetryPolicy,
)
from llmring.calls.queue import Queue, Turns
from llmring.clock import SystemClock
from llmring.resilience.policy import BreakerPolicy
from llmring.resilience.quota import Quota
from llmring.testing import FakeClock

# Requests a minute ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("B01")
@pytest.mark.parametrize("rpm", [1, 7, 60, 600])
async def test_never_more_than_n_requests_come_in_any_minute_and_nearly_as_many_do(rpm: int) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0.2)
    async with metered_ring(clock, provider, limits=RateLimits(requests_per_minute=rpm)) as ring:
        count = 3 * rpm
        began = clock.monotonic()
        found = await run_all(clock, [ring.chat("metered:m", f"{n}") for n in range(count)], at_most_s=200)
        assert all(isinstance(one, LLMResponse) for one in found)
        assert provider.most_in(MINUTE_S) <= rpm
        took_s = provider.times()[-1] - began
        # N requests are N - 1 intervals: one alone in a minute cannot be told from none.
        assert (count - 1) / took_s * MINUTE_S >= 0.95 * rpm


@pytest.mark.spec("A29")
@pytest.mark.parametrize("per_second", [0.5, 1.0, 2.5, 100.0])
def test_rates_a_second_and_a_minute_say_the_same(per_second: float) -> None:
    limits = RateLimits.per_second(per_second, per_second * 100, max_concurrent=3)
    assert limits == RateLimits(per_second * 60, per_second * 6000, 3)
    assert limits.requests_per_second == pytest.approx(per_second)
    assert limits.tokens_per_second == pytest.approx(per_second * 100)
    assert RateLimits.per_second(limits.requests_per_second, limits.tokens_per_second, max_concurrent=3) == limits
    assert (RateLimits().requests_per_second, RateLimits().tokens_per_second) == (None, None)


@pytest.mark.spec("B27")
async def test_without_limits_nothing_waits_and_with_the_preset_it_does() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0, tokens=1)
    async with metered_ring(clock, provider) as ring:
        began = clock.monotonic()
        await asyncio.gather(*(ring.chat("metered:m", "Hi") for _ in range(2000)))
        assert clock.monotonic() == began
    assert (LM_DELUGE.requests_per_minute, LM_DELUGE.tokens_per_minute, LM_DELUGE.max_concurrent) == (
        1000,
        100_000,
        225,
    )
    throttled = Metered(clock, latency_s=0, tokens=1)
    async with metered_ring(clock, throttled, limits=LM_DELUGE) as ring:
        found = await run_all(clock, [ring.chat("metered:m", "Hi") for _ in range(2000)], at_most_s=300)
    assert all(isinstance(one, LLMResponse) for one in found)
    assert throttled.most_in(MINUTE_S) <= 1000


# Tokens a minute -----------------------------------------------------------------------------------------------------


def asking(text: str = "Hi", *, max_tokens: int = 4000, model: str = "m", **given: Any) -> LLMRequest:
    return LLMRequest(model=f"metered:{model}", messages=text, max_tokens=max_tokens, **given)


@pytest.mark.spec("B02")
@pytest.mark.parametrize("stream", [False, True])
async def test_small_answers_use_nearly_all_of_the_tokens_although_much_is_reserved(stream: bool) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=1.0, tokens=50)
    tpm = 20_000
    async with metered_ring(clock, provider, limits=RateLimits(tokens_per_minute=tpm)) as ring:

        async def ask() -> None:
            if not stream:
                await ring.chat(asking())
                return
            async for _ in ring.chat_stream(asking()):
                pass

        # 5 minutes' worth.
        calls = [ask() for _ in range(5 * tpm // 50)]
        await run_all(clock, calls, at_most_s=400)
    used_in_first_minutes = 50 * sum(at - provider.times()[0] <= 240 for at in provider.times())
    assert 0.9 * 4 * tpm <= used_in_first_minutes <= 1.02 * 4 * tpm
    # After the first few, which nothing was known of yet, small requests never exceed the minute either.
    assert 50 * provider.most_in(MINUTE_S) <= tpm


@pytest.mark.spec("B02")
async def test_what_was_used_beyond_the_estimate_is_owed() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0, tokens=3000)
    async with metered_ring(clock, provider, limits=RateLimits(tokens_per_minute=3000)) as ring:
        await ring.chat(asking(max_tokens=10))
        began = clock.monotonic()
        await run_all(clock, [ring.chat(asking(max_tokens=10))], at_most_s=70)
        assert 58 <= provider.times()[1] - began <= 63


@pytest.mark.spec("B02")
async def test_where_the_usage_is_not_known_the_estimate_counts() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    provider.tokens = None
    async with metered_ring(clock, provider, limits=RateLimits(tokens_per_minute=6000)) as ring:
        calls = [ring.chat(asking(max_tokens=2999)) for _ in range(4)]  # 3,000 with the prompt: half a minute each
        await run_all(clock, calls, at_most_s=100)
        gaps = [later - earlier for earlier, later in pairwise(provider.times())]
        assert gaps == pytest.approx([30.9] * 3, abs=0.2)


@pytest.mark.spec("B04")
async def test_a_request_that_never_fits_fails_at_once_and_its_neighbours_go_on() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0, tokens=10)
    async with metered_ring(clock, provider, limits=RateLimits(tokens_per_minute=10_000)) as ring:
        calls = [ring.chat(asking(f"{n}", max_tokens=20_000 if n % 5 == 0 else 100)) for n in range(20)]
        began = clock.monotonic()
        found = await run_all(clock, calls, at_most_s=60)
        refused = [one for one in found if isinstance(one, Exception)]
        assert len(refused) == 4
        for error in refused:
            assert isinstance(error, ProviderRateLimitError)
            assert not error.retryable
            assert (error.provider, error.model) == ("metered", "m")
            assert "20001 tokens" in error.message
            assert "tokens_per_minute is 10000" in error.message
            assert error.hint is not None
            assert "limits=" in error.hint
        assert sum(isinstance(one, LLMResponse) for one in found) == 16
        with pytest.raises(ProviderRateLimitError):
            await ring.chat(asking(max_tokens=20_000))  # and needs no moving of the clock
        assert ring.health().targets[0].in_flight == 0
        assert clock.monotonic() - began <= 60


@pytest.mark.spec("B02")
async def test_embeddings_reserve_and_settle_tokens_too() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0, tokens=500)
    async with metered_ring(clock, provider, limits=RateLimits(tokens_per_minute=1000)) as ring:
        found = await run_all(clock, [ring.embed("metered:m", "text " * 400) for _ in range(3)], at_most_s=100)
        assert all(isinstance(one, EmbeddingResponse) for one in found)
        gaps = [later - earlier for earlier, later in pairwise(provider.times())]
        assert gaps == pytest.approx([30.9] * 2, abs=1)
        with pytest.raises(ProviderRateLimitError, match="tokens_per_minute"):
            await ring.embed("metered:m", "text " * 4000)


# At once -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("B03")
async def test_no_more_are_in_flight_than_allowed_and_none_holds_a_place_while_it_waits_for_its_rate() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=10)
    limits = {
        "metered:wide": RateLimits(max_concurrent=7),
        "metered:slow": RateLimits(requests_per_minute=30, max_concurrent=7),
    }
    async with metered_ring(clock, provider, limits=limits) as ring:
        found = await run_all(clock, [ring.chat("metered:wide", "Hi") for _ in range(70)], at_most_s=110)
        assert (len(found), provider.max_in_flight) == (70, 7)
        provider.max_in_flight = 0
        running = asyncio.gather(*(ring.chat("metered:slow", "Hi") for _ in range(10)))
        await clock.advance_async(5)  # some wait for the rate, and those do not count
        (health,) = (target for target in ring.health().targets if target.model == "slow")
        assert health.in_flight == provider.in_flight == 3
        assert health.waiting == 7
        await clock.advance_async(60)
        await running
        assert provider.max_in_flight <= 7
        (health,) = (target for target in ring.health().targets if target.model == "slow")
        assert (health.in_flight, health.waiting) == (0, 0)


@pytest.mark.spec("B03")
async def test_a_stream_holds_its_place_until_it_is_left() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    async with metered_ring(clock, provider, limits=RateLimits(max_concurrent=1)) as ring:
        stream = ring.chat_stream("metered:m", "Hi")
        await anext(stream)
        waiting = asyncio.ensure_future(ring.chat("metered:m", "Hi"))
        await clock.run_until_idle()
        assert len(provider.sent) == 1
        await stream.aclose()
        assert (await waiting).content == "fine"


# In line -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("B15")
async def test_a_large_request_that_came_first_goes_first_however_many_small_ones_follow() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    provider.tokens = None
    async with metered_ring(clock, provider, limits=RateLimits(tokens_per_minute=30_000)) as ring:
        await ring.chat(asking("before", max_tokens=5000))
        running = [asyncio.ensure_future(ring.chat(asking("large", max_tokens=20_000)))]
        running += [asyncio.ensure_future(ring.chat(asking(f"{n}", max_tokens=100))) for n in range(570)]
        await clock.run_until_idle()
        assert len(provider.sent) == 1
        await clock.advance_async(11)
        assert provider.sent[1][2] == "large"
        await clock.advance_async(400)
        assert [text for _, _, text in provider.sent[2:]] == [f"{n}" for n in range(570)]
        await asyncio.gather(*running)


@pytest.mark.spec("B22", "B06")
@pytest.mark.parametrize("order", ["first", "last", "every other"])
async def test_calls_cancelled_in_line_take_nothing_with_them(order: str) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0, tokens=10)
    limits = RateLimits(requests_per_minute=60, tokens_per_minute=100_000, max_concurrent=5)
    async with metered_ring(clock, provider, limits=limits) as ring:
        calls = [asyncio.ensure_future(ring.chat("metered:m", f"{n}")) for n in range(200)]
        await clock.run_until_idle()
        await clock.advance_async(3)
        waiting = [call for call in calls if not call.done()]
        going = {"first": waiting[:150], "last": waiting[:-151:-1], "every other": waiting[::2]}[order]
        for call in going:
            call.cancel()
        await clock.run_until_idle()
        sent = len(provider.sent)
        (health,) = ring.health().targets
        assert (health.waiting, health.in_flight) == (len(waiting) - len(going), 0)
        left = [call for call in waiting if call not in going]
        await clock.advance_async(1.05 * len(left) + 2)
        assert all(call.done() for call in left)
        assert len(provider.sent) == sent + len(left)
        await clock.advance_async(30)
        assert len(provider.sent) == sent + len(left)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert clock.timers == 0


@pytest.mark.spec("B22")
async def test_a_call_cancelled_in_the_moment_of_its_turn_gives_its_turn_to_the_next() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    async with metered_ring(clock, provider, limits=RateLimits(requests_per_minute=1)) as ring:
        await ring.chat("metered:m", "before")
        first, second = (asyncio.ensure_future(ring.chat("metered:m", text)) for text in ("first", "second"))
        await clock.run_until_idle()
        clock.advance(60.5)  # its place is given; it has not run yet
        first.cancel()
        await clock.run_until_idle()
        assert first.cancelled()
        assert (await second).content == "fine"
        assert [text for _, _, text in provider.sent] == ["before", "second"]


@pytest.mark.spec("B16")
async def test_everybody_who_waits_shares_one_timer(scale: float) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    count = round(20_000 * scale)
    async with metered_ring(clock, provider, limits=RateLimits(requests_per_minute=1)) as ring:
        await ring.chat("metered:m", "before")
        running = [
            asyncio.ensure_future(ring.chat(asking(f"{n}", deadline=None if n % 2 else 30.0 + n))) for n in range(count)
        ]
        await clock.run_until_idle()
        assert ring.health().targets[0].waiting == count
        assert clock.timers == 1
        for call in running:
            call.cancel()
        await asyncio.wait(running)
        assert clock.timers == 0


@pytest.mark.spec("U19")
async def test_the_deadline_ends_the_waiting_in_line() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    async with metered_ring(clock, provider, limits=RateLimits(requests_per_minute=1)) as ring:
        await ring.chat("metered:m", "before")
        began = clock.monotonic()
        late = asyncio.ensure_future(ring.chat(asking("late", deadline=5)))
        patient = asyncio.ensure_future(ring.chat("metered:m", "patient"))
        await clock.run_until_idle()
        await clock.advance_async(4.9)
        assert not late.done()
        await clock.advance_async(0.2)
        with pytest.raises(DeadlineExceededError, match="waited for its turn") as caught:
            await late
        assert (caught.value.provider, caught.value.model) == ("metered", "m")
        assert "limits=" in (caught.value.hint or "")
        await clock.advance_async(60)
        assert (await patient).content == "fine"
        assert provider.times()[1] - began == pytest.approx(60.5)


# Whose limits --------------------------------------------------------------------------------------------------------


def limited(retry_after_s: float) -> ProviderRateLimitError:
    return ProviderRateLimitError("slow down", status=429, retry_after_s=retry_after_s)


@pytest.mark.spec("B05")
async def test_a_model_that_is_told_to_pause_holds_no_other_up() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    asked: list[str] = []

    def judge(request: LLMRequest) -> Exception | None:
        asked.append(request.model)
        return limited(20) if asked.count("a") == 1 and request.model == "a" else None

    provider.judge = judge
    async with metered_ring(clock, provider, ring_limits=RateLimits(max_concurrent=2)) as ring:
        held = [asyncio.ensure_future(ring.chat("metered:a", "Hi")) for _ in range(5)]
        await clock.run_until_idle()
        for _ in range(20):
            assert (await ring.chat("metered:b", "Hi")).content == "fine"
        assert not any(call.done() for call in held)
        states = {target.model: target.available for target in ring.health().targets}
        assert states == {"a": False, "b": True}
        await clock.advance_async(20.1)
        assert all(one.content == "fine" for one in await asyncio.gather(*held))


@pytest.mark.spec("B05")
async def test_limits_hold_for_each_target_and_the_ring_s_for_all_together() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0.1, tokens=10)
    given = {
        "limits": {"metered": RateLimits(requests_per_minute=600), "metered:c": RateLimits(requests_per_minute=60)},
        "ring_limits": RateLimits(requests_per_minute=300, tokens_per_minute=100_000, max_concurrent=3),
    }
    async with metered_ring(clock, provider, **given) as ring:
        began = clock.monotonic()
        calls = [ring.chat(f"metered:{model}", f"{n}") for n in range(100) for model in ("a", "b", "c")]
        found = await run_all(clock, calls, at_most_s=130)
        assert all(isinstance(one, LLMResponse) for one in found)
        assert provider.most_in(MINUTE_S) <= 300
        assert provider.max_in_flight <= 3
        times = provider.times("c")
        assert all(bisect.bisect_right(times, at + 60) - place <= 60 for place, at in enumerate(times))
        # Each line gets its turn: none waits for another's end.
        assert abs(len([at for at in provider.times("a") if at - began < 10]) - 25) <= 10
        assert abs(len([at for at in provider.times("b") if at - began < 10]) - 25) <= 10
        assert [text for _, model, text in provider.sent if model == "a"] == [f"{n}" for n in range(100)]
        assert all(target.in_flight == target.waiting == 0 for target in ring.health().targets)
        assert clock.timers == 0


@pytest.mark.spec("B05", "B22")
async def test_what_is_cancelled_before_the_ring_s_limits_holds_nobody_up() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=5)
    async with metered_ring(clock, provider, ring_limits=RateLimits(max_concurrent=1)) as ring:
        calls = {name: asyncio.ensure_future(ring.chat(f"metered:{name}", "Hi")) for name in "abcd"}
        await clock.run_until_idle()
        calls["b"].cancel()
        calls["d"].cancel()
        await clock.advance_async(5)
        assert [model for _, model, _ in provider.sent] == ["a", "c"]
        calls["c"].cancel()
        await clock.run_until_idle()
        last = asyncio.ensure_future(ring.chat("metered:d", "Hi"))
        await clock.advance_async(5)
        assert (await last).content == "fine"
        assert (await calls["a"]).content == "fine"


@pytest.mark.spec("B05")
@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"metred:m": RateLimits()}, "'metred:m' names no provider that is known here"),
        ({"fast": RateLimits()}, "'fast' names no provider"),
        ({"metered:": RateLimits()}, "'metered:' names no target"),
        ({"": RateLimits()}, "'' names no target"),
        ({"Metered model": RateLimits()}, "'Metered model' names no target"),
        ({"metered": 60}, "limits['metered']: a int"),
        ([RateLimits()], "limits: a list"),
    ],
)
async def test_limits_for_what_is_not_there_are_refused_at_once(limits: Any, says: str, tmp_path: Path) -> None:
    clock = FakeClock()
    with pytest.raises(ConfigurationError) as caught:
        LLMRing(providers={"metered": Metered(clock)}, clock=clock, limits=limits, dotenv=False)
    assert says in caught.value.message
    assert caught.value.hint


POOL = (
    'version = "1.1"\ndefault_profile = "default"\n[profiles.default]\nname = "default"\n'
    '[[profiles.default.bindings]]\nalias = "pool"\nmodels = ["metered:a", "metered:b"]\n'
)


@pytest.mark.spec("B05", "U31")
@pytest.mark.parametrize(
    "limit", [RateLimits(requests_per_minute=1), RateLimits(tokens_per_minute=1000), RateLimits(max_concurrent=1)]
)
async def test_where_a_line_is_long_the_next_model_is_asked_at_once_and_the_first_again_when_it_is_not(
    limit: RateLimits, tmp_path: Path
) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=5)
    lock = tmp_path / "llmring.lock"
    lock.write_text(POOL)
    async with metered_ring(clock, provider, limits={"metered:a": limit}, lockfile_path=lock) as ring:
        calls = [asyncio.ensure_future(ring.chat("pool", "Hi")) for _ in range(10)]
        await clock.run_until_idle()
        assert (len(provider.times("a")), len(provider.times("b"))) == (1, 9)
        await clock.advance_async(5)
        answers = [await call for call in calls]
        passed_over = [answer.attempts for answer in answers if answer.called_model == "metered:b"]
        assert all("its limits are reached" in attempts[0]["message"] for attempts in passed_over)
        shown = "until another call has ended" if limit.max_concurrent else "for another"
        assert all(shown in attempts[0]["message"] for attempts in passed_over)
        await clock.advance_async(120)
        asked = asyncio.ensure_future(ring.chat("pool", "Hi"))
        await clock.advance_async(5)
        assert (await asked).called_model == "metered:a"


@pytest.mark.parametrize("shut_by", ["failures", "hand"])
async def test_who_stands_in_line_goes_to_the_next_model_when_the_gate_shuts(shut_by: str, tmp_path: Path) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    lock = tmp_path / "llmring.lock"
    lock.write_text(POOL)
    limits = {"metered:a": RateLimits(requests_per_minute=60)}
    async with metered_ring(clock, provider, limits=limits, lockfile_path=lock) as ring:
        ring.isolate("metered:b")  # or nobody would stand in line for the other one
        calls = [asyncio.ensure_future(ring.chat("pool", "Hi")) for _ in range(100)]
        await clock.run_until_idle()
        ring.restore("metered:b")
        assert {target.model: target.waiting for target in ring.health().targets} == {"a": 99, "b": 0}
        if shut_by == "hand":
            ring.isolate("metered:a")
            await clock.run_until_idle()
        else:
            provider.judge = lambda request: ProviderResponseError("down") if request.model == "a" else None
            await clock.advance_async(8)  # five failures in a row open the breaker
        assert all(call.done() for call in calls)
        assert len(provider.times("b")) == 99
        assert {(await call).called_model for call in calls} <= {"metered:a", "metered:b"}


# A server that says when ---------------------------------------------------------------------------------------------


@pytest.mark.spec("B09")
async def test_twelve_seconds_of_429s_that_say_when_fail_nobody(scale: float) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0.05)
    opens_at = clock.monotonic() + 12
    provider.judge = lambda request: limited(1.0) if clock.monotonic() < opens_at else None
    async with metered_ring(clock, provider) as ring:
        found = await run_all(clock, [ring.chat("metered:m", "Hi") for _ in range(round(500 * scale))], at_most_s=40)
        failed = [one for one in found if not isinstance(one, LLMResponse)]
        assert failed == []
        gate = {gate.scope: gate.state for gate in ring.health().targets[0].gates}
        assert set(gate.values()) == {"closed"}


@pytest.mark.spec("B09")
async def test_a_server_that_never_stops_saying_so_is_waited_for_no_longer_than_the_policy_allows() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    provider.judge = lambda request: limited(4)
    async with metered_ring(clock, provider, retry=RetryPolicy(max_rate_limit_wait_s=10)) as ring:
        began = clock.monotonic()
        ended: list[float] = []

        async def ask() -> None:
            with pytest.raises(ProviderRateLimitError):
                await ring.chat("metered:m", "Hi")
            ended.append(clock.monotonic() - began)

        await run_all(clock, [ask() for _ in range(20)], at_most_s=30)
        assert max(ended) <= 10.5
        # And at once for those who come while the pause lasts longer than they may wait.
        provider.judge = lambda request: limited(60)
        with pytest.raises(ProviderRateLimitError):
            await ring.chat("metered:other", "Hi")


@pytest.mark.spec("B08")
async def test_no_server_is_left_alone_for_longer_than_the_policy_says() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    provider.judge = lambda request: limited(1e9)
    async with metered_ring(clock, provider, breaker=BreakerPolicy(pause_cap_s=120)) as ring:
        with pytest.raises(ProviderRateLimitError):
            await ring.chat("metered:m", "Hi")
        with pytest.raises(CircuitBreakerError) as caught:
            await ring.chat("metered:m", "Hi")
        assert caught.value.retry_after_s == 120
        provider.judge = lambda request: None
        clock.advance(120)
        assert (await ring.chat("metered:m", "Hi")).content == "fine"


@pytest.mark.spec("B22")
async def test_cancelled_calls_leave_nothing_in_flight_and_nothing_is_sent_after_them() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=1000)
    limits = RateLimits(requests_per_minute=6000, tokens_per_minute=1_000_000, max_concurrent=20)
    async with metered_ring(clock, provider, limits=limits, ring_limits=RateLimits(max_concurrent=15)) as ring:
        calls = [asyncio.ensure_future(ring.chat(f"metered:{n % 3}", "Hi")) for n in range(100)]
        await clock.advance_async(1)
        assert provider.in_flight == len(provider.sent) == 15
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        sent = len(provider.sent)
        await clock.advance_async(100)
        assert (provider.in_flight, len(provider.sent)) == (0, sent)
        assert all(target.in_flight == target.waiting == 0 for target in ring.health().targets)
        assert clock.timers == 0
        provider.latency_s = 0
        found = await asyncio.gather(*(ring.chat(f"metered:{n % 3}", "Hi") for n in range(15)))
        assert len(found) == 15


async def test_restoring_a_target_lets_those_who_wait_for_it_go() -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    answers: list[Exception | None] = [limited(25), None, None]
    provider.judge = lambda request: answers.pop(0)
    async with metered_ring(clock, provider) as ring:
        held = [asyncio.ensure_future(ring.chat("metered:m", "Hi")) for _ in range(2)]
        await clock.run_until_idle()
        answers[:] = [None, None]
        ring.restore("metered:m")
        assert [one.content for one in await asyncio.gather(*held)] == ["fine", "fine"]


# What is left behind --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [
        {"limits": RateLimits(requests_per_minute=60, tokens_per_minute=60_000)},
        {"limits": RateLimits(max_concurrent=5)},
        {"ring_limits": RateLimits(max_concurrent=5)},
    ],
)
async def test_models_that_are_made_up_do_not_fill_the_memory_where_there_are_limits(
    limits: dict[str, RateLimits], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmring.resilience.board._MOST_TARGETS", 64)
    monkeypatch.setattr("llmring.calls.gates._MOST_QUEUES", 64)
    clock = FakeClock()
    queues: weakref.WeakSet[Queue] = weakref.WeakSet()

    class Noted(Queue):
        __slots__ = ("__weakref__",)

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            queues.add(self)

    monkeypatch.setattr("llmring.calls.gates.Queue", Noted)
    async with metered_ring(clock, Metered(clock, latency_s=0), **limits) as ring:
        for n in range(500):
            await ring.chat(f"metered:{n}", "Hi")
            clock.advance(1)
        assert len(ring.health().targets) <= 64
        gc.collect()
        assert len(queues) <= 64 + 1


async def test_a_target_whose_quota_is_not_earned_yet_is_remembered_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmring.resilience.board._MOST_TARGETS", 8)
    clock = FakeClock()
    provider = Metered(clock, latency_s=0)
    async with metered_ring(clock, provider, limits={"metered:m": RateLimits(requests_per_minute=1)}) as ring:
        await ring.chat("metered:m", "Hi")
        for n in range(50):
            await ring.chat(f"metered:{n}", "Hi")
        waiting = asyncio.ensure_future(ring.chat("metered:m", "Hi"))
        await clock.advance_async(60)
        assert not waiting.done()
        await clock.advance_async(1)
        await waiting


def test_a_timer_of_an_event_loop_that_has_ended_keeps_nobody_waiting_on_the_next() -> None:
    clock = SystemClock()
    turns = Turns(Quota(RateLimits(requests_per_minute=300)), clock)  # one in 0.2 s, after a burst of 6
    lines = [Queue(Quota(is_bound=True), clock, turns), Queue(Quota(RateLimits(requests_per_minute=300)), clock)]

    async def throw_away(line: Queue) -> None:
        for _ in range(6):
            await line.enter(0)
        thrown.append(asyncio.ensure_future(line.enter(0)))
        await asyncio.sleep(0)

    for line in lines:
        thrown: list[asyncio.Future[Any]] = []
        loop = asyncio.new_event_loop()
        loop.run_until_complete(throw_away(line))
        loop.close()
        asyncio.run(asyncio.wait_for(line.enter(0), 5))
        for task in thrown:
            task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]: that it is thrown away is what this is about
        thrown.clear()
        gc.collect()
        asyncio.run(asyncio.wait_for(line.enter(0), 5))


@pytest.mark.spec("B02")
@pytest.mark.parametrize("where", ["limits", "ring_limits"])
async def test_a_provider_that_says_it_used_more_than_anybody_can_shuts_nothing_for_years(where: str) -> None:
    clock = FakeClock()
    provider = Metered(clock, latency_s=0, tokens=10**15)
    limits: dict[str, Any] = {where: RateLimits(tokens_per_minute=60_000)}
    async with metered_ring(clock, provider, **limits) as ring:
        await ring.chat("metered:m", "Hi")
        await run_all(clock, [ring.chat("metered:m", "Hi")], at_most_s=310)
