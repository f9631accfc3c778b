"""A plain reply of this dialect: read into the same events as a stream of it, and written as a server writes it.

A reply and a line of a stream have the same fields, so one function reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.exceptions import ConfigurationError, MalformedResponseError
from llmring.schemas.events import (
    Event,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    ReasoningEnd,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReported,
)
from llmring.schemas.response import FinishReason, LLMResponse, Usage
from llmring.wire.base import parse_json, read_count
from llmring.wire.ollama_chat.failures import classify_inline

# https://docs.ollama.com/api/chat (2026-11-21). `load` and `unload` are answers to requests without messages: nothing was asked.
_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {"stop": "stop", "length": "length"}


class ChunkReader:
    """The events of one answer, line by line, or of a whole reply. Whether it has ended is `done`."""

    __slots__ = ("_calls", "_ids", "_started", "_thinking", "done")

    def __init__(self) -> None:
        self._calls = 0
        self._ids: set[str] = set()
        self._started = self._thinking = False
        self.done = False

    @property
    def started(self) -> bool:
        return self._started

    def read(self, chunk: dict[str, Any], events: list[Event]) -> None:
        """Raises MalformedResponseError for what is no answer, and the typed error that stands in an answer's place."""
        message: Any = chunk.get("message")
        if message.__class__ is not dict:
            if chunk.get("error"):
                raise classify_inline(chunk)
            if message is not None or not self._started:
                raise MalformedResponseError("reply: no message")
            # Old versions said nothing more in the last line:
            # https://github.com/ollama/ollama/blob/01e52d24bc00defcd9bcc6d995b11df0f08bc6f1/docs/api.md (2026-11-21)
            message = {}
        if not self._started:
            self._started = True
            model = chunk.get("model")
            # An answer has no id in this dialect.
            events.append(Started(None, model if isinstance(model, str) else ""))
        self._read_message(message, events)
        logprobs = chunk.get("logprobs")
        if logprobs:
            _read_logprobs(logprobs, events)
        if chunk.get("error"):
            raise classify_inline(chunk)
        if chunk.get("done") is True:
            self._end_thought(events)
            if "prompt_eval_count" in chunk or "eval_count" in chunk:
                events.append(UsageReported(read_usage(chunk)))
            events.append(self._finished(chunk.get("done_reason")))
            self.done = True

    def _read_message(self, message: Mapping[str, Any], events: list[Event]) -> None:
        thinking = message.get("thinking")
        if thinking:
            self._thinking = True
            events.append(ReasoningDelta(_text(thinking, "thinking")))
        text = message.get("content")
        if text:
            if self._thinking:
                self._end_thought(events)
            events.append(TextDelta(_text(text, "content")))
        calls = message.get("tool_calls")
        if calls:
            self._end_thought(events)
            if not isinstance(calls, list):
                raise MalformedResponseError("reply: tool_calls is no list")
            for call in cast("list[object]", calls):
                self._read_call(call, events)

    def _end_thought(self, events: list[Event]) -> None:
        """Thinking has no seal here; who called a tool in the middle of it wants it back all the same."""
        if self._thinking:
            self._thinking = False
            events.append(ReasoningEnd("ollama_chat"))

    def _read_call(self, call: object, events: list[Event]) -> None:
        """A call comes whole. Old versions give no ids, and `index` is the place in its line: neither tells calls apart."""
        given = cast("dict[str, Any]", call) if isinstance(call, dict) else {}
        function: object = given.get("function")
        fields = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
        name, arguments = fields.get("name"), fields.get("arguments")
        if not isinstance(name, str) or not name:
            raise MalformedResponseError("reply: a tool call has no name")
        text = (
            arguments if isinstance(arguments, str) else orjson.dumps({} if arguments is None else arguments).decode()
        )
        index, id = self._calls, given.get("id")
        if not isinstance(id, str) or not id or id in self._ids:
            id = f"call_{index}"
            while id in self._ids:
                id += "_"
        self._calls += 1
        self._ids.add(id)
        events += (ToolCallStart(index, id, name), ToolCallDelta(index, text), ToolCallEnd(index))

    def _finished(self, raw: object) -> Finished:
        """A word that nobody knows is `error`: whether the answer is whole is not known. Old versions gave none at an end. A call
        ends with `stop`, and whoever loops over tools wants one word to look at."""
        word = raw if isinstance(raw, str) and raw else None
        reason = "stop" if word is None else _FINISH_REASONS.get(word, "error")
        return Finished("tool_calls" if reason == "stop" and self._calls else reason, word)


def decode(body: bytes) -> list[Event]:
    """The events of a whole plain reply.

    Raises MalformedResponseError for what is no reply, ResponseTooLargeError for JSON past the caps, and the typed error for an
    `error` that came with status 200.
    """
    reply = parse_json(body, "reply")
    if not isinstance(reply, dict):
        raise MalformedResponseError("reply: JSON, but no object")
    events: list[Event] = []
    reader = ChunkReader()
    reader.read(cast("dict[str, Any]", reply), events)
    if not reader.done:
        raise MalformedResponseError("reply: it is not done", hint="it is one line of a stream")
    return events


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise MalformedResponseError(f"reply: {what} is no text")
    return value


def _read_logprobs(logprobs: object, events: list[Event]) -> None:
    if isinstance(logprobs, list):
        tokens = cast("list[object]", logprobs)
        events.append(LogprobsDelta([cast("dict[str, Any]", token) for token in tokens if isinstance(token, dict)]))


def read_usage(chunk: Mapping[str, Any]) -> Usage:
    """Counts of the last line; what is missing or no count is 0. What was read from the cache is part of the prompt:
    https://github.com/ollama/ollama/pull/17943 (2026-11-21)"""
    return Usage(
        _count(chunk, "prompt_eval_count"),
        _count(chunk, "eval_count"),
        cache_read_tokens=_count(chunk, "prompt_eval_cached_count"),
    )


def _count(chunk: Mapping[str, Any], name: str) -> int:
    value: Any = chunk.get(name)
    return read_count(value)


# The server side, for tests -----------------------------------------------------------------------------------------

_NEVER: Final = "1970-01-01T00:00:00Z"


def encode_reply(response: LLMResponse, *, created_at: str = _NEVER) -> dict[str, Any]:
    """The reply that a server of this dialect gives for a response. Left out, because the dialect has no words for them: ids,
    citations, a refusal's being one. Raises ConfigurationError for a response that ended otherwise than by stop, length or calls."""
    message: dict[str, Any] = {"role": "assistant", "content": response.content or response.refusal or ""}
    if response.reasoning:
        message["thinking"] = response.reasoning
    if response.tool_calls:
        message["tool_calls"] = [encode_call(call) for call in response.tool_calls]
    reply = {"model": response.model, "created_at": created_at, "message": message, **encode_end(response)}
    if response.logprobs:
        reply["logprobs"] = encode_logprobs(response)
    return reply


def encode_call(call: Any) -> dict[str, Any]:
    return {"function": {"name": call.name, "arguments": call.arguments}}


def encode_logprobs(response: LLMResponse) -> list[dict[str, Any]]:
    def known(token: Mapping[str, Any]) -> dict[str, Any]:
        return {name: token[name] for name in ("token", "logprob") if name in token}

    tokens = response.logprobs or ()
    return [{**known(token), "top_logprobs": [known(o) for o in token.get("top_logprobs") or ()]} for token in tokens]


def encode_end(response: LLMResponse) -> dict[str, Any]:
    """What the last line says of the whole answer."""
    reason = response.finish_reason or "stop"
    if reason not in ("stop", "length", "tool_calls"):
        raise ConfigurationError(f"ollama_chat has no done_reason for {reason!r}", hint="answer with an error instead")
    usage = response.usage
    end: dict[str, Any] = {
        "done": True,
        "done_reason": "length" if reason == "length" else "stop",
        "total_duration": 1,
        "load_duration": 1,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": 1,
        "eval_count": usage.completion_tokens,
        "eval_duration": 1,
    }
    if usage.cache_read_tokens:
        end["prompt_eval_cached_count"] = usage.cache_read_tokens
    return end
