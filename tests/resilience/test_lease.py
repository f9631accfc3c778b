"""A shared quota by itself: when permits are good, and what a process goes by that cannot ask."""

from __future__ import annotations

import math

import pytest

from llmring.resilience.lease import Parcel, SharedQuota
from llmring.resilience.policy import RateLimits
from llmring.testing import FakeClock

LEASE_S = 0.5


class Asked:
    """A shared quota, and how often it asked."""

    def __init__(self, limits: RateLimits, at_least: int = 1) -> None:
        self.clock = FakeClock()
        self.count = 0
        self.quota = SharedQuota(limits, self.clock, self._ask, lease_s=LEASE_S, at_least=at_least)

    def _ask(self, quota: SharedQuota) -> None:
        self.count += 1

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def grant(self, *due_after_s: float, took_s: float = 0.0, workers: int = 1) -> None:
        """Answers its wish."""
        wish = self.quota.wish()
        assert wish is not None
        asked_at = self.now
        self.clock.advance(took_s)
        self.quota.grant(wish, due_after_s, asked_at, self.now, workers)

    def is_ready(self, requests: int = 1) -> bool:
        return self.quota.ready_at(0, requests) <= self.now


def test_a_permit_is_good_from_when_it_is_due_until_its_lease_is_over() -> None:
    asked = Asked(RateLimits(requests_per_minute=600))
    assert asked.quota.ready_at() == math.inf
    assert asked.count == 1
    asked.grant(0.25, took_s=0.125)
    assert not asked.is_ready()
    assert asked.quota.ready_at() == asked.now + 0.25  # by the later of the two moments
    asked.clock.advance(0.25)
    assert asked.is_ready()
    asked.clock.advance(LEASE_S - 0.125 - 0.001)  # by the earlier of the two moments
    assert asked.is_ready()
    asked.clock.advance(0.002)
    assert asked.quota.ready_at() == math.inf
    assert asked.count == 2


def test_between_leases_nobody_is_asked() -> None:
    asked = Asked(RateLimits(requests_per_minute=60_000))
    asked.quota.waiting = 4
    assert not asked.is_ready()
    asked.grant(0, 0, 0, 0)
    asked.quota.waiting = 0
    for _ in range(4):
        assert asked.is_ready()
        asked.quota.take(0, asked.now)
    assert asked.count == 1
    assert not asked.is_ready()
    assert asked.count == 2


def test_who_was_busy_asks_for_half_of_what_it_used_lately() -> None:
    asked = Asked(RateLimits(requests_per_minute=60_000))
    for _ in range(2):
        asked.quota.waiting = 20
        assert not asked.is_ready()
        asked.grant(*[0.0] * 20)
        for _ in range(20):
            asked.quota.take(0, asked.now)
        asked.clock.advance(LEASE_S)
    asked.quota.waiting = 0
    assert not asked.is_ready()
    wish = asked.quota.wish()
    assert wish is not None
    assert wish.parcels == (Parcel(1, 0.0),) * 10


def test_a_request_that_counts_as_several_takes_several() -> None:
    asked = Asked(RateLimits(requests_per_minute=600))
    assert not asked.is_ready(requests=5)
    wish = asked.quota.wish()
    assert wish is not None
    assert wish.parcels == (Parcel(5, 0.0),)
    asked.grant(0.0)
    assert asked.is_ready(requests=5)
    asked.quota.take(0, asked.now, requests=3)
    assert asked.is_ready(requests=2)
    assert not asked.is_ready(requests=3)


def test_tokens_that_were_used_beyond_the_estimate_are_told_to_the_others() -> None:
    asked = Asked(RateLimits(tokens_per_minute=60_000))
    assert asked.quota.ready_at(100) == math.inf
    asked.grant(0.0)
    reserved = asked.quota.take(100, asked.now)
    count = asked.count
    asked.quota.settle(reserved, 5100, asked.now, asked.now, 100)
    assert asked.count == count + 1
    wish = asked.quota.wish()
    assert wish is not None
    assert (wish.owed, wish.parcels) == (5000, ())
    asked.grant()
    assert asked.quota.wish() is None


@pytest.mark.parametrize(("known", "at_least", "divided_by"), [(3, 1, 3), (1, 4, 4), (1, 1, 1)])
def test_alone_it_goes_by_its_share_and_a_little_less(known: int, at_least: int, divided_by: int) -> None:
    asked = Asked(RateLimits(requests_per_minute=600), at_least)
    assert not asked.is_ready()
    asked.grant(0.0, workers=known)
    asked.quota.take(0, asked.now)
    asked.quota.go_alone()
    sent = 0
    for _ in range(6000):
        asked.clock.advance(0.01)
        while asked.is_ready():
            asked.quota.take(0, asked.now)
            sent += 1
    assert 0.9 * 600 / divided_by < sent <= 600 / divided_by


def test_what_it_used_alone_since_it_last_tried_is_told_and_no_more() -> None:
    asked = Asked(RateLimits(requests_per_minute=60_000))
    asked.quota.go_alone()
    for _ in range(2):
        for _ in range(3):
            asked.clock.advance(0.1)
            assert asked.is_ready()
            asked.quota.take(0, asked.now)
        wish = asked.quota.wish()
        assert wish is not None
        assert wish.spent == 3
        asked.quota.go_alone()  # that try failed
    asked.clock.advance(0.1)
    asked.quota.take(0, asked.now)
    asked.grant()
    assert not asked.quota.is_alone
    assert asked.quota.wish() is None


def test_a_pause_stands_before_permits_and_is_told_once() -> None:
    asked = Asked(RateLimits(requests_per_minute=600))
    assert not asked.is_ready()
    asked.grant(0.0)
    assert asked.quota.pause(asked.now + 0.25, "told to wait")
    assert asked.quota.ready_at() == asked.now + 0.25
    wish = asked.quota.wish()
    assert wish is not None
    assert (wish.pause_s, wish.parcels) == (0.25, ())
    asked.grant()
    assert asked.quota.wish() is None
    assert not asked.quota.learn_pause(asked.now + 0.26, "its own, by another clock")
    assert asked.quota.learn_pause(asked.now + 1, "another's")
    assert asked.quota.wish() is None  # the others know
    asked.quota.resume()
    wish = asked.quota.wish()
    assert wish is not None
    assert wish.ends_pause
    assert asked.is_ready()


def test_a_pause_that_is_called_off_while_a_question_is_under_way_stays_off() -> None:
    asked = Asked(RateLimits(requests_per_minute=600))
    assert not asked.is_ready()
    wish = asked.quota.wish()
    assert wish is not None
    asked.quota.resume()
    asked.quota.grant(wish, (), asked.now, asked.now, 1)
    assert not asked.quota.learn_pause(asked.now + 9, "the answer's, from before")
    assert not asked.is_ready()  # it asks again
    wish = asked.quota.wish()
    assert wish is not None
    assert wish.ends_pause
    assert len(wish.parcels) == 1
    asked.grant(0.0)
    assert asked.is_ready()


def test_the_servers_own_limit_holds_where_it_is_lower_alone_as_well() -> None:
    asked = Asked(RateLimits(requests_per_minute=600))
    whole = asked.quota.rates().request_s
    asked.quota.heed(300, None)
    assert asked.quota.rates().request_s == pytest.approx(2 * whole, rel=0.01)
    asked.quota.go_alone()
    for _ in range(2):
        asked.quota.take(0, asked.now)
    assert asked.quota.ready_at() - asked.now == pytest.approx(60.5 / (0.95 * 300 - 1))
