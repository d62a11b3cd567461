"""Build captures for tests: segments, packets around them, files around those.

Uses only the standard library and no smtpwire code: the code under test must not produce its own test data. Every
function returns bytes, from the inside out::

    segment = tcp(43210, 25, b"QUIT\\r\\n", seq=7)
    frame = ethernet(ipv4(segment))
    path.write_bytes(pcap([Record(frame, 1_000_000_000)]))

Addresses are those of RFC 5737 and RFC 3849; ``CLIENT`` and ``SERVER`` (``CLIENT6``, ``SERVER6``) are the defaults.
"""

from __future__ import annotations

import struct
from socket import AF_INET6, inet_aton, inet_pton
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "ACK",
    "CLIENT",
    "CLIENT6",
    "FIN",
    "PSH",
    "RST",
    "SERVER",
    "SERVER6",
    "START",
    "SYN",
    "Conversation",
    "Record",
    "block",
    "enhanced",
    "ethernet",
    "flow",
    "interface",
    "ipv4",
    "ipv4_fragments",
    "ipv6",
    "ipv6_fragments",
    "option",
    "pcap",
    "pcap_record",
    "pcapng",
    "section",
    "simple",
    "superseded",
    "tcp",
    "udp",
]

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

CLIENT, SERVER = "192.0.2.1", "192.0.2.2"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"

START = 1_767_323_045_123_456_000
"""2026-01-02T03:04:05.123456Z in nanoseconds."""

Order = Literal["<", ">"]


class Record(NamedTuple):
    """One frame of a file. ``original``: its length on the wire, if that is not the length of ``data``."""

    data: bytes
    time_ns: int = START
    original: int | None = None

    @property
    def length(self) -> int:
        return len(self.data) if self.original is None else self.original


def _address(address: str) -> bytes:
    return inet_pton(AF_INET6, address) if ":" in address else inet_aton(address)


def flow(source: str, target: str, source_port: int, target_port: int) -> bytes:
    """Return the first argument of a ``SegmentSink``."""
    return _address(source) + _address(target) + struct.pack("!HH", source_port, target_port)


# -- headers ----------------------------------------------------------------------------------------------------------


def tcp(
    source: int,
    target: int,
    payload: bytes = b"",
    *,
    seq: int = 1,
    ack: int = 1,
    flags: int = PSH | ACK,
    options: bytes = b"",
) -> bytes:
    """Return a TCP segment with checksum 0, as on a host with offload. ``options`` are padded to 32 bits."""
    options += bytes(-len(options) % 4)
    words = (20 + len(options)) << 2
    return struct.pack("!HHIIBBHHH", source, target, seq, ack, words, flags, 65535, 0, 0) + options + payload


def udp(source: int, target: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def ipv4(
    body: bytes,
    source: str = CLIENT,
    target: str = SERVER,
    *,
    protocol: int = 6,
    total: int | None = None,
    options: bytes = b"",
    identification: int = 0,
    fragment: int = 0x4000,
) -> bytes:
    """Return an IPv4 packet. ``total``: the length in its header, if not its own. ``fragment``: flags and offset."""
    head = 20 + len(options)
    if total is None:
        total = head + len(body)
    start = struct.pack("!BBHHHBBH", 0x40 | head // 4, 0, total, identification, fragment, 64, protocol, 0)
    return start + _address(source) + _address(target) + options + body


def ipv6(
    body: bytes,
    source: str = CLIENT6,
    target: str = SERVER6,
    *,
    following: int = 6,
    length: int | None = None,
    extensions: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """Return an IPv6 packet. ``extensions``: (number, content after the next header field), outermost first."""
    chain, after = b"", following
    for number, content in reversed(extensions):
        chain, after = bytes((after,)) + content + chain, number
    if length is None:
        length = len(chain) + len(body)
    start = struct.pack("!IHBB", 6 << 28, length, after, 64)
    return start + _address(source) + _address(target) + chain + body


def ipv4_fragments(body: bytes, size: int, *, identification: int = 7, protocol: int = 6) -> list[bytes]:
    """Return the packet of ``body`` in fragments of ``size`` bytes, a multiple of 8."""
    return [
        ipv4(
            body[at : at + size],
            protocol=protocol,
            identification=identification,
            fragment=(0x2000 if at + size < len(body) else 0) | at // 8,
        )
        for at in range(0, len(body), size)
    ]


def ipv6_fragments(body: bytes, size: int, *, identification: int = 7) -> list[bytes]:
    """Do the same for IPv6."""
    return [
        ipv6(
            body[at : at + size],
            extensions=[(44, struct.pack("!xHI", at | (at + size < len(body)), identification))],
        )
        for at in range(0, len(body), size)
    ]


def ethernet(packet: bytes, kind: int | None = None, tags: Iterable[int] = ()) -> bytes:
    """Return an Ethernet frame. ``kind``: EtherType, else that of the packet. ``tags``: VLAN types, outermost first."""
    if kind is None:
        kind = 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800
    around = b"".join(struct.pack("!HH", tag, 7) for tag in tags)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2" + around + struct.pack("!H", kind) + packet


# -- pcap -------------------------------------------------------------------------------------------------------------


def pcap_record(record: Record, order: Order = "<", unit: int = 1000, extra: bytes = b"") -> bytes:
    """Return one record. ``unit``: nanoseconds in a tick. ``extra``: bytes after the header in a modified format."""
    seconds, rest = divmod(record.time_ns, 1_000_000_000)
    head = struct.pack(order + "4I", seconds, rest // unit, len(record.data), record.length)
    return head + extra + record.data


def pcap(
    records: Iterable[Record | bytes],
    link_type: int = 1,
    order: Order = "<",
    magic: int = 0xA1B2C3D4,
    extra: bytes = b"",
) -> bytes:
    """Return a classic pcap file. The magic number gives the unit of time. Bare bytes are frames at ``START``."""
    unit = 1 if magic == 0xA1B23C4D else 1000
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)
    return head + b"".join(pcap_record(_record(r), order, unit, extra) for r in records)


def _record(record: Record | bytes) -> Record:
    return record if isinstance(record, Record) else Record(record)


# -- pcapng -----------------------------------------------------------------------------------------------------------


def block(kind: int, body: bytes, order: Order = "<") -> bytes:
    """Return a pcapng block of any kind: type, length, body padded to 32 bits, length."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def option(code: int, value: bytes, order: Order = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: Order = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    link_type: int = 1, resolution: int | None = None, offset: int | None = None, snaplen: int = 0, order: Order = "<"
) -> bytes:
    """Return an interface description. ``resolution``, ``offset``: if_tsresol and if_tsoffset, omitted if None."""
    body = struct.pack(order + "HHI", link_type, 0, snaplen) + option(2, b"eth0", order)
    if resolution is not None:
        body += option(9, bytes((resolution,)), order)
    if offset is not None:
        body += option(14, struct.pack(order + "q", offset), order)
    return block(1, body + option(0, b"", order), order)


def enhanced(
    record: Record, number: int = 0, ticks: int | None = None, order: Order = "<", comment: bytes = b""
) -> bytes:
    """Return an enhanced packet block of interface ``number``. ``ticks``: time, else the record's in microseconds."""
    ticks = record.time_ns // 1000 if ticks is None else ticks
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(record.data), record.length)
    body = head + record.data + bytes(-len(record.data) % 4)
    if comment:
        body += option(1, comment, order) + option(0, b"", order)
    return block(6, body, order)


def simple(record: Record, order: Order = "<") -> bytes:
    """Return a simple packet block, which has no time."""
    return block(3, struct.pack(order + "I", record.length) + record.data, order)


def superseded(record: Record, number: int = 0, order: Order = "<") -> bytes:
    """Return an obsolete packet block."""
    ticks = record.time_ns // 1000
    lengths = len(record.data), record.length
    return block(
        2, struct.pack(order + "HHIIII", number, 0, ticks >> 32, ticks & 0xFFFFFFFF, *lengths) + record.data, order
    )


def pcapng(records: Iterable[Record | bytes], link_type: int = 1, order: Order = "<") -> bytes:
    """Return a plain pcapng file: one section, one interface, enhanced packet blocks."""
    packets = (enhanced(_record(r), order=order) for r in records)
    return section(order) + interface(link_type, order=order) + b"".join(packets)


# -- conversations ----------------------------------------------------------------------------------------------------


class Conversation:
    """Builds the frames of one TCP connection, with correct sequence numbers, a millisecond apart::

    talk = Conversation().open()
    talk.server(b"220 mx ESMTP\\r\\n")
    talk.client(b"QUIT\\r\\n")
    path.write_bytes(pcap(talk.close().records))
    """

    def __init__(self, port: int = 43210, server_port: int = 25, start_ns: int = START) -> None:
        self.records: list[Record] = []
        self._ports = {"client": port, "server": server_port}
        self._next = {"client": 1000, "server": 5000}
        self._time_ns = start_ns

    def open(self) -> Conversation:
        """Add the three-way handshake."""
        self._send("client", flags=SYN)
        self._send("server", flags=SYN | ACK)
        return self._send("client", flags=ACK)

    def client(self, payload: bytes) -> Conversation:
        return self._send("client", payload)

    def server(self, payload: bytes) -> Conversation:
        return self._send("server", payload)

    def finish(self, side: Literal["client", "server"]) -> Conversation:
        """Add the FIN of one side."""
        return self._send(side, flags=FIN | ACK)

    def close(self) -> Conversation:
        """Add the FIN of the client, then of the server."""
        self._send("client", flags=FIN | ACK)
        self._send("server", flags=FIN | ACK)
        return self._send("client", flags=ACK)

    def _send(self, side: Literal["client", "server"], payload: bytes = b"", flags: int = PSH | ACK) -> Conversation:
        peer = "server" if side == "client" else "client"
        ack = self._next[peer] if flags & ACK else 0
        segment = tcp(self._ports[side], self._ports[peer], payload, seq=self._next[side], ack=ack, flags=flags)
        addresses = (CLIENT, SERVER) if side == "client" else (SERVER, CLIENT)
        self.records.append(Record(ethernet(ipv4(segment, *addresses)), self._time_ns))
        self._next[side] += len(payload) + bool(flags & SYN) + bool(flags & FIN)
        self._time_ns += 1_000_000
        return self
