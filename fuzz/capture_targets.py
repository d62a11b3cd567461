"""Targets below the streams: capture files, gzip, and frames in both lanes."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from typing import TYPE_CHECKING

from material import Material

from smtpwire.analyzer.frames.input_window import FileWindow, Gunzip, StreamWindow, Window
from smtpwire.analyzer.frames.pcap import FILE_HEADER, MAGICS, PcapReader
from smtpwire.analyzer.frames.pcapng import MAGIC, PcapngReader
from smtpwire.analyzer.segments.decoder import SegmentDecoder
from smtpwire.analyzer.segments.ip_tcp import Fragment, SkipReason
from smtpwire.analyzer.segments.ip_tcp import decode as decode_raw
from smtpwire.analyzer.segments.link_layers import LINKS

if TYPE_CHECKING:
    from smtpwire.analyzer.frames.reader import Reader

__all__ = ["frame", "gunzip", "memory", "pcap", "pcapng"]

_HEADS = sorted(MAGICS)
_SENTENCE = 200  # characters that a problem may take
_PROBLEMS = 64


class _Seen:
    """Everything that a reader and its decoder told."""

    def __init__(self, window: Window, kind: type[Reader]) -> None:
        self.segments: list[tuple[object, ...]] = []
        decoder = SegmentDecoder(self._segment)
        reader = kind(window)
        for _ in reader.run(decoder):
            assert reader.frames >= 0
        problems = [*reader.problems, *decoder.problems()]
        assert len(problems) <= _PROBLEMS
        assert all(len(problem) <= _SENTENCE and problem.isprintable() for problem in problems)
        self.facts = (
            *(reader.frames, reader.octets, reader.first_ns, reader.last_ns, reader.digits, reader.link_types),
            problems,
        )

    def _segment(self, *segment: object) -> None:
        self.segments.append(segment)


def _read(kind: type[Reader], data: bytes, block: int) -> None:
    """However the bytes come, in pieces of any size or from a file, the reader sees the same."""
    stream = StreamWindow(io.BytesIO(data).read, block)
    stream.advance(0, FILE_HEADER)
    pieces = _Seen(stream, kind)
    with tempfile.TemporaryFile(dir=memory()) as file:
        file.write(data)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        window = FileWindow(file.fileno())
        window.advance(0, FILE_HEADER)
        whole = _Seen(window, kind)
    assert pieces.facts == whole.facts
    assert pieces.segments == whole.segments


def memory() -> str | None:
    """Where a temporary file costs no disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def pcap(data: bytes) -> None:
    """The first byte chooses the magic number, so that no time is lost on files that are no pcap."""
    take = Material(data)
    head, block = take.choice(_HEADS), 1 + take.number(2)
    _read(PcapReader, (head + take.rest()).ljust(FILE_HEADER, b"\0"), block)


def pcapng(data: bytes) -> None:
    """As ``pcap``."""
    take = Material(data)
    block = 1 + take.number(2)
    _read(PcapngReader, (MAGIC + take.rest()).ljust(FILE_HEADER, b"\0"), block)


def gunzip(data: bytes) -> None:
    """What zlib unpacks in one go comes out, of the first member at least, in pieces no larger than asked for."""
    take = Material(data)
    piece, count = 1 + take.number(), 1024 + take.number(2)
    packed = take.rest()
    if take.number():
        packed = b"\x1f\x8b" + packed
    source = io.BytesIO(packed)
    unpacked = Gunzip(lambda most: source.read(most if piece == 1 else min(most, piece)))
    got = b""
    while len(got) < 1 << 20 and (part := unpacked(count)):
        assert len(part) <= count
        got += part
    inflate = zlib.decompressobj(wbits=31)
    try:
        due = inflate.decompress(packed, 1 << 20)
    except zlib.error:
        return
    assert got[: len(due)] == due[: len(got)]
    assert len(got) >= len(due) or len(got) >= 1 << 20


_LINK_TYPES = sorted(LINKS)


def frame(data: bytes) -> None:
    """The raw lane and Scapy's find the same in a frame."""
    from smtpwire.analyzer.segments.scapy_decoder import decode as decode_scapy  # noqa: PLC0415  only this target needs Scapy

    take = Material(data)
    link_type, extra = take.choice(_LINK_TYPES), take.choice((0, 0, 0, 40, 70_000))
    packet = take.rest()
    length = len(packet) + extra
    raw = decode_raw(link_type, packet, length)
    other = decode_scapy(link_type, packet, length)
    if raw is SkipReason.DECLINED:
        return
    assert isinstance(raw, Fragment | tuple | SkipReason)
    # A frame without a segment may be OTHER for the one and BROKEN for the other: that only decides what is counted.
    if isinstance(raw, SkipReason) and isinstance(other, SkipReason):
        return
    assert raw == other, f"{link_type}: {raw!r} is {other!r} to Scapy"
