"""Whether a lock is what its manifest asks for, and holds together: from the two files alone. Pure: no clock, no network, no keys,
so that an old commit passes for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

from llmring.lockfile.constraints import check_constraints
from llmring.lockfile.contract import Examiner, Loss, SpeakerOf, check_accepted, check_contract
from llmring.lockfile.escaping import quote_shell
from llmring.lockfile.finding import Finding
from llmring.lockfile.intent import Intent, Manifest, ProfileIntent
from llmring.lockfile.layout import strip_layout
from llmring.lockfile.model import Binding, Lock, LockedModel, Profile
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import VERSION, hash_facts, hash_resolved, render_lock
from llmring.registry.model_info import ModelInfo

# A pool with all that is asked of it: the intent, by its identity, and which providers are allowed.
_Pool: TypeAlias = "tuple[int, tuple[str, ...], tuple[str, ...], frozenset[str] | None]"
_LOCK: Final = "run `llmring lock`"


_MAX_NAMES: Final = 500
_MAX_GUESSES: Final = 20
_MAX_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installed package ships. dist: its name and version. lock: `sha256:…` of its lockfile, None where it has none."""

    dist: str
    lock: str | None


def check_lock(
    lock: Lock,
    data: bytes,
    manifest: Manifest | None,
    *,
    speaker_of: SpeakerOf,
    installed: Mapping[str, Installed | None] | None = None,
) -> list[Finding]:
    """Everything that is wrong with a lock; [] where nothing is.

    data: the bytes that `lock` was read from. manifest: None checks what can be checked without one. speaker_of: how a model is
    spoken to, None where nobody here knows its provider. installed: by package that is extended, None where it is not installed.
    """
    findings = [*_check_rows(lock, manifest), *_check_resolved(lock)]
    findings += _check_pools(lock, manifest, Examiner(speaker_of))
    findings += _check_extended(lock, manifest, installed or {})
    if manifest is not None:
        findings += _check_form(lock, data, findings)
    return findings


def check_text(
    data: bytes,
    source: str,
    manifest: Manifest | None,
    *,
    speaker_of: SpeakerOf,
    installed: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """The same for bytes. Raises LockfileError for what is no lock."""
    return check_lock(parse_lock(data, source), data, manifest, speaker_of=speaker_of, installed=installed)


# The text


def _check_form(lock: Lock, data: bytes, findings: list[Finding]) -> Iterator[Finding]:
    """A lock that a manifest stands behind is written by `llmring lock` alone. White space and comments may differ."""
    if lock.version != VERSION:
        yield Finding("lock.stale", "version", f"written as version {lock.version}, locks are {VERSION}", hint=_LOCK)
        return
    written = render_lock(lock)
    if written == data or strip_layout(written.decode()) == strip_layout(data.decode("utf-8-sig")):
        return
    if not any(finding.severity == "error" for finding in findings):
        yield Finding(
            "lock.stale",
            "form",
            "it is not written as `llmring lock` writes it: keys that nobody knows, another order, or another spelling",
            hint=_LOCK,
        )


# Rows of models


def _check_rows(lock: Lock, manifest: Manifest | None) -> Iterator[Finding]:
    used = {
        model
        for profile in lock.profiles.values()
        for binding in profile.bindings.values()
        for model in (*binding.models, *binding.then)
    }
    for id, row in lock.locked.items():
        yield from _check_facts(id, row, manifest is not None)
        if id not in used:
            severity = "error" if manifest is not None else "warning"
            yield Finding("lock.orphan", id, "no alias is bound to it", severity=severity, hint=_LOCK)
    if manifest is None and not lock.locked:
        return  # a lock of version 1.0 may hold bindings alone
    close = _Close(lock.locked)
    for model in sorted(used - lock.locked.keys()):
        yield Finding(
            "lock.missing",
            model,
            f"it is bound, and has no row{close.suggest(model)}",
            hint=_LOCK if manifest else "correct its name, or bind it anew",
        )


def _check_facts(id: str, row: LockedModel, by_manifest: bool) -> Iterator[Finding]:
    if row.facts is None:
        if by_manifest:
            yield Finding("facts.mismatch", id, "its row has no hash over its facts", hint=_say_edited(id))
    elif row.facts != (hashed := hash_facts(row)):
        yield Finding(
            "facts.mismatch",
            id,
            "its row is not what was locked: a fact or the hash was changed",
            hint=_say_edited(id),
            facts={"locked": row.facts, "now": hashed},
        )


def _check_resolved(lock: Lock) -> Iterator[Finding]:
    """What a pointer meant stands in no manifest: a hash of its own binds it."""
    for profile in lock.profiles.values():
        for alias, binding in profile.bindings.items():
            if binding.resolved is None:
                continue  # that it is missing is told of the binding, where there is a manifest
            if binding.resolved != (hashed := hash_resolved(binding.requested, binding.models)):
                yield Finding(
                    "facts.mismatch",
                    f"{profile.name}/{alias}",
                    "what its pointers were resolved to is not what was locked: a model or the hash was changed",
                    hint=f"take it back from git, or resolve them anew: `llmring lock upgrade {alias}`",
                    facts={"locked": binding.resolved, "now": hashed},
                )


def _say_edited(id: str) -> str:
    return f"take the row back from git, or lock it anew: `llmring lock upgrade --facts --model {quote_shell(id)}`"


class _Close:
    """Names that come close, for the first few that are asked about: looking for them costs more than all the rest."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(islice(names, _MAX_NAMES))
        self._left = _MAX_GUESSES

    def suggest(self, name: str) -> str:
        """`; did you mean …?`, or nothing."""
        if not self._left:
            return ""
        self._left -= 1
        import difflib  # few locks need it

        close = difflib.get_close_matches(name, [known for known in self._names if known != name], n=1)
        return f"; did you mean {close[0]}?" if close else ""


# Profiles and pools


def _check_pools(lock: Lock, manifest: Manifest | None, examiner: Examiner) -> Iterator[Finding]:
    infos = {id: row.info for id, row in lock.locked.items()}
    yield from _check_known(lock, infos, examiner)
    if manifest is None:
        return
    if lock.default_profile != manifest.default_profile:
        message = f"the default profile is {lock.default_profile}, and a manifest's is {manifest.default_profile}"
        yield Finding("lock.stale", "default_profile", message, hint=_LOCK)
    pools = _Pools(infos, examiner)
    for name in sorted(lock.profiles.keys() - manifest.profiles.keys()):
        yield Finding("lock.orphan", name, "the manifest has no such profile", hint=_LOCK)
    for name, wanted in manifest.profiles.items():
        profile = lock.profiles.get(name)
        if profile is None:
            yield Finding("lock.missing", name, "the manifest has this profile, the lock does not", hint=_LOCK)
        else:
            yield from pools.check_profile(profile, wanted)
    yield from check_accepted(manifest, pools.met)


def _check_known(lock: Lock, infos: Mapping[str, ModelInfo], examiner: Examiner) -> Iterator[Finding]:
    """A row that says nothing stands for a name that nobody has heard of; a local server names its models itself.

    `lock` writes one, hash and all, where a person takes the model as it is: that is worth a warning.
    """
    close = _Close(infos)
    for id, row in lock.locked.items():
        if _says_nothing(row):
            speaker = examiner.speaker_of(id)
            if speaker is not None and not speaker.local:
                severity = "error" if row.facts is None else "warning"
                message = f"nothing is known of it: a misspelling?{close.suggest(id)}"
                yield Finding("model.unknown", id, message, severity=severity, hint="correct its name, or bind it anew")


def _says_nothing(row: LockedModel) -> bool:
    info = row.info
    said = (
        info.caps,
        info.max_input,
        info.max_output,
        info.context_window,
        row.digest,
        info.facts_source,
        info.retires,
    )
    return all(fact is None for fact in said) and not info.price and not info.lacks and info.pin in (None, "unknown")


class _Pools:
    """Most profiles inherit most of their aliases as they are: what is the same intent is hashed once, and what is fine once is fine
    wherever the same is asked of the same pool. met: the losses that were found, accepted or not.
    """

    def __init__(self, infos: Mapping[str, ModelInfo], examiner: Examiner) -> None:
        self.met: set[Loss] = set()
        self._infos = infos
        self._examiner = examiner
        self._fine: set[_Pool] = set()
        self._hashes: dict[int, str] = {}

    def check_profile(self, profile: Profile, wanted: ProfileIntent) -> Iterator[Finding]:
        if profile.on_drift != wanted.on_drift or profile.min_pin != wanted.min_pin:
            yield Finding("lock.stale", profile.name, "on-drift or min-pin is another one in the manifest", hint=_LOCK)
        for alias in sorted(profile.bindings.keys() - wanted.aliases.keys()):
            yield Finding("lock.orphan", f"{profile.name}/{alias}", "the manifest has no such alias", hint=_LOCK)
        for alias, intent in wanted.aliases.items():
            binding = profile.bindings.get(alias)
            if binding is None:
                message = "the manifest has this alias, the lock does not"
                yield Finding("lock.missing", f"{profile.name}/{alias}", message, hint=_LOCK)
                continue
            stale = _find_stale(binding, intent, self._hash(intent))
            if stale:
                yield Finding("lock.stale", f"{profile.name}/{alias}", stale, hint=_LOCK)
            pool = (id(intent), binding.models, binding.then, wanted.providers)
            if pool not in self._fine:
                wrong = list(self._check_pool(binding, intent, wanted))
                yield from wrong
                self._fine |= set() if wrong else {pool}

    def _hash(self, intent: Intent) -> str:
        known = self._hashes.get(id(intent))
        if known is None:
            known = self._hashes[id(intent)] = intent.fingerprint
        return known

    def _check_pool(self, binding: Binding, intent: Intent, profile: ProfileIntent) -> Iterator[Finding]:
        for model in (*binding.models, *binding.then):
            info = self._infos.get(model)
            if info is not None:  # else its row is missing, which is told of the model
                yield from check_constraints(profile, intent, info)
        for models, asked in ((binding.models, intent.models), (binding.then, intent.then)):
            yield from check_contract(profile.name, intent, models, asked, self._infos, self._examiner, self.met)


def _find_stale(binding: Binding, intent: Intent, hashed: str) -> str:
    """In which way the binding is not what is asked for; "" where it is. hashed: the intent's fingerprint."""
    asked = binding.requested or binding.models
    if asked != intent.models or len(asked) != len(binding.models):
        return f"the manifest asks for {_list(intent.models)}; the lock has {_list(asked)}"
    # Both or neither, and only where a pointer means another model than it names.
    if (binding.resolved is None) is not (binding.models == intent.models) or binding.requested == binding.models:
        return "it does not say what its pointers were resolved to as `llmring lock` does"
    if binding.until != intent.until or binding.then != intent.then:
        return "the successor pool, or the day it serves from, is another one in the manifest"
    if dict(binding.parameters) != dict(intent.parameters):
        return "its parameters are others in the manifest"
    if binding.input is None:
        return "it does not say what it was locked from"
    if binding.input != hashed:
        return "what the manifest asks of it has changed since it was locked"
    return ""


def _list(models: tuple[str, ...]) -> str:
    """A pool, or its beginning: each profile may have one of thousands."""
    more = len(models) - _MAX_SHOWN
    return ", ".join(models[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")


# Packages


def _check_extended(
    lock: Lock, manifest: Manifest | None, installed: Mapping[str, Installed | None]
) -> Iterator[Finding]:
    if manifest is not None:
        for package in sorted(lock.extended.keys() - set(manifest.extends)):
            yield Finding("lock.orphan", package, "the manifest does not extend this package", hint=_LOCK)
        for package in manifest.extends:
            if package not in lock.extended:
                yield Finding(
                    "lock.missing", package, "the manifest extends this package, the lock does not", hint=_LOCK
                )
    for package, row in lock.extended.items():
        found = installed.get(package)
        if found is None or found.lock is None:
            what = "is not installed" if found is None else "ships no lockfile"
            yield Finding(
                "extends.missing", package, f"the package {what}", hint="install it, or take it out of [extends]"
            )
        elif found.lock != row.lock:
            yield Finding(
                "extends.changed",
                package,
                f"it ships another lockfile than the recorded one (locked at {row.dist or 'an unknown version'}, installed {found.dist})",
                hint="review what changed, then run `llmring lock`",
                facts={"locked": row.lock, "installed": found.lock},
            )
        elif manifest is not None and row.dist != found.dist:
            message = (
                f"{found.dist} is installed, locked was {row.dist or 'an unknown version'}; its lockfile is the same"
            )
            yield Finding("lock.stale", package, message, hint=_LOCK)
