"""Attacks on an auditor as capture files of any size; `robustness` measures and draws them."""

# Every attack is a function that returns a file for a number. Twice the number gives about twice the file. So time over
# the number shows if the audit is linear, and memory over the number shows if it is bounded.

from __future__ import annotations

import gzip
import struct
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "ACK",
    "ATTACKS",
    "FIN",
    "PSH",
    "RST",
    "SYN",
    "Attack",
    "File",
    "Talk",
    "attack",
    "block",
    "blocks",
    "packet",
]

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_CLIENT, _SERVER = b"\xc6\x33\x64\x01", b"\xc0\x00\x02\x02"
_M32 = 0xFFFFFFFF
_SEGMENT = 1400


class Attack(NamedTuple):
    """An attack: ``what`` is its unit, ``base`` its smallest number, and ``make`` returns the file for a number."""

    name: str
    what: str
    base: int
    make: Callable[[int], bytes]


ATTACKS: list[Attack] = []


def attack(name: str, what: str, base: int) -> Callable[[Callable[[int], bytes]], Callable[[int], bytes]]:
    """Return a decorator that adds a function to ``ATTACKS``."""

    def declare(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        ATTACKS.append(Attack(name, what, base, make))
        return make

    return declare


# -- files ------------------------------------------------------------------------------------------------------------

_frame = struct.Struct("!12sHBBHHHBBH4s4sHHIIBBHHH").pack
_record = struct.Struct("<4I").pack
_PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)


def packet(ends: tuple[bytes, bytes, int, int], seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    """Return an Ethernet frame with a TCP segment. ``ends``: the addresses and ports of source and destination."""
    numbers = seq & _M32, ack & _M32
    ip = 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0
    return _frame(bytes(12), 0x0800, *ip, *ends[:2], *ends[2:], *numbers, 0x50, flags, 65_535, 0, 0) + payload


class File:
    """A pcap file that is being built, with a frame every 10 microseconds."""

    def __init__(self) -> None:
        self._parts = [_PCAP]
        self._ticks = 0

    def frame(self, data: bytes) -> None:
        self._ticks += 10
        seconds, rest = divmod(self._ticks, 1_000_000)
        self._parts += (_record(1_700_000_000 + seconds, rest, len(data), len(data)), data)

    def done(self) -> bytes:
        return b"".join(self._parts)


class Talk:
    """One connection in a file. ``c`` and ``s`` send bytes of the client and the server, cut into segments."""

    def __init__(
        self, file: File | None = None, port: int = 40_000, first: int = 1000, source: bytes = _CLIENT
    ) -> None:
        self.file = file or File()
        self._ends = source, _SERVER, port, 25
        self.seq = {"c": first, "s": 5000}
        self.send("c", SYN)
        self.send("s", SYN | ACK)

    def send(self, side: str, flags: int, payload: bytes = b"", ahead: int = 0, acks: int = 0) -> None:
        """Send one segment. Its sequence number is ``ahead`` bytes after the next one of the side; 0 means the next
        one, which then advances. Its ACK number is ``acks`` bytes after the last byte that the peer sent."""
        source, target, port, other = self._ends
        ends = (source, target, port, other) if side == "c" else (target, source, other, port)
        peer = "s" if side == "c" else "c"
        self.file.frame(packet(ends, self.seq[side] + ahead, self.seq[peer] + acks, flags, payload))
        if not ahead:
            self.seq[side] += len(payload) + bool(flags & (SYN | FIN))

    def _say(self, side: str, data: bytes, size: int) -> Talk:
        for at in range(0, len(data), size):
            self.send(side, PSH | ACK, data[at : at + size])
        return self

    def c(self, data: bytes, size: int = _SEGMENT) -> Talk:
        return self._say("c", data, size)

    def s(self, data: bytes, size: int = _SEGMENT) -> Talk:
        return self._say("s", data, size)

    def hello(self) -> Talk:
        self.s(b"220 mx.example ESMTP\r\n").c(b"EHLO client.example\r\n")
        return self.s(b"250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n")

    def envelope(self) -> Talk:
        self.hello().c(b"MAIL FROM:<a@client.example>\r\n").s(b"250 ok\r\n")
        return self.c(b"RCPT TO:<b@mx.example>\r\n").s(b"250 ok\r\n")

    def data(self) -> Talk:
        return self.envelope().c(b"DATA\r\n").s(b"354 go\r\n")

    def over(self) -> bytes:
        self.send("c", FIN | ACK)
        self.send("s", FIN | ACK)
        return self.file.done()


def _address(number: int) -> bytes:
    return (0x0A000000 + number).to_bytes(4, "big")


# -- TCP --------------------------------------------------------------------------------------------------------------


@attack("SYN flood", "SYNs", 25_000)
def _syn_flood(n: int) -> bytes:
    file = File()
    for number in range(n):
        file.frame(packet((_address(number), _SERVER, 1024 + number % 60_000, 25), number * 977, 0, SYN))
    return file.done()


@attack("handshakes and nothing else", "connections", 8_000)
def _handshakes(n: int) -> bytes:
    file = File()
    for number in range(n):
        Talk(file, source=_address(number))
    return file.done()


@attack("hosts that never close", "connections", 4_000)
def _never_close(n: int) -> bytes:
    file = File()
    for number in range(n):
        Talk(file, source=_address(number)).s(b"220 mx.example ESMTP\r\n")
    return file.done()


@attack("connections of one byte on any port", "connections", 8_000)
def _one_byte(n: int) -> bytes:
    file = File()
    for number in range(n):
        file.frame(packet((_address(number), _SERVER, 40_000, 1024 + number % 30_000), 1, 1, ACK, b"E"))
    return file.done()


@attack("segments far ahead", "segments", 12_000)
def _far_ahead(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        talk.send("c", ACK, b"NOOP\r\n", ahead=1 + (number * 7919) % (1 << 29))
    return talk.over()


@attack("a gap that is never filled", "segments", 12_000)
def _gap(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        talk.send("c", ACK, b"x" * 100, ahead=10 + number * 100)
    return talk.over()


@attack("gaps in many connections", "connections", 250)
def _gaps_in_many(n: int) -> bytes:
    file = File()
    talks = [Talk(file, port=1024 + number % 60_000, source=_address(number)).hello() for number in range(n)]
    for talk in talks:
        for place in range(70):
            talk.send("c", ACK, b"x" * _SEGMENT, ahead=1 + place * _SEGMENT)
    return file.done()


@attack("incomplete lines in many connections", "connections", 400)
def _incomplete_in_many(n: int) -> bytes:
    file = File()
    for number in range(n):
        Talk(file, port=1024 + number % 60_000, source=_address(number)).hello().c(b"x" * 60_000)
    return file.done()


@attack("endless reordering", "segments", 12_000)
def _reordering(n: int) -> bytes:
    talk = Talk().data()
    for _ in range(n // 2):
        talk.send("c", ACK, b"bbbbbbb\r\n", ahead=9)
        talk.send("c", ACK, b"aaaaaaa\r\n")
        talk.seq["c"] += 9
    return talk.over()


@attack("retransmissions with other bytes", "segments", 12_000)
def _conflicts(n: int) -> bytes:
    talk = Talk().data().c(b"0123456789" * 200)
    for number in range(n):
        talk.send("c", ACK, b"%06d" % number, ahead=-1000)
    return talk.over()


@attack("overlaps after a gap", "segments", 4_000)
def _overlaps(n: int) -> bytes:
    talk = Talk().data()
    for number in range(n):
        if number < 1000:
            talk.send("c", ACK, b"x", ahead=11 + 2 * number)
        else:
            talk.send("c", ACK, bytes((97 + number % 26,)) * 1400, ahead=11 + number % 500)
    return talk.over()


@attack("RSTs with wrong numbers", "segments", 12_000)
def _resets(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        talk.send("c", RST, ahead=(1 << 21) + (number * 7919) % (1 << 31))
    return talk.c(b"QUIT\r\n").s(b"221 bye\r\n").over()


@attack("RSTs inside the window", "segments", 12_000)
def _near_resets(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        talk.send("c", RST, ahead=2 + number % 60_000)
    return talk.c(b"QUIT\r\n").s(b"221 bye\r\n").over()


@attack("a message in segments of one byte", "bytes", 12_000)
def _tiny(n: int) -> bytes:
    return Talk().data().c((b"hello, this is a line\r\n" * (n // 20))[:n] + b"\r\n.\r\n", 1).s(b"250 ok\r\n").over()


@attack("a line in segments of one byte", "bytes", 12_000)
def _tiny_line(n: int) -> bytes:
    return Talk().hello().c(b"\x16" + b"x" * n, 1).over()


@attack("ACKs of bytes that were never sent", "segments", 12_000)
def _acks(n: int) -> bytes:
    talk = Talk().data()
    for number in range(n):
        talk.send("c", ACK, b"hello\r\n", acks=1 + number % 1000)
    return talk.over()


@attack("segments held for bytes that never arrive", "segments", 3_000)
def _waiting(n: int) -> bytes:
    talk = Talk().data()
    for _ in range(n):
        talk.send("c", ACK, b"x" * _SEGMENT, acks=50)
        talk.send("s", ACK)
        talk.seq["s"] += 0
    return talk.over()


@attack("sequence numbers that wrap", "segments of 32 KB", 400)
def _wrap(n: int) -> bytes:
    return Talk(first=_M32 - 1000).data().c(b"hello\r\n" * (n * 4096), 28_000).c(b"\r\n.\r\n").s(b"250 ok\r\n").over()


@attack("one connection after the other on the same ports", "connections", 3_000)
def _reuse(n: int) -> bytes:
    file = File()
    for number in range(n):
        Talk(file, first=number * 100_003).s(b"220 mx.example ESMTP\r\n")
    return file.done()


# -- SMTP -------------------------------------------------------------------------------------------------------------


@attack("a command line without end", "KB", 1_000)
def _line(n: int) -> bytes:
    return Talk().hello().c(b"A" * (n << 10)).over()


@attack("a server line without end", "KB", 1_000)
def _server_line(n: int) -> bytes:
    return Talk().s(b"220 " + b"A" * (n << 10)).over()


@attack("a reply without end", "lines", 100_000)
def _reply(n: int) -> bytes:
    return Talk().s(b"220-mx.example\r\n" * n).over()


@attack("lines without a code inside a reply", "lines", 100_000)
def _reply_garbage(n: int) -> bytes:
    return Talk().s(b"220-mx.example\r\n" + b"and so on and so on\r\n" * n).over()


@attack("server lines that are no replies", "lines", 12_000)
def _malformed(n: int) -> bytes:
    return Talk().s(b"hello there\r\n" * n).over()


@attack("replies without a command", "replies", 12_000)
def _unexpected_replies(n: int) -> bytes:
    return Talk().hello().s(b"250 ok\r\n" * n).over()


@attack("pipelined commands without an answer", "commands", 12_000)
def _pipelined(n: int) -> bytes:
    return Talk().hello().c(b"NOOP\r\n" * n).over()


@attack("pipelined commands, answered at the end", "commands", 6_000)
def _pipelined_answered(n: int) -> bytes:
    return Talk().hello().c(b"RSET\r\n" * n).s(b"250 ok\r\n" * n).over()


@attack("pipelined MAIL, answered 503 and 250 alternately", "commands", 6_000)
def _pipelined_mail(n: int) -> bytes:
    return Talk().hello().c(b"MAIL FROM:<a@b.example>\r\n" * n).s(b"503 no\r\n250 ok\r\n" * (n // 2)).over()


@attack("pipelined DATA, each refused", "commands", 3_000)
def _pipelined_data(n: int) -> bytes:
    return Talk().hello().c(b"DATA\r\n" * n).s(b"503 no\r\n" * n).over()


@attack("pipelined DATA, one in each segment", "commands", 3_000)
def _pipelined_data_apart(n: int) -> bytes:
    return Talk().hello().c(b"DATA\r\n" * n, 6).s(b"503 no\r\n" * n, 8).over()


@attack("bare LF, each answered", "lines", 3_000)
def _bare_lf(n: int) -> bytes:
    return Talk().hello().c(b"NOOP\n" * n).s(b"250 ok\r\n" * n, 8).over()


@attack("unknown verbs", "commands", 6_000)
def _unknown(n: int) -> bytes:
    talk = Talk().hello()
    for number in range(n):
        talk.c(b"X%d\r\n" % number if number % 2 else b"\xff%d\r\n" % number).s(b"500 what\r\n")
    return talk.over()


@attack("commands that break many rules", "commands", 3_000)
def _broken(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.c(b"mail from: \0<@:\xe9 b@>  SIZE=x SIZE =y  BODY\n\r \r\n").s(b"25\xff0-x\n999 \0\r\n")
    return talk.over()


@attack("recipients of one message", "recipients", 6_000)
def _recipients(n: int) -> bytes:
    talk = Talk().hello().c(b"MAIL FROM:<a@client.example>\r\n").s(b"250 ok\r\n")
    for number in range(n):
        talk.c(b"RCPT TO:<%d@mx.example>\r\n" % number).s(b"250 ok\r\n")
    return talk.c(b"DATA\r\n").s(b"354 go\r\n").c(b"Subject: x\r\n\r\nx\r\n.\r\n").s(b"250 ok\r\n").over()


@attack("messages in one connection", "messages", 1_500)
def _messages(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.c(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n")
        talk.s(b"250 ok\r\n250 ok\r\n354 go\r\n").c(b"Subject: x\r\n\r\nx\r\n.\r\n").s(b"250 ok\r\n")
    return talk.over()


@attack("a message without end", "KB", 2_000)
def _message(n: int) -> bytes:
    return Talk().data().c(b"From: a@b.example\r\n\r\n" + b"Lorem ipsum dolor sit amet\r\n" * (n * 36), 28_000).over()


@attack("a message of bare newlines and dots", "KB", 200)
def _dots(n: int) -> bytes:
    return Talk().data().c(b"\r\n" + b".\n\r.\r\r\n..\0.\r\n\n.\n" * (n * 53), 28_000).over()


@attack("a message of NULs and bytes above 127", "KB", 1_000)
def _nuls(n: int) -> bytes:
    return Talk().data().c(b"\r\n\r\n" + bytes(range(256)) * (n * 4), 28_000).over()


@attack("a header without end", "KB", 500)
def _header(n: int) -> bytes:
    return (
        Talk()
        .data()
        .c(b"Received: from a by b\r\n\tfor c\r\n" * (n * 33), 28_000)
        .c(b"\r\n.\r\n")
        .s(b"250 ok\r\n")
        .over()
    )


@attack("MIME parts without end", "KB", 500)
def _mime(n: int) -> bytes:
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    part = b"--b\r\nContent-Transfer-Encoding: base64\r\nContent-Type: multipart/x; boundary=b\r\n\r\n!!!=A\r\n"
    return Talk().data().c(head + part * (n * 11), 28_000).c(b"\r\n.\r\n").s(b"250 ok\r\n").over()


@attack("BDAT of 2 to the 64", "KB", 1_000)
def _bdat_huge(n: int) -> bytes:
    return Talk().envelope().c(b"BDAT 18446744073709551616\r\n").c(b"x" * (n << 10)).over()


@attack("BDAT chunks of one octet", "chunks", 6_000)
def _bdat_small(n: int) -> bytes:
    return Talk().envelope().c(b"BDAT 1\r\nx" * n).s(b"250 ok\r\n" * n).over()


@attack("an AUTH line without end", "KB", 1_000)
def _auth_line(n: int) -> bytes:
    return (
        Talk()
        .hello()
        .c(b"AUTH LOGIN\r\n")
        .s(b"334 VXNlcm5hbWU6\r\n")
        .c(b"A" * (n << 10) + b"\r\n")
        .s(b"535 no\r\n")
        .over()
    )


@attack("an AUTH exchange without end", "lines", 6_000)
def _auth(n: int) -> bytes:
    talk = Talk().hello().c(b"AUTH LOGIN\r\n").s(b"334 \r\n")
    for _ in range(n):
        talk.c(b"YWJj\r\n").s(b"334 \r\n")
    return talk.over()


@attack("NULs as commands", "KB", 500)
def _nul_commands(n: int) -> bytes:
    return Talk().hello().c((b"\0" * 998 + b"\r\n") * n).s(b"500 no\r\n" * n).over()


@attack("bytes of the server that are lost", "gaps", 3_000)
def _gaps(n: int) -> bytes:
    talk = Talk().hello()
    for _ in range(n):
        talk.seq["s"] += 8  # a reply that is missing from the capture
        for _ in range(10):
            talk.c(b"NOOP\r\n")
    return talk.over()


# -- packets and files ------------------------------------------------------------------------------------------------


@attack("fragments that never become whole", "fragments", 12_000)
def _fragments(n: int) -> bytes:
    file = File()
    for number in range(n):
        whole = packet((_address(number >> 16), _SERVER, 40_000, 25), 1, 1, ACK, b"x" * 24)
        file.frame(whole[:18] + struct.pack("!HH", number & 0xFFFF, 0x2000) + whole[22:])
    return file.done()


@attack("fragments of one datagram, endlessly", "fragments", 12_000)
def _same_fragment(n: int) -> bytes:
    file = File()
    whole = packet((_CLIENT, _SERVER, 40_000, 25), 1, 1, ACK, b"x" * 24)
    for number in range(n):
        file.frame(whole[:18] + struct.pack("!HH", 7, 0x2000 | (number * 5 % 8000 + 1)) + whole[22:])
    return file.done()


@attack("packets in packets in packets", "frames", 6_000)
def _tunnels(n: int) -> bytes:
    file = File()
    inner = b""
    for depth in range(30):
        inner = (
            struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 0, 0, 64, 4 if depth else 6, 0)
            + _CLIENT
            + _SERVER
            + inner
        )
    for _ in range(n):
        file.frame(bytes(12) + b"\x08\x00" + inner)
    return file.done()


@attack("frames of ever new EtherTypes", "frames", 12_000)
def _kinds(n: int) -> bytes:
    file = File()
    for number in range(n):
        file.frame(bytes(12) + struct.pack("!H", 0x9A00 + number % 0x6000) + bytes(60))
    return file.done()


@attack("chains of labels, tags and options of tunnels", "frames", 3_000)
def _labels(n: int) -> bytes:
    file = File()
    for _ in range(n):
        file.frame(bytes(12) + b"\x88\x47" + bytes((0, 1, 0, 64)) * 300)
        file.frame(bytes(12) + b"\x81\x00" + b"\0\1\x81\x00" * 300)
    return file.done()


@attack("lines that are sent again with other bytes", "lines", 6_000)
def _other_bytes(n: int) -> bytes:
    talk = Talk()
    talk.send("s", PSH | ACK, b"220 mx.example ESMTP\r\n")
    for _ in range(n):
        talk.send("c", PSH | ACK, b"NOOP abc\r\n")
        talk.send("c", PSH | ACK, b"NOOP xyz\r\n", ahead=-10)
        talk.send("s", PSH | ACK, b"250 ok\r\n")
    return talk.file.done()


@attack("resets whose receiver goes on", "connections", 3_000)
def _refused_resets(n: int) -> bytes:
    file = File()
    for number in range(n):
        talk = Talk(file, 1024 + number % 60_000)
        talk.send("s", PSH | ACK, b"220 mx.example ESMTP\r\n")
        talk.send("c", RST)
        talk.send("c", PSH | ACK, b"NOOP\r\n")
        talk.send("s", PSH | ACK, b"250 ok\r\n")
    return file.done()


@attack("segments with far numbers from both sides", "segments", 12_000)
def _strangers(n: int) -> bytes:
    talk = Talk()
    talk.send("s", PSH | ACK, b"220 mx.example ESMTP\r\n")
    for number in range(1, n + 1):
        side = "c" if number & 1 else "s"
        far = number * 0x1234567 % 0x60000000 + 0x10000000
        talk.send(side, PSH | ACK, b"250 ok\r\n", ahead=far, acks=far // 2 + 0x8000000)
    return talk.file.done()


@attack("a gzip bomb", "MB of zeros", 16)
def _bomb(n: int) -> bytes:
    head = _PCAP + struct.pack("<4I", 0, 0, 1 << 20, 1 << 20)
    return gzip.compress(head, mtime=0) + gzip.compress(bytes(1 << 20) + head[24:], mtime=0) * n


@attack("gzip members with nothing in them", "members", 12_000)
def _members(n: int) -> bytes:
    return gzip.compress(_PCAP, mtime=0) + gzip.compress(b"", mtime=0) * n


@attack("records of 2 GB", "records", 12_000)
def _huge_records(n: int) -> bytes:
    return _PCAP + struct.pack("<4I", 0, 0, 1 << 31, 1 << 31) * n


@attack("records without a byte", "records", 25_000)
def _empty_records(n: int) -> bytes:
    return _PCAP + _record(1, 1, 0, 0) * n


def block(kind: int, body: bytes) -> bytes:
    """Return a pcapng block."""
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


_SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
_INTERFACE = block(1, struct.pack("<HHI", 1, 0, 0))


def blocks(parts: Iterable[bytes]) -> bytes:
    """Return a pcapng file: one section, one interface, then ``parts``."""
    return _SECTION + _INTERFACE + b"".join(parts)


@attack("sections without end", "sections", 12_000)
def _sections(n: int) -> bytes:
    return blocks([_SECTION + _INTERFACE] * n)


@attack("interfaces without end", "interfaces", 6_000)
def _interfaces(n: int) -> bytes:
    return blocks([_INTERFACE] * n)


@attack("interfaces with always new link types", "interfaces", 4_000)
def _link_types(n: int) -> bytes:
    body = struct.pack("<III", 0, 0, 4) + struct.pack("<I", 4) + b"abcd"
    return blocks(
        block(1, struct.pack("<HHI", number & 0xFFFF, 0, 0)) + block(6, struct.pack("<I", number + 1) + body)
        for number in range(n)
    )


@attack("options without end", "KB", 250)
def _options(n: int) -> bytes:
    return blocks([block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HH", 1, 0) * 256)] * n)


@attack("blocks of unknown types", "blocks", 12_000)
def _unknown_blocks(n: int) -> bytes:
    return blocks(block(kind, b"abcd") for kind, _ in zip(count(0x1000), range(n), strict=False))
