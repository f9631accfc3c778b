"""Two branches' locks into one: what merges, what stays in conflict, and the text that says so."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lockfile.locks import lock, model

from llmring.lockfile.merge import Merged, merge_locks, render_merged, split_sides
from llmring.lockfile.model import ExtendedPackage, Lock, Profile
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import render_lock

BASE = lock({"a": "x:one", "b": "x:two", "c": "x:three"})


def pools(merged: Merged) -> dict[str, str]:
    assert merged.lock is not None
    return {alias: " ".join(one.models) for alias, one in merged.lock.profiles["default"].bindings.items()}


def subjects(merged: Merged) -> list[str]:
    return [conflict.subject for conflict in merged.conflicts]


@pytest.mark.spec("V11")
@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        # edits of two aliases, neighbours
        (
            {"a": "x:four", "b": "x:two", "c": "x:three"},
            {"a": "x:one", "b": "x:five", "c": "x:three"},
            {"a": "x:four", "b": "x:five", "c": "x:three"},
        ),
        # adding two
        (
            {"a": "x:one", "b": "x:two", "c": "x:three", "d": "x:four"},
            {"a": "x:one", "b": "x:two", "c": "x:three", "e": "x:five"},
            {"a": "x:one", "b": "x:two", "c": "x:three", "d": "x:four", "e": "x:five"},
        ),
        # edit one and delete another
        (
            {"a": "x:four", "b": "x:two", "c": "x:three"},
            {"a": "x:one", "c": "x:three"},
            {"a": "x:four", "c": "x:three"},
        ),
        # the same edit on both sides
        ({"a": "x:four"}, {"a": "x:four"}, {"a": "x:four"}),
    ],
)
def test_changes_of_different_aliases_merge(
    ours: dict[str, str], theirs: dict[str, str], expected: dict[str, str]
) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        merged = merge_locks(BASE, lock(one), lock(other))
        assert pools(merged) == expected
        used = {name for pool in expected.values() for name in pool.split()}
        assert merged.lock is not None
        assert merged.lock.locked.keys() == used  # a row for each model, none for what nobody uses now


@pytest.mark.spec("V11")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"a": "x:four", "b": "x:two", "c": "x:three"}, {"a": "x:five", "b": "x:two", "c": "x:three"}),
        ({"b": "x:two", "c": "x:three"}, {"a": "x:five", "b": "x:two", "c": "x:three"}),
        (
            {"a": "x:four", "b": "x:nine", "c": "x:three"},
            {"a": "x:five", "b": "x:two", "c": "x:eight", "d": "x:new"},
        ),
    ],
)
def test_the_same_alias_changed_on_both_sides_is_one_conflict(ours: dict[str, str], theirs: dict[str, str]) -> None:
    merged = merge_locks(BASE, lock(ours), lock(theirs))
    assert subjects(merged) == ["default/a"]
    assert merged.lock is None
    text = render_merged(merged).decode()
    assert text.count("<<<<<<< ") == text.count("=======\n") == text.count(">>>>>>> ") == 1
    sides = split_sides(text)
    mine, other = (parse_lock(side.encode(), "side") for side in sides[:2])
    read = [
        {alias: " ".join(one.models) for alias, one in each.profiles["default"].bindings.items()}
        for each in (mine, other)
    ]
    assert [each.get("a") for each in read] == [ours.get("a"), theirs.get("a")]
    left, right = ({alias: pool for alias, pool in each.items() if alias != "a"} for each in read)
    assert left == right
    # Whichever side is chosen, its models have their rows.
    for each in (mine, other):
        assert {name for one in each.profiles["default"].bindings.values() for name in one.models} <= each.locked.keys()


def test_two_conflicts_are_two() -> None:
    merged = merge_locks(
        BASE, lock({"a": "x:4", "b": "x:5", "c": "x:three"}), lock({"a": "x:6", "b": "x:7", "c": "x:three"})
    )
    assert subjects(merged) == ["default/a", "default/b"]
    assert render_merged(merged).count(b"<<<<<<< ours\n") == 2


def test_without_a_base_what_only_one_side_has_was_added_by_it() -> None:
    merged = merge_locks(None, lock({"a": "x:one"}), lock({"b": "x:two"}))
    assert pools(merged) == {"a": "x:one", "b": "x:two"}
    assert subjects(merge_locks(None, lock({"a": "x:one"}), lock({"a": "x:two"}))) == ["default/a"]


def test_a_row_that_one_side_dropped_stays_where_the_other_begins_to_use_it() -> None:
    merged = merge_locks(BASE, lock({"b": "x:two", "c": "x:three"}), lock({"a": "x:one", "b": "x:one", "c": "x:three"}))
    assert pools(merged) == {"b": "x:one", "c": "x:three"}
    assert merged.lock is not None
    assert "x:one" in merged.lock.locked


def priced(amount: str, day: str) -> Lock:
    return lock({"a": "x:m"}, model("x:m", price={"input": Decimal(amount)}, price_as_of=day))


def test_of_two_looks_at_one_model_the_later_one_is_taken_whole() -> None:
    merged = merge_locks(priced("1", "2026-01-01"), priced("2", "2026-02-01"), priced("3", "2026-03-01"))
    assert merged.lock is not None
    assert merged.lock.locked == priced("3", "2026-03-01").locked


def test_two_prices_of_one_day_and_rows_edited_by_hand_are_for_a_person() -> None:
    base = priced("1", "2026-01-01")
    assert subjects(merge_locks(base, priced("2", "2026-02-01"), priced("3", "2026-02-01"))) == ["x:m"]
    theirs = priced("3", "2026-03-01")
    edited = replace(theirs, locked={"x:m": replace(theirs.locked["x:m"], facts=f"sha256:{'0' * 64}")})
    assert subjects(merge_locks(base, priced("2", "2026-02-01"), edited)) == ["x:m"]


def test_other_weights_are_for_a_person_however_new_the_prices_beside_them() -> None:
    def pulled(letter: str, day: str) -> Lock:
        row = model("x:m", pin="content", digest=f"sha256:{letter * 64}", price_as_of=day)
        return lock({"a": "x:m"}, row)

    merged = merge_locks(pulled("a", "2026-01-01"), pulled("b", "2026-02-01"), pulled("c", "2026-03-01"))
    assert subjects(merged) == ["x:m"]


def test_what_one_side_learned_of_a_model_that_the_other_no_longer_uses_is_no_conflict() -> None:
    theirs = replace(priced("2", "2026-02-01"), profiles=lock({"a": "x:m", "b": "x:two"}).profiles)
    merged = merge_locks(priced("1", "2026-01-01"), lock({"a": "x:n"}), theirs)
    assert pools(merged) == {"a": "x:n", "b": "x:two"}
    assert merged.lock is not None
    assert "x:m" not in merged.lock.locked


def test_a_successor_keeps_the_row_that_the_other_side_dropped() -> None:
    base = lock({"a": "x:one", "b": "x:next"})
    dated = lock({"a": "x:one", "b": "x:next"}, a={"until": "2027-01-01", "then": ("x:next",)})
    merged = merge_locks(base, dated, lock({"a": "x:one"})).lock
    assert merged is not None
    assert merged.profiles["default"].bindings.keys() == {"a"}
    assert merged.locked.keys() == {"x:one", "x:next"}


def test_a_policy_changed_on_both_sides_is_a_conflict() -> None:
    sides = [
        replace(BASE, profiles={"default": replace(BASE.profiles["default"], min_pin=grade)})
        for grade in ("content", "snapshot")
    ]
    merged = merge_locks(BASE, sides[0], sides[1])
    assert [(conflict.subject, conflict.kind) for conflict in merged.conflicts] == [("default", "profile")]
    assert render_merged(merged).count(b"<<<<<<< ours\n") == 1


def test_profiles_their_policies_the_default_and_packages_merge_too() -> None:
    ours = replace(BASE, default_profile="prod", extended={"p": ExtendedPackage("p", "p 1", f"sha256:{'1' * 64}")})
    prod = Profile("prod", lock({"a": "x:one"}).profiles["default"].bindings, min_pin="snapshot")
    theirs = replace(
        BASE, profiles={"default": replace(BASE.profiles["default"], on_drift="fail"), "prod": prod}, locked=BASE.locked
    )
    for one, other in ((ours, theirs), (theirs, ours)):
        merged = merge_locks(BASE, one, other).lock
        assert merged is not None
        assert (merged.default_profile, merged.extended) == ("prod", ours.extended)
        assert (merged.profiles["default"].on_drift, merged.profiles["prod"]) == ("fail", prod)


def test_a_profile_that_was_removed_and_changed_is_a_conflict_and_one_that_was_only_removed_is_gone() -> None:
    prod = lock({"a": "x:one"}, profile="prod").profiles["prod"]
    base = replace(BASE, profiles={**BASE.profiles, "prod": prod})
    changed = replace(base, profiles={**BASE.profiles, "prod": replace(prod, bindings={})})
    assert merge_locks(base, BASE, base).lock == BASE
    merged = merge_locks(base, BASE, changed)
    assert subjects(merged) == ["prod"]
    assert b"[profiles.prod]" in render_merged(merged)


def test_the_default_profile_changed_on_both_sides_is_a_conflict_in_the_text() -> None:
    merged = merge_locks(BASE, replace(BASE, default_profile="a"), replace(BASE, default_profile="b"))
    assert subjects(merged) == ["default_profile"]
    assert render_merged(merged).startswith(b"<<<<<<< ours\n# Generated")


POOLS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["x:1", "x:2", "x:1 x:2", "x:3"]))


@pytest.mark.spec("V11")
@given(POOLS, POOLS, POOLS)
def test_a_merge_is_the_same_from_either_side_and_its_text_reads_back(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str]
) -> None:
    was, mine, other = lock(base), lock(ours), lock(theirs)
    one, two = merge_locks(was, mine, other), merge_locks(was, other, mine)
    in_conflict = {
        alias
        for alias in {*ours, *theirs}
        if len({ours.get(alias), theirs.get(alias)} | {base.get(alias)}) == 3
        or (ours.get(alias) != theirs.get(alias) and base.get(alias) not in (ours.get(alias), theirs.get(alias)))
    }
    assert sorted(subjects(one)) == sorted(subjects(two)) == sorted(f"default/{alias}" for alias in in_conflict)
    if one.lock is not None and two.lock is not None:
        assert render_lock(one.lock) == render_lock(two.lock)
        assert render_merged(one) == render_lock(one.lock)
    else:
        mine_text, other_text, _ = split_sides(render_merged(one).decode())
        assert render_lock(parse_lock(mine_text.encode(), "ours")) == render_lock(one.ours)
        assert render_lock(parse_lock(other_text.encode(), "theirs")) == render_lock(one.theirs)
    assert merge_locks(was, mine, mine).lock is not None


def test_sides_of_git_s_own_markers() -> None:
    text = "a\n<<<<<<< HEAD\nb\n||||||| 123\nc\n=======\nd\n>>>>>>> topic\ne\n"
    assert split_sides(text) == ("a\nb\ne\n", "a\nd\ne\n", "a\nc\ne\n")
    assert split_sides("a\n<<<<<<< HEAD\n=======\nd\n>>>>>>> topic\n") == ("a\n", "a\nd\n", None)


@pytest.mark.parametrize("text", ["<<<<<<< a\n", "=======\n", "<<<<<<< a\n>>>>>>> b\n", "<<<<<<< a\n<<<<<<< a\n"])
def test_markers_out_of_order_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its words are for nobody
        split_sides(text)
