"""What changed between two locks: each kind of change, what is worse, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.lockfile.locks import lock, model

from llmring.exceptions import LockfileError
from llmring.lockfile.diff import AliasUsage, Change, Cost, diff_costs, diff_locks, list_unknown_usage, percent_of
from llmring.lockfile.diff_report import describe_cost
from llmring.lockfile.model import ExtendedPackage
from llmring.lockfile.usage_file import parse_usage_file

BASE: dict[str, Any] = {
    "pin": "snapshot",
    "caps": frozenset({"tools", "vision"}),
    "max_input": 200_000,
    "price": {"input": Decimal(2), "output": Decimal(10)},
    "price_as_of": "2026-10-01",
    "retires": "2027-06-30",
    "retires_kind": "earliest",
}


def changed(**facts: Any) -> list[Change]:
    return diff_locks(lock({"a": "x:m"}, model("x:m", **BASE)), lock({"a": "x:m"}, model("x:m", **{**BASE, **facts})))


def test_a_lock_is_the_same_as_itself() -> None:
    assert changed() == []


def test_where_a_fact_comes_from_and_when_it_was_looked_up_is_no_change() -> None:
    assert changed(price_as_of="2026-11-21", price_source="genai-prices 9", facts_source="x-api") == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"pin": "pointer"}, Change("pin", "x:m", None, "snapshot", "pointer", worse=True)),
        ({"pin": "content"}, Change("pin", "x:m", None, "snapshot", "content")),
        ({"caps": frozenset({"tools"})}, Change("cap", "x:m", "vision", True, None, worse=True)),
        (
            {"caps": frozenset({"tools"}), "lacks": frozenset({"vision"})},
            Change("cap", "x:m", "vision", True, False, worse=True),
        ),
        ({"caps": frozenset({"tools", "vision", "pdf"})}, Change("cap", "x:m", "pdf", None, True)),
        ({"max_input": 100_000}, Change("limit", "x:m", "max_input", 200_000, 100_000, worse=True)),
        ({"max_input": 300_000}, Change("limit", "x:m", "max_input", 200_000, 300_000)),
        ({"max_input": None}, Change("limit", "x:m", "max_input", 200_000, None, worse=True)),
        ({"max_output": 9}, Change("limit", "x:m", "max_output", None, 9)),
        (
            {"price": {"input": Decimal("2.5"), "output": Decimal(10)}},
            Change("price", "x:m", "input", "2", "2.5", Decimal("25.0"), worse=True),
        ),
        (
            {"price": {"input": Decimal(1), "output": Decimal(10)}},
            Change("price", "x:m", "input", "2", "1", Decimal("-50.0")),
        ),
        ({"price": {"output": Decimal(10)}}, Change("price", "x:m", "input", "2", None, worse=True)),
        (
            {"retires": "2027-01-01"},
            Change("retires", "x:m", None, "2027-06-30 (earliest)", "2027-01-01 (earliest)", worse=True),
        ),
        (
            {"retires_kind": "firm"},
            Change("retires", "x:m", None, "2027-06-30 (earliest)", "2027-06-30 (firm)", worse=True),
        ),
        (
            {"retires": "2027-12-31", "retires_kind": "firm"},
            Change("retires", "x:m", None, "2027-06-30 (earliest)", "2027-12-31 (firm)"),
        ),
        (
            {"retires": None, "retires_kind": None},
            Change("retires", "x:m", None, "2027-06-30 (earliest)", None),
        ),
        ({"digest": f"sha256:{'a' * 64}"}, Change("digest", "x:m", None, None, f"sha256:{'a' * 64}", worse=True)),
    ],
)
def test_one_fact_of_a_model_is_one_change(facts: dict[str, Any], expected: Change) -> None:
    assert changed(**facts) == [expected]


def test_a_price_that_rose_by_next_to_nothing_is_not_shown_as_zero() -> None:
    (change,) = changed(price={"input": Decimal("2.0001"), "output": Decimal(10)})
    assert change.percent == Decimal("0.1")


def test_pools_by_members_and_by_order() -> None:
    old = lock({"a": "x:m x:n", "b": "x:m", "gone": "x:m"})
    new = lock({"a": "x:n x:m", "b": "x:o", "new": "x:m"})
    told = [(change.what, change.subject, change.before, change.after) for change in diff_locks(old, new)]
    assert told == [
        ("order", "default/a", ["x:m", "x:n"], ["x:n", "x:m"]),
        ("models", "default/b", ["x:m"], ["x:o"]),
        ("alias", "default/gone", ["x:m"], None),
        ("alias", "default/new", None, ["x:m"]),
        ("model", "x:o", None, "snapshot"),
    ]


def test_parameters_successors_and_constraints() -> None:
    hashes = [f"sha256:{digit * 64}" for digit in "12"]
    old = lock({"a": "x:m", "b": "x:m"}, a={"parameters": {"temperature": 0.0}}, b={"input": hashes[0]})
    new = lock({"a": "x:m", "b": "x:m"}, a={"until": "2027-01-01", "then": ("x:m",)}, b={"input": hashes[1]})
    told = [(change.what, change.subject, change.fact, change.before, change.after) for change in diff_locks(old, new)]
    assert told == [
        ("parameter", "default/a", "temperature", 0.0, None),
        ("successor", "default/a", None, None, {"until": "2027-01-01", "then": ["x:m"]}),
        ("intent", "default/b", None, None, None),
    ]


def test_profiles_their_policies_and_packages() -> None:
    old = lock({"a": "x:m"})
    strict = replace(old.profiles["default"], on_drift="fail", min_pin="content")
    new = replace(
        old, default_profile="p", profiles={"default": strict}, extended={"p": ExtendedPackage("p", "p 2", "")}
    )
    assert [(change.what, change.subject, change.worse) for change in diff_locks(old, new)] == [
        ("default", "default_profile", False),
        ("parameter", "default", False),
        ("parameter", "default", False),
        ("package", "p", False),
    ]
    assert [change.worse for change in diff_locks(new, old)] == [False, True, True, False]


def price(amount: str, output: str = "10") -> dict[str, Any]:
    return {"price": {"input": Decimal(amount), "output": Decimal(output)}}


def test_costs_go_from_the_dearest_member_to_the_dearest() -> None:
    old = lock({"a": "x:m x:n"}, model("x:m", **price("2")), model("x:n", **price("1")))
    new = lock({"a": "x:m x:o"}, model("x:m", **price("2")), model("x:o", **price("3")))
    (cost,) = diff_costs(old, new)
    assert (cost.subject, cost.worst, cost.unpriced) == ("default/a", Decimal("50.0"), ())


def test_an_alias_whose_bill_cannot_move_costs_nothing_new() -> None:
    old = lock({"a": "x:m"}, model("x:m", **price("2")))
    assert diff_costs(old, lock({"a": "x:m", "new": "x:n"}, model("x:m", **price("2")))) == []


def test_usage_weighs_the_prices_of_the_first_model() -> None:
    old = lock({"a": "x:m"}, model("x:m", **price("2", "10")))
    new = lock({"a": "x:n"}, model("x:n", **price("4", "5")))
    usage = {"default/a": AliasUsage(7, {"input": 1_000_000, "output": 1_000_000})}
    (cost,) = diff_costs(old, new, usage)
    assert (cost.worst, cost.before, cost.after, cost.percent) == (Decimal("100.0"), 12, 9, Decimal("-25.0"))


def test_what_has_no_price_is_unknown_and_never_free() -> None:
    old, new = lock({"a": "x:m"}, model("x:m", **price("2"))), lock({"a": "x:n"})
    (cost,) = diff_costs(old, new, {"a": AliasUsage(1, {"input": 5})})
    assert (cost.worst, cost.unpriced, cost.after, cost.percent) == (None, ("x:n",), None, None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"input": Decimal(2)}, {"input": Decimal(2), "output": Decimal(50)}),
        ({"input": Decimal(2), "output": Decimal(50)}, {"input": Decimal(2)}),
    ],
)
def test_a_model_without_one_of_its_two_prices_is_unpriced(
    before: dict[str, Decimal], after: dict[str, Decimal]
) -> None:
    old, new = (lock({"a": "x:m"}, model("x:m", price=price)) for price in (before, after))
    (cost,) = diff_costs(old, new, {"a": AliasUsage(1, {"input": 5, "output": 5})})
    assert (cost.unpriced, cost.percent) == (("x:m",), None)


def test_what_has_no_price_of_output_anywhere_is_not_called_unpriced_for_it() -> None:
    old, new = (lock({"a": "x:m"}, model("x:m", price={"input": Decimal(one)})) for one in ("2", "3"))
    assert [(cost.worst, cost.unpriced) for cost in diff_costs(old, new)] == [(Decimal("50.0"), ())]


def test_a_new_tier_is_held_against_the_kind_that_it_belongs_to() -> None:
    old = lock({"a": "x:m"}, model("x:m", **price("2")))
    tier = {"price": {**price("2")["price"], "input_above_200000": Decimal(4)}}
    assert [cost.worst for cost in diff_costs(old, lock({"a": "x:m"}, model("x:m", **tier)))] == [Decimal("100.0")]


@pytest.mark.parametrize("kind", ["cache_read", "cache_write_5m", "cache_write_1h"])
def test_tokens_of_the_cache_have_prices_of_their_own_and_are_never_taken_for_input(kind: str) -> None:
    usage = {"a": AliasUsage(1, {"input": 1_000_000, kind: 1_000_000})}
    old = lock({"a": "x:m"}, model("x:m", price={"input": Decimal(2), kind: Decimal(1)}))
    dearer = lock({"a": "x:m"}, model("x:m", price={"input": Decimal(2), kind: Decimal(2)}))
    (cost,) = diff_costs(old, dearer, usage)
    assert (cost.before, cost.after, cost.percent) == (3, 4, Decimal("33.3"))
    (cost,) = diff_costs(old, lock({"a": "x:m"}, model("x:m", price={"input": Decimal(2)})), usage)
    assert (cost.before, cost.after, cost.percent) == (3, None, None)


@pytest.mark.parametrize(
    ("amount", "shown"), [("0", "$0.00"), ("0.0000001", "under $0.01"), ("0.01", "$0.01"), ("1234.5", "$1,234.50")]
)
def test_a_bill_that_is_not_nothing_is_not_shown_as_nothing(amount: str, shown: str) -> None:
    cost = Cost("default/a", None, (), 1, Decimal(amount), None)
    assert describe_cost(cost)[1] == f"{shown} -> unknown"


def test_a_kind_that_was_not_used_needs_no_price() -> None:
    old, new = (lock({"a": "x:m"}, model("x:m", **price(amount))) for amount in ("2", "3"))
    (cost,) = diff_costs(old, new, {"a": AliasUsage(1, {"input": 1_000_000, "cache_read": 0})})
    assert (cost.before, cost.after) == (2, 3)


@pytest.mark.parametrize(
    ("before", "after", "percent"), [(0, 0, 0), (0, 5, None), (5, 0, -100), (None, 5, None), (5, None, None)]
)
def test_no_percent_is_made_of_nothing(before: int | None, after: int | None, percent: int | None) -> None:
    sides = [None if amount is None else Decimal(amount) for amount in (before, after)]
    assert percent_of(*sides) == percent


def test_usage_of_names_that_the_lock_does_not_have() -> None:
    given = lock({"a": "x:m"})
    assert list_unknown_usage(given, ["a", "default/a", "b", "prod/a"]) == ["b", "prod/a"]


def test_usage_of_an_alias_alone_is_of_the_default_profile() -> None:
    old = lock({"a": "x:m"}, model("x:m", **price("2")), profile="prod")
    new = lock({"a": "x:m"}, model("x:m", **price("3")), profile="prod")
    (cost,) = diff_costs(old, new, {"a": AliasUsage(1, {"input": 5})})
    assert cost.calls is None


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b'{"aliases": []}',
        b'{"aliases": {"../a": {}}}',
        b'{"aliases": {"a": 1}}',
        b'{"aliases": {"a": {"tokens": {"inptu": 1}}}}',
        b'{"aliases": {"a": {"tokens": {"input": -1}}}}',
        b'{"aliases": {"a": {"tokens": {"input": 1.5}}}}',
        b'{"aliases": {"a": {"calls": true}}}',
        b'{"aliases": ',
    ],
)
def test_half_a_usage_file_is_refused(data: bytes) -> None:
    with pytest.raises(LockfileError, match=r"^usage\.json: "):
        parse_usage_file(data, "usage.json")
