"""Responses and chunks turned back into events: what `Fold` and `chunk_of` do, the other way round. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, get_args

from llmring.exceptions import LLMRingError, MalformedResponseError, ProviderResponseError, StreamInterruptedError
from llmring.schemas.events import (
    CitationFound,
    Event,
    Finished,
    LogprobsDelta,
    ProviderBlock,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallSealed,
    ToolCallStart,
    UsageReported,
)
from llmring.schemas.response import FinishReason, LLMResponse, StreamChunk, StreamEventType
from llmring.schemas.tools import ToolCall
from llmring.schemas.usage import Usage

_FINISH_REASONS: Final = frozenset(get_args(FinishReason))


def events_of(given: object) -> list[Event]:
    """The events that fold to this response. Raises MalformedResponseError where it is none or not whole, and the error that it
    carries."""
    response = check_response(given)
    try:
        return _events_of_response(response)
    except LLMRingError:
        raise
    except Exception as error:  # somebody else's object: whatever its fields hold
        raise _unreadable("response", error) from error


def _unreadable(what: str, error: Exception) -> MalformedResponseError:
    return MalformedResponseError(
        f"the provider's {what} cannot be read: {type(error).__name__}",
        hint="the cause of this error (__cause__) tells where",
    )


def _events_of_response(response: LLMResponse) -> list[Event]:
    assert response.finish_reason is not None
    events: list[Event] = [Started(response.response_id, response.model)]
    calls = response.tool_calls or []
    if response.blocks is None:
        if response.reasoning:
            events.append(ReasoningDelta(_text(response.reasoning, "reasoning")))
        if response.content:
            events.append(TextDelta(_text(response.content, "content")))
        for index, call in enumerate(calls):
            events += _events_of_call(index, call)
    else:
        for block in response.blocks:
            events += _events_of_block(block, calls)
    if response.refusal:
        events.append(RefusalDelta(_text(response.refusal, "refusal")))
    if response.logprobs:
        events.append(LogprobsDelta(list(response.logprobs)))
    events += [CitationFound(citation) for citation in response.citations or ()]
    usage = read_usage(response.usage)
    if usage is not None:
        events.append(UsageReported(usage))
    events.append(Finished(response.finish_reason, response.raw_finish_reason))
    return events


def check_response(given: object) -> LLMResponse:
    if not isinstance(given, LLMResponse):
        raise MalformedResponseError(f"the provider gave a {type(given).__name__}, an LLMResponse is wanted")
    if given.error is not None:
        raise _error_of(given.error, "gave")
    if given.finish_reason is None:
        raise MalformedResponseError("the provider's response has no finish_reason")
    if given.finish_reason not in _FINISH_REASONS:
        raise MalformedResponseError(
            "the provider's response has a finish_reason that is none of llmring's",
            hint=f"it has {', '.join(sorted(_FINISH_REASONS))}; the provider's own word goes into raw_finish_reason",
        )
    return given


def read_usage(given: Usage) -> Usage | None:
    """The counts, None where there are none: what was given no counts has zeros, and those are no report."""
    usage = Usage.from_dict(given)
    counts = [usage[name] for name in _COUNTS]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise MalformedResponseError(
            "the provider's usage counts something else than tokens: a whole number, 0 or more"
        )
    return usage if usage["total_tokens"] else None


_COUNTS: Final = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def _text(given: object, what: str) -> str:
    if not isinstance(given, str):
        raise MalformedResponseError(f"the provider's {what} is a {type(given).__name__}, a text is wanted")
    return given


def _events_of_block(block: dict[str, Any], calls: list[ToolCall]) -> list[Event]:
    match block["type"]:
        case "text":
            return [TextDelta(_text(block["text"], "text"))]
        case "thinking":
            said: list[Event] = [ReasoningDelta(_text(block["text"], "reasoning"))] if block["text"] else []
            if block.get("dialect") is None:
                return said
            return [*said, ReasoningEnd(block["dialect"], block["signature"], block["id"], block["redacted"])]
        case "tool_use":
            index: int = block["call"]
            return _events_of_call(index, calls[index])
        case _:
            return [ProviderBlock(block["dialect"], block["data"])]


def _events_of_call(index: int, call: ToolCall) -> list[Event]:
    events: list[Event] = [ToolCallStart(index, call.id, call.name)]
    if call.raw_arguments:
        events.append(ToolCallDelta(index, call.raw_arguments))
    if call.signature is not None:
        events.append(ToolCallSealed(index, call.signature))
    events.append(ToolCallEnd(index))
    return events


# What is heard once: where chunks have brought it, the last chunk's response brings it no second time.
_KINDS: dict[type[Event], str] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    ReasoningEnd: "reasoning",
    RefusalDelta: "refusal",
    ToolCallStart: "call",
    ToolCallDelta: "call",
    ToolCallEnd: "call",
    ToolCallSealed: "call",
}


@dataclass(slots=True)
class _Call:
    id: str
    has_arguments: bool = False


class ChunkDecoder:
    """A custom provider's chunks as events. The last one, DONE, brings what no chunk before it brought.

    Raises MalformedResponseError for what is no chunk or comes after DONE, StreamInterruptedError where there is no DONE, and
    the error of an ERROR chunk.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._heard: set[str] = set()
        self._calls: list[_Call] = []
        self._places: dict[int, int] = {}  # by the provider's index: which of the calls it means now
        self.finished = False

    def feed(self, chunk: object) -> list[Event]:
        if not isinstance(chunk, StreamChunk):
            raise MalformedResponseError(f"the provider streamed a {type(chunk).__name__}, a StreamChunk is wanted")
        if self.finished:
            raise MalformedResponseError(
                f"the provider streamed a {chunk.type} chunk after DONE, which is the last one"
            )
        if chunk.type is StreamEventType.DONE:
            return self._finish(chunk)
        try:
            events = self._read(chunk)
        except LLMRingError:
            raise
        except Exception as error:  # somebody else's object: whatever its fields hold
            raise _unreadable("chunk", error) from error
        self._heard.update(_KINDS[type(event)] for event in events if type(event) in _KINDS)
        return events

    def close(self) -> None:
        """The stream has ended; it gives nothing more."""
        if not self.finished:
            raise StreamInterruptedError("the provider's stream ended without a DONE chunk")

    def _finish(self, chunk: StreamChunk) -> list[Event]:
        self.finished = True
        data: Any = chunk.data
        if data is None and chunk.finish_reason is not None:
            data = LLMResponse(
                model=chunk.model, finish_reason=chunk.finish_reason, usage=chunk.usage, tool_calls=chunk.tool_calls
            )
        response = check_response(data)
        self.warnings += response.warnings
        return [event for event in events_of(response) if _KINDS.get(type(event)) not in self._heard]

    def _read(self, chunk: StreamChunk) -> list[Event]:
        match chunk.type:
            case StreamEventType.TOKEN:
                return [TextDelta(_text(chunk.delta, "delta"))]
            case StreamEventType.REASONING:
                return [ReasoningDelta(_text(chunk.data or chunk.delta, "reasoning"))]
            case StreamEventType.TOOL_CALL_START | StreamEventType.TOOL_CALL_DELTA:
                return self._read_call(chunk)
            case StreamEventType.TOOL_CALL_END:
                return self._end_call(chunk.data)
            case StreamEventType.USAGE:
                given = chunk.usage or chunk.data
                usage = read_usage(given) if isinstance(given, Usage) else None
                return [] if usage is None else [UsageReported(usage)]
            case StreamEventType.ERROR:
                raise _error_of(chunk.data, "streamed")
            case _:
                return []  # META, and what agents say of their turns: no part of the answer

    def _read_call(self, chunk: StreamChunk) -> list[Event]:
        match chunk.data:
            case {"index": int(index), "id": str(id), "name": str(name), "arguments_delta": str(arguments)}:
                pass
            case _:
                raise MalformedResponseError(
                    f"a {chunk.type} chunk of the provider's has no data of index, id, name and arguments_delta"
                )
        events: list[Event] = []
        place = self._places.get(index)
        # The id tells calls apart; the index only where there is none: some count every call as number 0.
        if place is None or (id and id != self._calls[place].id):
            place = self._places[index] = self._begin_call(id)
            events.append(ToolCallStart(place, id, name))
        if arguments:
            self._calls[place].has_arguments = True
            events.append(ToolCallDelta(place, arguments))
        return events

    def _begin_call(self, id: str) -> int:
        self._calls.append(_Call(id))
        return len(self._calls) - 1

    def _end_call(self, call: object) -> list[Event]:
        if not isinstance(call, ToolCall):
            raise MalformedResponseError("a tool_call_end chunk of the provider's carries no ToolCall")
        begun = (place for place in reversed(range(len(self._calls))) if self._calls[place].id == call.id)
        place = next(begun, None)
        if place is None:
            place = self._begin_call(call.id)
            self._calls[place].has_arguments = True
            return _events_of_call(place, call)
        # Its start has been said, and its arguments where they came in pieces.
        said = self._calls[place].has_arguments
        return [
            event
            for event in _events_of_call(place, call)
            if not isinstance(event, ToolCallStart) and not (isinstance(event, ToolCallDelta) and said)
        ]


def _error_of(data: object, did: str) -> LLMRingError:
    if isinstance(data, LLMRingError):
        return data
    error = ProviderResponseError(f"the provider {did} an error")
    error.__cause__ = data if isinstance(data, BaseException) else None
    return error
