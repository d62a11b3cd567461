"""Targets below the streams: capture files, gzip, and frames in both decoders."""

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
from smtpwire.analyzer.segments.layers import Fragment, SkipReason, Undecoded
from smtpwire.analyzer.segments.link_layers import LINKS
from smtpwire.analyzer.segments.tunnels import decode as decode_raw

if TYPE_CHECKING:
    from smtpwire.analyzer.frames.reader import Reader

__all__ = ["frame", "gunzip", "memory", "pcap", "pcapng"]

_HEADS = sorted(MAGICS)
_PROBLEM_CHARACTERS = 200
_PROBLEMS = 64


class _ReadResult:
    """Everything that a reader and its decoder reported."""

    def __init__(self, window: Window, kind: type[Reader]) -> None:
        self.segments: list[tuple[object, ...]] = []
        decoder = SegmentDecoder(self._segment)
        reader = kind(window)
        for _ in reader.run(decoder):
            assert reader.frames >= 0
        problems = [*reader.problems, *decoder.problems()]
        assert len(problems) <= _PROBLEMS
        assert all(len(problem) <= _PROBLEM_CHARACTERS and problem.isprintable() for problem in problems)
        self.facts = (
            *(reader.frames, reader.octets, reader.first_ns, reader.last_ns, reader.digits, reader.link_types),
            problems,
        )

    def _segment(self, *segment: object) -> None:
        self.segments.append(segment)


def _read(kind: type[Reader], data: bytes, block: int) -> None:
    """Check that a reader gives the same result for a stream in pieces of ``block`` bytes and for a file."""
    stream = StreamWindow(io.BytesIO(data).read, block)
    stream.advance(0, FILE_HEADER)
    pieces = _ReadResult(stream, kind)
    with tempfile.TemporaryFile(dir=memory()) as file:
        file.write(data)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        window = FileWindow(file.fileno())
        window.advance(0, FILE_HEADER)
        whole = _ReadResult(window, kind)
    assert pieces.facts == whole.facts
    assert pieces.segments == whole.segments


def memory() -> str | None:
    """Return a directory in memory for temporary files; None if there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def pcap(data: bytes) -> None:
    """The first byte selects the magic number, so that no time is lost on files that are not pcap."""
    take = Material(data)
    head, block = take.choice(_HEADS), 1 + take.number(2)
    _read(PcapReader, (head + take.rest()).ljust(FILE_HEADER, b"\0"), block)


def pcapng(data: bytes) -> None:
    """The same as ``pcap``; all files start with the magic number of pcapng."""
    take = Material(data)
    block = 1 + take.number(2)
    _read(PcapngReader, (MAGIC + take.rest()).ljust(FILE_HEADER, b"\0"), block)


def gunzip(data: bytes) -> None:
    """The output is that of zlib, at least for the first member, in pieces no larger than requested."""
    take = Material(data)
    piece, count = 1 + take.number(), 1024 + take.number(2)
    compressed = take.rest()
    if take.number():
        compressed = b"\x1f\x8b" + compressed
    source = io.BytesIO(compressed)
    gunzip_read = Gunzip(lambda most: source.read(most if piece == 1 else min(most, piece)))
    got = b""
    while len(got) < 1 << 20 and (output := gunzip_read(count)):
        assert len(output) <= count
        got += output
    inflate = zlib.decompressobj(wbits=31)
    try:
        expected = inflate.decompress(compressed, 1 << 20)
    except zlib.error:
        return
    assert got[: len(expected)] == expected[: len(got)]
    assert len(got) >= len(expected) or len(got) >= 1 << 20


_LINK_TYPES = sorted(LINKS)


def frame(data: bytes) -> None:
    """The raw decoder and Scapy find the same in a frame."""
    from smtpwire.analyzer.segments.scapy_decoder import decode as decode_scapy  # noqa: PLC0415  only this target needs Scapy

    take = Material(data)
    link_type, extra = take.choice(_LINK_TYPES), take.choice((0, 0, 0, 40, 70_000))
    packet = take.rest()
    length = len(packet) + extra
    raw = decode_raw(link_type, packet, length)
    scapy = decode_scapy(link_type, packet, length)
    assert isinstance(raw, Fragment | tuple | SkipReason | Undecoded)
    # A frame without a segment may be unknown to one decoder and broken for the other: that changes only a counter.
    # What the raw decoder does not know, Scapy may know.
    if isinstance(raw, SkipReason | Undecoded) and isinstance(scapy, SkipReason | Undecoded):
        return
    if isinstance(raw, Undecoded) and raw.odd:
        return
    assert raw == scapy, f"{link_type}: {raw!r} is {scapy!r} to Scapy"
