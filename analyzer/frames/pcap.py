"""Classic pcap files: both byte orders, microseconds and nanoseconds, and Kuznetzov's longer record headers."""

# Theory
# ------
# A file is a header of 24 bytes and records: seconds, fraction, captured length, original length (32 bits each), then
# the frame (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap). Nothing marks the start of a record, so reading
# ends at damage. The comment in `reader` explains the loop.

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from ..segments.ip_tcp import EXTENSIONS, TUNNEL_PROTOCOLS
from .reader import HotLoopLayout, Order, Reader

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

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._layout = MAGICS[window.data[:4]]
        self.digits = self._layout.digits
        # The upper half holds the length of the frame check sequence and reserved bits.
        self._link_type = int.from_bytes(window.data[20:24], self._layout.order) & 0xFFFF
        self._note_link_type(self._link_type)

    def _count_block(self, frames: int, used: int, places: tuple[int, ...]) -> None:
        """Add the counts of one block with at least one record.

        ``places``: where the first, the last but one and the last record start; -1 if the block has fewer records.
        """
        self.octets += used - (frames - self.frames) * self._layout.head
        self.frames = frames
        time = Struct("<2I" if self._layout.order == "little" else ">2I").unpack_from
        for place in sorted({*places} - {-1}):
            seconds, fraction = time(self.window.data, place)
            self._note_time(seconds * _SECOND + fraction * self._layout.unit)

    def run(self, decoder: SegmentDecoder) -> Iterator[None]:  # noqa: C901, PLR0912, PLR0915  see reader
        order, unit, _, head = self._layout
        link_type = self._link_type
        self.longest = decoder.limits.record_bytes
        # seconds, fraction, captured length
        plain = HotLoopLayout.of(decoder, link_type, order, f"3I{head - 12}x")
        record, segment, segment_6, to_ip = plain[:4]
        ipv4, ipv6, fragmented, tunnel_ports = plain[4:]
        to_tcp, to_tcp_6, to_flow_6, to_next = to_ip + 20, to_ip + 40, to_ip + 8, to_ip + 6
        min_captured, min_captured_6 = to_ip - head + 40, to_ip - head + 60
        header = Struct("<4I" if order == "little" else ">4I").unpack_from
        length = Struct("<8xI" if order == "little" else ">8xI").unpack_from
        tunnels, extensions = TUNNEL_PROTOCOLS, EXTENSIONS
        sink, ignored, frame = decoder.sink, decoder.ignored, decoder.frame

        window = self.window
        number = calls = 0
        second = base = -1
        at = FILE_HEADER
        while True:
            data, size = window.data, window.size
            last_header = size - head
            start, before = at, number
            record_end, prior, last = at, -1, -1
            stop = last_header
            if self._should_skip():
                while at <= last_header:
                    record_end = at + head + length(data, at)[0]
                    if record_end > size:
                        break
                    number += 1
                    prior, last = last, at
                    at = record_end
                stop, calls = -1, number - before
            while at <= stop:
                seconds, fraction, captured, kind, version, offset, protocol, flow, flags = record(data, at)
                record_end = at + head + captured
                if record_end > size:
                    break
                number += 1
                prior, last = last, at
                if kind == ipv4 and version == 0x45 and captured >= min_captured and not offset & fragmented:
                    if protocol == 6:
                        if flow in ignored and not flags & 2:
                            at = record_end
                            continue
                        total, seq, ack, words = segment(data, at)
                        begin = at + to_tcp + (words >> 2 & 60)
                        end = at + to_ip + total
                        if begin <= end <= record_end and words >= 0x50:
                            if seconds != second:
                                second, base = seconds, seconds * _SECOND
                            sink(flow, seq, ack, flags, data[begin:end], 0, number, base + fraction * unit)
                            at = record_end
                            continue
                    elif protocol == 17:
                        if flow[10:] not in tunnel_ports:
                            at = record_end
                            continue
                    elif protocol not in tunnels:
                        at = record_end
                        continue
                elif kind == ipv6 and captured >= min_captured_6 and version >> 4 == 6:
                    protocol = data[at + to_next]
                    if protocol == 6:
                        if data[at + to_flow_6 : at + to_tcp_6 + 4] in ignored and not data[at + to_tcp_6 + 13] & 2:
                            at = record_end
                            continue
                        total, flow, seq, ack, words, flags = segment_6(data, at)
                        begin = at + to_tcp_6 + (words >> 2 & 60)
                        end = at + to_tcp_6 + total
                        if begin <= end <= record_end and words >= 0x50:
                            if seconds != second:
                                second, base = seconds, seconds * _SECOND
                            sink(flow, seq, ack, flags, data[begin:end], 0, number, base + fraction * unit)
                            at = record_end
                            continue
                    elif protocol == 17:
                        if data[at + to_tcp_6 + 2 : at + to_tcp_6 + 4] not in tunnel_ports:
                            at = record_end
                            continue
                    elif protocol not in tunnels and protocol not in extensions:
                        at = record_end
                        continue
                calls += 1
                begin = at + head
                original = header(data, at)[3]
                frame(link_type, seconds * _SECOND + fraction * unit, data[begin:record_end], original, number)
                at = record_end
            if number > before:
                self._count_block(number, at - start, (start, prior, last))
                decoder.tally.fast += number - before - calls
                calls = 0
            yield
            if not self._next_block(at, head if at > last_header else record_end - at, "record", head):
                return
            at = 0
