"""Turn frames into TCP segments: choose the decoder of a frame, and deliver its segment."""

# Theory
# ------
# Three decoders give the same segments; a differential test compares them:
#
# 1. The loop in `frame_loop` reads plain Ethernet + IP + TCP from a block of records, without a call for each header.
#    All other frames go to
# 2. `SegmentDecoder.frame`, which calls the raw decoder (`tunnels`) for every link layer, tunnel and fragment. Frames
#    with a number that its table does not have go to
# 3. the Scapy decoder. It is about 50 times slower, and is imported when the first frame needs it. With decoder="scapy"
#    it gets every frame: it is the reference. Scapy is not asked about a number for which it found nothing some times
#    before, so that no sender can choose the slow way for all of its frames.
#
# A frame that none of them opens is counted by what could not be opened.
#
# Most connections of a capture are not SMTP. The consumer puts a flow into `ignored` when it needs no more of it. The
# segments of such a flow are skipped here, at a tenth of the cost, except a SYN, which starts a new connection.

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Literal

from ..limits import DEFAULT_LIMITS, Limits
from .decode_tally import DecodeTally
from .defragment import LARGEST, Defragmenter
from .layers import BROKEN, NO_TCP, Found, Fragment, Undecoded
from .link_layers import RAW
from .recent_packets import RecentPackets
from .tunnels import decode as decode_raw

__all__ = ["SegmentDecoder", "SegmentSink"]

SegmentSink = Callable[[bytes, int, int, int, bytes, int, int, int], None]
"""Called with (flow, seq, ack, flags, payload, missing, frame, time_ns), by position.

``flow``: source address, destination address, source port and destination port as they stand in the headers (12 bytes
for IPv4, 36 for IPv6). ``flags``: the low 8 flag bits (FIN 1, SYN 2, RST 4, PSH 8, ACK 16). ``missing``: bytes that
follow ``payload`` in this segment and were not captured. ``frame``: number in its file, from 1. ``time_ns``:
nanoseconds since 1970. Every segment is delivered, bare ACKs too.
"""

_SYN = 2
_ASKED_EACH, _ASKED = 4, 256  # frames for which Scapy may find nothing: with one number, and numbers
_DEPTH = 8  # levels of fragmented datagrams inside one another; nested tunnels need two or three

_ipv4_header = Struct("!BxHHHBBH8s").pack
_ipv6_header = Struct("!IHBB32s").pack


class SegmentDecoder:
    """Takes frames and calls ``sink`` for each TCP segment.

    Segments of flows in ``ignored`` (keys of both directions, kept by the consumer) may be omitted, unless they start a
    connection.

    One decoder serves all inputs of a run, because connections and fragmented datagrams may continue in the next file;
    ``tally`` is replaced for each input. ``put_aside``: takes the fragments of datagrams instead, with the link type,
    the time and the number of the frame; ``fragment`` takes them later.
    """

    def __init__(
        self,
        sink: SegmentSink,
        decoder: Literal["raw", "scapy"] = "raw",
        ignored: set[bytes] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        recent: RecentPackets | None = None,
    ) -> None:
        """``recent``: gets the blocks of frames that are read."""
        self.sink = sink
        self.recent = RecentPackets() if recent is None else recent
        self.raw = decoder == "raw"
        self.ignored: set[bytes] = set() if ignored is None else ignored
        self.tally = DecodeTally()
        self.limits = limits
        self.fragments = Defragmenter(limits)
        self.put_aside: Callable[[Fragment, int, int, int], None] | None = None
        self._scapy: Callable[[int, bytes, int], Found] | None = None
        self._in_vain: dict[str, int] = {}  # how often Scapy was asked about a number, and found nothing

    def frame(self, link_type: int, time_ns: int, data: bytes, original_length: int, number: int) -> None:
        """Decode one frame. ``original_length``: its bytes on the wire. Raises only what the sinks raise."""
        if not data:
            self.tally.empty += 1
            return
        found: Found
        if self.raw:
            found = decode_raw(link_type, data, original_length)
            if type(found) is Undecoded and found.odd:
                found = self._ask_scapy(found, link_type, data, original_length)
            else:
                self.tally.raw += 1
        else:
            found = self._dissect(link_type, data, original_length)
        if type(found) is Fragment:
            if self.put_aside is None:
                self.fragment(found, link_type, time_ns, number)
            else:
                self.put_aside(found, link_type, time_ns, number)
        else:
            self._take(found, link_type, time_ns, number)

    def fragment(self, found: Fragment, link_type: int, time_ns: int, number: int) -> None:
        """Take a fragment that the frame ``number`` holds."""
        self._take(self._assemble(found, time_ns), link_type, time_ns, number)

    def _take(self, found: Found, link_type: int, time_ns: int, number: int) -> None:
        """Deliver the segment that a frame holds, or count why it holds none."""
        if type(found) is tuple:
            if found[0] not in self.ignored or found[3] & _SYN:
                self.sink(*found, number, time_ns)
        elif type(found) is Undecoded:
            self.tally.unopened_frame(found, link_type, most=self.limits.undecoded_kinds)
        elif found is not NO_TCP:
            self.tally.undecoded(number)

    def _ask_scapy(self, found: Undecoded, link_type: int, data: bytes, length: int) -> Found:
        """Let Scapy decode what the table could not open, unless it could not do so for several such frames."""
        vain = self._in_vain.get(found.what, 0)
        if vain >= _ASKED_EACH or (not vain and len(self._in_vain) >= _ASKED):
            self.tally.raw += 1
            return found
        dissected = self._dissect(link_type, data, length)
        if isinstance(dissected, tuple | Fragment):
            return dissected
        self._in_vain[found.what] = vain + 1
        return found

    def _dissect(self, link_type: int, data: bytes, length: int) -> Found:
        if self._scapy is None:
            from .scapy_decoder import decode  # noqa: PLC0415  0.3 s, and most captures never need it

            self._scapy = decode
        self.tally.scapy += 1
        return self._scapy(link_type, data, length)

    def _assemble(self, found: Fragment, time_ns: int) -> Found:
        """Return what the datagram of a fragment holds. NO_TCP: it is not complete yet."""
        for _ in range(_DEPTH):
            if not found.length or found.offset + found.length > LARGEST:
                return BROKEN
            whole = self.fragments.add(found, time_ns)
            if whole is None:
                return NO_TCP
            packet = _packet(found.addresses, *whole)
            length = len(packet) + whole[1]
            inner = decode_raw(RAW, packet, length) if self.raw else self._dissect(RAW, packet, length)
            if type(inner) is Undecoded and inner.odd and self.raw:
                inner = self._ask_scapy(inner, RAW, packet, length)
            if type(inner) is not Fragment:
                return inner
            found = inner
        return BROKEN

    def settle(self) -> None:
        """Count in ``tally`` the datagrams that are not complete so far."""
        tally, fragments = self.tally, self.fragments
        tally.unfinished += fragments.dropped + fragments.unfinished()
        tally.overlapping += fragments.overlapping
        tally.abandoned += fragments.abandoned
        fragments.dropped = fragments.overlapping = fragments.abandoned = 0

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
