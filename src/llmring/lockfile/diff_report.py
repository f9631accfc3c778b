"""The changes between two locks as people read them: on a terminal, and under a pull request. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from llmring.lockfile.diff import Change, Cost
from llmring.lockfile.escaping import escape_markdown, one_line, render_markdown_table

_NOUNS: Final = {
    "default": "the default profile", "models": "models", "order": "order of the pool", "requested": "asked for",
    "successor": "successor", "pin": "pin", "digest": "digest", "retires": "retires",
}  # fmt: skip
_EXISTENCE: Final = ("profile", "alias", "model", "package")
_DIGEST_SHOWN: Final = 19
_LEAST_USD: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Diff:
    """Two locks compared. old, new: their names, as they are shown. has_usage: whether somebody said what was used."""

    old: str
    new: str
    changes: Sequence[Change]
    costs: Sequence[Cost]
    has_usage: bool = False


def diff_data(diff: Diff) -> dict[str, Any]:
    """What `--format json` prints, as data."""
    return {
        "from": diff.old,
        "to": diff.new,
        "changes": [change.to_dict() for change in diff.changes],
        "costs": [cost.to_dict() for cost in diff.costs],
    }


def describe_change(change: Change) -> str:
    """One change, without its subject."""
    before, after = _value(change.before), _value(change.after)
    if change.what in _EXISTENCE and change.before is None:
        return f"added: {after}" if change.what in ("alias", "package") else _added_model(change)
    if change.what in _EXISTENCE and change.after is None:
        return "removed"
    if change.what == "intent":
        return "locked anew for other constraints; the same models"
    if change.what == "cap":
        return f"{change.fact}: {_known(change.before)} -> {_known(change.after)}"
    if change.what == "models":
        return _describe_pool(change.before, change.after)
    noun = _NOUNS.get(change.what, change.fact or change.what)
    if change.what == "price":
        noun = f"price of {change.fact}"
    percent = "" if change.percent is None else f" ({change.percent:+}%)"
    return f"{noun}: {before} -> {after}{percent}"


def _describe_pool(before: list[str], after: list[str]) -> str:
    parts = [f"{word} {', '.join(models)}" for word, models in (
        ("added", [model for model in after if model not in before]),
        ("removed", [model for model in before if model not in after]),
    ) if models]  # fmt: skip
    first = "" if before[0] == after[0] else f"; first is now {after[0]}, was {before[0]}"
    return f"models: {'; '.join(parts)}{first}"


def _added_model(change: Change) -> str:
    return f"added, pin {change.after}" if change.what == "model" else "added"


def _known(answer: bool | None) -> str:
    return "unknown" if answer is None else "yes" if answer else "no"


def _value(value: Any) -> str:
    match value:
        case None:
            return "unset"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]
        case {"until": until, "then": then}:
            return f"{_value(then)} from {until} on"
        case _:
            text = str(value)
            return f"{text[:_DIGEST_SHOWN]}…" if text.startswith("sha256:") else text


def describe_cost(cost: Cost) -> tuple[str, str]:
    """The worst case, and what the usage would have cost."""
    worst = "no price is known" if cost.worst is None else "no higher" if cost.worst <= 0 else f"{cost.worst:+}%"
    if cost.unpriced:
        worst += f"; unpriced: {', '.join(cost.unpriced)}"
    if cost.calls is None:
        return worst, "not used"
    return worst, f"{_usd(cost.before)} -> {_usd(cost.after)}{'' if cost.percent is None else f' ({cost.percent:+}%)'}"


def _usd(amount: Decimal | None) -> str:
    if amount is None:
        return "unknown"
    # What rounds to nothing still costs something.
    return "under $0.01" if 0 < amount < _LEAST_USD else f"${amount:,.2f}"


def render_text(diff: Diff) -> str:
    """Subject by subject; `!` before what deserves a second look."""
    lines = [f"{one_line(diff.old)} -> {one_line(diff.new)}"]
    subject = None
    for change in diff.changes:
        if change.subject != subject:
            subject = change.subject
            lines.append(f"{one_line(subject)}")
        lines.append(f"  {'!' if change.worse else ' '} {one_line(describe_change(change))}")
    if not diff.changes:
        lines.append("no change")
    for cost in diff.costs:
        worst, used = describe_cost(cost)
        by_usage = f"; by usage: {used}" if diff.has_usage else ""
        lines.append(f"cost of {one_line(cost.subject)}: at worst {worst}{by_usage}")
    return "".join(f"{line}\n" for line in lines)


def render_markdown(diff: Diff) -> str:
    """For the comment of a pull request: every name escaped."""
    title = f"### Models: {escape_markdown(diff.old)} → {escape_markdown(diff.new)}\n\n"
    if not diff.changes:
        return f"{title}No change.\n"
    rows = [("⚠" if change.worse else "", change.subject, describe_change(change)) for change in diff.changes]
    text = title + render_markdown_table(("", "what", "change"), rows)
    if not diff.costs:
        return text
    costs = [(cost.subject, *describe_cost(cost)) for cost in diff.costs]
    head = ("alias", "cost, at worst", "by usage")
    width = len(head) if diff.has_usage else 2
    return f"{text}\n{render_markdown_table(head[:width], [row[:width] for row in costs])}"
