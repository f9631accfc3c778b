"""Events in, response out: the one function that makes every response, streamed or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

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
from llmring.schemas.response import FinishReason, LLMResponse
from llmring.schemas.tools import ToolCall
from llmring.schemas.usage import Citation, Usage

# Short texts by the hundred thousand take four times the memory of what they say, so that many are made one.
_MANY = 8192


def _join(texts: list[str], start: int) -> int:
    """Makes one text of those from `start` on; gives how many there are then."""
    texts[start:] = ["".join(texts[start:])]
    return len(texts)


class Fold:
    """A response in the making. `add` events in order; `response()` at any time gives what has arrived so far."""

    __slots__ = (
        "_calls",
        "_citations",
        "_finish_reason",
        "_joined",
        "_joined_thoughts",
        "_logprobs",
        "_marks",
        "_model",
        "_raw_finish_reason",
        "_reasoning",
        "_refusal",
        "_response_id",
        "_seals",
        "_text",
        "_thought",
        "_usage",
    )

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._seals: dict[int, str] = {}
        # What stands between the texts: how many texts came before it, and the block, or the index of a tool call.
        self._marks: list[tuple[int, dict[str, Any] | int]] = []
        self._thought = 0  # reasoning that stands in a block already
        self._joined = self._joined_thoughts = 0
        self._logprobs: list[dict[str, Any]] = []
        self._citations: list[Citation] = []
        self._usage: Usage | None = None
        self._finish_reason: FinishReason | None = None
        self._raw_finish_reason: str | None = None
        self._response_id: str | None = None
        self._model = ""

    def add(self, event: Event) -> None:
        match event:
            case TextDelta():
                texts = self._text
                texts.append(event.text)
                if len(texts) - self._joined > _MANY:
                    self._joined = _join(texts, self._marks[-1][0] if self._marks else 0)
            case ReasoningDelta():
                texts = self._reasoning
                texts.append(event.text)
                if len(texts) - self._joined_thoughts > _MANY:
                    self._joined_thoughts = _join(texts, self._thought)
            case ToolCallDelta():
                self._calls[event.index][2].append(event.arguments)
            case ToolCallStart():
                self._calls[event.index] = (event.id, event.name, [])
                self._marks.append((len(self._text), event.index))
            case ToolCallEnd():
                pass
            case Started():
                self._response_id, self._model = event.response_id, event.model
            case UsageReported():
                self._usage = event.usage
            case Finished():
                self._finish_reason, self._raw_finish_reason = event.reason, event.raw_reason
            case RefusalDelta():
                self._refusal.append(event.text)
            case LogprobsDelta():
                self._logprobs += event.tokens
            case CitationFound():
                self._citations.append(event.citation)
            case ReasoningEnd():
                self._end_reasoning(event)
            case ToolCallSealed():
                self._seals[event.index] = event.signature
            case ProviderBlock():
                self._marks.append(
                    (len(self._text), {"type": "provider", "dialect": event.dialect, "data": event.data})
                )
            case _:
                assert_never(event)

    @property
    def tokens_used(self) -> int | None:
        """In and out, as far as it was told."""
        return None if self._usage is None else self._usage.total_tokens

    @property
    def has_usage(self) -> bool:
        """Whether the provider has reported what the answer cost in tokens."""
        return self._usage is not None

    def tool_call_id(self, index: int) -> tuple[str, str]:
        """Id and name of the call that began under `index`."""
        id, name, _ = self._calls[index]
        return id, name

    def tool_call(self, index: int) -> ToolCall:
        """The call that began under `index`, with the arguments that have arrived."""
        id, name, arguments = self._calls[index]
        return ToolCall(id, name, "".join(arguments), signature=self._seals.get(index))

    def _end_reasoning(self, event: ReasoningEnd) -> None:
        block: dict[str, Any] = {"type": "thinking", "text": "".join(self._reasoning[self._thought :])}
        block |= {"signature": event.signature, "id": event.id, "redacted": event.redacted, "dialect": event.dialect}
        self._thought = len(self._reasoning)
        self._marks.append((len(self._text), block))

    def _blocks(self) -> list[dict[str, Any]] | None:
        """The answer piece by piece; None where nothing in it has to stay in its place."""
        if not any(isinstance(block, dict) for _, block in self._marks):
            return None
        places = {index: place for place, index in enumerate(sorted(self._calls))}
        blocks: list[dict[str, Any]] = []
        done = 0
        for at, block in [*self._marks, (len(self._text), None)]:
            text = "".join(self._text[done:at])
            done = at
            if text:
                blocks.append({"type": "text", "text": text})
            if isinstance(block, dict):
                blocks.append(block)
            elif block is not None:
                blocks.append({"type": "tool_use", "call": places[block]})
        if rest := "".join(self._reasoning[self._thought :]):  # a stream that was cut within a thought
            blocks.append({"type": "thinking", "text": rest})
        return blocks

    def response(self) -> LLMResponse:
        return LLMResponse(
            "".join(self._text),
            model=self._model,
            response_id=self._response_id,
            usage=self._usage,
            finish_reason=self._finish_reason,
            raw_finish_reason=self._raw_finish_reason,
            tool_calls=[self.tool_call(index) for index in sorted(self._calls)] or None,
            reasoning="".join(self._reasoning) or None,
            blocks=self._blocks() if self._marks else None,
            refusal="".join(self._refusal) or None,
            logprobs=list(self._logprobs) or None,
            citations=list(self._citations) or None,
        )


def fold(events: Iterable[Event]) -> LLMResponse:
    """The response that these events make."""
    folding = Fold()
    for event in events:
        folding.add(event)
    return folding.response()
