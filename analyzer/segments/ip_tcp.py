"""Decode IPv4, IPv6 and TCP headers with ``struct``: the raw decoder, which handles nearly every frame."""

# Theory
# ------
# Lengths. A frame has a captured length (the bytes in the file) and an original one (the bytes on the wire). Only IP
# says where a segment ends: after it there may be Ethernet padding and a frame check sequence, so neither of the two
# lengths is used for that. A payload that ends after the captured bytes was cut by the snap length, and the difference
# is `missing`. One exception: with segmentation offload, a sending host shows packets whose IP length is 0 because
# they are too long for the field. Such a packet ends where the original frame ends.
#
# Checksums are not checked: with offload, a host's own packets are captured before the network card fills them in.
#
# A frame without segment or fragment is OTHER (no TCP in it), BROKEN (it claims to be TCP or IP, but the headers are
# cut or contradict each other) or DECLINED (a tunnel that Scapy must open). IP in IP and plain GRE are opened here:
# they can be nested, and Scapy needs a thousand times as long for each header, which an attacker could exploit.

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Final

import msgspec

from .link_layers import IPV4, IPV6, LINKS, OTHER

__all__ = [
    "EXTENSIONS",
    "MAX_DEPTH",
    "MAX_SCAPY_DEPTH",
    "TCP_HEADER",
    "TUNNEL_PORTS",
    "TUNNEL_PROTOCOLS",
    "Found",
    "Fragment",
    "SegmentFields",
    "SkipReason",
    "decode",
]

TCP_HEADER = 20

# GRE, IPv4 and IPv6 in IP, MPLS in IP (https://www.iana.org/assignments/protocol-numbers).
TUNNEL_PROTOCOLS = frozenset((4, 41, 47, 137))
# Destination ports of UDP tunnels: GRE, VXLAN, VXLAN-GPE, MPLS, and the first VXLAN port of Linux.
TUNNEL_PORTS = frozenset((4754, 4789, 4790, 6635, 8472))
_TUNNEL_PORTS = frozenset(port.to_bytes(2, "big") for port in TUNNEL_PORTS)

_TCP, _UDP, _IPV4, _IPV6, _GRE = 6, 17, 4, 41, 47
_IN_IP = frozenset((_IPV4, _IPV6))
_IN_GRE = {b"\x08\x00": _IPV4, b"\x86\xdd": _IPV6}  # RFC 2784 §2.4
MAX_SCAPY_DEPTH = 4  # after more IP headers, no tunnel that needs Scapy is opened
MAX_DEPTH = 32  # most IP headers around a segment
_FRAGMENT = 44
# Headers that may stand between the IPv6 header and TCP: hop-by-hop options, routing header, fragment header,
# destination options (RFC 8200 §4.3 to 4.6)
EXTENSIONS = frozenset((0, 43, _FRAGMENT, 60))

SegmentFields = tuple[bytes, int, int, int, bytes, int]
"""(flow, seq, ack, flags, payload, missing), as in a ``SegmentSink``."""


class Fragment(msgspec.Struct, frozen=True):
    """A fragment of an IP datagram. ``length``: its bytes on the wire; ``data`` is shorter if the capture cut it."""

    addresses: bytes
    protocol: int
    identification: int
    offset: int
    more: bool
    data: bytes
    length: int


class SkipReason(Enum):
    """Why a frame has neither a segment nor a fragment."""

    OTHER = "other"
    BROKEN = "broken"
    DECLINED = "declined"


_NO_TCP: Final = SkipReason.OTHER
_BROKEN: Final = SkipReason.BROKEN
_DECLINED: Final = SkipReason.DECLINED

Found = SegmentFields | Fragment | SkipReason

# RFC 791 §3.1: version and header length, total length, identification, flags and fragment offset, protocol
_ipv4_header = Struct("!BxHHHxB").unpack_from
# RFC 8200 §3: payload length, next header
_ipv6_header = Struct("!HB").unpack_from
# RFC 8200 §4.5: next header, offset and M flag, identification
_fragment_header = Struct("!BxHI").unpack_from
# RFC 9293 §3.1: sequence number, acknowledgment number, data offset, flags
_tcp_header = Struct("!IIBB").unpack_from


def decode(link_type: int, data: bytes, length: int) -> Found:
    """Decode the frame ``data``, which had ``length`` bytes on the wire. Raises nothing.

    Returns a TCP segment, a fragment, or why there is neither. ``link_type`` must be one of ``LINKS``.
    """
    network, at = LINKS[link_type](data)
    if network == IPV4:
        return _ipv4(data, at, max(length, len(data)), 0)
    if network == IPV6:
        return _ipv6(data, at, max(length, len(data)), 0)
    return _NO_TCP if network == OTHER else _DECLINED


def _ipv4(data: bytes, at: int, length: int, depth: int) -> Found:
    if len(data) < at + 20:
        return _BROKEN
    version, total, identification, fragment, protocol = _ipv4_header(data, at)
    body = at + (version & 15) * 4
    if version >> 4 != 4 or body < at + 20:
        return _BROKEN
    end = at + total if total else length
    if fragment & 0x3FFF:  # RFC 791: an offset, or more fragments
        if end < body:
            return _BROKEN
        return Fragment(
            data[at + 12 : at + 20],
            protocol,
            identification,
            (fragment & 0x1FFF) * 8,
            bool(fragment & 0x2000),
            data[body:end],
            end - body,
        )
    if protocol == _TCP:
        return _tcp(data, body, end, data[at + 12 : at + 20])
    return _tunnel(protocol, data, body, length, depth)


def _ipv6(data: bytes, at: int, length: int, depth: int) -> Found:
    body = at + 40
    if len(data) < body or data[at] >> 4 != 6:
        return _BROKEN
    total, following = _ipv6_header(data, at + 4)
    end = body + total if total else length
    while following != _TCP:
        if following not in EXTENSIONS:
            return _tunnel(following, data, body, length, depth)
        if min(len(data), end) < body + 8:
            return _BROKEN
        if following == _FRAGMENT:
            following, place, identification = _fragment_header(data, body)
            body += 8
            if place & 0xFFF9:  # an offset, or more fragments
                addresses, more = data[at + 8 : at + 40], bool(place & 1)
                return Fragment(addresses, following, identification, place & 0xFFF8, more, data[body:end], end - body)
        else:
            following, units = data[body], data[body + 1]
            body += (units + 1) * 8
    return _tcp(data, body, end, data[at + 8 : at + 40])


def _tcp(data: bytes, at: int, end: int, addresses: bytes) -> SegmentFields | SkipReason:
    captured = len(data)
    if captured < at + TCP_HEADER:
        return _BROKEN
    seq, ack, offset, flags = _tcp_header(data, at + 4)
    start = at + (offset >> 2 & 60)
    if offset < 0x50 or start > end:
        return _BROKEN
    missing = end - max(start, captured) if end > captured else 0
    return addresses + data[at : at + 4], seq, ack, flags, data[start:end], missing


def _tunnel(protocol: int, data: bytes, at: int, length: int, depth: int) -> Found:
    not_opened = _DECLINED if depth < MAX_SCAPY_DEPTH else _NO_TCP
    if protocol == _UDP:
        return not_opened if data[at + 2 : at + 4] in _TUNNEL_PORTS else _NO_TCP
    if protocol == _GRE:
        flags, kind = data[at : at + 2], data[at + 2 : at + 4]
        if flags != b"\0\0" or kind not in _IN_GRE:
            return not_opened
        protocol, at = _IN_GRE[kind], at + 4
    if protocol not in _IN_IP:
        return not_opened if protocol in TUNNEL_PROTOCOLS else _NO_TCP
    if depth == MAX_DEPTH or len(data) < at + (20 if protocol == _IPV4 else 40):
        return _NO_TCP
    return (_ipv4 if protocol == _IPV4 else _ipv6)(data, at, length, depth + 1)
