"""What a fake provider can be told to do with a request: answer, send exact bytes, or fail in a known way. Data only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from llmring.schemas.response import FinishReason, Usage

if TYPE_CHECKING:
    from llmring.testing.fake_provider import Received

Ending: TypeAlias = Literal["fin", "rst"]
"""How a connection is cut: closed as after a complete answer, or reset."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer, given plain or streamed as the request asks, in the words of the dialect that it came in.

    text: what the model says. tool_calls: `ToolCall`s or dicts of id, name, arguments. reasoning: what it thinks first.
    usage: counts to report; default: the words of the prompt and of the answer, the same plain and streamed.
    finish_reason: default "tool_calls" where there are any, else "stop". logprobs: one dict a token.
    citations: dicts of url, title, start, end. model: the name to answer under; default, the one that was asked for.
    headers: sent along. gate: where given, nothing is sent before it is set.
    """

    text: str = "Hello from the fake provider."
    _: KW_ONLY
    tool_calls: Sequence[Mapping[str, Any]] | None = None
    reasoning: str | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    logprobs: Sequence[Mapping[str, Any]] | None = None
    refusal: str | None = None
    citations: Sequence[Mapping[str, Any]] | None = None
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    gate: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Exact:
    """Exact bytes. Each item of `chunks` is one write; a reader that is slower than the writes sees them joined.

    status, headers: the reply's head, which goes out with the first chunk; Content-Length is added unless the headers say
    how the body is framed. status None: no head at all, `chunks` is everything that is sent, and the connection is closed.
    In chunks, an `asyncio.Event` waits until it is set, and a float waits that many seconds (for benchmarks that pace).
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    chunks: Sequence[bytes | asyncio.Event | float] = ()


FaultKind: TypeAlias = Literal[
    "status",
    "reset",
    "close_before_reply",
    "hang",
    "cut",
    "stall",
    "garbage",
    "error_in_stream",
    "gzip_bomb",
    "long_line",
    "deep_json",
    "endless",
    "wrong_content_length",
    "slow_head",
]

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

_STATUS_MESSAGES = {401: "Incorrect API key provided.", 404: "The model does not exist.", 429: "Too many requests."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A way of going wrong; made by the classmethods, one a kind.

    Where a fault breaks an answer, `answer` is the one that it breaks (default: `Answer()`), so that a client which does not
    notice gets something that looks right. Waiting faults wait for `fake.release()` and then go on as if nothing had been.
    size: bytes, depth, offset or seed, as the kind says.
    """

    kind: FaultKind
    answer: Answer = field(default_factory=Answer)
    http_status: int = 200
    message: str = ""
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    after_events: int = 0
    how: Ending = "fin"
    size: int = 0

    @classmethod
    def status(
        cls,
        status: int,
        message: str | None = None,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """An error reply. code: the provider's own word for it. headers: such as {"retry-after": "2"}."""
        said = _STATUS_MESSAGES.get(status, "The server had an error.") if message is None else message
        return cls(kind="status", http_status=status, message=said, code=code, headers=headers or {})

    @classmethod
    def reset(cls) -> Fault:
        """The connection is reset (RST) instead of an answer."""
        return cls(kind="reset", how="rst")

    @classmethod
    def close_before_reply(cls) -> Fault:
        """The connection is closed (FIN) instead of an answer, as a server does that has just given up a kept-alive one."""
        return cls(kind="close_before_reply")

    @classmethod
    def hang(cls, answer: Answer | None = None) -> Fault:
        """Nothing is answered until released."""
        return cls(kind="hang", answer=answer or Answer())

    @classmethod
    def cut(cls, after_events: int, how: Ending = "fin", answer: Answer | None = None) -> Fault:
        """A stream that breaks off after so many events, at the latest before its last; a plain reply breaks off half way."""
        return cls(kind="cut", after_events=after_events, how=how, answer=answer or Answer())

    @classmethod
    def stall(cls, after_events: int, answer: Answer | None = None) -> Fault:
        """A stream that says no more after so many events until released; a plain reply stalls half way."""
        return cls(kind="stall", after_events=after_events, answer=answer or Answer())

    @classmethod
    def garbage(cls, seed: int = 0) -> Fault:
        """Random bytes in place of the body, the same for the same seed."""
        return cls(kind="garbage", size=seed)

    @classmethod
    def error_in_stream(
        cls,
        after_events: int,
        message: str = "The server had an error.",
        *,
        status: int = 500,
        code: str | None = None,
        answer: Answer | None = None,
    ) -> Fault:
        """Status 200, and after so many events an error, then the end of the body. A plain reply: 200 with an error as its body.

        status: which error, in the dialect's words; it is not sent as the reply's status.
        """
        return cls(
            kind="error_in_stream",
            after_events=after_events,
            message=message,
            http_status=status,
            code=code,
            answer=answer or Answer(),
        )

    @classmethod
    def gzip_bomb(cls, size_bytes: int, answer: Answer | None = None) -> Fault:
        """A small gzip body that unpacks to `size_bytes` of white space and then a good answer."""
        return cls(kind="gzip_bomb", size=size_bytes, answer=answer or Answer())

    @classmethod
    def long_line(cls, size_bytes: int) -> Fault:
        """One event (or one plain reply) whose text is `size_bytes` long."""
        return cls(kind="long_line", size=size_bytes)

    @classmethod
    def deep_json(cls, depth: int, answer: Answer | None = None) -> Fault:
        """A good answer with one more key, whose value is lists nested `depth` deep."""
        return cls(kind="deep_json", size=depth, answer=answer or Answer())

    @classmethod
    def endless(cls) -> Fault:
        """A stream that goes on until the client goes away; a plain reply of endless white space."""
        return cls(kind="endless")

    @classmethod
    def wrong_content_length(cls, off_by: int = 10, answer: Answer | None = None) -> Fault:
        """Content-Length says `off_by` bytes more (or, below 0, less) than there are; then the connection is closed."""
        return cls(kind="wrong_content_length", size=off_by, answer=answer or Answer())

    @classmethod
    def slow_head(cls, answer: Answer | None = None) -> Fault:
        """The head stops in the middle of a header until released."""
        return cls(kind="slow_head", answer=answer or Answer())


Step: TypeAlias = "Answer | Exact | Fault | Callable[[Received], Answer | Exact | Fault]"
"""What a script is made of; a function decides when the request is there."""


@dataclass(frozen=True, slots=True)
class SeededFaults:
    """Faults that strike at random, the same ones for the same seed and request number, in whichever order requests come.

    rate: share of requests, 0 to 1. kinds: names of kinds, or faults as they are; default: every kind that ends by itself.
    """

    rate: float
    seed: int
    kinds: Sequence[FaultKind | Fault] = (
        "status",
        "reset",
        "close_before_reply",
        "cut",
        "garbage",
        "error_in_stream",
        "wrong_content_length",
    )

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if not isinstance(kind, Fault) and kind not in FAULT_KINDS]
        if unknown or not self.kinds:
            raise ValueError(f"faults: kinds must be some of {', '.join(FAULT_KINDS)}, or faults; not {unknown}")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"faults: rate is a share of all requests, 0 to 1; not {self.rate}")

    def at(self, number: int) -> Fault | None:
        """What strikes the request of this number (the first is 0), None where nothing does."""
        dice = random.Random(f"{self.seed}:{number}")
        if dice.random() >= self.rate:
            return None
        kind = dice.choice(self.kinds)
        return kind if isinstance(kind, Fault) else _random_fault(kind, dice)


def _random_fault(kind: FaultKind, dice: random.Random) -> Fault:
    return Fault(
        kind=kind,
        http_status=dice.choice((429, 500, 502, 503, 504, 529)),
        message="A seeded fault.",
        after_events=dice.randrange(6),
        how=dice.choice(("fin", "rst")),
        size=dice.randrange(1_000, 1_000_000) if kind != "wrong_content_length" else dice.randrange(1, 100),
    )
