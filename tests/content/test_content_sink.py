"""The octets of a message for a content sink: as they are stored and as they were sent."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import MESSAGE, connections, envelope, hello, lines, segments

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.content.message import Content
from smtpwire.analyzer.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable

END = b"\r\n.\r\n"
PIECE = st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"..", b"a", b"\0", b"a: b\r\n", b"\r\n\r\n"])
TEXT = st.lists(PIECE, max_size=40).map(b"".join)


class Sink:
    def __init__(self) -> None:
        self.stored = b""
        self.sent = b""
        self.lost: list[tuple[int, int]] = []
        self.end: tuple[int, bytes] | None = None

    def take(self, stored: bytes, sent: bytes) -> None:
        self.stored += stored
        self.sent += sent

    def lose(self, length: int) -> None:
        self.lost.append((len(self.stored), length))

    def cut(self, size: int, kept_back: bytes) -> None:
        self.end = size, kept_back


def fed(pieces: Iterable[bytes]) -> tuple[Content, Sink]:
    one = Content(0, 1, 0, chunked=False, header_limit=1 << 18)
    one.sink = sink = Sink()
    for frame, piece in enumerate(pieces, 1):
        if one.feed(piece, frame, frame) >= 0:
            return one, sink
    one.flush()
    return one, sink


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


@given(TEXT, st.lists(st.integers(0, 1 << 16), max_size=8))
def test_the_sink_gets_what_was_sent_and_what_the_digest_covers(text: bytes, places: list[int]) -> None:
    data = text + END
    one, sink = fed(cut_at(data, places))
    content = (b"\r\n" + data).split(END, 1)[0][2:] + b"\r\n" if not data.startswith(b".\r\n") else b""
    assert one.complete
    assert sink.sent == content
    assert sink.stored == (b"\r\n" + content).replace(b"\r\n.", b"\r\n")[2:]
    assert (one.size, one.sha256) == (len(sink.stored), hashlib.sha256(sink.stored).hexdigest())


def test_chunks_are_delivered_unchanged() -> None:
    one = Content(0, 1, 0, chunked=True, header_limit=100)
    one.sink = sink = Sink()
    one.feed_chunk(b"a\r\n.", 1, 1)
    one.move_to(20)
    one.feed_chunk(b".b\r", 2, 2)
    one.flush()
    assert sink.stored == sink.sent == b"a\r\n..b\r"


def test_a_gap_is_reported_at_its_offset() -> None:
    one = Content(0, 1, 0, chunked=False, header_limit=100)
    one.sink = sink = Sink()
    one.feed(b"..a\r\nb", 1, 1)
    one.lose(1000)
    one.feed(b"c\r\n.\r\n", 2, 2)
    assert sink.stored == b".a\r\nbc\r\n"
    assert sink.lost == [(5, 1000)]


@pytest.mark.parametrize("mark", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n\0.\r\n", b"\n.\r"])
@pytest.mark.parametrize("rest_sent", [b"", b"MAIL FROM:<e@x>\r\n", b"a\r\n..b\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_an_early_end_is_at_the_end_of_the_line_before_the_dot(mark: bytes, rest_sent: bytes, size: int) -> None:
    data = b"a: b\r\n\r\n..hi" + mark + rest_sent
    one, sink = fed(data[at : at + size] for at in range(0, len(data), size))
    rest = one.end_early()
    line_end = b"\r\n" if mark.startswith(b"\r\n") else mark[:1]
    stored = b"a: b\r\n\r\n.hi" + line_end
    assert sink.end is not None
    assert sink.stored[: sink.end[0]] == stored
    assert one.size == len(stored)
    assert rest in {rest_sent, b""}


def test_a_dot_whose_line_may_still_end_is_kept_back_and_reported() -> None:
    one = Content(0, 1, 0, chunked=False, header_limit=100)
    one.sink = sink = Sink()
    one.feed(b"a: b\r\n\r\nhi\r\n.\r", 1, 1)
    one.end_early()
    assert sink.end == (len(b"a: b\r\n\r\nhi\r\n"), b".\r")
    assert sink.sent == b"a: b\r\n\r\nhi\r\n"


def test_without_a_sink_the_results_are_the_same() -> None:
    script = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", MESSAGE + ".\r\n"), *lines("S 250 ok")]
    (bare,) = connections(segments(script), limits=DEFAULT_LIMITS)
    assert bare.messages[0].sha256 == hashlib.sha256(MESSAGE.encode()).hexdigest()


def test_an_audit_without_a_tap_makes_no_sink() -> None:
    assert Options().tap is None
    assert Audit().options.tap is None
