"""The splitter of server-sent events, by the standard's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.exceptions import ResponseTooLargeError
from llmring.wire.base import MAX_LINE_BYTES, MAX_STREAM_LINES
from llmring.wire.sse import SSEDecoder


def _all(*pieces: bytes) -> list[tuple[str, bytes]]:
    decoder = SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_lines_end_at_cr_lf_and_crlf(end: bytes) -> None:
    data = end.join([b"event: note", b"data: one", b"data: two", b"", b"data:three", b"", b""])
    wanted = [("note", b"one\ntwo"), ("", b"three")]
    assert _all(data) == wanted
    for place in range(len(data)):
        assert _all(data[:place], data[place:]) == wanted


def test_lines_end_nowhere_else() -> None:
    data = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1e".encode()
    assert _all(b"data: " + data + b"\n\n") == [("", data)]


def test_a_bom_at_the_start_is_skipped_and_only_there() -> None:
    assert _all(b"\xef", b"\xbb", b"\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n") == [("", b"1")]


def test_comments_unknown_fields_and_events_without_data_give_nothing() -> None:
    assert _all(b": ping\n\nid: 1\nretry: 5\nnonsense\n\nevent: ping\n\ndata\n\ndata:\n\n") == []


def test_one_space_after_the_colon_is_dropped_and_no_more() -> None:
    assert _all(b"data:  x \n\n") == [("", b" x ")]


def test_the_name_of_an_event_does_not_reach_the_next() -> None:
    assert _all(b"event: a\n\ndata: 1\n\nevent: b\ndata: 2\n\ndata: 3\n\n") == [("", b"1"), ("b", b"2"), ("", b"3")]


@pytest.mark.parametrize("step", [1000, 5000, 3 * MAX_LINE_BYTES], ids=str)
def test_a_line_over_the_cap_is_refused_as_soon_as_the_cap_is_passed(step: int) -> None:
    line = b"data: " + b"x" * (3 * MAX_LINE_BYTES)
    decoder, fits = SSEDecoder(), MAX_LINE_BYTES // step
    for n in range(fits):
        assert list(decoder.feed(line[n * step : (n + 1) * step])) == []
    with pytest.raises(ResponseTooLargeError, match="line is longer"):
        list(decoder.feed(line[fits * step : (fits + 1) * step]))
    assert decoder.close() is None, "nothing of it was kept"


def test_a_line_of_exactly_the_cap_passes_and_one_byte_more_does_not() -> None:
    fits = b"data: " + b"x" * (MAX_LINE_BYTES - 6)
    assert len(_all(fits + b"\n\n")[0][1]) == MAX_LINE_BYTES - 6
    assert len(_all(fits[:9], fits[9:], b"\n\n")) == 1
    for pieces in ([fits + b"x\n\n"], [fits, b"x\n\n"], [fits + b"x", b"\n\n"]):
        with pytest.raises(ResponseTooLargeError):
            _all(*pieces)


def test_an_event_of_many_lines_is_capped_too() -> None:
    lines = (b"data: " + b"x" * 1000 + b"\n") * (MAX_LINE_BYTES // 1000)
    with pytest.raises(ResponseTooLargeError, match="event is longer"):
        _all(lines, lines)


@pytest.mark.spec("RT19")
@pytest.mark.parametrize(
    ("piece", "lines"), [(b"\n", 1), (b":\n", 1), (b"data: x\n\n", 2), (b"event: x\ndata: x\r\n\r\n", 3)], ids=repr
)
def test_a_stream_of_too_many_lines_is_refused_after_the_events_before_it(piece: bytes, lines: int) -> None:
    # By hand, and in reads of many events, as a dialect's decoder does it.
    decoder, at_once, seen = SSEDecoder(), 1000 // lines, 0

    def feed(data: bytes) -> int:
        short = decoder.split_whole(data)
        return len(list(decoder.feed(data)) if short is None else short)

    for _ in range(MAX_STREAM_LINES // (lines * at_once)):
        seen += feed(piece * at_once)
    assert seen == (MAX_STREAM_LINES // lines // at_once * at_once if lines > 1 else 0)
    with pytest.raises(ResponseTooLargeError, match=f"more than {MAX_STREAM_LINES} lines"):
        for _ in range(2):
            feed(piece * at_once)


def test_a_long_line_in_small_pieces_is_copied_once() -> None:
    # Counted, not timed: a line that has not ended is kept as the very pieces that came, so that none is copied again.
    decoder = SSEDecoder()
    pieces = [bytes([65 + n % 26]) * 100 for n in range(1000)]
    for piece in [b"data: ", *pieces]:
        assert list(decoder.feed(piece)) == []
    kept = decoder._pieces
    assert [id(piece) for piece in kept[1:]] == [id(piece) for piece in pieces]
    assert list(decoder.feed(b"\n\n")) == [("", b"".join(pieces))]


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(
        st.sampled_from([b"data", b":", b" ", b"\n", b"\r", b"\r\n", b"x", b"\xef\xbb\xbf", b"event"]), max_size=40
    )
)
def test_the_short_way_and_the_long_way_agree(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    decoder, seen = SSEDecoder(), list[tuple[str, bytes]]()
    for piece in (b"data: 0\n\n", whole, b"\n\ndata: 9\n\n"):
        short = decoder.split_whole(piece)
        events = list(decoder.feed(piece)) if short is None else [("", event[6:]) for event in short if event[6:]]
        seen += events
    everything = b"data: 0\n\n" + whole + b"\n\ndata: 9\n\n"
    assert seen == _all(*(everything[n : n + 1] for n in range(len(everything))))
