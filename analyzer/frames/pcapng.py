"""pcapng files: sections of either byte order, several interfaces, and all three kinds of packet blocks."""

# Theory
# ------
# A file is a sequence of blocks: type, total length, body, total length again
# (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng). A section header sets the byte order and ends the validity
# of earlier interfaces. A packet names an interface, which gives the link type and the time unit.
#
# `_read_packets` reads a run of enhanced packet blocks: it checks their headers, then `frame_loop` reads their frames.
# `_read_other` reads one block of any other kind. Blocks without packets are skipped, and long ones are not kept in
# memory. The second length of a block is compared with the first, except for enhanced packet blocks. If they differ,
# the file is damaged.
#
# Frame numbers are those of Wireshark, which numbers packets, journal entries, system calls and custom blocks.

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from ..segments.link_layers import EN10MB, FIXED
from .drop_counts import DropCounts
from .frame_loop import FrameLayout, FrameRun, Order, decode_frames
from .reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..segments.decoder import SegmentDecoder
    from .input_window import Window

__all__ = ["MAGIC", "ORDERS", "SECRETS", "TLS_KEY_LOG", "PcapngReader"]

MAGIC = b"\x0a\x0d\x0d\x0a"

_SECTION: Final = 0x0A0D0D0A  # reads the same in both byte orders
_INTERFACE: Final = 1
_PACKET: Final = 2  # obsolete; replaced by the enhanced packet block
_SIMPLE: Final = 3
_ENHANCED: Final = 6
SECRETS: Final = 10  # a Decryption Secrets Block
TLS_KEY_LOG: Final = 0x544C534B  # its secrets are those of TLS
_NUMBERED: Final = frozenset((9, 0x204, 0xBAD, 0x40000BAD))
_KEPT: Final = frozenset((_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED))

_STATISTICS: Final = 5  # of an interface

_TIME_RESOLUTION: Final = 9  # options of an interface
_TIME_OFFSET: Final = 14

_DROPS_BEFORE_PACKET: Final = 4  # option of a packet
_DROPS_OF_INTERFACE: Final = (5, 7)  # options of its statistics: lost by the interface, and by the system
_UNKNOWN_DROPS: Final = 0xFFFF

ORDERS: Final[dict[bytes, Order]] = {b"\x4d\x3c\x2b\x1a": "little", b"\x1a\x2b\x3c\x4d": "big"}

_SMALLEST: Final = 12  # a block without a body
_PACKET_BYTES: Final = 32  # an enhanced packet block without frame and options; the frame starts 4 bytes before the end
_FRAME: Final = 28
_MAX_LAYOUTS: Final = 256  # kept at a time; a capture has as many as link types, usually one
_SECOND: Final = 1_000_000_000


class _Interface:
    """An interface description. ``unit``: nanoseconds in a tick, 0 if that is not a whole number."""

    __slots__ = ("digits", "link_type", "offset", "resolution", "snaplen", "unit")

    def __init__(self, link_type: int, snaplen: int, resolution: int, offset: int) -> None:
        self.link_type = link_type
        self.snaplen = snaplen
        self.resolution = resolution
        self.offset = offset * _SECOND
        decimal = not resolution & 0x80
        self.unit = 10 ** (9 - resolution) if decimal and resolution <= 9 else 0
        self.digits = 6 if (resolution <= 6 if decimal else resolution & 0x7F < 20) else 9

    def nanoseconds(self, ticks: int) -> int:
        """Return the time of a packet in ns. If bit 7 of the resolution is set, its base is 2, else 10."""
        if self.unit:
            return ticks * self.unit + self.offset
        if self.resolution & 0x80:
            return (ticks * _SECOND >> (self.resolution & 0x7F)) + self.offset
        return ticks // int(10 ** (self.resolution - 9)) + self.offset

    def frame_layout(self, order: Order, *, raw: bool) -> FrameLayout:
        """Return the layout of its packets. ``raw``: Scapy does not decode them all."""
        header = Struct("<12x4I" if order == "little" else ">12x4I").unpack_from

        def whole(data: bytes, at: int) -> tuple[int, bytes, int]:
            high, low, captured, original = header(data, at)
            start = at + _FRAME
            return self.nanoseconds(high << 32 | low), data[start : start + captured], original

        kind, packet = FIXED.get(self.link_type, FIXED[EN10MB])
        return FrameLayout.of(
            self.link_type,
            order,
            "4xI4x3I",
            whole,
            (self.unit << 32, self.unit, self.offset),
            ethertype=_FRAME + kind,
            ip=_FRAME + packet,
            frame=_FRAME,
            plain=raw and self.unit > 0 and self.link_type in FIXED,
        )


class PcapngReader(Reader):
    """Reads a pcapng file."""

    format = "pcapng"
    _not_state = ("_layouts",)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._order: Order = "little"
        self._interfaces: list[_Interface] = []
        self._layouts: dict[tuple[int, int, int, Order], FrameLayout] = {}  # shared by equal interfaces
        self._unknown_interfaces = 0
        self._omitted_interfaces = 0  # interfaces above the limit
        self._blocks = 0  # and runs of packets
        self._drops = DropCounts()

    def run(self, decoder: SegmentDecoder) -> Iterator[None]:
        window = self.window
        self.longest, self.most_empty = decoder.limits.record_bytes, decoder.limits.empty_records
        at = self.start
        while True:
            self._note_state()
            blocks, octets = self._blocks, self.octets
            at, need = self._read_blocks(decoder, at)
            yield
            if not need or self._is_filler(self._blocks - blocks, self.octets - octets, "blocks"):
                break
            kind = self._number(at, 4)
            if need > self.longest > 0 and kind not in _KEPT:
                self.frames += kind in _NUMBERED
                if kind == SECRETS:
                    self.problems.append(f"key log of {need} bytes at byte {window.base + at}: too long, not read")
                if not window.skip(at + need):
                    self.problems.append(f"the last block is cut short at byte {window.base + window.size}")
                    break
            elif not self._next_block(at, need, "block"):
                break
            at = 0
        self.problems += self._drops.problems()
        if self._omitted_interfaces:
            self.problems.append(f"interfaces above the limit of a section, ignored: {self._omitted_interfaces}")
        if self._unknown_interfaces:
            self.problems.append(
                f"packets of an interface that is not described, not decoded: {self._unknown_interfaces}"
            )

    def _read_blocks(self, decoder: SegmentDecoder, at: int) -> tuple[int, int]:
        """Read the whole blocks in the window. Returns where the next one starts and its length (0: damaged file)."""
        size = self.window.size
        while at + _SMALLEST <= size:
            if self._number(at, 4) == _ENHANCED and (stop := self._read_packets(decoder, at)) > at:
                at = stop
                continue
            length = self._length(at)
            self._blocks += 1
            if not length or at + length > size:
                return at, length
            if self._number(at + length - 4, 4) != length or not self._read_other(decoder, at, length):
                self._report_damage(at)
                return at, 0
            at += length
        return at, _SMALLEST

    def _number(self, at: int, width: int) -> int:
        return int.from_bytes(self.window.data[at : at + width], self._order)

    def _report_damage(self, at: int) -> None:
        self.problems.append(f"the block at byte {self.window.base + at} is damaged: not read from there on")

    def _length(self, at: int) -> int:
        """Return the total length of the block, 0 if it is invalid. A section header first sets the byte order."""
        if self._number(at, 4) == _SECTION:
            magic = self.window.data[at + 8 : at + 12]
            if magic not in ORDERS:
                self._report_damage(at)
                return 0
            self._order = ORDERS[magic]
        length = self._number(at + 4, 4)
        if length < _SMALLEST or length % 4:
            self._report_damage(at)
            return 0
        return length

    def _read_other(self, decoder: SegmentDecoder, at: int, length: int) -> bool:
        """Read one whole block that is not an enhanced packet. Returns False if it is too short for its fields."""
        kind = self._number(at, 4)
        if kind == _SECTION:
            self._interfaces = []
            self._drops.next_section()
            self.on_secrets(b"")
        elif kind == _INTERFACE:
            return self._describe(decoder, at, length)
        elif kind == _SIMPLE:
            return self._read_simple(decoder, at, length)
        elif kind == _PACKET:
            return self._read_superseded(decoder, at, length)
        elif kind == _STATISTICS:
            for code, value in self._options(at + 20, at + length - 4):
                if code in _DROPS_OF_INTERFACE and len(value) == 8:
                    self._drops.of_interface(self._number(at + 8, 4), code, int.from_bytes(value, self._order))
        elif kind == SECRETS:
            if self._number(at + 8, 4) == TLS_KEY_LOG:
                size = min(self._number(at + 12, 4), max(0, length - 20))
                self.on_secrets(self.window.data[at + 16 : at + 16 + size])
        elif kind == _ENHANCED:  # rejected by `_read_packets`
            if self._number(at + 8, 4) < len(self._interfaces):
                return False
            self.frames += 1
            self._unknown_interfaces += 1
        elif kind in _NUMBERED:
            self.frames += 1
        return True

    def _describe(self, decoder: SegmentDecoder, at: int, length: int) -> bool:
        """Read an interface description: link type, snap length, options."""
        if length < 20:
            return False
        resolution, offset = 6, 0
        for code, value in self._options(at + 16, at + length - 4):
            if code == _TIME_RESOLUTION and len(value) == 1:
                resolution = value[0]
            elif code == _TIME_OFFSET and len(value) == 8:
                offset = int.from_bytes(value, self._order, signed=True)
        link_type = self._number(at + 8, 2)
        interface = _Interface(link_type, self._number(at + 12, 4), resolution, offset)
        if len(self._interfaces) == decoder.limits.interfaces > 0:
            self._omitted_interfaces += 1
            return True
        self._interfaces.append(interface)
        self._note_link_type(link_type)
        if interface.digits > self.digits:
            self.digits = interface.digits
            self.on_digits(self.digits)
        return True

    def _options(self, at: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the code and the value of each option between ``at`` and ``end``."""
        while at + 4 <= end:
            code, size = self._number(at, 2), self._number(at + 2, 2)
            if not code:
                return
            yield code, self.window.data[at + 4 : at + 4 + size]
            at += 4 + size + -size % 4

    def _read_simple(self, decoder: SegmentDecoder, at: int, length: int) -> bool:
        """Read a simple packet of the first interface. It has no time, so it gets that of the packet before."""
        if length < 16:
            return False
        self.frames += 1
        if not self._interfaces:
            self._unknown_interfaces += 1
            return True
        interface = self._interfaces[0]
        original = self._number(at + 8, 4)
        captured = min(original, interface.snaplen or original, length - 16)
        data = self.window.data[at + 12 : at + 12 + captured]
        self.octets += captured
        if not self.counting:
            decoder.frame(interface.link_type, self.last_ns or 0, data, original, self.frames)
        return True

    def _read_superseded(self, decoder: SegmentDecoder, at: int, length: int) -> bool:
        """Read an obsolete packet block: 16 bits for the interface, 16 bits for the drop count."""
        captured = self._number(at + 20, 4)
        if length < 32 or captured > length - 32:
            return False
        self.frames += 1
        dropped = self._number(at + 10, 2)
        self._drops.before_packet(dropped if dropped != _UNKNOWN_DROPS else 0)
        index = self._number(at + 8, 2)
        if index >= len(self._interfaces):
            self._unknown_interfaces += 1
            return True
        interface = self._interfaces[index]
        self._note_time(interface.nanoseconds(self._number(at + 12, 4) << 32 | self._number(at + 16, 4)))
        data = self.window.data[at + 28 : at + 28 + captured]
        self.octets += captured
        if not self.counting:
            decoder.frame(interface.link_type, self.last_ns or 0, data, self._number(at + 24, 4), self.frames)
        return True

    def _read_packets(self, decoder: SegmentDecoder, at: int) -> int:
        """Read a run of whole enhanced packet blocks of one interface that starts at ``at``. Returns where it ends."""
        index = self._number(at + 8, 4)
        if index >= len(self._interfaces):
            return at
        run, octets = self._measure_run(at, index)
        if run.last < 0:
            return at
        layout = self._layout_of(self._interfaces[index], decoder)
        if not self.counting:
            decode_frames(self.window.data, at, run.last, run.end, self.frames, layout, decoder)
        self.octets += octets
        self._note_run(layout, at, run)
        return run.end

    def _read_packet_options(self, at: int, length: int, captured: int) -> None:
        for code, value in self._options(at + _FRAME + captured + -captured % 4, at + length - 4):
            if code == _DROPS_BEFORE_PACKET and len(value) == 8:
                self._drops.before_packet(int.from_bytes(value, self._order))

    def _layout_of(self, interface: _Interface, decoder: SegmentDecoder) -> FrameLayout:
        key = interface.link_type, interface.resolution, interface.offset, self._order
        layout = self._layouts.get(key)
        if layout is None:
            if len(self._layouts) == _MAX_LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[key] = interface.frame_layout(self._order, raw=decoder.raw)
        return layout

    def _measure_run(self, at: int, index: int) -> tuple[FrameRun, int]:
        """Return how far the run of whole packets of interface ``index`` reaches, and the captured bytes in it."""
        number, octets, prior, last = self.frames, 0, -1, -1
        data, size = self.window.data, self.window.size
        header = Struct("<3I8xI" if self._order == "little" else ">3I8xI").unpack_from
        stop = size - _PACKET_BYTES
        while at <= stop:
            block, length, which, captured = header(data, at)
            following = at + length
            if block != _ENHANCED or which != index or following > size:
                break
            if captured + _PACKET_BYTES + 3 < length:
                self._read_packet_options(at, length, captured)
            elif captured + _PACKET_BYTES > length:
                break
            if length & 3:
                break
            number += 1
            octets += captured
            prior, last, at = last, at, following
        return FrameRun(at, number, prior, last), octets
