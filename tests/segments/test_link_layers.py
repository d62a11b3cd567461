"""Every link layer and tunnel gives the same segment, decoded with struct and with Scapy."""

from __future__ import annotations

import struct
from typing import Literal

import pytest
from captures import (
    ACK,
    CLIENT,
    CLIENT6,
    PSH,
    SERVER,
    SERVER6,
    Record,
    ethernet,
    flow,
    ipv4,
    ipv6,
    pcap,
    tcp,
    udp,
)
from readback import Seen, collector, read, segment_of

from smtpwire.analyzer.segments.ip_tcp import MAX_DEPTH
from smtpwire.analyzer.segments.link_layers import link_name

SEGMENT = tcp(43210, 25, b"QUIT\r\n", seq=7, ack=9)
FOUR, SIX = ipv4(SEGMENT), ipv6(SEGMENT)
FLOW4, FLOW6 = flow(CLIENT, SERVER, 43210, 25), flow(CLIENT6, SERVER6, 43210, 25)
ANY = bytes(8)

DECODERS: list[Literal["raw", "scapy"]] = ["raw", "scapy"]


def sll(kind: int, packet: bytes) -> bytes:
    return struct.pack("!HHH8sH", 0, 1, 6, ANY, kind) + packet


def sll2(kind: int, packet: bytes) -> bytes:
    return struct.pack("!HHIHBB8s", kind, 0, 3, 1, 0, 6, ANY) + packet


TAG = struct.pack("!HH", 7, 0x0800)

PLAIN = {
    "ethernet": (1, ethernet(FOUR), FLOW4),
    "ethernet, IPv6": (1, ethernet(SIX), FLOW6),
    "802.1Q": (1, ethernet(FOUR, tags=[0x8100]), FLOW4),
    "802.1ad": (1, ethernet(FOUR, tags=[0x88A8, 0x8100]), FLOW4),
    "QinQ with 0x9100": (1, ethernet(FOUR, tags=[0x9100, 0x8100]), FLOW4),
    "three tags, IPv6": (1, ethernet(SIX, tags=[0x88A8, 0x8100, 0x8100]), FLOW6),
    "cooked": (113, sll(0x0800, FOUR), FLOW4),
    "cooked, IPv6": (113, sll(0x86DD, SIX), FLOW6),
    "cooked, VLAN": (113, sll(0x8100, TAG + FOUR), FLOW4),
    "cooked v2": (276, sll2(0x0800, FOUR), FLOW4),
    "cooked v2, IPv6": (276, sll2(0x86DD, SIX), FLOW6),
    "cooked v2, VLAN": (276, sll2(0x8100, TAG + FOUR), FLOW4),
    "raw 12": (12, FOUR, FLOW4),
    "raw 14": (14, SIX, FLOW6),
    "raw 101": (101, FOUR, FLOW4),
    "raw 101, IPv6": (101, SIX, FLOW6),
    "raw IPv4": (228, FOUR, FLOW4),
    "raw IPv6": (229, SIX, FLOW6),
    **{
        f"{name}, IPv4, {order}": (link, struct.pack(order + "I", 2) + FOUR, FLOW4)
        for name, link in (("null", 0), ("loop", 108))
        for order in "<>"
    },
    **{
        f"{name}, family {family}, {order}": (link, struct.pack(order + "I", family) + SIX, FLOW6)
        for name, link in (("null", 0), ("loop", 108))
        for family in (10, 23, 24, 26, 28, 30)
        for order in "<>"
    },
    "IPv4 options": (1, ethernet(ipv4(SEGMENT, options=b"\1\x94\4\0\0\1\1\0")), FLOW4),
    "hop-by-hop options": (1, ethernet(ipv6(SEGMENT, extensions=[(0, b"\0\5\2\0\0\1\0")])), FLOW6),
    "routing and destination options": (
        229,
        ipv6(SEGMENT, extensions=[(43, b"\2\0\0" + bytes(4) + bytes(16)), (60, b"\0\1\4" + bytes(4))]),
        FLOW6,
    ),
    "atomic fragment": (1, ethernet(ipv6(SEGMENT, extensions=[(44, b"\0\0\0\0\0\0\7")])), FLOW6),
}

OUTER = ("198.51.100.1", "198.51.100.2")
OUTER6 = ("2001:db8:f::1", "2001:db8:f::2")

# Packets in packets, which can be nested.
NESTED = {
    "GRE": ethernet(ipv4(b"\0\0\x08\0" + FOUR, *OUTER, protocol=47)),
    "GRE over IPv6": ethernet(ipv6(b"\0\0\x08\0" + FOUR, *OUTER6, following=47)),
    "IPv4 in IPv4": ethernet(ipv4(FOUR, *OUTER, protocol=4)),
    "IPv4 in IPv6": ethernet(ipv6(FOUR, *OUTER6, following=4)),
    "IPv4 in IPv4 in VLAN": ethernet(ipv4(FOUR, *OUTER, protocol=4), tags=[0x8100]),
    "IPv4 in GRE in IPv4 in IPv4": ethernet(
        ipv4(ipv4(b"\0\0\x08\0" + ipv4(FOUR, *OUTER, protocol=4), *OUTER, protocol=47), *OUTER, protocol=4)
    ),
}
TUNNELS = {
    "GRE with key and sequence number": ethernet(
        ipv4(b"\x30\0\x08\0" + struct.pack("!II", 99, 1) + FOUR, *OUTER, protocol=47)
    ),
    "Ethernet in GRE": ethernet(ipv4(b"\0\0\x65\x58" + ethernet(FOUR), *OUTER, protocol=47)),
    "VXLAN": ethernet(ipv4(udp(50000, 4789, b"\x08" + bytes(7) + ethernet(FOUR)), *OUTER, protocol=17)),
    "VXLAN over IPv6": ethernet(ipv6(udp(50000, 4789, b"\x08" + bytes(7) + ethernet(FOUR)), *OUTER6, following=17)),
    "VXLAN, Linux port": ethernet(ipv4(udp(50000, 8472, b"\x08" + bytes(7) + ethernet(FOUR)), *OUTER, protocol=17)),
    "VLAN in VXLAN": ethernet(
        ipv4(udp(50000, 4789, b"\x08" + bytes(7) + ethernet(FOUR, tags=[0x8100])), *OUTER, protocol=17)
    ),
    "MPLS, two labels": ethernet(struct.pack("!II", 16 << 12 | 64, 17 << 12 | 256 | 64) + FOUR, 0x8847),
    "Ethernet over MPLS": ethernet(struct.pack("!I", 17 << 12 | 256 | 64) + bytes(4) + ethernet(FOUR), 0x8847),
    "PPPoE": ethernet(struct.pack("!BBHHH", 0x11, 0, 5, len(FOUR) + 2, 0x21) + FOUR, 0x8864),
    "LLC and SNAP": b"\2" * 12 + struct.pack("!H", len(FOUR) + 8) + b"\xaa\xaa\3\0\0\0\x08\0" + FOUR,
}

ICMP = b"\3\1\0\0\0\0\0\0"
ICMP6 = b"\1\4\0\0\0\0\0\0"
NO_TCP = {
    "ARP": ethernet(bytes(28), 0x0806),
    "LLDP": ethernet(b"\2\7\4" + bytes(30), 0x88CC),
    "UDP on port 25": ethernet(ipv4(udp(43210, 25, b"RSET\r\n250 no\r\n"), protocol=17)),
    "UDP over IPv6": ethernet(ipv6(udp(43210, 53, b"x"), following=17)),
    "ICMP that quotes TCP": ethernet(ipv4(ICMP + FOUR, protocol=1)),
    "ICMPv6 that quotes TCP": ethernet(ipv6(ICMP6 + SIX, following=58)),
    "ICMP in GRE that quotes TCP": ethernet(ipv4(b"\0\0\x08\0" + ipv4(ICMP + FOUR, protocol=1), protocol=47)),
    "a runt": ethernet(b"")[:10],
    "no next header": ethernet(ipv6(b"", following=59)),
    "spanning tree": b"\2" * 12 + b"\0\x26\x42\x42\3" + bytes(35),
}


def expected(flow_: bytes) -> Seen:
    return Seen(flow_, 7, 9, PSH | ACK, b"QUIT\r\n", 0, 1, 0)


@pytest.mark.parametrize("decoder_name", DECODERS)
@pytest.mark.parametrize("name", PLAIN)
def test_link_layers_and_options(name: str, decoder_name: Literal["raw", "scapy"]) -> None:
    link_type, frame, flow_ = PLAIN[name]
    assert segment_of(link_type, frame, decoder_name=decoder_name) == expected(flow_)


@pytest.mark.parametrize("name", PLAIN)
def test_link_layers_and_options_need_no_scapy(name: str) -> None:
    link_type, frame, _ = PLAIN[name]
    _, decoder = collector()
    decoder.frame(link_type, 0, frame, len(frame), 1)
    assert (decoder.tally.raw, decoder.tally.scapy) == (1, 0)


@pytest.mark.parametrize("decoder_name", DECODERS)
@pytest.mark.parametrize("padding", [b"", b"\r\nRSET\r\n"])
@pytest.mark.parametrize("name", NESTED)
def test_packets_in_packets(name: str, padding: bytes, decoder_name: Literal["raw", "scapy"]) -> None:
    assert segment_of(1, NESTED[name] + padding, decoder_name=decoder_name) == expected(FLOW4)


@pytest.mark.parametrize("name", NESTED)
def test_packets_in_packets_need_no_scapy(name: str) -> None:
    _, decoder = collector()
    decoder.frame(1, 0, NESTED[name], len(NESTED[name]), 1)
    assert (decoder.tally.raw, decoder.tally.scapy) == (1, 0)


@pytest.mark.parametrize(("depth", "found"), [(MAX_DEPTH, 1), (MAX_DEPTH + 1, 0)])
def test_the_depth_of_packets_in_packets_is_limited(depth: int, found: int) -> None:
    packet = FOUR
    for _ in range(depth):
        packet = ipv4(packet, *OUTER, protocol=4)
    seen, decoder = collector()
    decoder.frame(1, 0, ethernet(packet), len(packet) + 14, 1)
    assert len(seen) == found


@pytest.mark.parametrize("padding", [b"", b"\r\nRSET\r\n"])
@pytest.mark.parametrize("name", TUNNELS)
def test_tunnels_need_no_scapy(name: str, padding: bytes) -> None:
    seen, decoder = collector()
    decoder.frame(1, 0, TUNNELS[name] + padding, len(TUNNELS[name] + padding), 1)
    assert seen == [expected(FLOW4)]
    assert (decoder.tally.raw, decoder.tally.scapy) == (1, 0)


def test_ppp_links() -> None:
    assert segment_of(9, b"\xff\x03\x00\x21" + FOUR) == expected(FLOW4)
    assert segment_of(51, struct.pack("!BBHHH", 0x11, 0, 5, len(FOUR) + 2, 0x21) + FOUR) == expected(FLOW4)


@pytest.mark.parametrize("decoder_name", DECODERS)
@pytest.mark.parametrize("name", NO_TCP)
def test_a_frame_without_tcp_gives_no_segment_and_no_problem(name: str, decoder_name: Literal["raw", "scapy"]) -> None:
    seen, decoder = collector(decoder_name)
    decoder.frame(1, 0, NO_TCP[name], len(NO_TCP[name]), 1)
    assert seen == []
    assert decoder.problems() == []


def test_an_unknown_link_type_is_reported_once() -> None:
    seen, decoder = collector()
    for number in (1, 2, 3):
        decoder.frame(230, 0, ethernet(FOUR), 60, number)
    decoder.frame(147, 0, b"x", 1, 4)
    assert seen == []
    assert decoder.problems() == [
        "link type IEEE802_15_4_NOFCS (230) is not supported: 3 frames were not decoded",
        "link type 147 is not supported: 1 frame was not decoded",
    ]


def test_names_are_those_of_the_registry() -> None:
    assert [link_name(n) for n in (1, 113, 276, 101, 0, 108, 228, 229)] == [
        "EN10MB", "LINUX_SLL", "LINUX_SLL2", "RAW", "NULL", "LOOP", "IPV4", "IPV6",
    ]  # fmt: skip


def test_the_upper_half_of_the_link_type_field_is_ignored(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "fcs.pcap"
    path.write_bytes(pcap([Record(ethernet(FOUR) + b"\1\2\3\4")], link_type=0x24000001))
    result = read(path)
    assert result.capture.link_types == ["EN10MB"]
    assert result.payloads == [b"QUIT\r\n"]
