"""Lines of mail data that are too long, for any block borders."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.line_lengths import MAX_TEXT_LINE, LineMeter


def measured(data: bytes, cuts: list[int], *, stuffed: bool = True) -> LineMeter:
    came: list[tuple[int, int]] = []  # where each block starts, and its frame

    def where(offset: int) -> tuple[int, int]:
        frame = max(frame for start, frame in came if start <= offset)
        return frame, frame * 10

    meter = LineMeter(stuffed=stuffed)
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    for frame, (start, end) in enumerate(pairwise(edges), 1):
        if start < end:
            came.append((100 + start, frame))
            meter.feed(data[start:end], 100 + start, where)
    return meter


def test_a_line_of_a_thousand_octets_is_not_too_long() -> None:
    assert measured(b"x" * (MAX_TEXT_LINE - 2) + b"\r\n", []).first is None


def test_a_line_of_one_octet_more_is_too_long() -> None:
    meter = measured(b"a\r\n" + b"x" * (MAX_TEXT_LINE - 1) + b"\r\nb\r\n", [])
    assert meter.first is not None
    assert (meter.first.offset, meter.first.count, meter.longest) == (103, 1, MAX_TEXT_LINE + 1)


def test_the_stuffed_dot_does_not_count() -> None:
    line = b"." + b"x" * (MAX_TEXT_LINE - 2) + b"\r\n"
    assert measured(line, []).first is None
    assert measured(line, [], stuffed=False).first is not None


def test_the_frame_is_that_of_the_start_of_the_line() -> None:
    meter = measured(b"a\r\n" + b"x" * 3000 + b"\r\n", [500, 1000, 2000])
    assert meter.first is not None
    assert (meter.first.offset, meter.first.frame, meter.longest) == (103, 1, 3002)


def test_the_frame_of_a_line_that_starts_with_its_block() -> None:
    first = measured(b"x" * 1500 + b"\r\n", [500]).first
    assert first is not None
    assert (first.offset, first.frame) == (100, 1)
    second = measured(b"a\r\n" + b"x" * 1500 + b"\r\n", [3, 500]).first
    assert second is not None
    assert (second.offset, second.frame) == (103, 2)


@given(
    st.lists(st.one_of(st.integers(0, 80), st.integers(990, 1010), st.integers(1900, 2100)), max_size=8),
    st.lists(st.integers(0, 6000), max_size=8),
)
def test_cuts_change_nothing(lengths: list[int], cuts: list[int]) -> None:
    data = b"".join(b"x" * length + b"\r\n" for length in lengths)
    long = [length + 2 for length in lengths if length + 2 > MAX_TEXT_LINE]
    # no block splits a CRLF: the code that feeds the meter ensures that
    meter = measured(data, [cut for cut in cuts if data[cut - 1 : cut] != b"\r"])
    assert meter.longest == max(long, default=0)
    assert (0 if meter.first is None else meter.first.count) == len(long)
