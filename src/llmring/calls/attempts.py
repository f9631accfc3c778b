"""What is told of an attempt that failed: who was asked, how it ended, and what it used as far as anybody knows. Failures are billed too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from llmring.calls.answer import estimate_usage
from llmring.calls.call import Call, PoolCall
from llmring.exceptions import AttemptRecord, LLMRingError, ProviderError
from llmring.registry.pricing import charge
from llmring.resolver import Candidate
from llmring.schemas.events import Event, UsageReported, has_content
from llmring.schemas.fold import Fold
from llmring.schemas.response import LLMResponse
from llmring.schemas.usage import Usage


def note_attempt(call: PoolCall, candidate: Candidate, error: LLMRingError, seconds: float) -> None:
    """Adds to the call's record. What the attempt used is what the error says it used: `ProviderError.usage`."""
    ref, status, told = candidate.ref, None, None
    if isinstance(error, ProviderError):
        status = error.status
        if error.usage is not None:
            usage = Usage.from_dict(error.usage)  # the error's own stays as it is
            charge(usage, candidate.info)
            told = dict(usage)
    kind = type(error).__name__
    call.attempts.append(
        AttemptRecord(ref.provider, ref.model, kind, error.message, status, seconds, told, candidate.credential)
    )


def note_called_off(call: PoolCall, candidate: Candidate, winner: Candidate, seconds: float) -> None:
    """Of two that were asked at once, the one that was slower."""
    ref, name = candidate.ref, asyncio.CancelledError.__name__
    said = f"called off: {winner.ref} was asked as well, and answered first"
    call.attempts.append(AttemptRecord(ref.provider, ref.model, name, said, None, seconds, None, candidate.credential))


def find_usage(call: Call, events: Sequence[Event]) -> Usage | None:
    """What an answer that is not taken used, as far as it came; None where nothing came of it."""
    reported = next((event.usage for event in reversed(events) if isinstance(event, UsageReported)), None)
    if reported is None and not has_content(list(events)):
        return None
    folding = Fold()
    for event in events:
        folding.add(event)
    estimate = estimate_usage(call.request, folding.response())
    return estimate if reported is None else _at_least(reported, estimate)


def correct_usage(call: Call, partial: LLMResponse, candidate: Candidate) -> Usage:
    """The usage of an answer that broke off, put right in it."""
    usage = _at_least(partial.usage, estimate_usage(call.request, partial))
    charge(usage, candidate.info)
    partial.usage = usage
    return usage


def _at_least(reported: Usage, estimate: Usage) -> Usage:
    """What a server reported at the beginning of an answer that broke off does not count what came after that."""
    if estimate.completion_tokens <= reported.completion_tokens:
        return reported
    usage = Usage.from_dict(reported | {"completion_tokens": estimate.completion_tokens, "total_tokens": None})
    usage["estimated"] = True
    return usage
