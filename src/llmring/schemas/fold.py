"""Events in, response out: the one function that makes every response, streamed or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from llmring.schemas.events import (
    CitationFound,
    Event,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReported,
)
from llmring.schemas.response import FinishReason, LLMResponse
from llmring.schemas.tools import ToolCall
from llmring.schemas.usage import Citation, Usage


class Fold:
    """A response in the making. `add` events in order; `response()` at any time gives what has arrived so far."""

    __slots__ = (
        "_calls",
        "_citations",
        "_finish_reason",
        "_logprobs",
        "_model",
        "_raw_finish_reason",
        "_reasoning",
        "_refusal",
        "_response_id",
        "_signature",
        "_text",
        "_usage",
    )

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._signature: str | None = None
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
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
                self._text.append(event.text)
            case ReasoningDelta():
                self._reasoning.append(event.text)
                self._signature = event.signature or self._signature
            case ToolCallDelta():
                self._calls[event.index][2].append(event.arguments)
            case ToolCallStart():
                self._calls[event.index] = (event.id, event.name, [])
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
            case _:
                assert_never(event)

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
        return ToolCall(id, name, "".join(arguments))

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
            reasoning_signature=self._signature,
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
