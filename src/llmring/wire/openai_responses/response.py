"""A plain reply of this dialect, read into the same events as a stream of it; and what reply and stream share beside items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from llmring.exceptions import MalformedResponseError, ProviderError
from llmring.schemas.events import Event, Finished, Started, UsageReported
from llmring.schemas.response import FinishReason
from llmring.schemas.usage import Usage
from llmring.wire.base import parse_json, read_count
from llmring.wire.openai_responses.failures import classify_event, classify_inline
from llmring.wire.openai_responses.items import ItemReader, text_or_none

# Why an answer is incomplete: `IncompleteDetails` of the openai SDK 3.52 (2026-11-21). `steered`, another user's message in the
# middle of the answer, is none of ours, and so is `error`, as every word that nobody knows.
_INCOMPLETE: Final[Mapping[str, FinishReason]] = {
    "max_output_tokens": "length",
    "max_messages": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}


def decode(body: bytes) -> list[Event]:
    """The events of a whole plain reply.

    Raises MalformedResponseError for what is no reply or is not finished, ResponseTooLargeError for JSON past the caps, and the
    typed error of a response that failed.
    """
    reply = parse_json(body, "reply")
    if not isinstance(reply, dict):
        raise MalformedResponseError("reply: JSON, but no object")
    fields = cast("dict[str, Any]", reply)
    if fields.get("type") == "error":
        raise classify_event(fields)
    if fields.get("error") or fields.get("status") == "failed":
        raise failed(fields)
    output = fields.get("output")
    if not isinstance(output, list):
        raise MalformedResponseError("reply: no list of output")
    events: list[Event] = [started(fields)]
    items = ItemReader()
    for index, item in enumerate(cast("list[object]", output)):
        items.end(index, item, events)
    finish(fields, items, events)
    return events


def started(response: Mapping[str, Any]) -> Started:
    return Started(text_or_none(response.get("id")), text_or_none(response.get("model")) or "")


def failed(response: Mapping[str, Any]) -> ProviderError:
    """The typed error of a response that failed."""
    return classify_inline(response.get("error") or {})


def finish(response: Mapping[str, Any], items: ItemReader, events: list[Event]) -> None:
    """Counts and the end. Raises MalformedResponseError where the response says that it is still being made."""
    usage = response.get("usage")
    if isinstance(usage, dict):
        events.append(UsageReported(read_usage(cast("dict[str, Any]", usage))))
    events.append(_finished(response, has_calls=items.calls > 0))


def _finished(response: Mapping[str, Any], *, has_calls: bool) -> Finished:
    """The end, in our words and in the provider's: its status, or why the answer is incomplete.

    A word that nobody knows is `error`: whether the answer is whole is not known. A reply without a status came to its end as
    HTTP counts it. Calls of the caller's tools wait for their results, whatever the status says.
    """
    status = text_or_none(response.get("status"))
    match status:
        case None | "completed":
            return Finished("tool_calls" if has_calls else "stop", status)
        case "incomplete":
            details = response.get("incomplete_details")
            given = cast("dict[str, Any]", details) if isinstance(details, dict) else {}
            reason = text_or_none(given.get("reason"))
            return Finished(_INCOMPLETE.get(reason or "", "error"), reason or status)
        case "cancelled":
            return Finished("cancelled", status)
        case "queued" | "in_progress":
            raise MalformedResponseError(
                f"reply: it is {status}, though nobody asked for it to be made in the background"
            )
        case _:
            return Finished("error", status)


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Counts of a `usage` object; what is missing or no count is 0. `ResponseUsage` of the openai SDK 3.52 (2026-11-21): cached
    tokens are part of the input, reasoning is part of the output."""
    read = usage.get("input_tokens_details")
    return Usage(
        _count(usage, "input_tokens"),
        _count(usage, "output_tokens"),
        cache_read_tokens=_count(read, "cached_tokens"),
        cache_write_tokens=_count(read, "cache_write_tokens"),
        reasoning_tokens=_count(usage.get("output_tokens_details"), "reasoning_tokens"),
    )


def _count(counts: object, name: str) -> int:
    value: Any = cast("dict[str, Any]", counts).get(name) if isinstance(counts, dict) else None
    return read_count(value)
