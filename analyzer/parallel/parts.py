"""Reports in parts: each partition of the connections writes its own files, and only the summary is one."""

# Theory
# ------
# On a cluster the report may be as large as the captures, so no process holds or passes on all of it. The combine step
# only merges the places where connections got their numbers, and gives each partition its numbers. A part has the
# connections of its partition in the order in which they ended.

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from heapq import merge
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..connections.places import Place
from ..reports.json_ import NdjsonWriter
from ..stores.parquet import ParquetWriter, StoreRun
from ..stores.sqlite import PartDatabase
from .chunks import ChunkFile, ChunkWriter
from .combining import ended, with_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..files.storage import Storage
    from ..model import Capture, Connection, Summary
    from ..stores.sqlite import SqliteWriter

__all__ = [
    "MergingWriter",
    "NdjsonParts",
    "ParquetParts",
    "Part",
    "PartTask",
    "PartsWriter",
    "SqliteParts",
    "write_numbers",
    "write_part",
]

_FLUSH = 50_000  # numbers that are written at once


class Part(Protocol):
    """A report whose parts are written apart. Raises OSError."""

    @property
    def target(self) -> Storage:
        """Where they are."""

    def write(self, number: int, connections: Iterable[tuple[int, Connection]]) -> None:
        """Write the part of one partition: connections with the number of the capture in which each ended."""

    def close(self, captures: Iterable[Capture], summary: Summary) -> None:
        """Write what is not about a connection."""


class NdjsonParts(NamedTuple):
    """Files ``part-00000.ndjson`` and so on, and ``summary.ndjson`` with the captures and the summary."""

    target: Storage

    def write(self, number: int, connections: Iterable[tuple[int, Connection]]) -> None:
        """See ``Part``."""
        with self.target.write(f"part-{number:05}.ndjson") as stream:
            writer = NdjsonWriter(stream)
            for _, connection in connections:
                writer.connection(connection)

    def close(self, captures: Iterable[Capture], summary: Summary) -> None:
        """See ``Part``."""
        buffer = BytesIO()
        writer = NdjsonWriter(buffer)
        for capture in captures:
            writer.capture(capture)
        writer.finish(summary)
        with self.target.write("summary.ndjson") as stream:
            stream.write(buffer.getvalue())


class ParquetParts(NamedTuple):
    """A store of Parquet files: the tables about connections have a file for each partition."""

    target: Storage
    run: StoreRun

    def write(self, number: int, connections: Iterable[tuple[int, Connection]]) -> None:
        """See ``Part``."""
        with self._writer(f"-{number:05}") as writer:
            for capture, connection in connections:
                writer.add(capture, connection)

    def close(self, captures: Iterable[Capture], summary: Summary) -> None:
        """See ``Part``."""
        with self._writer("") as writer:
            for capture in captures:
                writer.capture(capture)
            writer.end_run(summary)

    def _writer(self, part: str) -> _Uploading:
        return _Uploading(self.target, self.run._replace(name=self.run.name + part))


class _Uploading:
    """A writer of Parquet files whose tables with rows are put into ``target``."""

    def __init__(self, target: Storage, run: StoreRun) -> None:
        self._target = target
        self._run = run
        self._stack = ExitStack()

    def __enter__(self) -> ParquetWriter:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="smtpwire-"))
        self._folder = Path(folder)
        self._writer = ParquetWriter(self._folder, self._run)
        self._stack.callback(self._writer.discard)
        return self._writer

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if kind is None:
                self._writer.place_filled()
                for path in sorted(self._folder.glob("*/*.parquet")):
                    self._target.put(os.fspath(path), f"{path.parent.name}/{path.name}")


class SqliteParts(NamedTuple):
    """Databases of rows in a folder of this machine, which ``SqliteWriter.absorb`` adds to the store."""

    target: Storage
    run: int

    def write(self, number: int, connections: Iterable[tuple[int, Connection]]) -> None:
        """See ``Part``."""
        with self.target.write(self._name(number)):
            pass  # a file that only its owner can read, in the place of what a process left that died
        try:
            with closing(PartDatabase(self.path(number), self.run)) as database:
                for capture, connection in connections:
                    database.add(capture, connection)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, str(error)) from error

    def close(self, captures: Iterable[Capture], summary: Summary) -> None:
        """See ``Part``: the writer of the store does it."""

    def path(self, number: int) -> str:
        """Return the file of a partition."""
        return f"{self.target.place}/{self._name(number)}"

    @staticmethod
    def _name(number: int) -> str:
        return f"part-{number:05}.sqlite"


class MergingWriter:
    """Writes a store from its parts. ``judged``: returns the partitions that have one."""

    streams = False

    def __init__(self, writer: SqliteWriter, parts: SqliteParts, judged: Callable[[], list[int]]) -> None:
        self._writer = writer
        self._parts = parts
        self._judged = judged

    def capture(self, capture: Capture) -> None:
        """Add the row of the capture."""
        self._writer.capture(capture)

    def connection(self, connection: Connection) -> None:
        """Never called: the partitions write them."""
        raise NotImplementedError

    def finish(self, summary: Summary) -> None:
        """Add the rows of the parts, and complete the run."""
        for number in self._judged():
            self._writer.absorb(self._parts.path(number))
        self._writer.finish(summary)


class PartsWriter:
    """The writer of a run whose connections are written in parts."""

    streams = False

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = tuple(parts)
        self._captures: list[Capture] = []

    def capture(self, capture: Capture) -> None:
        """Keep the capture."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Never called: the partitions write them."""
        raise NotImplementedError

    def finish(self, summary: Summary) -> None:
        """Write what is not about a connection."""
        for part in self.parts:
            part.close(self._captures, summary)


class PartTask(NamedTuple):
    """Write ``partition`` into ``parts``. ``name``, ``again`` and ``replaced``: see ``combining.numbered``;
    ``numbers``: the file with its numbers; ``captures``: how many there are."""

    partition: int
    name: str
    again: str | None
    replaced: frozenset[Place]
    numbers: str
    captures: int
    spool: Storage
    parts: tuple[Part, ...]


def write_part(task: PartTask) -> None:
    """StoreRun the task. Raises OSError if a part cannot be written."""
    for part in task.parts:
        part.write(task.partition, _connections(task))


def _connections(task: PartTask) -> Iterator[tuple[int, Connection]]:
    file = ChunkFile(task.spool, task.name)
    places = (place for chunk in file.chunks("numbered", list[Place]) for place in chunk)
    numbers = (one for chunk in ChunkFile(task.spool, task.numbers).chunks("numbers", list[int]) for one in chunk)
    again = () if task.again is None else ended(task.spool, task.again)
    entries = merge(ended(task.spool, task.name, task.replaced), again, key=lambda one: one[0])
    for one in with_numbers(entries, zip(places, numbers, strict=True)):
        yield min(one.capture, task.captures), one.connection()


def _numbered(spool: Storage, partition: int, name: str) -> Iterator[tuple[Place, int]]:
    for chunk in ChunkFile(spool, name).chunks("numbered", list[Place]):
        yield from ((place, partition) for place in chunk)


def write_numbers(spool: Storage, names: Mapping[int, str], suffix: str) -> dict[int, str]:
    """Write the numbers of each partition's connections, in the order in which they got them. ``names``: files of the
    reduce step. Return the names of the files."""
    found = {partition: f"numbers-{partition}-{suffix}" for partition in names}
    waiting: dict[int, list[int]] = {partition: [] for partition in names}
    with ExitStack() as stack:
        writers = {one: ChunkWriter(stack.enter_context(spool.write(name))) for one, name in found.items()}
        streams = (_numbered(spool, partition, name) for partition, name in names.items())
        for number, (_, partition) in enumerate(merge(*streams), 1):
            waiting[partition].append(number)
            if len(waiting[partition]) == _FLUSH:
                writers[partition].add("numbers", waiting[partition])
                waiting[partition].clear()
        for partition, numbers in waiting.items():
            writers[partition].add("numbers", numbers)
            writers[partition].finish(None)
    return found
