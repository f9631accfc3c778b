"""How much of a stream is believed: no more lines than its time allows, no more text than an answer has. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from llmring.exceptions import ResponseTooLargeError
from llmring.schemas.events import (
    Event,
    LogprobsDelta,
    ProviderBlock,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)

# Who sends without end sends faster than a model writes, and reading it costs some 4 µs a line: no cap that lets the longest answers
# pass ends it soon. So a stream may have as many lines as its time allows, counted from when it was asked for, and some ahead. An
# event is two or three lines; 4,000 events a second are twice what the fastest service that was measured does, 1,706 tokens a second
# (https://alatirok.com/ai-inference-speed-2026/, 2026-11-21). A proxy that held a whole answer back has waited for it as long.
LINES_PER_S = 12_000
LINES_AHEAD = 30_000

# What an answer says is kept until its end. 128,000 tokens of text are some 600,000 characters (guess: 5 a token).
MAX_KEPT_CHARS = 4 * 1024 * 1024
# Nothing can have said so much before as many bytes have come: until then nobody counts.
_UNCOUNTED_BYTES = MAX_KEPT_CHARS
# Who sends lines by the thousand sends them in reads like this one.
_LARGE_READ_BYTES = 4096


class Pace:
    """Counts what comes of one stream. started: when it was asked for, in the clock's `monotonic()` seconds. logprobs: whether they were
    asked for, and may be as large as they are."""

    # _lines: how many came so far, or twice the events where those are more; _lines_free: as many came without a look at the time.
    # in_doubt: whether `check` has anything to look at.
    __slots__ = ("_bytes", "_kept", "_lines", "_lines_free", "_logprobs", "_started", "in_doubt")

    def __init__(self, started: float, *, logprobs: bool = False) -> None:
        self._started = started
        self._logprobs = logprobs
        self._bytes = 0
        self._kept = 0
        self._lines = 0
        self._lines_free = LINES_AHEAD
        self.in_doubt = False

    def add(self, data: bytes, events: Sequence[Event]) -> None:
        # On the way of every chunk.
        size_bytes = len(data)
        lines = data.count(b"\n")
        if lines < 2 * len(events):
            lines = 2 * len(events)
        if size_bytes > _LARGE_READ_BYTES:
            lines = max(lines, data.count(b"\r"))  # which end lines too
        self._lines += lines
        self._bytes += size_bytes
        if self._bytes > _UNCOUNTED_BYTES:
            self._kept += self._measure(events, size_bytes)
        if self._lines > self._lines_free or self._kept > MAX_KEPT_CHARS:
            self.in_doubt = True

    def check(self, now: float) -> None:
        """Raises ResponseTooLargeError where more has come than anybody can have written."""
        elapsed_s = now - self._started
        self._lines_free = LINES_AHEAD + int(elapsed_s * LINES_PER_S)
        self.in_doubt = False
        if self._lines > self._lines_free:
            raise ResponseTooLargeError(
                f"stream: {self._lines} lines in {elapsed_s:.2f} s: no model writes so fast",
                hint="it may never end; an answer that was kept, and is sent again at once, comes whole without streaming",
            )
        if self._kept > MAX_KEPT_CHARS:
            raise ResponseTooLargeError(
                f"stream: more than {MAX_KEPT_CHARS} characters: no answer is so long",
                hint="it may never end; max_tokens caps an answer at the provider",
            )

    def _measure(self, events: Sequence[Event], size_bytes: int) -> int:
        """What these events leave behind; size_bytes: what they came in, which is as much as they can leave."""
        kept = 0
        for event in events:
            if isinstance(event, (TextDelta, ReasoningDelta, RefusalDelta)):
                kept += len(event.text)
            elif isinstance(event, ToolCallDelta):
                kept += len(event.arguments)
            elif isinstance(event, ProviderBlock) or (isinstance(event, LogprobsDelta) and not self._logprobs):
                return size_bytes
        return kept
