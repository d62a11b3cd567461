"""Decode frames with Scapy's dissection: tunnels of all kinds, and the reference for the raw decoder."""

# Theory
# ------
# Scapy says which header follows which, and gives the fields of IP and TCP. It does not give lengths and contents: in
# Scapy a payload depends on the length fields of all headers around it, and offload and hostile senders set these to
# any value. So Scapy gets one header at a time. The offset of a header is the sum of the sizes of those before it, and
# the innermost IP header decides where a payload ends, exactly as in the raw decoder.
#
# Scapy does not open 0x9100 and 0x9200 as VLAN tags, nor loopback headers in the byte order of another machine; this
# module does. Scapy does not see options and the content of extension headers: it would make a packet of each, and
# might fail. The length fields of those headers are used (RFC 791 §3.1, RFC 8200 §4.2).
#
# A TCP header that an ICMP error quotes is a TCPerror below an IPerror in Scapy; it is not a segment.
#
# Importing this module imports Scapy's layers (about 0.3 s). Only `decoder` does so, at the first frame that needs it.

from __future__ import annotations

from contextlib import suppress
from socket import AF_INET, AF_INET6, inet_pton

from scapy.contrib.mpls import MPLS  # its import also binds MPLS to Ethernet and GRE
from scapy.layers import vxlan  # noqa: F401  binds VXLAN to UDP
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import (
    IPerror6,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    IPv6ExtHdrSegmentRouting,
    _IPv6ExtHdr,
)
from scapy.layers.l2 import GRE, CookedLinux, CookedLinuxV2, Dot1Q, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.packet import Packet, Raw

from .ip_tcp import EXTENSIONS, MAX_SCAPY_DEPTH, TCP_HEADER, TUNNEL_PORTS, Found, Fragment, SkipReason
from .link_layers import IPV4, LINKS, OTHER, VLAN_TYPES

__all__ = ["decode"]

_ROOTS: dict[int, type[Packet]] = {
    1: Ether,
    9: PPP,
    50: HDLC,
    51: PPPoE,
    113: CookedLinux,
    228: IP,
    229: IPv6,
    276: CookedLinuxV2,
}
_TAGGED = (Ether, Dot1Q, CookedLinux)
_ETHER_TYPES: dict[int, type[Packet]] = {0x0800: IP, 0x86DD: IPv6, **dict.fromkeys(VLAN_TYPES, Dot1Q)}
_MAX_LAYERS = 64  # most headers around a segment; five are many
_MAX_HEADER = 64  # bytes that contain the longest header
_SIZED_EXTENSIONS = (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting)
_EXTENSION_HEADERS = (*_SIZED_EXTENSIONS, IPv6ExtHdrFragment)
_IN_GRE = (0x0800, 0x86DD)
_QUOTED = (ICMP, IPerror, IPerror6)


def decode(link_type: int, data: bytes, length: int) -> Found:
    """Decode a frame like ``ip_tcp.decode``, with every layer that Scapy can open. Raises nothing."""
    root, at = _root(link_type, data)
    if root is None:
        return SkipReason.OTHER
    try:
        return _Walk(data, max(length, len(data))).run(root, at)
    except Exception:  # Scapy may raise anything on hostile bytes; a frame with IP is counted as undecodable
        return SkipReason.OTHER if LINKS[link_type](data)[0] == OTHER else SkipReason.BROKEN


def _root(link_type: int, data: bytes) -> tuple[type[Packet] | None, int]:
    if link_type in _ROOTS:
        return _ROOTS[link_type], 0
    network, at = LINKS[link_type](data)  # a family or a version nibble: nothing to dissect
    if network == OTHER:
        return None, 0
    return (IP if network == IPV4 else IPv6), at


class _Walk:
    """One frame, layer by layer. ``addresses`` and ``end`` are those of the innermost IP header so far; ``depth`` is
    the number of IP headers so far."""

    def __init__(self, data: bytes, length: int) -> None:
        self.data = data
        self.length = length
        self.addresses = b""
        self.end = 0
        self.depth = 0

    def run(self, root: type[Packet], at: int) -> Found:
        kind: type[Packet] | None = root
        outer: Packet | None = None
        for _ in range(_MAX_LAYERS):
            if kind is Raw and outer is not None:
                kind = _known_payload(outer)
            layer = None if kind is None else self._open(kind, at, outer)
            if layer is None:
                break
            if type(layer) is TCP:
                return self._segment(layer, at)
            if isinstance(layer, _QUOTED) or (type(layer) is UDP and layer.dport not in TUNNEL_PORTS):
                return SkipReason.OTHER
            if self.depth > MAX_SCAPY_DEPTH and self._is_tunnel(layer, at):
                return SkipReason.OTHER
            if isinstance(layer, _EXTENSION_HEADERS) and self.end < at + 8:
                return SkipReason.BROKEN  # RFC 8200 §4: it is part of the payload, which is shorter
            if isinstance(layer, IP | IPv6 | IPv6ExtHdrFragment):
                found = self._network(layer, at)
                if found is not None:
                    return found
            at += _size(layer)
            outer, kind = layer, layer.guess_payload_class(self.data[at : at + _MAX_HEADER])
        return SkipReason.BROKEN if _announces_more(outer) else SkipReason.OTHER

    def _open(self, kind: type[Packet], at: int, outer: Packet | None) -> Packet | None:
        """Return the header at ``at``, None if there is none."""
        data = self.data[at : at + _MAX_HEADER]
        if kind in _SIZED_EXTENSIONS:
            data = data[:2] + bytes(6)
        elif kind in (IP, TCP):
            data = data[:20]
        with suppress(Exception):  # the header is cut or invalid
            return kind(data, stop_dissection_after=Packet, _underlayer=outer) if data else None
        return None

    def _is_tunnel(self, layer: Packet, at: int) -> bool:
        """Return whether ``layer`` is a tunnel that the raw decoder does not open."""
        if isinstance(layer, GRE):
            return self.data[at : at + 2] != b"\0\0" or layer.proto not in _IN_GRE
        return isinstance(layer, MPLS | UDP)

    def _network(self, layer: Packet, at: int) -> Found | None:
        """Note an IP header. Returns a result that ends the frame: a fragment, or an invalid header; else None."""
        if isinstance(layer, IPv6ExtHdrFragment):
            if not layer.offset and not layer.m:
                return None
            body = at + 8
            if self.end < body:
                return SkipReason.BROKEN
            return self._fragment(layer.nh, layer.id, layer.offset * 8, bool(layer.m), body)
        self.depth += 1
        if isinstance(layer, IPv6):
            if layer.version != 6:
                return SkipReason.BROKEN
            self.addresses = inet_pton(AF_INET6, layer.src) + inet_pton(AF_INET6, layer.dst)
            length = int.from_bytes(self.data[at + 4 : at + 6], "big")
            self.end = at + 40 + length if length else self.length
            return None
        if layer.version != 4 or layer.ihl < 5:
            return SkipReason.BROKEN
        self.addresses = inet_pton(AF_INET, layer.src) + inet_pton(AF_INET, layer.dst)
        self.end = at + layer.len if layer.len else self.length
        if not layer.frag and not layer.flags.MF:
            return None
        body = at + layer.ihl * 4
        if self.end < body:
            return SkipReason.BROKEN
        return self._fragment(layer.proto, layer.id, layer.frag * 8, bool(layer.flags.MF), body)

    def _fragment(self, protocol: int, identification: int, offset: int, more: bool, body: int) -> Fragment:
        data = self.data[body : self.end]
        return Fragment(self.addresses, protocol, identification, offset, more, data, self.end - body)

    def _segment(self, tcp: Packet, at: int) -> Found:
        captured = len(self.data)
        start = at + tcp.dataofs * 4
        if not self.addresses or captured < at + TCP_HEADER or tcp.dataofs < 5 or start > self.end:
            return SkipReason.BROKEN
        flow = self.addresses + tcp.sport.to_bytes(2, "big") + tcp.dport.to_bytes(2, "big")
        missing = self.end - max(start, captured) if self.end > captured else 0
        return flow, tcp.seq, tcp.ack, int(tcp.flags) & 0xFF, self.data[start : self.end], missing


def _size(layer: Packet) -> int:
    """Return the bytes of a header, options included."""
    if isinstance(layer, IP):
        return int(layer.ihl) * 4
    return 8 * int(layer.len) + 8 if isinstance(layer, _SIZED_EXTENSIONS) else len(layer.raw_packet_cache or b"")


def _known_payload(outer: Packet) -> type[Packet] | None:
    """Return the layer after ``outer`` that Scapy does not open but this module can."""
    if isinstance(outer, GRE):
        return _ETHER_TYPES.get(outer.proto)
    return _ETHER_TYPES.get(_kind(outer)) if isinstance(outer, _TAGGED) else None


def _announces_more(layer: Packet | None) -> bool:
    """Return whether the last opened layer says that IP or TCP follows. If so, that header is broken."""
    if isinstance(layer, IP):
        return bool(layer.proto == 6)
    if isinstance(layer, IPv6 | _IPv6ExtHdr):
        return layer.nh == 6 or layer.nh in EXTENSIONS
    return isinstance(layer, _TAGGED) and _kind(layer) in (0x0800, 0x86DD)


def _kind(layer: Packet) -> int:
    value: int = layer.proto if isinstance(layer, CookedLinux) else layer.type
    return value
