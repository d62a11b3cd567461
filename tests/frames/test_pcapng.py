from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Literal

import pytest
from captures import (
    START,
    Conversation,
    Record,
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    ipv6,
    pcapng,
    section,
    simple,
    superseded,
    tcp,
)
from readback import collector, read

from smtpwire.analyzer.frames.input_window import StreamWindow
from smtpwire.analyzer.frames.pcapng import PcapngReader

if TYPE_CHECKING:
    from pathlib import Path

    from readback import Read

TALK = Conversation().open()
TALK.server(b"220 mx ESMTP\r\n")
TALK.client(b"QUIT\r\n")
RECORDS = TALK.close().records
OCTETS = sum(len(record.data) for record in RECORDS)
FRAME = RECORDS[0].data
ORDERS: list[Literal["<", ">"]] = ["<", ">"]


@pytest.fixture
def reading(tmp_path: Path):  # type: ignore[no-untyped-def]
    def run(*blocks: bytes) -> Read:
        path = tmp_path / "a.pcapng"
        path.write_bytes(b"".join(blocks))
        return read(path)

    return run


@pytest.mark.parametrize("order", ORDERS)
def test_a_plain_file_of_either_byte_order(reading, order: Literal["<", ">"]) -> None:  # type: ignore[no-untyped-def]
    result = reading(pcapng(RECORDS, order=order))
    assert b"".join(result.payloads) == b"220 mx ESMTP\r\nQUIT\r\n"
    assert [s.time_ns for s in result.segments] == [START + i * 1_000_000 for i in range(8)]
    assert [s.frame for s in result.segments] == [1, 2, 3, 4, 5, 6, 7, 8]
    capture = result.capture
    assert (capture.format, capture.link_types, capture.frames, capture.bytes) == ("pcapng", ["EN10MB"], 8, OCTETS)
    assert (capture.first, capture.last) == ("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.130456Z")
    assert capture.problems == []


@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "time_ns", "text"),
    [
        (None, None, START // 1000, START, "2026-01-02T03:04:05.123456Z"),
        (6, None, START // 1000, START, "2026-01-02T03:04:05.123456Z"),
        (9, None, START + 789, START + 789, "2026-01-02T03:04:05.123456789Z"),
        (3, None, 1_767_323_045_123, START - 456_000, "2026-01-02T03:04:05.123000Z"),
        (0, None, 1_767_323_045, START - 123_456_000, "2026-01-02T03:04:05.000000Z"),
        (10, None, (START + 789) * 10 + 9, START + 789, "2026-01-02T03:04:05.123456789Z"),
        (0x80 | 10, None, 1_767_323_045 << 10 | 512, START + 376_544_000, "2026-01-02T03:04:05.500000Z"),
        (0x80 | 30, None, 1_767_323_045 << 30 | 1 << 28, START + 126_544_000, "2026-01-02T03:04:05.250000000Z"),
        (6, 1_000_000_000, START // 1000 - 10**15, START, "2026-01-02T03:04:05.123456Z"),
        (9, -3600, START + 3600 * 10**9, START, "2026-01-02T03:04:05.123456000Z"),
    ],
)
def test_units_and_offsets_of_time(reading, resolution, offset, ticks, time_ns, text) -> None:  # type: ignore[no-untyped-def]
    result = reading(section(), interface(1, resolution, offset), enhanced(RECORDS[0], ticks=ticks))
    assert result.segments[0].time_ns == time_ns
    assert result.capture.first == text


def test_a_time_after_the_last_supported_year_is_accepted(reading) -> None:  # type: ignore[no-untyped-def]
    result = reading(section(), interface(1, 0), enhanced(RECORDS[0], ticks=2**64 - 1))
    assert result.capture.first == "9999-12-31T23:59:59.999999Z"
    assert len(result.segments) == 1


def test_several_interfaces_one_of_them_described_late(reading) -> None:  # type: ignore[no-untyped-def]
    packet = FRAME[14:]
    cooked = struct.pack("!HHH8sH", 0, 1, 6, bytes(8), 0x0800) + packet
    result = reading(
        section(),
        interface(1),
        interface(101, 9),
        enhanced(RECORDS[0]),
        enhanced(Record(packet), 1, START + 1),
        enhanced(RECORDS[0]),
        interface(113, 0x80 | 20),
        enhanced(Record(cooked), 2, (START << 20) // 10**9),
        enhanced(Record(packet), 1, START + 2),
    )
    assert [s.seq for s in result.segments] == [1000] * 5
    assert [s.time_ns - START for s in result.segments] == [0, 1, 0, pytest.approx(0, abs=1000), 2]
    assert result.capture.link_types == ["EN10MB", "RAW", "LINUX_SLL"]


def test_a_thousand_interfaces_with_clocks_of_their_own(reading) -> None:  # type: ignore[no-untyped-def]
    described = [interface(1, 9, offset=number) for number in range(1000)]
    packets = [enhanced(RECORDS[0], number, START) for number in range(1000)]
    result = reading(section(), *described, *packets, *packets)
    assert [s.time_ns - START for s in result.segments] == [number * 1_000_000_000 for number in range(1000)] * 2


def test_options_of_packets_do_not_keep_them_from_the_hot_loop() -> None:
    blocks = section() + interface() + b"".join(enhanced(record, comment=b"seen") for record in RECORDS)
    window = StreamWindow(io.BytesIO(blocks).read)
    seen, decoder = collector()
    for _ in PcapngReader(window).run(decoder):
        pass
    assert len(seen) == len(RECORDS) == decoder.tally.fast


def test_a_section_forgets_the_interfaces_and_may_change_the_byte_order(reading) -> None:  # type: ignore[no-untyped-def]
    result = reading(
        pcapng(RECORDS[:4]),
        section(">"),
        interface(101, 9, order=">"),
        *(enhanced(Record(r.data[14:]), ticks=r.time_ns, order=">") for r in RECORDS[4:6]),
        pcapng(RECORDS[6:]),
    )
    assert [s.time_ns for s in result.segments] == [START + i * 1_000_000 for i in range(8)]
    assert result.capture.link_types == ["EN10MB", "RAW"]
    assert result.capture.first == "2026-01-02T03:04:05.123456000Z"


@pytest.mark.parametrize("order", ORDERS)
def test_simple_packets_get_the_time_of_the_packet_before(reading, order: Literal["<", ">"]) -> None:  # type: ignore[no-untyped-def]
    head = section(order), interface(order=order)
    result = reading(*head, simple(RECORDS[0], order), enhanced(RECORDS[1], order=order), simple(RECORDS[2], order))
    assert [s.time_ns for s in result.segments] == [0, START + 1_000_000, START + 1_000_000]
    assert result.capture.first == "2026-01-02T03:04:05.124456Z"


def test_a_capture_of_simple_packets_has_no_times(reading) -> None:  # type: ignore[no-untyped-def]
    capture = reading(section(), interface(), *map(simple, RECORDS)).capture
    assert (capture.frames, capture.bytes, capture.first, capture.last) == (8, OCTETS, None, None)


def test_a_simple_packet_is_cut_at_the_snap_length_of_its_interface(reading) -> None:  # type: ignore[no-untyped-def]
    frame = ethernet(ipv4(tcp(1, 25, b"x" * 100)))
    cut = Record(frame[:65], original=len(frame))  # 3 bytes of padding follow
    (segment,) = reading(section(), interface(snaplen=65), simple(cut)).segments
    assert (segment.payload, segment.missing) == (b"x" * 11, 89)


@pytest.mark.parametrize("order", ORDERS)
def test_the_superseded_packet_block(reading, order: Literal["<", ">"]) -> None:  # type: ignore[no-untyped-def]
    head = section(order), interface(order=order)
    result = reading(*head, *(superseded(record, order=order) for record in RECORDS))
    assert [s.time_ns for s in result.segments] == [START + i * 1_000_000 for i in range(8)]
    assert result.capture.bytes == OCTETS


def test_other_blocks_are_skipped(reading) -> None:  # type: ignore[no-untyped-def]
    names = block(4, struct.pack("<HH4s", 1, 10, b"\xc0\0\2\1") + b"a.test" + bytes(4))
    result = reading(
        section(),
        interface(),
        names,
        enhanced(RECORDS[0], comment=b"RSET\r\n"),
        block(5, struct.pack("<III", 0, 0, 0)),
        block(0x0BADCAFE, b"xyz1"),
        block(10, struct.pack("<II", 0x544C534B, 4) + b"keys"),
        enhanced(RECORDS[1]),
        names,
    )
    assert [s.frame for s in result.segments] == [1, 2]
    assert result.capture.problems == []


@pytest.mark.parametrize("kind", [9, 0x204, 0xBAD, 0x40000BAD])
def test_blocks_that_wireshark_numbers_get_a_frame_number(reading, kind: int) -> None:  # type: ignore[no-untyped-def]
    result = reading(section(), interface(), enhanced(RECORDS[0]), block(kind, bytes(16)), enhanced(RECORDS[1]))
    assert [s.frame for s in result.segments] == [1, 3]
    assert (result.capture.frames, result.capture.bytes) == (3, 54 * 2)


def test_a_key_log_longer_than_any_record_is_skipped_and_reported(reading) -> None:  # type: ignore[no-untyped-def]
    result = reading(section(), interface(), enhanced(RECORDS[0]), block(10, bytes(5_000_000)), enhanced(RECORDS[1]))
    assert [s.frame for s in result.segments] == [1, 2]
    assert result.capture.problems == ["key log of 5000012 bytes at byte 148: too long, not read"]


def test_a_block_longer_than_any_record_is_skipped(reading) -> None:  # type: ignore[no-untyped-def]
    result = reading(section(), interface(), enhanced(RECORDS[0]), block(8, bytes(5_000_000)), enhanced(RECORDS[1]))
    assert [s.frame for s in result.segments] == [1, 2]
    assert result.capture.problems == []


def test_a_packet_of_an_undescribed_interface_is_counted_and_reported(reading) -> None:  # type: ignore[no-untyped-def]
    result = reading(section(), interface(), enhanced(RECORDS[0], 5), enhanced(RECORDS[1]), superseded(RECORDS[2], 1))
    assert [s.frame for s in result.segments] == [2]
    assert result.capture.frames == 3
    assert result.capture.problems == ["packets of an interface that is not described, not decoded: 2"]
    assert reading(section(), simple(RECORDS[0])).capture.frames == 1


GOOD = pcapng(RECORDS)
END = len(GOOD)
DAMAGED = {
    "in a block": (GOOD + enhanced(RECORDS[0])[:50], f"the last block is cut short at byte {END + 50}"),
    "in the head of a block": (GOOD + b"\6\0\0\0\x40", f"the last block is cut short at byte {END + 5}"),
    "impossible length": (
        GOOD + struct.pack("<II", 6, 0x7FFFFFF0) + bytes(100),
        f"the block at byte {END} claims 2147483632 bytes: damaged from there on",
    ),
    "impossible length of an unknown block": (
        GOOD + struct.pack("<II", 77, 0x7FFFFFF0) + bytes(100),
        f"the last block is cut short at byte {END + 108}",
    ),
    "length of zero": (GOOD + bytes(32), f"the block at byte {END} is damaged: not read from there on"),
    "length that is not a multiple of 4": (
        GOOD + struct.pack("<II", 6, 61) + bytes(100),
        f"the block at byte {END} is damaged: not read from there on",
    ),
    "frame longer than its block": (
        GOOD + block(6, struct.pack("<5I", 0, 0, 0, 1000, 1000) + FRAME),
        f"the block at byte {END} is damaged: not read from there on",
    ),
    "frame that extends into the length after it": (
        GOOD + block(6, struct.pack("<5I", 0, 0, 0, len(FRAME) + 4, len(FRAME) + 4) + FRAME),
        f"the block at byte {END} is damaged: not read from there on",
    ),
    "lengths that differ": (
        GOOD + block(5, bytes(12))[:-4] + b"\x20\0\0\0",
        f"the block at byte {END} is damaged: not read from there on",
    ),
    "invalid byte order": (
        GOOD + section()[:8] + b"????" + section()[12:],
        f"the block at byte {END} is damaged: not read from there on",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_read_up_to_the_damage(reading, name: str) -> None:  # type: ignore[no-untyped-def]
    data, problem = DAMAGED[name]
    result = reading(data)
    assert result.capture.frames == len(result.segments) == 8
    assert result.capture.problems == [problem]


def test_invalid_options_are_skipped(reading) -> None:  # type: ignore[no-untyped-def]
    odd = struct.pack("<HHI", 1, 0, 0) + struct.pack("<HH", 9, 2) + b"\6\6\0\0" + struct.pack("<HH", 14, 60000)
    result = reading(section(), block(1, odd), enhanced(RECORDS[0]))
    assert result.segments[0].time_ns == START


def test_ipv6_in_the_hot_loop(reading) -> None:  # type: ignore[no-untyped-def]
    result = reading(pcapng([ethernet(ipv6(tcp(1, 25, b"NOOP\r\n")))] * 3))
    assert result.payloads == [b"NOOP\r\n"] * 3
    assert result.tally.fast == 3
