"""What travels through the chain: a `Call` going in, a `Reply` coming out. The same two for plain replies and streams.

What is not chat (embeddings, a count, a ranking) travels as a `PlainCall`, and comes back as a `PlainReply`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from llmring.exceptions import AttemptRecord, LLMRingError
from llmring.providers.base import BaseLLMProvider
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest, Timeouts
from llmring.wire.base import EncodedRequest, Target

if TYPE_CHECKING:
    from llmring.providers.custom import Provider
    from llmring.resilience.policy import RetryPolicy
    from llmring.resolver import Candidate, Resolution
    from llmring.transport.guard import Fetched

T = TypeVar("T")


class PoolCall(Protocol):
    """What the wrappers of the chain need to know of a call, whatever it asks for."""

    resolution: Resolution
    started: float
    deadline: float | None
    attempts: list[AttemptRecord]
    retry: RetryPolicy | None
    paused_s: float
    has_siblings: bool
    restarts: bool
    restart: Any


@dataclass(slots=True)
class Call:
    """One call of `chat` or `chat_stream`. Belongs to that call alone.

    asked: the request as the caller made it; request: the same with the ring's defaults laid under it.
    started, deadline: the clock's `monotonic()` seconds; deadline None = none.
    extra_params: a ring's defaults for the body; what the request says wins. attempts: candidates that failed so far.
    fetched: what was got of the request's URLs, for the candidates that take none. retry: None = the ring's. paused_s: how long it has
    stood in line while servers asked for a pause. has_siblings: whether there is more than one way that it can go. restarts: whether a
    stream that breaks off is to be begun anew; restart: by what, once it
    has begun, given what broke it off. idempotency_key: None until an attempt needs one.
    """

    asked: LLMRequest
    request: LLMRequest
    resolution: Resolution
    stream: bool
    started: float
    deadline: float | None = None
    extra_params: Mapping[str, Any] | None = None
    attempts: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    fetched: dict[str, Fetched] = field(default_factory=dict[str, "Fetched"])
    retry: RetryPolicy | None = None
    paused_s: float = 0.0
    has_siblings: bool = False
    restarts: bool = False
    restart: Callable[[LLMRingError], Awaitable[Reply]] | None = None
    idempotency_key: str | None = None


class Settle(Protocol):
    """Hears how a stream ended. used_tokens: in and out, None where nobody said."""

    def __call__(self, error: BaseException | None, used_tokens: float | None = None) -> None: ...


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

    status, headers: None where no HTTP of ours was spoken. raw: the plain reply's JSON text, or what a custom provider gives for it.
    first_content_at: the clock's `monotonic()` seconds. settle: to be called once when a stream has ended, with what ended it (None:
    its own end); None where nobody wants to hear of it.
    """

    candidate: Candidate
    events: list[Event]
    status: int | None
    request_id: str | None
    warnings: list[str]
    raw: Any = field(default=None, repr=False)
    source: EventSource | None = None
    first_content_at: float | None = None
    settle: Settle | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(slots=True)
class PlainCall(Generic[T]):
    """One call that is not chat and is answered in one piece. Belongs to that call alone.

    encode: the request for a model, in its provider's dialect; decode: the reply's body, or what a custom provider gave back.
    ask_custom: the same asked of a custom provider, with the model's name. Each raises what a dialect raises.
    tokens: about how many it takes, for limits on them; used: how many it took, as the reply says, None where it does not.
    """

    resolution: Resolution
    encode: Callable[[BaseLLMProvider, Target], EncodedRequest]
    decode: Callable[[BaseLLMProvider, bytes], T]
    ask_custom: Callable[[Provider, str], Awaitable[T]]
    started: float
    timeout: float | Timeouts | None = None
    deadline: float | None = None
    attempts: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    retry: RetryPolicy | None = None
    tokens: int = 0
    used: Callable[[T], float | None] | None = None
    paused_s: float = 0.0
    has_siblings: bool = False
    restarts: bool = False  # never: there is no stream
    restart: Any = None
    idempotency_key: str | None = None


@dataclass(slots=True)
class PlainReply(Generic[T]):
    """What came of a PlainCall. raw: the reply's JSON text; None from a custom provider."""

    candidate: Candidate
    value: T
    request_id: str | None = None
    warnings: list[str] = field(default_factory=list[str])
    raw: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)


Send: TypeAlias = "Callable[[Call], Awaitable[Reply]]"
SendTo: TypeAlias = "Callable[[Call, Candidate], Awaitable[Reply]]"
