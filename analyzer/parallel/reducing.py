"""The reduce step: one partition of the flows goes through the same audit as in a single process."""

# Theory
# ------
# The blocks of all captures come in order, each with the segments of this partition in it, and after each block the
# audit does what it does there in a single process. What it cannot know is left to the combine step: the order and the
# numbers of connections (`connections.places`), and what they know of each other (`offers`).
#
# The sieve of the map step may have dropped segments of a flow that is SMTP after all. Then the result says which, and
# the task is run again with these segments in additional files.

from __future__ import annotations

from collections import deque
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct, field, msgpack
from msgspec.structs import replace

from ..audit import Audit
from ..connections.places import Place, Places
from ..findings.baseline import Baseline, Entry
from ..model import Capture, OtherTraffic, Summary
from ..reports.json_ import NdjsonWriter
from ..streams.housekeeping import Pressure
from .chunks import ChunkFile, ChunkWriter
from .fragments import Joined
from .mapping import Mapped, Segments
from .offers import KnownOffers, NotedOffers, Offer
from .raw_blocks import RawBlock, RawBlocks
from .sieve import DIGITS, DROPPED, SECRETS, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..audit import Options
    from ..files.storage import Storage
    from ..model import Connection
    from .messages import MessageStore

__all__ = ["Ended", "Known", "MappedFiles", "PickTask", "ReduceTask", "Reduced", "pick_flows", "reduce_partition"]

_FLUSH = 1 << 20  # bytes of reports in memory before they are written
_NUMBERS = 50_000  # places of numbers in memory before they are written
_place = itemgetter(0)

Ended = tuple[Place, Place, bytes, bool]
"""A connection that ended: where it ended, where it got its number, and its report; or, if the last field is True, a
message of it that ended: a ``StoredMessage``."""


class PickTask(NamedTuple):
    """Write the segments of ``flows`` in the files of ``task`` into the file ``name``. Each batch is a kind of
    chunks."""

    name: str
    task: ReduceTask
    flows: frozenset[bytes]


class MappedFiles(NamedTuple):
    """The output of the map step for one batch. ``more``: a file with flows that the first one dropped, and the keys of
    both directions of these."""

    name: str
    more: str | None = None
    flows: frozenset[bytes] = frozenset()


class Known(NamedTuple):
    """What makes a second pass over some ``flows``, the keys of both directions: offers of STARTTLS, and numbers by the
    places where connections got them. ``wanted``: the places of the connections to report; the others were reported
    before."""

    flows: frozenset[bytes]
    offers: Sequence[Offer]
    numbers: Mapping[Place, int]
    wanted: frozenset[Place]


class ReduceTask(NamedTuple):
    """Audit ``partition`` and write the reports into the file ``name`` of ``spool``. ``joined``: the file of datagrams;
    ``key``: of pseudonyms; ``as_lines``: reports are lines of NDJSON, else values of ``Connection``. ``picked``: the
    file with the segments of the flows in ``known``. ``extract``: messages are stored, with at most so many octets
    each, 0: all; None: none is."""

    name: str
    partition: int
    mapped: Sequence[MappedFiles]
    joined: str | None
    spool: Storage
    options: Options
    key: bytes
    as_lines: bool
    known: Known | None = None
    picked: str | None = None
    extract: int | None = None


class Reduced(Struct):
    """The result. ``pressure``: what limits did, by capture; ``others``: connections that are not SMTP; ``suppressed``
    and ``matched``: see ``Baseline``; ``dropped``: by number of a batch, flows that the task needs."""

    summary: Summary
    written: int = 0
    pressure: dict[int, Pressure] = field(default_factory=dict)
    others: list[OtherTraffic] = field(default_factory=list)
    suppressed: int = 0
    matched: frozenset[Entry] = frozenset()
    dropped: dict[int, set[bytes]] = field(default_factory=dict)


def reduce_partition(task: ReduceTask) -> Reduced:
    """Run a reduce task, or return the result of an earlier run. Raises OSError if the spool cannot be read or
    written."""
    if task.spool.has(task.name):
        return ChunkFile(task.spool, task.name).about(Reduced)
    with task.spool.write(task.name) as stream:
        return _Reducer(task, ChunkWriter(stream)).run()


def pick_flows(task: PickTask) -> None:
    """Run the task. Raises OSError if the spool cannot be read or written."""
    of, flows = task.task, task.flows
    with of.spool.write(task.name) as stream:
        chunks = ChunkWriter(stream)
        for batch, mapped in enumerate(of.mapped):
            for at, rows in _blocks(of.spool, mapped, str(of.partition)):
                picked = [row for row in rows if not row[0] or row[0] in flows]
                if picked:
                    chunks.add(str(batch), ([(*at, len(picked))], picked))
        chunks.finish(None)


def _blocks(spool: Storage, mapped: MappedFiles, kind: str) -> Iterator[tuple[tuple[int, ...], list[Row]]]:
    """Yield piece and block, and the segments there, of chunks of one kind."""
    rows = _marked(ChunkFile(spool, mapped.name), kind)
    if mapped.more is None:
        yield from rows
        return
    kept = ((at, [row for row in part if row[0] not in mapped.flows]) for at, part in rows)
    more = _marked(ChunkFile(spool, mapped.more), kind)
    for at, parts in groupby(merge(kept, more, key=_place), key=_place):
        yield at, list(merge(*(part for _, part in parts), key=_order))


def _marked(file: ChunkFile, kind: str) -> Iterator[tuple[tuple[int, ...], list[Row]]]:
    for marks, rows in file.chunks(kind, Segments):
        first = 0
        for piece, block, end in marks:
            yield (piece, block), rows[first:end]
            first = end


def _order(row: Row) -> tuple[int, bool]:
    """Return the place of a segment in its block. A mark comes after all segments of its frame."""
    return row[6], row[3] in {DIGITS, SECRETS}


class _Buffer:
    """Takes what a writer writes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data = data


def _encoder(*, as_lines: bool) -> Callable[[Connection], bytes]:
    """Return what turns a report into bytes."""
    if not as_lines:
        return msgpack.Encoder().encode
    buffer = _Buffer()
    writer = NdjsonWriter(buffer)

    def lines(connection: Connection) -> bytes:
        connection.id = 0  # the combine step puts the number in
        writer.connection(connection)
        return buffer.data

    return lines


class _Reducer:
    def __init__(self, task: ReduceTask, chunks: ChunkWriter) -> None:
        self._task = task
        self._chunks = chunks
        self._encode = _encoder(as_lines=task.as_lines)
        self._places = Places()
        self._messages: MessageStore | None = None
        options = task.options
        if task.extract is not None and task.known is None:
            from .messages import MessageStore  # noqa: PLC0415  only an extraction needs it

            self._messages = MessageStore(self._places, chunks, task.extract, self._found)
            options = replace(options, tap=self._messages.tap)
        self._audit = Audit(options, task.key)
        self._audit.tracker.places = self._places
        self._noted = NotedOffers(self._places)
        known = task.known
        self._audit.tracker.judge.servers = (
            self._noted
            if known is None
            else KnownOffers(self._places, known.offers, known.numbers, task.options.limits)
        )
        self._ended: list[Ended] = []
        self._held = 0
        self._missing: set[bytes] = set()
        self._result = Reduced(self._audit.summary)

    def run(self) -> Reduced:
        """Read all blocks and write the reports."""
        task, audit, places = self._task, self._audit, self._places
        streams = audit.tracker.streams
        recent = streams.recent
        joined = _Ahead(self._joined())
        raw = RawBlocks()
        for batch, mapped in enumerate(task.mapped):
            file = ChunkFile(task.spool, mapped.name)
            source = mapped if task.picked is None else MappedFiles(task.picked)
            kind = str(task.partition if task.picked is None else batch)
            rows = _Ahead(_blocks(task.spool, source, kind))
            for number, piece in enumerate(file.about(Mapped).pieces):
                if piece.is_first:
                    places.capture = piece.capture
                    audit.begin_capture(Capture(piece.path))
                    audit.tracker.set_digits(piece.digits)
                for block, end in enumerate(piece.ends):
                    if end.size:
                        recent.add(RawBlock(raw, piece.name, end.base, end.size))
                    places.block_end = end.frames
                    at = number, block
                    sources = [rows.take(at), joined.take((batch, *at))]
                    filled = [source for source in sources if source]
                    if filled:
                        self._feed(filled[0] if len(filled) == 1 else merge(*filled, key=_order), batch)
                    self._take(audit.finished(end.prior_ns, end.last_ns))
                if piece.is_last:
                    self._result.pressure[piece.capture] = audit.tracker.pressure()
        places.segment = None
        self._take(audit.close())
        self._flush()
        if self._messages is not None:
            self._messages.close()
        self._write_notes()
        return self._finish()

    def _feed(self, rows: Iterator[Row] | Sequence[Row], batch: int) -> None:
        """Pass the segments of a block to the tracker."""
        places, tracker = self._places, self._audit.tracker
        take, ignored = tracker.segment, tracker.streams.ignored
        for row in rows:
            if row[3] < 0:
                self._take_mark(row, batch)
            elif row[0] not in ignored or row[3] & 2:
                places.segment = row
                take(*row)
        places.segment = None

    def _take_mark(self, row: Row, batch: int) -> None:
        key, digits, _, kind, payload, _, _, _ = row
        if kind == DIGITS:
            self._audit.tracker.set_digits(digits)
        elif kind == SECRETS:
            self._audit.take_secrets(payload)
        elif kind == DROPPED and (key not in self._audit.tracker.streams.ignored or key in self._missing):
            self._missing.add(key)
            self._result.dropped.setdefault(batch, set()).add(key)

    def _joined(self) -> Iterator[tuple[Any, list[Row]]]:
        """Yield the segments from datagrams, by batch, piece and block."""
        if self._task.joined is None:
            return
        file = ChunkFile(self._task.spool, self._task.joined)
        here: tuple[int, ...] = ()
        part: list[Row] = []
        for chunk in file.chunks(str(self._task.partition), Joined):
            for *at, row in chunk:
                if tuple(at) != here:
                    if part:
                        yield here, part
                    here, part = tuple(at), []
                if self._task.known is None or row[0] in self._task.known.flows:
                    part.append(row)
        if part:
            yield here, part

    def _take(self, connections: Iterator[Connection]) -> None:
        """Take the reports of connections that have ended."""
        places, known = self._places, self._task.known
        for connection in connections:
            if self._messages is not None:
                self._messages.end(connection.id)
            number_place, place = places.ended.pop(connection.id)
            if known is None or number_place in known.wanted:
                report = self._encode(connection)
                self._ended.append((place, number_place, report, False))
                self._held += len(report)
                if self._held >= _FLUSH and self._messages is None:
                    self._flush()
        places.ended.clear()
        if self._held >= _FLUSH or len(places.numbered) >= _NUMBERS:
            self._flush()

    def _found(self, place: Place, number_place: Place, message: bytes) -> None:
        """Take a message of a connection that may go on."""
        self._ended.append((place, number_place, message, True))
        self._held += len(message)

    def _flush(self) -> None:
        if self._messages is not None:
            self._ended.sort(key=_place)  # messages come during a block, connections after it
        if self._places.numbered:
            self._chunks.add("numbered", self._places.numbered)
            self._places.numbered = []
        if self._ended:
            self._chunks.add("ended", self._ended)
            self._ended = []
        self._held = 0
        if self._noted.offers or self._noted.look_ups:
            self._write_notes()

    def _write_notes(self) -> None:
        noted = self._noted
        for kind, notes in (("offers", noted.offers), ("look-ups", noted.look_ups)):
            if notes:
                self._chunks.add(kind, notes)
                notes.clear()

    def _finish(self) -> Reduced:
        result, baseline = self._result, self._task.options.baseline
        result.written = self._chunks.size
        result.others = self._audit.tracker.other_traffic
        if isinstance(baseline, Baseline):
            result.suppressed, result.matched = baseline.suppressed, baseline.matched
        self._chunks.finish(result)
        return result


class _Ahead:
    """The next of some blocks, so that it can be asked whether there is one for a place."""

    def __init__(self, blocks: Iterator[tuple[Any, list[Row]]]) -> None:
        self._blocks = blocks
        self._next: deque[tuple[Any, list[Row]]] = deque()

    def take(self, at: tuple[int, ...]) -> list[Row]:
        """Return the segments of the block at this place; none if the next block is another one."""
        if not self._next:
            self._next.extend([one] if (one := next(self._blocks, None)) else [])
        if self._next and self._next[0][0] == at:
            return self._next.popleft()[1]
        return []
