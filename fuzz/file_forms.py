"""The forms of the inputs of file targets: frames with nested headers, alone or in a capture."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from captures import Conversation, Record, enhanced, ethernet, interface, ipv4, ipv6, pcap_record, section, simple, tcp
from mutators import Form
from spoken import LINES

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

__all__ = ["CAPTURE", "FRAME", "PCAP", "PCAPNG"]

_HEADERS = 90  # bytes at the start of a frame that most likely contain its headers
_TAGS = (0x8100, 0x88A8, 0x9100)
_ODD = (0, 1, 4, 5, 6, 17, 20, 41, 43, 44, 47, 50, 51, 59, 60, 64, 69, 96, 127, 128, 135, 254, 255)
_PCAP_HEAD, _BLOCK = 16, 12


def _packet(segment: bytes, rng: Random) -> bytes:
    """Return a segment inside up to four IP headers."""
    packet, protocol = segment, 6
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        kind = rng.randrange(8)
        if kind == 0:  # GRE, with or without key and sequence number
            flags = rng.choice((0, 0x2000, 0x3000, 0xB000))
            words = 4 * (flags >> 12 & 1) + 4 * (flags >> 13 & 1) + 4 * (flags >> 15)
            ether = {4: 0x0800, 41: 0x86DD}.get(protocol)
            if ether is not None:
                packet, protocol = struct.pack("!HH", flags, ether) + bytes(words) + packet, 47
        if kind < 5:
            options = rng.choice((b"", b"", b"\1\1\1\0", b"\x94\4\0\0"))
            packet, protocol = ipv4(packet, protocol=protocol, options=options), 4
            continue
        extensions = [
            (rng.choice((0, 43, 44, 60, 51, 135)), rng.choice((b"\0\1\4\0\0\0\0", b"\0\0\0\0\0\0\7", rng.randbytes(7))))
            for _ in range(rng.choice((0, 0, 1, 2)))
        ]
        packet, protocol = ipv6(packet, following=protocol, extensions=extensions), 41
    return packet


def _frame(rng: Random) -> bytes:
    """Return an Ethernet frame with a segment."""
    text = rng.choice((b"", rng.choice(LINES)[:60]))
    ports = rng.choice(((43210, 25), (25, 43210)))
    segment = tcp(*ports, text, flags=rng.choice((16, 24, 2, 18, 17, 4)), options=rng.choice((b"", b"\2\4\5\xb4")))
    return _wrapped(_packet(segment, rng), rng)


def _wrapped(packet: bytes, rng: Random) -> bytes:
    frame = ethernet(packet, tags=[rng.choice(_TAGS) for _ in range(rng.choice((0, 0, 0, 1, 2, 3)))])
    return frame + bytes(rng.choice((0, 0, 0, 4, 6)))


def _changed_frame(frame: bytes, rng: Random) -> bytes:
    """Return the frame with one unusual field, cut, padded or with one more IP header."""
    kind = rng.randrange(7)
    if kind == 3:
        return _frame(rng)
    if kind == 0:
        return frame[: rng.randrange(len(frame) + 1)]
    if kind == 1:
        return frame + rng.randbytes(rng.randint(1, 8))
    if kind == 2 and frame[12:14] == b"\x08\0":
        return _wrapped(ipv4(frame[14:], protocol=4), rng)
    at = rng.randrange(min(len(frame), _HEADERS) + 1)
    value = rng.choice((rng.choice(_ODD), frame[at] ^ 1 << rng.randrange(8) if at < len(frame) else 0))
    return frame[:at] + bytes((value,)) + frame[at + 1 :]


def _same(record: bytes, number: int) -> bytes:
    return record


FRAME = Form(lambda _: 2, lambda data, at: len(data) - at, _changed_frame, lambda rng: [_frame(rng)], _same)
"""See ``capture_targets.frame``."""


# -- files -------------------------------------------------------------------------------------------------------------


def _talk(rng: Random) -> list[Record]:
    """Return the records of a whole connection, or some unrelated frames."""
    if rng.randrange(3):
        return [Record(_frame(rng)) for _ in range(rng.randint(1, 3))]
    talk = Conversation(port=rng.randint(40_000, 40_003)).open()
    for _ in range(rng.randint(1, 8)):
        (talk.client if rng.randrange(2) else talk.server)(rng.choice(LINES)[:80])
    return talk.close().records


def _changed(record: bytes, head: int, rng: Random) -> bytes:
    """Change a byte of the record header, or change the frame; the frame keeps the length that the header states."""
    if rng.randrange(4):
        frame = record[head:]
        return record[:head] + _changed_frame(frame, rng)[: len(frame)].ljust(len(frame), b"\0")
    at = rng.randrange(min(head, len(record)))
    return record[:at] + bytes((rng.choice((*_ODD, rng.randrange(256))),)) + record[at + 1 :]


def _elsewhere(head: int) -> Callable[[bytes, int], bytes]:
    """Return a function that changes the client's address in a plain Ethernet frame with IPv4."""

    def elsewhere(record: bytes, number: int) -> bytes:
        at = head + 14
        if record[head + 12 : at + 1] != b"\x08\0\x45" or len(record) < at + 20:
            return record
        place = at + 15 if record[at + 12 : at + 16] == b"\xc0\0\2\1" else at + 19
        return record[:place] + bytes((record[place] ^ number & 14,)) + record[place + 1 :]

    return elsewhere


def _record_size(data: bytes, at: int) -> int:
    lengths = data[at + 8 : at + 12].ljust(4, b"\0")
    return _PCAP_HEAD + min(int.from_bytes(lengths, "little"), int.from_bytes(lengths, "big"))


def _changed_record(record: bytes, rng: Random) -> bytes:
    return _changed(record, _PCAP_HEAD, rng)


def _fresh_records(rng: Random) -> list[bytes]:
    return [pcap_record(record) for record in _talk(rng)]


def _block_size(data: bytes, at: int) -> int:
    lengths = data[at + 4 : at + 8].ljust(4, b"\0")
    return max(_BLOCK, min(int.from_bytes(lengths, "little"), int.from_bytes(lengths, "big")))


def _changed_block(record: bytes, rng: Random) -> bytes:
    return _changed(record, rng.choice((_BLOCK, 28)), rng)


def _fresh_blocks(rng: Random) -> list[bytes]:
    kind = rng.randrange(6)
    if kind == 0:
        return [section(), interface(snaplen=rng.choice((0, 60)), resolution=rng.choice((None, 3, 9, 0x8A, 0xFF)))]
    if kind == 1:
        return [interface(rng.choice((1, 101, 113, 0)), offset=rng.choice((None, 5, -5)))]
    return [rng.choice((simple, enhanced))(record) for record in _talk(rng)]


PCAP = Form(lambda _: 23, _record_size, _changed_record, _fresh_records, _elsewhere(_PCAP_HEAD))
"""See ``capture_targets.pcap``: one byte for the magic number, two for the block size, then the rest of the header."""

PCAPNG = Form(
    lambda data: 2 + _block_size(b"\n\r\r\n" + data[2:], 0) - 4,
    _block_size,
    _changed_block,
    _fresh_blocks,
    _elsewhere(28),
)
"""See ``capture_targets.pcapng``: two bytes for the block size replace the type of the first block."""


def _is_pcapng(data: bytes) -> bool:
    return data[1:5] == b"\n\r\r\n"


CAPTURE = Form(
    lambda data: 1 if _is_pcapng(data) else 25, _record_size, _changed_record, _fresh_records, _elsewhere(_PCAP_HEAD)
)
"""See ``audit_targets``: one byte, then a whole file. A pcapng file is not cut into records."""
