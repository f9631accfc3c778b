"""A plain reply of this dialect: read into the same events as a stream of it, and written as a server writes it.

Also what reply and stream share: usage, citations, finish reasons. Choice 0 alone is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, MalformedResponseError
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
    UsageReported,
)
from llmring.schemas.response import Citation, FinishReason, LLMResponse, Usage
from llmring.wire.base import parse_json, read_count
from llmring.wire.openai_chat.failures import classify_inline
from llmring.wire.openai_chat.messages import DETAILS, NAME
from llmring.wire.openai_chat.tool_calls import CallReader, text_or_none

# Which words mean what, in lower case. First OpenAI's own, then those that servers of the dialect add or pass on from
# the model behind them, upper case included (https://github.com/QwenLM/qwen-code/issues/9882).
_WORDS_OF: Final[Mapping[FinishReason, str]] = {
    "stop": "stop eos eos_token stop_sequence end_turn complete",
    "length": "length max_tokens model_length model_context_window_exceeded",
    "tool_calls": "tool_calls function_call tool_use tool_call",
    "content_filter": (
        "content_filter content_filtered guardrail_intervened refusal "
        "safety recitation blocklist prohibited_content spii"
    ),
}
# OpenAI: https://platform.openai.com/docs/api-reference/chat/object
# Together (eos): https://github.com/togethercomputer/openapi/blob/main/openapi.yaml
# Text Generation Inference (eos_token, stop_sequence): TextGenerationFinishReason of npm's @huggingface/inference
# Mistral (model_length): https://docs.mistral.ai/api
# Anthropic (end_turn, max_tokens, stop_sequence, tool_use, refusal, model_context_window_exceeded):
#   https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
# Bedrock (content_filtered, guardrail_intervened):
#   https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html
# Gemini (MAX_TOKENS, SAFETY, RECITATION, BLOCKLIST, PROHIBITED_CONTENT, SPII):
#   https://docs.cloud.google.com/python/docs/reference/vertexai/1.134.0/vertexai.generative_models.FinishReason
# Cohere (COMPLETE, MAX_TOKENS, STOP_SEQUENCE, TOOL_CALL): https://docs.cohere.com/reference/chat
_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    word: reason for reason, words in _WORDS_OF.items() for word in words.split()
}


def decode(body: bytes) -> list[Event]:
    """The events of a whole plain reply.

    Raises MalformedResponseError for what is no reply, ResponseTooLargeError for JSON past the depth cap, and the typed
    error for an `error` object that came with status 200.
    """
    fields = parse_json(body, "reply")
    if fields.__class__ is not dict:
        raise MalformedResponseError("reply: JSON, but no object")
    if fields.get("error"):
        raise classify_inline(fields["error"])
    choice = _first_choice(fields)
    message = choice.get("message")
    if message.__class__ is not dict:
        raise MalformedResponseError("reply: its choice holds no message")
    events: list[Event] = [Started(text_or_none(fields.get("id")), text_or_none(fields.get("model")) or "")]
    has_calls = False
    if _is_text_alone(message):
        events.append(TextDelta(message["content"]))
    else:
        reader = MessageReader(whole=True)
        reader.read(message, events)
        reader.end(events)
        has_calls = reader.has_calls
    logprobs = choice.get("logprobs")
    if logprobs:
        read_logprobs(logprobs, events)
    usage = fields.get("usage")
    if usage.__class__ is dict:
        events.append(UsageReported(read_usage(usage)))
    events.append(finished(text_or_none(choice.get("finish_reason")), has_calls=has_calls))
    return events


def _is_text_alone(message: dict[str, Any]) -> bool:
    """Whether there is nothing to read but the text, as in most replies: they need no reader."""
    for name, value in message.items():
        if value and name != "content" and name != "role":
            return False
    text = message.get("content")
    return text.__class__ is str and text != ""


def _first_choice(fields: Any) -> Any:
    choices = fields.get("choices")
    if choices.__class__ is not list:
        raise MalformedResponseError("reply: no list of choices")
    for choice in choices:
        if choice.__class__ is dict and not choice.get("index"):
            return choice
    raise MalformedResponseError("reply: no choice with index 0")


def finished(raw: str | None, *, has_calls: bool) -> Finished:
    """The end, in our words and in the provider's.

    A word that nobody knows is `error`: whether the answer is whole is not known, and `stop` would say that it is. Of
    the words that servers have of their own, most tell of an answer that was cut: vLLM's `abort`
    (https://github.com/vllm-project/vllm/issues/57082), DeepSeek's `insufficient_system_resource`, watsonx's
    `time_limit`. A reply without any word came to its end as HTTP counts it, and is `stop`.

    `stop` with tool calls is `tool_calls`: OpenAI itself says `stop` where tool_choice names a tool, as several servers
    do always, and whoever loops over tools wants one word to look at.
    """
    reason = _FINISH_REASONS.get(raw.lower(), "error") if raw else "stop"
    if reason == "stop" and has_calls:
        reason = "tool_calls"
    return Finished(reason, raw)


class MessageReader:
    """The events of a message, or of a stream's deltas, which have the same fields. whole: a delta is all there is.

    Thinking that some servers want back is a block of its own: `ReasoningEnd` says where it ends.
    """

    # _details: OpenRouter's form of the thinking, as it goes back; of each, the texts that come in pieces stand in lists until the
    # end: to join them piece by piece takes quadratic time. thinking: a block of it is open.
    __slots__ = ("_calls", "_details", "_pieces", "thinking")

    def __init__(self, *, whole: bool = False) -> None:
        self._calls = CallReader(whole=whole)
        self._details: list[dict[str, Any]] = []
        self._pieces: dict[str, list[str]] = {}  # of the last detail
        self.thinking = False

    @property
    def has_calls(self) -> bool:
        return self._calls.count > 0

    def read(self, message: Mapping[str, Any], events: list[Event]) -> None:
        # DeepSeek, vLLM and llama.cpp say `reasoning_content`, OpenRouter and Groq `reasoning`; some say the same in both.
        thought, reasoning = message.get("reasoning_content"), message.get("reasoning")
        if (thought or reasoning) and (text := text_or_none(thought) or text_or_none(reasoning)):
            self.thinking = True
            events.append(ReasoningDelta(text))
        details = message.get("reasoning_details")
        if isinstance(details, list):
            self._add_details(cast("list[object]", details))
        content = message.get("content")
        if content:
            if not isinstance(content, str):
                self._read_parts(content, events)
            else:
                self._say(content, events)
        refusal = message.get("refusal")
        if refusal and isinstance(refusal, str):
            self.end_thought(events)
            events.append(RefusalDelta(refusal))
        given = message.get("tool_calls")
        function_call = message.get("function_call")
        if given or function_call:
            self.end_thought(events)
            # The second is the deprecated word for it: one call, without an id.
            self._calls.read(given or [{"function": function_call}], events)
        annotations = message.get("annotations")
        if isinstance(annotations, list):
            _read_annotations(cast("list[object]", annotations), events)

    def end(self, events: list[Event]) -> None:
        """Nothing more comes. Raises MalformedResponseError for a call that has no name."""
        self.end_thought(events)
        if self._details:
            self._join_pieces()
            events.append(ProviderBlock(NAME, {DETAILS: self._details}))
            self._details = []
        self._calls.end(events)

    def end_thought(self, events: list[Event], signature: str | None = None) -> None:
        if self.thinking:
            self.thinking = False
            events.append(ReasoningEnd(NAME, signature))

    def _say(self, text: str, events: list[Event]) -> None:
        self.end_thought(events)
        events.append(TextDelta(text))

    def _read_parts(self, content: object, events: list[Event]) -> None:
        """A content that is a list of parts: text, and Mistral's thinking; parts of other kinds have no words in our vocabulary."""
        if not isinstance(content, list):
            raise MalformedResponseError("reply: content is neither text nor a list of parts")
        said: list[str] = []
        for part in cast("list[object]", content):
            given = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
            thinking, text = given.get("thinking"), given.get("text")
            if isinstance(thinking, list):
                self._think(cast("list[object]", thinking), text_or_none(given.get("signature")), events)
            elif isinstance(text, str):
                said.append(text)
        if text := "".join(said):
            self._say(text, events)

    def _think(self, chunks: Iterable[object], signature: str | None, events: list[Event]) -> None:
        texts = [cast("dict[str, Any]", chunk).get("text") for chunk in chunks if isinstance(chunk, dict)]
        thought = "".join(text for text in texts if isinstance(text, str))
        if thought:
            self.thinking = True
            events.append(ReasoningDelta(thought))
        if signature is not None:
            self.end_thought(events, signature)

    def _add_details(self, details: Iterable[object]) -> None:
        """Pieces of one detail have its place and its kind. https://openrouter.ai/docs/use-cases/reasoning-tokens (2026-11-21)"""
        for detail in details:
            if not isinstance(detail, dict):
                continue
            given = cast("dict[str, Any]", detail)
            last = self._details[-1] if self._details else {}
            place = given.get("index")
            if place is None or (last.get("index"), last.get("type")) != (place, given.get("type")):
                self._join_pieces()
                self._details.append(dict(given))
                continue
            for name, value in given.items():
                mine = last.get(name)
                if name in _PIECEWISE and isinstance(mine, str) and isinstance(value, str):
                    self._pieces.setdefault(name, [mine]).append(value)
                elif value is not None:
                    self._pieces.pop(name, None)
                    last[name] = value

    def _join_pieces(self) -> None:
        """The last detail is whole."""
        for name, pieces in self._pieces.items():
            self._details[-1][name] = "".join(pieces)
        self._pieces = {}


_PIECEWISE: Final = ("text", "summary", "data")


def _read_annotations(annotations: Iterable[object], events: list[Event]) -> None:
    for annotation in annotations:
        cited = cast("dict[str, Any]", annotation).get("url_citation") if isinstance(annotation, dict) else None
        if not isinstance(cited, dict):
            continue
        given = cast("dict[str, Any]", cited)
        url, title = text_or_none(given.get("url")), text_or_none(given.get("title"))
        start, end = given.get("start_index"), given.get("end_index")
        if url is not None:
            citation = Citation(
                url, title, start if isinstance(start, int) else None, end if isinstance(end, int) else None
            )
            events.append(CitationFound(citation))


def read_logprobs(logprobs: object, events: list[Event]) -> None:
    if not isinstance(logprobs, dict):
        return
    tokens = cast("dict[str, Any]", logprobs).get("content")
    if not isinstance(tokens, list):
        return
    given = [cast("dict[str, Any]", token) for token in cast("list[object]", tokens) if isinstance(token, dict)]
    if given:
        events.append(LogprobsDelta(given))


def read_usage(usage: Any) -> Usage:
    """Counts of a `usage` object; what is missing or no count is 0.

    https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage
    """
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    read, written = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    reasoning = _count(written.get("reasoning_tokens")) if written.__class__ is dict else 0
    # Reasoning is part of the completion, by OpenAI's definition and ours. Where a server's own total shows that it
    # counted reasoning on top, it is added, so that what was paid for is not lost.
    if reasoning and _count(usage.get("total_tokens")) == prompt + completion + reasoning:
        completion += reasoning
    if read.__class__ is not dict:
        return Usage(prompt, completion, reasoning_tokens=reasoning)
    return Usage(
        prompt,
        completion,
        cache_read_tokens=_count(read.get("cached_tokens")),
        cache_write_tokens=_count(read.get("cache_write_tokens")),
        reasoning_tokens=reasoning,
    )


_FLOATS_SKIP: Final = 2.0**53  # some servers count in floats, 12.0; from here on these skip whole numbers


def _count(value: object) -> int:
    if type(value) is float and value.is_integer() and value < _FLOATS_SKIP:
        value = int(value)
    return read_count(value)


# The server side ----------------------------------------------------------------------------------------------------


def encode_reply(response: LLMResponse, *, created: int = 0) -> dict[str, Any]:
    """The reply that a server of this dialect gives for a response. created: seconds since the epoch.

    Left out, because the dialect has no words for them: seals on thinking, costs, citations without a URL. `reasoning_content`
    is the common extension. Raises ConfigurationError for a response that ended in an error or was cancelled.
    """
    choice: dict[str, Any] = {
        "index": 0,
        "message": _encode_message(response),
        "logprobs": encode_logprobs(response),
        "finish_reason": encode_finish_reason(response),
    }
    return {
        "id": response.response_id or "",
        "object": "chat.completion",
        "created": created,
        "model": response.model,
        "choices": [choice],
        "usage": encode_usage(response.usage),
    }


def _encode_message(response: LLMResponse) -> dict[str, Any]:
    silent = not response.content and bool(response.tool_calls or response.refusal)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if silent else response.content,
        "refusal": response.refusal,
    }
    if response.reasoning:
        message["reasoning_content"] = response.reasoning
    if response.tool_calls:
        message["tool_calls"] = [dict(call) for call in response.tool_calls]
    if response.citations:
        message["annotations"] = encode_annotations(response.citations)
    return message


def encode_finish_reason(response: LLMResponse) -> str:
    reason = response.finish_reason
    if reason is None:
        return "tool_calls" if response.tool_calls else "stop"
    if reason in ("cancelled", "error"):
        raise ConfigurationError(
            f"openai_chat has no finish reason for {reason!r}", hint="answer with an error instead"
        )
    return reason


def encode_usage(usage: Usage) -> dict[str, Any]:
    read = {"cached_tokens": usage.cache_read_tokens}
    if usage.cache_write_tokens:
        read["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def encode_annotations(citations: Iterable[Citation]) -> list[dict[str, Any]]:
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "url": citation.url,
                "title": citation.title or "",
                "start_index": citation["start"] or 0,
                "end_index": citation["end"] or 0,
            },
        }
        for citation in citations
        if citation.url
    ]


def encode_logprobs(response: LLMResponse) -> dict[str, Any] | None:
    if not response.logprobs:
        return None
    # Servers add keys of their own (llama.cpp: id); what a client's types know is passed on.
    return {"content": [_encode_token(token, ("top_logprobs",)) for token in response.logprobs], "refusal": None}


def _encode_token(token: Mapping[str, Any], more: tuple[str, ...] = ()) -> dict[str, Any]:
    known: dict[str, Any] = {name: token.get(name) for name in ("token", "logprob", "bytes")}
    for name in more:
        known[name] = [_encode_token(other) for other in token.get(name) or ()]
    return known
