"""The arithmetic that a verdict is made of. No test takes a time."""

import json

import pytest
from benchmarks.result import (
    Check,
    Result,
    Series,
    at_least,
    at_most,
    excess_at_most,
    quantile,
    ratio_at_least,
    ratio_at_most,
)
from benchmarks.rounds import take_turns


def test_a_value_on_its_limit_is_within_and_one_above_is_over() -> None:
    assert at_most(Series("resolve", "µs", (9.0, 1.0, 2.0)), 2.0).within
    assert not at_most(Series("resolve", "µs", (9.0, 1.0, 2.5)), 2.0).within


def test_a_rate_on_its_limit_is_within_and_one_below_is_over() -> None:
    assert at_least(Series("rate", "/s", (4000.0, 5000.0, 9000.0)), 5000.0).within
    assert not at_least(Series("rate", "/s", (4000.0, 4999.0, 9000.0)), 5000.0).within


def test_a_rate_may_fall_by_its_share_and_no_further() -> None:
    few, many = Series("few", "/s", (100.0, 200.0, 50.0)), Series("many", "/s", (85.0, 170.0, 49.0))
    assert ratio_at_least(many, few, 0.85) == Check("many / few", 0.85, 0.85, "×", is_least=True)
    assert ratio_at_least(many, few, 0.85).within
    assert not ratio_at_least(many, few, 0.86).within


@pytest.mark.parametrize(("at", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_quantile_is_one_of_the_values(at: float, value: float) -> None:
    assert quantile([float(number) for number in range(100, 0, -1)], at) == value


def test_of_no_values_there_is_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


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
    result = Result(
        "PB00",
        "t",
        "m",
        (Series("a", "µs", (1.5, 2.5)),),
        (Check("a", 2.0, 3.0, "µs"), Check("b", 2.0, 1.0, "/s", is_least=True)),
    )
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_everybody_takes_turns_and_the_first_turn_is_dropped() -> None:
    order: list[str] = []

    def turn(who: str) -> int:
        order.append(who)
        return len(order)

    taken = take_turns({"a": lambda: turn("a"), "b": lambda: turn("b")}, 2)

    assert order == ["a", "b"] * 3
    assert taken == {"a": [3, 5], "b": [4, 6]}
