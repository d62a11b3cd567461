"""The map step: pieces of captures become segments of flows that may carry SMTP, by partition."""

# Theory
# ------
# The output is a file of chunks: of kind "0", "1" ... the segments of that partition, with marks that say which block
# they belong to; of kind "fragments" the pieces of fragmented datagrams, which `fragments` joins, because a datagram
# may be divided between two captures. About the file as a whole, it says for each piece what an audit must know at the
# end of each block.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct, field

from ..errors import InputError, display_path
from ..frames.key_logs import companions_of, last_secrets, note_key_log
from ..model import Capture
from ..segments.decoder import SegmentDecoder
from ..segments.layers import Fragment
from .chunks import ChunkFile, ChunkWriter
from .pieces import move_to
from .sieve import DIGITS, SECRETS, Row, Sieve

if TYPE_CHECKING:
    from ..audit import Options
    from ..files.storage import Storage
    from ..frames.inputs import OpenInput, Source
    from ..segments.recent_packets import RecentPackets
    from .pieces import Batch, Piece

__all__ = ["AsideFragment", "BlockEnd", "MapTask", "Mapped", "PieceRead", "Segments", "map_batch"]

_SHORTER = "the file became shorter while it was read"
_FLUSH = 8 << 20  # bytes of segments in memory before they are written
_ROW = 400  # bytes of a segment in memory beside its payload

Mark = tuple[int, int, int]
Segments = tuple[list[Mark], list[Row]]
"""A chunk: marks (number of the piece in the batch, of the block in the piece, end of its segments), and segments."""

AsideFragment = tuple[int, int, int, int, int, Fragment]
"""A fragment that waits, and where it was: piece, block, link type, time in ns, frame."""


class BlockEnd(Struct, array_like=True):
    """What is known at the end of a block: times of the last two frames, frames so far, and where the block is in the
    input: its first byte and its length."""

    prior_ns: int
    last_ns: int
    frames: int
    base: int
    size: int


class PieceRead(Struct):
    """What the map step read of a piece. ``digits``: decimals of the times at its start; ``tally``: ``vars`` of a
    ``DecodeTally``; ``error``: what was wrong, where, and what to do."""

    capture: int
    path: str
    name: str
    is_first: bool
    is_last: bool
    digits: int = 6
    ends: list[BlockEnd] = field(default_factory=list)
    tally: dict[str, Any] = field(default_factory=dict)
    about: Capture | None = None
    error: tuple[str, str, str] | None = None


class MapTask(NamedTuple):
    """Read ``batch`` into the file ``name`` of ``spool``. ``wanted``: the flows to keep; None: those that may be
    SMTP."""

    name: str
    batch: Batch
    spool: Storage
    options: Options
    partitions: int
    wanted: frozenset[bytes] | None = None


class Mapped(Struct):
    """The result of a map task: the bytes of input that it read and of its file, whether that has fragments, and what
    it read of each piece."""

    read: int = 0
    written: int = 0
    has_fragments: bool = False
    pieces: list[PieceRead] = field(default_factory=list)


def map_batch(task: MapTask) -> Mapped:
    """Run a map task, or return the result of an earlier run. An input that cannot be read is reported in the result;
    raises OSError if the spool cannot be written."""
    if task.spool.has(task.name):
        return ChunkFile(task.spool, task.name).about(Mapped)
    with task.spool.write(task.name) as stream:
        mapper = _Mapper(task, ChunkWriter(stream))
        for number, piece in enumerate(task.batch.pieces):
            mapper.read(number, piece)
        return mapper.finish()


class _Seen:
    """Notes the bytes of the block that is decoded, instead of keeping it."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, block: bytes) -> None:
        self.size = len(block)


class _Mapper:
    def __init__(self, task: MapTask, chunks: ChunkWriter) -> None:
        self._task = task
        self._chunks = chunks
        self._rows: list[list[Row]] = [[] for _ in range(task.partitions)]
        self._marks: list[list[Mark]] = [[] for _ in range(task.partitions)]
        self._fragments: list[AsideFragment] = []
        self._held = 0
        self._at = 0, 0
        self._result = Mapped()
        options = task.options
        self._sieve = Sieve(self._rows, options.ports, options.limits, task.wanted)

    def read(self, number: int, piece: Piece) -> None:
        """Read one piece."""
        source = piece.source()
        limits = self._task.options.limits
        source.capture.key_logs += map(display_path, companions_of(source))
        result = PieceRead(piece.number, source.path, source.name, piece.is_first, piece.is_last)
        self._result.pieces.append(result)
        self._at = number, 0
        try:
            with source.open(limits=limits) as opened:
                if piece.start is not None and not move_to(piece.start, opened):
                    raise InputError(_SHORTER, source.path, "audit it again when it is complete")
                self._read_blocks(piece, source, opened, result)
                if len(result.ends) < piece.blocks:
                    raise InputError(_SHORTER, source.path, "audit it again when it is complete")
                result.about = source.describe(opened)
        except InputError as error:
            result.error = (error.what, error.where, error.hint)
            result.about = result.about or source.capture
        self._result.read += piece.size

    def _read_blocks(self, piece: Piece, source: Source, opened: OpenInput, result: PieceRead) -> None:
        seen = _Seen()
        recent: RecentPackets = seen  # type: ignore[assignment]
        sieve, reader = self._sieve, opened.reader
        decoder = SegmentDecoder(
            sieve.segment, self._task.options.decoder, sieve.ignored, self._task.options.limits, recent
        )
        decoder.put_aside = self._put_aside
        reader.on_digits = lambda digits: self._note_digits(digits, reader.frames)
        result.digits = reader.digits
        reader.on_secrets = lambda key_log: self._note_secrets(key_log, reader.frames, source.capture)
        if piece.is_first:
            for key_log in last_secrets(source):
                self._note_secrets(key_log, 0, source.capture)
        for _ in reader.run(decoder):
            window = reader.window
            prior, last = reader.prior_ns or 0, reader.last_ns or 0
            result.ends.append(BlockEnd(prior, last, reader.frames, window.base, seen.size))
            seen.size = 0
            self._end_block()
            if len(result.ends) == piece.blocks:
                break
        result.tally = vars(decoder.tally)

    def _note_digits(self, digits: int, frames: int) -> None:
        for rows in self._rows:
            rows.append((b"", digits, 0, DIGITS, b"", 0, frames, 0))

    def _note_secrets(self, key_log: bytes, frames: int, capture: Capture) -> None:
        if key_log:
            note_key_log(capture)
        for rows in self._rows:
            rows.append((b"", 0, 0, SECRETS, key_log, 0, frames, 0))

    def _put_aside(self, found: Fragment, link_type: int, time_ns: int, number: int) -> None:
        self._fragments.append((*self._at, link_type, time_ns, number, found))
        self._held += len(found.data) + _ROW
        self._result.has_fragments = True

    def _end_block(self) -> None:
        piece, block = self._at
        held = 0
        for rows, marks in zip(self._rows, self._marks, strict=True):
            first = marks[-1][2] if marks else 0
            if len(rows) > first:
                marks.append((piece, block, len(rows)))
                held += sum(len(row[4]) for row in rows[first:]) + _ROW * (len(rows) - first)
        self._held += held
        self._at = piece, block + 1
        if self._held >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        for number, (rows, marks) in enumerate(zip(self._rows, self._marks, strict=True)):
            if rows:
                self._chunks.add(str(number), (marks, rows))
                rows.clear()
                marks.clear()
        if self._fragments:
            self._chunks.add("fragments", self._fragments)
            self._fragments = []
        self._held = 0

    def finish(self) -> Mapped:
        """Write what is left, and return what was done."""
        self._flush()
        self._result.written = self._chunks.size
        self._chunks.finish(self._result)
        return self._result
