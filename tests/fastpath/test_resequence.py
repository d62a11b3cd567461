"""Mail data that was captured out of order: the report is that of the reassembler, and mostly needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ACK
from hypothesis import given
from hypothesis import strategies as st
from repeats import compared, dialogue
from scripts import MESSAGE, envelope, hello, lines

from smtpwire.analyzer.fastpath.resequence import straightened
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from scripts import Segment

    from smtpwire.analyzer.segments.decoder import WholeSegment

PARTS = [f"{n:02} {'x' * 60}\r\n" * 3 for n in range(10)]
BEFORE = [*hello("SIZE 9000"), *envelope(), *lines("C DATA", "S 354 go")]
SCRIPT = [
    *BEFORE,
    *[("C", part) for part in (MESSAGE, *PARTS, ".\r\n")],
    *lines("S 250 queued", "C QUIT", "S 221 bye", "FC", "FS"),
]
KNOWN = [*dialogue(SCRIPT), *dialogue(SCRIPT, 1)]


def third() -> tuple[list[Segment], int]:
    """A connection like the known ones whose server acknowledges mail data once, and where its mail data begins."""
    sent = dialogue(SCRIPT, 2)
    first = next(at for at, one in enumerate(sent) if one.payload.startswith(b"Date:"))
    behind = next(at for at, one in enumerate(sent) if one.payload.startswith(b"250 queued"))
    return [*sent[:first], *(one for one in sent[first:behind] if one.payload), *sent[behind:]], first


def acknowledged(one: Segment, behind: bool = True) -> Segment:
    """The server acknowledges a segment of the client, or all in front of it."""
    key = one.key[4:8] + one.key[:4] + one.key[10:12] + one.key[8:10]
    ack = one.seq + (len(one.payload) if behind else 0) & 0xFFFFFFFF
    return one._replace(key=key, seq=one.ack, ack=ack, flags=ACK, payload=b"")


def whole(sent: list[Segment]) -> list[WholeSegment]:
    return [(*one[:5], *one[6:]) for one in sent]


def found(sent: list[Segment]) -> int:
    return compared([*KNOWN, *sent]).found


@pytest.mark.parametrize("place", range(1, 10))
@pytest.mark.parametrize("apart", [1, 2, 5])
def test_segments_that_changed_places_are_put_in_order(place: int, apart: int) -> None:
    sent, first = third()
    here, there = first + place, min(first + place + apart, first + 11)
    sent[here], sent[there] = sent[there], sent[here]
    assert found(sent) == 1


def test_a_segment_that_comes_twice_counts_once() -> None:
    sent, first = third()
    copies = sent[first + 3]._replace(frame=5000), sent[first + 1]._replace(frame=5001)
    assert found([*sent[: first + 4], *copies, *sent[first + 4 :]]) == 1


def test_the_end_of_data_may_be_held_too() -> None:
    sent, first = third()
    sent[first + 9], sent[first + 11] = sent[first + 11], sent[first + 9]
    assert sent[first + 9].payload == b".\r\n"
    assert found(sent) == 1


def test_an_acknowledgment_of_what_was_there_tells_nothing_new() -> None:
    sent, first = third()
    two, three = sent[first + 2 : first + 4]
    waits = [*sent[: first + 2], three, acknowledged(two, behind=False), two, acknowledged(three), *sent[first + 4 :]]
    assert found(waits) == 1


def test_an_acknowledgment_behind_the_hole_is_for_the_reassembler() -> None:
    sent, first = third()
    two, three = sent[first + 2 : first + 4]
    assert found([*sent[: first + 2], three, acknowledged(two), two, *sent[first + 4 :]]) == 0


def test_a_copy_with_other_bytes_is_for_the_reassembler() -> None:
    sent, first = third()
    other = sent[first + 2]._replace(payload=sent[first + 2].payload.swapcase())
    assert found([*sent[: first + 4], other, *sent[first + 4 :]]) == 0


def test_pieces_that_overlap_are_for_the_reassembler() -> None:
    sent, first = third()
    two, three = sent[first + 2 : first + 4]
    earlier = three._replace(seq=three.seq - 5, payload=two.payload[-5:] + three.payload)
    assert found([*sent[: first + 2], earlier, two, *sent[first + 4 :]]) == 0


def test_a_hole_that_is_never_filled_is_a_gap_for_both() -> None:
    sent, first = third()
    assert found([*sent[: first + 2], *sent[first + 3 :]]) == 0


def test_near_the_limits_it_is_for_the_reassembler() -> None:
    sent, first = third()
    one, two, three = sent[first + 1 : first + 4]
    asked = whole([*sent[: first + 1], three, two, one]), first + 1, one.key, one.seq, one.ack
    assert straightened(*asked, DEFAULT_LIMITS) == (whole([one, two, three]), first + 4)
    assert straightened(*asked, Limits(held_segments=16)) is None
    assert straightened(*asked, Limits(held_bytes=16 * len(three.payload))) is None
    assert straightened(*asked, Limits(held_segments=32, held_bytes=0, all_held_bytes=0)) is not None


def test_what_is_not_filled_yet_waits() -> None:
    sent, first = third()
    one, two = sent[first + 1 : first + 3]
    waiting = whole([*sent[: first + 1], two])
    assert straightened(waiting, first + 1, one.key, one.seq, one.ack, DEFAULT_LIMITS) == ([], first + 1)


@given(st.data())
def test_whatever_the_order(data: st.DataObject) -> None:
    """Changed places, copies and acknowledgments anywhere: the report is that of a reassembler."""
    sent, first = third()
    mail = sent[first : first + 12]
    for _ in range(data.draw(st.integers(1, 4))):
        here, there = (data.draw(st.integers(0, len(mail) - 1)) for _ in range(2))
        what = data.draw(st.sampled_from(["swap", "copy", "ack", "lose"]))
        if what == "swap":
            mail[here], mail[there] = mail[there], mail[here]
        elif what == "copy":
            mail.insert(there, mail[here]._replace(frame=5000 + len(mail)))
        elif what == "ack" and mail[here].payload:
            mail.insert(there, acknowledged(mail[here], behind=data.draw(st.booleans())))
        elif what == "lose" and len(mail) > 2:
            del mail[here]
    compared([*KNOWN, *sent[:first], *mail, *sent[first + 12 :]])
