"""Whether the model that a response names is the one that is locked, and what it comes to where it is not. Pure but for the log.

A name differs from another for good reasons too: what stands in a lock's row, and what a pointer was, says which.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Final

from llmring.calls.call import Call, Reply
from llmring.exceptions import ModelDriftError
from llmring.resolver import Candidate
from llmring.schemas.events import Started

_log = logging.getLogger("llmring.calls")

# What vendors put behind a model's name for one of its versions: -2025-08-07, -20250929, -001, -preview-05-20, :latest. A pointer may be
# answered by any of them; `gpt-5` answered by `gpt-5-mini` is another model.
_VERSION: Final = re.compile(r"(?:[-@:](?:v?\d[\d.]*|latest|preview|exp))+")
_MOST_SHOWN: Final = 80
_MOST_WARNED: Final = 1000  # a guess


class DriftCheck:
    """One ring's: what it warned of once is in the log once; every response that it is true of says it."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def check(self, call: Call, reply: Reply) -> None:
        """Adds a warning to the reply, or raises ModelDriftError, as the profile's on_drift says."""
        policy = call.resolution.on_drift
        if policy is None or policy == "ignore":
            return
        candidate = reply.candidate
        for event in reply.events:
            # The first event, nearly always: who answers is what a reply begins with.
            if isinstance(event, Started):
                served = event.model
                if served != candidate.ref.model and served:
                    self._judge(call, reply, candidate, served)
                return

    def _judge(self, call: Call, reply: Reply, candidate: Candidate, served: str) -> None:
        info = candidate.info
        if not has_drifted(candidate.ref.model, served, info.pin, info.points_to, candidate.requested):
            return
        shown = "".join(c for c in served if c.isprintable())[:_MOST_SHOWN]
        text = f"pin.drift: {candidate.ref} is locked, and {shown!r} answered"
        if call.resolution.on_drift == "fail":
            if reply.source is not None:
                reply.source.close()
            raise ModelDriftError(
                text,
                served=shown,
                provider=candidate.ref.provider,
                model=candidate.ref.model,
                status=reply.status,
                request_id=reply.request_id,
                hint=f'profile {call.resolution.profile!r} says on-drift = "fail"; `llmring lock upgrade` locks what answers now',
            )
        reply.warnings.append(text)
        if text not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(text)
            _log.warning("%s", text)


@lru_cache(maxsize=1024)
def has_drifted(locked: str, served: str, pin: str | None, points_to: str | None, requested: str | None) -> bool:
    """Whether an answer by `served` is one by another model than `locked`.

    pin: the locked row's grade. points_to: the model's name that this pointer meant when it was looked up. requested: the pointer
    (`provider:model`) that was resolved to `locked`: a vendor may answer with its name.
    """
    ours, theirs = _plain(locked), _plain(served)
    if ours == theirs:
        return False
    if requested is not None and theirs == _plain(requested.partition(":")[2]):
        return False
    if points_to is not None:
        return theirs != _plain(points_to)
    if pin in ("snapshot", "content"):
        # Ollama calls a model without a tag `latest`; else the name of an immutable model is its own, to the letter.
        return theirs.removesuffix(":latest") != ours.removesuffix(":latest")
    return not (theirs.startswith(ours) and _VERSION.fullmatch(theirs, len(ours)))


def _plain(name: str) -> str:
    """Without what vendors put before a name: Gemini `models/`, routers their `vendor/`."""
    return name.rpartition("/")[2].lower()
