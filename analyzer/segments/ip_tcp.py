"""The headers of IPv4, IPv6, their extensions and TCP, read with ``struct``."""

# Theory
# ------
# Lengths. A frame has a captured length (the bytes in the file) and an original one (the bytes on the wire). Only IP
# says where a segment ends: after it there may be Ethernet padding and a frame check sequence, so neither of the two
# lengths is used for that. A payload that ends after the captured bytes was cut by the snap length, and the difference
# is `missing`. One exception: with segmentation offload, a sending host shows packets whose IP length is 0 because
# they are too long for the field. Such a packet ends where the original frame ends.
#
# Checksums are not checked here: with offload, a host's own packets are captured before the network card fills them in.
# Where two copies of the same bytes differ, `recent_packets` compares the checksums of both.

from __future__ import annotations

from struct import Struct
from typing import Final

from .layers import BROKEN, Found, Fragment, Next, Packet, Undecoded

__all__ = [
    "EXTENSIONS",
    "FRAGMENT",
    "MAX_DEPTH",
    "TCP_HEADER",
    "authentication",
    "by_version",
    "esp",
    "extension",
    "fragment",
    "ipv4",
    "ipv6",
    "is_intact",
    "minimal",
    "tcp",
    "too_deep",
]

TCP_HEADER = 20

TCP, FRAGMENT = 6, 44
MAX_DEPTH = 32  # most IP headers around a segment
# Headers that may stand between the IPv6 header and TCP and have the same form: hop-by-hop options, routing header,
# destination options, mobility, host identity, shim6 (https://www.iana.org/assignments/ipv6-parameters)
EXTENSIONS = (0, 43, 60, 135, 139, 140)

too_deep: Final = Undecoded(f"more than {MAX_DEPTH} IP headers")
_encrypted: Final = Undecoded("ESP (IPsec, IP protocol 50), which is encrypted or cut")

# RFC 791 §3.1: version and header length, total length, identification, flags and fragment offset, protocol
_ipv4_header = Struct("!BxHHHxB10x").unpack_from
# RFC 8200 §3: version, payload length, next header
_ipv6_header = Struct("!B3xHB33x").unpack_from
# RFC 8200 §4.5: next header, offset and M flag, identification
_fragment_header = Struct("!BxHI").unpack_from
# RFC 9293 §3.1: sequence number, acknowledgment number, data offset, flags
_tcp_header = Struct("!4xIIBB6x").unpack_from


def ipv4(packet: Packet, at: int) -> Next | Found:
    """RFC 791."""
    data = packet.data
    if len(data) < at + 20:
        return BROKEN
    version, total, identification, place, protocol = _ipv4_header(data, at)
    body = at + (version & 15) * 4
    if version >> 4 != 4 or body < at + 20:
        return BROKEN
    packet.end = end = at + total if total else packet.length
    packet.addresses = data[at + 12 : at + 20]
    packet.depth += 1
    if place & 0x3FFF:  # an offset, or more fragments
        if end < body:
            return BROKEN
        offset, more = (place & 0x1FFF) * 8, bool(place & 0x2000)
        return Fragment(packet.addresses, protocol, identification, offset, more, data[body:end], end - body)
    if protocol == TCP:
        return tcp(packet, body)
    return ("IP protocol", protocol, body) if packet.depth <= MAX_DEPTH else too_deep


def ipv6(packet: Packet, at: int) -> Next | Found:
    """RFC 8200."""
    data, body = packet.data, at + 40
    if len(data) < body:
        return BROKEN
    version, total, following = _ipv6_header(data, at)
    if version >> 4 != 6:
        return BROKEN
    packet.end = body + total if total else packet.length
    packet.addresses = data[at + 8 : body]
    packet.depth += 1
    if following == TCP:
        return tcp(packet, body)
    return ("IP protocol", following, body) if packet.depth <= MAX_DEPTH else too_deep


def by_version(packet: Packet, at: int) -> Next | Found:
    """An IP packet of the version that its first four bits give."""
    version = packet.data[at] >> 4
    if version == 4:
        return ipv4(packet, at)
    return ipv6(packet, at) if version == 6 else Undecoded(f"IP version {version}")


def extension(packet: Packet, at: int) -> Next | Found:
    """An extension header of IPv6 (RFC 6564): the next header, then its own length in units of 8 bytes."""
    data = packet.data
    if min(len(data), packet.end) < at + 8:
        return BROKEN
    return "IP protocol", data[at], at + (data[at + 1] + 1) * 8


def authentication(packet: Packet, at: int) -> Next | Found:
    """An authentication header (RFC 4302 §2): its length is in units of 4 bytes, less two."""
    data = packet.data
    if min(len(data), packet.end) < at + 12:
        return BROKEN
    return "IP protocol", data[at], at + (data[at + 1] + 2) * 4


def fragment(packet: Packet, at: int) -> Next | Found:
    """RFC 8200 §4.5."""
    data, end, body = packet.data, packet.end, at + 8
    if len(packet.addresses) != 32 or min(len(data), end) < body:
        return BROKEN
    following, place, identification = _fragment_header(data, at)
    if not place & 0xFFF9:  # no offset, and no more fragments
        return "IP protocol", following, body
    more = bool(place & 1)
    return Fragment(packet.addresses, following, identification, place & 0xFFF8, more, data[body:end], end - body)


def minimal(packet: Packet, at: int) -> Next | Found:
    """Minimal encapsulation (RFC 2004 §3): the outer header was taken from the packet, this one has its addresses."""
    data = packet.data
    protocol, has_source = data[at], data[at + 1] & 0x80
    body = at + (12 if has_source else 8)
    if len(data) < body or len(packet.addresses) != 8:
        return BROKEN
    packet.addresses = (data[at + 8 : body] if has_source else packet.addresses[:4]) + data[at + 4 : at + 8]
    return "IP protocol", protocol, body


def tcp(packet: Packet, at: int) -> Found:
    """RFC 9293 §3.1."""
    data, end, captured = packet.data, packet.end, len(packet.data)
    if captured < at + TCP_HEADER or not packet.addresses:
        return BROKEN
    seq, ack, offset, flags = _tcp_header(data, at)
    start = at + (offset >> 2 & 60)
    if offset < 0x50 or start > end:
        return BROKEN
    missing = end - max(start, captured) if end > captured else 0
    return packet.addresses + data[at : at + 4], seq, ack, flags, data[start:end], missing


def esp(packet: Packet, at: int) -> Next | Found:
    """ESP with NULL encryption (RFC 2410): only checks. Nothing says so, but the trailer and the packet in it fit
    (RFC 5879). Everything else is encrypted."""
    data, end = packet.data, packet.end
    if end > len(data):
        return _encrypted
    body = at + 8
    for check_bytes in _CHECK_BYTES:
        tail = end - check_bytes - 2  # the length of the padding and the next header, RFC 4303 §2
        content = tail - data[tail] if tail > body else 0
        if content <= body or data[content:tail] != _PADDING[: tail - content]:
            continue
        protocol, packet.end = data[tail + 1], content
        if protocol == TCP and is_intact(packet.addresses, data[body:content]):
            return tcp(packet, body)
        if protocol in _IN_ESP and data[body] >> 4 == _IN_ESP[protocol]:
            size = int.from_bytes(data[body + 2 : body + 4] if protocol == _IPV4 else data[body + 4 : body + 6], "big")
            if size == content - body - (0 if protocol == _IPV4 else 40):
                return "IP protocol", protocol, body
    packet.end = end
    return _encrypted


_IPV4 = 4
_IN_ESP = {_IPV4: 4, 41: 6}
_CHECK_BYTES = (12, 16, 24, 32, 0, 8, 20)  # of the integrity check values in use, the usual ones first
_PADDING = bytes(range(1, 256))  # RFC 4303 §2.4


def is_intact(addresses: bytes, segment: bytes) -> bool:
    """Return whether the checksum of a TCP segment is right (RFC 9293 §3.1, RFC 1071)."""
    if len(segment) < TCP_HEADER:
        return False
    whole = addresses + segment + bytes(len(segment) & 1)
    return (int.from_bytes(whole, "big") + TCP + len(segment)) % 0xFFFF == 0
