"""The arithmetic that a verdict is made of. No test takes a time."""

import json

import pytest
from benchmarks.result import Check, Result, Series, at_most, excess_at_most, ratio_at_most
from benchmarks.rounds import take_turns


def test_a_value_on_its_limit_is_within_and_one_above_is_over() -> None:
    assert at_most(Series("resolve", "µs", (9.0, 1.0, 2.0)), 2.0).within
    assert not at_most(Series("resolve", "µs", (9.0, 1.0, 2.5)), 2.0).within


def test_a_ratio_compares_neighbours_in_time_and_not_two_medians() -> None:
    # The machine is three times slower in the third round, for both.
    ours = Series("ours", "µs", (20.0, 22.0, 60.0))
    floor = Series("floor", "µs", (10.0, 11.0, 30.0))

    assert ratio_at_most(ours, floor, 2.0) == Check("ours / floor", 2.0, 2.0, "×")
    assert ratio_at_most(ours, Series("floor", "µs", (10.0, 10.0, 10.0)), 2.0).value == 2.2


def test_an_excess_is_taken_round_by_round_in_the_unit_of_both() -> None:
    ours, floor = Series("ours", "ms", (15.0, 17.0, 40.0)), Series("floor", "ms", (10.0, 11.0, 30.0))
    assert excess_at_most(ours, floor, 5.0) == Check("ours − floor", 6.0, 5.0, "ms")


def test_a_difference_without_a_budget_is_shown_and_spoils_no_verdict() -> None:
    check = excess_at_most(Series("ours", "ms", (90.0,)), Series("floor", "ms", (10.0,)), None)
    assert (check.value, check.limit, check.within) == (80.0, None, True)


def test_series_of_unlike_length_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio_at_most(Series("ours", "µs", (1.0, 2.0)), Series("floor", "µs", (1.0,)), 2.0)


def test_a_result_is_within_only_where_every_check_is() -> None:
    fine, over = Check("a", 1.0, 2.0, "×"), Check("b", 3.0, 2.0, "×")
    assert Result("PB00", "t", "m", (), (fine, fine)).within
    assert not Result("PB00", "t", "m", (), (fine, over)).within


def test_a_result_survives_json() -> None:
    result = Result("PB00", "t", "m", (Series("a", "µs", (1.5, 2.5)),), (Check("a", 2.0, 3.0, "µs"),))
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_everybody_takes_turns_and_the_first_turn_is_dropped() -> None:
    order: list[str] = []

    def turn(who: str) -> int:
        order.append(who)
        return len(order)

    taken = take_turns({"a": lambda: turn("a"), "b": lambda: turn("b")}, 2)

    assert order == ["a", "b"] * 3
    assert taken == {"a": [3, 5], "b": [4, 6]}
