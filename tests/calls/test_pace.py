"""How much of a stream is believed, by itself; through a ring it is met in tests/service/test_bombs.py."""

from __future__ import annotations

import pytest

from llmring.calls.pace import LINES_AHEAD, LINES_PER_S, MAX_KEPT_CHARS, Pace
from llmring.exceptions import ResponseTooLargeError
from llmring.schemas.events import Event, LogprobsDelta, ProviderBlock, TextDelta, ToolCallDelta

EVENT = b"data: {}\n\n"
WORD: list[Event] = [TextDelta("word")]
MIB = 1024 * 1024


def test_lines_count_from_when_the_answer_was_asked_for() -> None:
    pace = Pace(started=100.0)
    for _ in range((LINES_AHEAD + LINES_PER_S) // 2):
        pace.add(EVENT, WORD)
    assert pace.in_doubt
    pace.check(now=101.0)
    assert not pace.in_doubt
    pace.add(EVENT, WORD)
    with pytest.raises(ResponseTooLargeError, match=rf"{LINES_AHEAD + LINES_PER_S + 2} lines in 1\.00 s"):
        pace.check(now=101.0)
    pace.check(now=101.5)


@pytest.mark.parametrize("lines", [b"\n", b"\r", b"{}\n", b"data: {}\r\r", b": ping\r\n\r\n"])
def test_lines_of_nothing_count_as_well(lines: bytes) -> None:
    pace = Pace(started=0.0)
    while not pace.in_doubt:
        pace.add(lines * 10_000, [])
    with pytest.raises(ResponseTooLargeError):
        pace.check(now=0.0)


def test_events_count_where_they_are_a_line_each() -> None:
    pace = Pace(started=0.0)
    for _ in range(LINES_AHEAD // 2):
        pace.add(b"{}\n", WORD)
    assert not pace.in_doubt
    pace.add(b"{}\n", WORD)
    assert pace.in_doubt


@pytest.mark.parametrize(
    ("event", "logprobs", "cut"),
    [
        (TextDelta("x" * MIB), False, True),
        (ToolCallDelta(0, "x" * MIB), False, True),
        (ProviderBlock("d", {}), False, True),
        (LogprobsDelta([]), False, True),
        (LogprobsDelta([]), True, False),
        (TextDelta(""), False, False),
    ],
)
def test_what_is_kept_counts_by_its_size_unless_it_was_asked_for(event: Event, logprobs: bool, cut: bool) -> None:
    pace = Pace(started=0.0, logprobs=logprobs)
    for _ in range(2 * MAX_KEPT_CHARS // MIB):
        pace.add(b"x" * MIB, [event])
    pace.check(now=0.0)
    pace.add(b"x" * MIB, [event])
    assert pace.in_doubt is cut
    if cut:
        with pytest.raises(ResponseTooLargeError, match="no answer is so long"):
            pace.check(now=1e9)
