"""An audit's decision: dates before, inside and after the horizon, earliest against firm, and everything that nobody knows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.lockfile.locks import lock, model

from llmring.lockfile.audit import Audit, Rules, audit_lock, list_asked
from llmring.lockfile.auditing import audit_here
from llmring.lockfile.facts import Asked
from llmring.lockfile.finding import Finding, exit_code
from llmring.lockfile.intent import IgnoredFinding, Manifest, Sources
from llmring.lockfile.known import Gathered, Known
from llmring.lockfile.model import Lock, LockedModel
from llmring.registry.model_info import ModelInfo
from llmring.registry.parse import Fact, FactSource, make_file
from llmring.registry.snapshot import Snapshot

DAY = "2026-11-21"
TODAY = Rules(DAY)
LOCKED: dict[str, Any] = {
    "pin": "snapshot",
    "caps": frozenset({"tools", "vision"}),
    "max_input": 200_000,
    "price": {"input": Decimal(2), "output": Decimal(10)},
}


def gathered(*infos: ModelInfo, **more: Any) -> Gathered:
    return Gathered(DAY, {info.id: Known(LockedModel(info), info) for info in infos}, **more)


def audit(locked: dict[str, Any], now: dict[str, Any] | None, rules: Rules = TODAY, *ignored: IgnoredFinding) -> Audit:
    known = gathered() if now is None else gathered(ModelInfo("x:m", **now))
    return audit_lock(lock({"a": "x:m"}, model("x:m", **{**LOCKED, **locked})), known, rules, ignored)


def told(found: Audit) -> list[tuple[str, str]]:
    return [(finding.id, finding.severity) for finding in found.findings]


def test_nothing_has_moved() -> None:
    assert audit({}, LOCKED) == Audit(())


@pytest.mark.spec("V12")
@pytest.mark.parametrize("known_by", ["lock", "sources"])
@pytest.mark.parametrize(
    ("as_of", "kind", "expected", "code"),
    [
        ("2027-05-01", "firm", [], 0),  # 61 days before
        ("2027-05-02", "firm", [("model.retiring", "warning")], 0),  # 60
        ("2027-06-30", "firm", [("model.retiring", "warning")], 0),  # the day before
        ("2027-07-01", "firm", [("model.retired", "error")], 1),  # the day
        ("2028-01-01", "firm", [("model.retired", "error")], 1),
        ("2027-05-01", "earliest", [], 0),
        ("2027-05-02", "earliest", [("model.retiring", "warning")], 0),
        ("2027-07-01", "earliest", [("model.retiring", "warning")], 0),
        ("2037-07-01", "earliest", [("model.retiring", "warning")], 0),
        ("2027-05-02", None, [("model.retiring", "warning")], 0),
        ("2027-07-01", None, [("model.unknown", "error")], 3),
    ],
)
def test_dates_before_inside_and_after(
    known_by: str, as_of: str, kind: str | None, expected: list[tuple[str, str]], code: int
) -> None:
    dated = {"retires": "2027-07-01", "retires_kind": kind}
    found = audit(dated, LOCKED, Rules(as_of)) if known_by == "lock" else audit({}, LOCKED | dated, Rules(as_of))
    assert told(found) == expected
    assert exit_code(found.findings) == code


@pytest.mark.spec("V12")
@pytest.mark.parametrize("fail_on", ["model.retiring", "warning"])
def test_a_firm_date_can_be_made_to_fail_a_build_beforehand_and_an_earliest_one_never(fail_on: str) -> None:
    rules = Rules("2027-06-30", fail_on=frozenset({fail_on}))
    dated = {"retires": "2027-07-01", "retires_kind": "firm"}
    assert told(audit({}, LOCKED | dated, rules)) == [("model.retiring", "error")]
    dated = {"retires": "2027-07-01", "retires_kind": "earliest"}
    assert told(audit({}, LOCKED | dated, rules)) == [("model.retiring", "warning")]
    assert told(audit({}, LOCKED | dated, replace(rules, as_of="2029-01-01"))) == [("model.retiring", "warning")]


@pytest.mark.spec("V12")
def test_a_date_that_was_put_off_is_the_one_that_counts() -> None:
    locked = {"retires": "2026-11-01", "retires_kind": "firm"}
    assert told(audit(locked, LOCKED | {"retires": "2028-01-01", "retires_kind": "firm"})) == []


@pytest.mark.spec("V12")
@pytest.mark.parametrize(
    ("locked", "expected"),
    [("earliest", [("model.retiring", "warning")]), ("firm", [("model.retired", "error")])],
)
def test_a_source_that_gives_the_locked_day_without_its_kind_does_not_make_it_unknown(
    locked: str, expected: list[tuple[str, str]]
) -> None:
    now = LOCKED | {"retires": "2026-11-01"}
    assert told(audit({"retires": "2026-11-01", "retires_kind": locked}, now)) == expected
    assert told(audit({"retires": "2026-10-01", "retires_kind": locked}, now)) == [("model.unknown", "error")]


def test_a_pointer_that_leads_elsewhere_now_is_told_once_for_all_who_asked_for_it() -> None:
    locked = lock(
        {"a": "x:m-1 x:n", "b": "x:m-1", "c": "x:m-1"},
        model("x:m-1", **LOCKED),
        model("x:n", **LOCKED),
        a={"requested": ("x:m", "x:n")},
        b={"requested": ("x:m",)},
    )
    assert list_asked(locked) == ["x:m", "x:m-1", "x:n"]
    rows = [ModelInfo(name, **LOCKED) for name in ("x:m-1", "x:n")]
    assert told(audit_lock(locked, gathered(*rows, ModelInfo("x:m", points_to="m-1")), TODAY)) == []
    assert told(audit_lock(locked, gathered(*rows, ModelInfo("x:m")), TODAY)) == []  # nobody says where it leads
    moved = gathered(*rows, ModelInfo("x:m", points_to="m-2"), ModelInfo("x:m-2", lifecycle="retired"))
    (found,) = audit_lock(locked, moved, TODAY).findings
    assert (found.id, found.subject, found.severity) == ("pin.drift", "x:m-1", "warning")
    assert found.message == "x:m, which it was locked for, leads to x:m-2 now; used by default/a, default/b"
    strict = audit_lock(locked, moved, replace(TODAY, fail_on=frozenset({"pin.drift"})))
    assert exit_code(strict.findings) == 1


def test_a_row_whose_names_and_models_do_not_pair_says_nothing_of_pointers() -> None:
    locked = lock({"a": "x:m-1"}, a={"requested": ("x:m", "x:n")})
    assert list_asked(locked) == ["x:m-1"]


@pytest.mark.spec("V13")
@pytest.mark.parametrize(("now", "expected"), [("a", []), ("b", [("digest.mismatch", "error")]), (None, [])])
def test_other_weights_than_the_locked_ones_are_nobodys_to_ignore(
    now: str | None, expected: list[tuple[str, str]]
) -> None:
    row = model("x:m", pin="content", digest=f"sha256:{'a' * 64}")
    fresh = LockedModel(row.info, digest=now and f"sha256:{now * 64}")
    known = Gathered(DAY, {"x:m": Known(fresh, fresh.info)}, listed=frozenset({"x"}))
    ignored = [IgnoredFinding(id, "2099-01-01", "in a hurry") for id in ("digest.mismatch", "digest.mismatch:x:m")]
    found = audit_lock(lock({"a": "x:m"}, row), known, replace(TODAY, local=frozenset({"x"})), ignored)
    assert told(found) == expected
    assert exit_code(found.findings) == (4 if expected else 0)


def test_a_horizon_may_reach_beyond_the_calendar() -> None:
    dated = {"retires": "9999-01-01", "retires_kind": "firm"}
    assert told(audit({}, LOCKED | dated, Rules(DAY, horizon_days=99_999_999))) == [("model.retiring", "warning")]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"lifecycle": "retired"}, [("model.retired", "error")]),
        ({"lifecycle": "deprecated"}, [("model.deprecated", "warning")]),
        ({"lifecycle": "deprecated", "retires": "2026-12-01", "retires_kind": "firm"}, [("model.retiring", "warning")]),
        ({"price": {"input": Decimal("2.01"), "output": Decimal(10)}}, [("price.increased", "error")]),
        ({"price": {"input": Decimal(1), "output": Decimal(10)}}, []),
        ({"price": {}}, [("price.unknown", "warning")]),
        ({"price": {"input": Decimal(2)}}, [("price.unknown", "warning")]),
        (
            {"price": {"input": Decimal(2), "input_above_1000": Decimal(4), "output": Decimal(10)}},
            [("price.increased", "error")],
        ),
        (
            {"price": {"input": Decimal(2), "output": Decimal(10), "input_above_1000": Decimal(2)}},
            [],
        ),
        ({"caps": frozenset({"tools"}), "lacks": frozenset({"vision"})}, [("cap.lost", "error")]),
        ({"caps": frozenset({"tools"})}, []),  # nobody says that it cannot
        ({"max_input": 100_000}, [("cap.lost", "error")]),
        ({"max_input": None}, []),
    ],
)
def test_what_a_source_says_today(now: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(audit({}, LOCKED | now)) == expected


def test_a_price_may_rise_as_far_as_it_is_allowed_to() -> None:
    now = LOCKED | {"price": {"input": Decimal("2.2"), "output": Decimal(10)}}
    assert told(audit({}, now, Rules(DAY, max_increase_percent=Decimal(10)))) == []
    assert told(audit({}, now, Rules(DAY, max_increase_percent=Decimal("9.9")))) == [("price.increased", "error")]


def test_a_price_that_was_not_known_has_not_risen() -> None:
    assert told(audit({"price": {}}, LOCKED)) == []


@pytest.mark.spec("V03")
def test_a_model_that_nobody_knows_is_not_fine() -> None:
    found = audit({}, None)
    assert told(found) == [("model.unknown", "error")]
    assert exit_code(found.findings) == 3


def test_what_runs_here_and_what_is_pinned_by_content_need_nobody_to_know_them() -> None:
    assert audit({}, None, Rules(DAY, local=frozenset({"x"}))) == Audit(())
    assert audit({"digest": f"sha256:{'a' * 64}", "pin": "content"}, None) == Audit(())


def test_every_member_of_a_pool_and_a_successor_is_audited_and_what_nobody_uses_is_not() -> None:
    locked = lock({"a": "x:one x:two"}, model("x:spare"), a={"until": "2027-01-01", "then": ("x:three",)})
    found = audit_lock(locked, gathered(), Rules(DAY))
    unknown = [finding.subject for finding in found.findings if finding.id == "model.unknown"]
    assert unknown == ["x:one", "x:three", "x:two"]


def test_a_member_without_a_row_is_audited_by_what_sources_say() -> None:
    locked = lock({"a": "x:m"})
    bare = Lock("1.1", "default", locked.profiles, {}, {}, "", "llmring.lock")
    found = audit_lock(bare, gathered(ModelInfo("x:m", lifecycle="retired")), Rules(DAY))
    assert told(found) == [("model.retired", "error")]


def test_a_vendor_that_was_read_and_does_not_list_a_model_has_dropped_it() -> None:
    locked = lock({"a": "x:m"}, model("x:m", **LOCKED))
    known = Gathered(DAY, {"x:m": Known(model("x:m"), ModelInfo("x:m"), found=False)}, listed=frozenset({"x"}))
    assert told(audit_lock(locked, known, Rules(DAY, online=True))) == [("model.gone", "error")]


@pytest.mark.spec("V03")
@pytest.mark.parametrize(
    ("rules", "severity", "code"),
    [
        (Rules(DAY, online=True), "error", 3),
        (Rules(DAY), "warning", 0),
        (Rules(DAY, online=True, local=frozenset({"x"})), "warning", 0),
    ],
)
def test_a_source_that_had_to_be_asked_and_was_not_is_undetermined(rules: Rules, severity: str, code: int) -> None:
    known = gathered(ModelInfo("x:m", **LOCKED), unread={"provider-api of x": "no key"})
    found = audit_lock(lock({"a": "x:m"}, model("x:m", **LOCKED)), known, rules)
    assert told(found) == [("source.unreachable", severity)]
    assert exit_code(found.findings) == code


@pytest.mark.spec("V03")
@pytest.mark.parametrize(("online", "expected"), [(True, [("source.unreachable", "error")]), (False, [])])
async def test_whom_nobody_wanted_asked_is_no_finding_and_whom_somebody_did_is(
    online: bool, expected: list[tuple[str, str]]
) -> None:
    page = FactSource("a page", "https://example.org/models", DAY)
    facts = {"m": {"price.input": Fact("2", "page")}}
    registry = Snapshot("here", {"openai": make_file("openai", DAY, {"page": page}, facts)})
    manifest = Manifest("llmring.toml", {}, Sources(prices=("registry",)))
    asked = Asked(lambda: registry, listed=frozenset({"openai"}))
    found = await audit_here(lock({"a": "openai:m"}), manifest, replace(TODAY, online=online), asked, DAY)
    assert told(found) == expected


def test_a_disagreement_is_passed_on_as_a_warning_and_can_be_made_an_error() -> None:
    said = Finding("source.disagree", "x:m", "max_input is 1 by A, and B says 2", "warning")
    of_another = replace(said, subject="x:other")
    known = gathered(ModelInfo("x:m", **LOCKED), findings=(said, of_another))
    locked = lock({"a": "x:m"}, model("x:m", **LOCKED))
    assert audit_lock(locked, known, Rules(DAY)).findings == (said,)
    strict = Rules(DAY, fail_on=frozenset({"source.disagree"}))
    assert told(audit_lock(locked, known, strict)) == [("source.disagree", "error")]


@pytest.mark.parametrize("id", ["model.retired", "model.retired:x:m"])
def test_a_finding_is_set_aside_until_its_day(id: str) -> None:
    ignored = IgnoredFinding(id, "2026-12-01", "migration planned")
    found = audit({}, LOCKED | {"lifecycle": "retired"}, Rules("2026-11-30"), ignored)
    assert found.findings == ()
    assert [(finding.id, rule.reason) for finding, rule in found.ignored] == [("model.retired", "migration planned")]
    found = audit({}, LOCKED | {"lifecycle": "retired"}, Rules("2026-12-01"), ignored)
    assert told(found) == [("model.retired", "error")]
    assert found.ended == (ignored,)


def test_another_model_is_not_set_aside_with_it() -> None:
    ignored = IgnoredFinding("model.retired:x:other", "2026-12-01", "migration planned")
    assert told(audit({}, LOCKED | {"lifecycle": "retired"}, Rules(DAY), ignored)) == [("model.retired", "error")]


def test_a_command_that_a_hint_gives_is_safe_to_paste() -> None:
    name = "x:$(touch${IFS}ran)"
    locked = lock({"a": name}, model(name, **LOCKED), a={"until": "2026-01-01", "then": (name,)})
    dearer: dict[str, Any] = LOCKED | {"price": {"input": Decimal(9), "output": Decimal(10)}, "max_input": 1}
    found = audit_lock(locked, gathered(ModelInfo(name, **dearer)), TODAY).findings
    assert {finding.id for finding in found} == {"price.increased", "cap.lost", "alias.succession"}
    assert all(f"'{name}'" in (finding.hint or "") for finding in found)
