"""What speaks against newly selecting a model, or its facts: no future, too young to have been noticed, older than what is locked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

from llmring.lockfile.finding import Finding
from llmring.lockfile.intent import ProfileIntent
from llmring.lockfile.known import Known
from llmring.registry.facts import find_standing
from llmring.registry.model_info import ModelInfo

_STANDINGS: Final = {"retired": "model.retired", "retiring": "model.retiring", "deprecated": "model.deprecated"}
# Who prices by a package names it with its version.
_RELEASE: Final = re.compile(r"(\S+) (\d{1,6}(?:\.\d{1,6}){1,4})", re.ASCII)
_WAIT: Final = "wait, or lower cooldown in the manifest"


def check_selection(
    profile: ProfileIntent, subject: str, info: ModelInfo, known: Known | None, today: str
) -> Iterator[Finding]:
    """What has no future, or no past, is not newly selected. info: the row. subject: `profile/alias`. today: YYYY-MM-DD."""
    # Of two who name its end, the earlier one counts.
    held = info if known is None else known.worst
    now = datetime.combine(date.fromisoformat(today), datetime.min.time(), UTC).timestamp()
    standing = find_standing(held, now, profile.retire_horizon_days)
    # A date before which nothing happens tells little: whoever wants to go by it sets a horizon.
    may_go = held.retires_kind == "earliest" and not profile.retire_horizon_days
    if standing.state in _STANDINGS:
        yield Finding(
            _STANDINGS[standing.state],
            subject,
            f"{held.id}: {standing.text}",
            severity="warning" if standing.state == "retiring" and may_go else "error",
            hint="what has no future is not newly selected: name another model"
            + (f", such as {held.provider}:{held.successor}" if held.successor else ""),
            source=held.facts_source,
            facts={"model": held.id, "retires": held.retires},
        )
    if profile.cooldown_days and known is not None and known.found:
        yield from _check_age(profile.cooldown_days, subject, known, today)


def _check_age(cooldown_days: int, subject: str, known: Known, today: str) -> Iterator[Finding]:
    # The day of a source's words proves that the model was there; only its vendor's day tells that it was not.
    model, age_days = known.info.id, _age_days(known.released or known.seen, today)
    if age_days is not None and age_days >= cooldown_days:
        return
    if known.released is not None:
        message = f"{model}: released {known.released}, {age_days} days ago; cooldown asks for {cooldown_days}"
        yield Finding("constraint.failed", subject, message, hint=_WAIT)
        return
    message = f"{model}: nobody says when it was released, so that its cooldown cannot be told"
    yield Finding("constraint.unknown", subject, message, severity="warning")


def check_prices(
    profile: ProfileIntent, subject: str, known: Known, today: str, *, before: ModelInfo | None
) -> Iterator[Finding]:
    """A price that is new is taken no more than a model is: whoever set it must have had the time to be noticed.

    before: what was locked, None for a model that is newly selected.
    """
    changed = before is not None and bool(before.price) and before.price != known.info.price
    if not profile.cooldown_days or not known.found or (before is not None and not changed):
        return
    model, days = known.info.id, profile.cooldown_days
    age_days = _age_days(known.priced, today)
    if age_days is not None and age_days < days:
        message = f"{model}: its prices are of {known.priced}, {age_days} days old; cooldown asks for {days}"
        yield Finding("constraint.failed", subject, message, hint=_WAIT)
        return
    # A source that has said so for as long proves it as well.
    seen_days = _age_days(known.info.price_as_of, today)
    if changed and age_days is None and (seen_days is None or seen_days < days):
        message = f"{model}: nobody says since when its new prices hold, so that their cooldown cannot be told"
        yield Finding("constraint.unknown", subject, message, severity="warning")


def check_replacement(old: ModelInfo, new: ModelInfo, *, price: bool, rollback: bool) -> Iterator[Finding]:
    """What speaks against locking new facts in place of old ones. price, rollback: what a person has taken upon themselves."""
    # A package is asked what holds today, so that its day is always today's.
    if _is_older_release(new.price_source, old.price_source):
        before, after = old.price_source, new.price_source
    else:
        before, after = old.price_as_of, new.price_as_of
        rollback = rollback or before is None or after is None or after >= before  # which is none
    if not rollback:
        yield Finding(
            "registry.rollback",
            new.id,
            f"prices of {after} would replace those of {before}",
            hint="--allow-rollback takes them all the same",
            source=new.price_source,
        )
    for kind in sorted(old.price.keys() & new.price.keys()):
        was, now = old.price[kind], new.price[kind]
        if now * 2 < was and not price:
            yield Finding(
                "price.halved",
                new.id,
                f"{kind} would cost {now:f} USD per million tokens, less than half of {was:f}",
                hint="look at the vendor's page, then --accept-price",
                source=new.price_source,
                facts={"kind": kind, "before": f"{was:f}", "after": f"{now:f}"},
            )


def _is_older_release(new: str | None, old: str | None) -> bool:
    """Whether both name one package, `genai-prices 0.2.3`, and the new one is an earlier version of it."""
    found, known = _RELEASE.fullmatch(new or ""), _RELEASE.fullmatch(old or "")
    if found is None or known is None or found[1] != known[1]:
        return False
    return [int(part) for part in found[2].split(".")] < [int(part) for part in known[2].split(".")]


def _age_days(day: str | None, today: str) -> int | None:
    return None if day is None else (date.fromisoformat(today) - date.fromisoformat(day)).days
