"""Put an IPv4 packet into every encapsulation of the table of headers, to measure and to test each row."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack

__all__ = ["ENCAPSULATIONS", "FAST", "Wrap", "over_ip", "over_udp", "under_ethernet"]

Wrap = Callable[[bytes], bytes]

_ADDRESSES = bytes((2, 0, 0, 0, 0, 25, 2, 0, 0, 0, 0, 10))
_HOSTS = bytes((203, 0, 113, 1, 203, 0, 113, 2))
_HOSTS6 = bytes((0x20, 1, 0xD, 0xB8, *bytes(11), 1, 0x20, 1, 0xD, 0xB8, *bytes(11), 2))


def under_ethernet(packet: bytes, kind: int = 0x0800) -> bytes:
    """Return an Ethernet frame."""
    return _ADDRESSES + pack("!H", kind) + packet


def over_ip(protocol: int, body: bytes) -> bytes:
    """Return an Ethernet frame with an IPv4 packet."""
    return under_ethernet(pack("!BBHHHBBH8s", 69, 0, 20 + len(body), 0, 0, 64, protocol, 0, _HOSTS) + body)


def over_ipv6(following: int, body: bytes) -> bytes:
    """Return an Ethernet frame with an IPv6 packet."""
    return under_ethernet(pack("!IHBB32s", 6 << 28, len(body), following, 64, _HOSTS6) + body, 0x86DD)


def over_udp(target: int, body: bytes, source: int = 54321) -> bytes:
    """Return an Ethernet frame with a UDP datagram."""
    return over_ip(17, pack("!HHHH", source, target, 8 + len(body), 0) + body)


def _tagged(kind: int, tag: bytes) -> Wrap:
    return lambda packet: under_ethernet(tag + b"\x08\x00" + packet, kind)


def _in_gre(kind: int, head: bytes = b"", flags: int = 0, *, ethernet: bool = False) -> Wrap:
    def wrap(packet: bytes) -> bytes:
        return over_ip(47, pack("!HH", flags, kind) + head + (under_ethernet(packet) if ethernet else packet))

    return wrap


def _in_udp(port: int, head: bytes, *, ethernet: bool = False, source: int = 54321) -> Wrap:
    def wrap(packet: bytes) -> bytes:
        return over_udp(port, head + (under_ethernet(packet) if ethernet else packet), source)

    return wrap


def _extension(kind: int, units: int = 0) -> Wrap:
    """Return the wrap of an IPv6 header with an extension before an IPv4 packet."""
    return lambda packet: over_ipv6(kind, bytes((4, units)) + bytes(6 + 8 * units) + packet)


def _esp(packet: bytes) -> bytes:
    padding = bytes(range(1, -(len(packet) + 2) % 4 + 1))
    return pack("!II", 256, 1) + packet + padding + bytes((len(padding), 4)) + bytes(12)


_SNAP = b"\xaa\xaa\x03\0\0\0\x08\x00"
_NSH = b"\x0f\xc6\x01\x01\0\0\x0a\xff" + bytes(16)
_NSH_ETHERNET = b"\x0f\xc6\x01\x03\0\0\x0a\xff" + bytes(16)
_LABELS = pack("!II", 16 << 12 | 64, 17 << 12 | 0x140)
_WIRELESS = b"\x08\x02" + bytes(22) + _SNAP
_PARTS = b"\x88\2" + bytes(22) + b"\x80\0"
_SUBHEADER = b"\x20" + bytes(10) + b"\1" + bytes(8)

FAST: dict[str, Wrap] = {
    "VLAN": _tagged(0x8100, b"\0\7"),
    "VLAN 0x9300": _tagged(0x9300, b"\0\7"),
    "MPLS": lambda packet: under_ethernet(_LABELS + packet, 0x8847),
    "Ethernet over MPLS": lambda packet: under_ethernet(_LABELS + bytes(4) + under_ethernet(packet), 0x8847),
    "PPPoE": lambda packet: under_ethernet(b"\x11\0\0\7" + pack("!H", len(packet) + 2) + b"\0\x21" + packet, 0x8864),
    "802.1ah": lambda packet: under_ethernet(b"\0\0\0\7" + under_ethernet(packet), 0x88E7),
    "VN-tag": _tagged(0x8926, b"\x40\1\0\2"),
    "E-tag": _tagged(0x893F, b"\x10\0\0\1\0\0"),
    "HSR": _tagged(0x892F, b"\0\x2e\0\0"),
    "802.1CB": _tagged(0xF1C1, bytes(4)),
    "MACsec in clear": _tagged(0x88E5, b"\x20\0\0\0\0\1" + bytes(8)),
    "Cisco metadata": _tagged(0x8909, b"\1\1\0\1\0\x10"),
    "FabricPath": lambda packet: under_ethernet(b"\4\x40" + under_ethernet(packet), 0x8903),
    "TRILL": lambda packet: under_ethernet(b"\0\x3f\0\1\0\2" + under_ethernet(packet), 0x22F3),
    "NSH": lambda packet: under_ethernet(_NSH + packet, 0x894F),
    "NSH with Ethernet": lambda packet: under_ethernet(_NSH_ETHERNET + under_ethernet(packet), 0x894F),
    "IP in IP": lambda packet: over_ip(4, packet),
    "IPv4 in IPv6": lambda packet: over_ipv6(4, packet),
    "GRE": _in_gre(0x0800),
    "GRE with key": _in_gre(0x0800, bytes(8), 0x3000),
    "GRE with Ethernet": _in_gre(0x6558, ethernet=True),
    "GRE with WCCP": _in_gre(0x883E, b"\0\0\1\2"),
    "PPTP": _in_gre(0x880B, bytes(8) + b"\xff\3\0\x21", 0x3001),
    "ERSPAN I": _in_gre(0x88BE, ethernet=True),
    "ERSPAN II": _in_gre(0x88BE, bytes(4) + b"\x10\1\0\x64\0\0\0\0", 0x1000, ethernet=True),
    "ERSPAN III": _in_gre(0x22EB, bytes(4) + b"\x20\x64\0\1" + bytes(8), 0x1000, ethernet=True),
    "VXLAN": _in_udp(4789, b"\x08" + bytes(7), ethernet=True),
    "VXLAN-GPE": _in_udp(4790, b"\x0c\0\0\1" + bytes(4)),
    "VXLAN-GPE with NSH": _in_udp(4790, b"\x0c\0\0\4" + bytes(4) + _NSH),
    "Geneve": _in_udp(6081, b"\0\0\x65\x58" + bytes(4), ethernet=True),
    "Geneve with options": _in_udp(6081, b"\2\0\x08\0" + bytes(12)),
    "GTP-U": _in_udp(2152, b"\x30\xff\0\0\0\0\x12\x34"),
    "GTP-U with extension": _in_udp(2152, b"\x34\xff\0\0\0\0\x12\x34\0\0\0\x85\1\x10\x09\0"),
    "L2TP": _in_udp(1701, b"\x40\2\0\0\0\5\0\6\xff\3\0\x21"),
    "L2TPv3": lambda packet: over_ip(115, b"\0\0\0\x63" + under_ethernet(packet)),
    "EtherIP": lambda packet: over_ip(97, b"\x30\0" + under_ethernet(packet)),
    "EtherIP over IPv6": lambda packet: over_ipv6(97, b"\x30\0" + under_ethernet(packet)),
    "LISP": _in_udp(4341, b"\xc0\0\0\1\0\0\0\1"),
    "MPLS in UDP": _in_udp(6635, _LABELS),
    "MPLS in IP": lambda packet: over_ip(137, _LABELS + packet),
    "AH": lambda packet: over_ip(51, b"\4\4\0\0" + bytes(20) + packet),
    "mobility header": _extension(135),
    "host identity header": _extension(139),
    "shim6 header": _extension(140),
    "hop-by-hop options": _extension(0, 1),
    "destination options": _extension(60, 2),
    "routing header": _extension(43, 2),
    "CAPWAP": _in_udp(5247, b"\0\x10\0\0\0\0\0\0", ethernet=True),
    "GUE": _in_udp(6080, b"\0\4\0\0"),
    "ESP without encryption": lambda packet: over_ip(50, _esp(packet)),
    "Ethernet in IP": lambda packet: over_ip(143, under_ethernet(packet)),
}
"""Encapsulations whose headers are only skipped: a frame costs at most twice as much as a plain one. Link type 1."""

ENCAPSULATIONS: dict[str, tuple[int, Wrap]] = {
    **{name: (1, wrap) for name, wrap in FAST.items()},
    "plain": (1, under_ethernet),
    "802.1Qau": (1, _tagged(0x22E9, b"\0\7")),
    "bridge in LLC": (1, lambda p: under_ethernet(b"\xaa\xaa\3\0\x80\xc2\0\7" + under_ethernet(p), len(p) + 22)),
    "SNAP": (1, lambda packet: under_ethernet(_SNAP + packet, len(packet) + 8)),
    "LLC for jumbo frames": (1, lambda packet: under_ethernet(_SNAP + packet, 0x8870)),
    "LLC with IP": (1, lambda packet: under_ethernet(b"\6\6\3" + packet, len(packet) + 3)),
    "LLC with OSI and IP": (1, lambda packet: under_ethernet(b"\xfe\xfe\3\xcc" + packet, len(packet) + 4)),
    "ISL": (1, lambda packet: b"\1\0\x0c\0\0\0" + bytes(6) + b"\0\x60" + bytes(12) + under_ethernet(packet)),
    "EtherType of PPP": (1, lambda packet: under_ethernet(b"\xff\3\0\x21" + packet, 0x880B)),
    "multilink": (1, lambda packet: under_ethernet(b"\x11\0\0\7\0\0\0\x3d\xc0\0\0\5\0\x21" + packet, 0x8864)),
    "multilink, short": (1, lambda packet: under_ethernet(b"\x11\0\0\7\0\0\0\x3d\xc0\5\x21" + packet, 0x8864)),
    "bridged in PPP": (1, lambda p: under_ethernet(b"\x11\0\0\7\0\0\0\x31\0\1" + under_ethernet(p), 0x8864)),
    "MPLS in PPP": (1, lambda packet: under_ethernet(b"\x11\0\0\7\0\0\2\x81" + _LABELS + packet, 0x8864)),
    "Ethernet over MPLS without control word": (1, lambda p: under_ethernet(_LABELS + under_ethernet(p), 0x8847)),
    "minimal encapsulation": (1, lambda p: over_ip(55, bytes((p[9], 0x80)) + bytes(2) + p[16:20] + p[12:16] + p[20:])),
    "KA9Q": (1, lambda packet: over_ip(94, packet)),
    "NSH in IP": (1, lambda packet: over_ip(145, _NSH + packet)),
    "atomic fragment": (1, lambda packet: over_ipv6(44, b"\4" + bytes(7) + packet)),
    "GRE in UDP": (1, _in_udp(4754, b"\0\0\x08\0")),
    "GRE with routing": (1, _in_gre(0x0800, bytes(4) + b"\0\2\0\4" + bytes(8), 0x4000)),
    "WCCP, version 1": (1, _in_gre(0x883E)),
    "ERSPAN III with a subheader": (1, _in_gre(0x22EB, bytes(4) + _SUBHEADER, 0x1000, ethernet=True)),
    "ERSPAN III with IP": (1, _in_gre(0x22EB, bytes(4) + b"\x20" + bytes(9) + b"\x08\0", 0x1000)),
    "VXLAN, first port": (1, _in_udp(8472, b"\x08" + bytes(7), ethernet=True)),
    "VXLAN of ACI": (1, _in_udp(48879, b"\xc8" + bytes(7), ethernet=True)),
    "GTP, version 0": (1, _in_udp(3386, b"\x1e\xff" + bytes(18))),
    "GTP-U with Ethernet": (1, _in_udp(2152, b"\x30\xff\0\0\0\0\x12\x34", ethernet=True)),
    "Teredo": (1, lambda packet: over_udp(3544, b"\0\1\0\0" + bytes(9) + bytes(8) + _teredo(packet))),
    "Teredo, answer": (1, lambda packet: over_udp(54321, _teredo(packet), 3544)),
    "L2TP with numbers": (1, _in_udp(1701, b"\x4a\2\0\0\0\5\0\6\0\0\0\0\0\2XX\x21")),
    "L2TP, answer": (1, _in_udp(54321, b"\0\2\0\5\0\6\x21", source=1701)),
    "L2TPv3 over UDP": (1, _in_udp(1701, b"\0\3\0\0\0\0\0\7" + bytes(8), ethernet=True)),
    "L2TPv3 with PPP": (1, lambda packet: over_ip(115, b"\0\0\0\x63\xff\3\0\x21" + packet)),
    "LISP with a protocol": (1, _in_udp(4341, b"\4\0\0\3\0\0\0\1", ethernet=True)),
    "CAPWAP with 802.11": (1, _in_udp(5247, b"\0\x10\3\0\0\0\0\0" + _WIRELESS)),
    "CAPWAP with 802.11, exchanged": (1, _in_udp(5247, b"\0\x10\3\0\0\0\0\0\2\x08" + _WIRELESS[2:])),
    "GUE, version 1": (1, _in_udp(6080, b"")),
    "ESP in UDP": (1, lambda packet: over_udp(4500, _esp(packet), 4500)),
    "Juniper packet mirror": (1, _in_udp(30030, bytes(8))),
    "TZSP": (1, _in_udp(37008, b"\1\0\0\1\x0a\1X\1", ethernet=True)),
    "TZSP with 802.11": (1, _in_udp(37008, b"\1\0\0\x12\0\1" + _WIRELESS)),
    "NULL": (0, lambda packet: b"\2\0\0\0" + packet),
    "token ring": (6, lambda packet: b"\x10\x40" + _ADDRESSES + _SNAP + packet),
    "token ring with a route": (6, lambda p: b"\x10\x40" + bytes(6) + b"\x80" + bytes(5) + b"\4\0\0\0" + _SNAP + p),
    "SLIP": (8, lambda packet: bytes(16) + packet),
    "PPP": (9, lambda packet: b"\xff\3\0\x21" + packet),
    "PPP, compressed": (9, lambda packet: b"\x21" + packet),
    "FDDI": (10, lambda packet: b"\x50" + _ADDRESSES + _SNAP + packet),
    "raw": (101, lambda packet: packet),
    "raw, OpenBSD": (14, lambda packet: packet),
    "raw, first number": (12, lambda packet: packet),
    "PPP in HDLC": (50, lambda packet: b"\xff\3\0\x21" + packet),
    "Cisco HDLC in PPP_HDLC": (50, lambda packet: b"\x0f\0\x08\0" + packet),
    "PPPoE without Ethernet": (51, lambda packet: b"\x11\0\0\7" + pack("!H", len(packet) + 2) + b"\0\x21" + packet),
    "ATM": (100, lambda packet: _SNAP + packet),
    "ATM, bridged": (100, lambda packet: b"\xaa\xaa\3\0\x80\xc2\0\7\0\0" + under_ethernet(packet)),
    "Cisco HDLC": (104, lambda packet: b"\x0f\0\x08\0" + packet),
    "802.11": (105, lambda packet: _WIRELESS + packet),
    "802.11 with quality of service": (105, lambda packet: b"\x88\3" + bytes(30) + _SNAP + packet),
    "802.11 with several parts": (105, lambda p: _PARTS + _ADDRESSES + pack("!H", len(p) + 8) + _SNAP + p),
    "frame relay": (107, lambda packet: b"\x18\x41\3\xcc" + packet),
    "frame relay with SNAP": (107, lambda packet: b"\x18\x41\3\0\x80\0\0\0\x08\0" + packet),
    "frame relay of Cisco": (107, lambda packet: b"\x18\x41\x08\0" + packet),
    "frame relay with PPP": (107, lambda packet: b"\x18\x41\3\xcf\x21" + packet),
    "LOOP": (108, lambda packet: b"\0\0\0\2" + packet),
    "ENC": (109, lambda packet: b"\2\0\0\0" + bytes(8) + packet),
    "cooked": (113, lambda packet: bytes(14) + b"\x08\0" + packet),
    "cooked with LLC": (113, lambda packet: bytes(14) + b"\0\4" + _SNAP + packet),
    "cooked with radiotap": (113, lambda p: b"\0\0\3\x23" + bytes(12) + b"\0\0\x08\0\0\0\0\0" + _WIRELESS + p),
    "cooked with 802.11": (113, lambda packet: b"\0\0\3\x21" + bytes(12) + _WIRELESS + packet),
    "PFLOG": (117, lambda packet: b"\x3d" + bytes(63) + packet),
    "Prism": (119, lambda packet: b"\x44" + bytes(143) + _WIRELESS + packet),
    "AVS in Prism": (119, lambda packet: b"\x80\x21\x10\1\0\0\0\x40" + bytes(56) + _WIRELESS + packet),
    "IP over Fibre Channel": (122, lambda packet: bytes(16) + _SNAP + packet),
    "radiotap": (127, lambda packet: b"\0\0\x08\0\0\0\0\0" + _WIRELESS + packet),
    "IP over FireWire": (138, lambda packet: bytes(16) + b"\x08\0" + packet),
    "AVS": (163, lambda packet: b"\x80\x21\x10\1\0\0\0\x40" + bytes(56) + _WIRELESS + packet),
    "pppd": (166, lambda packet: b"\1\3\0\x21" + packet),
    "Juniper Ethernet": (178, lambda packet: b"MGC\1" + under_ethernet(packet)),
    "Juniper Ethernet with an extension": (178, lambda packet: b"MGC\x83\0\2XX" + packet),
    "PPI": (192, lambda packet: b"\0\0\x08\0\x69\0\0\0" + _WIRELESS + packet),
    "PPP with direction": (204, lambda packet: b"\1\xff\3\0\x21" + packet),
    "Cisco HDLC with direction": (205, lambda packet: b"\1\x0f\0\x08\0" + packet),
    "frame relay with direction": (206, lambda packet: b"\1\x18\x41\3\xcc" + packet),
    "IPv4": (228, lambda packet: packet),
    "IPv4 in IPv6 without Ethernet": (229, lambda packet: over_ipv6(4, packet)[14:]),
    "NFLOG": (239, lambda p: b"\2\0\0\0\x08\0\1\0\x08\0\0\0" + pack("<HH", len(p) + 4, 9) + p),
    "NetAnalyzer": (240, lambda packet: bytes(4) + under_ethernet(packet)),
    "NetAnalyzer, transparent": (241, lambda packet: bytes(4) + b"\x55" * 7 + b"\xd5" + under_ethernet(packet)),
    "PKTAP": (258, lambda packet: pack("<III", 108, 1, 1) + bytes(96) + under_ethernet(packet)),
    "mPacket": (274, lambda packet: b"\x55" * 7 + b"\xd5" + under_ethernet(packet)),
    "cooked, version 2": (276, lambda packet: b"\x08\0" + bytes(18) + packet),
    "cooked, version 2, with LLC": (276, lambda packet: b"\0\4" + bytes(18) + _SNAP + packet),
}  # fmt: skip
"""Every encapsulation, with the link type of its frames."""


def _teredo(packet: bytes) -> bytes:
    return over_ipv6(4, packet)[14:]
