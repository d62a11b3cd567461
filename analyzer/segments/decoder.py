"""Turn frames into TCP segments: choose the decoder of a frame, and deliver its segment."""

# Theory
# ------
# Three decoders give the same segments; a differential test compares them:
#
# 1. The loop in `frame_loop` reads plain Ethernet + IP + TCP from a block of records, without a call for each header.
#    All other frames go to
# 2. `SegmentDecoder.frame`, which calls the raw decoder (`link_layers`, `ip_tcp`) for every link layer, IP options and
#    fragments. Tunnels that it does not open go to
# 3. the Scapy decoder. It is about 50 times slower, and is imported when the first frame needs it. With decoder="scapy"
#    it gets every frame: it is the reference.
#
# Most connections of a capture are not SMTP. The consumer puts a flow into `ignored` when it needs no more of it. The
# segments of such a flow are skipped here, at a tenth of the cost, except a SYN, which starts a new connection.

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
    "DecodeTally",
    "SegmentDecoder",
    "SegmentSink",
]

SegmentSink = Callable[[bytes, int, int, int, bytes, int, int, int], None]
"""Called with (flow, seq, ack, flags, payload, missing, frame, time_ns), by position.

``flow``: source address, destination address, source port and destination port as they stand in the headers (12 bytes
for IPv4, 36 for IPv6). ``flags``: the low 8 flag bits (FIN 1, SYN 2, RST 4, PSH 8, ACK 16). ``missing``: bytes that
follow ``payload`` in this segment and were not captured. ``frame``: number in its file, from 1. ``time_ns``:
nanoseconds since 1970. Every segment is delivered, bare ACKs too.
"""

_SYN = 2
_LINKS_NAMED = 8  # unsupported link types that are reported by name; a real capture has one or two
_DEPTH = 8  # levels of fragmented datagrams inside one another; nested tunnels need two or three

_ipv4_header = Struct("!BxHHHBBH8s").pack
_ipv6_header = Struct("!IHBB32s").pack


class DecodeTally:
    """Counts of the frames of one capture: how many each decoder decoded, and how many could not be decoded."""

    def __init__(self) -> None:
        self.fast = 0
        self.raw = 0
        self.scapy = 0
        self.undecodable = 0
        self.first_undecodable = 0
        self.unknown_links: dict[int, int] = {}
        self.unfinished = 0  # datagrams that were never complete

    @classmethod
    def of(cls, counts: dict[str, Any]) -> DecodeTally:
        """Return the tally whose ``vars`` are ``counts``."""
        tally = cls()
        vars(tally).update(counts)
        return tally

    def undecoded(self, number: int) -> None:
        """Count a frame whose headers are cut or contradict each other."""
        self.undecodable += 1
        self.first_undecodable = self.first_undecodable or number

    @property
    def decoder_counts(self) -> tuple[int, int, int]:
        """Frames that the hot loop, the raw decoder and Scapy decoded."""
        return self.fast, self.raw, self.scapy

    def add(self, later: DecodeTally) -> None:
        """Add the counts of ``later``, a tally of the frames after these."""
        self.fast += later.fast
        self.raw += later.raw
        self.scapy += later.scapy
        self.undecodable += later.undecodable
        self.first_undecodable = self.first_undecodable or later.first_undecodable
        self.unfinished += later.unfinished
        for link, frames in later.unknown_links.items():
            self.unknown_links[link] = self.unknown_links.get(link, 0) + frames

    def problems(self) -> list[str]:
        """Return the problems with these frames, as plain sentences."""
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
                f"{_count(self.unfinished, 'fragmented datagram was', 'fragmented datagrams were')} never complete"
            )
        return sentences


class SegmentDecoder:
    """Takes frames and calls ``sink`` for each TCP segment.

    Segments of flows in ``ignored`` (keys of both directions, kept by the consumer) may be omitted, unless they start a
    connection.

    One decoder serves all inputs of a run, because connections and fragmented datagrams may continue in the next file;
    ``tally`` is replaced for each input.
    """

    def __init__(
        self,
        sink: SegmentSink,
        decoder: Literal["raw", "scapy"] = "raw",
        ignored: set[bytes] | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.sink = sink
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
        """Count in ``tally`` the datagrams that are not complete so far."""
        self.tally.unfinished += self.fragments.dropped + self.fragments.unfinished()
        self.fragments.dropped = 0

    def problems(self) -> list[str]:
        """Return the problems with the frames decoded since ``tally`` was set, as plain sentences."""
        self.settle()
        return self.tally.problems()


def _packet(addresses: bytes, content: bytes, missing: int, protocol: int) -> bytes:
    """Return a whole IP packet around the content of fragments. Its headers have the fields that decoding needs."""
    length = len(content) + missing
    if len(addresses) == 8:
        return _ipv4_header(0x45, 20 + length, 0, 0, 64, protocol, 0, addresses) + content
    return _ipv6_header(6 << 28, length, protocol, 64, addresses) + content


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
