"""Mail data in pieces of any size: where it ends, what the receiver stores, and which octets are wrong and where."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.message import Content
from smtpwire.analyzer.content.message_flaws import flaws_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smtpwire.analyzer.content.line_lengths import Occurrence

END = b".\r\n"
OFFSET = 100  # of the content in the client's stream


def content(*, chunked: bool = False, header_limit: int = 1 << 18) -> Content:
    return Content(OFFSET, 1, 0, chunked=chunked, header_limit=header_limit)


def fed(pieces: Iterable[bytes]) -> tuple[Content, int]:
    """Feed DATA content in these pieces, one for each frame. Returns it, and how many bytes were used in all."""
    one = content()
    used = 0
    for frame, piece in enumerate(pieces, 1):
        last = one.feed(piece, frame, frame * 1000)
        if last >= 0:
            return one, used + last
        used += len(piece)
    one.flush()
    return one, used


def every_split(data: bytes, parts: int = 2) -> list[list[bytes]]:
    """Return all ways to cut ``data`` into two pieces, and the one into single bytes."""
    return [[data[:at], data[at:]] for at in range(1, len(data))] + [[data[n : n + 1] for n in range(len(data))]]


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", every_split(b"Subject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n"))
def test_the_end_mark_is_found_across_any_split(pieces: list[bytes]) -> None:
    one, used = fed(pieces)
    assert one.complete
    assert used == len(b"Subject: x\r\n\r\nhi\r\n.\r\n")
    assert one.size == len(b"Subject: x\r\n\r\nhi\r\n")
    assert one.lines == 3


@pytest.mark.parametrize("pieces", [[b".\r\n"], [b".", b"\r\n"], [b".\r", b"\n"], [b".", b"\r", b"\n"]])
def test_a_dot_at_the_start_is_an_empty_message(pieces: list[bytes]) -> None:
    one, used = fed(pieces)
    assert one.complete
    assert (used, one.size, one.lines) == (3, 0, 0)
    assert one.sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "data", [b"a\n.\n", b"a\r\n.\n", b"a\n.\r\n", b"a\r.\r", b"a\r\n.\r", b"a.\r\n", b"a\r\n..\r\n"]
)
def test_nothing_but_crlf_dot_crlf_is_the_end(data: bytes) -> None:
    assert not fed([data])[0].complete


def test_frame_and_time_are_those_of_the_first_byte() -> None:
    one = content()
    one.feed(b"Subject", 7, 7000)
    one.feed(b": x\r\n.\r\n", 9, 9000)
    assert (one.frame, one.time_ns, one.offset) == (7, 7000, OFFSET)


# -- what is stored ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"..\r\n", b".\r\n"),
        (b"...a\r\n..b\r\n", b"..a\r\n.b\r\n"),
        (b"a\r\n..\r\n..\r\n", b"a\r\n.\r\n.\r\n"),
        (b"a..b\r\n", b"a..b\r\n"),
        (b".a\r\n", b"a\r\n"),
        (b"\r\n\r\n", b"\r\n\r\n"),
    ],
)
def test_the_stuffed_dot_is_removed_in_pieces_of_any_size(sent: bytes, stored: bytes) -> None:
    for pieces in [[sent + END], *every_split(sent + END)]:
        one, used = fed(pieces)
        assert one.complete
        assert used == len(sent + END)
        assert (one.size, one.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())


def test_chunks_are_stored_unchanged() -> None:
    one = content(chunked=True)
    one.feed_chunk(b"a\r\n.\r\n", 1, 0)
    one.move_to(OFFSET + 20)
    one.feed_chunk(b"..b", 2, 0)
    one.flush()
    assert (one.size, one.lines) == (9, 2)
    assert one.sha256 == hashlib.sha256(b"a\r\n.\r\n..b").hexdigest()


def test_the_size_counts_missing_bytes_and_there_is_no_digest() -> None:
    one = content()
    one.feed(b"Subject: x\r\n", 1, 0)
    one.lose(1000)
    one.feed(b"end\r\n.\r\n", 3, 0)
    assert one.complete
    assert (one.size, one.missing, one.sha256) == (12 + 1000 + 5, 1000, None)


# -- the header --------------------------------------------------------------------------------------------------------

HEADER = b"From: a@x.example\r\nSUBJECT:  one\r\n  two\r\nMessage-ID: <1@x>\r\n"


@pytest.mark.parametrize("pieces", every_split(HEADER + b"\r\nbody\r\n" + END))
def test_the_header_ends_at_the_empty_line_across_any_split(pieces: list[bytes]) -> None:
    one, _ = fed(pieces)
    assert one.header.rstrip(b"\r\n") == HEADER.rstrip(b"\r\n")
    assert one.field(b"Subject") == b"one two"
    assert one.field(b"message-id") == b"<1@x>"
    assert one.field(b"Date") is None


def test_a_field_is_not_searched_in_the_body() -> None:
    one, _ = fed([b"From: a@x\r\n\r\nSubject: not this\r\n" + END])
    assert one.field(b"Subject") is None


def test_a_message_may_have_no_header() -> None:
    one, _ = fed([b"\r\nSubject: body\r\n" + END])
    assert one.header == b""
    assert one.field(b"Subject") is None


def test_the_header_kept_is_bounded() -> None:
    one = content(header_limit=100)
    for _ in range(100):
        one.feed(b"X-Long: " + 40 * b"x" + b"\r\n", 1, 0)
    one.feed(b"\r\n.\r\n", 2, 0)
    assert one.complete
    assert len(one.header) == 100
    assert one.size == 100 * 50 + 2


# -- octets ------------------------------------------------------------------------------------------------------------


def spot(found: Occurrence | None) -> tuple[int, int, int] | None:
    return None if found is None else (found.offset - OFFSET, found.frame, found.count)


def test_clean_text_has_no_occurrences() -> None:
    one, _ = fed([HEADER, b"\r\nbody\r\n", END])
    assert one.ascii
    assert {one.header_8bit, one.body_8bit, one.nul, one.bare_lf, one.bare_cr, one.lookalike} == {None}


MESSAGES: list[tuple[str, bytes, int, int]] = [
    ("header_8bit", b"Subject: \xe4\xf6\r\n\r\nx\r\n", 9, 2),
    ("body_8bit", b"Subject: x\r\n\r\n\xe4\xf6\xfc\r\n", 14, 3),
    ("body_8bit", b"\r\n\xe4\r\n", 2, 1),
    ("nul", b"a: b\r\n\r\n\0x\0\r\n", 8, 2),
    ("bare_lf", b"a: b\r\n\r\nx\ny\n\r\n", 9, 2),
    ("bare_lf", b"\na\r\n", 0, 1),
    ("bare_cr", b"a: b\r\n\r\nx\ry\r\r\n", 9, 2),
    ("bare_cr", b"a: b\r\n\r\n.\rx\r\n", 9, 1),
    ("lookalike", b"a: b\r\n\r\nx\n.\nMAIL\r\n", 9, 1),
    ("lookalike", b"a: b\r\n\r\nx\r\n.\nMAIL\r\n", 9, 1),
    ("lookalike", b"a: b\r\n\r\nx\n.\r\nMAIL\r\n", 9, 1),
    ("lookalike", b"a: b\r\n\r\nx\r.\rMAIL\r\n", 9, 1),
    ("lookalike", b"a: b\r\n\r\nx\r\n\0.\r\nMAIL\r\n", 9, 1),
]


@pytest.mark.parametrize(("name", "data", "at", "count"), MESSAGES)
def test_the_first_offset_and_the_count_are_the_same_for_any_pieces(
    name: str, data: bytes, at: int, count: int
) -> None:
    for pieces in [[data + END], *every_split(data + END)]:
        one, _ = fed(pieces)
        frame = 1
        sent = 0
        for number, piece in enumerate(pieces, 1):
            if sent <= at < sent + len(piece):
                frame = number
            sent += len(piece)
        assert spot(getattr(one, name)) == (at, frame, count)


@pytest.mark.parametrize("dots", [b"..a\r\n", b".a\r\n", b"a: b\n.\n", b"a\r\n..\r\n..b\r\n"])
def test_an_octet_after_a_header_with_dots_is_in_the_body(dots: bytes) -> None:
    head = dots + b"\r\n"
    for pieces in [[head + b"\xe9\r\n" + END], *every_split(head + b"\xe9\r\n" + END)]:
        one, _ = fed(pieces)
        assert one.header_8bit is None
        assert one.body_8bit is not None
        assert one.body_8bit.offset == OFFSET + len(head)


def test_a_stuffed_dot_is_not_a_lookalike() -> None:
    assert fed([b"a: b\r\n\r\n..\nx\r\n", END])[0].lookalike is None


def test_a_cr_and_its_lf_in_two_chunks_are_a_line_end() -> None:
    one = content(chunked=True)
    one.feed_chunk(b"a\r", 1, 0)
    one.move_to(OFFSET + 30)
    one.feed_chunk(b"\nb", 2, 0)
    one.flush()
    assert (one.bare_cr, one.bare_lf) == (None, None)
    assert one.size == 4


def test_a_cr_at_the_end_of_all_chunks_is_bare() -> None:
    one = content(chunked=True)
    one.feed_chunk(b"a\r", 1, 0)
    one.flush()
    assert spot(one.bare_cr) == (1, 1, 1)


def test_offsets_of_a_second_chunk_are_those_of_the_stream() -> None:
    one = content(chunked=True)
    one.feed_chunk(b"a: b\r\n\r\n", 1, 0)
    one.move_to(OFFSET + 25)
    one.feed_chunk(b"x\0", 2, 0)
    one.settle()
    assert spot(one.nul) == (26, 2, 1)


def test_offsets_after_a_gap_count_the_missing_bytes() -> None:
    one = content()
    one.feed(b"a: b\r\n\r\n", 1, 0)
    one.lose(500)
    one.feed(b"x\0\r\n.\r\n", 2, 0)
    assert spot(one.nul) == (509, 2, 1)


# -- an end that only the server saw -------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", every_split(b"a: b\r\n\r\nhi\n.\nMAIL FROM:<e@x>\r\n"))
def test_the_bytes_after_a_lookalike_can_be_taken_back(pieces: list[bytes]) -> None:
    one, _ = fed(pieces)
    assert one.end_early() == b"MAIL FROM:<e@x>\r\n"
    assert one.complete
    assert one.cut
    assert one.sha256 is None
    assert one.size == len(b"a: b\r\n\r\nhi\n")


@pytest.mark.parametrize("tail", [b"\r\n.\r", b"\n.\n", b"\n.\r\n", b"\r.\r\n"])
def test_content_that_ends_like_the_end_says_so(tail: bytes) -> None:
    one = content()
    one.feed(b"a: b\r\n\r\nhi" + tail, 1, 0)
    assert one.ends_like()


@pytest.mark.parametrize("tail", [b"\r\n", b"\r\n.", b"\r\n..\r", b".\r\n"])
def test_content_that_continues_does_not_end_like_the_end(tail: bytes) -> None:
    one = content()
    one.feed(b"a: b\r\n\r\nhi" + tail, 1, 0)
    assert not one.ends_like()


# -- whatever comes ----------------------------------------------------------------------------------------------------

hostile = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"\0", b"\xe9", b": ", b"\r\n.\r\n", b" "]), max_size=30
).map(b"".join)


def stored(data: bytes) -> bytes:
    """RFC 5321 §4.5.2, in the plainest way."""
    lines = data.split(b"\r\n")
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


@given(hostile, st.data())
def test_any_pieces_give_the_same_result_as_the_whole(data: bytes, draw: st.DataObject) -> None:
    whole = data + b"\r\n" + END + b"QUIT\r\n"
    end = (b"\r\n" + whole).index(b"\r\n.\r\n") + 3
    pieces, at = [], 0
    while at < len(whole):
        size = draw.draw(st.integers(1, 6))
        pieces.append(whole[at : at + size])
        at += size
    one, used = fed(pieces)
    assert one.complete
    assert used == end
    text = stored(whole[: end - 3])
    assert (one.size, one.sha256) == (len(text), hashlib.sha256(text).hexdigest())
    together, _ = fed([whole])
    for name in ("header_8bit", "body_8bit", "nul", "bare_lf", "bare_cr", "lookalike"):
        mine, theirs = getattr(one, name), getattr(together, name)
        assert (mine and (mine.offset, mine.count)) == (theirs and (theirs.offset, theirs.count)), name
    assert one.header == together.header
    assert (flaws_of(one), one.report, one.lines) == (flaws_of(together), together.report, together.lines)
