"""The division of captures into pieces, each of which one process reads on its own."""

# Theory
# ------
# Records of a capture have no marks, so a file cannot be entered anywhere: where a record starts, its number, and what
# a pcapng file said before, are known only to who has read what comes before. So `scan` hops over the records of a
# large file, without looking at the frames, and notes the state of the reader where a piece starts. A piece has whole
# blocks, the same ones that a single process reads, because what happens between blocks (idle connections are closed)
# must happen at the same places.
#
# A compressed file, a URL and standard input are one piece each: to hop over them costs nearly as much as to read them.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from ..errors import InputError
from ..files.reading import size_of
from ..frames.input_window import FileWindow
from ..frames.inputs import Source
from ..segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..frames.inputs import OpenInput
    from ..limits import Limits

__all__ = ["Batch", "Piece", "batches", "move_to", "share_of"]

_SMALLEST = 4 << 20  # bytes: to start a task costs as much as reading some 10 KB
_LARGEST = 256 << 20


class Start(Struct, frozen=True):
    """Where a piece starts: the byte and the length of its first block, and the state of the reader."""

    base: int
    size: int
    state: dict[str, Any]


class Piece(Struct, frozen=True):
    """A part of the capture with this ``number``. ``start``: None at the start of the capture; ``blocks``: how many to
    read, 0: to the end; ``size``: in bytes."""

    number: int
    path: str
    found: bool
    size: int
    start: Start | None = None
    blocks: int = 0
    is_last: bool = True

    @property
    def is_first(self) -> bool:
        """Whether the capture starts here."""
        return self.start is None

    def source(self) -> Source:
        """Return its input."""
        return Source(self.path, found=self.found)


class Batch(Struct):
    """Pieces that one task reads."""

    pieces: list[Piece] = field(default_factory=list)
    size: int = 0


def share_of(sources: Sequence[Source], workers: int) -> int:
    """Return the bytes of input for one task: each worker has four of them, or more."""
    whole = sum(size_of(source.name) for source in sources)
    return min(max(whole // (4 * workers), _SMALLEST), _LARGEST)


def batches(sources: Sequence[Source], share: int, limits: Limits) -> Iterator[Batch]:
    """Yield the pieces of all captures in order, in batches of about ``share`` bytes."""
    batch = Batch()
    for number, source in enumerate(sources, 1):
        size = size_of(source.name)
        whole = Piece(number, source.name, source.found, size)
        for piece in scan(whole, share, limits) if size > 2 * share else (whole,):
            batch.pieces.append(piece)
            batch.size += piece.size
            if batch.size >= share or not size:
                yield batch
                batch = Batch()
    if batch.pieces:
        yield batch


def scan(whole: Piece, share: int, limits: Limits) -> Iterator[Piece]:
    """Yield the pieces of a large file, of at least ``share`` bytes each; ``whole`` if it cannot be divided."""
    start, blocks, begun = None, 0, 0
    try:
        with whole.source().open(limits=limits) as opened:
            reader, window = opened.reader, opened.file_window
            if opened.gunzip is None and isinstance(window, FileWindow):
                reader.counting = True
                for _ in reader.run(SegmentDecoder(lambda *_: None, limits=limits)):
                    if window.base - begun >= share and blocks:
                        yield Piece(whole.number, whole.path, whole.found, window.base - begun, start, blocks, False)
                        start, blocks, begun = Start(window.base, window.size, reader.before), 0, window.base
                        if whole.size - begun < 2 * share:
                            break  # where the last piece starts is all that is asked for
                    blocks += 1
    except InputError:
        pass  # the map step reports the reason
    yield Piece(whole.number, whole.path, whole.found, whole.size - begun, start)


def move_to(start: Start, opened: OpenInput) -> bool:
    """Let the reader of a file read on at ``start``. Return whether the file is still as long as it was."""
    assert isinstance(opened.file_window, FileWindow)
    opened.file_window.seek(start.base, start.size)
    opened.reader.resume(start.state)
    return opened.file_window.size >= start.size or opened.file_window.fault is not None
