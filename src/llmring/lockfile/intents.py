"""The tables of a manifest into a `Manifest`. Pure. Strict: people write this file, so what nobody knows is a misspelling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from llmring.lockfile.intent import (
    FACT_SOURCES,
    PRICE_SOURCES,
    IgnoredFinding,
    Intent,
    Manifest,
    ProfileIntent,
    Sources,
)
from llmring.lockfile.model import DEFAULT_PROFILE, POLICIES, Policy
from llmring.lockfile.rows import Reader, Row
from llmring.registry.model_info import CAPS, PINS
from llmring.registry.sources.base import PLUGGED
from llmring.schemas.model_ref import PROVIDER_NAME

_DURATION: Final = re.compile(r"(\d{1,4}) (day|week)s?", re.ASCII)
# A subject may have blanks: source.unreachable:provider-api of openai
_FINDING: Final = re.compile(r"[a-z]+\.[a-z-]+(:[!-~](?:[ -~]{0,298}[!-~])?)?", re.ASCII)
# Of all profiles together; a lock of 16 MB cannot hold so many.
_MAX_BINDINGS: Final = 100_000
_MAX_INHERITED: Final = 32  # a guess
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def parse_manifest(table: Mapping[str, Any], source: str) -> Manifest:
    """What the tables of a manifest ask for. `source` names the file in messages.

    A profile has the aliases of the one that it inherits (`default` where it names none), its own in their place: a pool is
    replaced whole, what else an alias does not say it keeps. Raises LockfileError.
    """
    top = Reader(source, lenient=False, warn_unknown=False).row(dict(table), "")
    schema = top.text("schema")
    if schema not in (None, "1"):
        raise top.error(f"schema is {schema!r}, and this llmring reads 1", hint="use a newer llmring")
    defaults = _defaults(top)
    aliases = {alias: _read_intent(row, alias, None) for alias, row in _aliases(top)}
    profiles = _Profiles(dict(top.tables("profile", label="profile")), _finish(replace(defaults, aliases=aliases)))
    manifest = Manifest(
        source=source,
        profiles=profiles.read_all(),
        sources=_read_sources(top),
        extends=_read_extends(top),
        ignored=_read_ignored(top),
    )
    for _ in top.tables("providers", label="provider"):
        pass  # what they say is for the providers' floor to judge
    top.refuse_others()
    return manifest


class _Profiles:
    """Reads each profile after the one that it inherits. rows: by name. base: what holds where a profile says nothing."""

    def __init__(self, rows: Mapping[str, Row], base: ProfileIntent) -> None:
        self._rows = rows
        self._base = base
        self._done: dict[str, ProfileIntent] = {}
        self._bindings = 0

    def read_all(self) -> dict[str, ProfileIntent]:
        for name, row in self._rows.items():
            row.check_name(name, "the profile's name")
        for name in dict.fromkeys([DEFAULT_PROFILE, *self._rows]):
            self._read(name, ())
        return self._done

    def _read(self, name: str, above: tuple[str, ...]) -> ProfileIntent:
        known = self._done.get(name)
        if known is not None:
            return known
        row = self._rows.get(name)
        if row is None:
            made = replace(self._base, name=name)
        else:
            under = self._find_under(name, row, above)
            own = {alias: _read_intent(inner, alias, under.aliases.get(alias)) for alias, inner in _aliases(row)}
            self._bindings += len(under.aliases) + len(own)
            if self._bindings > _MAX_BINDINGS:
                raise row.error(f"the aliases of all profiles are more than {_MAX_BINDINGS}", hint="use fewer profiles")
            made = _finish(_constraints(row, replace(under, name=name, aliases={**under.aliases, **own})))
            row.refuse_others()
        self._done[name] = made
        return made

    def _find_under(self, name: str, row: Row, above: tuple[str, ...]) -> ProfileIntent:
        parent = row.name("inherits")
        if parent is None and name == DEFAULT_PROFILE:
            return self._base
        parent = parent or DEFAULT_PROFILE
        if parent != DEFAULT_PROFILE and parent not in self._rows:
            raise row.error(f"it inherits {parent!r}, which is not there", hint=f"profiles: {', '.join(self._rows)}")
        if parent in (*above, name):
            raise row.error(f"profiles inherit in a circle: {' → '.join((*above, name, parent))}")
        if len(above) > _MAX_INHERITED:
            raise row.error(f"profiles inherit from each other through more than {_MAX_INHERITED}")
        return self._read(parent, (*above, name))


def _finish(profile: ProfileIntent) -> ProfileIntent:
    """Each alias with the grade that holds for it: part of what is asked, so part of the hash. What is inherited as it is stays one
    object, however many profiles have it."""
    least = profile.min_pin
    aliases = {
        name: one if one.min_pin == least else replace(one, min_pin=least) for name, one in profile.aliases.items()
    }
    return replace(profile, aliases=aliases)


def _defaults(top: Row) -> ProfileIntent:
    empty = ProfileIntent(DEFAULT_PROFILE, {})
    if not top.has("defaults"):
        return empty
    row = top.table("defaults")
    made = _constraints(row, empty)
    row.refuse_others()
    return made


def _constraints(row: Row, under: ProfileIntent) -> ProfileIntent:
    """What a profile, or the defaults, say of all their aliases."""
    providers = row.texts("providers")
    for name in providers or ():
        if not PROVIDER_NAME.fullmatch(name):
            raise row.error(f"providers names {name[:80]!r}", hint="a provider is written in lower case: openai")
    return replace(
        under,
        min_pin=row.word("min-pin", PINS) or under.min_pin,
        providers=under.providers if providers is None else frozenset(providers),
        cooldown_days=_days(row, "cooldown", under.cooldown_days),
        retire_horizon_days=_days(row, "retire-horizon", under.retire_horizon_days),
        on_drift=cast("Policy | None", row.word("on-drift", POLICIES)) or under.on_drift,
    )


def _days(row: Row, key: str, default: int) -> int:
    text = row.text(key)
    if text is None:
        return default
    found = _DURATION.fullmatch(text)
    if found is None:
        raise row.error(f"{key} is {text!r}", hint='write "7 days" or "2 weeks"')
    return int(found[1]) * (7 if found[2] == "week" else 1)


def _aliases(row: Row) -> list[tuple[str, Row]]:
    found = list(row.tables("alias", label="alias"))
    for alias, inner in found:
        inner.check_name(alias, "the alias")
    return found


def _read_intent(row: Row, alias: str, under: Intent | None) -> Intent:
    """One alias; what it does not say is as in `under`. Constraints guard the candidates that they stand beside: a table that names its
    own pool says anew what that has to fulfil, and inherits the parameters alone."""
    given = under or Intent(alias, ())
    models = row.refs("models") or given.models
    if row.has("models"):
        given = Intent(alias, models, parameters=given.parameters, min_pin=given.min_pin)
    if not models:
        raise row.error("no models", hint='write models = ["provider:model"]')
    if len(set(models)) < len(models):
        raise row.error("a model stands twice in its pool", hint="the second one would never be reached")
    needs = row.words("needs", CAPS)
    made = replace(
        given,
        models=models,
        needs=given.needs if needs is None else tuple(sorted(set(needs))),
        min_input=row.tokens("min-input") or given.min_input,
        min_output=row.tokens("min-output") or given.min_output,
        max_price=row.max_price() if row.has("max-price") else given.max_price,
        parameters=_read_parameters(row, given),
        until=row.date("until") or given.until,
        then=row.refs("then") or given.then,
        lossy=_read_lossy(row) or given.lossy,
    )
    if len(set(made.then)) < len(made.then):
        raise row.error("a model stands twice in then", hint="the second one would never be reached")
    if bool(made.until) != bool(made.then):
        raise row.error("until and then go together", hint="the day, and the pool that serves from then on")
    row.refuse_others()
    return made


def _read_parameters(row: Row, given: Intent) -> Mapping[str, Any]:
    temperature = row.number("temperature")
    said = {
        "temperature": None if temperature is None else float(temperature),
        "max_tokens": row.tokens("max-tokens"),
        "reasoning_effort": row.word("reasoning-effort", _EFFORTS),
        "system": row.name("system"),
    }
    return {**given.parameters, **{name: value for name, value in said.items() if value is not None}}


def _read_lossy(row: Row) -> Mapping[str, tuple[str, ...]]:
    if not row.has("lossy"):
        return {}
    inner = row.table("lossy")
    return {inner.ref("lossy", model): inner.texts(model) or () for model in inner.names()}


def _read_sources(top: Row) -> Sources:
    if not top.has("sources"):
        return Sources()
    row, usual = top.table("sources"), Sources()
    made = Sources(
        facts=_read_order(row, "facts", FACT_SOURCES, usual.facts),
        prices=_read_order(row, "prices", PRICE_SOURCES, usual.prices),
        lifecycle=_read_order(row, "lifecycle", FACT_SOURCES, usual.lifecycle),
    )
    row.refuse_others()
    return made


def _read_order(row: Row, key: str, known: tuple[str, ...], usual: tuple[str, ...]) -> tuple[str, ...]:
    names = row.texts(key)
    if names is None:
        return usual
    plugged = [name for name in names if name.startswith(PLUGGED) and PROVIDER_NAME.fullmatch(name[len(PLUGGED) :])]
    row.words(key, (*known, *plugged))
    if not names or len(set(names)) < len(names):
        raise row.error(f"{key} names no source, or one twice", hint=f"sources: {', '.join(known)}, {PLUGGED}NAME")
    return names


def _read_extends(top: Row) -> tuple[str, ...]:
    if not top.has("extends"):
        return ()
    row = top.table("extends")
    packages = row.texts("packages") or ()
    for package in packages:
        row.check_name(package, "a package's name")
    row.refuse_others()
    return packages


def _read_ignored(top: Row) -> tuple[IgnoredFinding, ...]:
    if not top.has("audit"):
        return ()
    audit = top.table("audit")
    made: list[IgnoredFinding] = []
    for row in audit.rows("ignore", label="id"):
        id, until, reason = row.text("id"), row.date("until"), row.text("reason")
        if id is None or until is None or reason is None or not _FINDING.fullmatch(id):
            raise row.error("an ignored finding needs id, until and reason", hint='id = "model.retiring:openai:…"')
        made.append(IgnoredFinding(id, until, reason))
        row.refuse_others()
    audit.refuse_others()
    return tuple(made)
