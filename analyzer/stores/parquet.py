"""The store for data science: a directory of Parquet files, one for each table and run."""

# Theory
# ------
# DIR/findings/20261123T160558Z-1f3a9c.parquet contains the findings of one run. Programs that read Parquet treat all
# files of a directory as one table, so a run is added by adding files and removed by removing them. The files get their
# names at the end of the run (`files.atomic_files`). Rows wait until they fill a row group: this bounds the memory, and
# a row group is the unit that readers skip or read.

from __future__ import annotations

import os
import secrets
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..._version import __version__
from ..errors import OutputError, UsageError, display_path
from ..files.atomic_files import NewFile
from ..files.folders import folder_of
from ..files.reading import open_input
from ..timestamps import format_time, parse_time
from .tables import TABLES, capture_row, connection_rows, run_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ..model import Capture, Connection, Summary
    from .tables import Cell, Row, Table

__all__ = ["GROUP_ROWS", "ParquetWriter", "StoreRun", "read_rows", "written"]

GROUP_ROWS = 25_000
_MAX_NS = (1 << 63) - 1
_HINT = "name another directory with -o"


class StoreRun(NamedTuple):
    """A run: its ``number``, which is its start time in nanoseconds, because there is no counter; the name of its
    files; when it started."""

    number: int
    name: str
    started: str

    @classmethod
    def now(cls) -> StoreRun:
        """Return a run that starts now."""
        now = datetime.now(UTC)
        number = int(now.timestamp() * 1_000_000) * 1000 + secrets.randbelow(1000)
        name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        return cls(number, name, now.isoformat(timespec="seconds").replace("+00:00", "Z"))


class ParquetWriter:
    """Writes one run into ``directory``. Raises OSError and UsageError."""

    streams = False

    def __init__(self, directory: Path, run: StoreRun | None = None) -> None:
        self._run = run or StoreRun.now()
        self._files: dict[str, _File] = {}
        try:
            folder_of(directory, parents=True).close()
            for name, table in TABLES.items():
                self._files[name] = _File(directory / name, self._run.name, table)
        except BaseException:
            self.discard()
            raise
        self._captures = 0
        self._after_captures = False  # connections ended after the last capture

    def capture(self, capture: Capture) -> None:
        """Add the row of a capture that was read to its end."""
        self._captures += 1
        self._after_captures = False
        self._files["captures"].add([capture_row(self._run.number, self._captures, capture)])

    def connection(self, connection: Connection) -> None:
        """Add the rows of the connection."""
        self.add(self._captures + 1, connection)
        self._after_captures = True

    def add(self, capture: int, connection: Connection) -> None:
        """Add the rows of a connection that ended in this capture."""
        for name, rows in connection_rows(self._run.number, capture, connection).items():
            self._files[name].add(rows)

    def end_run(self, summary: Summary) -> None:
        """Add the row of the run."""
        finished = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._files["runs"].add([run_row(self._run.number, __version__, self._run.started, finished, summary)])

    def place_filled(self) -> None:
        """Complete the files of tables that have rows, and remove the others."""
        for file in self._files.values():
            if file.is_filled:
                file.close()
                file.place()

    def finish(self, summary: Summary) -> None:
        """Complete the run: rename its files to their final names."""
        self.end_run(summary)
        for file in self._files.values():
            file.close()
        if self._after_captures:
            self._files["connections"].clamp("capture", self._captures)
        for file in self._files.values():
            file.place()

    def discard(self) -> None:
        """Remove the files that do not have their final names."""
        for file in self._files.values():
            file.discard()


class _File:
    """One table of one run."""

    def __init__(self, directory: Path, name: str, table: Table) -> None:
        self._table = table
        self._path = directory / f"{name}.parquet"
        self._rows: list[Row] = []
        self._writer: Any = None
        folder_of(directory, parents=True).close()
        self._file = NewFile(self._path)

    @property
    def is_filled(self) -> bool:
        """Whether it has rows."""
        return bool(self._rows) or self._writer is not None

    def add(self, rows: Sequence[Row]) -> None:
        """Keep ``rows``; write them when they fill a row group."""
        self._rows.extend(rows)
        if len(self._rows) >= GROUP_ROWS:
            self._write()

    def close(self) -> None:
        """Write the rest."""
        self._write()
        self._writer.close()

    def clamp(self, name: str, most: int) -> None:
        """Limit the numbers in the column ``name`` to ``most``: a connection that was open when the last capture ended
        belongs to that capture, not to a next one, which does not exist."""
        import pyarrow  # noqa: PLC0415
        from pyarrow import compute, parquet  # noqa: PLC0415

        before, self._file = self._file, NewFile(self._path)
        with (
            closing(before),
            before.reader() as stream,
            parquet.ParquetFile(stream) as old,
            parquet.ParquetWriter(self._file.stream, old.schema_arrow) as new,
        ):
            column = old.schema_arrow.get_field_index(name)
            for batch in old.iter_batches(GROUP_ROWS):
                table = pyarrow.Table.from_batches([batch])
                clamped = compute.min_element_wise(table.column(name), pyarrow.scalar(most, pyarrow.int64()))
                new.write_table(table.set_column(column, table.schema.field(name), clamped))

    def place(self) -> None:
        """Give the file its name."""
        self._file.place()

    def discard(self) -> None:
        """Remove the file if it does not have its name."""
        self._file.close()

    def _write(self) -> None:
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        rows, self._rows = self._rows, []
        types = {
            "text": pyarrow.string(),
            "integer": pyarrow.int64(),
            "boolean": pyarrow.bool_(),
            "time": pyarrow.timestamp("ns", "UTC"),
        }
        columns = self._table.columns
        schema = pyarrow.schema([(column.name, types[column.kind]) for column in columns])
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file.stream, schema)
        values = [
            [_nanoseconds(row[n]) if column.kind == "time" else row[n] for row in rows]
            for n, column in enumerate(columns)
        ]
        arrays = [pyarrow.array(cells, types[column.kind]) for cells, column in zip(values, columns, strict=True)]
        self._writer.write_table(pyarrow.table(arrays, schema=schema), row_group_size=GROUP_ROWS)


def _nanoseconds(time: Cell) -> int | None:
    """Return a time of the report in nanoseconds; None if it is after the year 2262, which the file cannot store."""
    value = parse_time(time) if isinstance(time, str) else None
    return value if value is None or abs(value) <= _MAX_NS else None


@contextmanager
def written(path: Path) -> Iterator[ParquetWriter]:
    """Open a writer that adds its run to the directory ``path``; after an exception nothing of the run is left.

    Raises UsageError if the directory cannot be used, OutputError if it cannot be written.
    """
    where = display_path(path)
    try:
        writer = ParquetWriter(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write ({reason})", where, _HINT) from error
    try:
        yield writer
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"cannot write ({error.strerror or error}): {where}: {_HINT}") from error
    finally:
        writer.discard()


def read_rows(directory: Path, table: Table) -> Iterator[Row]:
    """Return the rows of ``table`` from every run in ``directory``. Raises OSError, and UsageError if a file does not
    match."""
    from pyarrow import ArrowException, parquet  # noqa: PLC0415

    names = [column.name for column in table.columns]
    times = [number for number, column in enumerate(table.columns) if column.kind == "time"]
    for path in sorted((directory / table.name).glob("*.parquet")):
        try:
            with os.fdopen(open_input(path, found=True), "rb") as stream, parquet.ParquetFile(stream) as file:
                missing = sorted(set(names) - set(file.schema_arrow.names))
                if missing:
                    raise UsageError(
                        f"the column {missing[0]} is missing", display_path(path), "audit into a new store"
                    )
                for batch in file.iter_batches(columns=names):
                    yield from _rows(batch, names, times)
        except (ArrowException, ValueError, OverflowError) as error:
            raise UsageError("not a Parquet file of a store", display_path(path), "remove it from the store") from error


def _rows(batch: Any, names: list[str], times: list[int]) -> Iterator[Row]:
    import pyarrow  # noqa: PLC0415

    columns: list[list[Any]] = []
    for number, name in enumerate(names):
        cells = batch.column(name)
        if number in times:
            known = cells.cast(pyarrow.int64()).to_pylist()
            columns.append([None if ns is None else format_time(ns, 9 if ns % 1000 else 6) for ns in known])
        else:
            columns.append(cells.to_pylist())
    yield from zip(*columns, strict=True)
