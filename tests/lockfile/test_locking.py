"""What becomes of a manifest: which pins stay, which go, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.lockfile.intents import gathered, ids, known, locked, make, manifest, pool

from llmring.lockfile.known import Known
from llmring.lockfile.locking import NO_RISK, Accepted, Move, list_needed, make_lock
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import hash_facts, render_lock

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
POINTER = known("openai:gpt", pin="pointer", points_to="gpt-2026-01-01")
DATED = known("openai:gpt-2026-01-01")
NEWER = known("openai:gpt-2026-10-01")
ALL = Move(everything=True)


@pytest.mark.spec("V01")
def test_a_lock_has_a_row_for_each_model_with_facts_and_their_hash() -> None:
    made = make(pool("a:one", "b:two"), None, known("a:one"), known("b:two"))
    lock = locked(made)
    assert lock.profiles["default"].bindings["fast"].models == ("a:one", "b:two")
    assert list(lock.locked) == ["a:one", "b:two"]
    assert all(row.facts == hash_facts(row) for row in lock.locked.values())


@pytest.mark.spec("V01")
def test_locking_a_second_time_asks_for_nothing_and_gives_the_same_bytes() -> None:
    wanted = pool("a:one", "b:two", more='needs = ["tools"]\nmax-price = { input = "3" }')
    first = locked(make(wanted, None, known("a:one"), known("b:two")))
    assert list_needed(wanted, first) == []
    assert render_lock(make(wanted, first).lock) == render_lock(first)


@pytest.mark.spec("V01")
def test_the_same_manifest_in_another_order_gives_the_same_bytes() -> None:
    models = [known("a:one"), known("b:two")]
    one = manifest('[alias.x]\nmodels = ["a:one"]\n[alias.y]\nmodels = ["b:two"]\n')
    other = manifest('[alias.y]\nmodels = ["b:two"]\n[alias.x]\nmodels = ["a:one"]\n')
    assert render_lock(make(one, None, *models).lock) == render_lock(make(other, None, *reversed(models)).lock)


@pytest.mark.spec("V01")
def test_only_a_new_model_needs_facts_and_what_nobody_asks_for_goes() -> None:
    old = locked(make(pool("a:one", "a:gone"), None, known("a:one"), known("a:gone")))
    wanted = pool("a:one", "a:new")
    assert list_needed(wanted, old) == ["a:new"]
    made = make(wanted, old, known("a:new"))
    assert list(made.lock.locked) == ["a:new", "a:one"]
    assert made.lock.locked["a:one"] == old.locked["a:one"]


def test_a_lock_of_1_0_keeps_its_models_and_gets_hashes() -> None:
    old = parse_lock(
        b'version = "1.0"\n[[profiles.default.bindings]]\nalias = "fast"\nmodels = ["a:one"]\n[[locked]]\nid = "a:one"\n',
        "old",
    )
    wanted = pool("a:one")
    assert list_needed(wanted, old) == []
    row = make(wanted, old).lock.locked["a:one"]
    assert row.facts == hash_facts(row)


# Pointers


def test_a_pointer_is_locked_to_what_it_means_and_stays_there_when_it_moves() -> None:
    wanted = pool("openai:gpt")
    old = locked(make(wanted, None, POINTER, DATED))
    binding = old.profiles["default"].bindings["fast"]
    assert (binding.models, binding.requested) == (("openai:gpt-2026-01-01",), ("openai:gpt",))
    assert list(old.locked) == ["openai:gpt-2026-01-01"]
    assert list_needed(wanted, old) == []
    moved = known("openai:gpt", pin="pointer", points_to="gpt-2026-10-01")
    assert render_lock(make(wanted, old, moved, NEWER).lock) == render_lock(old)
    upgraded = make(wanted, old, moved, NEWER, DATED, move=ALL)
    assert upgraded.lock.profiles["default"].bindings["fast"].models == ("openai:gpt-2026-10-01",)
    assert list(upgraded.lock.locked) == ["openai:gpt-2026-10-01"]


@pytest.mark.spec("V08")
def test_a_pin_that_was_changed_by_hand_is_refused_until_it_is_resolved_anew() -> None:
    wanted = pool("openai:gpt")
    text = render_lock(make(wanted, None, POINTER, DATED).lock).decode()
    edited = parse_lock(text.replace("gpt-2026-01-01", "gpt-2026-10-01").encode(), "llmring.lock")
    assert "facts.mismatch error" in ids(make(wanted, edited, POINTER, DATED))
    anew = make(wanted, edited, POINTER, DATED, NEWER, move=Move(aliases=frozenset({"fast"})))
    assert anew.exit_code == 0
    assert render_lock(anew.lock).decode() == text
    # One that was written before there was such a hash keeps its pin, and gets one.
    before = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("resolved"))
    assert render_lock(make(wanted, parse_lock(before.encode(), "llmring.lock")).lock).decode() == text


def test_a_second_alias_takes_the_pin_that_the_first_one_has() -> None:
    old = locked(make(pool("openai:gpt"), None, POINTER, DATED))
    wanted = manifest('[alias.fast]\nmodels = ["openai:gpt"]\n[alias.more]\nmodels = ["openai:gpt"]\n')
    assert list_needed(wanted, old) == []
    assert make(wanted, old).lock.profiles["default"].bindings["more"].models == ("openai:gpt-2026-01-01",)


def test_a_pointer_whose_meaning_nobody_knows_stays_a_pointer_and_is_too_weak_where_more_is_asked() -> None:
    moving = known("openai:latest", pin="pointer")
    lock = locked(make(pool("openai:latest"), None, moving))
    assert lock.profiles["default"].bindings["fast"].requested == ()
    strict = manifest('[defaults]\nmin-pin = "snapshot"\n[alias.fast]\nmodels = ["openai:latest"]\n')
    assert list_needed(strict, lock) == ["openai:latest"]
    assert ids(make(strict, lock, moving)) == ["pin.too-weak error"]


def test_precise_takes_a_dated_form_of_what_is_asked_for_and_no_other_model() -> None:
    wanted = pool("openai:gpt")
    old = locked(make(wanted, None, POINTER, DATED))
    move = Move(precise={"fast": "openai:gpt-2026-10-01"})
    made = make(wanted, old, POINTER, DATED, NEWER, move=move)
    assert made.lock.profiles["default"].bindings["fast"].models == ("openai:gpt-2026-10-01",)
    # And it stays where it was put.
    assert list_needed(wanted, locked(made)) == []
    wrong = make(wanted, old, POINTER, DATED, known("openai:other"), move=Move(precise={"fast": "openai:other"}))
    assert ids(wrong) == ["constraint.failed error"]


def test_two_names_of_one_model_are_no_pool() -> None:
    made = make(pool("openai:gpt", "openai:gpt-2026-01-01"), None, POINTER, DATED)
    assert ids(made) == ["constraint.failed error"]
    assert "same model" in made.findings[0].message


# Constraints

CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ('needs = ["tools"]', {}, []),
    ('needs = ["vision"]', {"lacks": frozenset({"vision"})}, ["constraint.failed error"]),
    ('needs = ["vision"]', {}, ["constraint.unknown error"]),
    ("min-input = 1000", {"max_input": 999}, ["constraint.failed error"]),
    ("min-input = 1000", {"max_input": 1000}, []),
    ("min-input = 1000", {"context_window": 999}, ["constraint.failed error"]),
    ("min-input = 1000", {"context_window": 2000}, ["constraint.unknown error"]),
    ("min-output = 1000", {}, ["constraint.unknown error"]),
    ('max-price = { input = "1.99" }', {}, ["constraint.failed error"]),
    ('max-price = { input = "2" }', {}, []),
    ('max-price = { input = "2" }', {"price": {}}, ["price.unknown error"]),
    ('max-price = { input = "2" }', {"price": {"output": "1"}}, ["price.unknown error"]),
    ('max-price = { input = "2" }', {"worst": {"price": {"input": 3}}}, ["constraint.failed error"]),
    (
        'min-input = 300000\nmax-price = { input = "2" }',
        {"max_input": 400000, "price": {"input": "2", "input_above_200000": "4"}},
        ["constraint.failed error"],
    ),
]


@pytest.mark.parametrize(("asked", "facts", "expected"), CASES)
def test_a_constraint_that_is_not_known_to_hold_fails_closed(
    asked: str, facts: dict[str, Any], expected: list[str]
) -> None:
    made = make(pool("a:one", "a:two", more=asked), None, known("a:one", max_input=10**6, max_output=10**6,
        caps=frozenset({"tools", "vision"}), price={"input": "1"}), known("a:two", **facts))  # fmt: skip
    assert ids(made) == expected
    assert all("a:two" in found.message for found in made.findings)


def test_nobody_selects_from_a_provider_that_is_not_allowed_and_what_is_locked_is_no_exception() -> None:
    old = locked(make(pool("a:one"), None, known("a:one")))
    strict = manifest('[defaults]\nproviders = ["b"]\n[alias.fast]\nmodels = ["a:one"]\n')
    assert ids(make(strict, old)) == ["constraint.failed error"]


# Rule 3: what is retired stays where it is locked, and is never newly selected

HORIZON = '[defaults]\nretire-horizon = "60 days"\n[alias.fast]\nmodels = ["a:one"]\n'
PLAIN = '[alias.fast]\nmodels = ["a:one"]\n'
ENDS: list[tuple[str, dict[str, Any], list[str]]] = [
    (PLAIN, {"lifecycle": "retired"}, ["model.retired error"]),
    (PLAIN, {"lifecycle": "deprecated"}, ["model.deprecated error"]),
    (PLAIN, {"retires": "2026-11-20", "retires_kind": "firm"}, ["model.retired error"]),
    (HORIZON, {"retires": "2027-01-20", "retires_kind": "firm"}, ["model.retiring error"]),
    (HORIZON, {"retires": "2027-01-21", "retires_kind": "firm"}, []),
    (HORIZON, {"retires": "2027-01-20", "retires_kind": "earliest"}, ["model.retiring error"]),
    (PLAIN, {"retires": "2026-11-20", "retires_kind": "earliest"}, ["model.retiring warning"]),
]


@pytest.mark.spec("V12")
@pytest.mark.parametrize(("text", "facts", "expected"), ENDS)
def test_what_has_no_future_is_never_newly_selected_and_stays_where_it_is_locked(
    text: str, facts: dict[str, Any], expected: list[str]
) -> None:
    wanted = manifest(text)
    assert ids(make(wanted, None, known("a:one", **facts))) == expected
    # Locked before that was known, and asked about again since.
    old = locked(make(wanted, None, known("a:one")))
    assert ids(make(wanted, old)) == []
    assert ids(make(wanted, old, known("a:one", **facts), move=Move(everything=True, facts=True))) == []


def test_a_retired_model_that_one_alias_keeps_is_not_taken_up_by_another() -> None:
    facts: dict[str, Any] = {"retires": "2026-11-20", "retires_kind": "firm"}
    first = locked(make(pool("a:one"), None, known("a:one")))
    old = locked(make(pool("a:one"), first, known("a:one", **facts), move=Move(everything=True, facts=True)))
    wanted = manifest('[alias.fast]\nmodels = ["a:one"]\n[alias.more]\nmodels = ["a:one"]\n')
    made = make(wanted, old)
    assert [(found.id, found.subject) for found in made.findings] == [("model.retired", "default/more")]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"released": "2026-11-15"}, ["constraint.failed error"]),
        ({"released": "2026-11-14"}, []),
        ({"seen": "2026-11-01"}, []),
        ({"seen": "2026-11-21"}, ["constraint.unknown warning"]),
    ],
)
def test_what_is_younger_than_the_cooldown_is_not_selected(facts: dict[str, Any], expected: list[str]) -> None:
    wanted = manifest('[defaults]\ncooldown = "7 days"\n[alias.fast]\nmodels = ["a:one"]\n')
    assert ids(make(wanted, None, known("a:one", **facts))) == expected


# What nobody knows

NOBODY = known("a:typo", found=False, pin=None, caps=None, price={})


def test_a_model_that_no_source_knows_is_an_error_with_names_that_come_close() -> None:
    said = gathered(NOBODY, covered=frozenset({"a"}), names={"a": ("typo-1", "typos", "else")})
    made = make(pool("a:typo"), None, gathered=said)
    assert (ids(made), made.exit_code) == (["model.unknown error"], 3)
    assert made.findings[0].hint == "did you mean a:typos or a:typo-1?"
    assert ids(make(pool("a:typo"), None, gathered=said, accepted=Accepted(unknown=True))) == ["model.unknown warning"]


def test_a_model_that_its_vendors_listing_lacks_is_gone() -> None:
    made = make(pool("a:typo"), None, gathered=gathered(NOBODY, covered=frozenset({"a"}), listed=frozenset({"a"})))
    assert (ids(made), made.exit_code) == (["model.gone error"], 1)


def test_a_server_of_ones_own_needs_no_source_and_its_model_has_no_facts() -> None:
    made = make(pool("a:typo"), None, gathered=gathered(NOBODY))
    assert (ids(made), made.exit_code) == (["model.unknown warning"], 0)
    assert locked(made).locked["a:typo"].info.pin == "unknown"
    needy = make(pool("a:typo", more='needs = ["tools"]'), None, gathered=gathered(NOBODY))
    assert ids(needy) == ["model.unknown warning", "constraint.unknown error"]


def test_an_upgrade_keeps_what_is_locked_where_nobody_knows_it_any_more_and_says_so() -> None:
    old = locked(make(pool("a:typo"), None, known("a:typo")))
    for move in (ALL, AGAIN):
        made = make(pool("a:typo"), old, gathered=gathered(NOBODY, listed=frozenset({"a"})), move=move)
        assert ids(made) == ["model.gone warning"]
        assert made.lock.locked == old.locked


# Facts that change

AGAIN = Move(everything=True, facts=True)


def _reprice(price: str, as_of: str = "2026-11-21", accepted: Accepted = NO_RISK) -> list[str]:
    wanted = pool("a:one")
    old = locked(make(wanted, None, known("a:one")))
    said = known("a:one", price={"input": price}, price_as_of=as_of)
    return ids(make(wanted, old, said, move=AGAIN, accepted=accepted))


def test_a_price_under_half_the_last_one_asks_for_a_person() -> None:
    assert _reprice("1") == []
    assert _reprice("0.99") == ["price.halved error"]
    assert _reprice("0.99", accepted=Accepted(price=True)) == []


def test_prices_never_go_back_in_time_unless_a_person_says_so() -> None:
    assert _reprice("2", "2026-11-20") == ["registry.rollback error"]
    assert _reprice("2", "2026-11-20", accepted=Accepted(rollback=True)) == []


def test_a_row_that_was_edited_by_hand_is_refused_until_it_is_gathered_anew() -> None:
    wanted = pool("a:one")
    text = render_lock(locked(make(wanted, None, known("a:one", max_input=1000))))
    old = parse_lock(text.replace(b"max_input = 1000", b"max_input = 9000"), "llmring.lock")
    made = make(wanted, old)
    assert (ids(made), made.exit_code) == (["facts.mismatch error"], 4)
    again = make(wanted, old, known("a:one"), move=Move(models=frozenset({"a:one"}), facts=True))
    assert ids(again) == []


# Ollama

CONTENT = '[defaults]\nmin-pin = "content"\n[alias.fast]\nmodels = ["ollama:tiny:1b"]\n'
PULLED = known("ollama:tiny:1b", pin="content", digest=DIGEST, price={})


@pytest.mark.spec("V13")
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (PULLED, []),
        (replace(PULLED, created=True), ["pin.drift note"]),
        (known("ollama:tiny:1b", pin="pointer", price={}), ["pin.too-weak error"]),
        (known("ollama:tiny:1b", found=False, pin=None, price={}), ["model.unknown error"]),
    ],
    ids=["pulled", "created", "remote", "missing"],
)
def test_a_content_profile_takes_what_has_a_digest(model: Known, expected: list[str]) -> None:
    made = make(manifest(CONTENT), None, gathered=gathered(model, covered=frozenset({"ollama"})))
    assert ids(made) == expected
    assert not expected or "ollama pull" in (made.findings[0].hint or "") or expected[0] != "model.unknown error"


@pytest.mark.spec("V13")
def test_a_digest_is_never_silently_locked_anew_and_is_when_it_is_asked_for() -> None:
    wanted = manifest(CONTENT)
    old = locked(make(wanted, None, PULLED))
    changed = known("ollama:tiny:1b", pin="content", digest=OTHER_DIGEST, price={})
    assert make_lock(wanted, old, gathered(changed)).lock.locked["ollama:tiny:1b"].digest == DIGEST
    moved = make(wanted, old, changed, move=Move(aliases=frozenset({"fast"})))
    assert moved.lock.locked["ollama:tiny:1b"].digest == OTHER_DIGEST
    # With Ollama away, the registry's words of it take no digest from the lock.
    away = known("ollama:tiny:1b", pin="pointer", price={})
    assert make(wanted, old, away, move=AGAIN).lock.locked["ollama:tiny:1b"].digest == DIGEST


# Names that nobody knows


def test_a_provider_that_nothing_here_knows_is_no_server_of_ones_own() -> None:
    said = gathered(known("opnai:gpt", found=False, pin=None, caps=None, price={}), strangers=frozenset({"opnai"}))
    made = make(pool("opnai:gpt"), None, gathered=said)
    assert (ids(made), made.exit_code) == (["model.unknown error"], 3)
    assert "nothing here knows a provider opnai" in made.findings[0].message
    assert ids(make(pool("opnai:gpt"), None, gathered=said, accepted=Accepted(unknown=True))) == [
        "model.unknown warning"
    ]


def test_an_upgrade_of_a_model_that_no_alias_names_says_so() -> None:
    old = locked(make(pool("a:one"), None, known("a:one")))
    made = make(pool("a:one"), old, move=Move(models=frozenset({"a:oen"})))
    assert [(found.id, found.hint) for found in made.findings] == [("constraint.failed", "did you mean a:one?")]


def test_precise_takes_what_a_source_says_that_a_name_means() -> None:
    latest = known("a:latest", pin="pointer", points_to="one-2")
    wanted = pool("a:latest")
    old = locked(make(wanted, None, known("a:latest", pin="pointer")))
    made = make(wanted, old, latest, known("a:one-2"), move=Move(precise={"fast": "a:one-2"}))
    assert locked(made).profiles["default"].bindings["fast"].models == ("a:one-2",)


def test_a_pointer_is_locked_to_a_name_of_which_nobody_says_how_it_holds_where_that_will_do() -> None:
    latest, target = known("a:latest", pin="pointer", points_to="one"), known("a:one", pin=None)
    assert make(pool("a:latest"), None, latest, target).lock.profiles["default"].bindings["fast"].models == ("a:one",)
    strict = manifest('[defaults]\nmin-pin = "pointer"\n[alias.fast]\nmodels = ["a:latest"]\n')
    assert locked(make(strict, None, latest, target)).profiles["default"].bindings["fast"].models == ("a:latest",)


# Prices have a cooldown of their own

COOL = '[defaults]\ncooldown = "7 days"\n[alias.fast]\nmodels = ["a:one"]\n'


@pytest.mark.parametrize(
    ("priced", "expected"), [("2026-11-15", ["constraint.failed error"]), ("2026-11-14", []), (None, [])]
)
def test_a_model_is_not_selected_while_its_price_is_new(priced: str | None, expected: list[str]) -> None:
    assert ids(make(manifest(COOL), None, known("a:one", priced=priced))) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"priced": "2026-11-15"}, ["constraint.failed error"]),
        ({"priced": "2026-11-14"}, []),
        ({"price_as_of": "2026-11-21"}, ["constraint.unknown warning"]),
        ({"price_as_of": "2026-11-14"}, []),
    ],
)
def test_a_price_that_is_new_takes_no_locked_ones_place(facts: dict[str, Any], expected: list[str]) -> None:
    old = locked(make(manifest(COOL), None, known("a:one", price_as_of="2026-11-01")))
    risen = known("a:one", price={"input": "3", "output": "10"}, **facts)
    assert ids(make(manifest(COOL), old, risen, move=AGAIN)) == expected
    # The same price is not new, whoever says it again.
    same = known("a:one", **facts)
    assert ids(make(manifest(COOL), old, same, move=AGAIN)) == []


def test_of_two_ends_the_earlier_one_counts() -> None:
    facts: dict[str, Any] = {"retires": "2028-01-01", "worst": {"retires": "2026-11-20", "retires_kind": "firm"}}
    assert ids(make(pool("a:one"), None, known("a:one", **facts))) == ["model.retired error"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.2.2", ["registry.rollback error"]), ("0.1.10", ["registry.rollback error"]), ("0.2.3", []), ("0.2.10", [])],
)
def test_an_older_release_of_a_list_of_prices_is_older_whatever_the_day(version: str, expected: list[str]) -> None:
    old = locked(make(pool("a:one"), None, known("a:one")))
    said = known("a:one", price_source=f"genai-prices {version}")
    assert ids(make(pool("a:one"), old, said, move=AGAIN)) == expected
    assert ids(make(pool("a:one"), old, said, move=AGAIN, accepted=Accepted(rollback=True))) == []
