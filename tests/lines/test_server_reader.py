"""The server's bytes are cut into whole replies, for any segments and any errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.lines.server_reader import ServerReader

if TYPE_CHECKING:
    from smtpwire.dissectors.lines.replies import Reply


class Recorder:
    """Records what a reader reports."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.frames: list[int] = []
        self.limits_hit: list[str] = []
        self.kept = 0
        self.reader = ServerReader(self, limits)
        self._sent = 0
        self._frame = 0

    def feed(self, *pieces: bytes) -> Recorder:
        for piece in pieces:
            self._frame += 1
            self.reader.feed(piece, self._sent, self._frame, self._frame * 1000)
            self._sent += len(piece)
        return self

    def reply(self, reply: Reply, offset: int, end: int, frame: int, time_ns: int) -> None:
        self.events.append(("reply", reply.code, list(reply.lines), offset, end))
        self.frames.append(frame)

    def malformed(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        self.events.append(("malformed", line, offset))

    def tls_begins(self, side: str, kind: int, offset: int, frame: int, time_ns: int) -> None:
        self.events.append(("tls", side, offset))

    def tls_records(self, side: str, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self.events.append(("records", side, data, offset))

    def last_said(self) -> bytes:
        return b""

    def two_replies(self) -> None:
        self.events.append(("two replies",))

    def long_line(self) -> None:
        self.limits_hit.append("line")

    def keeps(self, count: int) -> None:
        self.kept += count

    def long_reply(self) -> None:
        self.limits_hit.append("reply")


EHLO = b"250-mx.example\r\n250-SIZE 1000\r\n250 HELP\r\n"


def test_a_reply_of_one_line() -> None:
    assert Recorder().feed(b"220 mx ESMTP\r\n").events == [("reply", 220, ["mx ESMTP"], 0, 14)]


@pytest.mark.parametrize("at", range(1, len(EHLO)))
def test_a_reply_of_many_lines_is_one_in_any_pieces(at: int) -> None:
    recorder = Recorder().feed(EHLO[:at], EHLO[at:])
    assert recorder.events == [("reply", 250, ["mx.example", "SIZE 1000", "HELP"], 0, len(EHLO))]
    assert recorder.frames == [1]


def test_several_replies_in_one_segment() -> None:
    recorder = Recorder().feed(b"250 a\r\n" + EHLO + b"354 go\r\n")
    assert [(event[1], event[3]) for event in recorder.events] == [(250, 0), (250, 7), (354, 7 + len(EHLO))]


def test_a_reply_may_be_a_bare_code() -> None:
    assert Recorder().feed(b"250\r\n").events == [("reply", 250, [""], 0, 5)]


def test_a_bare_lf_ends_a_line_of_the_server_too() -> None:
    assert [event[1] for event in Recorder().feed(b"250 a\n221 b\n").events] == [250, 221]


def test_a_line_that_is_not_a_reply_is_reported_as_malformed() -> None:
    recorder = Recorder().feed(b"what?\r\n250 ok\r\n")
    assert recorder.events == [("malformed", b"what?\r\n", 0), ("reply", 250, ["ok"], 7, 15)]


def test_an_incomplete_reply_can_be_ended() -> None:
    recorder = Recorder().feed(b"250-a\r\n250-b\r\n")
    assert recorder.events == []
    assert recorder.reader.open_reply is not None
    assert recorder.reader.end_unfinished()
    assert recorder.events == [("reply", 250, ["a", "b"], 0, 14)]
    assert recorder.reader.open_reply is None


def test_a_line_that_is_not_a_reply_cannot_be_ended() -> None:
    recorder = Recorder().feed(b"wh")
    assert recorder.reader.open_reply is None
    assert not recorder.reader.end_unfinished()


def test_lines_with_the_same_code_belong_to_the_reply_whatever_the_client_sends_between() -> None:
    recorder = Recorder().feed(b"250-a\r\n")
    assert recorder.reader.open_reply is not None
    recorder.reader.open_reply.answerable = 10
    recorder.feed(b"250-b\r\n", b"250 c\r\n")
    assert recorder.events == [("reply", 250, ["a", "b", "c"], 0, 21)]


def test_a_line_with_another_code_answers_what_the_client_sent_between() -> None:
    recorder = Recorder().feed(b"250-a\r\n")
    assert recorder.reader.open_reply is not None
    recorder.reader.open_reply.answerable = 10
    recorder.feed(b"554 no\r\n")
    assert recorder.events == [("reply", 250, ["a"], 0, 7), ("reply", 554, ["no"], 7, 15)]


def test_without_client_bytes_between_it_is_one_reply_with_the_last_code() -> None:
    recorder = Recorder().feed(b"250-a\r\n", b"554 no\r\n")
    assert recorder.events == [("reply", 554, ["a", "no"], 0, 15)]


def test_a_line_that_does_not_acknowledge_the_client_cannot_answer_it() -> None:
    recorder = Recorder().feed(b"250-a\r\n")
    assert recorder.reader.open_reply is not None
    recorder.reader.open_reply.answerable = 10
    recorder.reader.feed(b"554 no\r\n", 7, 2, 0, 10)
    assert recorder.events == [("reply", 554, ["a", "no"], 0, 15)]


def test_a_line_that_acknowledges_the_first_byte_of_the_client_may_answer_it() -> None:
    recorder = Recorder().feed(b"250-a\r\n")
    assert recorder.reader.open_reply is not None
    recorder.reader.open_reply.answerable = 10
    recorder.reader.feed(b"554 no\r\n", 7, 2, 0, 11)
    assert recorder.events == [("reply", 250, ["a"], 0, 7), ("reply", 554, ["no"], 7, 15)]


def test_after_a_gap_the_next_whole_line_counts() -> None:
    recorder = Recorder().feed(b"250-mx\r\n250-SI")
    recorder.reader.gap()
    recorder.feed(b"NING\r\n250 HELP\r\n", b"221 bye\r\n")
    assert [event[:3] for event in recorder.events] == [("reply", 250, ["HELP"]), ("reply", 221, ["bye"])]


@pytest.mark.parametrize("pieces", [[b"\x16\x03\x03abc"], [b"\x15\x03\x01\0\x02\x02\x28"]])
def test_a_tls_record_makes_the_rest_opaque(pieces: list[bytes]) -> None:
    recorder = Recorder().feed(b"220 go\r\n", *pieces, b"250 ok\r\n")
    assert recorder.events[:2] == [("reply", 220, ["go"], 0, 8), ("tls", "server", 8)]
    assert {event[0] for event in recorder.events[2:]} == {"records"}


def test_a_tls_record_in_the_same_segment_as_the_reply() -> None:
    assert Recorder().feed(b"220 go\r\n\x16\x03\x03abc").events[-2:] == [
        ("tls", "server", 8),
        ("records", "server", b"\x16\x03\x03abc", 8),
    ]


def test_the_second_byte_decides_whether_it_is_a_tls_record() -> None:
    recorder = Recorder().feed(b"220 go\r\n", b"\x16")
    assert recorder.events == [("reply", 220, ["go"], 0, 8)]
    assert recorder.feed(b"\x03\x03").events[-2] == ("tls", "server", 8)
    assert Recorder().feed(b"220 go\r\n", b"\x15", b"\r\n").events[-1][0] == "malformed"


@pytest.mark.parametrize("rest", [[b"250 b\r\n"], [b"2", b"50 b", b"\r\n"]])
def test_a_reply_that_goes_on_with_another_one_is_noticed_if_the_client_sent_more_in_between(rest: list[bytes]) -> None:
    apart = Recorder().feed(b"250 a")
    assert apart.reader.partial_line is not None
    apart.reader.partial_line.resumed = 5
    assert apart.feed(*rest).events == [("two replies",), ("reply", 250, ["a250 b"], 0, 12)]
    assert Recorder().feed(b"250 a", *rest).events == [("reply", 250, ["a250 b"], 0, 12)]


def test_a_reply_without_end_is_bounded() -> None:
    recorder = Recorder(Limits(reply_bytes=1000))
    for _ in range(100):
        recorder.feed(b"250-" + 46 * b"x" + b"\r\n")
    assert len(recorder.events) in {4, 5}
    assert {event[1] for event in recorder.events} == {250}


def test_lines_without_a_code_are_ignored_after_a_reply_that_was_too_long() -> None:
    recorder = Recorder(Limits(reply_bytes=1000)).feed(
        b"250-x\r\n", *(100 * [b"no code at all\r\n"]), b"250 y\r\n", b"what?\r\n"
    )
    assert [event[0] for event in recorder.events] == ["reply", "reply", "malformed"]
    assert recorder.limits_hit


def test_a_line_without_end_is_bounded() -> None:
    recorder = Recorder(Limits(line_bytes=1000)).feed(b"250 " + 600 * b"x", *(300 * [600 * b"y"]), b"\r\n221 bye\r\n")
    first, second = recorder.events
    assert (first[1], len(first[2][0])) == (250, 996)
    assert second[1] == 221


lines_of_text = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"250", b"-", b" ", b"220 ok", b"x", b"\0", b"\xe9", b"999 a"]), max_size=30
)


@given(lines_of_text, st.data())
def test_any_pieces_give_the_same_replies(parts: list[bytes], draw: st.DataObject) -> None:
    text = b"".join(parts)
    whole = Recorder().feed(*([text] if text else []))
    pieces, at = [], 0
    while at < len(text):
        size = draw.draw(st.integers(1, 5))
        pieces.append(text[at : at + size])
        at += size
    assert Recorder().feed(*pieces).events == whole.events
