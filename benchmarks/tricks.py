"""More attacks: unusual sequence numbers, headers and times, and slow repetition."""

from __future__ import annotations

import struct

from attacks import ACK, FIN, PSH, RST, SYN, File, Talk, attack, block, blocks, packet

__all__: list[str] = []

URG = 32
_ENDS = b"\xc6\x33\x64\x01", b"\xc0\x00\x02\x02", 40_000, 25
_BACK = _ENDS[1], _ENDS[0], 25, 40_000


# -- TCP --------------------------------------------------------------------------------------------------------------


@attack("SYNs with always new numbers on one pair of ports", "SYNs", 12_000)
def _syns(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        ends = _BACK if number & 1 else _ENDS
        talk.file.frame(packet(ends, number * 7919, number, SYN | ACK if number & 2 else SYN))
    return talk.c(b"QUIT\r\n").s(b"221 bye\r\n").over()


@attack("FINs at always new places, with data", "FINs", 12_000)
def _fins(n: int) -> bytes:
    talk = Talk().data()
    for number in range(n):
        talk.send("c", FIN | ACK, b"text", ahead=1 + number % 700)
    return talk.c(b".\r\n").over()


@attack("urgent data", "segments", 12_000)
def _urgent(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.send("c", URG | PSH | ACK, b"NOOP\r\n")
        talk.send("s", URG | PSH | ACK, b"250 ok\r\n")
    return talk.over()


@attack("a flood of ACKs", "ACKs", 25_000)
def _acks(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        talk.send("cs"[number & 1], ACK, acks=-(number % 50))
    return talk.c(b"QUIT\r\n").s(b"221 bye\r\n").over()


@attack("a window that stays closed", "probes", 12_000)
def _closed_window(n: int) -> bytes:
    talk = Talk().data()
    for number in range(n):
        talk.send("c", ACK, b"\0" if number & 1 else b"t", ahead=-1 if number & 2 else 1)
        talk.send("s", ACK)
    return talk.c(b"text\r\n.\r\n").s(b"250 ok\r\n").over()


@attack("RSTs that may be forged, between all segments", "segments", 6_000)
def _resets(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.send("c", RST | ACK, ahead=1000, acks=1000)
        talk.send("s", RST, ahead=-1)
        talk.c(b"NOOP\r\n").s(b"250 ok\r\n")
    return talk.over()


@attack("gaps of one side, while no byte of the other side is captured", "gaps", 6_000)
def _gaps(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.seq["c"] += 6
        talk.seq["s"] += 8
        talk.c(b"NOOP\r\n")
        talk.send("s", ACK)
    return talk.over()


@attack("one gap, and answers to every byte of it", "answers", 12_000)
def _answers(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        talk.send("s", PSH | ACK, b"250 ok\r\n", acks=1 + number)
    talk.seq["c"] += n
    return talk.c(b"QUIT\r\n").over()


# -- SMTP -------------------------------------------------------------------------------------------------------------


@attack("BDAT 0 without end", "chunks", 6_000)
def _empty_chunks(n: int) -> bytes:
    talk = Talk().envelope()
    for _ in range(n):
        talk.c(b"BDAT 0\r\n").s(b"250 ok\r\n")
    return talk.c(b"BDAT 0 LAST\r\n").s(b"250 ok\r\n").over()


@attack("STARTTLS, refused each time", "commands", 6_000)
def _refused_tls(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.c(b"STARTTLS\r\nNOOP\r\n").s(b"454 not now\r\n").s(b"250 ok\r\n")
    return talk.over()


@attack("lines that end in a bare CR", "lines", 6_000)
def _bare_cr(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.c(b"NOOP\r").s(b"250 ok\r\n")
    return talk.over()


@attack("EHLO again and again, with a thousand keywords", "replies", 40)
def _keywords(n: int) -> bytes:
    talk = Talk().hello()
    listed = b"".join(b"250-X%d\r\n" % number for number in range(1000))
    for _ in range(n):
        talk.c(b"EHLO client.example\r\n").s(listed + b"250 SIZE 1\r\n")
    return talk.over()


@attack("8-bit bytes in every place", "commands", 3_000)
def _eight_bit(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.c(b"M\xc3\xa4IL FROM:<\xff@\xfe> X=\xfd\r\n").s(b"250-\xff\r\n250 \xfe\r\n")
        talk.c(b"RCPT TO:<\xff@\xfe>\r\n").s(b"250 \xff\r\n")
    return talk.over()


# -- headers ----------------------------------------------------------------------------------------------------------


def _ipv6(following: int, payload: bytes, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return b"\x60\0\0\0" + struct.pack("!HBB", size, following, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + payload


@attack("IPv6 jumbograms", "frames", 6_000)
def _jumbograms(n: int) -> bytes:
    file = File()
    segment = struct.pack("!HHIIBBHHH", 40_000, 25, 1, 1, 0x50, PSH | ACK, 65_535, 0, 0) + b"NOOP\r\n"
    for number in range(n):
        option = struct.pack("!BBBBI", 6, 0, 0xC2, 4, 0xFFFFFFFF - number)
        file.frame(bytes(12) + b"\x86\xdd" + _ipv6(0, option + segment, 0))
    return file.done()


@attack("chains of IPv6 extension headers", "frames", 20)
def _extensions(n: int) -> bytes:
    file = File()
    chain = b"".join(bytes((kind, 0, 1, 4, 0, 0, 0, 0)) for kind in (60, 43) * 4000)
    for _ in range(n):
        file.frame(bytes(12) + b"\x86\xdd" + _ipv6(60, chain))
    return file.done()


@attack("GRE in GRE in GRE", "frames", 3_000)
def _gre(n: int) -> bytes:
    file = File()
    inner = b""
    for _ in range(30):
        inner = b"\0\0\x08\0" + b"\x45\0" + struct.pack("!HIBBH", 20 + len(inner), 0, 64, 47, 0) + bytes(8) + inner
    for _ in range(n):
        file.frame(bytes(12) + b"\x86\xdd" + _ipv6(47, inner))
    return file.done()


@attack("lengths that contradict one another", "frames", 12_000)
def _lengths(n: int) -> bytes:
    file = File()
    whole = packet(_ENDS, 1, 1, PSH | ACK, b"NOOP\r\n")
    for number in range(n):
        frame = bytearray(whole)
        frame[16:18] = struct.pack("!H", (0, 20, 39, 40, 65_535)[number % 5])  # of the IP packet
        frame[46] = (0x00, 0x40, 0x50, 0xF0)[number // 5 % 4]  # of the TCP header
        frame[14] = (0x45, 0x40, 0x4F)[number // 20 % 3]  # of the IP header
        file.frame(bytes(frame))
    return file.done()


# -- files ------------------------------------------------------------------------------------------------------------


@attack("times of every year and resolution", "interfaces", 3_000)
def _times(n: int) -> bytes:
    parts = []
    frame = packet(_ENDS, 1, 1, PSH | ACK, b"NOOP\r\n")
    body = frame + bytes(-len(frame) % 4)
    for number in range(n):
        resolution = struct.pack("<HHB3x", 9, 1, (0, 6, 9, 10, 20, 127, 128, 160, 191, 255)[number % 10])
        offset = struct.pack("<HHq", 14, 8, (0, -1, 1 << 62, -(1 << 63), (1 << 63) - 1)[number // 10 % 5])
        parts.append(block(1, struct.pack("<HHI", 1, 0, 0) + resolution + offset + bytes(4)))
        high, low = ((0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x80000000, 0), (0x5E000, 7))[number // 50 % 4]
        parts.append(block(6, struct.pack("<5I", number, high, low, len(frame), len(frame)) + body))
    return blocks(parts)
