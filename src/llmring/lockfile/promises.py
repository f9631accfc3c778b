"""The contract of a lock's pools as data: every member, what it is asked for, and the answer with who gave it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmring.exceptions import ProfileNotFoundError
from llmring.lockfile.checking import make_speaker_of
from llmring.lockfile.contract import MAX_EXAMINED, Answer, Edge, Examiner
from llmring.lockfile.intent import Intent
from llmring.lockfile.manifest import read_manifest
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.store import read_lock_bytes
from llmring.registry.model_info import ModelInfo


@dataclass(frozen=True, slots=True)
class Promise:
    """One member of one pool.

    serves: by word of `needs`. takes_over: what each other member leaves it, and what becomes of that. accepted: the losses that the
    manifest accepts of it.
    """

    profile: str
    alias: str
    model: str
    serves: dict[str, Answer]
    takes_over: tuple[Edge, ...]
    accepted: frozenset[str] = frozenset()

    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        """What, the answer, why, and who says so; of hand-overs, those that lose something."""
        for need, answer in self.serves.items():
            yield need, answer.verdict, answer.why, answer.source or "nobody"
        for text, edge in {edge.text: edge for edge in self.takes_over if edge.is_lossy}.items():
            yield text, edge.verdict, self._judge(edge), edge.said_by or "nobody"

    def _judge(self, edge: Edge) -> str:
        if not edge.matters:
            return "the alias does not need it"
        return "accepted in the manifest" if edge.text in self.accepted else "not accepted: `lock check` fails"

    def to_dict(self) -> dict[str, Any]:
        serves = {
            need: {"answer": answer.verdict, "why": answer.why, "source": answer.source}
            for need, answer in self.serves.items()
        }
        edges = [
            {
                "from": edge.source,
                "kind": edge.kind,
                "fate": edge.fate,
                "answer": edge.verdict,
                "source": edge.said_by,
                "loss": edge.text if edge.is_lossy else None,
                "matters": edge.matters,
                "accepted": edge.text in self.accepted,
            }
            for edge in self.takes_over
        ]
        return {
            "profile": self.profile,
            "alias": self.alias,
            "model": self.model,
            "serves": serves,
            "takes_over": edges,
        }


def list_promises(path: Path, profile: str | None = None) -> list[Promise]:
    """What the pools of the lock at `path` promise. profile: default, all. Raises ProfileNotFoundError, LockfileError."""
    lock = parse_lock(read_lock_bytes(path), path.name)
    manifest = read_manifest(path.parent)
    if profile is not None and profile not in lock.profiles:
        known = ", ".join(lock.profiles)
        raise ProfileNotFoundError(f"no profile {profile[:80]!r} in {path.name}", name=profile, hint=f"it has: {known}")
    examiner = Examiner(make_speaker_of(path.parent))
    infos = {id: row.info for id, row in lock.locked.items()}
    made: list[Promise] = []
    for name, bound in lock.profiles.items():
        if profile not in (None, name):
            continue
        wanted = None if manifest is None else manifest.profiles.get(name)
        for alias, binding in bound.bindings.items():
            intent = (None if wanted is None else wanted.aliases.get(alias)) or Intent(alias, binding.models)
            edges: dict[str, list[Edge]] = {}
            for edge in examiner.edges(binding.models[:MAX_EXAMINED], intent.needs, infos, all=True):
                edges.setdefault(edge.target, []).append(edge)
            written = dict(zip(binding.models, intent.models, strict=False))
            for model in binding.models:
                accepted = frozenset((*intent.lossy.get(model, ()), *intent.lossy.get(written.get(model, model), ())))
                info = infos.get(model) or ModelInfo(model)
                serves = {need: examiner.serves(info, need) for need in intent.needs}
                made.append(Promise(name, alias, model, serves, tuple(edges.get(model, ())), accepted))
    return made
