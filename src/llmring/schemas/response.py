"""What comes back: `LLMResponse`, and the `StreamChunk`s of a stream. Plain slotted classes: they are made once per call or
chunk, and pydantic would cost more than the rest of the path.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import orjson

from llmring import exceptions
from llmring.exceptions import AttemptRecord, LLMRingError
from llmring.schemas.tools import ToolCall
from llmring.schemas.usage import Citation, Usage

if TYPE_CHECKING:
    from llmring.schemas.messages import Message, Part
    from llmring.schemas.request import LLMRequest

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "cancelled", "error"]


class Timing:
    """When things happened, in seconds from the start of the call: first content (None for a plain reply), and the end."""

    __slots__ = ("latency", "ttft")

    def __init__(self, ttft: float | None = None, latency: float | None = None) -> None:
        self.ttft = ttft
        self.latency = latency

    def to_dict(self) -> dict[str, float | None]:
        return {"ttft": self.ttft, "latency": self.latency}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timing) and (self.ttft, self.latency) == (other.ttft, other.latency)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"Timing(ttft={self.ttft}, latency={self.latency})"


class LLMResponse:
    """One answer.

    content: the text; "" where there was none. parsed: the structured answer, where one was asked for. tool_calls: what the
    model wants called, each OpenAI-shaped and with attributes; None where it wants nothing. tool_results: of tools that ran.
    reasoning: what it thought aloud; None where nothing. blocks: the answer piece by piece, where thinking that the provider
    wants back, or something that only it understands, has its place in it; else None. `parts` and `to_message` read it.
    refusal: its words for refusing; None where it did not.
    finish_reason: stop, length, tool_calls, content_filter, cancelled or error; raw_finish_reason: the provider's word.
    model: who answered, by the provider's name for it; requested_model: what the request named; called_model: the
    `provider:model` that was called for it; provider, alias, profile: how it was found.
    usage, cost: see `Usage`. logprobs: one dict per token. citations: sources named.
    response_id: the provider's id; request_id: its id for support; id: yours to join on. status_code: HTTP status.
    warnings: what was left out or changed on the way. attempts: candidates tried before this one, each as an `AttemptRecord` in JSON
    data. region: where it was served.
    raw: the provider's reply as decoded JSON (None for streams). request: the request, by reference. error: for batches.
    """

    __slots__ = (
        "_raw",
        "alias",
        "attempts",
        "blocks",
        "called_model",
        "citations",
        "content",
        "error",
        "finish_reason",
        "id",
        "logprobs",
        "model",
        "parsed",
        "profile",
        "provider",
        "raw_finish_reason",
        "reasoning",
        "refusal",
        "region",
        "request",
        "request_id",
        "requested_model",
        "response_id",
        "status_code",
        "timing",
        "tool_calls",
        "tool_results",
        "usage",
        "warnings",
    )

    def __init__(
        self,
        content: str = "",
        *,
        model: str = "",
        requested_model: str = "",
        called_model: str = "",
        provider: str = "",
        alias: str | None = None,
        profile: str | None = None,
        usage: Usage | None = None,
        finish_reason: FinishReason | None = None,
        raw_finish_reason: str | None = None,
        tool_calls: list[ToolCall] | None = None,
        tool_results: list[dict[str, Any]] | None = None,
        parsed: Any = None,
        reasoning: str | None = None,
        blocks: list[dict[str, Any]] | None = None,
        refusal: str | None = None,
        logprobs: list[dict[str, Any]] | None = None,
        citations: list[Citation] | None = None,
        error: LLMRingError | None = None,
        id: int | None = None,
        response_id: str | None = None,
        request_id: str | None = None,
        status_code: int | None = None,
        region: str | None = None,
        timing: Timing | None = None,
        warnings: Sequence[str] = (),
        attempts: Sequence[dict[str, Any]] = (),
        raw: Any = None,
        request: LLMRequest | None = None,
    ) -> None:
        self.content = content
        self.model = model
        self.requested_model = requested_model
        self.called_model = called_model
        self.provider = provider
        self.alias = alias
        self.profile = profile
        self.usage = Usage() if usage is None else usage
        self.finish_reason: FinishReason | None = finish_reason
        self.raw_finish_reason = raw_finish_reason
        self.tool_calls = tool_calls
        self.tool_results = tool_results
        self.parsed = parsed
        self.reasoning = reasoning
        self.blocks = blocks
        self.refusal = refusal
        self.logprobs = logprobs
        self.citations = citations
        self.error = error
        self.id = id
        self.response_id = response_id
        self.request_id = request_id
        self.status_code = status_code
        self.region = region
        self.timing = Timing() if timing is None else timing
        self.warnings = list(warnings)
        self.attempts = list(attempts)
        self._raw = raw
        self.request = request

    @property
    def raw(self) -> Any:
        """The provider's reply as decoded JSON; None for streams. Decoded at first access: few ever look."""
        if isinstance(self._raw, bytes):
            self._raw = orjson.loads(self._raw)
        return self._raw

    @raw.setter
    def raw(self, value: Any) -> None:
        self._raw = value

    # The same facts under the names that users of other libraries look for.
    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def is_error(self) -> bool:
        return self.error is not None

    @property
    def error_message(self) -> str | None:
        return None if self.error is None else str(self.error)

    @property
    def completion(self) -> str:
        return self.content

    @property
    def text(self) -> str:
        return self.content

    @property
    def thinking(self) -> str | None:
        return self.reasoning

    @property
    def has_tool_calls(self) -> bool:
        return bool(self.tool_calls)

    @property
    def cost(self) -> float | None:
        """USD, with what attempts that failed have cost as far as their usage is known; None where a price is unknown."""
        cost = self.usage["cost"]
        for attempt in self.attempts:
            usage = attempt.get("usage")
            if usage is not None:
                cost = None if cost is None or usage["cost"] is None else cost + usage["cost"]
        return cost

    @property
    def input_tokens(self) -> int:
        return self.usage["prompt_tokens"]

    @property
    def output_tokens(self) -> int:
        return self.usage["completion_tokens"]

    @property
    def total_tokens(self) -> int:
        return self.usage["total_tokens"]

    @property
    def cache_read_tokens(self) -> int:
        return self.usage["cache_read_tokens"]

    @property
    def cache_write_tokens(self) -> int:
        return self.usage["cache_write_tokens"]

    @property
    def cache_hit(self) -> bool:
        """Whether the provider read part of the prompt from its cache."""
        return self.usage["cache_read_tokens"] > 0

    @property
    def parts(self) -> list[Part]:
        """The answer as message parts, in the order in which it came: thinking, text (or the refusal), tool uses."""
        from llmring.schemas.messages import TextPart, ThinkingPart

        calls: list[ToolCall] = self.tool_calls or []
        if self.blocks is not None:
            refusal = [TextPart(text=self.refusal)] if self.refusal and not self.content else []
            return [*(_part_of(block, calls) for block in self.blocks), *refusal]
        parts: list[Part] = []
        if self.reasoning:
            parts.append(ThinkingPart(text=self.reasoning))
        if self.content or self.refusal:
            parts.append(TextPart(text=self.content or self.refusal or ""))
        return parts + [_tool_use(call) for call in calls]

    def to_message(self) -> Message:
        """The answer as the assistant's message of the next request; a refusal counts as its text. Thinking is kept where its
        provider wants it back."""
        from llmring.schemas.messages import Message, Role

        content: Any = self.content or self.refusal or ""
        if self.blocks is not None:
            content = self.parts
        elif not content and self.tool_calls:
            content = None
        return Message(
            role=Role.ASSISTANT, content=content, tool_calls=self.tool_calls, model=self.called_model or None
        )

    def to_dict(self, *, include_request: bool = False) -> dict[str, Any]:
        """Everything as JSON data of its own; `from_dict` gives an equal response back. The request is left out unless asked for.

        An error becomes its class name, message and facts; a parsed model becomes its fields.
        """
        data = {name: _as_json_data(getattr(self, name)) for name in _FIELDS if name != "request"}
        if include_request and self.request is not None:
            asked = self.request.model_dump(mode="json")
            data["request"] = {name: value for name, value in asked.items() if value is not None}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLMResponse:
        """Reads what `to_dict` wrote. Raises ValueError for a field that is none of a response."""
        given = dict(data)
        unknown = sorted(given.keys() - set(_FIELDS))
        if unknown:
            raise ValueError(f"LLMResponse: no such field: {', '.join(unknown)}")
        if given.get("usage") is not None:
            given["usage"] = Usage.from_dict(given["usage"])
        if given.get("tool_calls") is not None:
            given["tool_calls"] = [ToolCall.from_dict(call) for call in given["tool_calls"]]
        if given.get("citations") is not None:
            given["citations"] = [Citation(**citation) for citation in given["citations"]]
        if given.get("timing") is not None:
            given["timing"] = Timing(**given["timing"])
        if given.get("error") is not None:
            given["error"] = _error_from_dict(given["error"])
        if given.get("request") is not None:
            from llmring.schemas.request import LLMRequest

            given["request"] = LLMRequest.model_validate(given["request"])
        return cls(**given)

    def to_answer_dict(self) -> dict[str, Any]:
        """The short form: answer (the parsed object where one was asked for), reasoning, tool_calls, tool_results, verbose."""
        return {
            "answer": self.content if self.parsed is None else _as_json_data(self.parsed),
            "reasoning": self.reasoning,
            "tool_calls": [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in self.tool_calls or ()],
            "tool_results": list(self.tool_results or ()),
            "verbose": {
                "tokens": self.usage["completion_tokens"],
                "tokens_per_second": self._tokens_per_second(),
                "latency": self.timing.ttft if self.timing.ttft is not None else self.timing.latency,
            },
        }

    def _tokens_per_second(self) -> float | None:
        if not self.timing.latency:
            return None
        return self.usage["completion_tokens"] / self.timing.latency

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LLMResponse) and self.to_dict() == other.to_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        # No content: a repr ends up in logs, and content in logs is an explicit choice.
        return (
            f"<LLMResponse {self.provider}:{self.model} {self.finish_reason} {len(self.content)} characters, "
            f"{self.usage['total_tokens']} tokens>"
        )


def _part_of(block: dict[str, Any], calls: Sequence[ToolCall]) -> Part:
    from llmring.schemas.messages import ProviderPart, TextPart, ThinkingPart

    match block["type"]:
        case "tool_use":
            place: int = block["call"]
            return _tool_use(calls[place])
        case "text":
            return TextPart.model_validate(block)
        case "thinking":
            return ThinkingPart.model_validate(block)
        case _:
            return ProviderPart.model_validate(block)


def _tool_use(call: ToolCall) -> Part:
    from llmring.schemas.messages import ToolUsePart

    return ToolUsePart(id=call.id, name=call.name, arguments=call.arguments, signature=call.signature)


_FIELDS = tuple("raw" if name == "_raw" else name for name in LLMResponse.__slots__)


def _as_json_data(value: Any) -> Any:
    match value:
        case None | str() | int() | float():
            return value
        case dict():
            return {key: _as_json_data(item) for key, item in cast("dict[str, Any]", value).items()}
        case list() | tuple():
            return [_as_json_data(item) for item in cast("list[Any]", value)]
        case Timing() | LLMResponse():
            return value.to_dict()
        case LLMRingError():
            return _error_to_dict(value)
        case AttemptRecord():
            return dataclasses.asdict(value)
        case BaseException():
            # Only its words can be written; the class it is read back as must not add to them again.
            return str(value) if type(value) is Exception else f"{type(value).__name__}: {value}"
        case _:
            from pydantic_core import to_jsonable_python

            # A parsed answer: a Pydantic model, a dataclass, or an object of a plain class.
            return to_jsonable_python(value, fallback=vars)


def _error_to_dict(error: LLMRingError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": error.message, **_as_json_data(error.facts())}


def _error_from_dict(data: Mapping[str, Any]) -> LLMRingError:
    """The error again, of its own class; of LLMRingError itself where the class is none of ours."""
    facts = dict(data)
    kind = getattr(exceptions, facts.pop("type"), None)
    message = facts.pop("message")
    if not (isinstance(kind, type) and issubclass(kind, LLMRingError)):
        return LLMRingError(message, hint=facts.get("hint"))
    for name, read in _FACT_READERS.items():
        if name in facts:
            facts[name] = read(facts[name])
    return kind(message, **facts)


# Facts that are more than JSON data.
_FACT_READERS: dict[str, Callable[[Any], Any]] = {
    "attempts": lambda records: tuple(AttemptRecord(**record) for record in records),
    "close_matches": tuple,
    "original_error": Exception,
    "partial": LLMResponse.from_dict,
    "response": LLMResponse.from_dict,
}


class StreamEventType(StrEnum):
    """What a chunk is."""

    TOKEN = "token"
    REASONING = "reasoning"
    TOOL_CALL_START = "tool_call_start"
    TOOL_CALL_DELTA = "tool_call_delta"
    TOOL_CALL_END = "tool_call_end"
    TOOL_OUTPUT = "tool_output"
    TOOL_RESULT = "tool_result"
    REVIEW_REQUEST = "review_request"
    TURN_START = "turn_start"
    META = "meta"
    USAGE = "usage"
    DONE = "done"
    ERROR = "error"


class StreamChunk:
    """One piece of a stream.

    type: what it is. delta: the new text of a TOKEN chunk, else "". data: what the type carries: the text of REASONING;
    a dict of index, id, name, arguments_delta for TOOL_CALL_START and _DELTA; the `ToolCall` for TOOL_CALL_END; the `Usage` for
    USAGE; the whole `LLMResponse` for DONE. model, finish_reason, usage, tool_calls: filled on the last chunk (DONE).
    source, tool_id, job, depth: who speaks, where agents and batches nest. timestamp: seconds since the epoch.
    """

    __slots__ = (
        "data",
        "delta",
        "depth",
        "finish_reason",
        "job",
        "model",
        "source",
        "timestamp",
        "tool_calls",
        "tool_id",
        "type",
        "usage",
    )

    def __init__(
        self,
        type: StreamEventType,
        delta: str = "",
        data: Any = None,
        *,
        model: str = "",
        finish_reason: FinishReason | None = None,
        usage: Usage | None = None,
        tool_calls: list[ToolCall] | None = None,
        tool_id: str | None = None,
        source: str = "model",
        job: int = 1,
        depth: int = 0,
        timestamp: float | None = None,
    ) -> None:
        self.type = type
        self.delta = delta
        self.data = data
        self.model = model
        self.finish_reason: FinishReason | None = finish_reason
        self.usage = usage
        self.tool_calls = tool_calls
        self.tool_id = tool_id
        self.source = source
        self.job = job
        self.depth = depth
        self.timestamp = time.time() if timestamp is None else timestamp

    @classmethod
    def token(cls, text: str) -> StreamChunk:
        """A piece of the answer's text."""
        return cls(StreamEventType.TOKEN, text)

    @classmethod
    def done(cls, response: LLMResponse) -> StreamChunk:
        """The last chunk of a stream, with the whole response."""
        return cls(
            StreamEventType.DONE,
            data=response,
            model=response.model,
            finish_reason=response.finish_reason,
            usage=response.usage,
            tool_calls=response.tool_calls,
        )

    def __repr__(self) -> str:
        return f"<StreamChunk {self.type} {len(self.delta)} characters>"
