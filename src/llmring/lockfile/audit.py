"""Did the world move under a lock? Locked rows against a date and against what sources say now. Pure: decides, and asks nobody.

What is locked keeps working, and is reported: a date that is only the earliest possible is never more than a warning, and what nobody
could say is never fine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from llmring.lockfile.diff import MAIN_KINDS, base_kind, percent_of
from llmring.lockfile.escaping import quote_shell
from llmring.lockfile.finding import ACT, EXIT_CODES, REFUSED, UNDETERMINED, Finding
from llmring.lockfile.intent import IgnoredFinding
from llmring.lockfile.known import Gathered
from llmring.lockfile.model import Lock, LockedModel
from llmring.lockfile.render import render_decimal
from llmring.lockfile.succession import find_successions
from llmring.registry.model_info import ModelInfo

DEFAULT_HORIZON_DAYS: Final = 60
FAIL_ON: Final = ("warning", *(id for id, code in EXIT_CODES.items() if code != REFUSED))

_LIMITS: Final = {"max_input": "input tokens", "max_output": "output tokens", "context_window": "tokens of context"}
_MAX_LISTED: Final = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """What an audit goes by.

    as_of: the day (YYYY-MM-DD) that retirements and ignored findings are held against. horizon_days: how long before a retirement it is
    reported. max_increase_percent: of a price. online: the sources had to be asked, so one that was not read is an error.
    fail_on: ids whose warnings are errors, or "warning" for all. local: providers that run on the user's machine: nobody retires or
    prices their models.
    """

    as_of: str
    horizon_days: int = DEFAULT_HORIZON_DAYS
    max_increase_percent: Decimal = Decimal(0)
    online: bool = False
    fail_on: frozenset[str] = frozenset()
    local: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit came to. ignored: findings that the manifest sets aside, with why. ended: what it set aside until a day that has come."""

    findings: tuple[Finding, ...]
    ignored: tuple[tuple[Finding, IgnoredFinding], ...] = ()
    ended: tuple[IgnoredFinding, ...] = ()


def audit_lock(lock: Lock, gathered: Gathered, rules: Rules, ignored: Sequence[IgnoredFinding] = ()) -> Audit:
    """Every locked model that an alias may be served by, and every source that could not be asked."""
    used = used_models(lock)
    findings = [
        finding for model in sorted(used) for finding in _audit_model(model, used[model], lock, gathered, rules)
    ]
    findings += _audit_pointers(lock, gathered)
    findings += find_successions(lock, rules.as_of)
    findings += [_unreachable(name, reason, rules) for name, reason in sorted(gathered.unread.items())]
    # Of a model that nobody uses, such as what a pointer means today, a disagreement is the registry's business.
    findings += [found for found in gathered.findings if ":" not in found.subject or found.subject in used]
    return _set_aside([_raise(finding, rules) for finding in findings], ignored, rules.as_of)


def used_models(lock: Lock) -> dict[str, list[str]]:
    """The models that can serve, and under which `profile/alias`."""
    used: dict[str, list[str]] = {}
    for profile in lock.profiles.values():
        for binding in profile.bindings.values():
            for model in dict.fromkeys((*binding.models, *binding.then)):
                used.setdefault(model, []).append(f"{profile.name}/{binding.alias}")
    return used


def list_asked(lock: Lock) -> list[str]:
    """What sources are asked about: the models that can serve, and the pointers that some of them were resolved from."""
    pointers = {request for _, request, _ in _pointers(lock)}
    return sorted(pointers.union(used_models(lock)))


def _pointers(lock: Lock) -> Iterator[tuple[str, str, str]]:
    """The `profile/alias`, the name that its manifest asks for, and the model that it was locked to."""
    for profile in lock.profiles.values():
        for binding in profile.bindings.values():
            # Where the two differ in length, somebody edited the row, and which name stands for which model is unknown.
            if len(binding.requested) == len(binding.models):
                for request, model in zip(binding.requested, binding.models, strict=True):
                    if request != model:
                        yield f"{profile.name}/{binding.alias}", request, model


def _audit_pointers(lock: Lock, gathered: Gathered) -> Iterator[Finding]:
    moved: dict[tuple[str, str], list[str]] = {}
    for user, request, model in _pointers(lock):
        moved.setdefault((request, model), []).append(user)
    for (request, model), users in sorted(moved.items()):
        fresh = gathered.models.get(request)
        target = None if fresh is None else fresh.info.points_to
        if fresh is None or target is None or f"{fresh.info.provider}:{target}" == model:
            continue
        yield Finding(
            "pin.drift",
            model,
            f"{request}, which it was locked for, leads to {fresh.info.provider}:{target} now; {_users(users)}",
            "warning",
            hint=f"what is locked keeps serving; `llmring lock upgrade {users[0].partition('/')[2]}` moves on",
            source=fresh.info.facts_source,
            facts={"aliases": users, "requested": request, "points_to": f"{fresh.info.provider}:{target}"},
        )


def _audit_model(model: str, aliases: list[str], lock: Lock, gathered: Gathered, rules: Rules) -> Iterator[Finding]:
    row, fresh = lock.locked.get(model), gathered.models.get(model)
    known = fresh.info if fresh is not None and fresh.found else None
    facts: dict[str, Any] = {"aliases": aliases}
    provider = model.partition(":")[0]
    if known is None and provider in gathered.listed and provider not in rules.local:
        yield Finding(
            "model.gone",
            model,
            f"{provider} does not list it, any more or for this key; {_users(aliases)}",
            hint=_upgrade_hint(aliases, None),
            source=f"{provider}, listing",
            facts=facts,
        )
    elif known is None and provider not in rules.local and (row is None or row.digest is None):
        yield Finding(
            "model.unknown",
            model,
            f"nobody who was asked knows it; {_users(aliases)}",
            hint=_unknown_hint(rules),
            facts=facts,
        )
    if row is not None and fresh is not None and _differ(row.digest, fresh.row.digest):
        yield Finding(
            "digest.mismatch",
            model,
            f"{provider} has {fresh.row.digest}, and {row.digest} is locked; {_users(aliases)}",
            hint=f"get the locked weights again, or review the new ones and `llmring lock upgrade --model {quote_shell(model)}`",
            source=f"{provider}, listing",
            facts={**facts, "locked": row.digest, "found": fresh.row.digest},
        )
    yield from _audit_lifecycle(model, aliases, row, known, rules)
    if row is not None and known is not None:
        yield from _audit_price(row, known, rules, facts)
        yield from _audit_abilities(row, known, facts)


def _differ(locked: str | None, now: str | None) -> bool:
    return locked is not None and now is not None and locked != now


def _users(aliases: list[str]) -> str:
    more = len(aliases) - _MAX_LISTED
    return f"used by {', '.join(aliases[:_MAX_LISTED])}{f' and {more} more' if more > 0 else ''}"


def _unknown_hint(rules: Rules) -> str:
    return "check its name with its vendor" if rules.online else "`llmring lock audit --online` asks its vendor"


def _upgrade_hint(aliases: list[str], successor: str | None) -> str:
    alias = aliases[0].partition("/")[2]
    named = f"its vendor names {successor} in its place; " if successor else ""
    return f"{named}name another model in the manifest, then `llmring lock upgrade {alias}`"


# Retirement


def _audit_lifecycle(
    model: str, aliases: list[str], row: LockedModel | None, known: ModelInfo | None, rules: Rules
) -> Iterator[Finding]:
    day, kind, source = _retirement(row, known)
    lifecycle = None if known is None else known.lifecycle
    facts = {"aliases": aliases, "retires": day, "retires_kind": kind, "lifecycle": lifecycle, "as_of": rules.as_of}
    facts = {name: value for name, value in facts.items() if value is not None}
    successor = None if known is None or known.successor is None else f"{known.provider}:{known.successor}"
    hint = _upgrade_hint(aliases, successor)

    def found(id: str, message: str, severity: Any) -> Finding:
        return Finding(id, model, f"{message}; {_users(aliases)}", severity, hint, source, facts)

    if lifecycle == "retired":
        yield found("model.retired", f"it is retired{f' since {day}' if day else ''}", "error")
    elif day is not None and day <= rules.as_of:
        if kind == "firm":
            yield found("model.retired", f"its retirement came on {day}", "error")
        elif kind == "earliest":
            yield found("model.retiring", f"it may be retired any day: {day} was the earliest", "warning")
        else:
            yield found("model.unknown", f"it was to retire on {day}, and nobody says whether that was firm", "error")
    elif day is not None and day <= _add_days(rules.as_of, rules.horizon_days):
        left = (date.fromisoformat(day) - date.fromisoformat(rules.as_of)).days
        when = f"on {day}" if kind == "firm" else f"on {day} at the earliest" if kind else f"on {day}"
        yield found("model.retiring", f"it retires {when}, in {left} day{'' if left == 1 else 's'}", "warning")
    elif lifecycle == "deprecated":
        yield found("model.deprecated", f"it is deprecated{f'; it retires on {day}' if day else ''}", "warning")


def _retirement(row: LockedModel | None, known: ModelInfo | None) -> tuple[str | None, str | None, str | None]:
    """The day, its kind, and who says so: sources of today before the lock's own row."""
    if known is not None and known.retires is not None:
        # Who gives the same day without a word on its kind does not contradict what was locked.
        kind = row.retires_kind if row is not None and row.info.retires == known.retires else None
        return known.retires, known.retires_kind or kind, known.sources.get("retires") or known.facts_source
    if row is not None and row.info.retires is not None:
        return row.info.retires, row.retires_kind, "the lock"
    return None, None, None if known is None else known.sources.get("lifecycle") or known.facts_source


def _add_days(day: str, days: int) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days)).isoformat()
    except OverflowError:
        return date.max.isoformat()


# Prices and abilities


def _audit_price(row: LockedModel, known: ModelInfo, rules: Rules, facts: Mapping[str, Any]) -> Iterator[Finding]:
    risen: dict[str, tuple[Decimal, Decimal]] = {}
    for kind, price in known.price.items():
        # A tier that is new raises the price of what it takes out of the kind it belongs to.
        locked = row.info.price.get(kind, row.info.price.get(base_kind(kind)))
        if locked is not None and price > locked * (1 + rules.max_increase_percent / 100):
            risen[kind] = (locked, price)
    if risen:
        shown = ", ".join(
            f"{kind} {render_decimal(was)} -> {render_decimal(now)} ({percent_of(was, now):+}%)"
            for kind, (was, now) in sorted(risen.items())
        )
        yield Finding(
            "price.increased",
            row.info.id,
            f"it costs more than was locked: {shown} USD per million tokens",
            hint=f"`llmring lock upgrade --facts --model {quote_shell(row.info.id)}` locks today's prices",
            source=known.price_source,
            facts={
                **facts,
                "prices": {k: [render_decimal(was), render_decimal(now)] for k, (was, now) in risen.items()},
            },
        )
    gone = [kind for kind in MAIN_KINDS if kind in row.info.price and kind not in known.price]
    if gone or (row.info.price and not known.price):
        of = f" of {' and '.join(gone)}" if known.price else ""
        yield Finding(
            "price.unknown",
            row.info.id,
            f"nobody who was asked knows its price{of} today",
            "warning",
            facts=dict(facts),
        )


def _audit_abilities(row: LockedModel, known: ModelInfo, facts: Mapping[str, Any]) -> Iterator[Finding]:
    lost = [f"it can no longer do {cap}" for cap in sorted(row.info.caps or ()) if known.can(cap) is False]
    for limit, noun in _LIMITS.items():
        locked, now = getattr(row.info, limit), getattr(known, limit)
        if locked is not None and now is not None and now < locked:
            lost.append(f"{now:,} {noun}, locked with {locked:,}")
    if lost:
        yield Finding(
            "cap.lost",
            row.info.id,
            "; ".join(lost),
            hint=f"`llmring lock upgrade --facts --model {quote_shell(row.info.id)}` locks what it can do today, and checks it",
            source=known.facts_source,
            facts=dict(facts),
        )


# Sources, severities, what is set aside


def _unreachable(name: str, reason: str, rules: Rules) -> Finding:
    # A server on this machine need not run where locks are audited: what it serves is pinned by digest, and checked at its first use.
    on_this_machine = name.rpartition(" of ")[2] in rules.local
    severity = "error" if rules.online and not on_this_machine else "warning"
    return Finding(
        "source.unreachable", name, f"not asked: {reason}", severity, hint="what only it could have said is unknown"
    )


def _raise(finding: Finding, rules: Rules) -> Finding:
    if finding.severity != "warning" or not rules.fail_on & {finding.id, "warning"}:
        return finding
    if finding.id == "model.retiring" and (finding.facts or {}).get("retires_kind") != "firm":
        return finding  # a date that may be passed by is no reason to stop a build, whoever asks
    return replace(finding, severity="error")


def _set_aside(findings: list[Finding], ignored: Sequence[IgnoredFinding], as_of: str) -> Audit:
    kept: list[Finding] = []
    aside: list[tuple[Finding, IgnoredFinding]] = []
    for finding in findings:
        rule = next((rule for rule in ignored if as_of < rule.until and _fits(rule, finding)), None)
        if rule is None:
            kept.append(finding)
        else:
            aside.append((finding, rule))
    ended = tuple(rule for rule in ignored if rule.until <= as_of and any(_fits(rule, found) for found in kept))
    return Audit(tuple(kept), tuple(aside), ended)


def _fits(rule: IgnoredFinding, finding: Finding) -> bool:
    # What was refused for safety is nobody's to ignore.
    return rule.id in (finding.id, finding.key) and EXIT_CODES[finding.id] in (ACT, UNDETERMINED)
