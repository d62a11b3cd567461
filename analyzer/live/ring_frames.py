"""The frames of a block of the ring: segments for the decoder, or whole frames for code that writes or dissects
them."""

# Theory
# ------
# `decode` does for the ring what the loops in `pcap` and `pcapng` do for files, by the same rule: it decodes plain IP
# and TCP without a call for each header, and passes everything else to `SegmentDecoder.frame`. It is simpler in one
# respect: the kernel puts the network header at the same offset after each packet header for every link layer, and
# gives the EtherType, without the outer VLAN tag, beside it. If one of the two is not as expected, the frame goes to
# `SegmentDecoder.frame`.

from __future__ import annotations

import sys
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ..segments.link_layers import RAW
from .packet_ring import COOKED, RingBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..segments.decoder import SegmentDecoder

__all__ = ["DecodedBlock", "RingFrame", "decode", "frames"]

_SECOND = 1_000_000_000
_TCP = 6
_OUTGOING, _LOOPBACK = 4, 772
_TAGGED, _TAG_KNOWN = 1 << 4, 1 << 6  # TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID

# struct tpacket3_hdr, 48 bytes: offset of the next, seconds, nanoseconds, captured and original length, status, offsets
# of the link-layer and the network header, hash, VLAN tag and its type. Then struct sockaddr_ll, 20 bytes: family,
# protocol in network order, interface, hardware type, packet type, length of the address, address.
_NET = 96  # the offset of the network header, always
# next, seconds, nanoseconds, captured, link header, network header, EtherType, hardware, packet type; of IPv4: version
# and length, flags and offset, protocol
_plain = Struct(f"=4I8xHH22xH4xHB{_NET - 59}xB5xHxB").unpack_from
_segment = Struct(f"!{_NET + 2}xH8x12sIIBB").unpack_from  # total length, flow, seq, ack, data offset, flags
_segment_6 = Struct(f"!{_NET + 4}xHBx36sIIBB").unpack_from  # payload length, next header, the same
_whole = Struct("=6IHH4xIH2x8x2x2s4xHBB8s").unpack_from
_sll = Struct("!HHH8s2s").pack
_tag = Struct("!HH").pack


def _swapped(number: int) -> int:
    return int.from_bytes(number.to_bytes(2, "big"), sys.byteorder)


_IPV4, _IPV6, _FRAGMENTED = _swapped(0x0800), _swapped(0x86DD), _swapped(0x3FFF)


class DecodedBlock(NamedTuple):
    """The contents of a block: frames, captured bytes, times of the first and the last frame (0: none)."""

    frames: int
    octets: int
    first_ns: int
    last_ns: int


class RingFrame(NamedTuple):
    """One frame as it was on the wire, VLAN tags restored. ``length``: its bytes there; ``data`` may have fewer."""

    time_ns: int
    data: bytes
    length: int


def decode(
    block: RingBlock, decoder: SegmentDecoder, number: int, link_type: int, *, twice: bool = False
) -> DecodedBlock:
    """Pass every frame of ``block`` to ``decoder``, numbered from ``number + 1``.

    ``twice``: skip outgoing frames of a loopback interface, which come in too. Raises only what sinks raise.
    """
    data, at, count = block
    sink, frame, ignored, raw = decoder.sink, decoder.frame, decoder.ignored, decoder.raw
    start = number
    calls = octets = first = time_ns = 0
    second = base = -1
    step = 0
    for _ in range(count):
        at += step
        step, seconds, nanos, captured, link, net, kind, hardware, packet, version, offset, protocol = _plain(data, at)
        if twice and packet == _OUTGOING and hardware == _LOOPBACK:
            continue
        number += 1
        octets += captured
        if seconds != second:
            second, base = seconds, seconds * _SECOND
        time_ns = base + nanos
        first = first or time_ns
        if net == _NET and raw:
            if kind == _IPV4 and version == 0x45 and protocol == _TCP and not offset & _FRAGMENTED:
                total, flow, seq, ack, words, flags = _segment(data, at)
                begin = at + _NET + 20 + (words >> 2 & 60)
                end = at + _NET + total
                if begin <= end <= at + link + captured and words >= 0x50:
                    if flow not in ignored or flags & 2:
                        sink(flow, seq, ack, flags, data[begin:end], 0, number, time_ns)
                    continue
            elif kind == _IPV6 and version >> 4 == 6:
                total, protocol, flow, seq, ack, words, flags = _segment_6(data, at)
                begin = at + _NET + 40 + (words >> 2 & 60)
                end = at + _NET + 40 + total
                if protocol == _TCP and begin <= end <= at + link + captured and words >= 0x50:
                    if flow not in ignored or flags & 2:
                        sink(flow, seq, ack, flags, data[begin:end], 0, number, time_ns)
                    continue
        calls += 1
        one = _frame(data, at, link_type)
        frame(link_type, one.time_ns, one.data, one.length, number)
    decoder.tally.fast += number - start - calls
    return DecodedBlock(number - start, octets, first, time_ns)


def frames(block: RingBlock, link_type: int, *, twice: bool = False) -> Iterator[RingFrame]:
    """Return every frame of ``block``, whole; ``twice`` as for ``decode``."""
    data, at, count = block
    step = 0
    for _ in range(count):
        at += step
        plain = _plain(data, at)
        step, hardware, packet = plain[0], plain[7], plain[8]
        if not (twice and packet == _OUTGOING and hardware == _LOOPBACK):
            yield _frame(data, at, link_type)


def _frame(data: bytes, at: int, link_type: int) -> RingFrame:
    _, seconds, nanos, captured, length, status, link, _, tag, kind, protocol, hardware, packet, size, address = _whole(
        data, at
    )
    octets = data[at + link : at + link + captured]
    if link_type == COOKED:
        octets = _sll(packet, hardware, size, address, protocol) + octets
        length += 16
    if status & _TAGGED and link_type != RAW:
        place = 14 if link_type == COOKED else 12
        octets = octets[:place] + _tag(kind if status & _TAG_KNOWN else 0x8100, tag & 0xFFFF) + octets[place:]
        length += 4
    return RingFrame(seconds * _SECOND + nanos, octets, length)
