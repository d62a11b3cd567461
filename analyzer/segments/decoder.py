"""From frames to TCP segments: which lane decodes a frame, and where its segment goes."""

# Theory
# ------
# Three decoders give the same segments; a differential test holds them together:
#
# 1. the loops in `pcap` and `pcapng`, which take plain Ethernet + IP + TCP out of a block of records without a call per
#    header. What they do not know they hand to
# 2. `SegmentDecoder.frame`: the raw lane (`links`, `network`), for every link layer, IP options, fragments. What it
#    declines, tunnels, goes to
# 3. the Scapy lane, about 50 times slower, which is imported when the first frame needs it. With decoder="scapy" it
#    gets every frame: that is the reference.
#
# Most connections of a capture carry something else. `ignored` is how the consumer says that it has seen enough of one:
# its segments are skipped here, at a tenth of the price, except for a SYN, which begins a new connection.

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from struct import Struct
from typing import Any, Literal

from ..limits import DEFAULT_LIMITS, Limits
from .defragment import Defragmenter
from .ip_tcp import Found, Fragment, SegmentFields, SkipReason
from .ip_tcp import decode as decode_raw
from .link_layers import LINKS, RAW, link_name

__all__ = [
    "PLAIN",
    "PLAIN_BITS",
    "DecodeTally",
    "Gathered",
    "SegmentDecoder",
    "SegmentSink",
    "WholeSegment",
    "gather_none",
]

SegmentSink = Callable[[bytes, int, int, int, bytes, int, int, int], None]
"""Takes (flow, seq, ack, flags, payload, missing, frame, time_ns), by position.

``flow``: source address, destination address, source port and destination port as they stand in the headers (12 bytes
for IPv4, 36 for IPv6). ``flags``: the low 8 flag bits (FIN 1, SYN 2, RST 4, PSH 8, ACK 16). ``missing``: bytes that
follow ``payload`` in this segment and were not captured. ``frame``: number in its file, from 1. ``time_ns``:
nanoseconds since 1970. Every segment comes, bare ACKs too.
"""

WholeSegment = tuple[bytes, int, int, int, bytes, int, int]
"""A segment of which all was captured: (flow, seq, ack, flags, payload, frame, time_ns)."""

Gathered = Callable[[bytes], Callable[[WholeSegment], None] | None]
"""Tells by the flow who takes its segments where they are plain (``PLAIN``) and whole, None: the sink, as ever."""

PLAIN_BITS, PLAIN = 0x17, 0x10
"""Of FIN, SYN, RST and ACK a plain segment has ACK and no other."""


def gather_none(flow: bytes) -> None:
    """A ``Gathered`` where nothing is gathered."""


_SYN = 2
_LINKS_NAMED = 8  # link types that cannot be decoded and are named each; a real capture has one or two
_DEPTH = 8  # datagrams that may be made of fragments inside one another; tunnels in tunnels need two or three

_ipv4_header = Struct("!BxHHHBBH8s").pack
_ipv6_header = Struct("!IHBB32s").pack


class DecodeTally:
    """What happened to the frames of one capture: how many took which road, how many could not be decoded."""

    def __init__(self) -> None:
        self.fast = 0
        self.raw = 0
        self.scapy = 0
        self.undecodable = 0
        self.first_undecodable = 0
        self.unknown_links: dict[int, int] = {}
        self.unfinished = 0  # datagrams that never became whole

    @classmethod
    def of(cls, counts: dict[str, Any]) -> DecodeTally:
        """That whose ``vars`` are ``counts``."""
        tally = cls()
        vars(tally).update(counts)
        return tally

    def undecoded(self, number: int) -> None:
        """Count a frame whose headers are cut or contradict themselves."""
        self.undecodable += 1
        self.first_undecodable = self.first_undecodable or number

    @property
    def decoder_counts(self) -> tuple[int, int, int]:
        """Frames that the hot loops, the raw lane and Scapy decoded."""
        return self.fast, self.raw, self.scapy

    def add(self, later: DecodeTally) -> None:
        """Count what ``later`` did of frames behind these."""
        self.fast += later.fast
        self.raw += later.raw
        self.scapy += later.scapy
        self.undecodable += later.undecodable
        self.first_undecodable = self.first_undecodable or later.first_undecodable
        self.unfinished += later.unfinished
        for link, frames in later.unknown_links.items():
            self.unknown_links[link] = self.unknown_links.get(link, 0) + frames

    def problems(self) -> list[str]:
        """What to say about these frames, in plain sentences."""
        sentences = [
            f"link type {link_name(link)} is not supported: {_count(frames, 'frame was', 'frames were')} not decoded"
            for link, frames in islice(self.unknown_links.items(), _LINKS_NAMED)
        ]
        more = list(islice(self.unknown_links.values(), _LINKS_NAMED, None))
        if more:
            sentences.append(f"{len(more)} more link types are not supported: {sum(more)} frames were not decoded")
        if self.undecodable:
            sentences.append(
                f"{_count(self.undecodable, 'frame', 'frames')} could not be decoded, their headers are cut or "
                f"damaged (the first is frame {self.first_undecodable})"
            )
        if self.unfinished:
            sentences.append(
                f"{_count(self.unfinished, 'fragmented datagram', 'fragmented datagrams')} never became whole"
            )
        return sentences


class SegmentDecoder:
    """Takes frames, calls ``sink`` for each TCP segment.

    Segments of flows in ``ignored`` (keys of both directions, kept by the consumer) may be left out, unless they begin
    a connection.

    One decoder serves all inputs of a run, since connections and fragmented datagrams may go on from file to file;
    ``tally`` is set anew for each.
    """

    def __init__(
        self,
        sink: SegmentSink,
        decoder: Literal["raw", "scapy"] = "raw",
        ignored: set[bytes] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        gathered: Gathered = gather_none,
    ) -> None:
        self.sink = sink
        self.gathered = gathered
        self.raw = decoder == "raw"
        self.ignored: set[bytes] = set() if ignored is None else ignored
        self.tally = DecodeTally()
        self.limits = limits
        self.fragments = Defragmenter(limits)
        self._scapy: Callable[[int, bytes, int], Found] | None = None

    def frame(self, link_type: int, time_ns: int, data: bytes, original_length: int, number: int) -> None:
        """Decode one frame. ``original_length``: its bytes on the wire. Raises only what the sinks raise."""
        if link_type not in LINKS:
            links = self.tally.unknown_links
            links[link_type] = links.get(link_type, 0) + 1
            return
        found = decode_raw(link_type, data, original_length) if self.raw else SkipReason.DECLINED
        if found is SkipReason.DECLINED:
            self.tally.scapy += 1
            found = self._dissect(link_type, data, original_length)
        else:
            self.tally.raw += 1
        if isinstance(found, tuple):
            self._deliver(found, number, time_ns)
        else:
            self._not_segment(found, number, time_ns)

    def _dissect(self, link_type: int, data: bytes, length: int) -> Found:
        if self._scapy is None:
            from .scapy_decoder import decode  # noqa: PLC0415  0.3 s, and most captures never need it

            self._scapy = decode
        return self._scapy(link_type, data, length)

    def _not_segment(self, found: Found, number: int, time_ns: int) -> None:
        for _ in range(_DEPTH):
            if not isinstance(found, Fragment):
                break
            whole = self.fragments.add(found, time_ns)
            if whole is None:
                return
            packet = _packet(found.addresses, *whole)
            length = len(packet) + whole[1]
            found = decode_raw(RAW, packet, length) if self.raw else SkipReason.DECLINED
            if found is SkipReason.DECLINED:
                found = self._dissect(RAW, packet, length)
        if isinstance(found, tuple):
            self._deliver(found, number, time_ns)
        elif found is not SkipReason.OTHER:
            self.tally.undecoded(number)

    def _deliver(self, found: SegmentFields, number: int, time_ns: int) -> None:
        if found[0] not in self.ignored or found[3] & _SYN:
            self.sink(*found, number, time_ns)

    def settle(self) -> None:
        """Count in ``tally`` which datagrams never became whole, as far as it is known now."""
        self.tally.unfinished += self.fragments.dropped + self.fragments.unfinished()
        self.fragments.dropped = 0

    def problems(self) -> list[str]:
        """What to say about the frames decoded since ``tally`` was set, in plain sentences."""
        self.settle()
        return self.tally.problems()


def _packet(addresses: bytes, content: bytes, missing: int, protocol: int) -> bytes:
    """A whole IP packet around what was in fragments. Its headers hold what decoding needs, no more."""
    length = len(content) + missing
    if len(addresses) == 8:
        return _ipv4_header(0x45, 20 + length, 0, 0, 64, protocol, 0, addresses) + content
    return _ipv6_header(6 << 28, length, protocol, 64, addresses) + content


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
