"""Which gate a failure shuts, for whom, and how one sees it: the gates of a ring as its calls pass them."""

from __future__ import annotations

import json
import logging
import math
import random

import pytest

from llmring.exceptions import (
    ConfigurationError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QuotaExhaustedError,
)
from llmring.resilience.board import Board
from llmring.resilience.breaker import BreakerState, Scope, Transition
from llmring.resilience.policy import RateLimits
from llmring.resilience.target import Target
from llmring.testing import FakeClock


class Ring:
    """A board, a clock, and calls that end as they are told."""

    def __init__(self, limits: RateLimits | None = None) -> None:
        self.clock = FakeClock()
        self.told: list[Transition] = []
        self.key: object = "first"
        self.board = Board(
            self.clock,
            limits=limits,
            find_mark=lambda provider, credential: self.key,
            listener=self.told.append,
            random=random.Random(0),
        )

    def find(self, name: str, credential: str | None = None) -> Target:
        provider, _, model = name.partition(":")
        return self.board.find(provider, credential, model)

    def is_open(self, name: str, credential: str | None = None) -> bool:
        """To calls."""
        return self.find(name, credential).refusal(self.clock.monotonic()) is None

    def scope(self, name: str) -> Scope:
        refusal = self.find(name).refusal(self.clock.monotonic())
        assert refusal is not None
        return refusal.scope

    def rests_s(self, name: str, credential: str | None = None) -> float:
        now = self.clock.monotonic()
        refusal = self.find(name, credential).refusal(now)
        return 0.0 if refusal is None else refusal.until - now

    def call(
        self, name: str, error: BaseException | None = None, *, times: int = 1, credential: str | None = None
    ) -> None:
        for _ in range(times):
            target = self.find(name, credential)
            target.quota.in_flight += 1
            target.leave(target.admit(self.clock.monotonic()), error, self.clock.monotonic())

    def stream(self, name: str, first_token_s: float) -> None:
        target = self.find(name)
        permit = target.admit(self.clock.monotonic())
        target.quota.in_flight += 1
        self.clock.advance(first_token_s)
        target.begin(permit, self.clock.monotonic())
        target.leave(permit, None, self.clock.monotonic())


DOWN = ProviderResponseError("down", status=500)


@pytest.mark.spec("U18")
def test_one_bad_model_never_blocks_its_siblings() -> None:
    ring = Ring()
    ring.call("one:a", DOWN, times=5)
    assert ring.scope("one:a") is Scope.MODEL
    assert ring.is_open("one:b")
    assert ring.is_open("two:a")
    assert ring.is_open("one:a", "KEY_2"), "another key, another breaker"


def test_no_connection_shuts_the_endpoint_for_all_its_models_and_no_other() -> None:
    ring = Ring()
    for model in "abcde":
        ring.call(f"one:{model}", ProviderUnreachableError("no route"))
    for name, credential in (("one:a", None), ("one:new", None), ("one:a", "KEY_2")):
        assert not ring.is_open(name, credential)
    assert ring.scope("one:a") is Scope.ENDPOINT
    assert ring.is_open("two:a")


def test_errors_that_a_server_answered_with_say_that_it_is_there() -> None:
    ring = Ring()
    for _ in range(10):
        ring.call("one:a", ProviderUnreachableError("no route"), times=2)
        ring.call("one:b", ProviderAuthenticationError("x", status=401), credential="KEY_9")
        ring.call("one:c", ProviderResponseError("x", status=409))
        ring.call("one:d", times=6)
    assert not [told for told in ring.told if told.scope is Scope.ENDPOINT]


def test_one_bad_key_shuts_only_what_is_asked_with_it_for_a_minute() -> None:
    ring = Ring()
    ring.call("one:a", ProviderAuthenticationError("refused", status=401))
    assert ring.scope("one:b") is Scope.CREDENTIAL
    assert ring.rests_s("one:b") == 60
    assert ring.is_open("one:a", "KEY_2")
    assert ring.is_open("two:a")
    ring.clock.advance(60)
    assert ring.is_open("one:a")
    ring.call("one:a", ProviderAuthenticationError("refused", status=401))
    assert ring.rests_s("one:a") == 60, "a minute each time"


def test_another_key_opens_the_gate_at_once() -> None:
    ring = Ring()
    ring.call("one:a", ProviderAuthenticationError("refused", status=403))
    assert not ring.is_open("one:a")
    ring.key = "second"
    assert ring.is_open("one:a")
    assert ring.told[-1].reason == "the key has changed"
    ring.call("one:a", ProviderAuthenticationError("refused", status=403))
    assert not ring.is_open("one:a")
    ring.key = "third"
    assert ring.is_open("one:a")


def test_a_late_refusal_of_the_old_key_says_nothing_of_the_new_one() -> None:
    ring = Ring()
    target = ring.find("one:a")
    late = target.admit(ring.clock.monotonic())
    target.quota.in_flight += 1
    ring.call("one:a", ProviderAuthenticationError("refused", status=401))
    ring.key = "second"
    target.leave(late, ProviderAuthenticationError("refused", status=401), ring.clock.monotonic())
    assert ring.is_open("one:a")


def test_a_spent_quota_rests_until_its_reset_or_fifteen_minutes() -> None:
    ring = Ring()
    ring.call("one:a", QuotaExhaustedError("spent", status=402))
    assert ring.rests_s("one:b") == 900
    ring.call("two:a", QuotaExhaustedError("spent", status=429, retry_after_s=7200))
    assert ring.rests_s("two:a") == 7200
    ring.call("three:a", QuotaExhaustedError("spent", status=429, retry_after_s=1e12))
    assert ring.rests_s("three:a") == 32 * 86_400, "a month's at the longest, whatever the server says"


def test_a_missing_model_is_remembered_for_a_minute_and_its_siblings_are_asked() -> None:
    ring = Ring()
    ring.call("one:gone", ModelNotFoundError("gone", status=404))
    assert ring.scope("one:gone") is Scope.MODEL
    assert ring.rests_s("one:gone") == 60
    assert ring.is_open("one:a")
    assert not ring.find("one:gone").bring_forward(ring.clock.monotonic())
    ring.clock.advance(60)
    ring.call("one:gone")
    assert ring.is_open("one:gone")


def test_a_hint_pauses_and_is_no_failure() -> None:
    ring = Ring()
    ring.call("one:a", ProviderRateLimitError("slow down", status=429, retry_after_s=3), times=50)
    assert (ring.scope("one:a"), ring.rests_s("one:a")) == (Scope.QUOTA, 3)
    assert ring.is_open("one:b")
    ring.call("one:a", ProviderRateLimitError("slow down", status=429, retry_after_s=1))
    assert ring.rests_s("one:a") == 3, "the longer one stays"
    ring.clock.advance(3)
    assert ring.is_open("one:a")
    assert ring.find("one:a").model.state is BreakerState.CLOSED


def test_a_rate_limit_without_a_hint_cuts_and_is_no_failure() -> None:
    ring = Ring()
    quota = ring.find("one:a").quota
    quota.in_flight = 10
    ring.call("one:a", ProviderRateLimitError("slow down", status=429), times=50)
    assert quota.limit == 7
    assert ring.is_open("one:a")


@pytest.mark.parametrize("status", [503, 529])
def test_an_overload_cuts_and_is_a_failure(status: int) -> None:
    ring = Ring()
    ring.find("one:a").quota.in_flight = 10
    ring.call("one:a", ProviderResponseError("x", status=status), times=5)
    assert ring.find("one:a").quota.limit == 7
    assert ring.scope("one:a") is Scope.MODEL


def test_the_callers_own_errors_open_nothing() -> None:
    ring = Ring()
    for error in (ProviderResponseError("x", status=409), KeyError("x"), GeneratorExit()):
        ring.call("one:a", error, times=50)
    assert not ring.told
    assert ring.find("one:a").quota.in_flight == 0


def test_streams_that_begin_four_times_later_than_usual_and_after_twenty_seconds_are_slow() -> None:
    ring = Ring()
    for _ in range(20):
        ring.stream("one:a", 1.0)
    ring.clock.advance(60)
    for _ in range(15):
        ring.stream("one:a", 19.0)
    assert ring.is_open("one:a"), "under 20 s nothing is slow"
    ring = Ring()
    for _ in range(20):
        ring.stream("one:a", 1.0)
    for _ in range(20):
        ring.clock.advance(60)
        ring.stream("one:a", 21.0)
    assert ring.is_open("one:a"), "one a minute is not ten in a window"


def test_ten_slow_streams_at_once_open_the_breaker_however_slow_the_last_were() -> None:
    ring = Ring()
    for _ in range(20):
        ring.stream("one:a", 1.0)
    ring.clock.advance(120)
    target = ring.find("one:a")
    permits = [target.admit(ring.clock.monotonic()) for _ in range(10)]
    target.quota.in_flight += 10
    ring.clock.advance(25)
    for permit in permits:
        target.begin(permit, ring.clock.monotonic())
    assert ring.scope("one:a") is Scope.MODEL
    assert "10 of 10 streams began late" in target.model.reason
    assert target.first_token.usual is None, "how it is when it comes back is learnt anew"


def test_streams_whose_first_token_never_came_are_slow_too() -> None:
    ring = Ring()
    for _ in range(10):
        ring.call("one:a", ProviderTimeoutError("no content"))
        ring.call("one:a")
    assert ring.told[0].reason.startswith(("5 of 10", "10 of 10"))


@pytest.mark.spec("U18")
def test_where_all_rests_the_soonest_is_asked_once_a_second() -> None:
    ring = Ring()
    ring.call("one:a", DOWN, times=5)
    target, asked = ring.find("one:a"), 0
    for _ in range(36):
        if target.refusal(ring.clock.monotonic()) and target.bring_forward(ring.clock.monotonic()):
            asked += 1
            ring.call("one:a", DOWN)
        ring.clock.advance(0.1)
    assert asked == 3, "a second after it was shut, and each second from then on"


def test_no_word_of_an_overloaded_server_shuts_a_model_for_good() -> None:
    """A header of 30 years, by mistake or malice, on five replies."""
    board = Board(FakeClock(), random=random.Random(0))
    target = board.find("one", None, "m")
    for _ in range(5):
        target.quota.in_flight += 1
        target.leave(target.admit(0), ProviderResponseError("x", status=503, retry_after_s=1e9), 0)
    assert target.model.until == 3600


def test_nobody_is_asked_before_the_time_that_a_server_named() -> None:
    ring = Ring()
    ring.call("one:a", DOWN, times=4)
    ring.call("one:a", ProviderResponseError("x", status=503, retry_after_s=90))
    now = ring.clock.monotonic()
    assert ring.rests_s("one:a") == 90
    assert not ring.find("one:a").bring_forward(now)
    ring.call("one:b", ProviderAuthenticationError("refused", status=401))
    assert not ring.find("one:b").bring_forward(now)


def test_isolated_by_hand_a_provider_or_a_model_is_not_asked_until_restored() -> None:
    ring = Ring()
    ring.board.isolate("one:a", "maintenance")
    assert not ring.is_open("one:a")
    assert not ring.is_open("one:a", "KEY_NEVER_ASKED_BEFORE")
    assert ring.is_open("one:b")
    assert ring.rests_s("one:a") == math.inf
    ring.board.restore("one:a")
    assert ring.is_open("one:a")
    assert ring.is_open("one:a", "ANOTHER_KEY")
    ring.board.isolate("one", "maintenance")
    assert not ring.is_open("one:b")
    ring.board.restore("one")
    assert ring.is_open("one:b")
    for name in ("", ":", "one:"):
        with pytest.raises(ConfigurationError, match="names no target"):
            ring.board.isolate(name, "x")


def test_restored_by_hand_nothing_is_held_against_it() -> None:
    ring = Ring()
    ring.call("one:a", DOWN, times=5)
    ring.call("one:b", ProviderAuthenticationError("refused", status=401))
    ring.call("one:c", ProviderRateLimitError("slow down", retry_after_s=20))
    ring.board.restore("one")
    assert all(ring.is_open(name) for name in ("one:a", "one:b", "one:c"))


def test_restoring_a_model_opens_every_gate_before_it_but_the_one_that_was_shut_by_hand() -> None:
    ring = Ring()
    ring.call("one:a", ProviderUnreachableError("no connection"), times=5)
    assert ring.scope("one:a") is Scope.ENDPOINT
    ring.board.restore("one:a")
    assert ring.is_open("one:a")
    ring.board.isolate("one", "maintenance")
    ring.board.restore("one:a")
    assert not ring.is_open("one:a"), "by its own name alone"


def test_each_change_is_told_with_scope_target_reason_and_time() -> None:
    ring = Ring()
    ring.call("one:a", DOWN, times=5, credential="KEY_2")
    told = ring.told[0]
    assert (told.scope, told.target, told.old, told.new) == (Scope.MODEL, "one/KEY_2:a", "closed", "open")
    assert "500" in told.reason
    assert told.at == ring.clock.now()
    assert told.retry_in_s is not None
    assert 4 <= told.retry_in_s <= 6
    assert json.dumps(told.to_dict())
    ring.clock.advance(6)
    ring.call("one:a", credential="KEY_2")
    assert [(told.old, told.new) for told in ring.told[1:]] == [("open", "half_open"), ("half_open", "closed")]


def test_a_code_that_is_a_sentence_stands_in_no_reason() -> None:
    ring = Ring()
    ring.call("one:a", ProviderResponseError("x", status=500, code="you wrote: my diary"), times=5)
    ring.call("one:b", ProviderResponseError("x", status=500, code="server_error"), times=5)
    assert "diary" not in ring.told[0].reason
    assert ring.told[1].reason.endswith("500 server_error")


def test_a_listener_that_raises_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def raise_error(told: Transition) -> None:
        raise RuntimeError("mine")

    board = Board(FakeClock(), listener=raise_error)
    with caplog.at_level(logging.ERROR, "llmring.resilience"):
        board.isolate("one:a", "x")
    assert "the listener for transitions raised" in caplog.text


def test_health_tells_state_reason_and_when() -> None:
    ring = Ring()
    ring.call("one:a", DOWN, times=5)
    ring.call("two:b")
    health = ring.board.health()
    first, second = health.targets
    assert (first.provider, first.model, first.available, second.available) == ("one", "a", False, True)
    gate = next(gate for gate in first.gates if gate.scope is Scope.MODEL)
    assert gate.state is BreakerState.OPEN
    assert "5 failures in a row" in gate.reason
    assert gate.retry_in_s is not None
    assert json.dumps(health.to_dict())


def test_what_is_known_belongs_to_the_ring_and_not_to_the_process() -> None:
    first, second = Ring(), Ring()
    first.call("one:a", DOWN, times=5)
    first.board.isolate("two", "x")
    assert second.is_open("one:a")
    assert second.is_open("two:a")


def test_a_provider_of_the_same_name_begins_anew() -> None:
    ring = Ring()
    ring.call("one:a", DOWN, times=5)
    ring.call("one:a", ProviderAuthenticationError("refused", status=401))
    ring.board.forget("one")
    assert ring.is_open("one:a")


def test_names_that_callers_invent_do_not_fill_the_memory() -> None:
    ring = Ring()
    for number in range(4500):
        ring.call(f"one:{number}")
    assert len(ring.board.health().targets) <= 4096


def test_names_that_callers_invent_are_forgotten_though_each_was_refused_a_moment_ago() -> None:
    ring = Ring()
    ring.call("one:paused", ProviderRateLimitError("slow down", retry_after_s=3000))
    ring.call("one:down", DOWN, times=5)
    for number in range(6000):
        ring.call(f"one:invented-{number}", ModelNotFoundError("gone", status=404))
    assert len(ring.board.health().targets) <= 4096
    assert not ring.is_open("one:invented-5999")
    assert ring.rests_s("one:paused") == 3000, "what a server asked for is remembered"
    assert not ring.is_open("one:down")


class LookedAt(FakeClock):
    """Counts how often somebody asks for the time."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic()


def test_where_none_can_be_forgotten_not_each_new_name_has_all_of_them_looked_through() -> None:
    clock = LookedAt()
    board = Board(clock)
    for number in range(6000):
        board.find("one", None, f"{number}").pause(1000.0, 3000, "slow down")
    assert clock.looks <= 10


@pytest.mark.parametrize("name", ["opnai", "opnai:m", "fast"])
@pytest.mark.parametrize("move", ["isolate", "restore"])
def test_a_name_that_is_mistaken_is_told(move: str, name: str) -> None:
    # Whoever isolates "opnai" in an outage must not believe that something has happened.
    board = Board(FakeClock(), knows_provider=lambda provider: provider == "openai")
    with pytest.raises(ConfigurationError, match="names no provider"):
        board.isolate(name, "down") if move == "isolate" else board.restore(name)
    board.isolate("openai:m", "down")
    board.restore("openai")
