"""Classic pcap files: both byte orders, microseconds and nanoseconds, and Kuznetzov's longer record headers."""

# Theory
# ------
# A file is a header of 24 bytes and records: seconds, fraction, captured length, original length (32 bits each), then
# the frame (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap). Nothing marks the start of a record, so reading
# ends at damage. `frame_loop` reads the frames.

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from ..segments.link_layers import EN10MB, FIXED
from .frame_loop import FrameLayout, FrameRun, Order, decode_frames
from .reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..segments.decoder import SegmentDecoder
    from .input_window import Window

__all__ = ["FILE_HEADER", "MAGICS", "PcapReader"]

FILE_HEADER = 24

_SECOND: Final = 1_000_000_000


class _Layout(NamedTuple):
    """The meaning of a magic number. ``unit``: nanoseconds in one tick; ``head``: bytes of a record header."""

    order: Order
    unit: int
    digits: int
    head: int


MAGICS: dict[bytes, _Layout] = {
    magic.to_bytes(4, order): _Layout(order, unit, digits, head)
    for order in ("little", "big")
    for magic, unit, digits, head in (
        (0xA1B2C3D4, 1000, 6, 16),
        (0xA1B23C4D, 1, 9, 16),
        (0xA1B2CD34, 1000, 6, 24),  # interface, protocol and packet type after the usual fields
    )
}


class PcapReader(Reader):
    """Reads a classic pcap file. The ``FILE_HEADER`` bytes must be in the window."""

    format = "pcap"
    _not_state = ("_length",)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._layout = MAGICS[window.data[:4]]
        self.digits = self._layout.digits
        # The upper half holds the length of the frame check sequence and reserved bits.
        self._link_type = int.from_bytes(window.data[20:24], self._layout.order) & 0xFFFF
        self._note_link_type(self._link_type)
        self.start = FILE_HEADER
        self._length = Struct("<8xI" if self._layout.order == "little" else ">8xI").unpack_from

    def run(self, decoder: SegmentDecoder) -> Iterator[None]:
        layout = self._frame_layout(decoder)
        head, window = self._layout.head, self.window
        self.longest, self.most_empty = decoder.limits.record_bytes, decoder.limits.empty_records
        at = self.start
        read = self._count if self.counting else decode_frames
        while True:
            self._note_state()
            data, size = window.data, window.size
            done = read(data, at, size - head, size, self.frames, layout, decoder)
            records = done.number - self.frames
            octets = done.end - at - records * head
            if records:
                self.octets += octets
                self._note_run(layout, at, done)
            at = done.end
            yield
            if self._is_filler(records, octets):
                return
            need = head if at + head > size else head + self._length(data, at)[0]
            if not self._next_block(at, need, "record", head):
                return
            at = 0

    def _frame_layout(self, decoder: SegmentDecoder) -> FrameLayout:
        order, unit, _, head = self._layout
        header = Struct("<4I" if order == "little" else ">4I").unpack_from

        def whole(data: bytes, at: int) -> tuple[int, bytes, int]:
            seconds, fraction, captured, original = header(data, at)
            return seconds * _SECOND + fraction * unit, data[at + head : at + head + captured], original

        kind, packet = FIXED.get(self._link_type, FIXED[EN10MB])
        return FrameLayout.of(
            self._link_type,
            order,
            "0s3I",
            whole,
            (_SECOND, unit, 0),
            ethertype=head + kind,
            ip=head + packet,
            frame=head,
            plain=decoder.raw and self._link_type in FIXED,
        )

    def _count(
        self, data: bytes, at: int, stop: int, size: int, number: int, _: FrameLayout, __: SegmentDecoder
    ) -> FrameRun:
        """Count records as ``decode_frames`` does, without decoding them."""
        head, length = self._layout.head, self._length
        prior = last = -1
        while at <= stop:
            following = at + head + length(data, at)[0]
            if following > size:
                break
            number += 1
            prior, last, at = last, at, following
        return FrameRun(at, number, prior, last)
