"""Captures as pcapng blocks that can be written again: those of pcapng unchanged, records of pcap as new blocks."""

# Theory
# ------
# The readers of the audit look for segments and skip everything else; here everything is kept and nothing is decoded. A
# block of pcapng is passed on byte for byte. A block that gets a comment has one more option after its own, and its two
# lengths are updated.
#
# Three things must change when a comment is added. A section that states its length gets the value for "not stated"
# (-1). A simple packet block has no room for options, so it becomes an enhanced one, with the time of the previous
# packet on its interface, because it has no time of its own. A classic pcap file becomes a section with one interface.
#
# Frames are numbered as the readers number them, which is as Wireshark does. The copy ends at the same damage at which
# a reader stops, so that the result is a valid file.

from __future__ import annotations

from struct import Struct, pack
from typing import TYPE_CHECKING, Final, NamedTuple

from ..frames.input_window import MAX_RECORD
from ..frames.pcap import FILE_HEADER, MAGICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..frames.frame_loop import Order
    from ..frames.input_window import Window

__all__ = ["DecoderFrame", "OutputBlock", "commented", "pcap_blocks", "pcapng_blocks", "uncommented"]

_SECTION: Final = 0x0A0D0D0A
_BYTE_ORDER: Final = 0x1A2B3C4D
_INTERFACE: Final = 1
_PACKET: Final = 2
_SIMPLE: Final = 3
_ENHANCED: Final = 6
_NUMBERED: Final = frozenset((_PACKET, _SIMPLE, _ENHANCED, 9, 0x204, 0xBAD, 0x40000BAD))

_BOUNDED: Final = frozenset((_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED))  # never longer than MAX_RECORD
_LEAST: Final = {_SECTION: 28, _INTERFACE: 20, _PACKET: 32, _SIMPLE: 16, _ENHANCED: 32}

_COMMENT: Final = 1  # options
_TIME_RESOLUTION: Final = 9
_FCS_LENGTH: Final = 13

_DATA: Final = 28  # offset of the frame in a packet block, enhanced or obsolete
_STATISTICS: Final = 5
_OPTIONS: Final = {_SECTION: 24, _INTERFACE: 16, _STATISTICS: 20}  # their offset in blocks that are not packets

_ORDERS: Final[dict[bytes, Order]] = {
    _BYTE_ORDER.to_bytes(4, "little"): "little",
    _BYTE_ORDER.to_bytes(4, "big"): "big",
}


class DecoderFrame(NamedTuple):
    """The arguments of ``SegmentDecoder.frame`` for one frame."""

    link_type: int
    time_ns: int
    data: bytes
    original_length: int


class OutputBlock(NamedTuple):
    """Bytes to write. ``number``: that of the frame, 0 for none. ``wide``: the same block in a form that has
    options."""

    raw: bytes
    order: Order
    number: int = 0
    wide: bytes | None = None
    frame: DecoderFrame | None = None


class _BlockWalk:
    """Reads a window block by block. ``problems``: gets the reason if the input ends early."""

    def __init__(self, window: Window, problems: list[str]) -> None:
        self.window = window
        self.at = 0
        self._problems = problems

    def have(self, need: int, what: str) -> bool:
        """Whether ``need`` bytes are available; reads more input if necessary."""
        window = self.window
        if window.size - self.at >= need:
            return True
        window.advance(self.at, need)
        self.at = 0
        if window.size >= need:
            return True
        if window.size and not window.fault:
            self._problems.append(f"the last {what} is cut short at byte {window.base + window.size}: omitted")
        return False

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes, which must be available."""
        start = self.at
        self.at = start + count
        return self.window.data[start : self.at]

    def number(self, offset: int, order: Order, width: int = 4) -> int:
        """Return the number at ``offset`` from here, which must be available."""
        start = self.at + offset
        return int.from_bytes(self.window.data[start : start + width], order)

    def damaged(self, what: str) -> None:
        """Report that the copy ends here."""
        self._problems.append(f"the {what} at byte {self.window.base + self.at} is damaged: the copy ends there")


class _Section:
    """The facts of a section for its simple packets. ``snaplen``: that of its first interface, once that is described;
    ``ticks``: the time of the last packet of that interface."""

    def __init__(self, order: Order) -> None:
        self.order: Order = order
        self.snaplen: int | None = None
        self.ticks = bytes(8)


def pcapng_blocks(window: Window, problems: list[str]) -> Iterator[OutputBlock]:
    """Return the blocks of a pcapng file. Comments may be added and removed, so sections do not state their lengths."""
    walk = _BlockWalk(window, problems)
    section = _Section("little")
    number = 0
    while walk.have(12, "block"):
        if walk.number(0, "little") == _SECTION:
            section = _Section(_ORDERS.get(walk.window.data[walk.at + 8 : walk.at + 12], "little"))
        order = section.order
        kind, length = walk.number(0, order), walk.number(4, order)
        if not _can_be(walk, kind, length, order):
            walk.damaged("block")
            return
        number += kind in _NUMBERED
        if length > MAX_RECORD:
            for piece in _long(walk, length):
                yield OutputBlock(piece, order)
            continue
        if not walk.have(length, "block"):
            return
        if not _is_whole(walk, kind, length, order):
            walk.damaged("block")
            return
        raw = walk.take(length)
        if kind == _ENHANCED:
            if raw[8:12] == b"\0\0\0\0":
                section.ticks = raw[12:20]
            yield OutputBlock(raw, order, number, raw)
        elif kind == _PACKET:
            yield OutputBlock(raw, order, number, raw)
        elif kind == _SIMPLE:
            yield OutputBlock(raw, order, number, _widened(raw, section))
        else:
            yield OutputBlock(_noted(raw, kind, section), order, number if kind in _NUMBERED else 0)


def _can_be(walk: _BlockWalk, kind: int, length: int, order: Order) -> bool:
    """Whether the bytes here can be the start of a block."""
    if kind == _SECTION and walk.window.data[walk.at + 8 : walk.at + 12] not in _ORDERS:
        return False
    if length > MAX_RECORD and kind in _BOUNDED:
        return False
    return length >= _LEAST.get(kind, 12) and not length % 4


def _is_whole(walk: _BlockWalk, kind: int, length: int, order: Order) -> bool:
    """Whether the fields of the block, which is available completely, are consistent. The readers do not check the
    second length of an enhanced packet either."""
    if kind != _ENHANCED and walk.number(length - 4, order) != length:
        return False
    return kind not in {_ENHANCED, _PACKET} or walk.number(20, order) + 32 <= length


def _noted(raw: bytes, kind: int, section: _Section) -> bytes:
    """Return a block that is not a packet in the form in which it is written."""
    if kind == _INTERFACE and section.snaplen is None:
        section.snaplen = int.from_bytes(raw[12:16], section.order)
    if kind == _SECTION:
        return raw[:16] + b"\xff" * 8 + raw[24:]
    return raw


def _long(walk: _BlockWalk, length: int) -> Iterator[bytes]:
    """Return a block of ``length`` bytes in pieces, without keeping it."""
    while length and walk.have(1, "block"):
        piece = walk.take(min(length, walk.window.size - walk.at))
        length -= len(piece)
        yield piece


def _widened(raw: bytes, section: _Section) -> bytes:
    """Return a simple packet block as an enhanced one."""
    order = section.order
    original = int.from_bytes(raw[8:12], order)
    captured = min(original, section.snaplen or original, len(raw) - 16)
    lengths = captured.to_bytes(4, order) + original.to_bytes(4, order)
    return _block(_ENHANCED, bytes(4) + section.ticks + lengths + _padded(raw[12 : 12 + captured]), order)


def pcap_blocks(window: Window, problems: list[str], program: str) -> Iterator[OutputBlock]:
    """Return a classic pcap file as pcapng, in its byte order: a section by ``program``, its interface, then the
    frames."""
    walk = _BlockWalk(window, problems)
    if not walk.have(FILE_HEADER, "header"):
        return
    order, unit, digits, head = MAGICS[walk.window.data[:4]]
    snaplen, link_type = walk.number(16, order), walk.number(20, order)
    walk.take(FILE_HEADER)
    options = b"" if digits == 6 else _option(_TIME_RESOLUTION, bytes((digits,)), order)
    if link_type >> 26 & 1:  # the length of the frame check sequence is given, in words of 16 bits
        options += _option(_FCS_LENGTH, bytes((link_type >> 28 << 1,)), order)
    link_type &= 0xFFFF
    mark = "<" if order == "little" else ">"
    section = pack(mark + "IHHq", _BYTE_ORDER, 1, 0, -1) + _option(4, program.encode(), order) + bytes(4)
    interface = pack(mark + "HHI", link_type, 0, snaplen) + (options + bytes(4) if options else b"")
    yield OutputBlock(_block(_SECTION, section, order) + _block(_INTERFACE, interface, order), order)

    record, packet = Struct(mark + "4I"), Struct(mark + "7I")
    ticks_per_second = 10**digits
    number = 0
    while walk.have(head, "record"):
        seconds, fraction, captured, original = record.unpack_from(walk.window.data, walk.at)
        if captured > MAX_RECORD:
            walk.damaged("record")
            return
        if not walk.have(head + captured, "record"):
            return
        data = walk.take(head + captured)[head:]
        number += 1
        time = seconds * ticks_per_second + fraction
        length = captured + -captured % 4 + 32
        front = packet.pack(_ENHANCED, length, 0, time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF, captured, original)
        raw = b"".join((front, data, bytes(-captured % 4), length.to_bytes(4, order)))
        yield OutputBlock(raw, order, number, raw, DecoderFrame(link_type, time * unit, data, original))


def commented(wide: bytes, order: Order, texts: Sequence[str]) -> bytes:
    """Return a packet block with a comment for each of ``texts``, after the options it has."""
    at, end = _options_at(wide, order), len(wide) - 4
    for _, _, next_option in _options(wide, at, order):
        at = next_option
    if at > end or not texts:
        return wide
    added = b"".join(_option(_COMMENT, text.encode(), order) for text in texts)
    return _block(int.from_bytes(wide[:4], order), wide[8:at] + added + (wide[at:end] or bytes(4)), order)


def uncommented(raw: bytes, order: Order, is_unwanted: Callable[[bytes], bool]) -> tuple[bytes, list[bytes]]:
    """Return a block without the comments that ``is_unwanted``, and those comments."""
    at, end = _options_at(raw, order), len(raw) - 4
    if at + 4 > end:
        return raw, []
    dropped, kept = [], [raw[8:at]]
    for code, value, next_option in _options(raw, at, order):
        if code == _COMMENT and is_unwanted(value):
            dropped.append(value)
        else:
            kept.append(raw[at:next_option])
        at = next_option
    if not dropped:
        return raw, []
    return _block(int.from_bytes(raw[:4], order), b"".join([*kept, raw[at:end]]), order), dropped


def _options_at(raw: bytes, order: Order) -> int:
    """Return where the options of a block begin; its end if it is of a type that is not known to have any."""
    kind = int.from_bytes(raw[:4], order)
    if kind in {_ENHANCED, _PACKET}:
        captured = int.from_bytes(raw[20:24], order)
        return _DATA + captured + -captured % 4
    return _OPTIONS.get(kind, len(raw))


def _options(raw: bytes, at: int, order: Order) -> Iterator[tuple[int, bytes, int]]:
    """Return code, value and end of each option, up to the end of the options or to damage."""
    end = len(raw) - 4
    while at + 4 <= end:
        code, size = int.from_bytes(raw[at : at + 2], order), int.from_bytes(raw[at + 2 : at + 4], order)
        next_option = at + 4 + size + -size % 4
        if code == 0 or next_option > end:
            return
        yield code, raw[at + 4 : at + 4 + size], next_option
        at = next_option


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes, order: Order) -> bytes:
    return code.to_bytes(2, order) + len(value).to_bytes(2, order) + _padded(value)


def _block(kind: int, body: bytes, order: Order) -> bytes:
    length = (len(body) + 12).to_bytes(4, order)
    return kind.to_bytes(4, order) + length + body + length
