"""The client's bytes are cut into lines, answers, mail data and chunks, for any segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.message import Content
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.lines.client_reader import ClientReader, HeldPiece, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smtpwire.analyzer.lines.command_line import CommandLine


class Recorder:
    """Records what a reader reports. ``modes``: the mode in which to continue after a command."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, modes: dict[bytes, Mode] | None = None) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.modes = modes or {}
        self.frames: list[int] = []
        self.long_lines = 0
        self.lengths: list[int] = []
        self.reader = ClientReader(self, limits)
        self.kept = 0
        self._sent = 0
        self._frame = 0

    def feed(self, *pieces: bytes, seen: int = -1) -> Recorder:
        for piece in pieces:
            self._frame += 1
            self.reader.feed(piece, self._sent, self._frame, self._frame * 1000, seen)
            self._sent += len(piece)
        return self

    def keeps(self, count: int) -> None:
        self.kept += count

    def command_line(self, line: CommandLine, offset: int, frame: int, time_ns: int, seen: int) -> None:
        raw, length = line.raw, line.length
        self.events.append(("command", raw, line.end, offset))
        self.frames.append(frame)
        self.lengths.append(length)
        mode = self.modes.get(raw)
        if mode is not None:
            self.reader.mode = mode
        if mode is Mode.CHUNK:
            self.reader.chunk_left = int(raw.split()[1])
            self.reader.content = Content(offset + length, frame, time_ns, chunked=True, header_limit=1000)
        if mode is Mode.CONTENT:
            self.reader.content = Content(offset + length, frame, time_ns, chunked=False, header_limit=1000)

    def answer_line(self, line: CommandLine, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self.events.append(("answer", line.raw, line.end, offset))

    def content_end(self, content: Content, seen: int) -> None:
        self.events.append(("content", content.size))

    def chunk_end(self) -> None:
        self.events.append(("chunk",))

    def tls_begins(self, side: str, kind: int, offset: int, frame: int, time_ns: int) -> None:
        self.events.append(("tls", side, offset))

    def tls_records(self, side: str, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self.events.append(("records", side, data, offset))

    def before_session(self, piece: HeldPiece) -> int:
        self.events.append(("no tls", piece.data, piece.offset))
        self.reader.mode = Mode.COMMAND
        return 0

    def undecided(self) -> None:
        self.events.append(("undecided",))
        self.reader.release(Mode.COMMAND)

    def long_line(self) -> None:
        self.long_lines += 1

    @property
    def commands(self) -> list[bytes]:
        return [event[1] for event in self.events if event[0] == "command"]


# -- lines -------------------------------------------------------------------------------------------------------------


def test_lines_have_their_offset_and_the_frame_of_their_first_byte() -> None:
    recorder = Recorder().feed(b"EHLO x\r\nMA", b"IL FROM:<>\r\nQUIT\r\n")
    assert recorder.events == [
        ("command", b"EHLO x", b"\r\n", 0),
        ("command", b"MAIL FROM:<>", b"\r\n", 8),
        ("command", b"QUIT", b"\r\n", 22),
    ]
    assert recorder.frames == [1, 1, 2]
    assert recorder.lengths == [8, 14, 6]


@pytest.mark.parametrize("at", range(1, 15))
def test_a_line_may_be_split_anywhere(at: int) -> None:
    text = b"NOOP x\r\nQUIT\r\n"
    assert Recorder().feed(text[:at], text[at:]).commands == [b"NOOP x", b"QUIT"]


def test_only_crlf_ends_a_line() -> None:
    assert Recorder().feed(b"NOOP\nNOOP\rNOOP\r\n").commands == [b"NOOP\nNOOP\rNOOP"]


def test_an_unfinished_line_is_not_reported() -> None:
    recorder = Recorder().feed(b"QU", b"IT\r")
    assert recorder.commands == []
    assert recorder.reader.partial == b"QUIT\r"


def test_a_line_is_kept_up_to_a_limit_and_its_full_length_is_counted() -> None:
    recorder = Recorder(Limits(line_bytes=10)).feed(b"NOOP " + 20 * b"x", 100 * b"y", b"\r\nQUIT\r\n")
    assert recorder.commands == [b"NOOP xxxxx", b"QUIT"]
    assert recorder.lengths == [127, 6]
    assert recorder.events[1][3] == 127


def test_bytes_after_a_gap_start_a_new_line() -> None:
    recorder = Recorder().feed(b"MAIL FR")
    recorder.reader.gap(10)
    assert recorder.feed(b"QUIT\r\n").commands == [b"QUIT"]


# -- bare newlines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_line_is_cut_at_a_bare_newline_on_demand(end: bytes) -> None:
    recorder = Recorder().feed(b"NOOP" + end)
    assert recorder.commands == []
    assert recorder.reader.cut_bare()
    assert recorder.events == [("command", b"NOOP", end, 0)]
    assert recorder.reader.partial == b""


def test_a_line_is_cut_only_at_its_first_bare_newline() -> None:
    recorder = Recorder().feed(b"NOOP\nRSET\nQU")
    assert recorder.reader.cut_bare()
    assert recorder.commands == [b"NOOP"]
    assert recorder.reader.cut_bare()
    assert recorder.commands == [b"NOOP", b"RSET"]
    assert not recorder.reader.cut_bare()
    assert recorder.feed(b"IT\r\n").events[-1] == ("command", b"QUIT", b"\r\n", 10)


@pytest.mark.parametrize("text", [b"", b"NOOP", b"\n", b"\r", b"\r\r"])
def test_without_a_bare_newline_nothing_is_cut(text: bytes) -> None:
    recorder = Recorder()
    if text:
        recorder.feed(text)
    assert not recorder.reader.cut_bare()
    assert recorder.events == []


# -- mail data and chunks ----------------------------------------------------------------------------------------------


def test_commands_continue_after_the_mail_data() -> None:
    recorder = Recorder(modes={b"DATA": Mode.CONTENT}).feed(b"DATA\r\na: b\r\n\r\nQUIT\r\n.\r\nRSET\r\n")
    assert recorder.events == [("command", b"DATA", b"\r\n", 0), ("content", 14), ("command", b"RSET", b"\r\n", 23)]


def test_a_chunk_has_its_declared_length_with_any_content() -> None:
    recorder = Recorder(modes={b"BDAT 8": Mode.CHUNK}).feed(b"BDAT 8\r\nQUIT\r", b"\n.\r", b"RSET\r\n")
    assert recorder.events == [("command", b"BDAT 8", b"\r\n", 0), ("chunk",), ("command", b"RSET", b"\r\n", 16)]


@pytest.mark.parametrize(("lost", "left"), [(4, 5), (9, 0), (100, 0)])
def test_a_gap_in_a_chunk_counts_towards_it(lost: int, left: int) -> None:
    recorder = Recorder(modes={b"BDAT 9": Mode.CHUNK}).feed(b"BDAT 9\r\n")
    recorder.reader.gap(lost)
    assert recorder.reader.chunk_left == left
    assert (recorder.events[-1] == ("chunk",)) == (left == 0)
    assert recorder.reader.mode is (Mode.CHUNK if left else Mode.COMMAND)


def test_lines_of_an_auth_exchange_are_distinguished() -> None:
    recorder = Recorder(modes={b"AUTH LOGIN": Mode.ANSWER}).feed(b"AUTH LOGIN\r\nZm9v\r\n")
    assert recorder.events[-1] == ("answer", b"Zm9v", b"\r\n", 12)


# -- held back ---------------------------------------------------------------------------------------------------------


def test_bytes_after_data_are_held_until_their_meaning_is_known() -> None:
    recorder = Recorder(modes={b"DATA": Mode.HOLD}).feed(b"DATA\r\nQUIT\r\n", b"RSET\r\n", seen=40)
    assert recorder.commands == [b"DATA"]
    assert recorder.reader.held_end() == b"QUIT\r\nRSET\r\n"
    assert recorder.reader.held_end(8) == b"\r\nRSET\r\n"
    recorder.reader.release(Mode.COMMAND)
    assert recorder.events[1:] == [("command", b"QUIT", b"\r\n", 6), ("command", b"RSET", b"\r\n", 12)]
    assert recorder.frames == [1, 1, 2]
    assert recorder.reader.held_end() == b""


def test_released_bytes_may_have_to_be_held_again() -> None:
    recorder = Recorder(modes={b"DATA": Mode.HOLD}).feed(b"DATA\r\n", b"RSET\r\nDATA\r\nNOOP\r\n", b"QUIT\r\n")
    recorder.reader.release(Mode.COMMAND)
    assert recorder.commands == [b"DATA", b"RSET", b"DATA"]
    recorder.modes = {}
    recorder.reader.release(Mode.COMMAND)
    assert recorder.commands == [b"DATA", b"RSET", b"DATA", b"NOOP", b"QUIT"]


def test_held_bytes_can_be_discarded() -> None:
    recorder = Recorder(modes={b"STARTTLS": Mode.HOLD}).feed(b"STARTTLS\r\nNOOP\r\n")
    assert recorder.reader.discard_held() == 6
    recorder.reader.release(Mode.COMMAND)
    assert recorder.commands == [b"STARTTLS"]


def test_held_bytes_are_limited() -> None:
    recorder = Recorder(Limits(undecided_bytes=10), {b"DATA": Mode.HOLD}).feed(b"DATA\r\n", b"NOOP\r\n", b"NOOP\r\n")
    assert recorder.events == [
        ("command", b"DATA", b"\r\n", 0),
        ("undecided",),
        ("command", b"NOOP", b"\r\n", 6),
        ("command", b"NOOP", b"\r\n", 12),
    ]


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[b"\x16\x03\x01abc"], [b"\x16", b"\x03\x01abc"], [b"\x15\x03\x01\0\x02\r\n"]])
def test_a_tls_record_where_a_line_should_begin_makes_the_rest_opaque(pieces: Sequence[bytes]) -> None:
    recorder = Recorder().feed(b"STARTTLS\r\n", *pieces, b"QUIT\r\n")
    assert recorder.events == [("command", b"STARTTLS", b"\r\n", 0), ("tls", "client", 10)]
    assert recorder.reader.mode is Mode.OPAQUE


def test_a_control_character_alone_is_not_tls() -> None:
    assert Recorder().feed(b"\x16", b"NOOP\r\n").commands == [b"\x16NOOP"]


@pytest.mark.parametrize("first", [0x14, 0x15, 0x16, 0x17, 0x80])
def test_if_tls_is_expected_its_first_byte_is_enough(first: int) -> None:
    recorder = Recorder(modes={b"STARTTLS": Mode.TLS_EXPECTED}).feed(b"STARTTLS\r\n", bytes((first,)))
    assert recorder.events[-1] == ("tls", "client", 10)


def test_if_tls_is_expected_commands_may_come_instead() -> None:
    recorder = Recorder(modes={b"STARTTLS": Mode.TLS_EXPECTED}).feed(b"STARTTLS\r\n", b"EHLO x\r\n")
    assert recorder.events[1:] == [("no tls", b"EHLO x\r\n", 10), ("command", b"EHLO x", b"\r\n", 10)]


# -- whatever comes ----------------------------------------------------------------------------------------------------

pieces_of_text = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"NOOP", b"\x16", b"\x03", b"\0", b"\xe9", b".", b" "]), max_size=30
)


@given(pieces_of_text, st.data())
def test_any_pieces_give_the_same_lines(parts: list[bytes], draw: st.DataObject) -> None:
    text = b"".join(parts)
    whole = Recorder().feed(*([text] if text else []))
    pieces, at = [], 0
    while at < len(text):
        size = draw.draw(st.integers(1, 5))
        pieces.append(text[at : at + size])
        at += size
    recorder = Recorder().feed(*pieces)
    assert recorder.events == whole.events
    if recorder.reader.mode is Mode.COMMAND:
        assert recorder.reader.partial == whole.reader.partial
