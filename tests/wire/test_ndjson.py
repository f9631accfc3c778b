"""The splitter of JSON lines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import ResponseTooLargeError
from llmring.wire.base import MAX_LINE_BYTES, MAX_STREAM_LINES
from llmring.wire.ndjson import NDJSONDecoder


def _all(*pieces: bytes) -> tuple[list[bytes], bytes]:
    decoder = NDJSONDecoder()
    lines = [line for piece in pieces for line in decoder.feed(piece)]
    return lines, decoder.close()


def test_lines_end_at_lf_and_nowhere_else() -> None:
    odd = "a\rb\u2028c\u0085d\x0be\x0cf\x1c".encode()
    assert _all(odd + b"\n" + b"two\n\n\nthree") == ([odd, b"two"], b"three")


@given(st.lists(st.binary(max_size=12)), st.integers(1, 5))
@settings(deadline=None)
def test_any_split_gives_the_same_lines(lines: list[bytes], size: int) -> None:
    data = b"\n".join(lines)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert _all(*pieces) == _all(data)


def test_whole_lines_take_the_short_way_and_all_else_does_not() -> None:
    decoder = NDJSONDecoder()
    assert decoder.split_whole(b"one\ntwo\n") == [b"one", b"two"]
    assert decoder.split_whole(b"one\ntw") is None
    assert list(decoder.feed(b"one\ntw")) == [b"one"]
    assert decoder.split_whole(b"o\n") is None
    assert list(decoder.feed(b"o\n")) == [b"two"]
    assert decoder.split_whole(b"x" * MAX_LINE_BYTES + b"\n") is None


def test_a_line_that_is_too_long_is_refused_in_the_middle_of_it() -> None:
    decoder = NDJSONDecoder()
    assert list(decoder.feed(b"x" * MAX_LINE_BYTES)) == []
    with pytest.raises(ResponseTooLargeError, match="line is longer"):
        list(decoder.feed(b"x"))


def test_a_stream_of_too_many_lines_is_refused_after_the_last_that_may_be() -> None:
    decoder = NDJSONDecoder()
    assert decoder.split_whole(b"\n" * MAX_STREAM_LINES) is not None
    assert decoder.split_whole(b"x\n") is None
    given: list[bytes] = []
    with pytest.raises(ResponseTooLargeError, match="more than"):
        for line in decoder.feed(b"last\n"):
            given.append(line)  # noqa: PERF402 - what comes before the error is wanted
    assert given == [b"last"]
