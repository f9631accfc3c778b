"""How many second attempts all calls together may make."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmring.resilience.budget import RetryBudget


def drain(budget: RetryBudget, now: float) -> int:
    count = 0
    while budget.withdraw(now):
        count += 1
    return count


def test_ten_are_in_reserve_and_a_fifth_of_the_calls_more() -> None:
    assert drain(RetryBudget(), 0) == 10
    budget = RetryBudget()
    for _ in range(100):
        budget.add_call(5.0)
    assert drain(budget, 5.0) == 30


def test_calls_and_retries_are_forgotten_after_ten_seconds() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.add_call(0.0)
    assert drain(budget, 9.9) == 30
    assert drain(budget, 10.0) == 0, "the calls are gone, the retries are not"
    assert drain(budget, 20.0) == 10


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=300))
def test_in_no_ten_seconds_are_there_more(steps: list[tuple[bool, float]]) -> None:
    budget, now = RetryBudget(), 1000.0
    calls: list[int] = []
    retries: list[int] = []
    for is_call, wait_s in steps:
        now += wait_s
        if is_call:
            budget.add_call(now)
            calls.append(int(now))
        elif budget.withdraw(now):
            retries.append(int(now))
            recent = sum(at > int(now) - 10 for at in retries)
            assert recent <= 10 + 0.2 * sum(at > int(now) - 10 for at in calls) + 1
