"""A plain reply of this dialect, read into the same events as a stream of it, and what both share: one reader of responses.

A stream is a run of responses, each with the next piece of the answer; a plain reply is one of them. Candidate 0 alone is read.
https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.exceptions import MalformedResponseError, StreamInterruptedError
from llmring.schemas.events import (
    Event,
    Finished,
    LogprobsDelta,
    ProviderBlock,
    ReasoningDelta,
    ReasoningEnd,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallSealed,
    ToolCallStart,
    UsageReported,
)
from llmring.schemas.response import FinishReason, Usage
from llmring.wire.base import parse_json, read_count
from llmring.wire.gemini_generate.contents import NAME, make_call_id
from llmring.wire.gemini_generate.failures import classify_inline
from llmring.wire.gemini_generate.sources import Sources

# `FinishReason` of google-genai 3.4.0. Every word that is not here means that the answer is not what it should be: a call that
# cannot be read, a response that is broken, or something else.
_WORDS_OF: Final[Mapping[FinishReason, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS CONTINUATION",
    "content_filter": (
        "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT "
        "IMAGE_RECITATION ESCALATION MODEL_ARMOR"
    ),
}
_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    word: reason for reason, words in _WORDS_OF.items() for word in words.split()
}

_USAGE_EVERY: Final = 16
_PLAIN: Final = frozenset({"content", "index"})


def decode(body: bytes) -> list[Event]:
    """The events of a whole plain reply, or of a stream that was answered as one list.

    Raises MalformedResponseError for what is no reply, ResponseTooLargeError for JSON past the depth cap, and the typed error for
    an `error` that came with status 200.
    """
    reply = parse_json(body, "reply")
    reader = ResponseReader()
    events: list[Event] = []
    for response in cast("list[object]", reply) if isinstance(reply, list) else [reply]:
        reader.read(response, events)
    if not reader.has_answer:
        raise MalformedResponseError("reply: neither a candidate, nor a reason why there is none")
    # One response is whole, as HTTP counts it; of a list the end may be missing.
    reader.end(events, may_lack_reason=not isinstance(reply, list))
    return events


class ResponseReader:
    """Responses in, events out. The parts of a thought are one block until something else is said, or a seal ends it."""

    __slots__ = (
        "_calls",
        "_is_thinking",
        "_raw_reason",
        "_response_id",
        "_sources",
        "_started",
        "_unread",
        "has_answer",
    )

    def __init__(self) -> None:
        self._started = False
        self._response_id: str | None = None
        self._calls = 0
        self._is_thinking = False
        self._raw_reason: tuple[FinishReason, str] | None = None
        self._sources = Sources()
        self._unread = 0
        self.has_answer = False

    @property
    def has_finished(self) -> bool:
        """Whether the provider has said why the answer ended; more of it may still come."""
        return self._raw_reason is not None

    def read(self, response: object, events: list[Event]) -> None:
        """Raises MalformedResponseError for what is no response, and the typed error for one that holds an error."""
        if response.__class__ is not dict:
            raise MalformedResponseError("reply: JSON, but no object")
        given = cast("dict[str, Any]", response)
        if given.get("error"):
            raise classify_inline(given)
        candidates = given.get("candidates")
        feedback = given.get("promptFeedback")
        if candidates or feedback:
            if not self._started:
                self._start(given, events)
            if candidates:
                self._read_candidates(candidates, events)
            elif feedback.__class__ is dict:
                self._read_feedback(cast("dict[str, Any]", feedback))
        usage = given.get("usageMetadata")
        if usage.__class__ is dict:
            # It comes with every response, and reading it costs as much as the rest: on the way now and then, so that an answer
            # that breaks off has counts that are nearly right, and at the end always.
            if self._raw_reason is not None or not self._unread:
                events.append(UsageReported(read_usage(cast("dict[str, Any]", usage))))
                self._unread = _USAGE_EVERY
            self._unread -= 1

    def _start(self, given: Mapping[str, Any], events: list[Event]) -> None:
        self._started = True
        self._response_id = _text(given.get("responseId")) or None
        events.append(Started(self._response_id, _text(given.get("modelVersion"))))

    def end(self, events: list[Event], *, may_lack_reason: bool = False) -> None:
        """Nothing more comes. Raises StreamInterruptedError where nobody said why the answer ended."""
        if self._raw_reason is None and not may_lack_reason:
            raise StreamInterruptedError(
                "the stream ended before its end: no finish reason came"
                if self._started
                else "the stream ended before anything of an answer came"
            )
        self._end_thought(events)
        self._sources.find(events)
        reason, raw = self._raw_reason or ("stop", None)
        # There is no word of its own for an answer that wants tools called.
        events.append(Finished("tool_calls" if reason == "stop" and self._calls else reason, raw))

    def _read_feedback(self, feedback: Mapping[str, Any]) -> None:
        """https://ai.google.dev/api/generate-content#PromptFeedback: the prompt was blocked, and there is no answer at all."""
        blocked = _text(feedback.get("blockReason"))
        if blocked:
            self.has_answer = True
            self._raw_reason = ("content_filter", blocked)

    def _read_candidates(self, candidates: object, events: list[Event]) -> None:
        if candidates.__class__ is not list:
            raise MalformedResponseError("reply: candidates is no list")
        for candidate in cast("list[object]", candidates):
            if candidate.__class__ is not dict:
                raise MalformedResponseError("reply: a candidate is no object")
            given = cast("dict[str, Any]", candidate)
            if not given.get("index"):
                self.has_answer = True
                self._read_candidate(given, events)

    def _read_candidate(self, candidate: dict[str, Any], events: list[Event]) -> None:
        content = candidate.get("content")
        if content:
            if content.__class__ is not dict:
                raise MalformedResponseError("reply: a candidate's content is no object")
            parts = content.get("parts")
            if parts:
                if parts.__class__ is not list:
                    raise MalformedResponseError("reply: parts is no list")
                for part in parts:
                    self._read_part(part, events)
        if candidate.keys() <= _PLAIN:  # as most are
            return
        self._sources.read(candidate)
        _read_logprobs(candidate.get("logprobsResult"), events)
        reason = _text(candidate.get("finishReason"))
        if reason:
            self._raw_reason = (_FINISH_REASONS.get(reason, "error"), reason)

    def _read_part(self, part: object, events: list[Event]) -> None:
        if part.__class__ is not dict:
            raise MalformedResponseError("reply: a part is no object")
        given = cast("dict[str, Any]", part)
        text = given.get("text")
        if text.__class__ is str:
            self._read_text(given, cast("str", text), events)
        elif "functionCall" in given:
            self._end_thought(events)
            self._read_call(given, events)
        elif given:
            # Code that was run, a search, an image: with its seal, as it goes back.
            self._end_thought(events)
            events.append(ProviderBlock(NAME, given))

    def _read_text(self, part: dict[str, Any], text: str, events: list[Event]) -> None:
        signature = _text(part.get("thoughtSignature")) or None
        if part.get("thought"):
            if text:
                self._is_thinking = True
                events.append(ReasoningDelta(text))
            if signature is not None:
                # A seal on a thought whose text is kept back is all there is of it.
                events.append(ReasoningEnd(NAME, signature, redacted=not self._is_thinking))
                self._is_thinking = False
            return
        if text:
            if self._is_thinking:
                self._end_thought(events)
            self._sources.heard(text)
            events.append(TextDelta(text))
        if signature is not None:
            self._end_thought(events)
            events.append(ReasoningEnd(NAME, signature))

    def _end_thought(self, events: list[Event]) -> None:
        """So that what is sealed after it, and what is said, stays apart from it."""
        if self._is_thinking:
            self._is_thinking = False
            events.append(ReasoningEnd(NAME))

    def _read_call(self, part: dict[str, Any], events: list[Event]) -> None:
        call = part["functionCall"]
        if call.__class__ is not dict:
            raise MalformedResponseError("reply: a functionCall is no object")
        name, arguments = _text(call.get("name")), call.get("args")
        if not name:
            raise MalformedResponseError("reply: a functionCall has no name")
        if arguments is not None and arguments.__class__ is not dict:
            raise MalformedResponseError("reply: a functionCall's args are no object")
        index = self._calls
        self._calls += 1
        events.append(ToolCallStart(index, _text(call.get("id")) or make_call_id(self._response_id, index), name))
        events.append(ToolCallDelta(index, orjson.dumps(arguments or {}).decode()))
        signature = _text(part.get("thoughtSignature"))
        if signature:
            events.append(ToolCallSealed(index, signature))
        events.append(ToolCallEnd(index))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _read_logprobs(result: object, events: list[Event]) -> None:
    """The chosen tokens and their alternatives, in the form that all dialects give."""
    if not isinstance(result, dict):
        return
    given = cast("dict[str, Any]", result)
    chosen, top = given.get("chosenCandidates"), given.get("topCandidates")
    if not isinstance(chosen, list):
        return
    others: list[Any] = cast("list[Any]", top) if isinstance(top, list) else []
    tokens: list[dict[str, Any]] = []
    for place, token in enumerate(cast("list[Any]", chosen)):
        written = _read_token(token)
        if written is None:
            continue
        match others[place] if place < len(others) else None:
            case {"candidates": [*alternatives]}:
                read = [_read_token(alternative) for alternative in alternatives]
                written["top_logprobs"] = [alternative for alternative in read if alternative is not None]
            case _:
                written["top_logprobs"] = []
        tokens.append(written)
    if tokens:
        events.append(LogprobsDelta(tokens))


def _read_token(token: object) -> dict[str, Any] | None:
    match token:
        case {"token": str(text)}:
            given = cast("dict[str, Any]", token)
            # A token that is part of a character comes as U+FFFD, and its bytes are not known.
            bytes_ = None if "\ufffd" in text else list(text.encode(errors="replace"))
            # JSON of protobuf leaves out a number that is 0.
            return {"token": text, "logprob": given.get("logProbability", 0.0), "bytes": bytes_}
        case _:
            return None


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Counts of a `usageMetadata`; what is missing or no count is 0.

    Thoughts are counted beside the candidates, and what tools read beside the prompt: `GenerateContentResponseUsageMetadata` of
    google-genai 3.4.0.
    """
    thoughts = _count(usage.get("thoughtsTokenCount"))
    return Usage(
        _count(usage.get("promptTokenCount")) + _count(usage.get("toolUsePromptTokenCount")),
        _count(usage.get("candidatesTokenCount")) + thoughts,
        cache_read_tokens=_count(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


def _count(value: object) -> int:
    return read_count(value)
