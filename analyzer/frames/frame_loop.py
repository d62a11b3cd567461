"""The loop over the frames of pcap files, pcapng files and the packet ring: it decodes plain Ethernet + IP + TCP."""

# Theory
# ------
# This is the innermost loop of the whole program: a million frames are usual, and a call costs a tenth of a
# microsecond. So it is one function without calls for each header, and everything that differs between the formats is
# a value of `FrameLayout`, not a branch or a call:
#
# - `record` unpacks a record header and everything that decides whether the frame is plain IPv4 + TCP, from the start
#   of the record and in the byte order of the format. So numbers in network order come out swapped in a little-endian
#   file; the layout holds the values to compare them with, swapped in the same way. `segment` and `segment_6`, in
#   network order, unpack the fields of a segment.
# - The time has two fields in every format (seconds and a fraction, or the two halves of a count of ticks). It is
#   `high * high_unit + low * low_unit + offset`.
# - `step` is the length of a record where the format has that field. A record without it ends with its frame: in pcap
#   the field has no bytes, and in the last record of a block of the ring it is 0.
# - `whole` returns the time, the bytes and the original length of any frame.
#
# The structs read up to 128 bytes after the start of a record; blocks are padded for that. A frame that is too short
# for the fields is recognised by its length.
#
# Every frame that is not plain goes to `SegmentDecoder.frame`, which handles all frames. The loop never decides that a
# frame is invalid; it only recognises the plain ones, and those that the table of headers (`segments.tunnels`) knows to
# hold no TCP. If no frame may be plain (other link layers, or Scapy decodes everything), the loop compares with
# EtherTypes that do not exist.
#
# pcapng and the ring check their record headers in a pass of their own before this loop. It costs them 5 to 8 % of the
# time of the loop, a hundredth of an audit. In pcap there is only the length to check, so the loop does it: a pass that
# collects the places of the records made the loop 15 to 25 % slower, because most frames of a mixed capture cost no
# more than the pass.

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, calcsize
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..segments.tunnels import NO_TCP_PROTOCOLS, SERVICE_PORTS, TUNNEL_PORTS

if TYPE_CHECKING:
    from ..segments.decoder import SegmentDecoder

__all__ = ["FrameLayout", "FrameRun", "Order", "decode_frames"]

Order = Literal["little", "big"]

_Unpack = Callable[[bytes, int], tuple[Any, ...]]
_Whole = Callable[[bytes, int], tuple[int, bytes, int]]

_TUNNEL_PORTS = frozenset(port.to_bytes(2, "big") for port in TUNNEL_PORTS)
_SERVICE_PORTS = frozenset(port.to_bytes(2, "big") for port in SERVICE_PORTS)
# Whether a port with this first byte may be one of them: one byte is cheaper to look up than a slice.
_TUNNEL_HIGH = tuple(any(port >> 8 == first for port in TUNNEL_PORTS) for first in range(256))
_SERVICE_HIGH = tuple(any(port >> 8 == first for port in SERVICE_PORTS) for first in range(256))


class FrameLayout(NamedTuple):
    """How the loop reads records of one format and link type. The theory above explains the fields.

    ``frame`` and ``ip``: offsets of the frame and of its IP header in a record. ``ipv4``, ``ipv6`` and ``fragmented``:
    EtherTypes, and the bits of a fragment, in the byte order of ``record``.
    """

    link_type: int
    record: _Unpack
    segment: _Unpack
    segment_6: _Unpack
    whole: _Whole
    frame: int
    ip: int
    ipv4: int
    ipv6: int
    fragmented: int
    high_unit: int
    low_unit: int
    offset: int

    @classmethod
    def of(
        cls,
        link_type: int,
        order: Order,
        header: str,
        whole: _Whole,
        units: tuple[int, int, int],
        *,
        ethertype: int,
        ip: int,
        frame: int,
        plain: bool,
    ) -> FrameLayout:
        """Return a layout.

        ``header``: the struct format of the start of a record, up to the captured length: step, both fields of the
        time, captured length. ``ethertype``: where the EtherType is in a record. ``units``: ``high_unit``,
        ``low_unit`` and ``offset``. ``plain``: whether the loop may decode frames.
        """

        def swapped(value: int) -> int:
            return int.from_bytes(value.to_bytes(2, "big"), order)

        between = ethertype - calcsize("=" + header)
        return cls(
            link_type,
            # header | EtherType, version and length of header, flags and offset, protocol, flow, flags
            Struct(
                f"{'<' if order == 'little' else '>'}{header}{between}xH{ip - ethertype - 2}xB5xHxB2x12s9xB"
            ).unpack_from,
            # total length, sequence number, acknowledgment number, data offset
            Struct(f"!{ip}x2xH20xIIB").unpack_from,
            # payload length, flow, sequence number, acknowledgment number, data offset, flags
            Struct(f"!{ip}x4xH2x36sIIBB").unpack_from,
            whole,
            frame,
            ip,
            swapped(0x0800) if plain else -1,
            swapped(0x86DD) if plain else -1,
            swapped(0x3FFF),  # RFC 791 §3.1: more fragments, or an offset
            *units,
        )


class FrameRun(NamedTuple):
    """What the loop has read. ``end``: where the record after the last one starts; ``number``: of the last frame;
    ``prior`` and ``last``: where the last two records start, -1 if there are fewer."""

    end: int
    number: int
    prior: int
    last: int


def decode_frames(  # noqa: C901, PLR0912  one function without calls, see above
    data: bytes, at: int, stop: int, size: int, number: int, layout: FrameLayout, decoder: SegmentDecoder
) -> FrameRun:
    """Pass the frames of all records from ``at`` to ``decoder``. The first is frame ``number + 1``.

    It ends after the last record that starts at ``stop`` or before and ends at ``size`` or before. Raises only what the
    sink of ``decoder`` raises.
    """
    link_type, record, segment, segment_6, whole, head, to_ip, ipv4, ipv6, fragmented = layout[:10]
    high_unit, low_unit, offset_ns = layout[10:]
    to_tcp, to_tcp_6, to_flow_6, to_next = to_ip + 20, to_ip + 40, to_ip + 8, to_ip + 6
    min_captured, min_captured_6 = to_ip - head + 40, to_ip - head + 60
    no_tcp, tunnel_ports, service_ports = NO_TCP_PROTOCOLS, _TUNNEL_PORTS, _SERVICE_PORTS
    tunnel_high, service_high = _TUNNEL_HIGH, _SERVICE_HIGH
    decoder.recent.add(data)
    sink, ignored, frame = decoder.sink, decoder.ignored, decoder.frame
    before, calls, prior, last, high_before, base = number, 0, -1, -1, -1, 0
    while at <= stop:
        step, high, low, captured, kind, version, offset, protocol, flow, flags = record(data, at)
        end_of_frame = at + head + captured
        following = at + step if step else end_of_frame
        if following > size:
            break
        number += 1
        prior, last, at = last, at, following
        if kind == ipv4 and version == 0x45 and captured >= min_captured and not offset & fragmented:
            if protocol == 6:
                if flow in ignored and not flags & 2:
                    continue
                total, seq, ack, words = segment(data, last)
                begin = last + to_tcp + (words >> 2 & 60)
                end = last + to_ip + total
                if begin <= end <= end_of_frame and words >= 0x50:
                    if high != high_before:
                        high_before, base = high, high * high_unit + offset_ns
                    sink(flow, seq, ack, flags, data[begin:end], 0, number, base + low * low_unit)
                    continue
            elif protocol == 17:
                if not (tunnel_high[flow[10]] or service_high[flow[8]]):
                    continue
                if flow[10:] not in tunnel_ports and flow[8:10] not in service_ports:
                    continue
            elif protocol in no_tcp:
                continue
        elif kind == ipv6 and captured >= min_captured_6 and version >> 4 == 6:
            protocol = data[last + to_next]
            if protocol == 6:
                if data[last + to_flow_6 : last + to_tcp_6 + 4] in ignored and not data[last + to_tcp_6 + 13] & 2:
                    continue
                total, flow, seq, ack, words, flags = segment_6(data, last)
                begin = last + to_tcp_6 + (words >> 2 & 60)
                end = last + to_tcp_6 + total
                if begin <= end <= end_of_frame and words >= 0x50:
                    if high != high_before:
                        high_before, base = high, high * high_unit + offset_ns
                    sink(flow, seq, ack, flags, data[begin:end], 0, number, base + low * low_unit)
                    continue
            elif protocol == 17:
                at_port = last + to_tcp_6
                if (
                    data[at_port + 2 : at_port + 4] not in tunnel_ports
                    and data[at_port : at_port + 2] not in service_ports
                ):
                    continue
            elif protocol in no_tcp:
                continue
        calls += 1
        frame(link_type, *whole(data, last), number)
    decoder.tally.fast += number - before - calls
    return FrameRun(at, number, prior, last)
