"""A capture that is read in pieces gives the same segments, blocks and counts as one that is read at once."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from captures import enhanced, interface, pcap, pcapng, section, simple, superseded
from repeats import dialogue
from scripts import WHOLE, records

from smtpwire.analyzer.frames import inputs
from smtpwire.analyzer.frames.inputs import Source
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.parallel.pieces import Piece, batches, move_to, scan
from smtpwire.analyzer.segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from smtpwire.analyzer.model import Capture

SENT = list(records(dialogue(WHOLE)))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "BLOCK", 300)


def read(
    pieces: Iterable[Piece], captures: list[Capture]
) -> tuple[list[Any], list[tuple[int, int, int | None, int | None]]]:
    """Return the segments of pieces, and for each block where it is, the frames so far and the last times.
    ``captures``: gets what is known of the capture after each piece."""
    segments: list[Any] = []
    blocks = []
    for piece in pieces:
        count = 0
        source = piece.source()
        with source.open() as opened:
            if piece.start is not None:
                move_to(piece.start, opened)
            reader = opened.reader
            for _ in reader.run(SegmentDecoder(lambda *one: segments.append(one))):
                blocks.append((reader.window.base, reader.frames, reader.prior_ns, reader.last_ns))
                count += 1
                if count == piece.blocks:
                    break
            captures.append(source.describe(opened))
    return segments, blocks


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("make", [pcap, pcapng])
def test_any_pieces(tmp_path: Path, make: Any, order: str) -> None:
    data = make(SENT * 3, order=order)
    if make is pcapng:  # packets of all kinds, a long block of another kind that counts as a frame, another section
        custom = (0xBAD).to_bytes(4, "big") + (4_000_000).to_bytes(4, "big") + bytes(4_000_000 - 12)
        data += section(">") + interface(order=">", resolution=9) + simple(SENT[0], order=">")
        data += superseded(SENT[1], order=">") + custom + (4_000_000).to_bytes(4, "big")
        data += enhanced(SENT[2], order=">") * 3 + data
    (tmp_path / "a").write_bytes(data)
    whole = Piece(1, str(tmp_path / "a"), False, len(data))
    captures: list[Capture] = []
    expected = read([whole], captures)
    source = whole.source()
    for _ in inputs.read_capture(source, SegmentDecoder(lambda *_: None)):
        pass
    for share in (1, 300, 700, 1111, 5000):
        pieces = list(scan(whole, share, DEFAULT_LIMITS))
        assert len(pieces) > 1
        captures.clear()
        assert read(pieces, captures) == expected
        assert captures[-1] == source.capture
        assert [piece.is_last for piece in pieces] == [*[False] * (len(pieces) - 1), True]
        assert sum(piece.size for piece in pieces) == len(data)


def test_what_cannot_be_entered_in_the_middle_is_one_piece(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(pcap(SENT * 9)))
    (tmp_path / "b").write_bytes(b"no capture" * 900)
    for name in ("a.gz", "b", "missing"):
        whole = Piece(1, str(tmp_path / name), False, 9000)
        assert list(scan(whole, 300, DEFAULT_LIMITS)) == [whole]


def test_small_captures_are_read_by_one_task(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}").write_bytes(pcap(SENT[:3]))
    size = (tmp_path / "00").stat().st_size
    sources = [Source(str(tmp_path / f"{number:02}")) for number in range(40)]
    found = list(batches(sources, 10 * size, DEFAULT_LIMITS))
    assert [len(batch.pieces) for batch in found] == [10] * 4
    assert [piece.number for batch in found for piece in batch.pieces] == list(range(1, 41))
