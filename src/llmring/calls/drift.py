"""Whether the model that a response names is the one that is locked, and what it comes to where it is not. Pure but for the log.

A name differs from another for good reasons too: what stands in a lock's row, and what a pointer was, says which.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any, Final

from llmring.calls.call import Call, PlainCall, PlainReply, Reply
from llmring.exceptions import ModelDriftError
from llmring.resolver import Resolution
from llmring.schemas.embedding import EmbeddingReply
from llmring.schemas.events import Started

_log = logging.getLogger("llmring.calls")

# What vendors put behind a model's name for one of its versions: -2025-08-07, -20250929, -001, -preview-05-20. A pointer may be answered
# by any of them; `gpt-5` answered by `gpt-5-mini` is another model.
_VERSION: Final = re.compile(r"(?:[-@:](?:v?\d[\d.]*|latest|preview|exp))+")
# What platforms put around a vendor's own name. Bedrock: `us.anthropic.claude-…-v1:0`
# (https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html); OpenRouter: `vendor/…:nitro`, a way to route,
# and `:free`, an offer of the same model (https://openrouter.ai/docs/guides/routing/model-variants/overview.md); Ollama: a model
# without a tag is `:latest`. All 2026-11-21.
_BEFORE: Final = re.compile(r".*/|(?:[a-z]{2,6}\.)?(?:[a-z]{4,}|ai21)\.(?=[a-z])")
_BEHIND: Final = re.compile(r"-v\d+:\d+$|:(?:latest|free|nitro|floor|online|exacto|thinking|extended)$")
# Where a model is called what its user calls it, and answers by what it is: Azure's deployments, a file that a local server has loaded.
_NAMED_BY_USERS: Final = frozenset({"azure", "llamacpp", "lmstudio"})
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
        for event in reply.events:
            # The first event, nearly always: who answers is what a reply begins with.
            if isinstance(event, Started):
                self._judge(call.resolution, reply, event.model)
                return

    def check_embedding(self, call: PlainCall[EmbeddingReply], reply: PlainReply[EmbeddingReply]) -> None:
        """The same for vectors: those of two models never compare."""
        policy = call.resolution.on_drift
        if policy is not None and policy != "ignore":
            self._judge(call.resolution, reply, reply.value.model)

    def _judge(self, resolution: Resolution, reply: Reply | PlainReply[Any], served: str) -> None:
        candidate = reply.candidate
        locked, info = candidate.ref.model, candidate.info
        if not served or served == locked:
            return
        if info.pin in (None, "unknown") and candidate.ref.provider in _NAMED_BY_USERS:
            return
        if not has_drifted(locked, served, info.pin, info.points_to, candidate.requested):
            return
        shown = "".join(c for c in served if c.isprintable())[:_MOST_SHOWN]
        text = f"pin.drift: {candidate.ref} is locked, and {shown!r} answered"
        if resolution.on_drift == "fail":
            status = None
            if isinstance(reply, Reply):
                status = reply.status
                if reply.source is not None:
                    reply.source.close()
            raise ModelDriftError(
                text,
                served=shown,
                provider=candidate.ref.provider,
                model=locked,
                status=status,
                request_id=reply.request_id,
                hint=f'profile {resolution.profile!r} says on-drift = "fail"; `llmring lock upgrade` locks what answers now',
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
        return True  # the name of an immutable model is its own, to the letter
    if ours.endswith("-latest"):
        return False  # nobody has written down what it was
    return not (theirs.startswith(ours) and _VERSION.fullmatch(theirs, len(ours)))


def _plain(name: str) -> str:
    """As its vendor calls it. Gemini answers by `models/…`; Vertex writes `@` before a date."""
    lower = name.lower()
    before = _BEFORE.match(lower)
    return _BEHIND.sub("", lower[before.end() :] if before else lower).replace("@", "-")
