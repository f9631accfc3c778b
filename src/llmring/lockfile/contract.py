"""What a pool promises: that every member can serve what its alias needs, and go on with what the others have begun. Pure.

Each answer is yes, no or unknown, and says who says so. What a hand-over loses is told, until a person has accepted it in the manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final, Literal, TypeAlias

from llmring.lockfile.finding import Finding
from llmring.lockfile.intent import Intent, Manifest
from llmring.registry.model_info import ModelInfo
from llmring.wire.handover import HANDOVER, KINDS, Fate, Kind, Speaker, hand_over

Verdict = Literal["yes", "no", "unknown"]
SpeakerOf: TypeAlias = "Callable[[str], Speaker | None]"
# An alias, the model that a conversation goes on with, and what that loses, as the manifest accepts it.
Loss: TypeAlias = "tuple[str, str, str]"

_BY_TABLE: Final = "llmring's table of dialects"
# What stands in a conversation under an alias that needs one of these; where it needs none of them, losing it harms nobody.
_MATTERS: Final[Mapping[Kind, frozenset[str]]] = {
    "thinking": frozenset({"tools", "reasoning"}),
    "blocks": frozenset({"web_search", "computer_use"}),
    "uploads": frozenset({"pdf", "audio", "video"}),
}
# Each may hand over to each: more would cost a hostile lock's reader minutes.
MAX_EXAMINED: Final = 64
_ANY: Final = frozenset[str]().union(*_MATTERS.values())
_WORDS: Final[Mapping[Kind, str]] = {
    "call_ids": "tool-call ids",
    "thinking": "thinking",
    "blocks": "blocks",
    "uploads": "uploads",
    "image_urls": "images by URL",
    "tool_media": "images of tools",
    "schemas": "schema keywords",
}
_VERDICTS: Final[Mapping[Fate, Verdict]] = {
    "kept": "yes",
    "converted": "yes",
    "dropped": "no",
    "refused": "no",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a member can do what the alias needs. why: where the answer is no or unknown. source: who says so."""

    verdict: Verdict
    why: str = ""
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One kind of thing that one member leaves in a conversation, and what becomes of it at another.

    text: what the manifest's `lossy` accepts it by. matters: whether the alias needs what is at stake.
    """

    source: str
    target: str
    kind: Kind | None
    fate: Fate
    text: str
    matters: bool

    @property
    def verdict(self) -> Verdict:
        return _VERDICTS[self.fate]

    @property
    def is_lossy(self) -> bool:
        return self.verdict != "yes"

    @property
    def said_by(self) -> str | None:
        """Who says so; None where nobody knows one of the two."""
        return None if self.kind is None else _BY_TABLE


class Examiner:
    """Looks at pools. Remembers what it has found of models and of pairs of them: many aliases share them."""

    def __init__(self, speaker_of: SpeakerOf) -> None:
        self._ask = speaker_of
        self._speakers: dict[str, Speaker | None] = {}
        self._fates: dict[tuple[int, int], Mapping[Kind, Fate]] = {}
        self._cannot: dict[str, frozenset[str]] = {}
        self._losses: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Edge]] = {}

    def speaker_of(self, model: str) -> Speaker | None:
        if model not in self._speakers:
            self._speakers[model] = self._ask(model)
        return self._speakers[model]

    def cannot(self, model: str) -> frozenset[str]:
        """The words of CAPS that there is no way to ask this model for, whatever it can do."""
        known = self._cannot.get(model)
        if known is None:
            speaker = self.speaker_of(model)
            known = self._cannot[model] = frozenset() if speaker is None else speaker.cannot
        return known

    def serves(self, info: ModelInfo, need: str) -> Answer:
        """Whether a member can serve a word of `needs`: by its facts, and by the dialect in which it is asked."""
        can = info.can(need)
        source = info.facts_source
        if can is False:
            return Answer("no", f"it cannot do {need}", source)
        if need in self.cannot(info.id):
            speaker = self.speaker_of(info.id)
            assert speaker is not None
            return Answer("no", f"there is no way to ask it for {need} over {speaker.dialect}", _BY_TABLE)
        return (
            Answer("unknown", f"nobody says whether it can do {need}", source)
            if can is None
            else Answer("yes", "", source)
        )

    def losses(
        self, models: tuple[str, ...], needs: tuple[str, ...], infos: Mapping[str, ModelInfo | None]
    ) -> Sequence[Edge]:
        """The edges that lose something which is needed. Pools are found again by their names: infos are one lock's."""
        known = self._losses.get((models, needs))
        if known is None:
            known = self._losses[models, needs] = list(self.edges(models, needs, infos))
        return known

    def edges(
        self, models: Sequence[str], needs: Sequence[str], infos: Mapping[str, ModelInfo | None], *, all: bool = False
    ) -> Iterator[Edge]:
        """What becomes of one member's part of a conversation at each other. all: also what is no loss, and what nobody needs."""
        wanted = _ANY.intersection(needs)
        if not wanted and not all:
            return
        for source, target in permutations(models, 2):
            before, after = self.speaker_of(source), self.speaker_of(target)
            if before is None or after is None:
                provider = source.partition(":")[0]
                text = f"history of {provider} unknown"
                if provider != target.partition(":")[0]:
                    yield Edge(source, target, None, "unknown", text, bool(wanted))
                continue
            if not before.has_chat or not after.has_chat:
                continue
            pair = (id(before), id(after))
            fates = self._fates.get(pair)
            if fates is None:
                fates = self._fates[pair] = hand_over(before, after)
            info = infos.get(source)
            for kind in KINDS:
                fate = fates[kind]
                if kind == "thinking" and not _leaves_thinking(before, info):
                    continue
                if kind == "blocks" and not HANDOVER[before.dialect].leaves_blocks:
                    continue
                matters = bool(wanted & _MATTERS.get(kind, frozenset())) and _is_owed(kind, before, wanted)
                if all or (matters and _VERDICTS[fate] != "yes"):
                    yield Edge(source, target, kind, fate, _say(kind, before, fate), matters)


def check_contract(
    profile: str,
    intent: Intent,
    models: tuple[str, ...],
    asked: tuple[str, ...],
    infos: Mapping[str, ModelInfo | None],
    examiner: Examiner,
    met: set[Loss],
) -> Iterator[Finding]:
    """What is wrong with one pool, the facts of its members aside.

    models, asked: the pool as it is locked, and as the manifest writes it, in one order. met: the losses that there are, added to. constraint.failed: the dialect has no
    words for a need; handover.lossy, handover.unknown: an edge that the manifest has not accepted, or that nobody knows.
    """
    subject = f"{profile}/{intent.alias}"
    for model in models if intent.needs else ():
        info = infos.get(model)
        for need in sorted(examiner.cannot(model).intersection(intent.needs)):
            if info is None or info.can(need) is not False:  # that one is told with the constraints
                answer = examiner.serves(ModelInfo(model) if info is None else info, need)
                facts = {"model": model, "need": need}
                yield Finding("constraint.failed", subject, f"{model}: {answer.why}", source=answer.source, facts=facts)
    if len(models) > MAX_EXAMINED:
        message = f"a pool of {len(models)} models: hand-overs among more than {MAX_EXAMINED} are not looked at"
        yield Finding("handover.unknown", subject, message)
        return
    written = dict(zip(models, asked, strict=False))
    told: set[tuple[str, str]] = set()
    for edge in examiner.losses(models, intent.needs, infos):
        target = written.get(edge.target, edge.target)
        if (target, edge.text) in told:
            continue
        told.add((target, edge.text))
        met.update(((intent.alias, target, edge.text), (intent.alias, edge.target, edge.text)))
        if edge.text not in (*intent.lossy.get(target, ()), *intent.lossy.get(edge.target, ())):
            yield _lost(subject, intent.alias, target, edge)


def check_accepted(manifest: Manifest, met: set[Loss]) -> Iterator[Finding]:
    """A note for each loss that the manifest accepts, and that no profile's pool has."""
    told: set[Loss] = set()
    for profile in manifest.profiles.values():
        for alias, intent in profile.aliases.items():
            for target, texts in intent.lossy.items():
                for text in texts:
                    loss = (alias, target, text)
                    if loss in met or loss in told:
                        continue
                    told.add(loss)
                    yield Finding(
                        "handover.lossy",
                        f"{profile.name}/{alias}",
                        f"{target}: {text!r} is accepted, and no such thing is lost",
                        severity="note",
                        hint="take it out of the manifest's `lossy`",
                        facts={"model": target, "loss": text},
                    )


def _lost(subject: str, alias: str, target: str, edge: Edge) -> Finding:
    facts: dict[str, Any] = {"model": target, "from": edge.source, "loss": edge.text}
    hint = f'if that is fine, write under [alias.{alias}.lossy]: "{target}" = ["{edge.text}"]'
    if edge.verdict == "unknown":
        message = f"{target}: nobody says whether it takes over what {edge.source} has left: {edge.text}"
        return Finding("handover.unknown", subject, message, hint=hint, source=edge.said_by, facts=facts)
    message = f"{target}: going on after {edge.source} loses something: {edge.text}"
    return Finding("handover.lossy", subject, message, hint=hint, source=edge.said_by, facts=facts)


def _leaves_thinking(speaker: Speaker, info: ModelInfo | None) -> bool:
    thinks = None if info is None else info.can("reasoning")
    return speaker.leaves_thinking and thinks is not False and speaker.quirks.efforts != ()


def _is_owed(kind: Kind, source: Speaker, wanted: frozenset[str]) -> bool:
    """Thinking without a seal is of use to who asked for it; a sealed one is what a vendor's own tool calls go on from."""
    return kind != "thinking" or HANDOVER[source.dialect].seals or "reasoning" in wanted


def _say(kind: Kind, source: Speaker, fate: Fate) -> str:
    sealed = kind == "thinking" and HANDOVER[source.dialect].seals
    return f"{_WORDS[kind]}{' signatures' if sealed else ''} of {source.provider} {fate}"
