"""What becomes of a manifest: the new lock, from the old one and what was gathered. Pure: decides, asks nobody, writes nothing.

Minimal: a pin that is still allowed stays, with its facts; what nobody asks for goes; facts are needed for what is new alone. What is
retired or deprecated stays where it is locked, and is never newly selected, as Go treats `retract`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final

from llmring.lockfile.constraints import check_constraints, is_strong_enough
from llmring.lockfile.finding import Finding, Severity, exit_code
from llmring.lockfile.intent import FACT_SOURCES, Intent, Manifest, ProfileIntent
from llmring.lockfile.known import Gathered, Known
from llmring.lockfile.model import Binding, ExtendedPackage, Lock, LockedModel, Profile
from llmring.lockfile.render import VERSION, hash_facts
from llmring.registry.facts import find_standing
from llmring.registry.model_info import ModelInfo

_STANDINGS: Final = {"retired": "model.retired", "retiring": "model.retiring", "deprecated": "model.deprecated"}


@dataclass(frozen=True, slots=True)
class Move:
    """What an upgrade may move.

    aliases: these, in every profile; models: these, as requested or as locked; everything: all. precise: by alias, the model that its
    pointer shall mean. facts: also facts of names that stay.
    """

    aliases: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    everything: bool = False
    precise: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: bool = False

    def covers(self, alias: str, *models: str | None) -> bool:
        return self.everything or alias in self.aliases or bool(self.models.intersection(filter(None, models)))


NOTHING: Final = Move()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a person takes upon themselves: a price under half the last one, older facts, models that no source knows."""

    price: bool = False
    rollback: bool = False
    unknown: bool = False


NO_RISK: Final = Accepted()


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it. lock: not to be written where a finding is an error."""

    lock: Lock
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        return exit_code(self.findings)


def list_needed(manifest: Manifest, old: Lock | None, move: Move = NOTHING) -> list[str]:
    """The models whose facts must be gathered before `make_lock`; [] where the old lock holds all that is asked for."""
    pins = _Pins(old)
    needed: set[str] = set()
    for profile, intent in _intents(manifest):
        for request in (*intent.models, *intent.then):
            kept = pins.find(profile.name, intent.alias, request)
            row = None if old is None or kept is None else old.locked.get(kept)
            if move.covers(intent.alias, request, kept):
                needed |= {request, kept or request}
            elif row is None or not is_strong_enough(row.info.pin, intent.min_pin):
                needed.add(request)
        if intent.alias in move.precise:
            needed |= {move.precise[intent.alias], *intent.models}
    return sorted(needed)


def make_lock(
    manifest: Manifest,
    old: Lock | None,
    gathered: Gathered,
    *,
    move: Move = NOTHING,
    accepted: Accepted = NO_RISK,
    extended: Mapping[str, ExtendedPackage] | None = None,
) -> Made:
    """The lock of this manifest. gathered: about all of `list_needed`. extended: the installed packages that it extends, as found."""
    return _Making(manifest, old, gathered, move, accepted).run(extended or {})


def _intents(manifest: Manifest) -> Iterator[tuple[ProfileIntent, Intent]]:
    for profile in manifest.profiles.values():
        for intent in profile.aliases.values():
            yield profile, intent


class _Pins:
    """What each request was locked to: in its own binding, else in any."""

    def __init__(self, old: Lock | None) -> None:
        self._own: dict[tuple[str, str, str], str] = {}
        self._any: dict[str, str] = {}
        self._bound: dict[tuple[str, str], set[str]] = {}
        for profile in old.profiles.values() if old else ():
            for alias, binding in profile.bindings.items():
                same = len(binding.requested) == len(binding.models)
                for request, model in zip(binding.requested if same else binding.models, binding.models, strict=True):
                    self._own[profile.name, alias, request] = model
                    self._any.setdefault(request, model)
                self._bound[profile.name, alias] = {*binding.models, *binding.then}
                for model in binding.then:
                    self._own.setdefault((profile.name, alias, model), model)
        for model in old.locked if old else ():
            self._any.setdefault(model, model)

    def find(self, profile: str, alias: str, request: str) -> str | None:
        return self._own.get((profile, alias, request)) or self._any.get(request)

    def is_new(self, profile: str, alias: str, model: str) -> bool:
        return model not in self._bound.get((profile, alias), ())


class _Making:
    def __init__(
        self, manifest: Manifest, old: Lock | None, gathered: Gathered, move: Move, accepted: Accepted
    ) -> None:
        self._manifest = manifest
        self._old: Mapping[str, LockedModel] = {} if old is None else old.locked
        self._old_lock = old
        self._gathered = gathered
        self._move = move
        self._accepted = accepted
        self._pins = _Pins(old)
        self._rows: dict[str, LockedModel] = {}
        self._moved: set[str] = set()
        self._refused: set[str] = set()  # models that no source knows
        self._found: dict[tuple[str, str, str], Finding] = {}
        midnight = datetime.combine(date.fromisoformat(gathered.today), datetime.min.time(), UTC)
        self._now = midnight.timestamp()

    def run(self, extended: Mapping[str, ExtendedPackage]) -> Made:
        for finding in self._gathered.findings:
            self._say(finding)
        self._check_move()
        profiles: dict[str, Profile] = {}
        for name, profile in self._manifest.profiles.items():
            bindings = {alias: self._bind(profile, intent) for alias, intent in sorted(profile.aliases.items())}
            profiles[name] = Profile(name, bindings, on_drift=profile.on_drift, min_pin=profile.min_pin)
        self._check_extended(extended)
        default = None if self._old_lock is None else self._old_lock.default_profile
        lock = Lock(
            version=VERSION,
            default_profile=default if default in profiles else self._manifest.default_profile,
            profiles=profiles,
            locked=dict(sorted(self._rows.items())),
            extended=extended,
            digest="",
            source=self._manifest.source,
        )
        return Made(lock, tuple(self._found.values()))

    def _say(self, finding: Finding) -> None:
        # A model that stands in several bindings is spoken of once.
        self._found.setdefault((finding.id, finding.subject, finding.message), finding)

    # Bindings

    def _bind(self, profile: ProfileIntent, intent: Intent) -> Binding:
        models = tuple(self._resolve(profile, intent, request) for request in intent.models)
        same = {model for model in models if models.count(model) > 1}
        for model in sorted(same):
            requests = [request for request, found in zip(intent.models, models, strict=True) if found == model]
            self._say(
                Finding(
                    "constraint.failed",
                    f"{profile.name}/{intent.alias}",
                    f"{' and '.join(requests)} are the same model, {model}",
                    hint="a fallback must be another model: keep one of them",
                )
            )
        for model in (*models, *intent.then):
            self._take(profile, intent, model)
        return Binding(
            alias=intent.alias,
            models=models,
            input=intent.fingerprint,
            requested=() if models == intent.models else intent.models,
            until=intent.until,
            then=intent.then,
            parameters=intent.parameters,
        )

    def _resolve(self, profile: ProfileIntent, intent: Intent, request: str) -> str:
        """The model that a request is locked to: as before where that is still allowed, else what a pointer means today."""
        kept = self._pins.find(profile.name, intent.alias, request)
        precise = self._move.precise.get(intent.alias)
        if precise is not None and _may_mean(request, precise):
            return precise
        moving = self._move.covers(intent.alias, request, kept)
        old = None if kept is None or moving else self._old.get(kept)
        if old is not None and is_strong_enough(old.info.pin, intent.min_pin):
            return old.info.id
        known = self._gathered.models.get(request)
        target = (
            None if known is None or known.info.points_to is None else f"{known.info.provider}:{known.info.points_to}"
        )
        found = None if target is None else self._gathered.models.get(target)
        if known is None or target is None or found is None or not found.found:
            return request
        # Where a pointer points to is no pin unless the name behind it holds better.
        return target if is_strong_enough(found.info.pin, "snapshot") else request

    # Rows

    def _take(self, profile: ProfileIntent, intent: Intent, model: str) -> None:
        """Takes up a model's row, and says what speaks against it under this alias."""
        old, known = self._old.get(model), self._gathered.models.get(model)
        row = self._rows.get(model)
        if row is None:
            row = self._rows[model] = self._make_row(model, old, known, intent)
        is_new = self._pins.is_new(profile.name, intent.alias, model)
        fresh = old is None or model in self._moved
        held_against = known.worst if fresh and known is not None else row.info
        # What no source knows has been said already, and nothing more can be said of it.
        if not (fresh and (known is None or not known.found) and model in self._refused):
            for finding in check_constraints(profile, intent, held_against):
                self._say(finding)
        if is_new:
            self._check_selection(profile, intent, row.info if known is None else known.info, known)

    def _make_row(self, model: str, old: LockedModel | None, known: Known | None, intent: Intent) -> LockedModel:
        if old is not None and not self._is_moving(model, old, known, intent):
            if old.facts is not None and old.facts != hash_facts(old):
                self._say(
                    Finding(
                        "facts.mismatch",
                        model,
                        "its row was changed by hand: the facts and their hash differ",
                        hint=f"`llmring lock upgrade --facts --model {model}` gathers them anew",
                    )
                )
                return old
            if known is not None and not known.found and self._is_chosen(model):
                # What is locked stays, whoever has forgotten it.
                self._report_unknown(model, "warning")
            return replace(old, facts=hash_facts(old))
        if known is None or not known.found:
            self._report_unknown(model, "warning" if self._accepted.unknown else "error")
        elif old is not None:
            self._compare(model, old.info, known.info)
        if known is not None and known.created:
            self._say(
                Finding(
                    "pin.drift",
                    model,
                    "it was created on this machine, so that other machines will not have this digest",
                    severity="note",
                )
            )
        row = LockedModel(ModelInfo(model, pin="unknown")) if known is None else known.row
        if old is not None and old.digest is not None and row.digest is None:
            # Nobody could say what its content is now: what is verified at each use stays as it was.
            row = replace(row, digest=old.digest, info=replace(row.info, pin=old.info.pin))
        if row.info.pin is None:
            row = replace(row, info=replace(row.info, pin="unknown"))
        self._moved.add(model)
        return replace(row, facts=hash_facts(row))

    def _is_moving(self, model: str, old: LockedModel, known: Known | None, intent: Intent) -> bool:
        """Whether a row that is there is made anew: it was asked for, its content changed, or it no longer does."""
        if known is None or not known.found:
            return False
        if self._is_chosen(model):
            return self._move.facts or (known.row.digest is not None and old.digest != known.row.digest)
        # It was asked about without being moved: because its grade did not do.
        better = is_strong_enough(known.info.pin, intent.min_pin)
        return better and not is_strong_enough(old.info.pin, intent.min_pin)

    def _is_chosen(self, model: str) -> bool:
        return any(
            self._move.covers(intent.alias, model, request)
            for profile, intent in _intents(self._manifest)
            for request in (*intent.models, *intent.then)
            if model in (request, self._pins.find(profile.name, intent.alias, request))
        )

    # What speaks against it

    def _report_unknown(self, model: str, severity: Severity) -> None:
        provider, _, name = model.partition(":")
        close = difflib.get_close_matches(name, self._gathered.names.get(provider, ()), n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(f'{provider}:{one}' for one in close)}?" if close else None
        # A list of prices could not have said that it exists.
        tellers = [f"{source} of {provider}" for source in FACT_SOURCES]
        unread = [f"{what} ({self._gathered.unread[what]})" for what in tellers if what in self._gathered.unread]
        if provider in self._gathered.listed and provider != "ollama":
            message = f"the listing of {provider} does not have it"
            self._say(Finding("model.gone", model, message, severity=severity, hint=hint, source=f"{provider} listing"))
            self._refused |= {model} if severity == "error" else set()
            return
        if provider not in self._gathered.covered and not unread:
            # A server of one's own: nobody but its owner could know.
            severity = "warning"
        if provider == "ollama" and hint is None:
            hint = f"`ollama pull {name}` where Ollama runs"
        asked = f"; not read: {', '.join(unread)}" if unread else ""
        self._say(Finding("model.unknown", model, f"no source knows it{asked}", severity=severity, hint=hint))
        self._refused |= {model} if severity == "error" else set()

    def _compare(self, model: str, old: ModelInfo, new: ModelInfo) -> None:
        if old.price_as_of and new.price_as_of and new.price_as_of < old.price_as_of and not self._accepted.rollback:
            self._say(
                Finding(
                    "registry.rollback",
                    model,
                    f"prices of {new.price_as_of} would replace those of {old.price_as_of}",
                    hint="--allow-rollback takes them all the same",
                    source=new.price_source,
                )
            )
        for kind in sorted(old.price.keys() & new.price.keys()):
            before, after = old.price[kind], new.price[kind]
            if after * 2 < before and not self._accepted.price:
                self._say(
                    Finding(
                        "price.halved",
                        model,
                        f"{kind} would cost {after:f} USD per million tokens, less than half of {before:f}",
                        hint="look at the vendor's page, then --accept-price",
                        source=new.price_source,
                        facts={"kind": kind, "before": f"{before:f}", "after": f"{after:f}"},
                    )
                )

    def _check_selection(self, profile: ProfileIntent, intent: Intent, info: ModelInfo, known: Known | None) -> None:
        """What is newly selected must have a future, and a past."""
        subject = f"{profile.name}/{intent.alias}"
        standing = find_standing(info, self._now, profile.retire_horizon_days)
        # A date before which nothing happens tells little: whoever wants to go by it sets a horizon.
        may_go = info.retires_kind == "earliest" and not profile.retire_horizon_days
        if standing.state in _STANDINGS:
            self._say(
                Finding(
                    _STANDINGS[standing.state],
                    subject,
                    f"{info.id}: {standing.text}",
                    severity="warning" if standing.state == "retiring" and may_go else "error",
                    hint="what has no future is not newly selected: name another model"
                    + (f", such as {info.provider}:{info.successor}" if info.successor else ""),
                    source=info.facts_source,
                    facts={"model": info.id, "retires": info.retires},
                )
            )
        if profile.cooldown_days and known is not None and known.found:
            self._check_age(profile, subject, info.id, known)

    def _check_age(self, profile: ProfileIntent, subject: str, model: str, known: Known) -> None:
        # The day of a source's words proves that the model was there; only its vendor's day tells that it was not.
        since = known.released or known.seen
        age_days = (
            None if since is None else (date.fromisoformat(self._gathered.today) - date.fromisoformat(since)).days
        )
        if age_days is not None and age_days >= profile.cooldown_days:
            return
        if known.released is not None:
            message = (
                f"{model}: released {known.released}, {age_days} days ago; cooldown asks for {profile.cooldown_days}"
            )
            self._say(Finding("constraint.failed", subject, message, hint="wait, or lower cooldown in the manifest"))
            return
        message = f"{model}: nobody says when it was released, so that its cooldown cannot be told"
        self._say(Finding("constraint.unknown", subject, message, severity="warning"))

    # Whole-lock checks

    def _check_move(self) -> None:
        known = {intent.alias for _, intent in _intents(self._manifest)}
        for alias, model in self._move.precise.items():
            pools = [intent.models for _, intent in _intents(self._manifest) if intent.alias == alias]
            if alias in known and not any(_may_mean(request, model) for pool in pools for request in pool):
                self._say(
                    Finding(
                        "constraint.failed",
                        alias,
                        f"none of its models may mean {model}",
                        hint=f"change the manifest: `llmring bind {alias} {model}`",
                    )
                )

    def _check_extended(self, extended: Mapping[str, ExtendedPackage]) -> None:
        before: Mapping[str, ExtendedPackage] = {} if self._old_lock is None else self._old_lock.extended
        for name, package in extended.items():
            if name in before and before[name].lock != package.lock:
                self._say(
                    Finding(
                        "extends.changed",
                        name,
                        f"its lockfile changed ({before[name].dist} → {package.dist}); the new one is recorded",
                        severity="warning",
                        hint="review what its aliases stand for now: `llmring aliases`",
                    )
                )


def _may_mean(request: str, model: str) -> bool:
    """Whether a request's name may stand for this model: itself, or a dated form of it."""
    return model == request or model.startswith((f"{request}-", f"{request}@"))


def report_unread(gathered: Gathered, severity: Severity, *, skip: Iterable[str] = ()) -> list[Finding]:
    """A finding for each source that could not be asked. skip: reasons that are none, such as being told not to ask."""
    return [
        Finding(
            "source.unreachable",
            what,
            f"{what} could not be read: {why}",
            severity=severity,
            hint="give its key, or take it out of [sources] in the manifest",
            source=what.partition(" ")[0],
        )
        for what, why in sorted(gathered.unread.items())
        if why not in skip
    ]
