"""Five kinds of receivers for overlapping segments with different bytes, and what the report says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ACK, CLIENT, SERVER, Record, ethernet, ipv4, pcap, tcp
from hypothesis import given
from hypothesis import strategies as st
from scripts import hello, records, segments

from smtpwire.analyzer.audit import audit
from smtpwire.analyzer.model import CommandTurn
from smtpwire.analyzer.rules.overlap_policies import RECEIVERS, Copy, described, read, readings

if TYPE_CHECKING:
    from pathlib import Path


def all_of(copies: list[Copy]) -> dict[str, bytes]:
    end = max(one.end for one in copies)
    return {receiver: read(receiver, copies, 0, end) for receiver in RECEIVERS}


# A first segment at 2, a later one before, at, within, after and around it.
@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (Copy(0, b"nnnn"), {"nnoooo": ["first", "Windows"], "nnnnoo": ["last", "BSD", "Linux"]}),
        (Copy(0, b"nnnnnnnn"), {"nnoooonn": ["first"], "nnnnnnnn": ["last", "BSD", "Linux", "Windows"]}),
    ],
)
def test_a_later_segment_over_an_earlier_one(new: Copy, expected: dict[str, list[str]]) -> None:
    found = all_of([Copy(2, b"oooo"), new])
    assert found == {receiver: text.encode() for text, receivers in expected.items() for receiver in receivers}


def test_bsd_and_linux_differ_for_segments_with_the_same_start() -> None:
    assert all_of([Copy(0, b"RSET\r\n"), Copy(0, b"QUIT\r\n")]) == {
        "first": b"RSET\r\n",
        "last": b"QUIT\r\n",
        "BSD": b"RSET\r\n",
        "Linux": b"QUIT\r\n",
        "Windows": b"RSET\r\n",
    }


def test_only_last_prefers_a_later_segment_inside_an_earlier_one() -> None:
    found = all_of([Copy(0, b"oooooo"), Copy(2, b"nn")])
    assert [receiver for receiver, text in found.items() if b"n" in text] == ["last"]


def test_receivers_that_agree_are_not_reported() -> None:
    assert described([Copy(0, b"abc"), Copy(1, b"bcd")], 1) is None


def test_a_difference_names_the_reading_of_each_receiver() -> None:
    phrase = described([Copy(10, b"RSET\r\n"), Copy(10, b"\x1bUIT\r\n")], 10)
    assert phrase is not None
    assert phrase.text() == (
        "Receivers differ in what they read. first and BSD and Windows: RSET\\x0d\\x0a; "
        "last and Linux: \\x1bUIT\\x0d\\x0a."
    )


@given(
    st.lists(st.tuples(st.integers(0, 30), st.binary(min_size=1, max_size=30)), min_size=1, max_size=8),
    st.integers(0, 60),
)
def test_every_reading_consists_of_bytes_sent_at_its_offsets(sent: list[tuple[int, bytes]], at: int) -> None:
    copies = [Copy(*one) for one in sent]
    readings(copies, at)
    for receiver in RECEIVERS:
        for place, byte in enumerate(read(receiver, copies, copies[0].start, copies[0].end), copies[0].start):
            assert byte in {one.payload[place - one.start] for one in copies if one.start <= place < one.end}


@given(st.integers(0, 40), st.binary(min_size=1, max_size=30))
def test_without_a_difference_all_read_the_same(start: int, text: bytes) -> None:
    copies = [Copy(start, text), Copy(start + len(text) // 2, text[len(text) // 2 :]), Copy(start, text[:1])]
    assert len(readings(copies, start)) == 1


def test_the_report_says_what_receivers_would_read(tmp_path: Path) -> None:
    """RSET and QUIT with the same sequence numbers after a gap, then the byte before them."""
    frames = list(records(segments(hello("PIPELINING"))))
    before = sum(len(text) for who, text in hello("PIPELINING") if who == "C")
    answered = sum(len(text) for who, text in hello("PIPELINING") if who == "S")
    for ahead, text in ((6, b"RSET\r\n"), (6, b"QUIT\r\n"), (0, b"NOOP\r\n")):
        segment = tcp(43210, 25, text, seq=1001 + before + ahead, ack=5001 + answered, flags=ACK)
        frames.append(Record(ethernet(ipv4(segment, CLIENT, SERVER)), frames[-1].time_ns + 1000))
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(frames))
    (connection,) = audit(path)
    (finding,) = [finding for finding in connection.findings if finding.rule == "TCP905"]
    assert "first and BSD and Windows: RSET" in finding.message
    assert "last and Linux: QUIT" in finding.message
    assert [turn.verb for turn in connection.dialogue if isinstance(turn, CommandTurn)] == ["EHLO", "NOOP", "RSET"]
