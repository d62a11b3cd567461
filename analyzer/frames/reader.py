"""The common part of the readers of all capture formats: position, statistics and problems."""

# Theory of the hot loops in `pcap` and `pcapng`
# ---------------------------------------------
# They are the innermost loops of the whole program, so each loop is one function without calls: a call costs a tenth of
# a microsecond, and a million frames are usual.
#
# - `record` unpacks the record header and everything that decides whether the frame is plain IPv4 + TCP. It uses the
#   byte order of the file, so numbers in network order come out swapped in a little-endian file. `HotLoopLayout` holds
#   the values to compare them with, swapped in the same way. `segment` and `segment_6`, in network order, unpack the
#   fields of a segment.
# - They read up to 120 bytes after the start of a record; the window is padded for that. A frame that is too short for
#   the fields is recognised by its length and goes to the decoder.
# - Every frame that is not plain goes to `SegmentDecoder.frame`, which handles all frames. The loop never decides that
#   a frame is invalid; it only recognises the plain ones. If no frame may be plain (other link layers, or Scapy decodes
#   everything), the loop compares with EtherTypes that do not exist.

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, calcsize
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from ..segments.ip_tcp import TUNNEL_PORTS
from ..segments.link_layers import EN10MB, FIXED
from .input_window import MAX_RECORD, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..segments.decoder import SegmentDecoder

__all__ = ["HotLoopLayout", "Order", "Reader"]

Order = Literal["little", "big"]


MAX_LINK_TYPES = 64  # of one capture that the report names; merged files have a few

_Unpack = Callable[[bytes, int], tuple[Any, ...]]


class HotLoopLayout(NamedTuple):
    """How a hot loop unpacks frames of one link type, and the values it compares with. ``ip``: offset of IP."""

    record: _Unpack
    segment: _Unpack
    segment_6: _Unpack
    ip: int
    ipv4: int
    ipv6: int
    fragmented: int
    tunnel_ports: frozenset[bytes]

    @classmethod
    def of(cls, decoder: SegmentDecoder, link_type: int, order: Order, header: str) -> HotLoopLayout:
        """Return the layout for frames after a record header of struct format ``header``, in this byte order."""
        known = decoder.raw and link_type in FIXED
        kind, packet = FIXED[link_type if known else EN10MB]
        head = calcsize("=" + header)
        ip = head + packet

        def swapped(value: int) -> int:
            return int.from_bytes(value.to_bytes(2, "big"), order)

        return cls(
            # header | EtherType, version and length of header, flags and offset, protocol, flow, flags
            Struct(
                f"{'<' if order == 'little' else '>'}{header}{kind}xH{packet - kind - 2}xB5xHxB2x12s9xB"
            ).unpack_from,
            # total length, sequence number, acknowledgment number, data offset
            Struct(f"!{ip}x2xH20xIIB").unpack_from,
            # payload length, flow, sequence number, acknowledgment number, data offset, flags
            Struct(f"!{ip}x4xH2x36sIIBB").unpack_from,
            ip,
            swapped(0x0800) if known else -1,
            swapped(0x86DD) if known else -1,
            swapped(0x3FFF),  # RFC 791 §3.1: more fragments, or an offset
            frozenset(port.to_bytes(2, "big") for port in TUNNEL_PORTS),
        )


def _ignore_digits(digits: int) -> None:
    pass


class Reader:
    """Reads one capture. Its attributes are correct after each block.

    ``frames``: records so far, as Wireshark numbers them. ``octets``: captured bytes in them. ``first_ns``,
    ``prior_ns`` and ``last_ns``: times of the first, the last but one and the last frame that have one. ``digits``:
    decimals of a second in the times; ``on_digits`` is called when that changes. ``link_types``: the first ones, in
    order of appearance. ``problems``: damage, one sentence each. ``skip_to``: blocks are only counted until one has
    ended at or after this byte, because another process reads their frames.
    """

    format: ClassVar[str]

    def __init__(self, window: Window) -> None:
        self.window = window
        self.frames = 0
        self.octets = 0
        self.first_ns: int | None = None
        self.prior_ns: int | None = None
        self.last_ns: int | None = None
        self.digits = 6
        self.on_digits: Callable[[int], None] = _ignore_digits
        self.link_types: list[int] = []
        self.problems: list[str] = []
        self.longest = MAX_RECORD
        self.skip_to = 0
        self._reached = 0  # where the last block ended

    def run(self, decoder: SegmentDecoder) -> Iterator[None]:
        """Read to the end or to the damage. Yields after each block, so that the caller can take finished results."""
        raise NotImplementedError

    def _should_skip(self) -> bool:
        """Return whether the block in the window must only be counted."""
        skips = self._reached < self.skip_to
        self._reached = self.window.base + self.window.size
        return skips

    def _note_time(self, time_ns: int) -> None:
        """Note the time of a frame. Called for the first, the last but one and the last frame of each block."""
        if self.first_ns is None:
            self.first_ns = time_ns
        self.prior_ns, self.last_ns = self.last_ns, time_ns

    def _note_link_type(self, link_type: int) -> None:
        if len(self.link_types) < MAX_LINK_TYPES and link_type not in self.link_types:
            self.link_types.append(link_type)

    def _next_block(self, used: int, need: int, what: str, head: int = 0) -> bool:
        """Move the window past ``used`` bytes, to a record of ``need`` bytes. Returns False if reading ends here.

        ``head``: those of the ``need`` bytes that the length field of the record does not count.
        """
        window = self.window
        at = window.base + used
        if need > self.longest > 0:
            self.problems.append(f"the {what} at byte {at} claims {need - head} bytes: damaged from there on")
            return False
        if window.advance(used, need) and window.size >= need:
            return True
        if window.size and not window.fault:
            self.problems.append(f"the last {what} is cut short at byte {window.base + window.size}")
        return False
