"""Frames by Scapy's own dissection: tunnels of all kinds, and the reference that the raw lane is held against."""

# Theory
# ------
# Scapy is asked what follows what, and for the fields of IP and TCP. It is not asked for lengths and contents: a
# layer's payload depends on the length fields of everything around it, which offload and hostile senders set to
# anything. So Scapy gets one header at a time, its place in the frame is added up from the sizes of those before it,
# and payloads are cut out of the frame by the innermost IP header, exactly as in the raw lane.
#
# What Scapy leaves closed and we know: 0x9100 and 0x9200 as VLAN tags, loopback headers in the byte order of another
# machine. Options, and what extension headers hold, are not shown to Scapy: it makes a packet of each, and may fail at
# them; those headers are as long as they say (RFC 791 §3.1, RFC 8200 §4.2).
#
# A TCP header that an ICMP error quotes is a TCPerror below an IPerror to Scapy; it is no segment.
#
# Importing this module imports Scapy's layers (about 0.3 s): only `segments` does, at the first frame that needs it.

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
_MAX_LAYERS = 64  # headers around a segment that are gone through; five are many
_MAX_HEADER = 64  # bytes that the longest header has to be read whole
_SIZED_EXTENSIONS = (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting)
_IN_GRE = (0x0800, 0x86DD)
_QUOTED = (ICMP, IPerror, IPerror6)


def decode(link_type: int, data: bytes, length: int) -> Found:
    """As ``network.decode``, for everything that Scapy can open. Raises nothing."""
    root, at = _root(link_type, data)
    if root is None:
        return SkipReason.OTHER
    try:
        return _Walk(data, max(length, len(data))).run(root, at)
    except Exception:  # Scapy promises nothing for hostile bytes; a frame with IP in it is counted as undecodable
        return SkipReason.OTHER if LINKS[link_type](data)[0] == OTHER else SkipReason.BROKEN


def _root(link_type: int, data: bytes) -> tuple[type[Packet] | None, int]:
    if link_type in _ROOTS:
        return _ROOTS[link_type], 0
    network, at = LINKS[link_type](data)  # a family or a version nibble: nothing to dissect
    if network == OTHER:
        return None, 0
    return (IP if network == IPV4 else IPv6), at


class _Walk:
    """One frame, layer by layer; ``addresses`` and ``end`` are those of the innermost IP header so far. ``depth``: how
    many there were."""

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
            if isinstance(layer, IP | IPv6 | IPv6ExtHdrFragment):
                found = self._network(layer, at)
                if found is not None:
                    return found
            at += _size(layer)
            outer, kind = layer, layer.guess_payload_class(self.data[at : at + _MAX_HEADER])
        return SkipReason.BROKEN if _announces_more(outer) else SkipReason.OTHER

    def _open(self, kind: type[Packet], at: int, outer: Packet | None) -> Packet | None:
        """The header at ``at``. None: there is none."""
        data = self.data[at : at + _MAX_HEADER]
        if kind in _SIZED_EXTENSIONS:
            data = data[:2] + bytes(6)
        elif kind in (IP, TCP):
            data = data[:20]
        with suppress(Exception):  # it is cut, or no header of its kind
            return kind(data, stop_dissection_after=Packet, _underlayer=outer) if data else None
        return None

    def _is_tunnel(self, layer: Packet, at: int) -> bool:
        """Whether ``layer`` is one that the raw lane does not open."""
        if isinstance(layer, GRE):
            return self.data[at : at + 2] != b"\0\0" or layer.proto not in _IN_GRE
        return isinstance(layer, MPLS | UDP)

    def _network(self, layer: Packet, at: int) -> Found | None:
        """Note an IP header. Gives back what ends the walk: a fragment, or a header that cannot be."""
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
    """Bytes of a header, options included."""
    if isinstance(layer, IP):
        return int(layer.ihl) * 4
    return 8 * int(layer.len) + 8 if isinstance(layer, _SIZED_EXTENSIONS) else len(layer.raw_packet_cache or b"")


def _known_payload(outer: Packet) -> type[Packet] | None:
    """What Scapy did not open behind ``outer``, though we know how."""
    if isinstance(outer, GRE):
        return _ETHER_TYPES.get(outer.proto)
    return _ETHER_TYPES.get(_kind(outer)) if isinstance(outer, _TAGGED) else None


def _announces_more(layer: Packet | None) -> bool:
    """Whether the last layer that could be opened says that IP or TCP follows, which then is broken."""
    if isinstance(layer, IP):
        return bool(layer.proto == 6)
    if isinstance(layer, IPv6 | _IPv6ExtHdr):
        return layer.nh == 6 or layer.nh in EXTENSIONS
    return isinstance(layer, _TAGGED) and _kind(layer) in (0x0800, 0x86DD)


def _kind(layer: Packet) -> int:
    value: int = layer.proto if isinstance(layer, CookedLinux) else layer.type
    return value
