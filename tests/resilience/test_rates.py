"""Tokens a minute, however late it is known what was used, and whatever a server says of its limits meanwhile."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.resilience.policy import RateLimits
from llmring.resilience.quota import Quota
from llmring.resilience.rates import RequestRate, TokenRate

MINUTE_S = 60.0
MOST = 300.0
ENDS_S = 200.0


@dataclass
class Sent:
    """One request. used: in the end; ended_at: when that was known."""

    at: float
    estimate: float
    reserved: float
    used: float
    ended_at: float


@dataclass
class Run:
    """What went, in order, and which limit held from when on."""

    sent: list[Sent]
    limits: list[tuple[float, float]]


def run(seed: int, *, latency_s: float, share: float, overuse: float) -> Run:
    """As fast as it may go, for minutes. latency_s: about how long each takes. share: how much of what they may come to the first
    ones use; the later they are, the more. overuse: how many times what they may come to they may use."""
    dice = random.Random(seed)
    quota = Quota(RateLimits(tokens_per_minute=MOST))
    now, limit = 0.0, MOST
    made = Run([], [(0.0, MOST)])
    open_ones: list[Sent] = []
    change_at = dice.uniform(20, 100)
    while now < ENDS_S:
        estimate = float(dice.randint(1, int(limit / 50)))
        next_end = min((one.ended_at for one in open_ones), default=ENDS_S)
        now = max(now, min(quota.ready_at(estimate), next_end, change_at))
        if change_at <= now:
            limit = dice.choice((MOST, MOST / 2, MOST / 5))
            quota.heed(None, limit)
            made.limits.append((now, limit))
            change_at = now + dice.uniform(1, 60)
        for one in [one for one in open_ones if one.ended_at <= now]:
            open_ones.remove(one)
            quota.settle(one.reserved, one.used, now, one.at, one.estimate)
        if estimate <= limit / 50 and quota.ready_at(estimate) <= now:
            reserved = quota.take(estimate, now)
            used = estimate * overuse * min(1.0, dice.uniform(0, 2 * share) + now / ENDS_S)
            one = Sent(now, estimate, reserved, used, now + latency_s * dice.uniform(0.5, 1.5))
            made.sent.append(one)
            open_ones.append(one)
    return made


def check(made: Run) -> float:
    """The most that was used in any 60 s, in shares of what was allowed: the highest limit that held in them, and what the requests
    that were in flight when the last of them was sent came to use beyond what was set aside."""
    sent, times = made.sent, [one.at for one in made.sent]
    changes = [at for at, _ in made.limits]
    worst = 0.0
    for first, begin in enumerate(times):
        inside = sent[first : bisect_right(times, begin + MINUTE_S)]
        last = inside[-1].at
        limit = max(most for _, most in made.limits[bisect_right(changes, begin) - 1 : bisect_right(changes, last)])
        beyond = sum(max(0.0, one.used - one.reserved) for one in inside if one.ended_at > last)
        worst = max(worst, sum(one.used for one in inside) / (limit + beyond))
    return worst


LATENCIES_S = st.sampled_from([0.1, 5.0, 25.0, 45.0, 59.0, 61.0, 90.0])


@pytest.mark.spec("B02")
@settings(max_examples=12)
@given(st.integers(0, 10_000), LATENCIES_S, st.sampled_from([0.02, 0.5, 1.0]), st.sampled_from([0.5, 1.0, 3.0]))
def test_no_more_is_used_in_any_minute_than_the_limit_and_what_requests_in_flight_use_beyond_what_was_set_aside(
    seed: int, latency_s: float, share: float, overuse: float
) -> None:
    made = run(seed, latency_s=latency_s, share=share, overuse=overuse)
    assert len(made.sent) > 50
    assert check(made) <= 1 + 1e-9


@pytest.mark.spec("B02")
@settings(max_examples=30)
@given(st.integers(0, 10_000), LATENCIES_S, st.booleans())
def test_where_no_more_is_used_than_was_set_aside_the_limit_is_never_exceeded(
    seed: int, latency_s: float, changes: bool
) -> None:
    """The rate by itself: all that is taken is settled later, perhaps after its minute, and the limit moves meanwhile."""
    dice = random.Random(seed)
    rate = TokenRate(MOST)
    now = 0.0
    made = Run([], [(0.0, MOST)])
    open_ones: list[Sent] = []
    while now < ENDS_S:
        now += dice.choice((0.1, 0.2, 0.5))
        if changes and dice.random() < 0.01:
            rate.change(dice.choice((MOST, MOST / 2, MOST / 5)))
            made.limits.append((now, rate.per_minute))
        for one in [one for one in open_ones if one.ended_at <= now]:
            open_ones.remove(one)
            rate.settle(one.reserved, one.used, now, one.at)
        count = dice.uniform(0.2, 1) * rate.per_minute / 50
        while rate.ready_at(count) <= now:
            rate.take(count, now)
            # The first half of them use next to nothing, the others all.
            used = count * (0.05 if now < ENDS_S / 2 else 1.0)
            one = Sent(now, count, count, used, now + latency_s * dice.uniform(0.5, 1.5))
            made.sent.append(one)
            open_ones.append(one)
            if dice.random() < 0.05:  # called off before it was sent
                made.sent.remove(one)
                open_ones.remove(one)
                rate.give_back(count, now)
    assert len(made.sent) > 50
    assert check(made) <= 1 + 1e-9


def test_what_comes_back_after_a_minute_was_waited_for_already() -> None:
    rate = TokenRate(600)
    rate.take(600, 0.0)
    ready_at = rate.ready_at(12)
    rate.take(12, ready_at)
    full_at = rate.ready_at(600)
    rate.settle(600, 0, 61, 0.0)
    assert rate.ready_at(600) == full_at


def test_what_comes_back_is_worth_what_it_was_when_it_was_taken() -> None:
    rate = RequestRate(600)
    for _ in range(12):
        rate.take(1, 0.0)
    rate.change(60)
    rate.give_back(1, 0.0)
    # Eleven are still owed, a tenth of a second each as long as the limit was what it was.
    assert 1.0 < rate.ready_at(1) < 1.2


def test_a_batch_that_was_called_off_counts_no_more_and_its_neighbours_do() -> None:
    rate = RequestRate(100)
    rate.take(50, 0.0)
    rate.take(50, 31.0)
    rate.give_back(50, 0.0)
    assert rate.ready_at(50) <= 62
    rate.take(50, 62.0)
    assert rate.ready_at(1) >= 31 + MINUTE_S
