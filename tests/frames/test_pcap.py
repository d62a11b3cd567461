from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING, Literal

import pytest
from captures import START, Conversation, Record, ethernet, ipv4, pcap, pcap_record, tcp
from readback import read

if TYPE_CHECKING:
    from pathlib import Path

TALK = Conversation().open()
TALK.server(b"220 mx ESMTP\r\n")
TALK.client(b"QUIT\r\n")
RECORDS = TALK.close().records
OCTETS = sum(len(record.data) for record in RECORDS)

FLAVOURS = {
    "microseconds": (0xA1B2C3D4, b"", 6),
    "nanoseconds": (0xA1B23C4D, b"", 9),
    "modified": (0xA1B2CD34, struct.pack("<IHBB", 1, 8, 0, 0), 6),
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_all_variants_and_byte_orders(tmp_path: Path, flavour: str, order: Literal["<", ">"]) -> None:
    magic, extra, digits = FLAVOURS[flavour]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(RECORDS, order=order, magic=magic, extra=extra))
    result = read(path)
    assert b"".join(result.payloads) == b"220 mx ESMTP\r\nQUIT\r\n"
    assert [s.time_ns for s in result.segments] == [START + i * 1_000_000 for i in range(8)]
    assert [s.frame for s in result.segments] == [1, 2, 3, 4, 5, 6, 7, 8]
    capture = result.capture
    assert (capture.format, capture.link_types, capture.frames, capture.bytes) == ("pcap", ["EN10MB"], 8, OCTETS)
    assert capture.first == "2026-01-02T03:04:05.123456" + "000" * (digits == 9) + "Z"
    assert capture.last == "2026-01-02T03:04:05.130456" + "000" * (digits == 9) + "Z"
    assert capture.problems == []


def test_nanoseconds_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Record(RECORDS[0].data, START + 789)], magic=0xA1B23C4D))
    assert read(path).segments[0].time_ns == START + 789
    assert read(path).capture.first == "2026-01-02T03:04:05.123456789Z"


def test_a_capture_without_frames_is_not_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([], link_type=101))
    capture = read(path).capture
    assert (capture.frames, capture.link_types, capture.first, capture.problems) == (0, ["RAW"], None, [])


def test_times_after_2038_and_to_the_last_second_of_32_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Record(b"", 0), Record(b"", (2**32 - 1) * 10**9)]))
    capture = read(path).capture
    assert (capture.first, capture.last) == ("1970-01-01T00:00:00.000000Z", "2106-02-07T06:28:15.000000Z")


DAMAGED = {
    "in a record": (pcap(RECORDS) + pcap_record(RECORDS[0])[:30], "the last record is cut short at byte {size}"),
    "in a record header": (pcap(RECORDS) + b"1234567", "the last record is cut short at byte {size}"),
    "absurd length": (
        pcap(RECORDS) + struct.pack("<4I", 1, 2, 0x7FFFFFF0, 0x7FFFFFF0) + bytes(100),
        f"the record at byte {len(pcap(RECORDS))} claims 2147483632 bytes: damaged from there on",
    ),
    "length just above what is believed": (
        pcap(RECORDS) + struct.pack("<4I", 1, 2, 3_000_000, 3_000_000) + bytes(100),
        f"the record at byte {len(pcap(RECORDS))} claims 3000000 bytes: damaged from there on",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path, name: str) -> None:
    data, problem = DAMAGED[name]
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    result = read(path)
    assert result.capture.frames == len(result.segments) == 8
    assert result.capture.bytes == OCTETS
    assert result.capture.last == "2026-01-02T03:04:05.130456Z"
    assert result.capture.problems == [problem.format(size=len(data))]


def test_no_memory_is_allocated_because_of_a_length_field(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(DAMAGED["absurd length"][0])
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_a_file_of_many_blocks_and_a_record_longer_than_one(tmp_path: Path) -> None:
    big = ethernet(ipv4(tcp(1, 25, b"x" * 1_500_000), total=0))
    records = [Record(ethernet(ipv4(tcp(1, 25, b"%06d" % i * 150))), START + i) for i in range(2500)]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([*records[:1200], Record(big), *records[1200:]], magic=0xA1B23C4D))
    result = read(path)
    payloads = [b"%06d" % i * 150 for i in range(2500)]
    payloads.insert(1200, b"x" * 1_500_000)
    assert result.payloads == payloads
    assert [s.frame for s in result.segments] == list(range(1, 2502))
    assert result.capture.bytes == sum(len(r.data) for r in records) + len(big)
    assert result.capture.last == "2026-01-02T03:04:05.123458499Z"
