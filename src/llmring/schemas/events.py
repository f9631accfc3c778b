"""What a dialect's decoder says, whichever dialect it is: the events that `fold` makes a response of.

A plain reply and a stream give the same events, so that they cannot disagree. Order within an answer: Started, then reasoning,
text, refusal and tool calls as they come, then UsageReported and Finished in either order. A decoder that has seen the
dialect's end has yielded exactly one Finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from llmring.schemas.response import FinishReason
from llmring.schemas.usage import Citation, Usage


@dataclass(slots=True)
class Started:
    """Who answers, and under which id."""

    response_id: str | None
    model: str


@dataclass(slots=True)
class TextDelta:
    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """Thinking aloud."""

    text: str


@dataclass(slots=True)
class ReasoningEnd:
    """A block of thinking is whole: the reasoning since the last such event, which may be none at all. Dialects that want their
    thinking back say so with it; see `ThinkingPart` for the fields."""

    dialect: str
    signature: str | None = None
    id: str | None = None
    redacted: bool = False


@dataclass(slots=True)
class RefusalDelta:
    text: str


@dataclass(slots=True)
class ToolCallStart:
    """A call begins. `index` tells parallel calls apart: 0, 1, … in the order in which they began."""

    index: int
    id: str
    name: str


@dataclass(slots=True)
class ToolCallDelta:
    """More of a call's arguments, as JSON text."""

    index: int
    arguments: str


@dataclass(slots=True)
class ToolCallEnd:
    index: int


@dataclass(slots=True)
class ToolCallSealed:
    """The provider's seal on a call that has begun; it wants it back with the call."""

    index: int
    signature: str


@dataclass(slots=True)
class ProviderBlock:
    """Part of an answer that only its dialect understands, such as a search that the provider ran: JSON data, in its place."""

    dialect: str
    data: dict[str, Any]


@dataclass(slots=True)
class LogprobsDelta:
    """One dict a token: token, logprob, bytes, top_logprobs."""

    tokens: list[dict[str, Any]]


@dataclass(slots=True)
class CitationFound:
    citation: Citation


@dataclass(slots=True)
class UsageReported:
    """Counts so far; a later report replaces an earlier one."""

    usage: Usage


@dataclass(slots=True)
class Finished:
    """The dialect's end was seen."""

    reason: FinishReason
    raw_reason: str | None


Event: TypeAlias = (
    Started
    | TextDelta
    | ReasoningDelta
    | ReasoningEnd
    | RefusalDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | ToolCallSealed
    | ProviderBlock
    | LogprobsDelta
    | CitationFound
    | UsageReported
    | Finished
)

_CONTENT = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallStart, ToolCallDelta, ToolCallEnd)


def has_content(events: list[Event]) -> bool:
    """Whether part of an answer is among them: the first such event is the first token, and after it nothing falls over."""
    for event in events:  # noqa: SIM110 - any() with a generator takes four times as long, and this runs on every read
        if isinstance(event, _CONTENT):
            return True
    return False
