"""Which clock runs when, and what is said when it runs out."""

from __future__ import annotations

import math

import pytest

from llmring.exceptions import DeadlineExceededError, ProviderTimeoutError
from llmring.resilience.deadline import DEFAULT_TIMEOUTS, LOCAL_TIMEOUTS, ReplyClock, effective_timeouts
from llmring.schemas.request import Timeouts


@pytest.mark.spec("A24")
def test_the_documented_defaults() -> None:
    assert Timeouts(connect=5.0, first_token=60.0, idle=30.0, total=600.0) == DEFAULT_TIMEOUTS


@pytest.mark.spec("A24")
def test_a_local_server_may_load_its_model_first_and_has_no_total() -> None:
    assert effective_timeouts(None, local=True) == LOCAL_TIMEOUTS
    assert (LOCAL_TIMEOUTS.first_token, LOCAL_TIMEOUTS.total) == (300.0, None)


@pytest.mark.spec("A24")
def test_a_number_limits_the_whole_reply_and_the_first_content() -> None:
    timeouts = effective_timeouts(7, local=False)
    assert (timeouts.total, timeouts.first_token, timeouts.idle) == (7, 7, 30.0)


def test_timeouts_given_whole_are_used_as_they_are() -> None:
    asked = Timeouts(connect=1, first_token=2, idle=3, total=4)
    assert effective_timeouts(asked, local=True) is asked


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_limit_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"Timeouts\.idle"):
        Timeouts(idle=value)


@pytest.mark.spec("A24")
def test_a_plain_reply_counts_its_total_alone() -> None:
    clock = ReplyClock(DEFAULT_TIMEOUTS, started=100, deadline=None, stream=False)
    assert clock.until() == 700
    assert "within 600 s" in str(clock.error())
    assert "Timeouts.total" in str(clock.error())


@pytest.mark.spec("A24")
def test_a_stream_counts_first_token_then_inactivity_and_no_total() -> None:
    clock = ReplyClock(DEFAULT_TIMEOUTS, started=100, deadline=None, stream=True)
    assert clock.until() == 160
    assert "Timeouts.first_token" in str(clock.error())
    clock.heard_content(150)
    assert clock.until() == 180
    assert "Timeouts.idle" in str(clock.error())


@pytest.mark.spec("A24")
def test_pings_reset_the_idle_clock_and_not_the_content_clock() -> None:
    clock = ReplyClock(DEFAULT_TIMEOUTS, started=0, deadline=None, stream=True)
    clock.heard(59)
    assert clock.until() == 60, "a ping is no first token"
    clock.heard_content(10)
    for second in range(10, 60, 10):
        clock.heard(second)
    assert clock.until() == 70
    assert "no more content" in str(clock.error())


@pytest.mark.parametrize("stream", [True, False])
def test_the_deadline_wins_over_every_other_clock(stream: bool) -> None:
    clock = ReplyClock(DEFAULT_TIMEOUTS, started=0, deadline=3, stream=stream)
    assert clock.until() == 3
    assert isinstance(clock.error(), DeadlineExceededError)
    assert not clock.error().retryable


def test_no_limit_anywhere_waits_for_ever() -> None:
    never = Timeouts(connect=None, first_token=None, idle=None, total=None)
    for stream in (True, False):
        clock = ReplyClock(never, started=0, deadline=None, stream=stream)
        clock.heard_content(5)
        assert clock.until() is None


def test_a_clock_that_ran_out_is_worth_another_try() -> None:
    error = ReplyClock(DEFAULT_TIMEOUTS, started=0, deadline=None, stream=True).error()
    assert type(error) is ProviderTimeoutError
    assert error.retryable
