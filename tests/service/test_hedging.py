"""Hedging: who takes longer than nearly all of its replies is not waited for alone. Opt-in, rare, and without leftovers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.service.asking import ask

from llmring import LLMRing
from llmring.exceptions import DeadlineExceededError, InvalidRequestError, ProviderResponseError
from llmring.resilience.policy import BreakerPolicy, RateLimits
from llmring.schemas.messages import JSONDict
from llmring.schemas.retry import RetryPolicy
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
HEDGE = RetryPolicy(hedge=True)
TOOL: JSONDict = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.fixture
async def ring(make_ring: MakeRing, fake_clock: FakeClock) -> AsyncIterator[LLMRing]:
    before = asyncio.all_tasks()
    ring = make_ring(clock=fake_clock, retry=HEDGE)
    yield ring
    await fake_clock.run_until_idle()
    left = {task for task in asyncio.all_tasks() - before if "hedging" in repr(task.get_coro())}
    assert not left
    assert all(target.in_flight == 0 for target in ring.health().targets)
    assert all(gate.state == "closed" for target in ring.health().targets for gate in target.gates)


async def teach(
    ring: LLMRing, fake: FakeProvider, clock: FakeClock, stream: bool, model: str = "pool", calls: int = 40
) -> None:
    """Calls that each take a second, so that this is known as usual. All at once: a second then lasts as long for each."""
    fake.script(Fault.hang(Answer("known")))
    tasks = [asyncio.create_task(ask(ring, stream, model)) for _ in range(calls)]
    await fake.wait_held(calls)
    clock.advance(1)
    fake.release()
    await asyncio.gather(*tasks)
    fake.received.clear()


both = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])


@both
async def test_the_sibling_is_asked_after_the_95th_percentile_and_the_faster_one_wins(
    stream: bool, ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, stream)
    fake_provider.script(Fault.hang(), model="m1")
    fake_provider.script(Answer("from the sibling"), model="m2")
    asked = asyncio.create_task(ask(ring, stream))
    await fake_provider.wait_held()
    fake_clock.advance(0.99)
    await fake_clock.run_until_idle()
    assert [received.model for received in fake_provider.received] == ["m1"]
    fake_clock.advance(0.02)
    response = await asked
    assert (response.content, response.called_model) == ("from the sibling", "two:m2")
    (lost,) = response.attempts
    assert (lost["provider"], lost["model"], lost["error"]) == ("one", "m1", "CancelledError")
    assert "two:m2 was asked as well" in lost["message"]
    await fake_provider.wait_idle()  # the loser's connection is cut: nothing is held there any more


@both
async def test_the_first_may_still_win_and_the_second_is_called_off(
    stream: bool, ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, stream)
    gate = asyncio.Event()
    fake_provider.script(Answer("late", gate=gate), model="m1")
    fake_provider.script(Fault.hang(), model="m2")
    asked = asyncio.create_task(ask(ring, stream))
    await fake_provider.wait_received(41)
    fake_clock.advance(1.1)
    await fake_provider.wait_held()
    gate.set()
    response = await asked
    assert (response.content, [attempt["model"] for attempt in response.attempts]) == ("late", ["m2"])


@both
async def test_a_pool_of_one_is_asked_twice_itself(
    stream: bool, ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, stream, "fast")
    fake_provider.script(Fault.hang(), Answer("at the second try"))
    asked = asyncio.create_task(ask(ring, stream, "fast"))
    await fake_provider.wait_held()
    fake_clock.advance(1.1)
    assert (await asked).content == "at the second try"
    assert len(fake_provider.received) == 2


@pytest.mark.parametrize("attempts", [2, 3])
async def test_both_of_one_target_count_as_its_attempts(
    attempts: int, make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock, retry=RetryPolicy(hedge=True, attempts=attempts, backoff_s=0))
    await teach(ring, fake_provider, fake_clock, False, "fast")
    gate = asyncio.Event()
    fake_provider.script(Exact(503, chunks=[gate, b"{}"]), Fault.status(500))
    asked = asyncio.create_task(ask(ring, False, "fast"))
    await fake_provider.wait_received(41)
    fake_clock.advance(1.1)
    await fake_provider.wait_received(42)
    while ring.health().targets[0].in_flight > 1:
        await asyncio.sleep(0)
    gate.set()
    with pytest.raises(ProviderResponseError) as caught:
        await asked
    assert (len(fake_provider.received), len(caught.value.attempts)) == (attempts, attempts)


async def asks_once(ring: LLMRing, fake: FakeProvider, clock: FakeClock, **given: object) -> bool:
    """Whether a call that is late goes out once alone."""
    fake.received.clear()
    fake.script(Fault.hang())
    asked = asyncio.create_task(ask(ring, True, **given))  # pyright: ignore[reportArgumentType]
    await fake.wait_held()
    clock.advance(1.5)
    await clock.run_until_idle()
    while not asked.done():
        fake.release()
        await asyncio.sleep(0)
    await asked
    return len(fake.received) == 1


async def test_not_with_tools_nor_before_twenty_are_known_nor_unless_asked_for(
    ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, True, calls=19)
    assert await asks_once(ring, fake_provider, fake_clock), "19 are known"
    await teach(ring, fake_provider, fake_clock, True, calls=40)
    assert await asks_once(ring, fake_provider, fake_clock, tools=[TOOL])
    assert await asks_once(ring, fake_provider, fake_clock, extra_params={"tools": [TOOL]})
    assert await asks_once(ring, fake_provider, fake_clock, retry=RetryPolicy())
    assert await asks_once(ring, fake_provider, fake_clock, retry=RetryPolicy(hedge=True, attempts_per_call=1))
    assert not await asks_once(ring, fake_provider, fake_clock)


async def test_at_most_a_twentieth_of_all_calls_is_hedged(
    ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, True, calls=40)
    fake_provider.script(Fault.hang())
    calls = 160
    tasks = [asyncio.create_task(ask(ring, True)) for _ in range(calls)]
    await fake_provider.wait_held(calls)
    fake_clock.advance(2)
    await fake_clock.run_until_idle()
    allowed = (calls + 40) // 20
    await fake_provider.wait_held(calls + min(5, allowed))  # what is saved up is 5 at most
    assert len(fake_provider.received) == calls + 5
    fake_provider.release()
    await asyncio.gather(*tasks)


async def test_the_retry_budget_pays_for_hedges(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock, retry=HEDGE, breaker=BreakerPolicy(consecutive_failures=1000, min_calls=1000))
    await teach(ring, fake_provider, fake_clock, True, calls=40)
    fake_clock.advance(20)  # those calls earn no retries any more
    fake_provider.script(Fault.status(500))
    for _ in range(4):  # three retries each, and ten are in reserve
        with pytest.raises(ProviderResponseError):
            await ask(ring, False, retry=RetryPolicy(backoff_s=0))
    assert await asks_once(ring, fake_provider, fake_clock)
    fake_clock.advance(20)
    assert not await asks_once(ring, fake_provider, fake_clock)


async def test_a_second_that_fails_is_listed_and_the_first_goes_on(
    ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, True)
    gate = asyncio.Event()
    fake_provider.script(Answer("late", gate=gate), model="m1")
    fake_provider.script(Fault.status(400), model="m2")
    asked = asyncio.create_task(ask(ring, True))
    await fake_provider.wait_received(41)
    fake_clock.advance(1.1)
    await fake_provider.wait_received(42)
    await until_it_ended(ring, "m2")
    gate.set()
    response = await asked
    assert response.content == "late"
    assert [(attempt["model"], attempt["status"]) for attempt in response.attempts] == [("m2", 400)]


@pytest.mark.parametrize("who_first", ["m1", "m2"])
async def test_both_fail_and_the_call_goes_on_to_the_third(
    who_first: str, ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, True)
    gates = {"m1": asyncio.Event(), "m2": asyncio.Event()}
    for model, gate in gates.items():
        fake_provider.script(Exact(status=500, headers={"content-length": "2"}, chunks=[gate, b"{}"]), model=model)
    fake_provider.script(Answer("third"), model="m3")
    asked = asyncio.create_task(ask(ring, True))
    await fake_provider.wait_received(41)
    fake_clock.advance(1.1)
    await fake_provider.wait_received(42)
    gates.pop(who_first).set()
    await until_it_ended(ring, who_first)
    gates.popitem()[1].set()
    response = await asked
    assert response.content == "third"
    assert sorted(attempt["model"] for attempt in response.attempts) == ["m1", "m2"]
    assert len(fake_provider.received) == 3, "none of them is asked twice"


async def until_it_ended(ring: LLMRing, model: str) -> None:
    while any(target.in_flight for target in ring.health().targets if target.model == model):
        await asyncio.sleep(0)


async def test_the_callers_own_mistake_ends_both(
    ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, True)
    fake_provider.script(Fault.hang(), model="m2")
    fake_provider.script(Fault.status(400), model="m1")
    with pytest.raises(InvalidRequestError):
        await ask(ring, True)


@both
@pytest.mark.parametrize("how", ["cancel", "deadline"])
async def test_a_caller_who_leaves_takes_both_along(
    how: str, stream: bool, ring: LLMRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    await teach(ring, fake_provider, fake_clock, stream)
    fake_provider.script(Fault.hang())
    asked = asyncio.create_task(ask(ring, stream, deadline=9))
    await fake_provider.wait_held()
    fake_clock.advance(1.1)
    await fake_provider.wait_held(2)
    if how == "cancel":
        asked.cancel()
    else:
        fake_clock.advance(9)
    with pytest.raises((asyncio.CancelledError, DeadlineExceededError)):
        await asked
    await fake_provider.wait_idle()


async def test_a_target_that_rests_or_has_no_room_is_not_hedged_with(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring(clock=fake_clock, retry=HEDGE, limits={"three": RateLimits(requests_per_minute=1)})
    await teach(ring, fake_provider, fake_clock, True)
    ring.isolate("two", "being repaired")
    fake_provider.script(Answer())
    await ring.chat("three:m3", "takes the only place of this minute")
    assert await asks_once(ring, fake_provider, fake_clock)
