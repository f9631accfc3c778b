"""From events to what the caller gets: the finished `LLMResponse`, and the chunks of a stream on the way to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from llmring.calls.call import Call, Reply
from llmring.exceptions import SchemaValidationError
from llmring.registry.pricing import charge
from llmring.schemas.events import (
    Event,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from llmring.schemas.fold import Fold
from llmring.schemas.optional_keys import drop_added_nulls
from llmring.schemas.request import LLMRequest
from llmring.schemas.response import LLMResponse, StreamChunk, StreamEventType, Usage
from llmring.schemas.response_format import read_response_format
from llmring.schemas.tools import ToolCall

_TOKEN = StreamEventType.TOKEN

REPAIRED = "response_format: the answer was no JSON as it stood; the one JSON value in it was taken"


def finish(call: Call, reply: Reply, folding: Fold, now: float) -> LLMResponse:
    """The whole answer: who gave it, what it cost, what it means.

    Raises SchemaValidationError, carrying the response, where a structured answer does not fit its schema.
    """
    response = describe(call, reply, folding, now)
    if call.request.response_format is not None:
        _parse(call.request, response)
    return response


def finish_whole(call: Call, reply: Reply, now: float) -> LLMResponse:
    """Of a reply that is no stream; as `finish`."""
    folding = Fold()
    for event in reply.events:
        folding.add(event)
    return finish(call, reply, folding, now)


def describe(call: Call, reply: Reply, folding: Fold, now: float) -> LLMResponse:
    """The answer as far as it has come, with the facts of its call."""
    response = folding.response()
    candidate, resolution, request = reply.candidate, call.resolution, call.request
    if response.tool_calls and request.tools:
        response.tool_calls = [own_arguments(made, request.tools) for made in response.tool_calls]
    response.provider = candidate.ref.provider
    response.model = response.model or candidate.ref.model
    response.requested_model = request.model
    response.called_model = str(candidate.ref)
    response.alias = resolution.alias
    response.profile = resolution.profile or None
    response.status_code = reply.status
    response.request_id = reply.request_id
    response.request = call.asked
    if reply.raw is not None:
        response.raw = reply.raw
    if reply.warnings:
        response.warnings = list(reply.warnings)
    if call.attempts:
        response.attempts = [asdict(attempt) for attempt in call.attempts]
    response.timing.latency = now - call.started
    if reply.first_content_at is not None:
        response.timing.ttft = reply.first_content_at - call.started
    if not folding.has_usage:
        response.usage = estimate_usage(request, response)
    usage = response.usage
    if (
        response.finish_reason == "length"
        and usage.reasoning_tokens
        and not response.content
        and not response.tool_calls
    ):
        response.warnings.append(
            f"the answer is empty: thinking used {usage.reasoning_tokens} tokens of the budget; raise max_tokens or lower "
            "reasoning_effort"
        )
    charge(usage, candidate.info)
    return response


def estimate_usage(request: LLMRequest, response: LLMResponse) -> Usage:
    """Counts for an answer whose provider reported none: a token per four bytes of text, and marked as estimated."""
    calls = sum(len(call.raw_arguments) for call in response.tool_calls or ())
    answer = _size(response.content) + _size(response.reasoning or "") + calls
    return Usage(estimate_prompt_tokens(request), -(-answer // 4), estimated=True)


def estimate_prompt_tokens(request: LLMRequest) -> int:
    """A token per four bytes of text; media are not counted."""
    return -(-sum(_size(message.text) for message in request.messages) // 4)


def _size(text: str) -> int:
    # Half a surrogate pair may stand in what a custom provider takes and gives.
    return len(text.encode("utf-8", "surrogatepass"))


def _parse(request: LLMRequest, response: LLMResponse) -> None:
    wanted = read_response_format(request.response_format)
    # A refusal, a tool call (with whatever is said beside it) or a filter stands in the place of the answer.
    if wanted is None or wanted.kind == "text":
        return
    if response.refusal or response.tool_calls or response.finish_reason == "content_filter":
        return
    try:
        response.parsed, repaired = wanted.read(response.content)
        if repaired:
            response.warnings.append(REPAIRED)
    except SchemaValidationError as error:
        error.response = response
        if response.finish_reason == "length":
            error.hint = "the answer was cut at its token limit: raise max_tokens"
        raise


def own_arguments(made: ToolCall, tools: Sequence[Mapping[str, Any]]) -> ToolCall:
    """The call without arguments that are null only because strict mode cannot leave them out: the tool's own defaults apply."""
    for tool in tools:
        match tool:
            case {"function": {"name": made.name, "parameters": {"properties": {}} as schema}}:
                break
            case _:
                pass
    else:
        return made
    if "null" not in made.raw_arguments:
        return made
    arguments, error = made.arguments, made.parse_error
    own = drop_added_nulls(arguments, cast("Mapping[str, Any]", schema))
    return made if error or own == arguments else ToolCall(made.id, made.name, own, signature=made.signature)


def chunk_of(event: Event, folding: Fold, request: LLMRequest, model: str, now: float) -> StreamChunk | None:
    """The chunk that shows an event to the caller, None for one that is only kept. The event is already folded."""
    if isinstance(event, TextDelta):
        return StreamChunk(_TOKEN, event.text, timestamp=now)
    match event:
        case ReasoningDelta():
            if not event.text:
                return None
            return StreamChunk(StreamEventType.REASONING, data=event.text, model=model, timestamp=now)
        case ToolCallStart():
            data = {"index": event.index, "id": event.id, "name": event.name, "arguments_delta": ""}
            return StreamChunk(StreamEventType.TOOL_CALL_START, data=data, tool_id=event.id, timestamp=now)
        case ToolCallDelta():
            id, name = folding.tool_call_id(event.index)
            data = {"index": event.index, "id": id, "name": name, "arguments_delta": event.arguments}
            return StreamChunk(StreamEventType.TOOL_CALL_DELTA, data=data, tool_id=id, timestamp=now)
        case ToolCallEnd():
            tool_call = folding.tool_call(event.index)
            if request.tools:
                tool_call = own_arguments(tool_call, request.tools)
            return StreamChunk(StreamEventType.TOOL_CALL_END, data=tool_call, tool_id=tool_call.id, timestamp=now)
        case RefusalDelta():
            return StreamChunk(StreamEventType.META, data={"event": "refusal", "delta": event.text}, timestamp=now)
        case _:
            return None


def last_chunks(response: LLMResponse, now: float) -> tuple[StreamChunk, StreamChunk]:
    """USAGE, then DONE with the whole response."""
    return (
        StreamChunk(
            StreamEventType.USAGE, data=response.usage, model=response.model, usage=response.usage, timestamp=now
        ),
        StreamChunk(
            StreamEventType.DONE,
            data=response,
            model=response.model,
            finish_reason=response.finish_reason,
            usage=response.usage,
            tool_calls=response.tool_calls,
            timestamp=now,
        ),
    )
