"""The frames of a block of the ring: segments for the decoder, or whole frames for code that writes or dissects
them."""

# Theory
# ------
# `decode` gives the frames to the loop that also reads files (`frames.frame_loop`). The kernel puts the network header
# at the same offset after each packet header for every link layer, and gives the EtherType, without the outer VLAN tag,
# beside it. If the headers of a block are not at the expected offsets, `SegmentDecoder.frame` gets its frames.

from __future__ import annotations

import sys
from functools import cache
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ..frames.frame_loop import FrameLayout, decode_frames
from ..segments.link_layers import EN10MB, RAW
from .packet_ring import COOKED, RingBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..segments.decoder import SegmentDecoder

__all__ = ["DecodedBlock", "RingFrame", "cut", "decode", "frames"]

_SECOND = 1_000_000_000
_TAGGED, _TAG_KNOWN = 1 << 4, 1 << 6  # TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID

# struct tpacket3_hdr, 48 bytes: offset of the next, seconds, nanoseconds, captured and original length, status, offsets
# of the link-layer and the network header, hash, VLAN tag and its type. Then struct sockaddr_ll, 20 bytes: family,
# protocol in network order, interface, hardware type, packet type, length of the address, address.
_NET = 96  # the offset of the network header
_ETHERTYPE = 50
_FRAME = {EN10MB: _NET - 14}  # where the frame starts; without a link-layer header, at the network header
_sizes = Struct("=I8xI8x4s").unpack_from  # offset of the next, captured, offsets of both headers
_offsets = Struct("=HH").pack
_time = Struct("=4xII").unpack_from
_whole = Struct("=6IHH4xIH2x8x2x2s4xHBB8s").unpack_from
_sll = Struct("!HHH8s2s").pack
_tag = Struct("!HH").pack


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


def decode(block: RingBlock, decoder: SegmentDecoder, number: int, link_type: int) -> DecodedBlock:
    """Pass every frame of ``block`` to ``decoder``, numbered from ``number + 1``. Raises only what sinks raise."""
    data, first, count = block
    if not count:
        return DecodedBlock(0, 0, 0, 0)
    expected = _offsets(_FRAME.get(link_type, _NET), _NET)
    plain, octets, last, step = decoder.raw, 0, first, 0
    for _ in range(count):
        last += step
        step, captured, offsets = _sizes(data, last)
        octets += captured
        plain = plain and offsets == expected
    decode_frames(data, first, last, len(data), number, _layout(link_type, plain=plain), decoder)
    return DecodedBlock(count, octets, _time_ns(data, first), _time_ns(data, last))


def frames(block: RingBlock, link_type: int) -> Iterator[RingFrame]:
    """Return every frame of ``block``, whole."""
    return (_frame(block.data, at, link_type) for at in _places(block))


def cut(block: RingBlock, until_ns: int) -> RingBlock:
    """Return ``block`` up to its first frame after this time, without it."""
    late = (number for number, at in enumerate(_places(block)) if _time_ns(block.data, at) > until_ns)
    return block._replace(frames=next(late, block.frames))


def _places(block: RingBlock) -> Iterator[int]:
    data, at, count = block
    for _ in range(count):
        yield at
        at += _sizes(data, at)[0]


def _time_ns(data: bytes, at: int) -> int:
    seconds, nanoseconds = _time(data, at)
    return int(seconds * _SECOND + nanoseconds)


@cache
def _layout(link_type: int, *, plain: bool) -> FrameLayout:
    return FrameLayout.of(
        link_type,
        sys.byteorder,
        "4I",
        lambda data, at: _frame(data, at, link_type),
        (_SECOND, 1, 0),
        ethertype=_ETHERTYPE,
        ip=_NET,
        frame=_FRAME.get(link_type, _NET),
        plain=plain,
    )


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
