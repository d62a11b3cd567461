"""Records are cut as the stream says, whatever the segments; after a gap the next one is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.tls.records import MAX_RECORD, Place, RecordCutter, begins_record

RECORDS = [
    b"\x16\x03\x01\x00\x03abc",
    b"\x17\x03\x03\x00\x00",
    b"\x17\x03\x03\x01\x00" + b"x" * 256,
    b"\x15\x03\x03\x00\x02\x02\x28",
]


def cut(cutter: RecordCutter, *pieces: bytes, offset: int = 0, frame: int = 1) -> list[tuple[bytes, Place]]:
    found = []
    for piece in pieces:
        cutter.add(piece, Place(offset, frame, frame * 10, frame))
        offset += len(piece)
        frame += 1
        while (record := cutter.next()) is not None:
            found.append(record)
    return found


@given(st.lists(st.sampled_from(RECORDS), max_size=6), st.data())
def test_segments_change_nothing(records: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(records)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(stream) - 1)), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = cut(RecordCutter(), *pieces)
    assert [record for record, _ in found] == records
    starts = [sum(map(len, records[:n])) for n in range(len(records))]
    assert [place.offset for _, place in found] == starts
    ends = [sum(map(len, pieces[: n + 1])) for n in range(len(pieces))]
    frames = [next(n for n, end in enumerate(ends, 1) if end > start) for start in starts]
    assert [place.frame for _, place in found] == frames  # of the segment with the first octet


def test_what_is_no_record_ends_the_cutting() -> None:
    for wrong in (b"EHLO x\r\n", b"\x17\x02\x00\x00\x01a", b"\x17\x03\x03\xff\xffabc"):
        cutter = RecordCutter()
        assert [record for record, _ in cut(cutter, RECORDS[0], wrong, RECORDS[0])] == RECORDS[:1]
        assert cutter.invalid
    assert MAX_RECORD == 5 + 16384 + 2048


def test_a_gap_inside_a_record_is_passed_over_to_its_end() -> None:
    cutter = RecordCutter()
    assert cut(cutter, RECORDS[2][:100]) == []
    assert cutter.gap(50) == 100
    found = cut(cutter, RECORDS[2][150:] + RECORDS[3], offset=150)
    assert found == [(RECORDS[3], Place(261, 1, 10, 1))]
    assert cutter.aligned


def test_after_a_gap_over_several_records_the_next_header_is_searched() -> None:
    cutter = RecordCutter()
    cut(cutter, RECORDS[0])
    cutter.gap(400)
    false = b"yy\x17\x03\x03\x00\x04zzzz"  # looks like a record; the session rejects it
    (record, place), *more = cut(cutter, b"tail of a record" + false + RECORDS[3], offset=408)
    assert (record, more) == (b"\x17\x03\x03\x00\x04zzzz", [(RECORDS[3], Place(408 + 16 + 11, 1, 10, 1))])
    assert not cutter.aligned
    cutter = RecordCutter()
    cutter.gap(7)
    cutter.add(b"tail" + false + RECORDS[3], Place(7, 1, 10, 1))
    got = cutter.next()
    assert got is not None
    cutter.reject(got[0])
    assert cutter.next() == (RECORDS[3], Place(7 + 4 + 11, 1, 10, 1))
    assert place.offset == 408 + 18


def test_bytes_that_never_arrived_can_be_cut_off() -> None:
    cutter = RecordCutter()
    cut(cutter, RECORDS[0], RECORDS[2][:100])
    assert not cutter.cut(2)  # they were used
    assert cutter.cut(len(RECORDS[0]) + 40)
    rest = RECORDS[2][40:]
    assert [record for record, _ in cut(cutter, rest, offset=48)] == [RECORDS[2]]


@given(st.lists(st.one_of(st.binary(max_size=60), st.integers(1, 5000)), max_size=12))
def test_any_bytes_and_gaps_are_read_without_an_error(events: list[bytes | int]) -> None:
    cutter, offset = RecordCutter(), 0
    for event in events:
        if isinstance(event, int):
            cutter.gap(event)
            offset += event
        else:
            for record, place in cut(cutter, event, offset=offset):
                assert place.offset <= offset + len(event)
                if not cutter.aligned:
                    cutter.reject(record)
            offset += len(event)
        assert cutter.weight < 100_000


def test_the_first_octets_of_records() -> None:
    assert begins_record(b"\x16\x03")
    assert not begins_record(b"220 ")
