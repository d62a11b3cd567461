"""What the analyzer reads from captures, in a form for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from smtpwire.analyzer.frames.input_list import open_inputs
from smtpwire.analyzer.frames.inputs import read_capture
from smtpwire.analyzer.segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from pathlib import Path

    from smtpwire.analyzer.model import Capture
    from smtpwire.analyzer.segments.decode_tally import DecodeTally

__all__ = ["Read", "Seen", "collector", "read", "segment_of"]


class Seen(NamedTuple):
    """One call of a segment sink."""

    flow: bytes
    seq: int
    ack: int
    flags: int
    payload: bytes
    missing: int
    frame: int
    time_ns: int


class Read(NamedTuple):
    """The results of reading some inputs."""

    segments: list[Seen]
    captures: list[Capture]
    tallies: list[DecodeTally]

    @property
    def capture(self) -> Capture:
        (capture,) = self.captures
        return capture

    @property
    def tally(self) -> DecodeTally:
        (tally,) = self.tallies
        return tally

    @property
    def payloads(self) -> list[bytes]:
        return [segment.payload for segment in self.segments]


def collector(decoder: Literal["raw", "scapy"] = "raw") -> tuple[list[Seen], SegmentDecoder]:
    """Return a decoder, and the list that its segments go to."""
    seen: list[Seen] = []
    return seen, SegmentDecoder(lambda *segment: seen.append(Seen(*segment)), decoder)


def read(*paths: Path, decoder: Literal["raw", "scapy"] = "raw") -> Read:
    """Read whole inputs, as the audit does."""
    seen, segments = collector(decoder)
    captures, tallies = [], []
    for source in open_inputs(paths):
        for _ in read_capture(source, segments):
            pass
        captures.append(source.capture)
        tallies.append(segments.tally)
    return Read(seen, captures, tallies)


def segment_of(
    link_type: int, data: bytes, original: int | None = None, decoder_name: Literal["raw", "scapy"] = "raw"
) -> Seen:
    """Return the only segment in a frame."""
    seen, decoder = collector(decoder_name)
    decoder.frame(link_type, 0, data, len(data) if original is None else original, 1)
    (segment,) = seen
    return segment
