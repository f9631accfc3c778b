"""What travels through the chain: a `Call` going in, a `Reply` coming out. The same two for plain replies and streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from llmring.exceptions import AttemptRecord
from llmring.providers.base import BaseLLMProvider
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest

if TYPE_CHECKING:
    from llmring.resolver import Candidate, Resolution


@dataclass(slots=True)
class Call:
    """One call of `chat` or `chat_stream`. Belongs to that call alone.

    asked: the request as the caller made it; request: the same with the ring's defaults laid under it.
    started, deadline: the clock's `monotonic()` seconds; deadline None = none.
    extra_params: a ring's defaults for the body; what the request says wins. attempts: candidates that failed so far.
    """

    asked: LLMRequest
    request: LLMRequest
    resolution: Resolution
    stream: bool
    started: float
    deadline: float | None = None
    extra_params: Mapping[str, Any] | None = None
    attempts: list[AttemptRecord] = field(default_factory=list[AttemptRecord])


class EventSource(Protocol):
    """The rest of a stream, after the events that a Reply begins with."""

    async def next_events(self) -> list[Event] | None:
        """What the next bytes say; None at the stream's end. Raises what `Exchange` raises."""
        ...

    def close(self) -> None:
        """Cuts the connection where the stream is not at its end. Idempotent."""
        ...


@dataclass(slots=True)
class Reply:
    """An answer that has begun. A plain reply is all in `events`; of a stream they reach to the first content, and the rest
    comes from `source`. So whatever fails before the first content fails alike for both, and can still fall over.

    raw: the plain reply's JSON text. first_content_at: the clock's `monotonic()` seconds.
    """

    candidate: Candidate
    provider: BaseLLMProvider
    events: list[Event]
    status: int
    request_id: str | None
    warnings: list[str]
    raw: bytes | None = None
    source: EventSource | None = None
    first_content_at: float | None = None


Send: TypeAlias = "Callable[[Call], Awaitable[Reply]]"
SendTo: TypeAlias = "Callable[[Call, Candidate], Awaitable[Reply]]"
