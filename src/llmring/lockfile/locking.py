"""What becomes of a manifest: the new lock, from the old one and what was gathered. Pure: decides, asks nobody, writes nothing.

Minimal: a pin that is still allowed stays, with its facts; what nobody asks for goes; facts are needed for what is new alone. What is
retired or deprecated stays where it is locked, and is never newly selected, as Go treats `retract`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from llmring.lockfile.constraints import check_constraints, is_strong_enough
from llmring.lockfile.escaping import quote_shell
from llmring.lockfile.finding import Finding, Severity, exit_code
from llmring.lockfile.intent import Intent, Manifest, ProfileIntent
from llmring.lockfile.known import Gathered, Known
from llmring.lockfile.model import Binding, ExtendedPackage, Lock, LockedModel, Profile
from llmring.lockfile.render import VERSION, hash_facts, hash_resolved
from llmring.lockfile.selecting import check_prices, check_replacement, check_selection
from llmring.registry.model_info import ModelInfo
from llmring.registry.sources.base import PLUGGED

_FIRST_STEPS: Final = {"registry": "see LLMRING_REGISTRY_URL", "genai-prices": "install the extra `prices`"}


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
        self._edited: set[tuple[str, str]] = set()
        for profile in old.profiles.values() if old else ():
            for alias, binding in profile.bindings.items():
                self._bound[profile.name, alias] = {*binding.models, *binding.then}
                if binding.resolved not in (None, hash_resolved(binding.requested, binding.models)):
                    self._edited.add((profile.name, alias))
                    continue
                same = len(binding.requested) == len(binding.models)
                for request, model in zip(binding.requested if same else binding.models, binding.models, strict=True):
                    self._own[profile.name, alias, request] = model
                    self._any.setdefault(request, model)
                for model in binding.then:
                    self._own.setdefault((profile.name, alias, model), model)
        for model in old.locked if old else ():
            self._any.setdefault(model, model)

    def find(self, profile: str, alias: str, request: str) -> str | None:
        return self._own.get((profile, alias, request)) or self._any.get(request)

    def is_edited(self, profile: str, alias: str) -> bool:
        """Whether what its pointers meant is no longer what was locked: no pin, then."""
        return (profile, alias) in self._edited

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

    def run(self, extended: Mapping[str, ExtendedPackage]) -> Made:
        for finding in self._gathered.findings:
            self._say(finding)
        self._check_move()
        profiles: dict[str, Profile] = {}
        for name, profile in self._manifest.profiles.items():
            bindings = {alias: self._bind(profile, intent) for alias, intent in sorted(profile.aliases.items())}
            profiles[name] = Profile(name, bindings, on_drift=profile.on_drift, min_pin=profile.min_pin)
        self._check_extended(extended)
        lock = Lock(
            version=VERSION,
            default_profile=self._manifest.default_profile,
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
        if self._pins.is_edited(profile.name, intent.alias) and not self._move.covers(intent.alias):
            self._say(
                Finding(
                    "facts.mismatch",
                    f"{profile.name}/{intent.alias}",
                    "what its pointers were resolved to was changed by hand: it and its hash differ",
                    hint=f"take it back from git, or resolve them anew: `llmring lock upgrade {intent.alias}`",
                )
            )
        for model in (*models, *intent.then):
            self._take(profile, intent, model)
        requested = () if models == intent.models else intent.models
        return Binding(
            alias=intent.alias,
            models=models,
            input=intent.fingerprint,
            requested=requested,
            resolved=hash_resolved(requested, models) if requested else None,
            until=intent.until,
            then=intent.then,
            parameters=intent.parameters,
        )

    def _resolve(self, profile: ProfileIntent, intent: Intent, request: str) -> str:
        """The model that a request is locked to: as before where that is still allowed, else what a pointer means today."""
        kept = self._pins.find(profile.name, intent.alias, request)
        precise = self._move.precise.get(intent.alias)
        if precise is not None and self._may_mean(request, precise):
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
        # The name behind a pointer may be another pointer, and be no pin; or one of which nobody says how it holds, and be too weak.
        better = is_strong_enough(found.info.pin, "snapshot")
        holds = found.info.pin != "pointer" and is_strong_enough(found.info.pin, intent.min_pin)
        return target if better or holds else request

    def _may_mean(self, request: str, model: str) -> bool:
        """Whether a request's name may stand for this model: itself, a dated form of it, or what a source says that it means."""
        if model == request or model.startswith((f"{request}-", f"{request}@")):
            return True
        known = self._gathered.models.get(request)
        return known is not None and model == f"{known.info.provider}:{known.info.points_to}"

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
        subject, today = f"{profile.name}/{intent.alias}", self._gathered.today
        speaks_against: list[Finding] = []
        if known is not None and (is_new or model in self._moved):
            before = None if old is None or is_new else old.info
            speaks_against += check_prices(profile, subject, known, today, before=before)
        if is_new:
            speaks_against += check_selection(profile, subject, row.info, known, today)
        for finding in speaks_against:
            self._say(finding)

    def _make_row(self, model: str, old: LockedModel | None, known: Known | None, intent: Intent) -> LockedModel:
        if old is not None and not self._is_moving(model, old, known, intent):
            if old.facts is not None and old.facts != hash_facts(old):
                self._say(
                    Finding(
                        "facts.mismatch",
                        model,
                        "its row was changed by hand: the facts and their hash differ",
                        hint=f"`llmring lock upgrade --facts --model {quote_shell(model)}` gathers them anew",
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
            accepted = self._accepted
            for finding in check_replacement(old.info, known.info, price=accepted.price, rollback=accepted.rollback):
                self._say(finding)
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
        if provider in self._gathered.strangers:
            self._say(
                Finding(
                    "model.unknown",
                    model,
                    f"nothing here knows a provider {provider}",
                    severity=severity,
                    hint="correct its name, or declare it in [providers]; one that the program alone registers: "
                    "`llmring bind ALIAS MODEL --allow-unknown`"
                    if severity == "error"
                    else None,
                )
            )
            self._refused |= {model} if severity == "error" else set()
            return
        close = difflib.get_close_matches(name, self._gathered.names.get(provider, ()), n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(f'{provider}:{one}' for one in close)}?" if close else None
        # A list of prices could not have said that it exists.
        unread = [
            f"{what} ({why})"
            for what, why in sorted(self._gathered.unread.items())
            if what.endswith(f" of {provider}") and not what.startswith("genai-prices")
        ]
        if provider in self._gathered.listed and provider != "ollama":
            message = f"the listing of {provider} does not have it"
            self._say(Finding("model.gone", model, message, severity=severity, hint=hint, source=f"{provider} listing"))
            self._refused |= {model} if severity == "error" else set()
            return
        if provider not in self._gathered.covered and not unread:
            # A server of one's own: nobody but its owner could know.
            severity = "warning"
        if provider == "ollama" and hint is None:
            hint = f"`ollama pull {quote_shell(name)}` where Ollama runs"
        asked = f"; not read: {', '.join(unread)}" if unread else ""
        self._say(Finding("model.unknown", model, f"no source knows it{asked}", severity=severity, hint=hint))
        self._refused |= {model} if severity == "error" else set()

    # Whole-lock checks

    def _check_move(self) -> None:
        asked = {request for _, intent in _intents(self._manifest) for request in (*intent.models, *intent.then)}
        for model in sorted(self._move.models - asked - self._old.keys()):
            close = difflib.get_close_matches(model, sorted(asked | self._old.keys()), n=1)
            hint = f"did you mean {close[0]}?" if close else None
            self._say(Finding("constraint.failed", model, "no alias names this model", hint=hint))
        known = {intent.alias for _, intent in _intents(self._manifest)}
        for alias, model in self._move.precise.items():
            pools = [intent.models for _, intent in _intents(self._manifest) if intent.alias == alias]
            if alias in known and not any(self._may_mean(request, model) for pool in pools for request in pool):
                self._say(
                    Finding(
                        "constraint.failed",
                        alias,
                        f"none of its models may mean {model}",
                        hint=f"change the manifest: `llmring bind {alias} {quote_shell(model)}`",
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


def report_unread(gathered: Gathered, severity: Severity, *, skip: Iterable[str] = ()) -> list[Finding]:
    """A finding for each source that could not be asked. skip: reasons that are none, such as being told not to ask."""
    return [
        Finding("source.unreachable", what, f"could not be read: {why}", severity=severity, hint=_unread_hint(what))
        for what, why in sorted(gathered.unread.items())
        if why not in skip
    ]


def _unread_hint(what: str) -> str:
    source = what.partition(" ")[0]
    first = _FIRST_STEPS.get(source, "install its package" if source.startswith(PLUGGED) else "give its key")
    return f"{first}, or take it out of [sources] in the manifest"
